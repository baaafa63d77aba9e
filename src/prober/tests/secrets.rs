//! What a target repeats is told to nobody: on no way from its answer to the disk, the board or a trial.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::bed::{Bed, draft};
use crate::base::Secret;
use crate::probes::pushed::{Report, Stored, Word};
use crate::probes::{Draft, Owner, Secrets, Status};

const KEY: &str = "0pen/sesame \"x\"";
const PASSWORD: &str = "hunter2-and-more";

/// A web server that repeats every key in its answer, and lets somebody in.
async fn echo() -> (std::net::SocketAddr, tokio::task::JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut serving = tokio::task::JoinSet::new();
    serving.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.unwrap_or_default();
            let heard = String::from_utf8_lossy(&head[..length]).into_owned();
            let body = serde_json::json!({"key": KEY, "heard": heard, "password": PASSWORD}).to_string();
            let answer = format!(
                "HTTP/1.1 200 {KEY}\r\nset-cookie: sid={PASSWORD}; Path=/\r\nx-key: {KEY}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.ok();
        }
    });
    (address, serving)
}

/// Everything that could give a secret away.
fn assert_hidden(told: &str) {
    for part in ["sesame", "0pen", "hunter2"] {
        assert!(!told.contains(part), "{part} in {told}");
    }
}

/// All texts of the tables in which something is told.
async fn everything_told(bed: &Bed) -> String {
    bed.text(
        "SELECT (SELECT group_concat(reason) FROM probe_states) || (SELECT group_concat(reason) FROM probe_changes)
             || (SELECT ifnull(group_concat(sample), '') FROM probe_samples)
             || (SELECT ifnull(group_concat(summary || detail), '') FROM witnesses)
             || (SELECT ifnull(group_concat(summary), '') FROM incidents)
             || (SELECT ifnull(group_concat(report), '') FROM probe_reports)",
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_see_a_secret_that_nobody_is_shown() {
    let (mut bed, (address, _serving)) = (Bed::new().await, echo().await);
    let url = format!("http://{address}/?k={{{{key}}}}");
    let mut wanted = Draft {
        secrets: Secrets([("key".to_owned(), Secret::new(KEY))].into()),
        ..draft("api", serde_json::json!({"kind": "http", "url": url, "headers": {"x-key": "{{key}}"}}))
    };
    // It holds of what was really said.
    wanted.definition.conditions =
        vec!["body.key contains 'sesame' and header.set-cookie contains 'hunter2'".to_owned()];
    let id = bed.save(wanted.clone()).await;
    bed.start();
    bed.until_status(id, Status::Healthy).await;
    assert_hidden(
        &format!("{:?}", bed.live(id)).replace("contains 'sesame'", "").replace("contains 'hunter2'", ""),
    );
    wanted.definition.conditions = vec!["body.key == 'x'".to_owned(), "body.password == 'x'".to_owned()];
    bed.save(wanted.clone()).await;
    bed.until_status(id, Status::Unhealthy).await;
    assert_hidden(&format!("{:?}", bed.live(id)));
    let told = everything_told(&bed).await;
    assert!(
        told.contains("body.key was") && told.contains("[secret]") && told.contains("[Filtered]"),
        "{told}"
    );
    assert_hidden(&told);
    let checked = wanted.definition.clone().check(&wanted.secrets).unwrap();
    let tried = bed.prober().try_now(&checked, wanted.secrets.clone(), Owner::File).await.unwrap();
    assert!(tried.outcomes[1].fails.contains("[Filtered]"), "{:?}", tried.outcomes);
    assert_hidden(&format!("{tried:?}{}", tried.shown()));
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_judged_as_it_came_and_stored_without_secrets() {
    let mut bed = Bed::new().await;
    let mut wanted = draft("job", serde_json::json!({"kind": "push"}));
    (wanted.definition.policy.bad, wanted.definition.policy.of) = (1, 1);
    wanted.definition.conditions = vec![format!("body.password == '{PASSWORD}' and status == 'up'")];
    let id = bed.save(wanted).await;
    bed.start();
    bed.soon("it was not taken up", async |bed| bed.live(id).is_some()).await;
    let report = |status| Report {
        status,
        message: format!("{}token={PASSWORD}", "x ".repeat(240)),
        value: None,
        body: Some(serde_json::json!({"password": PASSWORD, "depth": 3})),
    };
    let reported = async |bed: &Bed, status| {
        bed.prober().report(Stored { id, at: bed.clock.now(), report: report(status) }).await.unwrap();
    };
    reported(&bed, Word::Up).await;
    bed.soon("it does not hold", async |bed| bed.state(id).await.status == Status::Healthy).await;
    reported(&bed, Word::Down).await;
    bed.soon("it does not count", async |bed| bed.state(id).await.status == Status::Unhealthy).await;
    let told = everything_told(&bed).await;
    assert!(told.contains("\"depth\":3") && told.contains("x x"), "{told}");
    assert_hidden(&told);
    assert_hidden(&format!("{:?}", bed.live(id).map(|live| (live.reason, live.last.map(|last| last.facts)))));
    bed.stop().await;
}
