//! Failure dialogues with a scripted peer; real servers are met by the end-to-end suite.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::super::super::channel::{Channel, Failure, Outgoing, Sent};
use super::super::super::facts::{Facts, Story, TestFacts};
use super::super::super::message::Message;
use super::*;
use crate::base::{Secret, Severity, Timestamp, Uid};
use crate::incidents::channels::ChannelKind;
use crate::outbound::{Reach, Url};

const GREETING: &str = "220 mail.example.com ready";
const EHLO: &str = "250-mail.example.com\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME";

struct Peer {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
    _task: JoinSet<()>,
}

/// Greets, then answers line after line from the script; after the script it hangs up.
async fn peer(script: &[&str]) -> Peer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let script: Vec<String> = script.iter().map(|line| format!("{line}\r\n")).collect();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&heard);
    let mut task = JoinSet::new();
    task.spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut socket = BufReader::new(socket);
        let mut data = false;
        for answer in script {
            socket.get_mut().write_all(answer.as_bytes()).await.unwrap();
            loop {
                let mut line = String::new();
                if socket.read_line(&mut line).await.unwrap_or(0) == 0 {
                    return;
                }
                let line = line.trim_end().to_owned();
                let ends = !data || line == ".";
                data = line == "DATA" || (data && line != ".");
                notes.lock().unwrap().push(line);
                if ends {
                    break;
                }
            }
        }
    });
    Peer { port, heard, _task: task }
}

fn channel(port: u16, tls: &str) -> Channel {
    let settings = serde_json::json!({
        "host": "127.0.0.1", "port": port, "tls": tls, "username": "ops",
        "from": "tocsin@example.com", "to": ["a@example.com", "b@example.com"],
    });
    let secrets = Secret::new(r#"{"password":"hunter2hunter2"}"#);
    Channel::parse(ChannelKind::Email, &settings.to_string(), Some(&secrets), Reach::Private).unwrap()
}

async fn send(channel: &Channel) -> Result<Sent, SendError> {
    send_to(channel, None).await
}

async fn send_to(channel: &Channel, recipient: Option<&str>) -> Result<Sent, SendError> {
    let facts = Facts {
        project: None,
        severity: Severity::Low,
        base_url: Url::parse("http://127.0.0.1:8787").unwrap(),
        story: Story::Test(TestFacts { channel: "ops".to_owned(), asked_by: "ann".to_owned() }),
    };
    let now = Timestamp::from_secs(1_800_000_000);
    let message = Message::new(&facts, now);
    let http = outbound::Client::new(&outbound::Options::default()).unwrap();
    let outgoing = Outgoing {
        facts: &facts,
        message: &message,
        delivery: Uid::from_bytes([1; 16]),
        attempt: 1,
        thread: None,
        recipient,
        now,
    };
    channel.send(&Transport { http, authorities: None }, outgoing).await
}

fn missed(recipient: &str, reason: &str) -> Missed {
    Missed { recipient: recipient.to_owned(), reason: reason.to_owned() }
}

async fn failed(tls: &str, script: &[&str]) -> (SendError, Vec<String>) {
    let peer = peer(script).await;
    let error = send(&channel(peer.port, tls)).await.unwrap_err();
    let heard = peer.heard.lock().unwrap().clone();
    (error, heard)
}

const LATER: Failure = Failure::Retryable { retry_after: None };

#[tokio::test]
async fn a_taken_mail_leaves_its_dialogue_without_the_password() {
    let script = [
        GREETING,
        EHLO,
        "235 welcome hunter2hunter2",
        "250 ok",
        "250 ok",
        "550 no such user",
        "354 go on",
        "250 queued as 1",
    ];
    let peer = peer(&script).await;
    let sent = send(&channel(peer.port, "none")).await.unwrap();
    assert_eq!(sent.remote_id.as_deref(), Some("<01010101-0101-0101-0101-010101010101@example.com>"));
    for line in [
        "tocsin: AUTH PLAIN ••••",
        "server: 235 welcome ••••",
        "tocsin: RCPT TO:<b@example.com>",
        "server: 550 no such user",
        "server: 250 queued as 1",
    ] {
        assert!(sent.detail.contains(line), "{line} in\n{}", sent.detail);
    }
    assert!(!sent.detail.contains("hunter2"));
    let refused = missed("b@example.com", "the server answered 550 no such user");
    assert_eq!(sent.unreached, Unreached { refused: vec![refused], put_off: Vec::new() });
}

#[tokio::test]
async fn a_long_dialogue_keeps_the_refusal_at_its_end() {
    let long = format!("550-{}\r\n", "no ".repeat(100)).repeat(10);
    let (first, last) = (format!("{long}550 first"), format!("{long}550 last"));
    let (error, _) = failed("none", &[GREETING, EHLO, "235 ok", "250 ok", &first, &last]).await;
    let chars = error.detail.chars().count();
    assert!(chars <= DETAIL_CHARS_MAX && error.detail.ends_with("last"), "{chars}: {}", error.detail);
    assert!(error.detail.starts_with("(connecting to"), "{}", error.detail);
}

#[tokio::test]
async fn a_wrong_password_breaks_the_channel_and_is_explained() {
    let (error, heard) = failed("none", &[GREETING, EHLO, "535 5.7.8 hunter2hunter2 is wrong"]).await;
    assert_eq!(error.failure, Failure::ChannelBroken);
    assert!(error.cure.unwrap().starts_with("User name or password is wrong"));
    assert!(!format!("{} {}", error.summary, error.detail).contains("hunter2"), "{}", error.summary);
    assert!(heard[1].starts_with("AUTH PLAIN "));
}

#[tokio::test]
async fn a_server_without_starttls_gets_neither_password_nor_mail() {
    let (error, heard) = failed("starttls", &[GREETING, EHLO]).await;
    assert_eq!(error.failure, LATER);
    assert!(error.summary.contains("does not offer STARTTLS"));
    assert!(!heard.iter().any(|line| line.starts_with("AUTH") || line.starts_with("MAIL")), "{heard:?}");
}

#[tokio::test]
async fn words_slipped_in_behind_starttls_do_not_count() {
    let offers = "250-mail.example.com\r\n250 STARTTLS";
    let injected = "220 ready\r\n250-mail.example.com\r\n250 AUTH PLAIN";
    let (error, heard) = failed("starttls", &[GREETING, offers, injected]).await;
    assert_eq!(error.failure, LATER, "{error:?}");
    assert!(error.summary.contains("TLS"), "{}", error.summary);
    assert!(!heard.iter().any(|line| line.starts_with("AUTH")), "{heard:?}");
}

#[tokio::test]
async fn a_plain_server_behind_tls_is_explained() {
    let (error, _) = failed("tls", &[GREETING]).await;
    assert_eq!(error.failure, LATER, "{error:?}");
    assert!(error.cure.unwrap().contains("Set starttls"));
}

#[tokio::test]
async fn greylisting_is_patience_and_strangers_are_refused() {
    let begin = [GREETING, EHLO, "235 ok", "250 ok"];
    let (error, _) = failed("none", &[&begin[..], &["550 no such user", "450 greylisted"]].concat()).await;
    assert_eq!(error.failure, Failure::RecipientLater, "the temporary refusal decides");
    let (error, _) = failed("none", &[&begin[..], &["550 no", "550 no"]].concat()).await;
    assert_eq!(error.failure, Failure::ChannelBroken);
    let (error, _) =
        failed("none", &[&begin[..], &["250 ok", "250 ok", "354 go on", "552 too big"]].concat()).await;
    assert_eq!(error.failure, Failure::MessageRefused);
}

#[tokio::test]
async fn who_is_put_off_is_told_apart_from_who_is_refused() {
    let begin = [GREETING, EHLO, "235 ok", "250 ok", "250 ok"];
    for (answer, is_put_off) in [
        ("450 4.2.0 greylisted", true),
        ("452 4.5.3 too many recipients", true),
        ("550 5.4.5 Daily user sending limit exceeded", true),
        ("550 5.1.1 no such user", false),
    ] {
        let peer = peer(&[&begin[..], &[answer, "354 go on", "250 queued"]].concat()).await;
        let sent = send(&channel(peer.port, "none")).await.unwrap();
        let missed = vec![missed("b@example.com", &format!("the server answered {answer}"))];
        let expected = if is_put_off {
            Unreached { refused: Vec::new(), put_off: missed }
        } else {
            Unreached { refused: missed, put_off: Vec::new() }
        };
        assert_eq!(sent.unreached, expected);
    }
}

#[tokio::test]
async fn greylisting_of_all_is_no_trouble_of_the_server_and_its_farewell_is() {
    let begin = [GREETING, EHLO, "235 ok", "250 ok"];
    for (answers, expected) in [
        (["450 greylisted", "450 greylisted"], Failure::RecipientLater),
        (["250 ok", "421 shutting down"], LATER),
        (["450 greylisted", "421 shutting down"], LATER),
    ] {
        let (error, heard) = failed("none", &[&begin[..], &answers].concat()).await;
        assert_eq!(error.failure, expected, "{answers:?}");
        assert!(!heard.contains(&"DATA".to_owned()), "{heard:?}");
    }
    let (error, _) = failed("none", &[GREETING, EHLO, "235 ok", "451 later"]).await;
    assert_eq!(error.failure, LATER, "of the sender it is the server's");
}

#[tokio::test]
async fn a_typing_error_in_one_address_does_not_break_the_channel() {
    for (answer, expected) in
        [("550 no such user", Failure::MessageRefused), ("450 greylisted", Failure::RecipientLater)]
    {
        let peer = peer(&[GREETING, EHLO, "235 ok", "250 ok", answer]).await;
        let error = send_to(&channel(peer.port, "none"), Some("anne@exmaple.org")).await.unwrap_err();
        assert_eq!(error.failure, expected);
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_tried_again() {
    let (error, _) = failed("none", &[GREETING, EHLO]).await;
    assert_eq!(error.failure, LATER);
    assert!(error.detail.contains("AUTH PLAIN ••••"), "{}", error.detail);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = send(&channel(port, "starttls")).await.unwrap_err();
    assert_eq!(error.failure, LATER);
    assert!(error.cure.unwrap().contains("Nothing takes connections"));
}

#[tokio::test]
async fn a_private_server_is_refused_to_channels_of_the_page() {
    let Channel::Email(email) = channel(587, "starttls") else { panic!("a mail channel") };
    let page = Channel::Email(Email { reach: Reach::Public, ..email });
    let error = send(&page).await.unwrap_err();
    assert_eq!(error.failure, Failure::ChannelBroken, "{error:?}");
}
