//! The exact sliding window: counts what was admitted in the last period, not in the last calendar minute.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::Timestamp;

/// How much is admitted: at most `limit` in *any* stretch of `period`, of which at most `burst` in any second.
///
/// Both bounds hold at once and both slide; the burst never adds to the limit. With `burst >= limit` the whole
/// allowance of a period may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub limit: u32,
    pub period: Duration,
    pub burst: u32,
}

/// The stretch that [`Quota::burst`] speaks of (or the period, where that is shorter).
pub const BURST_PERIOD: Duration = Duration::from_secs(1);

impl Quota {
    /// `limit` in any `period`, which may all come at once.
    pub const fn new(limit: u32, period: Duration) -> Self {
        Self { limit, period, burst: limit }
    }

    fn burst_period(self) -> Duration {
        self.period.min(BURST_PERIOD)
    }

    /// The grain of remembered times: one microsecond, which is exact, up to [`EXACT_LIMIT_MAX`]; above, a
    /// 4096th of the period.
    fn tick(self) -> Duration {
        if self.limit <= EXACT_LIMIT_MAX {
            return Duration::from_micros(1);
        }
        let period = u64::try_from(self.period.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(period.div_ceil(u64::from(EXACT_LIMIT_MAX)).max(1))
    }
}

/// Up to this limit every admission is remembered to the microsecond, which bounds a window at 64 kB. Above it
/// admissions of one tick are remembered as made at the tick's end: a window then still never admits more
/// than its limit, and refuses at most one tick (15 ms of a minute) too long.
pub const EXACT_LIMIT_MAX: u32 = 4096;

/// The answer to "may this happen now?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It counts; `remaining` more would be admitted at this instant.
    Admitted { remaining: u32 },
    /// It does not count. The same cost is admitted after `retry_after` if nothing else is until then. A cost
    /// above limit or burst never is; `retry_after` is then the period.
    Refused { retry_after: Duration },
}

/// What one key was admitted lately: at most [`EXACT_LIMIT_MAX`] + 2 entries of 16 bytes (twice that for one
/// period after a limit was raised above it).
///
/// Time may stand still or step back: up to a period back the window waits for the clock to catch up, a larger
/// step starts it anew.
#[derive(Clone, Debug)]
pub struct SlidingWindow {
    quota: Quota,
    /// Oldest first, times strictly ascending.
    entries: VecDeque<Entry>,
    used: u32,
    /// How many entries at the end lie within the burst period, and their sum.
    recent: usize,
    recent_used: u32,
    latest: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Timestamp,
    count: u32,
}

impl SlidingWindow {
    pub fn new(quota: Quota) -> Self {
        Self {
            quota,
            entries: VecDeque::new(),
            used: 0,
            recent: 0,
            recent_used: 0,
            latest: Timestamp::from_micros(i64::MIN),
        }
    }

    /// Decides about `cost` at `now`, and counts it where it is admitted.
    pub fn admit(&mut self, now: Timestamp, cost: u32) -> Admission {
        let admission = self.ask(now, cost);
        if let Admission::Admitted { .. } = admission {
            self.record(self.latest, cost);
        }
        admission
    }

    /// What [`SlidingWindow::admit`] would say; nothing is counted.
    pub fn ask(&mut self, now: Timestamp, cost: u32) -> Admission {
        let now = self.advance(now);
        let remaining = self.remaining();
        if cost > remaining {
            return Admission::Refused { retry_after: self.wait(now, cost) };
        }
        Admission::Admitted { remaining: remaining - cost }
    }

    /// Undoes what was admitted at `at`; what left the window is gone anyway.
    pub fn take_back(&mut self, at: Timestamp, cost: u32) {
        let at = ceil_to(at, self.quota.tick());
        // Where the clock stepped back it was recorded at another time, and stays: never too much is admitted.
        let Ok(place) = self.entries.binary_search_by_key(&at, |entry| entry.at) else { return };
        let Some(entry) = self.entries.get_mut(place) else { return };
        let cost = cost.min(entry.count);
        entry.count -= cost;
        let is_empty = entry.count == 0;
        self.used -= cost;
        if place >= self.entries.len() - self.recent {
            self.recent_used -= cost;
            self.recent -= usize::from(is_empty);
        }
        if is_empty {
            self.entries.remove(place);
        }
    }

    /// Goes on with another quota; what was admitted still counts.
    pub fn set_quota(&mut self, quota: Quota) {
        self.quota = quota;
    }

    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// Whether nothing that was admitted counts any more at `now`: the window may be forgotten.
    pub fn is_idle(&self, now: Timestamp) -> bool {
        let left = self.entries.back().is_none_or(|last| last.at + self.quota.period <= now);
        left || self.is_set_back(now)
    }

    fn remaining(&self) -> u32 {
        let of_limit = self.quota.limit.saturating_sub(self.used);
        of_limit.min(self.quota.burst.saturating_sub(self.recent_used))
    }

    /// Lets go of what left the window and returns the time that counts.
    fn advance(&mut self, now: Timestamp) -> Timestamp {
        if self.is_set_back(now) {
            *self = Self::new(self.quota);
        }
        let now = now.max(self.latest);
        self.latest = now;
        while let Some(oldest) =
            self.entries.len().checked_sub(self.recent).and_then(|at| self.entries.get(at))
            && oldest.at + self.quota.burst_period() <= now
        {
            self.recent_used -= oldest.count;
            self.recent -= 1;
        }
        while let Some(oldest) = self.entries.front()
            && oldest.at + self.quota.period <= now
        {
            self.used -= oldest.count;
            self.entries.pop_front();
        }
        now
    }

    fn is_set_back(&self, now: Timestamp) -> bool {
        self.latest.since(now) > self.quota.period
    }

    fn record(&mut self, now: Timestamp, cost: u32) {
        if cost == 0 {
            return;
        }
        self.used += cost;
        self.recent_used += cost;
        let at = ceil_to(now, self.quota.tick());
        match self.entries.back_mut() {
            // After a change of quota the last tick may end later than this one.
            Some(last) if last.at >= at => last.count += cost,
            Some(_) | None => {
                self.entries.push_back(Entry { at, count: cost });
                self.recent += 1;
            }
        }
    }

    /// How long until `cost` fits under both bounds.
    fn wait(&self, now: Timestamp, cost: u32) -> Duration {
        let Quota { limit, period, burst } = self.quota;
        if cost > limit || cost > burst {
            return period;
        }
        let recent = self.entries.iter().skip(self.entries.len() - self.recent);
        let fits = leaves(self.entries.iter(), over(self.used, cost, limit)).map(|at| at + period);
        let calm =
            leaves(recent, over(self.recent_used, cost, burst)).map(|at| at + self.quota.burst_period());
        fits.max(calm).map_or(Duration::ZERO, |at| at.since(now))
    }
}

/// By how much `used + cost` is above `bound`.
fn over(used: u32, cost: u32, bound: u32) -> u64 {
    (u64::from(used) + u64::from(cost)).saturating_sub(u64::from(bound))
}

/// The time of the entry with which `count` have left, oldest first; `None` where nothing has to.
fn leaves<'e>(entries: impl Iterator<Item = &'e Entry>, count: u64) -> Option<Timestamp> {
    let mut left = 0;
    let mut last = None;
    for entry in entries {
        if left >= count {
            break;
        }
        left += u64::from(entry.count);
        last = Some(entry.at);
    }
    last
}

fn ceil_to(at: Timestamp, tick: Duration) -> Timestamp {
    let floor = at.floor_to(tick);
    if floor == at { at } else { floor + tick }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition itself: remembers everything and adds up.
    struct Oracle {
        quota: Quota,
        admitted: Vec<(Timestamp, u32)>,
    }

    impl Oracle {
        fn sum(&self, now: Timestamp, period: Duration) -> u32 {
            self.admitted.iter().filter(|(at, _)| *at + period > now).map(|(_, cost)| cost).sum()
        }

        fn take_back(&mut self, at: Timestamp, cost: u32) {
            let place = self.admitted.iter().position(|admitted| *admitted == (at, cost)).unwrap();
            self.admitted.remove(place);
        }

        fn allows(&self, now: Timestamp, cost: u32) -> bool {
            self.sum(now, self.quota.period) + cost <= self.quota.limit
                && self.sum(now, self.quota.burst_period()) + cost <= self.quota.burst
        }
    }

    fn micros(count: u64) -> Duration {
        Duration::from_micros(count)
    }

    /// Quotas whose period lies on both sides of the burst period; gaps that hit its edges exactly.
    fn quotas() -> impl Strategy<Value = Quota> {
        let period = prop_oneof![Just(10), Just(999_999), Just(1_000_000), Just(2_000_001), Just(60_000_000)];
        (0u32..20, period, 0u32..25).prop_map(|(limit, period, burst)| Quota {
            limit,
            period: micros(period),
            burst,
        })
    }

    /// Gap, cost, and whether what is admitted is taken back after the next step.
    fn steps() -> impl Strategy<Value = Vec<(u64, u32, bool)>> {
        let gap = prop_oneof![
            Just(0),
            Just(1),
            Just(999_999),
            Just(1_000_000),
            0u64..20,
            0u64..600_000,
            0u64..9_000_000
        ];
        proptest::collection::vec((gap, 0u32..5, any::<bool>()), 1..120)
    }

    proptest! {
        #[test]
        fn the_window_decides_as_the_definition_and_tells_the_exact_wait(quota in quotas(), steps in steps()) {
            let mut window = SlidingWindow::new(quota);
            let mut oracle = Oracle { quota, admitted: Vec::new() };
            let mut now = Timestamp::from_secs(1_700_000_000);
            let mut undone = None;
            for (gap, cost, takes_back) in steps {
                now = now + micros(gap);
                match window.admit(now, cost) {
                    Admission::Admitted { remaining } => {
                        prop_assert!(oracle.allows(now, cost), "admitted too much at {now}");
                        oracle.admitted.push((now, cost));
                        prop_assert!(oracle.allows(now, remaining));
                        prop_assert!(!oracle.allows(now, remaining + 1));
                    }
                    Admission::Refused { retry_after } => {
                        prop_assert!(!oracle.allows(now, cost), "refused too much at {now}");
                        if cost <= quota.limit.min(quota.burst) {
                            prop_assert!(oracle.allows(now + retry_after, cost), "the wait is too short");
                            prop_assert!(!oracle.allows(now + retry_after - micros(1), cost), "it is too long");
                        } else {
                            prop_assert_eq!(retry_after, quota.period);
                        }
                    }
                }
                if let Some((at, cost)) = undone.take() {
                    window.take_back(at, cost);
                    oracle.take_back(at, cost);
                }
                undone = takes_back.then_some((now, cost)).filter(|undone| oracle.admitted.contains(undone));
            }
        }

        #[test]
        fn a_large_limit_is_never_exceeded_and_refuses_at_most_a_tick_too_long(
            steps in proptest::collection::vec((0u64..3_000_000, 0u32..2_000), 1..200),
        ) {
            let quota = Quota { limit: 10_000, period: Duration::from_secs(10), burst: 4_000 };
            let tick = quota.tick();
            prop_assert!(tick > micros(1));
            let mut window = SlidingWindow::new(quota);
            let mut exact = Oracle { quota, admitted: Vec::new() };
            let mut now = Timestamp::from_secs(1_700_000_000);
            for (gap, cost) in steps {
                now = now + micros(gap);
                match window.admit(now, cost) {
                    Admission::Admitted { .. } => {
                        prop_assert!(exact.allows(now, cost));
                        exact.admitted.push((now, cost));
                    }
                    Admission::Refused { .. } => prop_assert!(!exact.allows(now - tick, cost)),
                }
                prop_assert!(window.entries.len() <= 4098);
            }
        }

        #[test]
        fn a_clock_that_steps_anywhere_never_breaks_the_window(
            steps in proptest::collection::vec((any::<i64>(), 0u32..9), 0..60),
            small in proptest::collection::vec((-70_000_000i64..70_000_000, 0u32..9), 0..60),
        ) {
            let mut window = SlidingWindow::new(Quota::new(20, Duration::from_mins(1)));
            for (at, cost) in steps.into_iter().chain(small) {
                window.admit(Timestamp::from_micros(at), cost);
                if cost % 3 == 0 {
                    window.take_back(Timestamp::from_micros(at / 2 + at % 7), cost);
                }
                prop_assert_eq!(window.used, window.entries.iter().map(|e| e.count).sum::<u32>());
                let recent = window.entries.iter().rev().take(window.recent);
                prop_assert_eq!(window.recent_used, recent.map(|e| e.count).sum::<u32>());
                prop_assert!(window.used <= 20);
            }
        }
    }

    const NOON: Timestamp = Timestamp::from_secs(1_700_000_000);

    #[test]
    fn a_burst_within_a_second_is_bounded_on_its_own() {
        let mut window = SlidingWindow::new(Quota { limit: 5, period: Duration::from_mins(1), burst: 2 });
        assert_eq!(window.admit(NOON, 2), Admission::Admitted { remaining: 0 });
        assert_eq!(window.admit(NOON, 1), Admission::Refused { retry_after: Duration::from_secs(1) });
        assert_eq!(window.admit(NOON + Duration::from_secs(1), 2), Admission::Admitted { remaining: 0 });
        assert_eq!(window.admit(NOON + Duration::from_secs(2), 1), Admission::Admitted { remaining: 0 });
        let refused = window.admit(NOON + Duration::from_secs(3), 1);
        assert_eq!(refused, Admission::Refused { retry_after: Duration::from_secs(57) });
    }

    #[test]
    fn a_lowered_quota_counts_what_was_admitted_before() {
        let mut window = SlidingWindow::new(Quota::new(10, Duration::from_mins(1)));
        assert_eq!(window.admit(NOON, 8), Admission::Admitted { remaining: 2 });
        window.set_quota(Quota::new(3, Duration::from_mins(1)));
        let later = NOON + Duration::from_secs(20);
        assert_eq!(window.admit(later, 1), Admission::Refused { retry_after: Duration::from_secs(40) });
    }

    #[test]
    fn a_clock_set_back_far_starts_anew_and_a_little_waits() {
        let mut window = SlidingWindow::new(Quota::new(1, Duration::from_mins(1)));
        assert_eq!(window.admit(NOON, 1), Admission::Admitted { remaining: 0 });
        let little = NOON - Duration::from_secs(30);
        assert_eq!(window.admit(little, 1), Admission::Refused { retry_after: Duration::from_mins(1) });
        assert!(!window.is_idle(little));
        let far = NOON - Duration::from_secs(61);
        assert!(window.is_idle(far));
        assert_eq!(window.admit(far, 1), Admission::Admitted { remaining: 0 });
    }
}
