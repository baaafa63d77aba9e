//! When tocsin itself could not see: gaps that are found at a start or while it runs, and the one note about each.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use super::keeper::SpellChange;
use crate::base::{Clock, Severity, Timestamp};
use crate::incidents::decide::{Decision, IgnoreReason};
use crate::incidents::{Incidents, Signal, SignalKind, Source};
use crate::store::{Error, Store, WriteTx};
use crate::vigil::{self, Blindness, Spell};

/// A sleep of this length or more was no pause between two looks; of a time in which it was not running every second
/// counts, for what others sent meanwhile is lost.
const GAP_MIN: Duration = Duration::from_secs(30);
/// From this length on people are told: what happened meanwhile nobody knows.
pub const TOLD_FROM: Duration = Duration::from_mins(2);
/// The loop that asks has a turn twice a second. One that comes this late shows that nothing of tocsin ran: it was
/// starved of processor time, or the process was stopped.
const STARVED_FROM: Duration = Duration::from_millis(2500);
/// Gaps that wait to be written; later ones are left out.
const NOTICED_MAX: usize = 64;
/// What blindness is told under: a second one within an hour joins the first.
const KEY: &str = "vigil:blind";
/// What is told while it goes on.
const LASTS_KEY: &str = "vigil:uplink";

/// Marks that tocsin is awake, and notices when it was not. Cheap to clone.
///
/// Whoever looks first after a gap notices it for all: the loop that asks, before it believes what came meanwhile, and
/// who judges by what did not come, which [`Sight::settle`]s first.
#[derive(Clone)]
pub struct Sight {
    store: Store,
    clock: Clock,
    incidents: Arc<Incidents>,
    gaps: Arc<Mutex<Gaps>>,
}

/// What is remembered between looks.
#[derive(Debug, Default)]
struct Gaps {
    /// The wall clock beside the monotonic one, at the last look.
    before: Option<(Timestamp, Duration)>,
    /// When the loop that asks had its last turn; `None`: it does not run.
    turned: Option<Instant>,
    last: Option<Gap>,
    /// Not written yet.
    noticed: Vec<Spell>,
}

/// A time in which nothing of tocsin ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) reason: Blindness,
    /// What began before, by the monotonic clock, was under way meanwhile.
    pub(super) ended: Duration,
}

impl Sight {
    pub fn new(store: Store, clock: Clock, incidents: Arc<Incidents>) -> Self {
        Self { store, clock, incidents, gaps: Arc::default() }
    }

    /// At a start, before anything is judged: writes down how long tocsin was not running.
    ///
    /// # Errors
    /// Where the store refuses.
    pub async fn wake(&self) -> Result<Option<Spell>, Error> {
        let (now, incidents) = (self.clock.now(), Arc::clone(&self.incidents));
        self.gaps().look(&self.clock, Instant::now());
        let write = self.store.write("vigil.wake", move |tx| {
            let last = vigil::last_alive(tx)?;
            vigil::mark_alive(tx, now)?;
            // What was going on when it stopped is part of the gap.
            for reason in [Blindness::Uplink, Blindness::Starved, Blindness::Suspended, Blindness::Full] {
                vigil::end(tx, reason, last.unwrap_or(now))?;
            }
            sees_again(tx, &incidents, now)?;
            let Some(began_at) = last.filter(|last| *last < now) else { return Ok(None) };
            let spell = spell(Blindness::Down, began_at, now);
            apply(tx, &incidents, now, &SpellChange::Was(spell.clone()))?;
            Ok(Some(spell))
        });
        write.await
    }

    /// Every ten seconds: tocsin is awake. Writes the gaps that were noticed in the same transaction.
    ///
    /// # Errors
    /// Where the store refuses; what was noticed is written next time.
    pub async fn mark(&self) -> Result<Option<Spell>, Error> {
        let (now, incidents) = (self.clock.now(), Arc::clone(&self.incidents));
        let noticed = self.take_noticed();
        let spells = noticed.clone();
        let write = self.store.write("vigil.alive", move |tx| {
            vigil::mark_alive(tx, now)?;
            spells.into_iter().try_for_each(|spell| apply(tx, &incidents, now, &SpellChange::Was(spell)))
        });
        if let Err(error) = write.await {
            self.gaps().noticed.splice(0..0, noticed);
            return Err(error);
        }
        Ok(noticed.into_iter().max_by_key(Spell::length))
    }

    /// Before anybody is judged by what did not come: a gap that was just noticed is written first.
    ///
    /// # Errors
    /// Where the store refuses.
    pub async fn settle(&self) -> Result<(), Error> {
        let is_settled = {
            let mut gaps = self.gaps();
            gaps.look(&self.clock, Instant::now());
            gaps.noticed.is_empty()
        };
        if is_settled { Ok(()) } else { self.mark().await.map(drop) }
    }

    /// A turn of the loop that asks, at `instant`. Answers which gap was the last.
    pub(super) fn turn(&self, instant: Instant) -> Option<Gap> {
        let mut gaps = self.gaps();
        gaps.look(&self.clock, instant);
        gaps.turned = Some(instant);
        gaps.last
    }

    /// The loop ends: it has no turns that could be late.
    pub(super) fn no_more_turns(&self) {
        self.gaps().turned = None;
    }

    fn take_noticed(&self) -> Vec<Spell> {
        let mut gaps = self.gaps();
        gaps.look(&self.clock, Instant::now());
        std::mem::take(&mut gaps.noticed)
    }

    fn gaps(&self) -> MutexGuard<'_, Gaps> {
        self.gaps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gaps {
    /// Where the wall clock ran away from the monotonic one, the machine slept; where both went on without a turn of the
    /// loop, it did not run.
    fn look(&mut self, clock: &Clock, instant: Instant) {
        let (now, passed) = (clock.now(), clock.monotonic());
        let slept = self.before.replace((now, passed)).map_or(Duration::ZERO, |(then, passed_then)| {
            now.since(then).saturating_sub(passed.saturating_sub(passed_then))
        });
        let waited = self.turned.map_or(Duration::ZERO, |turned| instant.saturating_duration_since(turned));
        let (reason, length) = if slept > GAP_MIN {
            (Blindness::Suspended, slept)
        } else if waited > STARVED_FROM {
            (Blindness::Starved, waited)
        } else {
            return;
        };
        self.turned = self.turned.map(|_| instant);
        self.last = Some(Gap { reason, ended: passed });
        if self.noticed.len() < NOTICED_MAX {
            self.noticed.push(spell(reason, now - length, now));
        }
        tracing::warn!(seconds = length.as_secs(), "tocsin was blind: {}", reason.says());
    }
}

fn spell(reason: Blindness, began_at: Timestamp, ended_at: Timestamp) -> Spell {
    Spell { reason, began_at, ended_at: Some(ended_at), detail: String::new() }
}

/// Writes a change, and the note about a spell that is over.
pub(super) fn apply(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    change: &SpellChange,
) -> Result<(), Error> {
    if let SpellChange::Lasts(spell) = change {
        return lasts(tx, incidents, now, spell);
    }
    let Some(spell) = change.write(tx)? else { return Ok(()) };
    // Who was told while it went on hears that it is over, and no second time that it was.
    if spell.reason == Blindness::Uplink && spell.ended_at.is_some() && sees_again(tx, incidents, now)? {
        return Ok(());
    }
    let Some(ended_at) = spell.ended_at.filter(|ended| ended.since(spell.began_at) >= TOLD_FROM) else {
        return Ok(());
    };
    let (from, to) = told(spell.began_at, ended_at);
    let summary = format!("tocsin was blind from {from} to {to} UTC: {}", spell.reason.says());
    incidents.raise(tx, now, &signal(KEY, SignalKind::Occurrence, summary, (spell.began_at, now)))?;
    Ok(())
}

/// Nobody is judged and nobody is told: that is worse than what may be wrong out there.
fn lasts(tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp, spell: &Spell) -> Result<(), Error> {
    let summary = "tocsin cannot see out: none of its canaries answers, so probes and heartbeats are not judged. \
                   Check this machine's network, or `probes.canaries`";
    let signal = signal(LASTS_KEY, SignalKind::Firing, summary.to_owned(), (spell.began_at, now));
    let detail = json!({"canaries": spell.detail});
    incidents.raise(tx, now, &Signal { severity: Severity::High, detail, ..signal })?;
    Ok(())
}

/// Ends what [`lasts`] told; `false` where it told nothing.
fn sees_again(tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp) -> Result<bool, Error> {
    let signal = signal(LASTS_KEY, SignalKind::Ok, String::new(), (now, now));
    let recorded = incidents.raise(tx, now, &signal)?;
    Ok(recorded.decision != Decision::Ignored(IgnoreReason::NothingFiring))
}

fn signal(
    key: &str,
    kind: SignalKind,
    summary: String,
    (first_bad_at, observed_at): (Timestamp, Timestamp),
) -> Signal {
    let (project, service, source, severity) = (None, None, Source::Own, Severity::Medium);
    let (key, detail) = (key.to_owned(), json!({}));
    Signal { project, service, key, source, severity, summary, detail, first_bad_at, observed_at, kind }
}

/// `03:10` and `03:22`, with the day where they lie on different ones.
fn told(from: Timestamp, to: Timestamp) -> (String, String) {
    let (from, to) = (from.to_chrono(), to.to_chrono());
    let format = if from.date_naive() == to.date_naive() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    (from.format(format).to_string(), to.format(format).to_string())
}
