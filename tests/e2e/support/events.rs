//! Events as an SDK would send them, made by hand where a suite needs many or needs to know each.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    api::{Answer, Api},
    server::Project,
};

/// A new event id: 32 hex digits.
pub(crate) fn event_id() -> String {
    Uuid::now_v7().simple().to_string()
}

/// An event with an exception of its own kind, thrown in a function of its own: events of the same `name` are one
/// issue, events of different names are different ones.
pub(crate) fn event(event_id: &str, name: &str, level: &str) -> Value {
    json!({
        "event_id": event_id,
        "platform": "python",
        "level": level,
        "environment": "production",
        "release": "shop@1.4.2",
        "exception": {"values": [{
            "type": format!("{name}Error"),
            "value": format!("{name} is broken"),
            "stacktrace": {"frames": [
                {"function": "main", "module": "shop.main", "filename": "shop/main.py", "lineno": 7, "in_app": true},
                {"function": format!("do_{}", name.to_lowercase()), "module": format!("shop.{}", name.to_lowercase()),
                 "filename": format!("shop/{}.py", name.to_lowercase()), "lineno": 42, "in_app": true},
            ]},
        }]},
    })
}

/// The envelope that carries one event.
pub(crate) fn envelope(event: &Value) -> Vec<u8> {
    let payload = event.to_string();
    let header = json!({"event_id": event["event_id"]});
    let item = json!({"type": "event", "length": payload.len()});
    format!("{header}\n{item}\n{payload}\n").into_bytes()
}

/// Sends one event; an error means that no complete answer came, so nobody knows whether it counts.
pub(crate) fn send(api: &Api, project: &Project, event: &Value) -> Result<Answer, reqwest::Error> {
    let auth = format!("Sentry sentry_version=7, sentry_key={}", project.public_key);
    let headers = [
        ("x-sentry-auth".to_owned(), auth),
        ("content-type".to_owned(), "application/x-sentry-envelope".to_owned()),
    ];
    api.send(Method::POST, &format!("/api/{}/envelope/", project.id), &headers, envelope(event))
}

/// Sends one event that must be accepted.
#[track_caller]
pub(crate) fn accept(api: &Api, project: &Project, event: &Value) {
    let answer = send(api, project, event).expect("the server answers");
    assert_eq!(answer.status, 200, "{}", answer.text());
}
