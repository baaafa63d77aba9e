//! What is to be written: kept until it is, in batches that delay nobody. The loop never waits for it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::{Clock, Timestamp};
use crate::incidents::Incidents;
use crate::probes::points::{self, Point};
use crate::probes::record::{Recording, record, refresh};
use crate::probes::{Error, ProbeId};
use crate::store::{self, Store, WriteTx};
use crate::vigil::{self, Blindness, Spell};

/// One entry per probe at most: the newest says all that the older did.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    recordings: BTreeMap<ProbeId, Recording>,
    points: BTreeMap<ProbeId, Bundle>,
    spells: Vec<SpellChange>,
    is_writing: bool,
    /// After a failure; monotonic.
    not_before: Duration,
}

/// Readings of one probe that are to be written.
#[derive(Clone, Debug)]
pub(super) struct Bundle {
    pub(super) checked_at: Timestamp,
    pub(super) latency: Duration,
    pub(super) points: Vec<Point>,
}

/// What is to be noted of tocsin's own sight.
#[derive(Clone, Debug)]
pub(super) enum SpellChange {
    Begins(Blindness, Timestamp, String),
    Ends(Blindness, Timestamp),
    Was(Spell),
}

/// One write.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    recordings: Vec<Recording>,
    points: Vec<(ProbeId, Bundle)>,
    spells: Vec<SpellChange>,
}

/// Raising an incident takes a fraction of a millisecond: 32 of them stay below what the writer calls slow.
const RECORDINGS_MAX: usize = 32;
const BUNDLES_MAX: usize = 64;
/// Beginnings and ends of blindness that wait; later ones are left out.
const SPELLS_MAX: usize = 64;
/// While the store refuses.
const RETRY: Duration = Duration::from_secs(1);

impl Keeper {
    pub(super) fn record(&mut self, mut recording: Recording) {
        if let Some(earlier) = self.recordings.remove(&recording.id) {
            recording.after(earlier);
        }
        self.recordings.insert(recording.id, recording);
    }

    pub(super) fn points(&mut self, id: ProbeId, bundle: Bundle) {
        let bundle = match self.points.remove(&id) {
            Some(earlier) => bundle.after(earlier),
            None => bundle,
        };
        self.points.insert(id, bundle);
    }

    pub(super) fn spell(&mut self, change: SpellChange) {
        if self.spells.len() < SPELLS_MAX {
            self.spells.push(change);
        }
    }

    pub(super) fn forget(&mut self, id: ProbeId) {
        self.recordings.remove(&id);
        self.points.remove(&id);
    }

    /// Probes whose change waits.
    pub(super) fn waiting(&self) -> usize {
        self.recordings.len()
    }

    pub(super) const fn is_writing(&self) -> bool {
        self.is_writing
    }

    fn is_empty(&self) -> bool {
        self.recordings.is_empty() && self.points.is_empty() && self.spells.is_empty()
    }

    /// When to look again, where something waits and is not being written.
    pub(super) fn wants_at(&self) -> Option<Duration> {
        (!self.is_writing && !self.is_empty()).then_some(self.not_before)
    }

    /// What is to be written now. Changes go before points.
    pub(super) fn take(&mut self, now: Duration) -> Option<Batch> {
        if self.wants_at().is_none_or(|at| at > now) {
            return None;
        }
        self.is_writing = true;
        let mut batch = Batch { spells: std::mem::take(&mut self.spells), ..Batch::default() };
        while batch.recordings.len() < RECORDINGS_MAX
            && let Some((_, recording)) = self.recordings.pop_first()
        {
            batch.recordings.push(recording);
        }
        while batch.recordings.is_empty()
            && batch.points.len() < BUNDLES_MAX
            && let Some(bundle) = self.points.pop_first()
        {
            batch.points.push(bundle);
        }
        Some(batch)
    }

    /// Learns what became of a batch; what failed waits for the next turn.
    pub(super) fn wrote(&mut self, batch: Batch, result: Result<(), store::Error>, now: Duration) {
        self.is_writing = false;
        let Err(error) = result else { return };
        tracing::warn!(%error, changes = batch.recordings.len(), "what probes saw could not be written; it is tried again");
        self.not_before = now + RETRY;
        for earlier in batch.recordings {
            match self.recordings.get_mut(&earlier.id) {
                Some(newer) => newer.after(earlier),
                None => {
                    self.recordings.insert(earlier.id, earlier);
                }
            }
        }
        for (id, earlier) in batch.points {
            let bundle = match self.points.remove(&id) {
                Some(newer) => newer.after(earlier),
                None => earlier,
            };
            self.points.insert(id, bundle);
        }
        self.spells.splice(0..0, batch.spells);
        self.spells.truncate(SPELLS_MAX);
    }
}

impl Bundle {
    /// With what an earlier one knows that could not be written; the newest readings are kept.
    fn after(self, mut earlier: Self) -> Self {
        earlier.points.extend(self.points);
        let over = earlier.points.len().saturating_sub(points::WAITING_MAX);
        earlier.points.drain(..over);
        Self { points: earlier.points, ..self }
    }
}

impl Batch {
    /// Writes all of it in one transaction. What the rules refuse, one by one, is left out: it would be refused again.
    pub(super) async fn write(
        &self,
        store: &Store,
        incidents: &Incidents,
        clock: &Clock,
    ) -> Result<(), store::Error> {
        let (batch, incidents, now) = (self.clone(), incidents.clone(), clock.now());
        store.write("probes.record", move |tx| batch.apply(tx, &incidents, now)).await
    }

    fn apply(&self, tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp) -> Result<(), store::Error> {
        for change in &self.spells {
            super::sight::apply(tx, incidents, now, change)?;
        }
        for recording in &self.recordings {
            match tx.attempt(|tx| record(tx, incidents, now, recording)) {
                Err(Error::Store(error)) => return Err(error),
                Err(error) => tracing::error!(%error, "a change of a probe was refused"),
                Ok(()) => {}
            }
        }
        for (id, bundle) in &self.points {
            points::append(tx, *id, &bundle.points)?;
            refresh(tx, *id, bundle.checked_at, bundle.latency)?;
        }
        Ok(())
    }
}

impl SpellChange {
    pub(super) fn write(&self, tx: &WriteTx<'_>) -> Result<Option<Spell>, store::Error> {
        match self {
            Self::Begins(reason, at, detail) => vigil::begin(tx, *reason, *at, detail).map(|()| None),
            Self::Ends(reason, at) => Ok(vigil::end(tx, *reason, *at)?
                .map(|spell| Spell { ended_at: spell.ended_at.or(Some(*at)), ..spell })),
            Self::Was(spell) => vigil::note(tx, spell).map(|()| Some(spell.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::judge::Reading;
    use crate::probes::seen::Phases;
    use crate::probes::{Memory, Status};

    const START: Timestamp = Timestamp::from_secs(1_800_000_000);
    const PROBES: i64 = 100;

    fn recording(id: i64, at: Timestamp) -> Recording {
        Recording {
            id: ProbeId(id),
            at,
            status: Status::Unhealthy,
            since: at,
            reason: String::new(),
            flapping: false,
            memory: Memory::default(),
            latency: None,
            good: None,
            bad: None,
        }
    }

    fn bundle(at: Timestamp) -> Bundle {
        let point = Point { at, reading: Reading::Bad, phases: Phases::default() };
        Bundle { checked_at: at, latency: Duration::ZERO, points: vec![point; 40] }
    }

    #[test]
    fn while_the_store_refuses_what_waits_is_bounded_and_the_newest_stays() {
        let (mut keeper, mut passed) = (Keeper::default(), Duration::ZERO);
        for _ in 0..1_000 {
            passed += RETRY;
            for id in 0..PROBES {
                keeper.record(recording(id, START + passed));
                keeper.points(ProbeId(id), bundle(START + passed));
            }
            keeper.spell(SpellChange::Ends(Blindness::Uplink, START + passed));
            let batch = keeper.take(passed).expect("it is tried once a second");
            assert!(keeper.take(passed).is_none(), "one write at a time");
            keeper.wrote(batch, Err(store::Error::Busy), passed);
        }
        assert_eq!(keeper.waiting(), 100, "one change of each probe");
        assert!(keeper.recordings.values().all(|recording| recording.at == START + passed));
        assert_eq!(keeper.spells.len(), SPELLS_MAX);
        for waiting in keeper.points.values() {
            assert_eq!(waiting.points.len(), points::WAITING_MAX);
            assert_eq!(waiting.points.last().map(|point| point.at), Some(START + passed));
            assert_eq!(waiting.checked_at, START + passed);
        }
        // It is written in batches as soon as it can be.
        passed += RETRY;
        let mut written = 0;
        while let Some(batch) = keeper.take(passed) {
            written += batch.recordings.len() + batch.points.len();
            keeper.wrote(batch, Ok(()), passed);
        }
        assert_eq!(written, 200);
    }
}
