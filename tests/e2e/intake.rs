//! What intake does with what is no clean error event: it counts what it cannot take, and says what it cut.

use std::io::Write as _;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    events::{accept, envelope, event, event_id, send},
    server::{Server, Setup},
};

/// Above the largest body that is read, before decompression.
const NOISE_BYTES: usize = 40 * 1024 * 1024;
/// Above what is looked at of one event.
const EVENT_BYTES: usize = 5 * 1024 * 1024;
/// Above what a body may grow to.
const BOMB_BYTES: usize = 400 * 1024 * 1024;

#[test]
fn a_feedback_that_stands_among_events_is_counted_and_makes_no_issue() {
    let server = Server::start(Setup::default());
    let (api, project) = (server.api(), server.project("shop"));
    let mut feedback = event(&event_id(), "Payment", "info");
    feedback["type"] = json!("feedback");
    let answer = send(&server.stranger(), &project, &feedback).expect("the server answers");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let hint = answer.header("x-sentry-rate-limits").unwrap_or_default();
    assert!(hint.contains("feedback"), "it is switched off at the source: {hint:?}");

    assert_eq!(api.list(&format!("/api/v1/issues?project={}", project.slug)), Vec::<Value>::new());
    let outcomes = api.list(&format!("/api/v1/outcomes?project={}", project.slug));
    assert!(
        outcomes.iter().any(|outcome| outcome["category"] == "feedback"
            && outcome["reason"] == "not_supported_yet"
            && outcome["quantity"] == 1),
        "{outcomes:?}"
    );
}

#[test]
fn what_was_cut_or_could_not_be_read_stands_in_the_warnings() {
    let server = Server::start(Setup::default());
    let (api, project) = (server.api(), server.project("shop"));
    let id = event_id();
    let mut broken = event(&id, "Payment", "error");
    broken["extra"] = json!({"endless": "x".repeat(200_000)});
    broken["threads"] = json!("none");
    accept(&server.stranger(), &project, &broken);
    let found = api.get(&format!("/api/v1/events/{id}"));
    let paths: Vec<&str> =
        found["warnings"].as_array().unwrap().iter().filter_map(|warning| warning["path"].as_str()).collect();
    assert_eq!(paths, ["extra.endless", "threads"], "{}", found["warnings"]);
    assert_eq!(found["title"], "PaymentError: Payment is broken");

    let whole = event_id();
    accept(&server.stranger(), &project, &event(&whole, "Payment", "error"));
    assert_eq!(api.get(&format!("/api/v1/events/{whole}"))["warnings"], json!([]));
}

#[test]
fn an_old_client_gets_the_same_answers() {
    let server = Server::start(Setup::default());
    let (api, project) = (server.api(), server.project("shop"));
    let id = event_id();
    let body = event(&id, "Payment", "error").to_string().replace("\"lineno\":42", "\"lineno\":NaN");
    let path = format!("/api/{}/store/?sentry_key={}", project.id, project.public_key);
    let answer = server.stranger().send(Method::POST, &path, &[], body.into_bytes()).expect("it answers");
    assert_eq!((answer.status, &answer.json()["id"]), (200, &json!(id)));
    let found = api.get(&format!("/api/v1/events/{id}"));
    assert_eq!(found["warnings"][0]["path"], "exception.values.0.stacktrace.frames.1.lineno");

    let report = json!({"type": "csp", "message": "Blocked 'script' from 'evil.example'"}).to_string();
    let answer = server.stranger().send(Method::POST, &path, &[], report.into_bytes()).expect("it answers");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(api.list(&format!("/api/v1/issues?project={}", project.slug)).len(), 1);
    let outcomes = api.list(&format!("/api/v1/outcomes?project={}", project.slug));
    assert!(outcomes.iter().any(|outcome| outcome["category"] == "security"), "{outcomes:?}");
}

#[test]
fn bad_input_gets_its_reason_even_when_it_is_large() {
    let server = Server::start(Setup::default());
    let (project, stranger) = (server.project("shop"), server.stranger());
    let path = format!("/api/{}/envelope/?sentry_key={}", project.id, project.public_key);
    let unknown = format!("/api/{}/envelope/?sentry_key={}", project.id, "0".repeat(32));
    let whole = envelope(&event(&event_id(), "Payment", "error"));
    let incompressible = || {
        let mut noise = vec![0; NOISE_BYTES];
        getrandom::fill(&mut noise).expect("the system gives random bytes");
        noise
    };
    let mut large = whole.clone();
    large.extend(incompressible());
    let mut bloated = event(&event_id(), "Payment", "error");
    bloated["extra"] = json!({"dump": "x".repeat(EVENT_BYTES)});
    let cases = [
        ("an event too large", &path, "gzip", gzipped(&envelope(&bloated)), 413),
        ("no envelope", &path, "", b"{}\nno item\n{}".to_vec(), 400),
        ("cut off", &path, "", whole[..whole.len() - 9].to_vec(), 400),
        ("broken gzip", &path, "gzip", b"\x1f\x8b\x08 broken".to_vec(), 400),
        ("an unknown coding", &path, "lzma", whole.clone(), 415),
        ("too large", &path, "", large.clone(), 413),
        ("a bomb", &path, "gzip", gzipped(&vec![b' '; BOMB_BYTES]), 413),
        ("no key", &format!("/api/{}/envelope/", project.id), "", whole.clone(), 401),
        ("an unknown key", &unknown, "", whole.clone(), 403),
        ("an unknown key and a large body", &unknown, "", large, 403),
        ("nothing wrong", &path, "", whole, 200),
    ];
    for (what, path, coding, body, status) in cases {
        let headers = [("content-encoding".to_owned(), coding.to_owned())];
        let headers = if coding.is_empty() { &[][..] } else { &headers };
        let answer = stranger.send(Method::POST, path, headers, body);
        let answer = answer.unwrap_or_else(|error| panic!("{what}: no answer: {error:?}"));
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{what}");
        assert_eq!(answer.header("x-sentry-error").is_some(), status != 200, "{what}: {:?}", answer.headers);
    }
}

fn gzipped(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).and_then(|()| encoder.finish()).expect("memory takes what is written")
}
