//! Strangers' texts in every rendering, and the headers and signatures around them.

use super::*;

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
    let mail = mail_of(&told(Moment::RingAgain));
    assert!(mail.contains("Importance: high\r\n") && mail.contains("X-Priority: 1\r\n"));
    let mail = mail_of(&told(Moment::Recovered));
    assert!(!mail.contains("Importance"), "good news wakes nobody");
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
