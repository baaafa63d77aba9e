//! Memory and load, as the kernel tells them.

use std::path::Path;

use super::{Found, bytes, read_start, reason, share};
use crate::probes::condition::Value;

/// A few kilobytes in fact; of `stat`, the lines of the cores stand first.
const BYTES_MAX: u64 = 64 * 1024;

pub(super) fn look(proc: &Path) -> Result<Found, String> {
    let read = |name: &str| {
        let path = proc.join(name);
        read_start(&path, BYTES_MAX).map_err(|error| reason(&path, &error))
    };
    let mut found = Found { head: "this machine".to_owned(), ..Found::default() };
    state_memory(&read("meminfo")?, &mut found)?;
    state_load(&read("loadavg")?, cores(&read("stat")?), &mut found)?;
    Ok(found)
}

fn state_memory(meminfo: &str, found: &mut Found) -> Result<(), String> {
    let of = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib.saturating_mul(1024))
    };
    let (Some(total), Some(available)) = (of("MemTotal").filter(|total| *total > 0), of("MemAvailable"))
    else {
        return Err("the kernel does not tell its memory".to_owned());
    };
    found.add("memory.used", share(total.saturating_sub(available), total));
    found.add("memory.available", bytes(available));
    if let (Some(total), Some(free)) = (of("SwapTotal").filter(|total| *total > 0), of("SwapFree")) {
        found.add("swap.used", share(total.saturating_sub(free), total));
    }
    Ok(())
}

fn state_load(loadavg: &str, cores: u32, found: &mut Found) -> Result<(), String> {
    let mut numbers = loadavg.split_whitespace().map_while(|word| word.parse::<f64>().ok());
    let (Some(one), Some(five), Some(fifteen)) = (numbers.next(), numbers.next(), numbers.next()) else {
        return Err("the kernel does not tell its load".to_owned());
    };
    found.add("load1", Value::plain(one));
    found.add("load5", Value::plain(five));
    found.add("load15", Value::plain(fifteen));
    found.add("load.per_core", Value::plain(five / f64::from(cores)));
    found.lines.push(("cores".to_owned(), cores.to_string()));
    Ok(())
}

/// Those of the machine, whatever share of them this process may use: the load is the machine's too.
fn cores(stat: &str) -> u32 {
    let is_core = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    u32::try_from(stat.lines().filter(is_core).count()).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::condition::Unit;

    #[test]
    fn a_machine_tells_its_memory_and_load() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "meminfo",
            "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 250 kB\nSwapTotal: 100 kB\nSwapFree: 90 kB\n",
        );
        write("loadavg", "0.50 4.00 1.25 2/345 678\n");
        write("stat", "cpu  1 2 3\ncpu0 1 2 3\ncpu1 1 2 3\nintr 1\n");
        let found = look(folder.path()).unwrap();
        let of = |name: &str| found.facts.iter().find(|(known, _)| *known == name).unwrap().1.clone();
        assert_eq!(of("memory.used"), Value::Number(75.0, Unit::Percent));
        assert_eq!(of("memory.available"), bytes(256_000));
        assert_eq!(of("swap.used"), Value::Number(10.0, Unit::Percent));
        assert_eq!(of("load.per_core"), Value::plain(2.0));

        write("meminfo", "MemTotal: 0 kB\n");
        assert!(look(folder.path()).unwrap_err().contains("memory"));
        assert!(look(Path::new("/proc")).unwrap().facts.len() >= 6, "the real one tells everything");
    }
}
