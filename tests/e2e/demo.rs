//! `tocsin demo`, as somebody sees it who tries it first: the numbers agree, and nothing stays behind.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::{server::binary, wait_until};

/// The promise of `--kill` is a minute; a debug build on a busy machine gets to its beginning late.
const KILL_WITHIN: Duration = Duration::from_secs(80);
/// The rules look back twenty seconds, a task looks every ten, the hold is five.
const STORY_WITHIN: Duration = Duration::from_mins(2);
const INTERRUPTED_WITHIN: Duration = Duration::from_secs(30);

/// A running demo whose temporary folder lies in a place of its own.
struct Demo {
    place: TempDir,
    child: Child,
}

/// A demo that ended.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Demo {
    fn start(arguments: &[&str]) -> Demo {
        let place = TempDir::new().expect("a temporary folder can be made");
        let mut command = Command::new(binary());
        command.arg("demo").args(arguments).env("TMPDIR", place.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Demo { place, child: child.expect("the demo can be started") }
    }

    /// Waits until its server runs.
    fn wait_for_server(&self) {
        wait_until("the demo's server", INTERRUPTED_WITHIN, || servers_in(self.place.path()).pop());
    }

    fn interrupt(&self) {
        self.send(Signal::INT);
    }

    fn send(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("a process id fits");
        kill_process(Pid::from_raw(id).expect("a process id is not zero"), signal)
            .expect("the demo takes signals");
    }

    /// Waits for its end and checks that it left neither a folder nor a process.
    fn end(mut self, within: Duration) -> Ended {
        let status =
            wait_until("the end of the demo", within, || self.child.try_wait().expect("it can be seen"));
        let (mut out, mut err) = (String::new(), String::new());
        self.child.stdout.take().map(|mut pipe| pipe.read_to_string(&mut out));
        self.child.stderr.take().map(|mut pipe| pipe.read_to_string(&mut err));
        let left: Vec<PathBuf> = entries(self.place.path());
        assert!(left.is_empty(), "the demo left {left:?}\n{out}{err}");
        let running = servers_in(self.place.path());
        assert!(running.is_empty(), "still running: {running:?}\n{out}{err}");
        Ended { code: status.code(), out, err }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Only where a test failed before the end.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Ended {
    /// The number in the second column of the line that begins with `name`.
    #[track_caller]
    fn number(&self, name: &str) -> u64 {
        let line = self.out.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
            .unwrap_or_else(|| panic!("no {name} in:\n{}{}", self.out, self.err))
    }
}

#[test]
fn an_alarm_is_told_from_the_first_error_to_the_recovery() {
    let mut demo = Demo::start(&[]);
    let mut lines = BufReader::new(demo.child.stdout.take().expect("its output is a pipe")).lines();
    let mut out = String::new();
    let mut next = |out: &mut String| {
        let line = lines.next().and_then(Result::ok);
        line.inspect(|line| {
            out.push_str(line);
            out.push('\n');
        })
    };
    while let Some(line) = next(&mut out) {
        if line.contains("mail arrived after") {
            break;
        }
    }
    // While it goes on, the mailbox shows the mail with a button.
    let mailbox = out.lines().find_map(|line| line.trim().strip_prefix("Mailbox  ")).expect("an address");
    let page = page(mailbox);
    assert!(page.contains("PaymentError") && page.contains("/ack/"), "{page}");
    while next(&mut out).is_some() {}
    let ended = demo.end(STORY_WITHIN);
    assert_eq!(ended.code, Some(0), "{out}{}", ended.err);
    for part in
        ["the checkout breaks", "detected after", "Also seen", "acknowledged (signed link)", "Recovered"]
    {
        assert!(out.contains(part), "{part} is missing:\n{out}");
    }
}

#[test]
fn ten_kills_lose_nothing_that_was_acknowledged() {
    let ended = Demo::start(&["--kill"]).end(KILL_WITHIN);
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    assert_eq!(ended.out.matches("kill -9 number").count(), 10, "{}", ended.out);
    let acknowledged = ended.number("acknowledged");
    assert!(acknowledged > 0);
    assert_eq!((ended.number("found"), ended.number("counted")), (acknowledged, acknowledged));
    assert!(ended.number("due") > 0);
    assert_eq!(ended.number("due"), ended.number("rung"));
    assert!(ended.out.contains("integrity_check  ok"), "{}", ended.out);
}

#[test]
fn ctrl_c_leaves_neither_a_server_nor_a_folder() {
    for arguments in [&[][..], &["--kill"]] {
        let demo = Demo::start(arguments);
        demo.wait_for_server();
        demo.interrupt();
        let ended = demo.end(INTERRUPTED_WITHIN);
        assert_eq!(ended.code, Some(130), "{}{}", ended.out, ended.err);
        assert!(ended.err.contains("interrupted"), "{}", ended.err);
    }
}

#[test]
fn a_demo_that_is_killed_leaves_no_server() {
    let demo = Demo::start(&[]);
    demo.wait_for_server();
    demo.send(Signal::KILL);
    wait_until("the end of its server", INTERRUPTED_WITHIN, || {
        servers_in(demo.place.path()).is_empty().then_some(())
    });
}

#[test]
fn a_folder_of_ones_own_is_refused_with_the_cure() {
    let place = TempDir::new().unwrap();
    let output = Command::new(binary()).arg("--data").arg(place.path()).arg("demo").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("leave --data and --config out"));
}

/// The processes on a data folder below `place`.
fn servers_in(place: &Path) -> Vec<PathBuf> {
    let place = place.to_str().expect("a temporary folder's name is text");
    let is_there = |process: &PathBuf| {
        let arguments = fs::read(process.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(place)
    };
    entries(Path::new("/proc")).into_iter().filter(is_there).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn page(url: &str) -> String {
    let address = url.trim_start_matches("http://").trim_end_matches('/').parse().expect("an address");
    crate::support::api::Api::stranger(address).try_get("/").expect("the mailbox answers").text()
}
