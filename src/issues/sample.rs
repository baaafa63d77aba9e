//! Which payloads of a hot issue are kept.
//!
//! Counters stay exact whatever is decided here; a payload that is not kept stands in the ledger as `sampled`.

/// What is known of an issue when its next event comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleState {
    /// Payloads of the issue stored in this UTC day.
    pub stored_today: u32,
    /// The event is the issue's first of a release newer than all it was seen in: what a deploy changed must be there
    /// to look at.
    pub first_of_release: bool,
}

/// Whether a payload is stored, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleDecision {
    Store(StoreReason),
    Sample(SampleReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreReason {
    FirstOfRelease,
    /// One of the day's first, of which all are stored.
    UnderFloor,
    /// Drawn from those above the floor.
    Drawn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleReason {
    /// Enough of the day's payloads are stored, and this one was not drawn.
    NotDrawn,
}

/// Decides over one payload; `floor` is `issues.sample_floor`, `draw` an even random number.
///
/// Above the floor an event is kept with probability `e^(1 − stored / floor)`. That is about `floor / events today`,
/// told from the stored number alone: `floor × (1 + ln(events / floor))` are kept of a day's events, 100 of 100,
/// 330 of 1,000, 1,000 of a million.
pub fn keep(state: &SampleState, floor: u32, draw: u64) -> SampleDecision {
    let floor = floor.max(1);
    if state.stored_today < floor {
        return SampleDecision::Store(StoreReason::UnderFloor);
    }
    if state.first_of_release {
        return SampleDecision::Store(StoreReason::FirstOfRelease);
    }
    let share = (1.0 - f64::from(state.stored_today) / f64::from(floor)).exp();
    let drawn = f64::from(u32::try_from(draw >> 32).unwrap_or(u32::MAX)) / (f64::from(u32::MAX) + 1.0);
    if drawn < share {
        SampleDecision::Store(StoreReason::Drawn)
    } else {
        SampleDecision::Sample(SampleReason::NotDrawn)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::Entropy;

    fn state(stored_today: u32) -> SampleState {
        SampleState { stored_today, first_of_release: false }
    }

    #[test]
    fn the_days_first_and_a_releases_first_are_always_stored() {
        assert_eq!(keep(&state(99), 100, u64::MAX), SampleDecision::Store(StoreReason::UnderFloor));
        assert_eq!(keep(&state(101), 100, u64::MAX), SampleDecision::Sample(SampleReason::NotDrawn));
        assert_eq!(keep(&state(0), 0, u64::MAX), SampleDecision::Store(StoreReason::UnderFloor));
        let release = SampleState { stored_today: 5_000, first_of_release: true };
        assert_eq!(keep(&release, 100, u64::MAX), SampleDecision::Store(StoreReason::FirstOfRelease));
        assert_eq!(keep(&state(u32::MAX), 1, u64::MAX), SampleDecision::Sample(SampleReason::NotDrawn));
    }

    #[test]
    fn a_hot_issue_keeps_a_logarithm_of_its_events() {
        let entropy = Entropy::seeded(7);
        for (events, expected) in [(1_000_u32, 330_u32), (30_000, 670), (300_000, 900)] {
            let mut stored = 0;
            for _ in 0..events {
                if matches!(keep(&state(stored), 100, entropy.next_u64()), SampleDecision::Store(_)) {
                    stored += 1;
                }
            }
            assert!(stored.abs_diff(expected) < 80, "{stored} of {events}");
        }
    }

    proptest! {
        #[test]
        fn a_larger_draw_never_stores_more(stored in any::<u32>(), floor in any::<u32>(), a in any::<u64>(), b in any::<u64>()) {
            let kept = |draw| matches!(keep(&state(stored), floor, draw), SampleDecision::Store(_));
            prop_assert!(kept(a.min(b)) || !kept(a.max(b)));
            prop_assert_eq!(keep(&state(stored), floor, a), keep(&state(stored), floor, a));
        }
    }
}
