//! tocsin's own trouble: looks at itself, judges, and raises what it finds through the same incidents as
//! everything else.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use super::reserve::{Reserve, look_at_disk};
use crate::base::{Clock, Severity, Timestamp};
use crate::courier::intake::WebhookRecord;
use crate::engine::Report;
use crate::health::own::{
    Bad, CLOCK_KEY, Look, Outbox, OwnHealth, Proof, Standing, Trouble, clock_step, judge, read_outbox,
};
use crate::heartbeats::PingRecord;
use crate::http::ingest::points::PointLane;
use crate::http::observed::Observed;
use crate::incidents::rules::{self, RuleKind};
use crate::incidents::{self, Incidents, Signal, SignalKind, Source, queries};
use crate::issues::record::EventRecord;
use crate::store::{Error, Lane, ReadTx, StatsSnapshot, Store, WriteTx};

/// What a look needs. Cheap to clone.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) incidents: Arc<Incidents>,
    pub(super) events: Lane<EventRecord>,
    pub(super) points: Arc<PointLane>,
    pub(super) pings: Lane<PingRecord>,
    pub(super) hooks: Lane<WebhookRecord>,
    pub(super) observed: Observed,
    pub(super) own: Arc<OwnHealth>,
    pub(super) folder: PathBuf,
    /// The counters of the look before.
    pub(super) before: Arc<Mutex<Before>>,
    /// What was found and could not be raised: the counters and the clock will not show it again.
    pub(super) unraised: Arc<Mutex<Vec<Signal>>>,
}

/// Counters only grow; a look tells what came since the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    stats: StatsSnapshot,
    lanes_refused: u64,
    events: u64,
    passed: Duration,
}

/// Longer than any commit on a working disk; a writer that says nothing for so long is in trouble.
const PROOF_TIMEOUT: Duration = Duration::from_secs(8);
/// Looks are at least this far apart for a rate to mean something.
const RATE_TIME_MIN: Duration = Duration::from_millis(100);

impl Watch {
    /// One look: the body of the task `self.watch`.
    pub(super) async fn run(&self) -> anyhow::Result<Report> {
        let now = self.clock.now();
        let clocks = (now, self.clock.monotonic());
        let proof = self.prove().await;
        let seen = self.store.read_reserved(see).await;
        let (outbox, firing) = match seen {
            Ok((outbox, firing)) => (Some(outbox), firing),
            Err(error) => {
                tracing::warn!(%error, "tocsin cannot read its own outbox");
                (None, BTreeSet::new())
            }
        };
        let look = self.mind_reserve(self.look(now, proof, outbox));
        let known = self.own.known();
        tell_failure(&look.proof, known.look.as_ref().map(|before| &before.proof));
        let found = judge(&look, &known.standing);
        let step = known.clocks.and_then(|before| clock_step(before, clocks));
        let standing = self.own.note(look, clocks, &found);
        let kept = std::mem::take(&mut *self.unraised.lock().unwrap_or_else(PoisonError::into_inner));
        let signals = with_kept(kept, signals(now, &standing, &firing, step));
        if signals.is_empty() {
            return Ok(Report::Idle);
        }
        if let Err(error) = self.raise(now, signals.clone()).await {
            // The next look tells of it, though what it sees be well again by then.
            let bad = signals.into_iter().filter(|signal| signal.kind.is_bad()).collect();
            *self.unraised.lock().unwrap_or_else(PoisonError::into_inner) = bad;
            return Err(error.into());
        }
        let text = standing.values().map(|bad| bad.summary.as_str()).collect::<Vec<_>>().join("; ");
        Ok(if text.is_empty() { Report::Idle } else { Report::Did(text) })
    }

    /// Commits a row through the queue.
    async fn prove(&self) -> Proof {
        let began = Instant::now();
        match tokio::time::timeout(PROOF_TIMEOUT, self.store.prove()).await {
            Ok(Ok(())) => Proof::Committed(began.elapsed()),
            Ok(Err(Error::Busy)) => Proof::Refused,
            Ok(Err(Error::DiskFull)) => Proof::DiskFull,
            Ok(Err(error)) => Proof::Failed(error.to_string()),
            Err(_) => Proof::Silent(PROOF_TIMEOUT),
        }
    }

    fn look(&self, at: Timestamp, proof: Proof, outbox: Option<Outbox>) -> Look {
        let slowest_batch = self.store.stats().take_slowest();
        let (now, before) = self.since_before();
        let failed = now.stats.failed_commits - before.stats.failed_commits;
        let disk_full = now.stats.disk_full - before.stats.disk_full;
        let refused = (now.stats.refused - before.stats.refused) + (now.lanes_refused - before.lanes_refused);
        Look {
            at,
            passed: now.passed,
            is_first: self.own.known().look.is_none(),
            proof,
            damage: self.store.stats().damage().map(ToString::to_string),
            lane_age: self.events.age().max(self.points.age()).max(self.pings.age()).max(self.hooks.age()),
            waiting: now.stats.queued
                + number(self.events.depth() + self.points.depth() + self.pings.depth() + self.hooks.depth()),
            refused,
            commits_failed: failed.saturating_sub(disk_full),
            disk_full,
            reserve_gone: self.own.is_disk_full(),
            over_budget: self.own.is_over_budget(),
            slowest_batch,
            disk: look_at_disk(&self.folder),
            outbox,
            events: now.events,
            events_per_second: rate(now.events - before.events, now.passed.saturating_sub(before.passed)),
        }
    }

    fn since_before(&self) -> (Before, Before) {
        let now = Before {
            stats: self.store.stats().snapshot(),
            lanes_refused: self.events.refused()
                + self.points.refused()
                + self.pings.refused()
                + self.hooks.refused(),
            events: self.observed.events_total(),
            passed: self.clock.monotonic(),
        };
        let mut slot = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        (now, std::mem::replace(&mut *slot, now))
    }

    /// Gives the reserve up on a full disk and takes it again when there is room; intake rests in between.
    fn mind_reserve(&self, mut look: Look) -> Look {
        let reserve = Reserve::of(&self.folder);
        let is_full = look.disk_full > 0 || look.proof == Proof::DiskFull;
        if is_full && !look.reserve_gone {
            self.own.set_disk_full(true);
            if let Err(error) = reserve.give_up() {
                tracing::error!(%error, "the room kept for alarms could not be given up");
            }
            tracing::error!("the disk is full: intake rests until there is room");
        } else if !is_full && Reserve::has_room(look.disk) {
            match reserve.take() {
                Ok(()) if look.reserve_gone => tracing::info!("there is room again: intake goes on"),
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(%error, "no room can be kept for alarms");
                    return look;
                }
            }
            self.own.set_disk_full(false);
        }
        look.reserve_gone = self.own.is_disk_full();
        look
    }

    async fn raise(&self, now: Timestamp, signals: Vec<Signal>) -> Result<(), incidents::Error> {
        let incidents = Arc::clone(&self.incidents);
        let write = self.store.write("self.watch", move |tx| raise_all(tx, &incidents, now, &signals));
        match tokio::time::timeout(PROOF_TIMEOUT, write).await {
            Ok(raised) => raised,
            // What was queued is written as soon as the writer gets to it.
            Err(_) => Err(Error::Busy.into()),
        }
    }
}

/// Said once, when it begins: what is raised about it cannot be written.
fn tell_failure(proof: &Proof, before: Option<&Proof>) {
    if let Some(why) = proof.failure()
        && before.and_then(Proof::failure).is_none()
    {
        tracing::error!(
            "{why}: nothing is stored and nobody is rung; look at the disk, run `tocsin check`, and where it finds \
             damage, stop tocsin and restore a backup"
        );
    }
}

fn number(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}

fn rate(count: u64, time: Duration) -> f64 {
    if time < RATE_TIME_MIN {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let count = count as f64;
    count / time.as_secs_f64()
}

/// What the outbox holds, and which own troubles the incidents know of.
fn see(tx: &ReadTx<'_>) -> Result<(Outbox, BTreeSet<String>), Error> {
    Ok((read_outbox(tx)?, queries::firing_keys(tx, Source::Own, "")?.into_iter().collect()))
}

/// What follows: every trouble that holds is raised, every one that was raised and is over is told so.
fn signals(
    now: Timestamp,
    standing: &Standing,
    firing: &BTreeSet<String>,
    step: Option<String>,
) -> Vec<Signal> {
    let mut signals: Vec<Signal> =
        standing.iter().map(|(trouble, bad)| signal(now, trouble.key(), bad, SignalKind::Firing)).collect();
    let over = Trouble::ALL.into_iter().filter(|trouble| !standing.contains_key(trouble)).map(Trouble::key);
    for key in over.filter(|key| firing.contains(key)) {
        let well = Bad { severity: Severity::Low, summary: String::new(), since: now };
        signals.push(signal(now, key, &well, SignalKind::Ok));
    }
    if let Some(summary) = step {
        let bad = Bad { severity: Severity::Medium, summary, since: now };
        signals.push(signal(now, CLOCK_KEY.to_owned(), &bad, SignalKind::Occurrence));
    }
    signals
}

/// What an earlier look could not raise, and what this one found; of one key the newer.
fn with_kept(mut kept: Vec<Signal>, found: Vec<Signal>) -> Vec<Signal> {
    kept.retain(|kept| found.iter().all(|signal| signal.key != kept.key));
    kept.extend(found);
    kept
}

fn signal(now: Timestamp, key: String, bad: &Bad, kind: SignalKind) -> Signal {
    Signal {
        project: None,
        service: None,
        key,
        source: Source::Own,
        severity: bad.severity,
        summary: bad.summary.clone(),
        detail: json!({}),
        first_bad_at: bad.since,
        observed_at: now,
        kind,
    }
}

/// The rule of tocsin's own trouble may cap how loud it gets, or be off: then what rings ends, whether or not it holds.
fn raise_all(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    signals: &[Signal],
) -> Result<(), incidents::Error> {
    let rules = rules::effective(tx, None)?;
    let rule = rules.get(RuleKind::SelfTrouble);
    for signal in signals {
        let severity = signal.severity.min(rule.severity);
        let kind = match signal.kind {
            // It has no end that could be told; it goes quiet by itself.
            SignalKind::Occurrence if !rule.enabled => continue,
            SignalKind::Firing if !rule.enabled => SignalKind::Ok,
            kind => kind,
        };
        incidents.raise(tx, now, &Signal { severity, kind, ..signal.clone() })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Entropy;
    use crate::incidents::Policy;
    use crate::incidents::rules::{RuleChange, RuleParams};
    use crate::store::Options;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn what_holds_is_raised_and_what_is_over_is_told_once() {
        let bad = Bad { severity: Severity::High, summary: "slow".to_owned(), since: NOW };
        let standing = Standing::from([(Trouble::Latency, bad)]);
        let firing = BTreeSet::from(["self:queue".to_owned(), "self:latency".to_owned()]);
        let told = signals(NOW, &standing, &firing, None);
        let told: Vec<_> = told.iter().map(|signal| (signal.key.as_str(), signal.kind)).collect();
        assert_eq!(told, [("self:latency", SignalKind::Firing), ("self:queue", SignalKind::Ok)]);
        assert_eq!(signals(NOW, &Standing::new(), &BTreeSet::new(), None), []);
    }

    #[test]
    fn what_could_not_be_raised_is_raised_by_the_next_look_unless_that_knows_better() {
        let bad = Bad { severity: Severity::High, summary: "refused".to_owned(), since: NOW };
        let standing = Standing::from([(Trouble::Queue, bad)]);
        let kept = signals(NOW, &standing, &BTreeSet::new(), Some("jumped".to_owned()));
        let keys = |signals: &[Signal]| signals.iter().map(|signal| signal.key.clone()).collect::<Vec<_>>();
        assert_eq!(keys(&with_kept(kept.clone(), Vec::new())), ["self:queue", CLOCK_KEY]);
        let found = signals(NOW, &standing, &BTreeSet::new(), None);
        assert_eq!(keys(&with_kept(kept, found)), [CLOCK_KEY, "self:queue"]);
    }

    #[test]
    fn a_clock_that_was_set_is_an_occurrence() {
        let told = signals(NOW, &Standing::new(), &BTreeSet::new(), Some("jumped".to_owned()));
        assert_eq!((told[0].key.as_str(), told[0].kind), (CLOCK_KEY, SignalKind::Occurrence));
    }

    #[test]
    fn what_rings_ends_when_the_rule_is_switched_off_and_nothing_new_rings() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
        let incidents = Incidents { policy: Policy::default(), entropy: Entropy::seeded(1) };
        let bad = Bad { severity: Severity::High, summary: "slow".to_owned(), since: NOW };
        let standing = Standing::from([(Trouble::Latency, bad)]);
        let firing = move |now| -> Vec<String> {
            let (incidents, found) = (incidents.clone(), signals(now, &standing, &BTreeSet::new(), None));
            store.write_now("watch", move |tx| raise_all(tx, &incidents, now, &found)).unwrap();
            let off = RuleChange {
                enabled: false,
                severity: Severity::High,
                threshold: None,
                window: None,
                params: RuleParams::None,
            };
            store
                .write_now("off", move |tx| rules::change(tx, now, None, RuleKind::SelfTrouble, &off))
                .unwrap();
            store.read_now(|tx| queries::firing_keys(tx, Source::Own, "")).unwrap()
        };
        assert_eq!(firing(NOW), ["self:latency"]);
        assert_eq!(firing(NOW + Duration::from_secs(5)), [""; 0]);
    }

    #[test]
    fn a_rate_needs_time() {
        assert!((rate(50, Duration::from_secs(10)) - 5.0).abs() < 1e-9);
        assert!(rate(50, Duration::ZERO).abs() < 1e-9);
    }
}
