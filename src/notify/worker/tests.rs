use super::*;
use crate::base::{Secret, Severity};
use crate::incidents::channels::ChannelKind;
use crate::incidents::put_off::Unreached;
use crate::notify::facts::{IncidentFacts, Moment, Story, WitnessFacts};
use crate::notify::stand_in::{answer, peer};
use crate::outbound::{self, Reach, Url};

const START: Timestamp = Timestamp::from_secs(1_800_000_000);

fn ok() -> String {
    answer("200 OK", "", "ok")
}

fn worker(clock: &Clock) -> Worker {
    let http = outbound::Client::new(&outbound::Options::default()).unwrap();
    Worker {
        transport: Transport { http, authorities: None },
        policy: DeliveryPolicy::default(),
        clock: clock.clone(),
        entropy: Entropy::seeded(1),
    }
}

fn webhook(url: &str) -> Channel {
    let secrets = Secret::new(serde_json::json!({ "url": format!("{url}/hook") }).to_string());
    Channel::parse(ChannelKind::Webhook, "{}", Some(&secrets), Reach::Private).unwrap()
}

fn slack_bot(url: &str) -> Channel {
    let settings = serde_json::json!({ "access": "bot", "channel": "C1", "api_url": url }).to_string();
    let secrets = Secret::new(r#"{"bot_token":"xoxb-topsecret"}"#);
    Channel::parse(ChannelKind::Slack, &settings, Some(&secrets), Reach::Private).unwrap()
}

fn letter(id: u8, moment: Moment) -> Letter {
    let incident = IncidentFacts {
        moment,
        uid: Uid::from_bytes([7; 16]),
        number: 7,
        opened_as: "boom".to_owned(),
        summary: "boom".to_owned(),
        impact_started_at: START,
        recovered_at: None,
        acknowledged_by: None,
        witnesses: vec![WitnessFacts {
            source: "errors".to_owned(),
            summary: "boom".to_owned(),
            is_over: false,
            detail: crate::notify::facts::Detail::default(),
        }],
        witness_count: 1,
        about: 0,
        well_again: None,
        gathered: Vec::new(),
        changes: Vec::new(),
        acknowledge_path: None,
    };
    Letter {
        uid: Uid::from_bytes([id; 16]),
        facts: Facts {
            project: None,
            severity: Severity::Critical,
            base_url: Url::parse("http://127.0.0.1:8787").unwrap(),
            story: Story::Incident(Box::new(incident)),
        },
        thread: None,
        recipient: None,
        attempts: 0,
        due_at: START,
    }
}

/// Delivers to the end while time passes for whoever waits for it.
async fn deliver(worker: &Worker, channel: &Channel, health: ChannelHealth, letter: &Letter) -> Outcome {
    let passing = async {
        loop {
            worker.clock.advance(Duration::from_millis(10));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        outcome = worker.deliver(channel, health, letter) => outcome,
        () = passing => unreachable!("time never ends"),
    }
}

const SOUND: ChannelHealth = ChannelHealth { failures: 0, open_until: None, paced_until: None };

#[tokio::test]
async fn a_delivered_letter_leaves_its_proof() {
    let clock = Clock::manual(START);
    let peer = peer(&clock, &[&ok()]).await;
    let outcome = deliver(&worker(&clock), &webhook(&peer.url), SOUND, &letter(1, Moment::Opened)).await;
    let is_out =
        matches!(&outcome.verdict, Verdict::Delivered { unreached, .. } if *unreached == Unreached::NONE);
    assert!(is_out, "{:?}", outcome.verdict);
    assert_eq!(outcome.attempt.unwrap().detail, "200 ok");
    assert!(peer.seen.lock().unwrap()[0].1.contains("webhook-id: msg_0101"));
}

#[tokio::test]
async fn slack_gets_one_message_a_second_and_followers_hang_in_the_thread() {
    let clock = Clock::manual(START);
    let posted = answer("200 OK", "", r#"{"ok":true,"ts":"1763.0001"}"#);
    let peer = peer(&clock, &[&posted, &posted]).await;
    let (worker, channel) = (worker(&clock), slack_bot(&peer.url));
    let first = deliver(&worker, &channel, SOUND, &letter(1, Moment::Opened)).await;
    let Verdict::Delivered { remote_id, .. } = first.verdict else { panic!("{first:?}") };
    let follower = Letter { thread: remote_id, ..letter(2, Moment::Recovered) };
    deliver(&worker, &channel, first.health, &follower).await;
    let seen = peer.seen.lock().unwrap();
    assert!(seen[1].0.since(seen[0].0) >= Duration::from_secs(1), "{seen:?}");
    assert!(seen[0].1.starts_with("POST /chat.postMessage"));
    assert!(!seen[0].1.contains("thread_ts"));
    assert!(seen[1].1.contains(r#""thread_ts":"1763.0001""#));
    assert!(seen[1].1.contains(r#""reply_broadcast":true"#));
}

#[tokio::test]
async fn retry_after_paces_the_channel_and_puts_the_next_letter_off() {
    let clock = Clock::manual(START);
    let slow_down = answer("429 Too Many Requests", "Retry-After: 120\r\n", "");
    let slower = answer("429 Too Many Requests", "Retry-After: 3000\r\n", "");
    let peer = peer(&clock, &[&slow_down, &slower]).await;
    let (worker, channel) = (worker(&clock), webhook(&peer.url));
    let first = deliver(&worker, &channel, SOUND, &letter(1, Moment::Opened)).await;
    let Verdict::Retry { at, .. } = first.verdict else { panic!("{first:?}") };
    assert!(at.since(START) >= Duration::from_mins(2));
    assert_eq!(first.health.failures, 0, "slowing down is no sickness");
    let paced = first.health.paced_until.unwrap();
    let mut calm = letter(2, Moment::RingAgain);
    calm.facts.severity = Severity::High;
    let next = deliver(&worker, &channel, first.health, &calm).await;
    let reason = "the channel asked to wait".to_owned();
    assert_eq!((next.verdict, next.attempt), (Verdict::Deferred { at: paced, reason }, None));
    // What nobody may miss is tried all the same once it was claimed, and asked to wait again it waits for minutes.
    let urgent = deliver(&worker, &channel, first.health, &letter(3, Moment::Opened)).await;
    let Verdict::Retry { at, .. } = urgent.verdict else { panic!("{urgent:?}") };
    assert!(at.since(START) < Duration::from_mins(6), "{at}");
}

#[tokio::test]
async fn three_failures_open_the_breaker_and_the_fourth_letter_costs_no_attempt() {
    let clock = Clock::manual(START);
    let sick = answer("500 Internal Server Error", "", "");
    let peer = peer(&clock, &[&sick, &sick, &sick]).await;
    let (worker, channel) = (worker(&clock), webhook(&peer.url));
    let mut health = SOUND;
    for id in 1..=3 {
        let outcome = deliver(&worker, &channel, health, &letter(id, Moment::Opened)).await;
        assert!(matches!(outcome.verdict, Verdict::Retry { .. }), "{outcome:?}");
        health = outcome.health;
    }
    assert!(health.failures == 3 && health.open_until.is_some());
    let fourth = deliver(&worker, &channel, health, &letter(4, Moment::Opened)).await;
    assert!(matches!(fourth.verdict, Verdict::Deferred { .. }) && fourth.attempt.is_none(), "{fourth:?}");

    // After the rest the row's two columns permit one probe, and its success closes the breaker.
    let peer = crate::notify::stand_in::peer(&clock, &[&ok()]).await;
    clock.advance(Duration::from_mins(5));
    let probe = deliver(&worker, &webhook(&peer.url), health, &letter(4, Moment::Opened)).await;
    assert!(matches!(probe.verdict, Verdict::Delivered { .. }), "{probe:?}");
    assert_eq!((probe.health.failures, probe.health.open_until), (0, None));
}

#[tokio::test]
async fn nothing_secret_stands_in_an_outcome() {
    let clock = Clock::manual(START);
    let refused = answer("200 OK", "", r#"{"ok":false,"error":"invalid_auth"}"#);
    let peer = peer(&clock, &[&refused]).await;
    let outcome = deliver(&worker(&clock), &slack_bot(&peer.url), SOUND, &letter(1, Moment::Opened)).await;
    assert!(matches!(outcome.verdict, Verdict::Failed { channel_broken: true, .. }), "{outcome:?}");
    let shown = format!("{outcome:?}");
    assert!(shown.contains("invalid_auth") && shown.contains("Install the app again"), "{shown}");
    assert!(!shown.contains("topsecret"));
    assert!(peer.seen.lock().unwrap()[0].1.contains("Bearer xoxb-topsecret"));
}
