//! When an alarm that nobody answered rings again: pure.

use std::time::Duration;

use crate::base::{Severity, Timestamp};

use super::IncidentState;

/// The waits between the rings of one unanswered critical incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingPolicy {
    /// From the first message to the first repetition, on the channels that were told.
    pub again_after: Duration,
    /// From the first message to the second repetition, which also tells the next channel; so does every later one.
    pub climb_after: Duration,
    /// Between all later repetitions.
    pub then_every: Duration,
}

impl Default for RingPolicy {
    fn default() -> Self {
        Self {
            again_after: Duration::from_mins(5),
            climb_after: Duration::from_mins(10),
            then_every: Duration::from_mins(30),
        }
    }
}

/// What the decision looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm {
    pub severity: Severity,
    pub state: IncidentState,
    pub silenced: bool,
    /// Repetitions so far, since the incident became critical or its acknowledgement was taken back.
    pub rings: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingDecision {
    /// Ring the channels that were told; with `climb`, tell the next one too.
    Ring {
        climb: bool,
    },
    Quiet(QuietReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuietReason {
    NotCritical,
    Acknowledged,
    Silenced,
    Over,
}

pub fn decide_ring(alarm: Alarm) -> RingDecision {
    match (alarm.state, alarm.silenced, alarm.severity) {
        (IncidentState::Resolved, _, _) => RingDecision::Quiet(QuietReason::Over),
        (IncidentState::Acknowledged, _, _) => RingDecision::Quiet(QuietReason::Acknowledged),
        (IncidentState::Open, true, _) => RingDecision::Quiet(QuietReason::Silenced),
        (IncidentState::Open, false, Severity::Critical) => RingDecision::Ring { climb: alarm.rings >= 1 },
        (IncidentState::Open, false, Severity::Low | Severity::Medium | Severity::High) => {
            RingDecision::Quiet(QuietReason::NotCritical)
        }
    }
}

/// When this alarm, which last rang at `rang_at`, rings by itself again; `None` while it is to be quiet.
pub fn next_ring_at(policy: &RingPolicy, alarm: Alarm, rang_at: Timestamp) -> Option<Timestamp> {
    let wait = match alarm.rings {
        0 => policy.again_after,
        1 => policy.climb_after.saturating_sub(policy.again_after),
        _ => policy.then_every,
    };
    match decide_ring(alarm) {
        RingDecision::Ring { .. } => Some(rang_at + wait),
        RingDecision::Quiet(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T0: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn mins(from: Timestamp, n: u64) -> Timestamp {
        from + Duration::from_mins(n)
    }

    #[test]
    fn an_unanswered_critical_alarm_rings_after_5_and_10_minutes_then_every_30() {
        let policy = RingPolicy::default();
        let mut alarm =
            Alarm { severity: Severity::Critical, state: IncidentState::Open, silenced: false, rings: 0 };
        let mut at = T0;
        let mut rang = Vec::new();
        for _ in 0..4 {
            at = next_ring_at(&policy, alarm, at).unwrap();
            rang.push((at, decide_ring(alarm)));
            alarm.rings += 1;
        }
        let climb = RingDecision::Ring { climb: true };
        let expected = [
            (mins(T0, 5), RingDecision::Ring { climb: false }),
            (mins(T0, 10), climb),
            (mins(T0, 40), climb),
            (mins(T0, 70), climb),
        ];
        assert_eq!(rang, expected);
    }

    #[derive(Clone, Copy, Debug)]
    enum Happening {
        Acknowledge,
        TakeBack,
        Silence,
        EndSilence,
        Resolve,
        Pass(u64),
    }

    fn happenings() -> impl Strategy<Value = Vec<Happening>> {
        let one = prop_oneof![
            Just(Happening::Acknowledge),
            Just(Happening::TakeBack),
            Just(Happening::Silence),
            Just(Happening::EndSilence),
            Just(Happening::Resolve),
            (1_u64..40).prop_map(Happening::Pass),
            (1_u64..40).prop_map(Happening::Pass),
        ];
        proptest::collection::vec(one, 1..60)
    }

    proptest! {
        /// Time is walked minute by minute; the test knows only the promise, not the table of waits.
        #[test]
        fn it_rings_in_time_exactly_while_somebody_should_answer(
            happenings in happenings(),
            severity in prop_oneof![Just(Severity::Critical), Just(Severity::High)],
        ) {
            let policy = RingPolicy::default();
            let mut alarm = Alarm { severity, state: IncidentState::Open, silenced: false, rings: 0 };
            let mut now = T0;
            let mut next = next_ring_at(&policy, alarm, now);
            let mut unanswered_since = Some(now);
            for happening in happenings {
                let before = alarm;
                match happening {
                    Happening::Acknowledge if alarm.state == IncidentState::Open => {
                        alarm.state = IncidentState::Acknowledged;
                    }
                    Happening::TakeBack if alarm.state == IncidentState::Acknowledged => {
                        alarm.state = IncidentState::Open;
                    }
                    Happening::Silence => alarm.silenced = true,
                    Happening::EndSilence => alarm.silenced = false,
                    Happening::Resolve => alarm.state = IncidentState::Resolved,
                    Happening::Acknowledge | Happening::TakeBack | Happening::Pass(_) => {}
                }
                if alarm != before {
                    alarm.rings = 0;
                    next = next_ring_at(&policy, alarm, now);
                    unanswered_since = next.map(|_| now);
                }
                let Happening::Pass(minutes) = happening else { continue };
                for _ in 0..minutes {
                    now = mins(now, 1);
                    let should = alarm.severity == Severity::Critical
                        && alarm.state == IncidentState::Open
                        && !alarm.silenced;
                    if next.is_some_and(|at| at <= now) {
                        prop_assert!(should, "rang although {alarm:?}");
                        alarm.rings += 1;
                        next = next_ring_at(&policy, alarm, now);
                        unanswered_since = Some(now);
                    }
                    let waited = unanswered_since.map_or(Duration::ZERO, |since| now.since(since));
                    prop_assert!(!should || waited < Duration::from_mins(30), "silent for {waited:?}");
                    prop_assert_eq!(next.is_some(), should);
                }
            }
        }
    }
}
