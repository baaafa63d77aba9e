//! When which probe is asked next. Times are [`crate::base::Clock::monotonic`], which nobody sets.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::probes::ProbeId;

/// Probes by their next time.
#[derive(Debug, Default)]
pub(super) struct Wheel {
    by_time: BTreeSet<(Duration, ProbeId)>,
    times: HashMap<ProbeId, Duration>,
}

impl Wheel {
    /// Makes `at` the next time of a probe, whatever it was.
    pub(super) fn set(&mut self, id: ProbeId, at: Duration) {
        self.remove(id);
        self.times.insert(id, at);
        self.by_time.insert((at, id));
    }

    /// As [`Wheel::set`], unless it comes earlier already.
    pub(super) fn hurry(&mut self, id: ProbeId, at: Duration) {
        if self.times.get(&id).is_none_or(|known| *known > at) {
            self.set(id, at);
        }
    }

    /// Gives a probe that is overdue, or would not come within `time`, its place in it.
    pub(super) fn spread(&mut self, id: ProbeId, now: Duration, time: Duration) {
        if self.times.get(&id).is_none_or(|at| *at <= now || *at > now + time) {
            self.set(id, now + place(id, time));
        }
    }

    pub(super) fn remove(&mut self, id: ProbeId) {
        if let Some(before) = self.times.remove(&id) {
            self.by_time.remove(&(before, id));
        }
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes out the probe that has been due longest, with when that was.
    pub(super) fn pop_due(&mut self, now: Duration) -> Option<(ProbeId, Duration)> {
        let (at, id) = *self.by_time.first().filter(|(at, _)| *at <= now)?;
        self.remove(id);
        Some((id, at))
    }
}

/// Where in its interval a probe is asked: always the same place, all of them spread evenly.
pub(super) fn place(id: ProbeId, interval: Duration) -> Duration {
    // The finalizer of SplitMix64: neighbouring numbers land far apart.
    let mut mixed = u64::from_ne_bytes(id.0.to_ne_bytes()).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let micros = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX).max(1);
    Duration::from_micros(mixed % micros)
}

/// The first time after `now` at the probe's place in its interval: however long a run took, nothing drifts.
pub(super) fn next_place(id: ProbeId, interval: Duration, now: Duration) -> Duration {
    let place = place(id, interval);
    let passed = now.saturating_sub(place).as_micros() / interval.as_micros().max(1);
    let passed = u32::try_from(passed).unwrap_or(u32::MAX);
    let at = place + interval.saturating_mul(passed);
    if at > now { at } else { at + interval }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn what_is_due_longest_comes_first_and_each_stands_once() {
        let mut wheel = Wheel::default();
        for (id, at) in [(1, 30), (2, 10), (3, 20), (1, 5)] {
            wheel.set(ProbeId(id), seconds(at));
        }
        wheel.hurry(ProbeId(3), seconds(25));
        wheel.remove(ProbeId(2));
        assert_eq!(wheel.next(), Some(seconds(5)));
        assert_eq!(wheel.pop_due(seconds(4)), None);
        assert_eq!(wheel.pop_due(seconds(100)), Some((ProbeId(1), seconds(5))));
        assert_eq!(wheel.pop_due(seconds(100)), Some((ProbeId(3), seconds(20))));
        assert_eq!(wheel.pop_due(seconds(100)), None);
    }

    #[test]
    fn what_is_overdue_or_far_off_is_spread_and_the_rest_keeps_its_time() {
        let (mut wheel, now) = (Wheel::default(), seconds(1000));
        for id in 0..1000 {
            wheel.set(ProbeId(id), seconds(400));
        }
        for (id, at) in [(2000, 1010), (2001, 4600)] {
            wheel.set(ProbeId(id), seconds(at));
        }
        for id in (0..1000).chain([2000, 2001]) {
            wheel.spread(ProbeId(id), now, seconds(60));
        }
        let times = wheel.times.clone();
        assert_eq!(times[&ProbeId(2000)], seconds(1010));
        let mut in_a_second = HashMap::<u64, usize>::new();
        for at in times.values() {
            assert!((now..now + seconds(60)).contains(at), "{at:?}");
            *in_a_second.entry(at.as_secs()).or_default() += 1;
        }
        assert!(in_a_second.values().all(|count| *count < 50), "{in_a_second:?}");
    }

    #[test]
    fn probes_are_spread_over_their_interval() {
        let mut tenths = [0; 10];
        for id in 1..=5000 {
            let place = place(ProbeId(id), seconds(30));
            assert!(place < seconds(30));
            tenths[usize::try_from(place.as_secs() / 3).unwrap()] += 1;
        }
        assert!(tenths.iter().all(|count| (400..=600).contains(count)), "{tenths:?}");
    }

    proptest::proptest! {
        #[test]
        fn a_place_comes_back_after_each_interval(id in 1_i64..10_000, interval in 5_u64..86_400, now in 0_u64..10_000_000) {
            let (id, interval, now) = (ProbeId(id), seconds(interval), seconds(now));
            let at = next_place(id, interval, now);
            proptest::prop_assert!(at > now && at <= now + interval);
            proptest::prop_assert_eq!(next_place(id, interval, at), at + interval);
        }
    }
}
