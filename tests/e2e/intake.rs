//! What intake does with what is no clean error event: it counts what it cannot take, and says what it cut.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    events::{accept, event, event_id, send},
    server::{Server, Setup},
};

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
