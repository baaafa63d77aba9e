//! Whether a program runs, how much memory it holds and for how long.

use std::path::Path;

use super::{Found, bytes, read_start, reason};
use crate::probes::condition::Value;
use crate::probes::target::Process;

/// Processes that are looked through; a machine has some hundred, and 4 million at most.
const SCANNED_MAX: usize = 100_000;
/// Of each file of a process.
const BYTES_MAX: u64 = 4096;
/// The kernel keeps so much of a program's name.
const NAME_BYTES_KEPT: usize = 15;
/// The unit in which Linux tells times to programs, on every architecture in use.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Debug)]
struct One {
    pid: u32,
    rss_bytes: u64,
    /// Since the machine started.
    began_s: f64,
}

pub(super) fn look(proc: &Path, target: &Process) -> Result<Found, String> {
    let uptime = read_start(&proc.join("uptime"), BYTES_MAX).map_err(|error| reason(proc, &error))?;
    let uptime_s: f64 = uptime.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0.0);
    let mut found = Found::default();
    let running = match (&target.name, &target.pid_file) {
        (Some(name), _) => {
            name.clone_into(&mut found.head);
            named(proc, name)?
        }
        (None, Some(path)) => {
            path.clone_into(&mut found.head);
            by_pid_file(proc, Path::new(path), &mut found)?
        }
        (None, None) => return Err("say `name` or `pid_file`".to_owned()),
    };
    found.add("running", Value::Flag(!running.is_empty()));
    #[expect(clippy::cast_precision_loss, reason = "bounded by what is scanned")]
    found.add("processes", Value::plain(running.len() as f64));
    if !running.is_empty() {
        found.add("rss", bytes(running.iter().map(|one| one.rss_bytes).sum()));
        let oldest = running.iter().map(|one| one.began_s).fold(f64::INFINITY, f64::min);
        found.add("age", Value::seconds((uptime_s - oldest).max(0.0)));
        let pids: Vec<String> = running.iter().take(10).map(|one| one.pid.to_string()).collect();
        found.lines.push(("pid".to_owned(), pids.join(", ")));
    }
    Ok(found)
}

fn named(proc: &Path, name: &str) -> Result<Vec<One>, String> {
    let entries = std::fs::read_dir(proc).map_err(|error| reason(proc, &error))?;
    let pids = entries.take(SCANNED_MAX).filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(pids.filter(|pid| is_called(proc, *pid, name)).filter_map(|pid| read(proc, pid)).collect())
}

/// By the name that the kernel keeps; where it kept only its beginning, by the command line as well.
fn is_called(proc: &Path, pid: u32, name: &str) -> bool {
    let folder = proc.join(pid.to_string());
    let Ok(kept) = read_start(&folder.join("comm"), BYTES_MAX) else { return false };
    let kept = kept.trim_end_matches('\n');
    if name.len() <= NAME_BYTES_KEPT {
        return kept == name;
    }
    let line = read_start(&folder.join("cmdline"), BYTES_MAX).unwrap_or_default();
    let program = line.split('\0').next().unwrap_or_default();
    kept.len() == NAME_BYTES_KEPT
        && name.starts_with(kept)
        && program.rsplit('/').next().unwrap_or_default() == name
}

/// A file that is not there says that it does not run: servers take it away when they stop.
fn by_pid_file(proc: &Path, path: &Path, found: &mut Found) -> Result<Vec<One>, String> {
    let text = match read_start(path, BYTES_MAX) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            found.lines.push(("pid file".to_owned(), "not there".to_owned()));
            return Ok(Vec::new());
        }
        Err(error) => return Err(reason(path, &error)),
    };
    let pid: u32 = text
        .lines()
        .next()
        .and_then(|line| line.trim().parse().ok())
        .ok_or_else(|| format!("{}: its first line is no process id", path.display()))?;
    Ok(read(proc, pid).into_iter().collect())
}

/// `None`: it is gone, or has ended and waits to be collected.
fn read(proc: &Path, pid: u32) -> Option<One> {
    let folder = proc.join(pid.to_string());
    let stat = read_start(&folder.join("stat"), BYTES_MAX).ok()?;
    // The name stands in brackets and may hold anything, brackets too.
    let (_, after) = stat.rsplit_once(") ")?;
    let mut words = after.split(' ');
    let state = words.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    // Field 22 of the line, of which two stand before.
    let began_ticks: f64 = words.nth(18)?.parse().ok()?;
    let status = read_start(&folder.join("status"), BYTES_MAX).ok()?;
    let rss_kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let rss_kib: u64 = rss_kib.and_then(|text| text.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0);
    Some(One { pid, rss_bytes: rss_kib * 1024, began_s: began_ticks / TICKS_PER_SECOND })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_for(name: Option<&str>, pid_file: Option<&str>) -> Found {
        let target = Process { name: name.map(str::to_owned), pid_file: pid_file.map(str::to_owned) };
        look(Path::new("/proc"), &target).unwrap()
    }

    fn of(found: &Found, name: &str) -> Option<Value> {
        found.facts.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn a_process_is_found_by_name_and_by_its_file() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{}\n", child.id())).unwrap();
        let path = file.path().to_str().unwrap();
        for found in [look_for(Some("sleep"), None), look_for(None, Some(path))] {
            assert_eq!(of(&found, "running"), Some(Value::Flag(true)));
            assert!(matches!(of(&found, "rss"), Some(Value::Number(rss, _)) if rss > 0.0), "{found:?}");
            assert!(matches!(of(&found, "age"), Some(Value::Number(_, _))));
        }
        assert_eq!(of(&look_for(None, Some(path)), "processes"), Some(Value::plain(1.0)));
        child.kill().unwrap();
        // It is dead now, and not yet collected.
        let is_gone = || of(&look_for(None, Some(path)), "running") == Some(Value::Flag(false));
        for _ in 0..1000 {
            if is_gone() {
                break;
            }
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(is_gone());
        assert_eq!(of(&look_for(None, Some("/no/such.pid")), "running"), Some(Value::Flag(false)));
        assert_eq!(of(&look_for(Some("no-such-program-at-all"), None), "processes"), Some(Value::plain(0.0)));
    }

    #[test]
    fn a_long_name_is_compared_whole_and_a_name_may_hold_anything() {
        let proc = tempfile::tempdir().unwrap();
        let folder = proc.path().join("7");
        std::fs::create_dir(&folder).unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        write("comm", "a-program-that-\n");
        write("cmdline", "/opt/a-program-that-is-long\0--flag\0");
        write("stat", "7 (a) Z (b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 5000 20\n");
        write("status", "Name:\ta\nVmRSS:\t   12 kB\n");
        std::fs::write(proc.path().join("uptime"), "100.00 1.0\n").unwrap();
        let found =
            |name: &str| look(proc.path(), &Process { name: Some(name.to_owned()), pid_file: None }).unwrap();
        let long = found("a-program-that-is-long");
        assert_eq!(of(&long, "rss"), Some(bytes(12 * 1024)));
        assert_eq!(of(&long, "age"), Some(Value::seconds(50.0)));
        assert_eq!(of(&found("a-program-that-is-other"), "running"), Some(Value::Flag(false)));
        write("status", "");
        assert_eq!(of(&found("a-program-that-"), "rss"), Some(bytes(0)));
        let target = Process { name: None, pid_file: Some(folder.join("comm").display().to_string()) };
        assert!(look(proc.path(), &target).unwrap_err().contains("no process id"));
    }
}
