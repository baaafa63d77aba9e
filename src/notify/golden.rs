//! Every purpose in all three renderings, and hostile texts in all of them.

use std::time::Duration;

use serde_json::Value;

use super::channel::{Channel, ChannelKind, Outgoing};
use super::facts::{
    AccountFacts, AccountMatter, Alert, BundleFacts, BundleOccasion, Change, Detail, DigestFacts, Entry,
    Facts, Frame, IncidentFacts, Moment, SlowQuery, Story, TestFacts, WitnessFacts,
};
use super::message::Message;
use super::{email, slack, webhook};
use crate::base::{EventId, Secret, Severity, Timestamp, Uid};
use crate::outbound::{Reach, Url};

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
        summary: "PaymentError: card network timed out".to_owned(),
        impact_started_at: at("03:02:10"),
        recovered_at: None,
        acknowledged_by: None,
        witnesses: vec![WitnessFacts {
            source: "errors".to_owned(),
            summary: "PaymentError: card network timed out in charge".to_owned(),
            detail: detail(),
        }],
        witness_count: 1,
        about: 0,
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

fn entries(quantity: usize) -> Vec<Entry> {
    let summaries = ["TypeError in cart", "KeyError in checkout", "ValueError in search"];
    (0..quantity)
        .map(|n| Entry { severity: Severity::High, summary: Some(summaries[n % 3].to_owned()) })
        .collect()
}

#[test]
fn a_digest_of_one_is_in_the_singular() {
    let digest = DigestFacts { entries: entries(1), total: 1 };
    let facts = Facts { severity: Severity::High, ..facts(Story::Digest(digest)) };
    insta::assert_snapshot!(text_of(&facts), @r#"
    Subject: [tocsin] shop: 1 new error in the first day

    1 new error in the first day

    What    In a project's first day new errors are collected. From now on each rings by itself.
    Do      Resolve what is fixed and ignore what does not matter

    In the order they came
    - high  TypeError in cart

    Open the errors: https://tocsin.example.com/issues

    tocsin, shop
    "#);
    insta::assert_json_snapshot!(slack_of(&facts)["blocks"][2]["text"], @r#"
    {
      "text": "*In the order they came*\n• high  TypeError in cart",
      "type": "mrkdwn",
      "verbatim": true
    }
    "#);
    insta::assert_json_snapshot!(webhook_of(&facts), @r#"
    {
      "attempt": 1,
      "context": "In a project's first day new errors are collected. From now on each rings by itself.",
      "incident_id": null,
      "message": "1 new error in the first day",
      "project": "shop",
      "severity": "high",
      "timestamp": "2026-11-21T03:06:20.000000Z",
      "type": "digest",
      "url": "https://tocsin.example.com/"
    }
    "#);
}

fn bundle(occasion: BundleOccasion) -> Facts {
    let story = BundleFacts { occasion, entries: entries(14), total: 1_203, since: at("02:10:00") };
    Facts { project: None, ..facts(Story::Bundle(story)) }
}

#[test]
fn a_bundle_lists_ten_and_counts_the_rest() {
    let facts = bundle(BundleOccasion::Burst);
    insta::assert_snapshot!(text_of(&facts), @r#"
    Subject: [tocsin] tocsin: 1,203 alarms in one message

    1,203 alarms in one message

    What    Alarms came faster than one message each. All are listed or counted here.
    Since   02:10 UTC, 56 min ago
    Do      Acknowledge each incident that you take

    The worst first
    - high  TypeError in cart
    - high  KeyError in checkout
    - high  ValueError in search
    - high  TypeError in cart
    - high  KeyError in checkout
    - high  ValueError in search
    - high  TypeError in cart
    - high  KeyError in checkout
    - high  ValueError in search
    - high  TypeError in cart
      and 1,193 more

    Open the incidents: https://tocsin.example.com/incidents

    tocsin
    "#);
    insta::assert_json_snapshot!(slack_of(&facts)["text"], @r#""1,203 alarms in one message (tocsin)\nAlarms came faster than one message each. All are listed or counted here.""#);
    insta::assert_json_snapshot!(webhook_of(&facts), @r#"
    {
      "attempt": 1,
      "context": "Alarms came faster than one message each. All are listed or counted here.",
      "incident_id": null,
      "message": "1,203 alarms in one message",
      "project": "tocsin",
      "severity": "critical",
      "timestamp": "2026-11-21T03:06:20.000000Z",
      "type": "bundle",
      "url": "https://tocsin.example.com/"
    }
    "#);
}

#[test]
fn what_waited_for_a_channel_comes_in_one_message() {
    let text = text_of(&bundle(BundleOccasion::NoChannel));
    assert!(text.starts_with("Subject: [tocsin] tocsin: 1,203 alarms waited for a channel\n"), "{text}");
}

#[test]
fn a_test_says_who_asked_for_it() {
    let story = Story::Test(TestFacts { channel: "ops".to_owned(), asked_by: "ann@example.com".to_owned() });
    let facts = Facts { project: None, severity: Severity::Low, ..facts(story) };
    insta::assert_snapshot!(text_of(&facts), @r#"
    Subject: [tocsin] tocsin: this is a test

    This is a test

    What    ann@example.com asked for a test of channel ops.
    Do      Nothing. If you read this, alarms reach you here.

    tocsin
    "#);
    insta::assert_json_snapshot!(slack_of(&facts), @r#"
    {
      "blocks": [
        {
          "text": {
            "emoji": false,
            "text": "This is a test",
            "type": "plain_text"
          },
          "type": "header"
        },
        {
          "text": {
            "text": "*What*  ann@example.com asked for a test of channel ops.\n*Do*  Nothing. If you read this, alarms reach you here.",
            "type": "mrkdwn",
            "verbatim": true
          },
          "type": "section"
        },
        {
          "elements": [
            {
              "emoji": false,
              "text": "tocsin",
              "type": "plain_text"
            }
          ],
          "type": "context"
        }
      ],
      "text": "This is a test (tocsin)\nann@example.com asked for a test of channel ops.",
      "unfurl_links": false,
      "unfurl_media": false
    }
    "#);
    insta::assert_json_snapshot!(webhook_of(&facts), @r#"
    {
      "attempt": 1,
      "context": "ann@example.com asked for a test of channel ops.",
      "incident_id": null,
      "message": "This is a test",
      "project": "tocsin",
      "severity": "low",
      "timestamp": "2026-11-21T03:06:20.000000Z",
      "type": "test",
      "url": "https://tocsin.example.com/"
    }
    "#);
}

#[test]
fn account_mail_names_its_deadline() {
    for matter in [AccountMatter::Invitation, AccountMatter::SignInLink] {
        let story = Story::Account(AccountFacts {
            matter,
            link_path: "/sign-in/abc".to_owned(),
            expires_at: at("04:00:00"),
        });
        let facts = Facts { project: None, severity: Severity::Low, ..facts(story) };
        assert!(text_of(&facts).contains("before 04:00 UTC"));
        assert!(text_of(&facts).contains("https://tocsin.example.com/sign-in/abc"));
        assert!(mail_of(&facts).contains("/sign-in/abc"));
        assert_eq!(webhook_of(&facts)["type"], "account");
    }
}

#[test]
fn a_loopback_base_url_gives_no_links_and_says_so() {
    for base in ["http://127.0.0.1:8787", "http://localhost:8787", "http://[::1]:8787", "http://0.0.0.0:1"] {
        let facts = Facts { base_url: Url::parse(base).unwrap(), ..told(Moment::Opened) };
        let text = text_of(&facts);
        assert!(!text.contains("http"), "{text}");
        assert!(text.contains("This message has no links: tocsin is reachable only on its own machine"));
        assert!(!mail_of(&facts).contains("href"));
        assert!(!slack_of(&facts).to_string().contains("http"));
        assert_eq!(webhook_of(&facts)["url"], Value::Null);
    }
}

#[test]
fn where_nothing_is_known_it_says_so() {
    let mut incident = incident(Moment::Opened);
    incident.changes.clear();
    incident.witnesses[0].detail = Detail::default();
    "probe".clone_into(&mut incident.witnesses[0].source);
    let text = text_of(&facts(Story::Incident(Box::new(incident))));
    assert!(text.contains("Who     not known"), "{text}");
    assert!(text.contains("Before  nothing known"), "{text}");
    assert!(text.contains("What    PaymentError"), "{text}");
    assert!(text.contains("Do      Look at incident 7"), "{text}");
}

fn hostile(text: &str) -> Facts {
    let mut incident = incident(Moment::Opened);
    incident.summary = text.to_owned();
    incident.witnesses[0].summary = text.to_owned();
    incident.changes[0].what = text.to_owned();
    incident.witnesses[0].detail = Detail {
        release: Some(text.to_owned()),
        environment: Some(text.to_owned()),
        runbook: Some(text.to_owned()),
        queries: vec![SlowQuery { query: text.to_owned(), duration_ms: f64::NAN }; 30],
        ..Detail::default()
    };
    Facts { project: Some(text.to_owned()), ..facts(Story::Incident(Box::new(incident))) }
}

#[test]
fn hostile_titles_are_harmless_everywhere() {
    for text in [
        "x\r\nBcc: evil@example.com\r\n\r\n<script>alert(1)</script>",
        "\u{202e}evil\u{0}\u{7}\u{1b}[31m",
        "<!channel> <https://evil.example|click> `code` *bold* &amp;",
        "\"><img src=x onerror=alert(1)>",
        &"long ".repeat(2_000),
        &"é".repeat(10_000),
        ".\r\n.\r\nRCPT TO:<evil@example.com>",
        "",
    ] {
        let facts = hostile(text);
        let mail = mail_of(&facts);
        let (head, _) = mail.split_once("\r\n\r\n").unwrap();
        assert!(!head.to_lowercase().contains("\r\nbcc:"), "{head}");
        assert_eq!(head.matches("\r\nTo: ").count(), 1, "{head}");
        assert!(mail.is_ascii() && mail.lines().all(|line| line.len() <= 998));
        let (_, html) = mail.split_once("Content-Type: text/html").unwrap();
        assert!(!html.contains("<script") && !html.contains("<img"));
        assert!(!mail.replace("\r\n", "").contains(['\r', '\n']), "no bare line ends");
        assert!(Message::new(&facts, now()).subject.chars().count() <= 10 + 60 + 2 + 120);
        let blocks = slack_of(&facts);
        let slack = blocks.to_string();
        for block in blocks["blocks"].as_array().unwrap() {
            let shown = block["text"]["text"].as_str().unwrap_or_default();
            // Plain text is shown as it is; in the other kind only our own link may stand.
            let foreign = shown.contains('<') && !shown.starts_with("*<https://tocsin.example.com/");
            assert!(block["text"]["type"] == "plain_text" || !foreign, "{shown}");
            let limit = if block["type"] == "header" { 150 } else { 3_000 };
            assert!(shown.chars().count() <= limit);
        }
        assert!(!blocks["text"].as_str().unwrap().contains('<'));
        assert!(slack.chars().count() <= 16_000);
        assert!(webhook_of(&facts).to_string().len() < 20_000);
    }
}

#[test]
fn critical_mail_is_important_and_the_thread_is_the_incidents() {
    let mail = mail_of(&told(Moment::Recovered));
    assert!(mail.contains("Importance: high\r\n") && mail.contains("X-Priority: 1\r\n"));
    let root = format!("<incident-{}@example.com>", uid(7));
    assert!(mail.contains(&format!("In-Reply-To: {root}")) && mail.contains(&format!("References: {root}")));
    let calm = Facts { severity: Severity::High, ..told(Moment::Opened) };
    assert!(!mail_of(&calm).contains("Importance"));
    let subjects = [Moment::Opened, Moment::Witness, Moment::Raised, Moment::RingAgain, Moment::Recovered]
        .map(|moment| Message::new(&told(moment), now()).subject);
    assert!(subjects.iter().all(|subject| *subject == subjects[0]), "{subjects:?}");
}

#[test]
fn a_signed_webhook_carries_the_same_id_on_every_attempt() {
    let key = webhook::Webhook::new_signing_key(&crate::base::Entropy::seeded(3));
    let secrets = serde_json::json!({ "url": "https://x.example/", "signing_secret": key.text().expose() });
    let sealed = Secret::new(secrets.to_string());
    let Channel::Webhook(channel) =
        Channel::parse(ChannelKind::Webhook, "{}", Some(&sealed), Reach::Public).unwrap()
    else {
        panic!("settings of a webhook give a webhook")
    };
    let facts = told(Moment::Opened);
    let message = Message::new(&facts, now());
    let first = channel.headers(b"{}", outgoing(&facts, &message)).unwrap();
    let second = Outgoing { attempt: 2, now: now() + Duration::from_mins(5), ..outgoing(&facts, &message) };
    let second = channel.headers(b"{}", second).unwrap();
    assert_eq!(first["webhook-id"], second["webhook-id"]);
    assert_ne!(first["webhook-signature"], second["webhook-signature"]);
    assert_ne!(first["webhook-timestamp"], second["webhook-timestamp"]);
}
