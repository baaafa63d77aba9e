//! An app that is sick: rest, one careful call, and nothing lost.

use std::time::Duration;

use super::app::{App, Say};
use super::bed::Bed;

const REST: Duration = Duration::from_secs(30);

async fn broken() -> (Bed, App) {
    let (mut bed, app) = (Bed::new().await, App::new().await);
    app.then(Say::Status(500));
    let there = bed.destination("file", "app", &format!(r#"{{"url":"{}","concurrency":1}}"#, app.url)).await;
    for _ in 0..5 {
        bed.arrive(there, None, "{}").await;
    }
    bed.start();
    bed.until_it_is(Bed::rings, "medium: app rests, deliveries wait: the app answered 500").await;
    (bed, app)
}

fn breaker(bed: &Bed) -> String {
    bed.text("SELECT state FROM webhook_destination_states")
}

#[tokio::test]
async fn three_failures_open_it_and_those_who_wait_lose_no_attempt() {
    let (bed, app) = broken().await;
    assert_eq!(bed.states(), "failed 1\nfailed 1\nfailed 1\npending 0\npending 0");
    assert_eq!((breaker(&bed).as_str(), app.calls().len()), ("open", 3));
}

#[tokio::test]
async fn after_its_rest_one_careful_call_decides() {
    let (bed, app) = broken().await;
    bed.clock.advance(REST);
    app.heard(4).await;
    bed.until_it_is(|bed| bed.number("SELECT count(*) FROM webhook_attempts").to_string(), "4").await;
    assert_eq!(bed.text("SELECT cause FROM webhook_attempts WHERE id = 4"), "probe");
    let rest = bed.number("SELECT open_until FROM webhook_destination_states") - bed.clock.now().as_micros();
    assert_eq!(rest, 60_000_000, "it rests twice as long");
    app.then(Say::Status(200));
    bed.clock.advance(2 * REST);
    bed.until_it_is(|bed| bed.text("SELECT DISTINCT status FROM webhook_deliveries"), "completed").await;
    bed.until_it_is(breaker, "closed").await;
    bed.until_it_is(Bed::rings, "").await;
    assert_eq!(app.calls().len(), 4 + 5);
    assert_eq!(app.most(), 1);
}

#[tokio::test]
async fn a_restart_does_not_hammer_a_sick_app() {
    let (mut bed, app) = broken().await;
    bed.stopped().await;
    app.then(Say::Wait);
    bed.start();
    // Had it forgotten, it would call at once; the careful call alone comes.
    bed.clock.advance(REST);
    app.heard(4).await;
    assert_eq!(bed.number("SELECT count(*) FROM webhook_deliveries WHERE status = 'processing'"), 1);
    app.release();
    bed.until_it_is(breaker, "closed").await;
    assert_eq!(bed.text("SELECT DISTINCT cause FROM webhook_attempts WHERE id = 4"), "probe");
}

#[tokio::test]
async fn an_app_that_refuses_is_not_sick() {
    let (mut bed, app) = (Bed::new().await, App::new().await);
    app.then(Say::Status(422));
    let there = bed.destination("file", "app", &format!(r#"{{"url":"{}"}}"#, app.url)).await;
    for _ in 0..5 {
        bed.arrive(there, None, "{}").await;
    }
    bed.start();
    bed.until("failed 1\nfailed 1\nfailed 1\nfailed 1\nfailed 1").await;
    assert_eq!((breaker(&bed).as_str(), bed.rings().as_str()), ("closed", ""));
}
