//! When nobody looked at a probe: blind time, as plots and their tables lay it over what was read.

use std::ops::Range;
use std::time::Duration;

use super::timeline::spells_of;
use crate::base::Timestamp;
use crate::probes::Probe;
use crate::store::{Error, ReadTx};
use crate::vigil::{self, Blind};

/// Times in which tocsin could not see, in order and apart from each other.
#[derive(Debug, Default)]
pub(super) struct Unseen(Vec<Range<Timestamp>>);

impl Unseen {
    /// Those from `from` to `to`, as far as there was this probe.
    pub(super) fn read(
        tx: &ReadTx<'_>,
        probe: &Probe,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Self, Error> {
        let blind = Blind::of(&spells_of(probe.definition.kind(), vigil::between(tx, from, to)?));
        let pieces = blind.cut([(probe.created_at, ())], from, to);
        Ok(Self(
            pieces
                .into_iter()
                .filter(|piece| piece.seen.is_none())
                .map(|piece| piece.from..piece.to)
                .collect(),
        ))
    }

    pub(super) fn holds(&self, at: Timestamp) -> bool {
        let begun = self.0.partition_point(|range| range.start <= at);
        begun.checked_sub(1).and_then(|last| self.0.get(last)).is_some_and(|range| at < range.end)
    }

    /// How much of the time from `from` to `to` it takes.
    pub(super) fn within(&self, from: Timestamp, to: Timestamp) -> Duration {
        self.0.iter().map(|range| range.end.min(to).since(range.start.max(from))).sum()
    }

    /// The steps of so many seconds, counted from `from`, that it fills, rounded at its ends.
    pub(super) fn steps(&self, from: Timestamp, seconds: u64) -> impl Iterator<Item = u64> {
        let step = move |at: Timestamp| (at.since(from).as_secs() + seconds / 2) / seconds;
        self.0.iter().flat_map(move |range| step(range.start)..step(range.end))
    }
}

#[cfg(test)]
impl Unseen {
    pub(super) fn of<const N: usize>(ranges: [(Timestamp, Timestamp); N]) -> Self {
        Self(ranges.map(|(from, to)| from..to).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unseen_is_found_measured_and_counted_in_steps() {
        let at = |secs: i64| Timestamp::from_secs(1_000_000 + secs);
        let unseen = Unseen::of([(at(100), at(200)), (at(300), at(340))]);
        let held: Vec<_> = [99, 100, 199, 200, 320, 400].map(|secs| unseen.holds(at(secs))).into();
        assert_eq!(held, [false, true, true, false, true, false]);
        assert_eq!(unseen.within(at(150), at(310)), Duration::from_mins(1));
        assert_eq!(unseen.within(at(210), at(290)), Duration::ZERO);
        assert_eq!(unseen.steps(at(0), 60).collect::<Vec<_>>(), [2, 5], "rounded at both ends");
    }
}
