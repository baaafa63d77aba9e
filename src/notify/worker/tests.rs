use super::*;
use crate::base::{Secret, Severity};
use crate::notify::channel::ChannelKind;
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
        summary: "boom".to_owned(),
        impact_started_at: START,
        recovered_at: None,
        acknowledged_by: None,
        witnesses: vec![WitnessFacts {
            source: "errors".to_owned(),
            summary: "boom".to_owned(),
            detail: crate::notify::facts::Detail::default(),
        }],
        witness_count: 1,
        about: 0,
        changes: Vec::new(),
        acknowledge_path: None,
    };
    Letter {
        id: i64::from(id),
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

fn batch(channel: Channel, letters: Vec<Letter>) -> Batch {
    Batch { channel_id: 1, channel, health: ChannelHealth::default(), letters }
}

/// Runs to the end while time passes for whoever waits for it.
async fn run(worker: &Worker, batches: Vec<Batch>) -> (RunReport, Vec<Record>) {
    let (sender, mut receiver) = mpsc::channel(64);
    let passing = async {
        loop {
            worker.clock.advance(Duration::from_millis(10));
            tokio::task::yield_now().await;
        }
    };
    let report = tokio::select! {
        report = worker.run(batches, sender) => report,
        () = passing => unreachable!("time never ends"),
    };
    let mut records = Vec::new();
    while let Some(record) = receiver.recv().await {
        records.push(record);
    }
    (report, records)
}

#[tokio::test]
async fn a_delivered_letter_leaves_its_proof() {
    let clock = Clock::manual(START);
    let peer = peer(&clock, &[&ok()]).await;
    let (report, records) =
        run(&worker(&clock), vec![batch(webhook(&peer.url), vec![letter(1, Moment::Opened)])]).await;
    assert_eq!(report, RunReport { delivered: 1, ..RunReport::default() });
    let attempt = records[0].attempt.as_ref().unwrap();
    assert_eq!((attempt.number, attempt.outcome, attempt.detail.as_str()), (1, "delivered", "200 ok"));
    assert!(peer.seen.lock().unwrap()[0].1.contains("webhook-id: msg_0101"));
}

#[tokio::test]
async fn slack_gets_one_message_a_second_and_followers_hang_in_the_thread() {
    let clock = Clock::manual(START);
    let posted = answer("200 OK", "", r#"{"ok":true,"ts":"1763.0001"}"#);
    let peer = peer(&clock, &[&posted, &posted]).await;
    let letters = vec![letter(1, Moment::Opened), letter(2, Moment::Recovered)];
    let (report, _) = run(&worker(&clock), vec![batch(slack_bot(&peer.url), letters)]).await;
    assert_eq!(report.delivered, 2);
    let seen = peer.seen.lock().unwrap();
    assert!(seen[1].0.since(seen[0].0) >= Duration::from_secs(1), "{seen:?}");
    assert!(seen[0].1.starts_with("POST /chat.postMessage"));
    assert!(!seen[0].1.contains("thread_ts"));
    assert!(seen[1].1.contains(r#""thread_ts":"1763.0001""#));
    assert!(seen[1].1.contains(r#""reply_broadcast":true"#));
}

#[tokio::test]
async fn retry_after_paces_the_channel_and_defers_the_rest() {
    let clock = Clock::manual(START);
    let slow_down = answer("429 Too Many Requests", "Retry-After: 120\r\n", "");
    let peer = peer(&clock, &[&slow_down]).await;
    let letters = vec![letter(1, Moment::Opened), letter(2, Moment::RingAgain)];
    let (report, records) = run(&worker(&clock), vec![batch(webhook(&peer.url), letters)]).await;
    assert_eq!((report.retried, report.deferred), (1, 1));
    let Verdict::Retry { at, fall_back, .. } = records[0].verdict else { panic!("{:?}", records[0]) };
    assert!(at.since(START) >= Duration::from_mins(2) && !fall_back);
    assert_eq!(records[1].attempt, None);
    let paced = records[1].health.paced_until.unwrap();
    assert_eq!(records[1].verdict, Verdict::Deferred { at: paced, reason: "the channel asked to wait" });
    assert_eq!(records[1].health.failures, 0, "slowing down is no sickness");
}

#[tokio::test]
async fn three_failures_open_the_breaker_and_the_fourth_letter_costs_no_attempt() {
    let clock = Clock::manual(START);
    let sick = answer("500 Internal Server Error", "", "");
    let peer = peer(&clock, &[&sick, &sick, &sick]).await;
    let letters = (1..=4).map(|id| letter(id, Moment::Opened)).collect();
    let (report, records) = run(&worker(&clock), vec![batch(webhook(&peer.url), letters)]).await;
    assert_eq!((report.retried, report.deferred), (3, 1));
    assert_eq!(records[3].health.failures, 3);
    assert!(records[3].health.open_until.is_some() && records[3].attempt.is_none());

    // After the rest the row's two columns permit one probe, and its success closes the breaker.
    let peer = crate::notify::stand_in::peer(&clock, &[&ok()]).await;
    clock.advance(Duration::from_mins(5));
    let rested =
        Batch { health: records[3].health, ..batch(webhook(&peer.url), vec![letter(4, Moment::Opened)]) };
    let (report, records) = run(&worker(&clock), vec![rested]).await;
    assert_eq!(report.delivered, 1);
    assert_eq!((records[0].health.failures, records[0].health.open_until), (0, None));
}

#[tokio::test]
async fn a_broken_channel_fails_its_other_letters_at_once_and_leaves_other_channels_alone() {
    let clock = Clock::manual(START);
    let gone = peer(&clock, &[&answer("410 Gone", "", "")]).await;
    let sound = peer(&clock, &[&ok()]).await;
    let letters = vec![letter(1, Moment::Opened), letter(2, Moment::RingAgain)];
    let other = Batch { channel_id: 2, ..batch(webhook(&sound.url), vec![letter(3, Moment::Opened)]) };
    let (report, records) = run(&worker(&clock), vec![batch(webhook(&gone.url), letters), other]).await;
    assert_eq!((report.failed, report.delivered), (2, 1));
    for record in records.iter().filter(|record| record.channel_id == 1) {
        assert!(matches!(record.verdict, Verdict::Failed { channel_broken: true, .. }), "{record:?}");
    }
    assert_eq!(records.iter().filter(|record| record.attempt.is_some()).count(), 2);
}

#[tokio::test]
async fn nothing_secret_stands_in_a_record() {
    let clock = Clock::manual(START);
    let refused = answer("200 OK", "", r#"{"ok":false,"error":"invalid_auth"}"#);
    let peer = peer(&clock, &[&refused]).await;
    let (_, records) =
        run(&worker(&clock), vec![batch(slack_bot(&peer.url), vec![letter(1, Moment::Opened)])]).await;
    let shown = format!("{records:?}");
    assert!(shown.contains("invalid_auth") && shown.contains("Install the app again"), "{shown}");
    assert!(!shown.contains("topsecret"));
    assert!(peer.seen.lock().unwrap()[0].1.contains("Bearer xoxb-topsecret"));
}

#[tokio::test]
async fn the_end_of_the_run_gives_letters_back() {
    let clock = Clock::manual(START);
    let peer = peer(&clock, &[]).await;
    let worker = worker(&clock);
    let (sender, mut receiver) = mpsc::channel(4);
    let past = START - Duration::from_secs(1);
    let report =
        worker.serve(batch(webhook(&peer.url), vec![letter(1, Moment::Opened)]), past, &sender).await;
    assert_eq!(report.deferred, 1);
    assert!(receiver.recv().await.unwrap().attempt.is_none());
}
