//! Slack and webhooks: what each kind of answer leads to.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use super::{AFTER_RETRIES, ONE_RING, SHORT_POLICY, SOON, Stage, setting};
use crate::support::{
    holds_for,
    mail::MailServer,
    peer::{Peer, Reply, Request, ts},
    wait_until,
};

const RETRY_AFTER: Duration = Duration::from_secs(3);
/// Long enough for a worker that wrongly tries again at once.
const QUIET: Duration = Duration::from_secs(6);
const WEBHOOK_KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

fn bot(slack: &Peer) -> Vec<(String, String)> {
    vec![
        setting("TOCSIN_SLACK__API_URL", &slack.url("/api")),
        setting("TOCSIN_ALERTS__SLACK_BOT_TOKEN", "xoxb-for-the-stand-in"),
        setting("TOCSIN_ALERTS__SLACK_CHANNEL", "C0ALERTS"),
    ]
}

fn incoming(slack: &Peer) -> Vec<(String, String)> {
    vec![setting("TOCSIN_ALERTS__SLACK_WEBHOOK_URL", &slack.url("/services/T0/B0/secret"))]
}

#[track_caller]
fn nth_request(peer: &Peer, number: usize, deadline: Duration) -> Request {
    wait_until(&format!("request number {number}"), deadline, || peer.requests().get(number - 1).cloned())
}

#[test]
fn slack_is_left_alone_for_as_long_as_it_asks() {
    let slack = Peer::start(&[Reply::too_many(RETRY_AFTER.as_secs())]);
    let stage = Stage::new(ONE_RING, &bot(&slack));
    stage.break_payment();
    let limited = nth_request(&slack, 1, SOON);
    let accepted = nth_request(&slack, 2, AFTER_RETRIES);
    let pause = accepted.at.duration_since(limited.at);
    assert!(pause >= RETRY_AFTER, "it asked for {RETRY_AFTER:?} and got {pause:?}");
    assert_eq!(accepted.path, "/api/chat.postMessage");
    assert_eq!(accepted.headers["authorization"], "Bearer xoxb-for-the-stand-in");
    assert_eq!(accepted.json()["channel"], "C0ALERTS");
    assert!(accepted.json()["text"].as_str().unwrap().contains("Payment is broken"), "{}", accepted.json());
    let delivery = stage.first_delivery("slack", "delivered", SOON);
    assert_eq!(delivery["attempts"], 2, "{delivery}");
}

#[test]
fn slack_in_trouble_is_tried_again() {
    let slack = Peer::start(&[Reply::status(500), Reply::status(503)]);
    let stage = Stage::new(ONE_RING, &incoming(&slack));
    stage.break_payment();
    let delivery = stage.first_delivery("slack", "delivered", AFTER_RETRIES);
    assert_eq!(delivery["attempts"], 3, "{delivery}");
    assert_eq!(slack.requests().len(), 3);
    assert!(delivery["delivered_at"].is_string(), "{delivery}");
}

#[test]
fn a_silent_slack_is_given_up_and_tried_again() {
    let slack = Peer::start(&[Reply::Silence(Duration::from_mins(2))]);
    let stage = Stage::new(ONE_RING, &incoming(&slack));
    stage.break_payment();
    let delivery = stage.first_delivery("slack", "delivered", AFTER_RETRIES);
    assert_eq!(delivery["attempts"], 2, "{delivery}");
}

#[test]
fn an_alarm_that_a_slack_webhook_refuses_comes_by_mail() {
    let slack = Peer::start(&[Reply::Status(404, Vec::new(), "no_service".to_owned())]);
    let mail_server = MailServer::start();
    let mut channels = incoming(&slack);
    channels.extend(mail_server.settings());
    let stage = Stage::new(ONE_RING, &channels);
    stage.break_payment();
    wait_until("the alarm by mail", SOON, || mail_server.mails().pop());
    let delivery = stage.refused_delivery("slack");
    assert!(delivery["last_error"].as_str().unwrap().contains("404"), "{delivery}");
    holds_for("no further try at once", QUIET, || slack.requests().len() == 1);
}

#[test]
fn a_bot_whose_token_is_refused_is_not_tried_again_at_once() {
    for reason in ["invalid_auth", "invalid_token", "channel_not_found"] {
        let refusal = format!("{{\"ok\":false,\"error\":\"{reason}\"}}");
        let json = ("Content-Type", "application/json".to_owned());
        let slack = Peer::start(&[Reply::Status(200, vec![json], refusal)]);
        let stage = Stage::new(ONE_RING, &bot(&slack));
        stage.break_payment();
        let delivery = stage.refused_delivery("slack");
        assert!(delivery["last_error"].as_str().unwrap().contains(reason), "{delivery}");
        assert_eq!(slack.requests().len(), 1, "{reason}");
    }
}

#[test]
fn ringing_again_and_recovery_stay_in_the_slack_thread() {
    let slack = Peer::start(&[]);
    let stage = Stage::new(SHORT_POLICY, &bot(&slack));
    stage.break_payment();
    let first = nth_request(&slack, 1, SOON);
    assert_eq!(first.json()["thread_ts"], Value::Null);
    assert_eq!(nth_request(&slack, 2, SOON).json()["thread_ts"], ts(1), "ringing again");
    let rung = slack.requests().len();
    stage.resolve_issues();
    let recovery = wait_until("the recovery in the thread", SOON, || {
        let text_of = |request: &Request| request.json()["text"].to_string().to_lowercase();
        let later = slack.requests().split_off(rung);
        later
            .into_iter()
            .find(|request| text_of(request).contains("recover") || text_of(request).contains("resolved"))
    });
    assert_eq!(recovery.json()["thread_ts"], ts(1));
}

#[test]
fn a_webhook_is_signed_and_keeps_its_id_over_retries() {
    let receiver = Peer::start(&[Reply::status(500)]);
    let secret = format!("whsec_{}", STANDARD.encode(WEBHOOK_KEY));
    let channels = [
        setting("TOCSIN_ALERTS__WEBHOOK_URL", &receiver.url("/alarm")),
        setting("TOCSIN_ALERTS__WEBHOOK_SECRET", &secret),
    ];
    let stage = Stage::new(ONE_RING, &channels);
    stage.break_payment();
    let refused = nth_request(&receiver, 1, SOON);
    let taken = nth_request(&receiver, 2, AFTER_RETRIES);
    assert_eq!(refused.headers["webhook-id"], taken.headers["webhook-id"]);
    for request in [&refused, &taken] {
        check_signature(request);
    }
    let body = taken.json();
    assert_eq!((&body["type"], &body["severity"]), (&"critical_error".into(), &"critical".into()), "{body}");
    assert_eq!((&body["project"], &body["incident_id"]), (&"shop".into(), &stage.incident()["id"]), "{body}");
    assert_eq!((&refused.json()["attempt"], &body["attempt"]), (&1.into(), &2.into()), "{body}");
    for key in ["context", "message", "timestamp", "event_id", "url"] {
        assert!(!body[key].is_null(), "{key} of {body}");
    }
}

/// Standard Webhooks: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
fn check_signature(request: &Request) {
    let (id, timestamp) = (&request.headers["webhook-id"], &request.headers["webhook-timestamp"]);
    let mut mac = Hmac::<Sha256>::new_from_slice(WEBHOOK_KEY).unwrap();
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(&request.body);
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let signatures = &request.headers["webhook-signature"];
    assert!(signatures.split(' ').any(|signature| signature == expected), "{signatures} is not {expected}");
}
