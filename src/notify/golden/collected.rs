//! Digests, bundles, tests and account mail; what every message shares.

use super::*;

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
