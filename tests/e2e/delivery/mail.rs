//! Mail: the first alarm, ringing again, acknowledging by link, recovery in the thread, and servers in trouble.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{AFTER_RETRIES, ONE_RING, SHORT_POLICY, SOON, Stage, acknowledge_path, hidden_fields, setting};
use crate::support::{
    holds_for,
    mail::{Mail, MailServer, Mode, RECIPIENT, USERNAME},
    peer::Peer,
    wait_until,
};

/// A second recipient.
const NIGHT: &str = "night@example.com";
/// Twice the short policy's longest pause between two rings.
const QUIET: Duration = Duration::from_secs(8);

#[test]
fn an_alarm_arrives_by_mail_rings_again_and_ends_in_one_thread() {
    let mail_server = MailServer::start();
    let stage = Stage::new(SHORT_POLICY, &mail_server.settings());
    stage.break_payment();
    let first = nth_mail(&mail_server, 1);
    check_first(&first);

    let again = nth_mail(&mail_server, 2);
    again.follows(&first);

    let link = acknowledge_path(&first.part("text/plain"));
    check_acknowledging(&stage, &link);
    // One ring may have been on its way when the button was pressed.
    let rung = mail_server.mails().len() + 1;
    holds_for("no ring after the acknowledgement", QUIET, || mail_server.mails().len() <= rung);

    let before = mail_server.mails().len();
    stage.resolve_issues();
    let recovery = nth_mail(&mail_server, before + 1);
    recovery.follows(&first);
    assert_ne!(recovery.header("importance"), "high", "good news is not urgent");
    let incident = stage.incident();
    assert_eq!(incident["state"], "resolved", "{incident}");
    for clock in [
        "impact_started_at",
        "detected_at",
        "first_sent_at",
        "first_delivered_at",
        "acknowledged_at",
        "resolved_at",
    ] {
        assert!(incident[clock].is_string(), "{clock} of {incident}");
    }
}

#[test]
fn mail_takes_a_connection_that_is_encrypted_from_its_first_byte() {
    let mail_server = MailServer::start_encrypted();
    let stage = Stage::new(ONE_RING, &mail_server.settings());
    stage.break_payment();
    check_first(&nth_mail(&mail_server, 1));
}

fn check_first(mail: &Mail) {
    assert_eq!(mail.fact("user"), USERNAME);
    assert_eq!(mail.fact("tls"), true);
    assert_eq!(mail.fact("to")[0], RECIPIENT);
    assert_eq!(mail.fact("type"), "multipart/alternative");
    assert_eq!(mail.header("subject"), "[tocsin] shop: PaymentError: Payment is broken");
    assert_eq!(mail.header("auto-submitted"), "auto-generated");
    assert_eq!(mail.header("importance").to_lowercase(), "high");
    assert!(mail.header("from").contains("tocsin@example.com"), "{}", mail.header("from"));
    assert!(mail.header("message-id").starts_with('<'), "{}", mail.header("message-id"));
    for part in ["text/plain", "text/html"] {
        let text = mail.part(part);
        assert!(text.contains("Payment is broken"), "{part}: {text}");
        assert_eq!(text.matches("/ack/").count(), 1, "one acknowledge link in {part}: {text}");
    }
    assert!(mail.part("text/plain").contains("do_payment"), "the top frame: {}", mail.part("text/plain"));
}

/// Mail scanners open links: only the button acts.
fn check_acknowledging(stage: &Stage, link: &str) {
    for _ in 0..2 {
        let page = stage.browse(Method::GET, link, &[]);
        assert_eq!(page.status, 200, "{}", page.text());
        assert!(page.text().contains("Payment is broken"), "the page shows what is wrong: {}", page.text());
        assert_eq!(stage.incident()["state"], "open", "looking changes nothing");
    }
    let forged = format!("{}x", link.trim_end_matches('/'));
    let answer = stage.browse(Method::POST, &forged, &[]);
    assert!((400..500).contains(&answer.status), "a forged link is refused: {}", answer.status);
    assert_eq!(stage.incident()["state"], "open");

    let fields = hidden_fields(&stage.browse(Method::GET, link, &[]).text());
    let answer = stage.browse(Method::POST, link, &fields);
    assert!(matches!(answer.status, 200 | 303), "{} {}", answer.status, answer.text());
    let incident = stage.incident();
    assert_eq!(incident["state"], "acknowledged", "{incident}");
    assert!(incident["acknowledged_by"].is_string(), "{incident}");
}

#[test]
fn mail_that_is_refused_for_now_is_sent_again() {
    let mail_server = MailServer::start();
    mail_server.set_mode(Mode::Later);
    let stage = Stage::new(ONE_RING, &mail_server.settings());
    stage.break_payment();
    wait_until("the first refusal", SOON, || (!mail_server.refused().is_empty()).then_some(()));
    mail_server.set_mode(Mode::Accept);
    wait_until("the mail after the refusal", AFTER_RETRIES, || mail_server.mails().pop());
    let delivery = stage.first_delivery("email", "delivered", SOON);
    assert!(delivery["attempts"].as_u64().unwrap() >= 2, "{delivery}");
}

#[test]
fn a_recipient_who_is_put_off_is_mailed_later_and_alone() {
    let mail_server = MailServer::start();
    mail_server.put_off(&[NIGHT]);
    let mut settings = mail_server.settings();
    settings.push(setting("TOCSIN_ALERTS__EMAIL", &format!("{RECIPIENT},{NIGHT}")));
    let stage = Stage::new(ONE_RING, &settings);
    stage.break_payment();
    let first = nth_mail(&mail_server, 1);
    assert_eq!(first.fact("to"), &json!([RECIPIENT]));
    let delivery = stage.first_delivery("email", "delivered", SOON);
    assert!(delivery["last_error"].as_str().unwrap().contains("put off for night@example.com"), "{delivery}");
    wait_until("another try for who was put off", AFTER_RETRIES, || {
        let waits = |delivery: &Value| delivery["recipient"] == NIGHT && delivery["attempts"] != 0;
        stage.deliveries("email").into_iter().find(waits)
    });
    mail_server.put_off(&[]);
    let second =
        wait_until("the mail to who was put off", AFTER_RETRIES, || mail_server.mails().get(1).cloned());
    assert_eq!(second.fact("to"), &json!([NIGHT]));
    second.follows(&first);
    holds_for("nobody gets it twice", QUIET, || mail_server.mails().len() == 2);
}

#[test]
fn mail_refused_for_good_goes_to_the_other_channel() {
    let (mail_server, slack) = (MailServer::start(), Peer::start(&[]));
    mail_server.set_mode(Mode::Never);
    let mut channels = mail_server.settings();
    channels.push(setting("TOCSIN_ALERTS__SLACK_WEBHOOK_URL", &slack.url("/services/T0/B0/secret")));
    let stage = Stage::new(ONE_RING, &channels);
    stage.break_payment();
    wait_until("the alarm in Slack", SOON, || slack.requests().pop());
    let delivery = stage.first_delivery("email", "failed", SOON);
    assert!(delivery["last_error"].as_str().unwrap().contains("550"), "{delivery}");
    assert_eq!(mail_server.refused().len(), 1, "a permanent refusal is not repeated");
}

#[test]
fn mail_waits_for_a_dead_server_to_come_back() {
    let mut mail_server = MailServer::start();
    mail_server.die();
    let stage = Stage::new(ONE_RING, &mail_server.settings());
    stage.break_payment();
    wait_until("a failed attempt", SOON, || {
        stage.deliveries("email").pop().filter(|delivery| delivery["last_error"].is_string())
    });
    mail_server.revive();
    wait_until("the mail after the server's return", AFTER_RETRIES, || mail_server.mails().pop());
}

#[test]
fn no_password_is_shown_to_a_server_with_an_unknown_certificate() {
    let mail_server = MailServer::start();
    let settings: Vec<(String, String)> =
        mail_server.settings().into_iter().filter(|(key, _)| key != "TOCSIN_SMTP__CA_FILE").collect();
    let stage = Stage::new(ONE_RING, &settings);
    stage.break_payment();
    let delivery = wait_until("a failed attempt", SOON, || {
        stage.deliveries("email").pop().filter(|delivery| delivery["last_error"].is_string())
    });
    let error = delivery["last_error"].as_str().unwrap().to_lowercase();
    assert!(error.contains("certificate"), "{error}");
    assert_eq!(mail_server.sign_ins().len(), 0);
    assert_eq!(mail_server.mails().len(), 0);
}

#[track_caller]
fn nth_mail(mail_server: &MailServer, number: usize) -> Mail {
    wait_until(&format!("mail number {number}"), SOON, || mail_server.mails().get(number - 1).cloned())
}
