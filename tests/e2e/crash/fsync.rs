//! Under strace: the write-ahead log is synced to disk after a request was read and before its 200 is written.

use std::{collections::BTreeMap, ffi::OsString, fs, path::Path, time::Duration};

use crate::support::{
    events::{accept, event, event_id},
    server::{Server, Setup},
    tools::program,
    wait_until,
};

const CALLS: &str = "trace=fdatasync,fsync,read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg";
const ROUNDS: usize = 5;

#[test]
fn the_disk_is_told_before_the_client() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    // -D: the tracer steps aside, so that the server is our own child and takes our signals.
    let mut wrapper: Vec<OsString> = vec![program(&["strace"]).into()];
    wrapper
        .extend(["-D", "-f", "-y", "-s", "48", "-e", CALLS, "-e", "signal=none", "-o"].map(OsString::from));
    wrapper.push(trace.clone().into());
    let mut server = Server::start(Setup { wrapper, ..Setup::default() });
    let project = server.project("traced");
    let client = server.stranger();
    for _ in 0..ROUNDS {
        accept(&client, &project, &event(&event_id(), "Payment", "error"));
    }
    assert!(server.stop(), "{}", server.log_tail());
    let path = format!("POST /api/{}/envelope/", project.id);
    let answers = wait_until("the trace is complete", Duration::from_secs(10), || {
        let answers = synced_before_answer(&read(&trace), &path);
        (answers.len() == ROUNDS).then_some(answers)
    });
    assert_eq!(answers, [true; ROUNDS], "each 200 comes after a sync of the log");
}

fn read(trace: &Path) -> String {
    String::from_utf8_lossy(&fs::read(trace).unwrap_or_default()).into_owned()
}

/// For each request whose first bytes are `request`: whether a sync of the database's log or file ended between
/// reading it and writing the next 200. Lines of a call that was interrupted by other threads (`<unfinished …>`,
/// `<… resumed>`) count at their end.
fn synced_before_answer(trace: &str, request: &str) -> Vec<bool> {
    let mut answers = Vec::new();
    let mut open: Option<bool> = None;
    let mut unfinished: BTreeMap<&str, &str> = BTreeMap::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if call.ends_with("<unfinished ...>") {
            // What is sent stands in the first half already; it has left only with the second.
            unfinished.insert(thread, call);
            continue;
        }
        let begun =
            if call.starts_with("<... ") { unfinished.remove(thread).unwrap_or_default() } else { "" };
        let whole = format!("{begun} {call}");
        let name = whole.trim_start().split('(').next().unwrap_or_default().to_owned();
        let is_read = ["read", "readv", "recvfrom", "recvmsg"].contains(&name.as_str());
        let is_write = ["write", "writev", "sendto", "sendmsg"].contains(&name.as_str());
        let is_sync = ["fdatasync", "fsync"].contains(&name.as_str()) && whole.ends_with("= 0");
        if is_read && whole.contains(request) {
            open = Some(false);
        } else if is_sync && whole.contains("tocsin.db") {
            open = open.map(|_| true);
        } else if is_write && whole.contains("HTTP/1.1 200") {
            answers.extend(open.take());
        }
    }
    answers
}

#[test]
fn a_trace_tells_early_answers_from_late_ones() {
    let request = "POST /api/7/envelope/";
    let read =
        "12 recvfrom(9<TCP:[1->2]>, \"POST /api/7/envelope/ HTTP/1.1\\r\\n\"..., 8192, 0, NULL, NULL) = 900";
    let sync = "13 fdatasync(5</data/tocsin.db-wal>) = 0";
    let answer = "12 writev(9<TCP:[1->2]>, [{iov_base=\"HTTP/1.1 200 OK\\r\\n\"..., iov_len=90}], 1) = 90";
    let split = "13 fdatasync(5</data/tocsin.db-wal> <unfinished ...>\n12 read(3<x>, \"\", 1) = 0\n13 <... fdatasync resumed>) = 0";
    let failed = "13 fdatasync(5</data/tocsin.db-wal>) = -1 EIO (Input/output error)";
    let other = "13 fsync(6</data/server.log>) = 0";
    let cases = [
        (vec![read, sync, answer], true),
        (vec![read, split, answer], true),
        (vec![sync, read, answer], false),
        (vec![read, answer, sync], false),
        (vec![read, failed, answer], false),
        (vec![read, other, answer], false),
        (vec![read, "13 fdatasync(5</data/tocsin.db-wal> <unfinished ...>", answer], false),
    ];
    for (lines, expected) in cases {
        assert_eq!(synced_before_answer(&lines.join("\n"), request), [expected], "{lines:?}");
    }
}
