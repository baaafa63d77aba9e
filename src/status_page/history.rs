//! Ninety days of a service, counted honestly: time that nobody saw is neither up nor down. Pure.

use std::time::Duration;

use serde::Serialize;

use crate::base::Timestamp;
use crate::vigil::Blind;

/// How a service was known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Up,
    Degraded,
    Down,
    Maintenance,
    /// Nobody could say: not seen yet, what it depends on was down, or paused.
    Unknown,
}

/// From then on it was so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    pub at: Timestamp,
    pub state: State,
}

/// How long it was how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Times {
    #[serde(serialize_with = "seconds")]
    pub up: Duration,
    #[serde(serialize_with = "seconds")]
    pub degraded: Duration,
    #[serde(serialize_with = "seconds")]
    pub down: Duration,
    #[serde(serialize_with = "seconds")]
    pub maintenance: Duration,
    /// tocsin itself could not see.
    #[serde(serialize_with = "seconds")]
    pub blind: Duration,
    /// Watched, and yet nobody could say.
    #[serde(serialize_with = "seconds")]
    pub unknown: Duration,
    /// Not watched yet.
    #[serde(serialize_with = "seconds")]
    pub unwatched: Duration,
}

/// One day, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Day {
    pub begins_at: Timestamp,
    pub times: Times,
}

/// What a day looks like: the worst that was seen of it, or why nothing was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Look {
    Up,
    Degraded,
    Down,
    Maintenance,
    /// For an hour or more nobody saw it, and what was seen was well.
    Blind,
    NoData,
}

const DAY: Duration = Duration::from_hours(24);
/// Up for most of a day and unseen for a while is up, with a note; from here on the day says so itself.
const BLIND_LOOKS_FROM: Duration = Duration::from_hours(1);
/// A minute of it is seen in the bar; what is less is no news.
const PLANNED_LOOKS_FROM: Duration = Duration::from_mins(1);
/// What was confirmed stands in the bar however short it was, and planned work beside it hides nothing.
const TROUBLE_LOOKS_FROM: Duration = Duration::from_secs(1);

/// The last `count` days up to `now`, the oldest first. `turns` in order of time; the first tells since when it is
/// watched.
pub fn days(turns: &[Turn], blind: &Blind, now: Timestamp, count: u32) -> Vec<Day> {
    let today = now.floor_to(DAY);
    let day = |back| Day { begins_at: today - DAY * back, times: Times::default() };
    let mut days: Vec<Day> = (0..count).rev().map(day).collect();
    let Some(from) = days.first().map(|day| day.begins_at) else { return days };
    let watched_from = turns.first().map_or(now, |first| first.at).clamp(from, now);
    spread(&mut days, (from, watched_from), |times| &mut times.unwatched);
    // Blind stands above everything: who did not see cannot say.
    for piece in blind.cut(turns.iter().map(|turn| (turn.at, turn.state)), from, now) {
        spread(&mut days, (piece.from, piece.to), |times| times.of(piece.seen));
    }
    days
}

/// Counts the time from `from` to `to` in the days that it lies in.
fn spread(days: &mut [Day], (from, to): (Timestamp, Timestamp), part: impl Fn(&mut Times) -> &mut Duration) {
    let begins_at = days.first().map_or(from, |day| day.begins_at);
    let first = from.since(begins_at).as_secs() / DAY.as_secs();
    for day in days.iter_mut().skip(usize::try_from(first).unwrap_or(usize::MAX)) {
        if day.begins_at >= to {
            break;
        }
        *part(&mut day.times) += (day.begins_at + DAY).min(to).since(day.begins_at.max(from));
    }
}

impl Times {
    /// Where a time is counted in which it was so; `None`: nobody saw.
    const fn of(&mut self, seen: Option<State>) -> &mut Duration {
        match seen {
            None => &mut self.blind,
            Some(State::Up) => &mut self.up,
            Some(State::Degraded) => &mut self.degraded,
            Some(State::Down) => &mut self.down,
            Some(State::Maintenance) => &mut self.maintenance,
            Some(State::Unknown) => &mut self.unknown,
        }
    }

    /// The share of the time that was seen and not planned in which it worked, 0 to 1; `None` where there is none.
    pub fn uptime(&self) -> Option<f64> {
        let worked = (self.up + self.degraded).as_secs_f64();
        let counted = worked + self.down.as_secs_f64();
        (counted > 0.0).then(|| worked / counted)
    }

    /// All of these together.
    pub fn sum(days: &[Day]) -> Self {
        days.iter().fold(Self::default(), |sum, day| Self {
            up: sum.up + day.times.up,
            degraded: sum.degraded + day.times.degraded,
            down: sum.down + day.times.down,
            maintenance: sum.maintenance + day.times.maintenance,
            blind: sum.blind + day.times.blind,
            unknown: sum.unknown + day.times.unknown,
            unwatched: sum.unwatched + day.times.unwatched,
        })
    }

    /// What a day of these looks like.
    pub fn look(&self) -> Look {
        let seen = self.up + self.degraded + self.down + self.maintenance;
        // Where it was never seen well, a moment of trouble is all there is to tell.
        let looks_from = if self.up.is_zero() { Duration::from_micros(1) } else { TROUBLE_LOOKS_FROM };
        if self.down >= looks_from {
            Look::Down
        } else if self.degraded >= looks_from {
            Look::Degraded
        } else if self.blind >= BLIND_LOOKS_FROM || (seen.is_zero() && !self.blind.is_zero()) {
            Look::Blind
        } else if self.maintenance >= looks_from.max(PLANNED_LOOKS_FROM) {
            Look::Maintenance
        } else if self.up.is_zero() {
            Look::NoData
        } else {
            Look::Up
        }
    }
}

impl Look {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Maintenance => "maintenance",
            Self::Blind => "blind",
            Self::NoData => "nodata",
        }
    }
}

fn seconds<S: serde::Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(span.as_secs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::vigil::{Blindness, Spell};

    /// 2027-01-15, midnight.
    const T0: Timestamp = Timestamp::from_secs(1_799_971_200);

    fn at(hour: u64) -> Timestamp {
        T0 + Duration::from_hours(hour)
    }

    fn turns(of: &[(u64, State)]) -> Vec<Turn> {
        of.iter().map(|(hour, state)| Turn { at: at(*hour), state: *state }).collect()
    }

    fn spells(of: &[(u64, Option<u64>)]) -> Vec<Spell> {
        let spell = |(began, ended): &(u64, Option<u64>)| Spell {
            reason: Blindness::Down,
            began_at: at(*began),
            ended_at: ended.map(at),
            detail: String::new(),
        };
        of.iter().map(spell).collect()
    }

    /// Of the first day.
    fn times(turns: &[Turn], spells: &[Spell]) -> Times {
        days(turns, &Blind::of(spells), at(24), 2)[0].times
    }

    /// Hours up, degraded, down, in maintenance, blind, unknown, unwatched.
    fn hours(times: Times) -> [u64; 7] {
        let Times { up, degraded, down, maintenance, blind, unknown, unwatched } = times;
        [up, degraded, down, maintenance, blind, unknown, unwatched].map(|span| span.as_secs() / 3600)
    }

    #[test]
    fn every_hour_of_a_day_is_counted_once() {
        use State::{Degraded, Down, Maintenance, Unknown, Up};
        type Case<'a> = (&'a str, &'a [(u64, State)], &'a [(u64, Option<u64>)], [u64; 7]);
        let cases: [Case<'_>; 11] = [
            ("never watched", &[], &[], [0, 0, 0, 0, 0, 0, 24]),
            ("never watched, and blind", &[], &[(2, Some(4))], [0, 0, 0, 0, 0, 0, 24]),
            ("up all day", &[(0, Up)], &[], [24, 0, 0, 0, 0, 0, 0]),
            ("watched from six", &[(6, Up)], &[], [18, 0, 0, 0, 0, 0, 6]),
            ("an outage", &[(0, Up), (3, Down), (5, Up)], &[], [22, 0, 2, 0, 0, 0, 0]),
            ("blind while up", &[(0, Up)], &[(3, Some(5))], [22, 0, 0, 0, 2, 0, 0]),
            ("blind in an outage", &[(0, Up), (2, Down), (8, Up)], &[(3, Some(5))], [18, 0, 4, 0, 2, 0, 0]),
            ("spells overlap", &[(0, Up)], &[(3, Some(6)), (5, Some(7))], [20, 0, 0, 0, 4, 0, 0]),
            ("still blind", &[(0, Up)], &[(20, None)], [20, 0, 0, 0, 4, 0, 0]),
            (
                "maintenance, then an outage, then slow",
                &[(0, Up), (1, Maintenance), (3, Down), (4, Degraded), (9, Up)],
                &[],
                [16, 5, 1, 2, 0, 0, 0],
            ),
            ("what it depends on was down", &[(0, Up), (4, Unknown), (6, Up)], &[], [22, 0, 0, 0, 0, 2, 0]),
        ];
        for (name, of, blind, expected) in cases {
            assert_eq!(hours(times(&turns(of), &spells(blind))), expected, "{name}");
        }
    }

    #[test]
    fn uptime_charges_only_what_was_seen_to_be_down() {
        use State::{Down, Maintenance, Unknown, Up};
        for (of, blind, uptime) in [
            (&[(0, Up), (6, Down), (12, Up)][..], &[][..], Some(0.75)),
            (&[(0, Up), (6, Down), (12, Up)], &[(6, Some(12))], Some(1.0)),
            (&[(0, Up), (6, Maintenance), (12, Up)], &[], Some(1.0)),
            (&[(0, Up), (6, Unknown), (12, Down)], &[], Some(1.0 / 3.0)),
            (&[(0, Maintenance)], &[], None),
            (&[(0, Up)], &[(0, None)], None),
        ] {
            let counted = times(&turns(of), &spells(blind)).uptime();
            assert_eq!(counted, uptime, "{of:?}");
        }
    }

    #[test]
    fn a_day_looks_as_the_worst_that_was_seen_and_says_when_nobody_looked() {
        let looks = |times: Times| times.look();
        let hours = Duration::from_hours;
        let up = Times { up: hours(24), ..Times::default() };
        assert_eq!(looks(up), Look::Up);
        let (outage, work) = (Duration::from_secs(29), Duration::from_secs(86));
        assert_eq!(looks(Times { down: outage, ..up }), Look::Down);
        assert_eq!(looks(Times { down: outage, maintenance: work, ..up }), Look::Down, "outside of the work");
        assert_eq!(looks(Times { degraded: outage, maintenance: work, ..up }), Look::Degraded);
        assert_eq!(looks(Times { maintenance: Duration::from_secs(59), ..up }), Look::Up);
        assert_eq!(looks(Times { down: Duration::from_mins(1), blind: hours(5), ..up }), Look::Down);
        assert_eq!(looks(Times { degraded: hours(1), blind: hours(5), ..up }), Look::Degraded);
        assert_eq!(looks(Times { blind: Duration::from_mins(12), ..up }), Look::Up);
        assert_eq!(looks(Times { blind: hours(1), maintenance: hours(1), ..up }), Look::Blind);
        assert_eq!(looks(Times { maintenance: hours(1), ..up }), Look::Maintenance);
        assert_eq!(looks(Times { blind: Duration::from_mins(1), ..Times::default() }), Look::Blind);
        assert_eq!(looks(Times { unwatched: hours(24), ..Times::default() }), Look::NoData);
        let moment = Duration::from_secs(30);
        let bad = Times { down: moment, unwatched: hours(9), blind: moment, ..Times::default() };
        assert_eq!(looks(bad), Look::Down, "it was seen, and never well");
        assert_eq!(looks(Times { degraded: moment, ..Times::default() }), Look::Degraded);
    }

    #[test]
    fn the_days_end_now() {
        let found = days(&turns(&[(0, State::Up)]), &Blind::default(), at(30), 3);
        let hours: Vec<_> = found.iter().map(|day| day.times.up.as_secs() / 3600).collect();
        assert_eq!(hours, [0, 24, 6]);
        assert_eq!(found[2].begins_at, at(24));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_counted_twice(
            mut of in prop::collection::vec((0_u64..2_400, 0_usize..5), 0..20),
            blind in prop::collection::vec((0_u64..2_400, prop::option::of(0_u64..300)), 0..8),
        ) {
            use State::{Degraded, Down, Maintenance, Unknown, Up};
            of.sort_by_key(|(hour, _)| *hour);
            let turns: Vec<_> = of
                .iter()
                .map(|(hour, nth)| Turn { at: at(*hour), state: [Up, Degraded, Down, Maintenance, Unknown][*nth] })
                .collect();
            let spells = spells(&blind.iter().map(|(from, long)| (*from, long.map(|long| from + long))).collect::<Vec<_>>());
            let (now, count) = (at(2_399), 90);
            let all = Times::sum(&days(&turns, &Blind::of(&spells), now, count));
            let Times { up, degraded, down, maintenance, blind, unknown, unwatched } = all;
            let total = up + degraded + down + maintenance + blind + unknown + unwatched;
            prop_assert_eq!(total, now.since(now.floor_to(DAY) - DAY * (count - 1)));
            prop_assert!(all.uptime().is_none_or(|share| (0.0..=1.0).contains(&share)));
        }
    }
}
