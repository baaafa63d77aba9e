//! How long to wait before the next attempt.

use std::time::Duration;

use crate::base::Timestamp;

/// Doubling waits with jitter, a cap, and a deadline for the whole.
///
/// The wait after attempt `n` (counted from 1) is drawn evenly from the upper half of
/// `min(base × 2^(n−1), cap)`: never at once, never longer than planned, and many senders spread out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub base: Duration,
    pub cap: Duration,
    /// Measured from the first attempt's due time; after it nothing is tried again.
    pub total: Duration,
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    At(Timestamp),
    /// The next attempt would come after the deadline.
    GiveUp,
}

impl Backoff {
    /// The wait after attempt `attempt` (from 1); `drawn` is 64 random bits.
    pub fn delay(&self, attempt: u32, drawn: u64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(63);
        let planned = micros(self.base).saturating_mul(1 << doublings).min(micros(self.cap));
        let half = planned / 2;
        Duration::from_micros(half + scale(drawn, planned - half))
    }

    /// When to try again. A peer's `retry_after` is never undercut; it may exceed the cap, not the deadline.
    pub fn next(
        &self,
        first_due: Timestamp,
        attempt: u32,
        now: Timestamp,
        retry_after: Option<Duration>,
        drawn: u64,
    ) -> Next {
        let wait = self.delay(attempt, drawn).max(retry_after.unwrap_or(Duration::ZERO));
        let at = now + wait;
        if at.since(first_due) > self.total { Next::GiveUp } else { Next::At(at) }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// `drawn` mapped evenly to 0..=`max`.
fn scale(drawn: u64, max: u64) -> u64 {
    let product = u128::from(drawn) * (u128::from(max) + 1);
    u64::try_from(product >> 64).unwrap_or(max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAN: Backoff = Backoff {
        base: Duration::from_secs(5),
        cap: Duration::from_mins(10),
        total: Duration::from_hours(24),
    };

    #[test]
    fn waits_double_up_to_the_cap() {
        let longest: Vec<u64> = (1..=9).map(|n| PLAN.delay(n, u64::MAX).as_secs()).collect();
        assert_eq!(longest, [5, 10, 20, 40, 80, 160, 320, 600, 600]);
        let shortest: Vec<u64> = (1..=3).map(|n| PLAN.delay(n, 0).as_millis().try_into().unwrap()).collect();
        assert_eq!(shortest, [2500, 5000, 10_000]);
    }

    #[test]
    fn a_peers_retry_after_is_never_undercut() {
        let now = Timestamp::from_secs(1_000);
        let next = PLAN.next(now, 1, now, Some(Duration::from_hours(1)), 0);
        assert_eq!(next, Next::At(now + Duration::from_hours(1)));
        let early = PLAN.next(now, 1, now, Some(Duration::from_millis(1)), 0);
        assert_eq!(early, Next::At(now + Duration::from_millis(2500)));
    }

    #[test]
    fn after_the_deadline_nothing_is_tried() {
        let first = Timestamp::from_secs(1_000);
        let late = first + Duration::from_hours(24);
        assert_eq!(PLAN.next(first, 3, late, None, 0), Next::GiveUp);
        assert_eq!(PLAN.next(first, 1, first, Some(Duration::from_hours(25)), 0), Next::GiveUp);
    }

    proptest! {
        #[test]
        fn a_wait_lies_in_the_upper_half_of_its_plan(attempt in 0u32..=u32::MAX, drawn: u64) {
            let planned = PLAN.delay(attempt, u64::MAX);
            let wait = PLAN.delay(attempt, drawn);
            prop_assert!(wait <= planned && wait >= planned / 2);
            prop_assert!(planned <= PLAN.cap);
        }
    }
}
