//! The loop step by step: whose fault a bad reading is.

mod definitions;
mod uplink;

use std::sync::Arc;

use tokio::net::TcpListener;

use super::*;
use crate::accounts::By;
use crate::prober::tests::{Bed, START, draft};
use crate::prober::{Asker, Prober, Settings, Trust};
use crate::probes::Status;
use crate::probes::seen::{Phases, Sample};
use crate::telemetry::Registry;
use crate::vigil::Blindness;

/// A machine far away, down after one bad reading.
fn far(key: &str) -> crate::probes::Draft {
    let mut wanted = draft(key, serde_json::json!({"kind": "tcp", "host": "far.example", "port": 9}));
    (wanted.definition.policy.bad, wanted.definition.policy.of) = (1, 1);
    wanted
}

/// A loop that nobody drives, with one probe of a machine far away.
async fn still(bed: &Bed, canaries: Vec<String>) -> (Loop, ProbeId) {
    let id = bed.save(far("far")).await;
    (idle(bed, canaries).await.1, id)
}

/// What others ask, and a loop that nobody drives, with what was saved before.
async fn idle(bed: &Bed, canaries: Vec<String>) -> (Prober, Loop) {
    let trust = Trust::new(None).unwrap();
    let settings = Settings {
        concurrency: 1,
        private_targets: Arc::new([]),
        canaries: canaries.into(),
        covers: Arc::new(|_, _| false),
        sight: bed.sight(),
    };
    let asker = Asker { clock: bed.clock.clone(), entropy: crate::base::Entropy::seeded(1), trust };
    let observed = Observed::register(&Registry::new().unwrap()).unwrap();
    let (prober, mut asking) = Prober::new(&bed.store, asker, bed.probes.clone(), observed, settings);
    asking.load();
    asking.settle_all().await;
    (prober, asking)
}

impl Loop {
    /// Until nothing is under way.
    async fn settle_all(&mut self) {
        while let Some(event) = self.flying.next().await {
            self.take(event);
            self.work_off();
        }
    }

    /// A reading that a lost uplink explains as well as a lost target.
    async fn sees_nothing(&mut self, id: ProbeId) -> Status {
        let run = self.begun(Reading::Bad);
        self.ends(id, run).await
    }

    /// A question that is asked now, and what will come of it.
    fn begun(&self, reading: Reading) -> Run {
        Run {
            at: self.parts.asker.clock.now(),
            began: self.now(),
            reading,
            reason: "nothing came within 2s".to_owned(),
            may_be_ours: true,
            phases: Phases::default(),
            facts: Vec::new(),
            sample: Sample::default(),
            outcomes: Vec::new(),
        }
    }

    async fn ends(&mut self, id: ProbeId, run: Run) -> Status {
        self.judge(id, run);
        self.work_off();
        self.settle_all().await;
        self.subjects[&id].status
    }

    async fn spells(&mut self, bed: &Bed) -> i64 {
        self.write();
        self.settle_all().await;
        bed.number("SELECT count(*) FROM blind_spells WHERE ended_at IS NULL").await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_canaries_are_gone_nobody_is_blamed() {
    let bed = Bed::new().await;
    let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = canary.local_addr().unwrap().to_string();
    let (mut asking, id) = still(&bed, vec![address]).await;
    // Nobody answers at a name that does not exist.
    asking.parts.settings.canaries = Arc::new(["no-canary.invalid:9".to_owned()]);
    bed.clock.advance(Duration::from_secs(5));
    assert_eq!(asking.sees_nothing(id).await, Status::Unknown);
    assert!(asking.is_blind);
    assert_eq!(asking.spells(&bed).await, 1);
    assert_eq!(bed.number("SELECT count(*) FROM incidents").await, 0);
    // The canary is back: what is seen now counts.
    asking.parts.settings.canaries = Arc::new([canary.local_addr().unwrap().to_string()]);
    bed.clock.advance(Duration::from_mins(3));
    assert_eq!(asking.sees_nothing(id).await, Status::Unhealthy);
    assert_eq!(asking.spells(&bed).await, 0);
    let told = bed.text("SELECT summary FROM witnesses WHERE key = 'vigil:blind'").await;
    assert!(told.ends_with("UTC: its own network was gone"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_is_that_of_the_trouble_as_it_is_by_now() {
    let bed = Bed::new().await;
    let (mut asking, id) = still(&bed, Vec::new()).await;
    for reason in ["status was 503, wanted < 300", "connection refused"] {
        bed.clock.advance(Duration::from_mins(1));
        let run = asking.begun(Reading::Bad);
        let run = Run { reason: reason.to_owned(), may_be_ours: false, ..run };
        assert_eq!(asking.ends(id, run).await, Status::Unhealthy);
        assert_eq!(asking.parts.board.get(id).unwrap().reason, reason);
        asking.bundle(id);
        while asking.keeper.wants_at().is_some() {
            asking.write();
            asking.settle_all().await;
        }
        assert_eq!(bed.text("SELECT reason FROM probe_states").await, reason);
        let sample = bed.text("SELECT sample ->> 'reason' FROM probe_samples WHERE kind = 'bad'").await;
        assert_eq!(sample, reason, "the last bad answer");
        for told in ["SELECT summary FROM witnesses", "SELECT summary FROM incidents"] {
            assert_eq!(bed.text(told).await, format!("The far is down: {reason}"));
        }
    }
    // Mails go on under the subject that they began with.
    let subject = bed.text("SELECT opened_as FROM incidents").await;
    assert_eq!(subject, "The far is down: status was 503, wanted < 300");
    assert_eq!(bed.number("SELECT count(*) FROM deliveries").await, 1, "nothing rang anew");
    assert_eq!(bed.number("SELECT count(*) FROM probe_changes WHERE status = 'unhealthy'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_answered_before_proves_nothing_of_what_fails_after() {
    let bed = Bed::new().await;
    let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (there, gone) = (canary.local_addr().unwrap().to_string(), "no-canary.invalid:9".to_owned());
    let (mut asking, id) = still(&bed, vec![there.clone()]).await;
    asking.doubt_again();
    asking.settle_all().await;
    // The uplink is cut a moment after they answered.
    asking.parts.settings.canaries = Arc::new([gone]);
    assert_eq!(asking.sees_nothing(id).await, Status::Unknown);
    assert!(!asking.doubted.is_empty(), "they were asked a moment ago: it waits");
    bed.clock.advance(Duration::from_secs(1));
    asking.look_out();
    asking.settle_all().await;
    assert!(asking.is_blind && asking.doubted.is_empty());
    // What was under way when it came back failed for the same reason.
    let under_way = asking.begun(Reading::Bad);
    asking.parts.settings.canaries = Arc::new([there]);
    bed.clock.advance(Duration::from_secs(5));
    asking.doubt_again();
    asking.settle_all().await;
    assert!(!asking.is_blind);
    assert_eq!(asking.ends(id, under_way).await, Status::Unknown);
    bed.clock.advance(Duration::from_secs(1));
    assert_eq!(asking.sees_nothing(id).await, Status::Unhealthy, "what begins after counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_under_way_while_tocsin_did_not_run_proves_nothing() {
    let bed = Bed::new().await;
    let (mut asking, id) = still(&bed, Vec::new()).await;
    let started = Instant::now();
    asking.look(started);
    assert_eq!(asking.sees_nothing(id).await, Status::Unhealthy, "without canaries everything counts");
    bed.clock.advance(Duration::from_secs(1));
    assert_eq!(bed.number("SELECT count(*) FROM incidents").await, 0, "nothing was written yet");
    for (turn, reading) in [Reading::Bad, Reading::Slow, Reading::Good].into_iter().enumerate() {
        let (under_way, gap) = (asking.begun(reading), Duration::from_mins(12));
        bed.clock.advance(gap);
        asking.look(started + gap * u32::try_from(turn + 1).unwrap());
        assert_eq!(asking.ends(id, under_way).await, Status::Unknown, "{reading:?}");
        assert_eq!(asking.subjects[&id].points.last().unwrap().reading, Reading::Blind, "{reading:?}");
        // What is asked from now on counts; a turn in time is no gap.
        let again = asking.begun(Reading::Good);
        asking.look(started + gap * u32::try_from(turn + 1).unwrap() + TICK);
        asking.ends(id, again).await;
        let counted = asking.subjects[&id].points.last().unwrap().reading;
        assert_eq!(counted, Reading::Good);
        bed.clock.advance(Duration::from_secs(1));
    }
    let spell = asking.parts.settings.sight.mark().await.unwrap().unwrap();
    assert_eq!((spell.reason, spell.length().as_secs() / 60), (Blindness::Starved, 12));
    assert_eq!(bed.number("SELECT count(*) FROM blind_spells WHERE reason = 'starved'").await, 3);
    assert_eq!(bed.number("SELECT count(*) FROM incidents").await, 1, "they are told as one");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_under_way_while_the_machine_slept_proves_nothing() {
    let bed = Bed::new().await;
    let (mut asking, id) = still(&bed, Vec::new()).await;
    asking.look(Instant::now());
    let before = asking.begun(Reading::Good);
    assert_eq!(asking.ends(id, before).await, Status::Healthy);
    let under_way = asking.begun(Reading::Bad);
    // Time that passed does not know of it; the wall clock does.
    bed.clock.advance(Duration::from_secs(1));
    bed.clock.set(bed.clock.now() + Duration::from_hours(8));
    asking.look(Instant::now());
    assert_eq!(asking.ends(id, under_way).await, Status::Unknown);
    let told = asking.subjects[&id].live(None, None).reason;
    assert_eq!(told, "tocsin could not see: its machine slept");
    assert_eq!(asking.sees_nothing(id).await, Status::Unhealthy, "what is asked now counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_others_is_asked_anew_after_a_gap() {
    let bed = Bed::new().await;
    let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut asking, id) = still(&bed, vec![canary.local_addr().unwrap().to_string()]).await;
    // Nobody answers at a name that does not exist.
    asking.parts.settings.canaries = Arc::new(["no-canary.invalid:9".to_owned()]);
    bed.clock.advance(Duration::from_secs(5));
    asking.look(Instant::now());
    let under_way = asking.begun(Reading::Bad);
    asking.judge(id, under_way);
    assert_eq!(asking.doubted.len(), 1, "it waits for the canaries");
    bed.clock.advance(Duration::from_secs(1));
    bed.clock.set(bed.clock.now() + Duration::from_hours(1));
    asking.look(Instant::now());
    asking.work_off();
    assert_eq!((asking.doubted.len(), asking.subjects[&id].status), (0, Status::Unknown));
    // The canaries were asked before the gap: that they did not answer says nothing of the network now.
    let event = asking.flying.next().await.unwrap();
    assert!(matches!(event, Event::Canaries(_, false)));
    asking.take(event);
    assert!(!asking.is_blind);
    assert_eq!(asking.flying.len(), 1, "they are asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_gap_nothing_is_asked_all_at_once_and_reporters_have_their_time_anew() {
    let bed = Bed::new().await;
    for number in 0..200 {
        bed.save(far(&format!("far-{number}"))).await;
    }
    let job = bed.save(draft("job", serde_json::json!({"kind": "push"}))).await;
    let (mut asking, _) = still(&bed, Vec::new()).await;
    asking.parts.settings.concurrency = 1000;
    asking.look(Instant::now());
    bed.clock.advance(Duration::from_mins(12));
    asking.look(Instant::now() + Duration::from_mins(12));
    asking.begin_due();
    assert_eq!(asking.asking, 0, "everything is overdue, and nothing is asked in the same moment");
    let mut seconds = Vec::new();
    let (now, mut times) = (asking.now(), Vec::new());
    while let Some((id, at)) = asking.wheel.pop_due(Duration::MAX) {
        times.push((id, at.saturating_sub(now)));
        seconds.push(at.saturating_sub(now).as_secs());
    }
    assert_eq!(times.len(), 202);
    let in_one = |second: u64| seconds.iter().filter(|other| **other == second).count();
    assert!((0..30).all(|second| in_one(second) <= 20), "{seconds:?}");
    assert!(times.contains(&(job, Duration::from_secs(32))), "its interval and its time limit");
    assert!(times.iter().all(|(id, wait)| *id == job || *wait < Duration::from_secs(30)));
}
