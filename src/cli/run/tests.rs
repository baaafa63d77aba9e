use std::ffi::OsString;

use super::child::run;

async fn shell(script: &str) -> (u8, String) {
    let command = ["sh", "-c", script].map(OsString::from);
    let ended = run(&command).await;
    (ended.code, String::from_utf8_lossy(&ended.tail).into_owned())
}

#[tokio::test]
async fn the_exit_code_and_both_streams_come_back() {
    assert_eq!(shell("echo out; echo err >&2; exit 3").await.0, 3);
    let (code, tail) = shell("echo one; sleep 0.1; echo two >&2").await;
    assert_eq!((code, &*tail), (0, "one\ntwo\n"));
    assert_eq!(shell("kill -TERM $$").await.0, 128 + 15);
}

#[tokio::test]
async fn what_cannot_be_started_is_told_as_shells_tell_it() {
    let missing = run(&[OsString::from("/nonexistent/command")]).await;
    assert_eq!(missing.code, 127);
    assert!(String::from_utf8_lossy(&missing.tail).contains("/nonexistent/command"));
    assert_eq!(run(&[OsString::from("/")]).await.code, 126);
}

#[tokio::test]
async fn what_a_job_leaves_running_is_not_waited_for() {
    let began = std::time::Instant::now();
    let (code, tail) = shell("sleep 30 & echo done").await;
    assert_eq!((code, &*tail), (0, "done\n"));
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
}
