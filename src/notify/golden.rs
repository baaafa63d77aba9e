//! Every purpose in all three renderings, and hostile texts in all of them.

use std::time::Duration;

use serde_json::Value;

use super::channel::{Channel, Outgoing};
use super::facts::{
    AccountFacts, AccountMatter, Alert, BundleFacts, BundleOccasion, Change, Closing, Detail, DigestFacts,
    Entry, Facts, Frame, IncidentFacts, Moment, SlowQuery, Story, TestFacts, WitnessFacts,
};
use super::message::Message;
use super::{email, slack, webhook};
use crate::base::{EventId, Secret, Severity, Timestamp, Uid};
use crate::incidents::channels::ChannelKind;
use crate::outbound::{Reach, Url};

mod collected;
mod gathered;
mod hostile;

fn at(time: &str) -> Timestamp {
    Timestamp::parse_rfc3339(&format!("2026-11-21T{time}Z")).unwrap()
}

fn now() -> Timestamp {
    at("03:06:20")
}

fn uid(last: u8) -> Uid {
    Uid::from_bytes([1, 0x93, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, last])
}

fn detail() -> Detail {
    Detail {
        alert: Some(Alert::CriticalError),
        event_id: EventId::parse("fc6d8c0c43fc4630ad850ee518f1b9d0"),
        users: Some(12),
        events: Some(1_048),
        release: Some("shop@1.4.2".to_owned()),
        environment: Some("production".to_owned()),
        frame: Some(Frame {
            function: Some("charge".to_owned()),
            file: Some("app/pay.py".to_owned()),
            line: Some(42),
        }),
        ..Detail::default()
    }
}

fn incident(moment: Moment) -> IncidentFacts {
    IncidentFacts {
        moment,
        uid: uid(7),
        number: 7,
        opened_as: "PaymentError: card network timed out".to_owned(),
        summary: "PaymentError: card network timed out".to_owned(),
        impact_started_at: at("03:02:10"),
        recovered_at: None,
        acknowledged_by: None,
        witnesses: vec![WitnessFacts {
            source: "errors".to_owned(),
            summary: "PaymentError: card network timed out in charge".to_owned(),
            is_over: false,
            detail: detail(),
        }],
        witness_count: 1,
        about: 0,
        well_again: None,
        gathered: Vec::new(),
        changes: vec![Change { at: at("02:58:00"), what: "deploy of shop@1.4.2 to production".to_owned() }],
        acknowledge_path: Some("/ack/signed-by-tocsin".to_owned()),
    }
}

fn facts(story: Story) -> Facts {
    Facts {
        project: Some("shop".to_owned()),
        severity: Severity::Critical,
        base_url: Url::parse("https://tocsin.example.com").unwrap(),
        story,
    }
}

fn told(moment: Moment) -> Facts {
    facts(Story::Incident(Box::new(incident(moment))))
}

fn text_of(facts: &Facts) -> String {
    let message = Message::new(facts, now());
    format!("Subject: {}\n\n{}", message.subject, email::compose::text(&message))
}

fn slack_of(facts: &Facts) -> Value {
    slack::blocks::body(&Message::new(facts, now()))
}

fn outgoing<'a>(facts: &'a Facts, message: &'a Message) -> Outgoing<'a> {
    Outgoing { facts, message, delivery: uid(9), attempt: 1, thread: None, recipient: None, now: now() }
}

fn webhook_of(facts: &Facts) -> Value {
    webhook::body::body(outgoing(facts, &Message::new(facts, now())))
}

fn mail_of(facts: &Facts) -> String {
    let settings = r#"{"host":"smtp.example.com","tls":"tls","from":"tocsin <tocsin@example.com>","to":["ops@example.com"]}"#;
    let Channel::Email(email) = Channel::parse(ChannelKind::Email, settings, None, Reach::Public).unwrap()
    else {
        panic!("settings of a mail channel give a mail channel")
    };
    let message = Message::new(facts, now());
    String::from_utf8(email::compose::compose(&email, outgoing(facts, &message)).unwrap().bytes).unwrap()
}

#[test]
fn a_probe_that_is_down_in_text() {
    let mut facts = told(Moment::Opened);
    let Story::Incident(incident) = &mut facts.story else { panic!("it is an incident") };
    incident.summary = "API is down: status was 503, wanted < 300".to_owned();
    let detail = serde_json::json!({
        "alert": "probe_down", "probe": "api", "target": "GET https://api.example.com/health",
        "last_good_at": "2026-11-21T03:01:40Z", "environment": null, "runbook": null,
    });
    incident.witnesses = vec![WitnessFacts {
        source: "probe".to_owned(),
        summary: incident.summary.clone(),
        is_over: false,
        detail: serde_json::from_value(detail).unwrap(),
    }];
    let text = text_of(&facts);
    assert!(text.contains("What    API is down: status was 503, wanted < 300\n"), "{text}");
    assert!(
        text.contains("Do      Look at GET https://api.example.com/health; it was well at 03:01 UTC"),
        "{text}"
    );
    assert_eq!(webhook_of(&facts)["type"], "probe_down");
}

#[test]
fn an_opened_incident_in_text() {
    insta::assert_snapshot!(text_of(&told(Moment::Opened)), @r#"
    Subject: [tocsin] shop: PaymentError: card network timed out

    Critical: PaymentError: card network timed out

    What    Critical error: PaymentError: card network timed out in charge
    Since   03:02 UTC, 4 min ago
    Who     12 users, 1,048 events, release shop@1.4.2, production
    Before  deploy of shop@1.4.2 to production at 02:58 UTC
    Do      Look at charge in app/pay.py:42

    Acknowledge: https://tocsin.example.com/ack/signed-by-tocsin

    tocsin, shop, incident 7
    "#);
}

#[test]
fn an_opened_incident_as_mail() {
    insta::assert_snapshot!(mail_of(&told(Moment::Opened)).replace("\r\n", "\n"), @r#"
    From: tocsin <tocsin@example.com>
    Subject: [tocsin] shop: PaymentError: card network timed out
    Date: Sat, 21 Nov 2026 03:06:20 +0000
    Message-ID: <01930000-0000-7000-8000-000000000009@example.com>
    To: ops@example.com
    In-Reply-To: <incident-01930000-0000-7000-8000-000000000007@example.com>
    References: <incident-01930000-0000-7000-8000-000000000007@example.com>
    Auto-Submitted: auto-generated
    X-Auto-Response-Suppress: All
    Importance: high
    X-Priority: 1
    MIME-Version: 1.0
    Content-Type: multipart/alternative;
     boundary="tocsin-01930000000070008000000000000009"

    --tocsin-01930000000070008000000000000009
    Content-Type: text/plain; charset=utf-8
    Content-Transfer-Encoding: 7bit

    Critical: PaymentError: card network timed out

    What    Critical error: PaymentError: card network timed out in charge
    Since   03:02 UTC, 4 min ago
    Who     12 users, 1,048 events, release shop@1.4.2, production
    Before  deploy of shop@1.4.2 to production at 02:58 UTC
    Do      Look at charge in app/pay.py:42

    Acknowledge: https://tocsin.example.com/ack/signed-by-tocsin

    tocsin, shop, incident 7

    --tocsin-01930000000070008000000000000009
    Content-Type: text/html; charset=utf-8
    Content-Transfer-Encoding: quoted-printable

    <!doctype html>
    <html lang=3D"en"><head><meta charset=3D"utf-8">
    <meta name=3D"viewport" content=3D"width=3Ddevice-width"><title>Critical: P=
    aymentError: card network timed out</title></head>
    <body style=3D"margin:0;padding:16px;font-family:-apple-system,BlinkMacSyst=
    emFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:16px;line-hei=
    ght:1.5">
    <div style=3D"max-width:600px;border-left:4px solid #b91c1c;padding-left:16=
    px">
    <p style=3D"margin:0 0 12px;font-size:18px;font-weight:600">Critical: Payme=
    ntError: card network timed out</p>
    <table role=3D"presentation" style=3D"border-collapse:collapse">
    <tr><td style=3D"padding:4px 16px 4px 0;color:#6b7280;vertical-align:top;wh=
    ite-space:nowrap">What</td><td style=3D"padding:4px 0">Critical error: Paym=
    entError: card network timed out in charge</td></tr>
    <tr><td style=3D"padding:4px 16px 4px 0;color:#6b7280;vertical-align:top;wh=
    ite-space:nowrap">Since</td><td style=3D"padding:4px 0">03:02 UTC, 4 min ag=
    o</td></tr>
    <tr><td style=3D"padding:4px 16px 4px 0;color:#6b7280;vertical-align:top;wh=
    ite-space:nowrap">Who</td><td style=3D"padding:4px 0">12 users, 1,048 event=
    s, release shop@1.4.2, production</td></tr>
    <tr><td style=3D"padding:4px 16px 4px 0;color:#6b7280;vertical-align:top;wh=
    ite-space:nowrap">Before</td><td style=3D"padding:4px 0">deploy of shop@1.4=
    .2 to production at 02:58 UTC</td></tr>
    <tr><td style=3D"padding:4px 16px 4px 0;color:#6b7280;vertical-align:top;wh=
    ite-space:nowrap">Do</td><td style=3D"padding:4px 0">Look at charge in app/=
    pay.py:42</td></tr>
    </table>
    <p style=3D"margin:16px 0"><a href=3D"https://tocsin.example.com/ack/signed=
    -by-tocsin" style=3D"display:inline-block;padding:12px 24px;background:#1f2=
    937;color:#ffffff;text-decoration:none;border-radius:6px;font-weight:600">A=
    cknowledge</a></p>
    <p style=3D"margin:16px 0 0;color:#6b7280;font-size:14px">tocsin, shop, inc=
    ident 7</p>
    </div></body></html>

    --tocsin-01930000000070008000000000000009--
    "#);
}

#[test]
fn an_opened_incident_in_slack() {
    insta::assert_json_snapshot!(slack_of(&told(Moment::Opened)), @r#"
    {
      "blocks": [
        {
          "text": {
            "emoji": false,
            "text": "Critical: PaymentError: card network timed out",
            "type": "plain_text"
          },
          "type": "header"
        },
        {
          "text": {
            "text": "*What*  Critical error: PaymentError: card network timed out in charge\n*Since*  03:02 UTC, 4 min ago\n*Who*  12 users, 1,048 events, release shop@1.4.2, production\n*Before*  deploy of shop@1.4.2 to production at 02:58 UTC\n*Do*  Look at charge in app/pay.py:42",
            "type": "mrkdwn",
            "verbatim": true
          },
          "type": "section"
        },
        {
          "text": {
            "text": "*<https://tocsin.example.com/ack/signed-by-tocsin|Acknowledge>*",
            "type": "mrkdwn",
            "verbatim": true
          },
          "type": "section"
        },
        {
          "elements": [
            {
              "emoji": false,
              "text": "tocsin, shop, incident 7",
              "type": "plain_text"
            }
          ],
          "type": "context"
        }
      ],
      "text": "Critical: PaymentError: card network timed out (tocsin, shop, incident 7)\nCritical error: PaymentError: card network timed out in charge",
      "unfurl_links": false,
      "unfurl_media": false
    }
    "#);
}

#[test]
fn an_opened_incident_by_webhook() {
    insta::assert_json_snapshot!(webhook_of(&told(Moment::Opened)), @r#"
    {
      "attempt": 1,
      "context": "Critical error: PaymentError: card network timed out in charge",
      "event_id": "fc6d8c0c43fc4630ad850ee518f1b9d0",
      "incident_id": "01930000-0000-7000-8000-000000000007",
      "message": "Critical: PaymentError: card network timed out",
      "project": "shop",
      "severity": "critical",
      "timestamp": "2026-11-21T03:02:10.000000Z",
      "type": "critical_error",
      "url": "https://tocsin.example.com/incidents/01930000-0000-7000-8000-000000000007"
    }
    "#);
}

#[test]
fn a_joining_witness_lists_its_slow_queries() {
    let mut incident = incident(Moment::Witness);
    let queries = (1..=12).map(|n| SlowQuery {
        query: format!("SELECT * FROM orders\n WHERE customer = {n}"),
        duration_ms: 1_000.0 * f64::from(n) + 0.4,
    });
    incident.witnesses.push(WitnessFacts {
        source: "slow_metrics".to_owned(),
        summary: "12 queries slower than 1,000 ms within an hour".to_owned(),
        is_over: false,
        detail: Detail { threshold: Some(5.0), queries: queries.collect(), ..Detail::default() },
    });
    incident.witness_count = 2;
    incident.about = 1;
    let facts = facts(Story::Incident(Box::new(incident)));
    insta::assert_snapshot!(text_of(&facts), @r#"
    Subject: [tocsin] shop: PaymentError: card network timed out

    Also seen: 12 queries slower than 1,000 ms within an hour

    What    Slow queries: 12 queries slower than 1,000 ms within an hour (1 other sign of the same trouble)
    Since   03:02 UTC, 4 min ago
    Who     12 users, 1,048 events, release shop@1.4.2, production
    Before  deploy of shop@1.4.2 to production at 02:58 UTC
    Do      Look at charge in app/pay.py:42

    Slow queries
    - 1,000 ms  SELECT * FROM orders WHERE customer = 1
    - 2,000 ms  SELECT * FROM orders WHERE customer = 2
    - 3,000 ms  SELECT * FROM orders WHERE customer = 3
    - 4,000 ms  SELECT * FROM orders WHERE customer = 4
    - 5,000 ms  SELECT * FROM orders WHERE customer = 5
    - 6,000 ms  SELECT * FROM orders WHERE customer = 6
    - 7,000 ms  SELECT * FROM orders WHERE customer = 7
    - 8,000 ms  SELECT * FROM orders WHERE customer = 8
    - 9,000 ms  SELECT * FROM orders WHERE customer = 9
    - 10,000 ms  SELECT * FROM orders WHERE customer = 10
      and 2 more

    Acknowledge: https://tocsin.example.com/ack/signed-by-tocsin

    tocsin, shop, incident 7
    "#);
    insta::assert_json_snapshot!(slack_of(&facts)["blocks"][2]["text"]["text"], @r#""*Slow queries*\n• 1,000 ms  SELECT * FROM orders WHERE customer = 1\n• 2,000 ms  SELECT * FROM orders WHERE customer = 2\n• 3,000 ms  SELECT * FROM orders WHERE customer = 3\n• 4,000 ms  SELECT * FROM orders WHERE customer = 4\n• 5,000 ms  SELECT * FROM orders WHERE customer = 5\n• 6,000 ms  SELECT * FROM orders WHERE customer = 6\n• 7,000 ms  SELECT * FROM orders WHERE customer = 7\n• 8,000 ms  SELECT * FROM orders WHERE customer = 8\n• 9,000 ms  SELECT * FROM orders WHERE customer = 9\n• 10,000 ms  SELECT * FROM orders WHERE customer = 10\nand 2 more""#);
    insta::assert_json_snapshot!(webhook_of(&facts), @r#"
    {
      "attempt": 1,
      "context": "Slow queries: 12 queries slower than 1,000 ms within an hour (1 other sign of the same trouble)",
      "event_id": "fc6d8c0c43fc4630ad850ee518f1b9d0",
      "incident_id": "01930000-0000-7000-8000-000000000007",
      "message": "Also seen: 12 queries slower than 1,000 ms within an hour",
      "project": "shop",
      "queries": [
        "1000 ms: SELECT * FROM orders WHERE customer = 1",
        "2000 ms: SELECT * FROM orders WHERE customer = 2",
        "3000 ms: SELECT * FROM orders WHERE customer = 3",
        "4000 ms: SELECT * FROM orders WHERE customer = 4",
        "5000 ms: SELECT * FROM orders WHERE customer = 5",
        "6000 ms: SELECT * FROM orders WHERE customer = 6",
        "7000 ms: SELECT * FROM orders WHERE customer = 7",
        "8000 ms: SELECT * FROM orders WHERE customer = 8",
        "9000 ms: SELECT * FROM orders WHERE customer = 9",
        "10000 ms: SELECT * FROM orders WHERE customer = 10"
      ],
      "severity": "critical",
      "threshold": 5.0,
      "timestamp": "2026-11-21T03:02:10.000000Z",
      "type": "performance_degradation",
      "url": "https://tocsin.example.com/incidents/01930000-0000-7000-8000-000000000007"
    }
    "#);
}

#[test]
fn a_raised_incident() {
    let facts = told(Moment::Raised);
    insta::assert_snapshot!(text_of(&facts), @r#"
    Subject: [tocsin] shop: PaymentError: card network timed out

    Now critical: PaymentError: card network timed out

    What    Critical error: PaymentError: card network timed out in charge
    Since   03:02 UTC, 4 min ago
    Who     12 users, 1,048 events, release shop@1.4.2, production
    Before  deploy of shop@1.4.2 to production at 02:58 UTC
    Do      Look at charge in app/pay.py:42

    Acknowledge: https://tocsin.example.com/ack/signed-by-tocsin

    tocsin, shop, incident 7
    "#);
    insta::assert_json_snapshot!(slack_of(&facts)["text"], @r#""Now critical: PaymentError: card network timed out (tocsin, shop, incident 7)\nCritical error: PaymentError: card network timed out in charge""#);
    insta::assert_json_snapshot!(webhook_of(&facts)["message"], @r#""Now critical: PaymentError: card network timed out""#);
}

#[test]
fn a_raised_incident_names_what_made_it_graver() {
    let mut facts = told(Moment::Raised);
    if let Story::Incident(incident) = &mut facts.story {
        let mut graver = incident.witnesses[0].clone();
        graver.summary = "database unreachable".to_owned();
        incident.witnesses.push(graver);
        incident.about = incident.witnesses.len() - 1;
    }
    insta::assert_json_snapshot!(webhook_of(&facts)["message"], @r#""Now critical: database unreachable""#);
    assert!(text_of(&facts).starts_with("Subject: [tocsin] shop: PaymentError: card network timed out"));
}

#[test]
fn an_unanswered_incident_rings_again() {
    let facts = told(Moment::RingAgain);
    insta::assert_snapshot!(text_of(&facts), @r#"
    Subject: [tocsin] shop: PaymentError: card network timed out

    Unanswered for 4 min: PaymentError: card network timed out

    What    Critical error: PaymentError: card network timed out in charge
    Since   03:02 UTC, 4 min ago
    Who     12 users, 1,048 events, release shop@1.4.2, production
    Before  deploy of shop@1.4.2 to production at 02:58 UTC
    Do      Look at charge in app/pay.py:42

    Acknowledge: https://tocsin.example.com/ack/signed-by-tocsin

    tocsin, shop, incident 7
    "#);
    insta::assert_json_snapshot!(slack_of(&facts)["text"], @r#""Unanswered for 4 min: PaymentError: card network timed out (tocsin, shop, incident 7)\nCritical error: PaymentError: card network timed out in charge""#);
    insta::assert_json_snapshot!(webhook_of(&facts)["message"], @r#""Unanswered for 4 min: PaymentError: card network timed out""#);
}

#[test]
fn a_recovered_incident_offers_nothing_to_acknowledge() {
    let mut incident = incident(Moment::Recovered);
    incident.recovered_at = Some(at("03:05:30"));
    let facts = facts(Story::Incident(Box::new(incident)));
    insta::assert_snapshot!(text_of(&facts), @r#"
    Subject: [tocsin] shop: PaymentError: card network timed out

    Recovered after 3 min: PaymentError: card network timed out

    What    Critical error: PaymentError: card network timed out in charge
    Since   03:02 to 03:05 UTC, 3 min
    Who     12 users, 1,048 events, release shop@1.4.2, production
    Before  deploy of shop@1.4.2 to production at 02:58 UTC
    Do      Nothing more. Incident 7 keeps the record.

    Open the incident: https://tocsin.example.com/incidents/01930000-0000-7000-8000-000000000007

    tocsin, shop, incident 7
    "#);
    insta::assert_json_snapshot!(slack_of(&facts)["blocks"][2], @r#"
    {
      "text": {
        "text": "*<https://tocsin.example.com/incidents/01930000-0000-7000-8000-000000000007|Open the incident>*",
        "type": "mrkdwn",
        "verbatim": true
      },
      "type": "section"
    }
    "#);
    insta::assert_json_snapshot!(webhook_of(&facts), @r#"
    {
      "attempt": 1,
      "context": "Critical error: PaymentError: card network timed out in charge",
      "event_id": "fc6d8c0c43fc4630ad850ee518f1b9d0",
      "incident_id": "01930000-0000-7000-8000-000000000007",
      "message": "Recovered after 3 min: PaymentError: card network timed out",
      "project": "shop",
      "severity": "critical",
      "timestamp": "2026-11-21T03:05:30.000000Z",
      "type": "recovery",
      "url": "https://tocsin.example.com/incidents/01930000-0000-7000-8000-000000000007"
    }
    "#);
}

#[test]
fn what_somebody_closed_is_not_said_to_have_recovered() {
    let closed = told(Moment::Closed(Closing::ByHand));
    let text = text_of(&closed);
    assert!(text.contains("\nClosed by hand after 4 min: PaymentError: card network timed out\n"), "{text}");
    assert!(text.contains("It was not seen to recover"), "{text}");
    assert!(!text.contains("Acknowledge:") && !text.contains("Recovered"), "{text}");
    assert_eq!(webhook_of(&closed)["type"], "recovery");
}

#[test]
fn what_is_no_longer_watched_is_not_said_to_have_recovered() {
    for (closing, says) in [
        (Closing::Unwatched, "No longer watched after 4 min: PaymentError: card network timed out"),
        (Closing::Regrouped, "No longer told by itself after 4 min: PaymentError: card network timed out"),
    ] {
        let text = text_of(&told(Moment::Closed(closing)));
        assert!(text.contains(says), "{text}");
        assert!(!text.contains("Recovered") && !text.contains("by hand"), "{text}");
    }
}

#[test]
fn one_of_two_that_is_well_again_is_told_with_what_goes_on() {
    let mut facts = told(Moment::WellAgain);
    let Story::Incident(incident) = &mut facts.story else { panic!("it is an incident") };
    incident.summary = "Search is down: timed out".to_owned();
    let witness = |name: &str, how: &str| WitnessFacts {
        source: "probe".to_owned(),
        summary: format!("{name} is down: {how}"),
        is_over: false,
        detail: Detail {
            subject: Some(name.to_owned()),
            target: Some(format!("GET https://{}.example.com/", name.to_lowercase())),
            ..Detail::default()
        },
    };
    incident.witnesses = vec![witness("Search", "timed out"), witness("Checkout", "status was 503")];
    incident.witness_count = 2;
    incident.well_again = Some(1);
    let text = text_of(&facts);
    assert!(text.contains("Checkout is well again; still: Search is down: timed out\n"), "{text}");
    assert!(text.starts_with("Subject: [tocsin] shop: PaymentError: card network timed out\n"), "{text}");
    assert!(text.contains("Do      Look at GET https://search.example.com/"), "{text}");
    assert!(!mail_of(&facts).contains("Importance"), "good news wakes nobody");
    let body = webhook_of(&facts);
    assert_eq!(body["type"], "partial_recovery");
    // All was over before it went out.
    let Story::Incident(incident) = &mut facts.story else { panic!("it is an incident") };
    incident.recovered_at = Some(at("03:05:30"));
    assert!(text_of(&facts).contains("\nCheckout is well again\n"));
    // Errors have no name of their own.
    let Story::Incident(incident) = &mut facts.story else { panic!("it is an incident") };
    incident.witnesses[1].detail.subject = None;
    assert!(text_of(&facts).contains("\nOver: Checkout is down: status was 503\n"));
}
