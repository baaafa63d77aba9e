//! When planned work takes place: pure, and exact over every change of the clocks.

use std::time::Duration;

use crate::base::{Crontab, Timestamp};

/// Once, or by a schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// When the only occurrence begins; of a schedule: none begins before it.
    pub starts_at: Timestamp,
    /// Of a schedule: none begins at or after it.
    pub ends_at: Option<Timestamp>,
    /// Time that passes, whatever the clocks do meanwhile.
    pub duration: Duration,
    pub repeats: Option<Crontab>,
}

/// One time at which it takes place; it ends before `ends_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Occurrence {
    pub begins_at: Timestamp,
    pub ends_at: Timestamp,
}

/// Steps along a schedule for one answer. Occurrences do not overlap where they are regular; of an irregular
/// schedule's some may, and those cover the moment all the same.
const STEPS_MAX: usize = 1_000;
/// The least that times are apart.
const TICK: Duration = Duration::from_micros(1);

impl Plan {
    /// The occurrence that `now` lies in; the latest where some overlap.
    pub fn occurrence_at(&self, now: Timestamp) -> Option<Occurrence> {
        let begins_at = match &self.repeats {
            None => Some(self.starts_at).filter(|begins| *begins <= now),
            Some(crontab) => {
                let from = (now - self.duration).max(self.starts_at - TICK);
                crontab.after(from).take(STEPS_MAX).take_while(|at| *at <= now && self.goes_on_at(*at)).last()
            }
        };
        begins_at.map(|at| self.occurrence(at)).filter(|occurrence| now < occurrence.ends_at)
    }

    /// The first occurrence that begins after `now`.
    pub fn next_after(&self, now: Timestamp) -> Option<Occurrence> {
        let begins_at = match &self.repeats {
            None => Some(self.starts_at).filter(|begins| *begins > now),
            Some(crontab) => {
                crontab.next_after(now.max(self.starts_at - TICK)).filter(|at| self.goes_on_at(*at))
            }
        };
        begins_at.map(|at| self.occurrence(at))
    }

    /// The occurrences that begin after `now`, soonest first.
    pub fn upcoming(&self, now: Timestamp) -> impl Iterator<Item = Occurrence> {
        std::iter::successors(self.next_after(now), |last| self.next_after(last.begins_at))
    }

    fn goes_on_at(&self, at: Timestamp) -> bool {
        self.ends_at.is_none_or(|end| at < end)
    }

    fn occurrence(&self, begins_at: Timestamp) -> Occurrence {
        Occurrence { begins_at, ends_at: begins_at + self.duration }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn nightly(zone: &str, hours: u64) -> Plan {
        Plan {
            starts_at: at("2026-01-01T00:00:00Z"),
            ends_at: None,
            duration: Duration::from_hours(hours),
            repeats: Some(Crontab::parse("30 2 * * *", zone).unwrap()),
        }
    }

    #[test]
    fn work_that_is_done_once_has_one_occurrence() {
        let starts_at = at("2026-11-21T22:00:00Z");
        let once = Plan { starts_at, ends_at: None, duration: Duration::from_hours(1), repeats: None };
        let only = Occurrence { begins_at: starts_at, ends_at: at("2026-11-21T23:00:00Z") };
        assert_eq!(once.occurrence_at(starts_at - TICK), None);
        assert_eq!(once.next_after(starts_at - TICK), Some(only));
        assert_eq!(once.occurrence_at(starts_at), Some(only));
        assert_eq!(once.next_after(starts_at), None);
        assert_eq!(once.occurrence_at(only.ends_at - TICK), Some(only));
        assert_eq!(once.occurrence_at(only.ends_at), None);
    }

    #[test]
    fn a_schedule_keeps_within_its_first_and_last_day() {
        let plan = Plan { ends_at: Some(at("2026-01-03T02:30:00Z")), ..nightly("UTC", 1) };
        let begins: Vec<_> = plan.upcoming(Timestamp::EPOCH).map(|o| o.begins_at.to_rfc3339()).collect();
        assert_eq!(begins, ["2026-01-01T02:30:00.000000Z", "2026-01-02T02:30:00.000000Z"]);
        assert_eq!(plan.occurrence_at(at("2026-01-03T02:45:00Z")), None);
        let early = Plan { starts_at: at("2026-01-01T02:30:00Z"), ..plan };
        assert_eq!(early.upcoming(Timestamp::EPOCH).count(), 2, "the first moment counts");
    }

    #[test]
    fn where_the_clock_is_set_forward_it_takes_place_after_the_gap_and_as_long_as_ever() {
        let plan = nightly("Europe/Berlin", 2);
        let shown = plan.occurrence_at(at("2026-03-29T02:00:00Z")).unwrap();
        assert_eq!(shown.begins_at, at("2026-03-29T01:00:00Z"), "02:30 does not come; 03:00 does");
        assert_eq!(shown.ends_at, at("2026-03-29T03:00:00Z"));
    }

    #[test]
    fn where_the_clock_is_set_back_it_takes_place_once() {
        let plan = nightly("Europe/Berlin", 1);
        let begins: Vec<_> = plan.upcoming(at("2026-10-24T12:00:00Z")).take(2).map(|o| o.begins_at).collect();
        assert_eq!(begins, [at("2026-10-25T00:30:00Z"), at("2026-10-26T01:30:00Z")]);
        assert_eq!(plan.occurrence_at(at("2026-10-25T01:45:00Z")), None, "02:30 comes a second time");
    }

    proptest! {
        #[test]
        fn what_comes_next_is_what_it_is_when_it_has_come(
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
            schedule in prop::sample::select(vec!["30 2 * * *", "0 3 * * SUN", "15 */6 * * *", "0 0 1 * *"]),
            minutes in 1_u64..300,
            // Two years, with eight changes of the clocks.
            second in 1_767_225_600_i64..1_830_297_600,
        ) {
            let plan = Plan {
                starts_at: at("2026-01-01T00:00:00Z"),
                ends_at: None,
                duration: Duration::from_mins(minutes),
                repeats: Some(Crontab::parse(schedule, zone).unwrap()),
            };
            let now = Timestamp::from_secs(second);
            let next = plan.next_after(now).unwrap();
            prop_assert!(next.begins_at > now);
            prop_assert_eq!(next.ends_at.since(next.begins_at), plan.duration);
            prop_assert_eq!(plan.occurrence_at(next.begins_at), Some(next));
            prop_assert_eq!(plan.occurrence_at(next.ends_at - TICK), Some(next));
            prop_assert_ne!(plan.occurrence_at(next.begins_at - TICK), Some(next));
            if let Some(current) = plan.occurrence_at(now) {
                prop_assert!(current.begins_at <= now && now < current.ends_at);
                prop_assert_eq!(plan.next_after(current.begins_at), Some(next));
            }
            prop_assert!(next.begins_at.since(now) <= Duration::from_hours(31 * 24 + 1));
        }
    }
}
