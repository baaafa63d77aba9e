//! So many in a second, whenever somebody looks. Pure: the pace is kept as the moment up to which it is used up, so that
//! it survives a restart and needs no memory.

use std::time::Duration;

use crate::base::Timestamp;

/// What may go now of a pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// Never before a second ago: what was missed is not made up for. Never later than now, were the clock set back.
    from: Timestamp,
    per_second: u32,
    /// So many may go.
    pub(super) allowed: u32,
}

const BURST: Duration = Duration::from_secs(1);

impl Pace {
    pub(super) fn new(used_up_to: Timestamp, now: Timestamp, per_second: u32) -> Self {
        let from = used_up_to.clamp(now - BURST, now);
        let micros = now.since(from).as_micros();
        let allowed = u32::try_from(micros * u128::from(per_second) / 1_000_000).unwrap_or(per_second);
        Self { from, per_second, allowed }
    }

    /// Up to when it is used up once `gone` went.
    pub(super) fn after(&self, gone: u32) -> Timestamp {
        self.from + Duration::from_micros(u64::from(gone) * 1_000_000 / u64::from(self.per_second.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T0: Timestamp = Timestamp::from_secs(1_800_000_000);

    proptest! {
        #[test]
        fn no_stretch_of_time_sees_more_than_the_pace_and_one_second_more(
            per_second in 1u32..=100, waits in prop::collection::vec(0u64..3_000, 1..60),
        ) {
            let (mut used, mut now, mut gone) = (T0, T0, 0u64);
            for wait in waits {
                now = now + Duration::from_millis(wait);
                let pace = Pace::new(used, now, per_second);
                prop_assert!(pace.allowed <= per_second);
                used = pace.after(pace.allowed);
                gone += u64::from(pace.allowed);
                let most = now.since(T0).as_secs_f64() * f64::from(per_second);
                #[expect(clippy::cast_precision_loss, reason = "a small count")]
                let gone = gone as f64;
                prop_assert!(gone <= most + 0.01, "{gone} of {most}");
            }
        }
    }

    #[test]
    fn who_looks_every_second_gets_all_of_it() {
        let (mut used, mut gone) = (T0, 0);
        for second in 1..=60 {
            let pace = Pace::new(used, T0 + Duration::from_secs(second), 7);
            used = pace.after(pace.allowed);
            gone += pace.allowed;
        }
        assert!((417..=420).contains(&gone), "{gone}");
    }

    #[test]
    fn a_clock_that_was_set_back_stops_nothing_for_long() {
        let pace = Pace::new(T0 + Duration::from_hours(5), T0, 5);
        assert_eq!((pace.allowed, pace.after(0)), (0, T0));
    }
}
