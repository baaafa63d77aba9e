//! What the app hears, and what is written about it.

use std::time::Duration;

use super::app::{App, Say};
use super::bed::{Bed, START, payload};
use crate::base::{Secret, TraceId, TraceKey};
use crate::webhooks::scheme::Call;
use crate::webhooks::{Payload, providers};

#[tokio::test]
async fn an_event_arrives_as_it_was_with_what_tocsin_says_beside_it() {
    let (mut bed, app) = (Bed::new().await, App::new().await);
    let definition = format!(r#"{{"url":"{}/hook?own=1","headers":{{"x-env":"production"}}}}"#, app.url);
    let there = bed.destination("file", "app", &definition).await;
    let sent = Payload {
        query: "a=%20b".to_owned(),
        headers: vec![
            ("content-type".to_owned(), b"text/plain".to_vec()),
            ("x-event".to_owned(), b"paid".to_vec()),
            ("authorization".to_owned(), b"Bearer secret".to_vec()),
        ],
        body: b"\xff\0 {}\r\n".to_vec(),
        ..payload("")
    };
    let delivery = bed.arrive_as(there, None, sent.clone(), None).await;
    bed.start();
    bed.until("completed 1").await;
    let [call] = app.calls().try_into().unwrap();
    assert_eq!((call.path.as_str(), &call.body), ("/hook?own=1&a=%20b", &sent.body));
    assert_eq!((call.header("content-type"), call.header("x-event")), ("text/plain", "paid"));
    assert_eq!((call.header("x-env"), call.header("authorization")), ("production", ""));
    let uid = bed.text("SELECT lower(hex(uid)) FROM webhook_deliveries");
    assert_eq!(call.header("tocsin-webhook-id").replace('-', ""), uid);
    assert_eq!(call.header("tocsin-webhook-attempt"), "1");
    let trace = call.header("traceparent").split('-').nth(1).and_then(TraceId::parse).unwrap();
    assert_eq!(TraceKey::new([3; 32]).find(trace), Some(delivery.0));
    assert_eq!(bed.attempts(), "1 first 200");
    let points = "SELECT attempts || failures || completed || at_first || dead || slow || length(latency)
                  FROM webhook_destination_points";
    assert_eq!(bed.text(points), "1011004");
    assert_eq!(bed.text("SELECT status || attempts FROM webhook_delivery_log"), "completed1");
    assert_eq!(bed.number("SELECT last_ok_at FROM webhook_destination_states"), START.as_micros());
}

#[tokio::test]
async fn what_fails_is_tried_again_when_the_app_asks_for_it() {
    let (mut bed, app) = (Bed::new().await, App::new().await);
    let there = bed.destination("file", "app", &format!(r#"{{"url":"{}"}}"#, app.url)).await;
    app.script(&[Say::Whole(503, "retry-after: 120\r\n", "come later".to_owned()), Say::Status(400)]);
    bed.arrive(there, None, "{}").await;
    bed.start();
    bed.until("failed 1").await;
    let due = START + Duration::from_mins(2);
    assert_eq!(bed.number("SELECT due_at FROM webhook_deliveries"), due.as_micros());
    assert_eq!(bed.text("SELECT error FROM webhook_deliveries"), "the app answered 503");
    assert_eq!(bed.text("SELECT answer FROM webhook_attempts"), "503\nretry-after: 120\n\ncome later");
    bed.clock.advance(Duration::from_mins(2));
    bed.until("failed 2").await;
    bed.clock.advance(Duration::from_mins(1));
    bed.until("completed 3").await;
    assert_eq!(bed.attempts(), "1 first 503\n1 retry 400\n1 retry 200");
    assert_eq!(bed.number("SELECT error IS NULL FROM webhook_deliveries"), 1);
    let numbers: Vec<String> =
        app.calls().iter().map(|call| call.header("tocsin-webhook-attempt").to_owned()).collect();
    assert_eq!(numbers, ["1", "2", "3"]);
    assert_eq!(bed.rings(), "");
}

#[tokio::test]
async fn events_of_one_key_arrive_in_order_however_the_app_fails() {
    let (mut bed, app) = (Bed::new().await, App::new().await);
    let definition = format!(r#"{{"url":"{}","in_order":true,"concurrency":1}}"#, app.url);
    let there = bed.destination("file", "app", &definition).await;
    app.script(&[Say::Status(400), Say::Status(200), Say::Status(409)]);
    for (key, body) in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3")] {
        bed.arrive(there, Some(key), body).await;
    }
    bed.start();
    bed.until("failed 1\npending 0\ncompleted 1\npending 0").await;
    bed.clock.advance(Duration::from_secs(5));
    bed.until("failed 2\npending 0\ncompleted 1\npending 0").await;
    bed.clock.advance(Duration::from_secs(10));
    bed.until("completed 3\ncompleted 1\ncompleted 1\ncompleted 1").await;
    let bodies: Vec<String> =
        app.calls().iter().map(|call| String::from_utf8_lossy(&call.body).into_owned()).collect();
    assert_eq!(bodies, ["a1", "b1", "a1", "a1", "a2", "a3"]);
}

#[tokio::test]
async fn what_the_app_answers_is_kept_without_secrets_and_bounded() {
    let (mut bed, app) = (Bed::new().await, App::new().await);
    let there = bed.destination("file", "app", &format!(r#"{{"url":"{}"}}"#, app.url)).await;
    let body = format!("password=hunter2hunter2 {}", "x".repeat(100_000));
    app.script(&[Say::Whole(500, "content-type: text/plain\r\nset-cookie: a=b\r\n", body)]);
    bed.arrive(there, None, "{}").await;
    bed.start();
    bed.until("failed 1").await;
    let answer = bed.text("SELECT answer FROM webhook_attempts");
    assert!(answer.starts_with("500\ncontent-type: text/plain\n\npassword=") && !answer.contains("hunter2"));
    assert!(!answer.contains("set-cookie") && answer.chars().count() <= 4096, "{}", answer.len());
}

#[tokio::test]
async fn what_the_page_names_must_be_public_and_metadata_is_nobodys() {
    let (mut bed, app) = (Bed::new().await, App::new().await);
    let mine = bed.destination("page", "mine", &format!(r#"{{"url":"{}"}}"#, app.url)).await;
    let metadata = bed.destination("file", "metadata", r#"{"url":"http://169.254.169.254/"}"#).await;
    bed.arrive(mine, None, "{}").await;
    bed.arrive(metadata, None, "{}").await;
    bed.start();
    bed.until("failed 1\nfailed 1").await;
    let errors = bed.text("SELECT error FROM webhook_deliveries ORDER BY id");
    let [mine, metadata] = errors.lines().collect::<Vec<_>>().try_into().unwrap();
    assert!(mine.contains("must be public; name a private one"), "{mine}");
    assert!(metadata.contains("metadata addresses are never called"), "{metadata}");
    assert!(app.calls().is_empty());
}

#[tokio::test]
async fn a_silent_app_is_given_up_in_time() {
    let (mut bed, app) = (Bed::new().await, App::new().await);
    app.then(Say::Wait);
    let definition = format!(r#"{{"url":"{}","timeout":"100ms"}}"#, app.url);
    let there = bed.destination("file", "app", &definition).await;
    bed.arrive(there, None, "{}").await;
    bed.start();
    bed.until("failed 1").await;
    assert!(bed.text("SELECT error FROM webhook_attempts").ends_with("did not answer in time"));
    assert_eq!(bed.number("SELECT status IS NULL AND duration_us IS NOT NULL FROM webhook_attempts"), 1);
}

#[tokio::test]
async fn an_event_that_comes_late_still_verifies_at_the_app() {
    let (mut bed, app) = (Bed::new().await, App::new().await);
    bed.provider(r#"{"provider":"stripe"}"#, Some("whsec_shop")).await;
    let there = bed.destination("file", "app", &format!(r#"{{"url":"{}/hook"}}"#, app.url)).await;
    let mut sent = payload(r#"{"id":"evt_1"}"#);
    sent.headers.push(("stripe-signature".to_owned(), b"t=1799999999,v1=aa".to_vec()));
    bed.arrive_as(there, None, sent, None).await;
    bed.clock.advance(Duration::from_hours(5));
    bed.start();
    bed.until("completed 1").await;
    let [call] = app.calls().try_into().unwrap();
    let headers: Vec<(&str, &[u8])> =
        call.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let seen = Call { method: "POST", url: "", headers: &headers, body: &call.body };
    let scheme = &providers::find("stripe").unwrap().scheme;
    let verified = scheme.verify(&seen, &[Secret::new("whsec_shop")], bed.clock.now()).unwrap();
    assert_eq!(verified.signed_at, Some(bed.clock.now()));
}

#[tokio::test]
async fn what_cannot_be_signed_is_not_sent_and_nobody_is_blamed() {
    let (mut bed, app) = (Bed::new().await, App::new().await);
    bed.provider(r#"{"provider":"stripe"}"#, None).await;
    let there = bed.destination("file", "app", &format!(r#"{{"url":"{}"}}"#, app.url)).await;
    for _ in 0..4 {
        bed.arrive(there, None, "{}").await;
    }
    bed.start();
    bed.until("failed 1\nfailed 1\nfailed 1\nfailed 1").await;
    let error = bed.text("SELECT DISTINCT error FROM webhook_deliveries");
    assert_eq!(error, "not sent: its source has no secret to sign with: enter the provider's secret there");
    assert_eq!((app.calls().len(), bed.rings().as_str()), (0, ""));
    bed.provider(r#"{"provider":"stripe"}"#, Some("whsec_shop")).await;
    bed.clock.advance(Duration::from_secs(5));
    bed.until("completed 2\ncompleted 2\ncompleted 2\ncompleted 2").await;
}
