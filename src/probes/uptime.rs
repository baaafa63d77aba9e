//! How a probe was over a time: pure, from its changes and from when tocsin could not see.

use std::time::Duration;

use super::Status;
use super::queries::ChangeLine;
use crate::base::Timestamp;
use crate::vigil::{Blind, Piece};

/// A time in which it was one and the same.
pub type Segment = Piece<Status>;

/// How long it was how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uptime {
    /// Healthy or degraded.
    pub up: Duration,
    pub down: Duration,
    /// tocsin could not see.
    pub blind: Duration,
    /// Planned work, a pause, what it depends on: not charged.
    pub not_charged: Duration,
    /// Not proved yet.
    pub unknown: Duration,
}

impl Uptime {
    /// Sums up segments.
    pub fn of(segments: &[Segment]) -> Self {
        let mut sum = Self::default();
        for segment in segments {
            *sum.part(segment.seen) += segment.to.since(segment.from);
        }
        sum
    }

    /// The share of the time in which it was up, of that in which it was seen; `None` where it never was.
    pub fn share(&self) -> Option<f64> {
        let seen = self.up + self.down;
        (!seen.is_zero()).then(|| self.up.as_secs_f64() / seen.as_secs_f64())
    }

    const fn part(&mut self, status: Option<Status>) -> &mut Duration {
        match status {
            None => &mut self.blind,
            Some(Status::Healthy | Status::Degraded) => &mut self.up,
            Some(Status::Unhealthy) => &mut self.down,
            Some(Status::Maintenance | Status::Paused | Status::Unreachable) => &mut self.not_charged,
            Some(Status::Unknown) => &mut self.unknown,
        }
    }
}

/// The time from `from` to `to` in pieces: how it was by its changes, the oldest first, and blind where that lies over it.
/// Before the first change nothing is known, and no piece stands for it.
pub fn segments(changes: &[ChangeLine], blind: &Blind, from: Timestamp, to: Timestamp) -> Vec<Segment> {
    blind.cut(changes.iter().map(|change| (change.at, change.status)), from, to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vigil::{Blindness, Spell};

    fn change(at: i64, status: Status) -> ChangeLine {
        ChangeLine { at: Timestamp::from_secs(at), status, reason: String::new() }
    }

    fn spell(began: i64, ended: Option<i64>) -> Spell {
        Spell {
            reason: Blindness::Down,
            began_at: Timestamp::from_secs(began),
            ended_at: ended.map(Timestamp::from_secs),
            detail: String::new(),
        }
    }

    fn summed(changes: &[ChangeLine], spells: &[Spell]) -> [u64; 5] {
        let pieces =
            segments(changes, &Blind::of(spells), Timestamp::from_secs(100), Timestamp::from_secs(200));
        let Uptime { up, down, blind, not_charged, unknown } = Uptime::of(&pieces);
        [up, down, blind, not_charged, unknown].map(|it| it.as_secs())
    }

    #[test]
    fn time_is_charged_only_where_it_was_seen() {
        let steady = [change(50, Status::Healthy)];
        let outage =
            [change(50, Status::Healthy), change(120, Status::Unhealthy), change(150, Status::Degraded)];
        let work =
            [change(110, Status::Unknown), change(120, Status::Healthy), change(160, Status::Maintenance)];
        let table: [(&[ChangeLine], &[Spell], [u64; 5]); 7] = [
            (&[], &[], [0; 5]),
            (&steady, &[], [100, 0, 0, 0, 0]),
            (&outage, &[], [70, 30, 0, 0, 0]),
            (&outage, &[spell(130, Some(140))], [70, 20, 10, 0, 0]),
            (&outage, &[spell(90, Some(110)), spell(105, Some(115)), spell(190, None)], [45, 30, 25, 0, 0]),
            (&outage, &[spell(0, None)], [0, 0, 100, 0, 0]),
            (&work, &[], [40, 0, 0, 40, 10]),
        ];
        for (changes, spells, expected) in table {
            assert_eq!(summed(changes, spells), expected, "{changes:?} {spells:?}");
        }
    }

    #[test]
    fn what_was_never_seen_has_no_uptime() {
        assert_eq!(Uptime::default().share(), None);
        let half = Uptime { up: Duration::from_secs(1), down: Duration::from_secs(1), ..Uptime::default() };
        assert_eq!(half.share(), Some(0.5));
    }

    proptest::proptest! {
        #[test]
        fn no_second_is_counted_twice(at in proptest::collection::vec((0_i64..300, 0_usize..7), 0..12),
            blind in proptest::collection::vec((0_i64..300, 1_i64..100), 0..6)) {
            let mut at = at;
            at.sort_unstable();
            let changes: Vec<_> = at.iter().map(|(at, status)| change(*at, Status::ALL[*status])).collect();
            let spells: Vec<_> = blind.iter().map(|(from, length)| spell(*from, Some(from + length))).collect();
            let known = changes.first().map_or(0, |first| 200 - first.at.as_secs().clamp(100, 200));
            proptest::prop_assert_eq!(summed(&changes, &spells).iter().sum::<u64>(), u64::try_from(known).unwrap());
        }
    }
}
