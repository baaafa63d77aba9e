//! What is to be written: kept until it is, in batches that delay nobody. The loop never waits for it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::{Clock, Timestamp};
use crate::incidents::Incidents;
use crate::probes::points::{self, Point};
use crate::probes::record::{Present, Recording, record, refresh};
use crate::probes::{Error, ProbeId};
use crate::store::{self, Store, WriteTx};
use crate::vigil::{self, Blindness, Spell};

/// One entry per probe at most; what changed while nothing could be written stands in it, in order.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    recordings: BTreeMap<ProbeId, Recording>,
    points: BTreeMap<ProbeId, Bundle>,
    spells: Vec<SpellChange>,
    /// Readings were let go of, and that was said.
    is_over: bool,
    is_writing: bool,
    /// After a failure; monotonic.
    not_before: Duration,
}

/// Readings of one probe that are to be written.
#[derive(Clone, Debug)]
pub(super) struct Bundle {
    pub(super) points: Vec<Point>,
    pub(super) present: Present,
}

/// What is to be noted of tocsin's own sight.
#[derive(Clone, Debug)]
pub(super) enum SpellChange {
    Begins(Blindness, Timestamp, String),
    /// It goes on for so long that people are to know.
    Lasts(Spell),
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
/// Readings that wait, of all probes: 34 MB. Of more the oldest go, down to nine tenths, so that it is not done for each.
const POINTS_MAX: usize = 300_000;
/// Changes of blindness that wait; of more, whole spells that are over are left out.
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
        self.bound_points();
    }

    /// Lets go of the oldest readings, whosever they are.
    fn bound_points(&mut self) {
        if self.points.values().map(|bundle| bundle.points.len()).sum::<usize>() <= POINTS_MAX {
            return;
        }
        let mut times: Vec<Timestamp> =
            self.points.values().flat_map(|bundle| &bundle.points).map(|point| point.at).collect();
        let over = times.len() - POINTS_MAX / 10 * 9;
        let first = *times.select_nth_unstable(over).1;
        for bundle in self.points.values_mut() {
            bundle.points.retain(|point| point.at >= first);
            bundle.points.shrink_to_fit();
        }
        if !std::mem::replace(&mut self.is_over, true) {
            tracing::warn!(
                "too many readings of probes wait to be written: the oldest are let go of, and curves have a gap there"
            );
        }
    }

    pub(super) fn spell(&mut self, change: SpellChange) {
        self.spells.push(change);
        self.bound_spells();
    }

    /// Leaves out what is over as a whole, the oldest first: a beginning without its end would be blindness for ever.
    fn bound_spells(&mut self) {
        while self.spells.len() > SPELLS_MAX {
            let is_whole = |change: &SpellChange| matches!(change, SpellChange::Was(_));
            let begins = |change: &SpellChange| matches!(change, SpellChange::Begins(..));
            let ends = |change: &SpellChange| matches!(change, SpellChange::Ends(..));
            let first = self.spells.iter().position(is_whole).or_else(|| self.spells.iter().position(begins));
            let first = first.unwrap_or(0);
            let last = if begins(&self.spells[first]) {
                self.spells[first..].iter().position(ends).map_or(first, |length| first + length)
            } else {
                first
            };
            self.spells.drain(first..=last);
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
        let Err(error) = result else {
            self.is_over &= batch.points.is_empty();
            return;
        };
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
        self.bound_points();
        self.spells.splice(0..0, batch.spells);
        self.bound_spells();
    }
}

impl Bundle {
    /// With what an earlier one knows that could not be written; the newest readings are kept.
    fn after(self, mut earlier: Self) -> Self {
        earlier.points.extend(self.points);
        let over = earlier.points.len().saturating_sub(points::WAITING_MAX);
        earlier.points.drain(..over);
        let bad = self.present.bad.or(earlier.present.bad);
        Self { points: earlier.points, present: Present { bad, ..self.present } }
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
                Err(Error::Store(error)) if !error.is_of_one_row() => return Err(error),
                Err(error) => tracing::error!(%error, "a change of a probe was refused"),
                Ok(()) => {}
            }
        }
        for (id, bundle) in &self.points {
            points::append(tx, *id, &bundle.points)?;
            match tx.attempt(|tx| refresh(tx, incidents, now, *id, &bundle.present)) {
                Err(Error::Store(error)) if !error.is_of_one_row() => return Err(error),
                Err(error) => tracing::error!(%error, "what a probe shows by now was refused"),
                Ok(()) => {}
            }
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
            Self::Lasts(_) => Ok(None),
            Self::Was(spell) => vigil::note(tx, spell).map(|()| Some(spell.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::judge::Reading;
    use crate::probes::record::{EARLIER_MAX, Turn};
    use crate::probes::seen::Phases;
    use crate::probes::{Memory, Status};

    const START: Timestamp = Timestamp::from_secs(1_800_000_000);
    const PROBES: i64 = 100;

    fn recording(id: i64, at: Timestamp) -> Recording {
        let now = Turn {
            at,
            status: Status::Unhealthy,
            since: at,
            reason: String::new(),
            flapping: false,
            memory: Memory::default(),
            latency: None,
        };
        Recording { id: ProbeId(id), forgotten: 0, earlier: Vec::new(), now, good: None, bad: None }
    }

    fn bundle(at: Timestamp) -> Bundle {
        let point = Point { at, reading: Reading::Bad, phases: Phases::default() };
        let present = Present {
            checked_at: at,
            latency: Duration::ZERO,
            status: Status::Unhealthy,
            reason: String::new(),
            bad: None,
        };
        Bundle { points: vec![point; 40], present }
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
        assert_eq!(keeper.waiting(), 100, "one entry of each probe");
        for waiting in keeper.recordings.values() {
            assert_eq!((waiting.earlier.len(), waiting.now.at), (EARLIER_MAX, START + passed));
            assert!(waiting.earlier.is_sorted_by_key(|turn| turn.at));
        }
        assert_eq!(keeper.spells.len(), SPELLS_MAX);
        for waiting in keeper.points.values() {
            assert_eq!(waiting.points.len(), points::WAITING_MAX);
            assert_eq!(waiting.points.last().map(|point| point.at), Some(START + passed));
            assert_eq!(waiting.present.checked_at, START + passed);
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

    #[test]
    fn the_readings_of_all_together_are_bounded_and_the_oldest_go_first() {
        let mut keeper = Keeper::default();
        let at = |turn: u64| START + Duration::from_secs(turn);
        for turn in 0..25 {
            for id in 0..400 {
                keeper.points(ProbeId(id), bundle(at(turn)));
            }
        }
        let all: Vec<&Point> = keeper.points.values().flat_map(|bundle| &bundle.points).collect();
        assert!((200_000..=300_000).contains(&all.len()), "{}", all.len());
        let oldest = all.iter().map(|point| point.at).min().unwrap();
        let newest = all.iter().filter(|point| point.at == at(24)).count();
        assert_eq!(newest, 400 * 40, "none of the newest went");
        let kept = all.iter().filter(|point| point.at > oldest).count();
        let turns = usize::try_from((at(24).since(oldest)).as_secs()).unwrap();
        assert_eq!(kept, turns * 400 * 40, "nothing newer went than what stays");
        assert_eq!(keeper.points.len(), 400, "when each was asked last is written");
    }

    fn begins() -> SpellChange {
        SpellChange::Begins(Blindness::Uplink, START, String::new())
    }

    fn ends(second: u64) -> SpellChange {
        SpellChange::Ends(Blindness::Uplink, START + Duration::from_secs(second))
    }

    #[test]
    fn however_much_waits_what_began_also_ends() {
        let mut keeper = Keeper::default();
        let (reason, detail) = (Blindness::Starved, String::new());
        let over = Spell { reason, began_at: START, ended_at: Some(START), detail };
        keeper.spell(begins());
        for _ in 0..100 {
            keeper.spell(SpellChange::Was(over.clone()));
        }
        keeper.spell(ends(1));
        assert_eq!(keeper.spells.len(), SPELLS_MAX);
        assert!(matches!(keeper.spells[0], SpellChange::Begins(..)));
        assert!(matches!(keeper.spells[SPELLS_MAX - 1], SpellChange::Ends(..)));
    }

    #[test]
    fn where_only_beginnings_and_ends_wait_they_go_together() {
        let mut keeper = Keeper::default();
        // The end of what is on disk already.
        keeper.spell(ends(0));
        for second in 1..=100 {
            keeper.spell(begins());
            keeper.spell(ends(second));
        }
        assert!(keeper.spells.len() <= SPELLS_MAX);
        for (at, change) in keeper.spells.iter().enumerate() {
            assert_eq!(matches!(change, SpellChange::Ends(..)), at % 2 == 0, "{change:?}");
        }
        let [SpellChange::Ends(_, first), .., SpellChange::Ends(_, last)] = &keeper.spells[..] else {
            panic!()
        };
        assert_eq!((*first, *last), (START, START + Duration::from_secs(100)));
    }
}
