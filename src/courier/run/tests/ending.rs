//! How deliveries end or wait: held, dead, dealt with, begun anew, and left behind by a process that ended.

use std::time::Duration;

use super::app::{App, Say};
use super::bed::Bed;
use crate::webhooks::replay_one::Error;

async fn one(definition: &str) -> (Bed, App, crate::webhooks::DestinationId) {
    let (bed, app) = (Bed::new().await, App::new().await);
    let there = bed.destination("file", "app", &definition.replace("URL", &app.url)).await;
    (bed, app, there)
}

const PATIENT: &str = r#"{"url":"URL"}"#;
const IMPATIENT: &str = r#"{"url":"URL","retry":{"first":"10s","at_most":"1m","give_up_after":"15s"}}"#;

#[tokio::test]
async fn nothing_goes_to_a_destination_that_is_held() {
    let (mut bed, app, there) = one(PATIENT).await;
    bed.execute("UPDATE webhook_destinations SET held_at = 1, held_by = 'ana@example.com'").await;
    let other = bed.destination("file", "other", &format!(r#"{{"url":"{}"}}"#, app.url)).await;
    bed.arrive(there, None, "{}").await;
    bed.arrive(other, None, "{}").await;
    bed.start();
    bed.until("pending 0\ncompleted 1").await;
    bed.resume(there).await;
    bed.until("completed 1\ncompleted 1").await;
}

#[tokio::test]
async fn an_app_that_is_gone_is_held_and_somebody_is_told() {
    let (mut bed, app, there) = one(PATIENT).await;
    app.script(&[Say::Status(410)]);
    bed.arrive(there, None, "{}").await;
    bed.arrive(there, None, "{}").await;
    bed.execute("UPDATE webhook_destinations SET definition = json_set(definition, '$.concurrency', 1)")
        .await;
    bed.start();
    let told = "high: app is held: the app answered 410 Gone; resume it once its address is right";
    bed.until_it_is(Bed::rings, told).await;
    assert_eq!(bed.text("SELECT held_by FROM webhook_destinations"), "the app answered 410 Gone");
    assert_eq!(
        bed.number("SELECT due_at IS NOT NULL AND status = 'failed' FROM webhook_deliveries WHERE id = 1"),
        1
    );
    bed.resume(there).await;
    bed.until_it_is(|bed| bed.text("SELECT DISTINCT status FROM webhook_deliveries"), "completed").await;
}

#[tokio::test]
async fn after_its_deadline_it_is_dead_until_somebody_begins_it_anew() {
    let (mut bed, app, there) = one(IMPATIENT).await;
    app.script(&[Say::Status(400), Say::Status(400)]);
    let id = bed.arrive(there, None, "{}").await;
    bed.start();
    bed.until("failed 1").await;
    bed.clock.advance(Duration::from_secs(10));
    bed.until("dead_letter 2").await;
    assert_eq!(bed.rings(), "high: A webhook to app died: the app answered 400");
    assert_eq!(bed.number("SELECT dead FROM webhook_destination_points"), 1);
    bed.replay(id).await.unwrap();
    bed.until("completed 3").await;
    assert_eq!(bed.rings(), "");
    assert_eq!(bed.attempts(), "1 first 400\n1 retry 400\n1 replay 200");
    bed.replay(id).await.unwrap();
    bed.until("completed 4").await;
    assert_eq!(app.calls()[3].header("tocsin-webhook-attempt"), "4");
}

#[tokio::test]
async fn the_alarm_of_dead_letters_ends_with_the_last_that_is_dealt_with() {
    let (mut bed, app, there) = one(r#"{"url":"URL","concurrency":1,"retry":{"give_up_after":"1s"}}"#).await;
    app.script(&[Say::Status(400), Say::Status(400)]);
    let first = bed.arrive(there, None, "{}").await;
    let second = bed.arrive(there, None, "{}").await;
    bed.start();
    bed.until("dead_letter 1\ndead_letter 1").await;
    bed.settle(first).await.unwrap();
    assert!(matches!(bed.settle(first).await, Err(Error::Settled)));
    assert!(!bed.rings().is_empty());
    bed.settle(second).await.unwrap();
    assert_eq!(bed.rings(), "");
    let by = crate::accounts::By::tocsin(bed.clock.now());
    let undo = move |tx: &crate::store::WriteTx<'_>| crate::webhooks::replay_one::unsettle(tx, &by, first);
    bed.store.write("undo", undo).await.unwrap();
    assert_eq!(bed.number("SELECT count(*) FROM webhook_deliveries WHERE settled_at IS NULL"), 1);
    bed.replay(first).await.unwrap();
    bed.until("completed 2\ndead_letter 1").await;
}

#[tokio::test]
async fn what_brought_nothing_that_is_kept_is_dead_without_an_attempt() {
    let (mut bed, app, there) = one(PATIENT).await;
    let id = bed.arrive(there, None, "{}").await;
    bed.execute("DELETE FROM webhook_payloads").await;
    bed.start();
    bed.until("dead_letter 0").await;
    assert!(bed.text("SELECT error FROM webhook_deliveries").contains("no longer kept"));
    assert_eq!((bed.attempts().as_str(), app.calls().len()), ("", 0));
    assert!(matches!(bed.replay(id).await, Err(Error::PayloadGone)));
}

#[tokio::test]
async fn what_another_process_left_under_way_is_sent_again() {
    let (mut bed, app, there) = one(PATIENT).await;
    bed.arrive(there, None, "{}").await;
    bed.execute(
        "UPDATE webhook_deliveries SET status = 'processing', attempts = 1, due_at = NULL, lease = x'00', last_attempt_at = 5",
    )
    .await;
    bed.start();
    bed.until("completed 2").await;
    let ended = "1 first tocsin ended while it was under way: the app may have got it";
    assert_eq!(bed.attempts(), format!("{ended}\n1 retry 200"));
    assert_eq!(
        bed.number("SELECT duration_us IS NULL AND started_at = 5 FROM webhook_attempts WHERE number = 1"),
        1
    );
    assert_eq!(app.calls().len(), 1);
}

#[tokio::test]
async fn a_stop_waits_for_what_is_under_way_and_begins_nothing() {
    let (mut bed, app, there) = one(r#"{"url":"URL","concurrency":1}"#).await;
    app.then(Say::Wait);
    bed.arrive(there, None, "{}").await;
    bed.arrive(there, None, "{}").await;
    bed.start();
    app.heard(1).await;
    bed.stop();
    app.release();
    bed.stopped().await;
    assert_eq!(bed.states(), "completed 1\npending 0");
    assert_eq!(app.calls().len(), 1);
}
