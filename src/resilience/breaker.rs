//! A circuit breaker: rest for a peer that fails, one careful probe before traffic returns.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::Timestamp;

/// Calls remembered for the rate rule; older ones are forgotten first, so memory stays bounded.
const CALLS_MAX: usize = 256;

/// When a breaker opens and how long it rests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerPolicy {
    /// Failures in a row that open it. At least 1.
    pub consecutive: u32,
    /// A second reason to open, for peers that fail now and then.
    pub rate: Option<RateRule>,
    /// The first rest; it doubles each time a probe fails.
    pub open_for: Duration,
    pub open_for_max: Duration,
    /// A probe that reports nothing for this long is given up, and another may go.
    pub probe_timeout: Duration,
}

/// Opens when at least `share` of at least `calls_min` calls within `window` failed. Of more than 256 calls
/// the newest 256 count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateRule {
    pub share: f64,
    pub calls_min: usize,
    pub window: Duration,
}

/// The breaker of one peer. Serialises, so that a restart does not hammer a sick peer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Breaker {
    state: State,
    /// Failures in a row, over all states.
    failures: u32,
    /// Rests since it was last closed; the length of the next one follows from it.
    rests: u32,
    /// Grows with every transition: results of calls begun before it are ignored.
    generation: u64,
    recent: VecDeque<(Timestamp, CallOutcome)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum State {
    #[default]
    Closed,
    Open {
        until: Timestamp,
    },
    HalfOpen {
        /// Until when the probe in flight may report.
        probe_until: Timestamp,
    },
}

/// A permitted call; hand it back with its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    generation: u64,
    /// Whether this is the one careful call of a half-open breaker.
    pub is_probe: bool,
}

/// How a call went. A peer that answers, even with a refusal of this one request, is a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    Success,
    Failure,
}

/// No call now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Open { until: Timestamp },
    ProbeInFlight { until: Timestamp },
}

/// A change of state and its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    OpenedByFailures { in_a_row: u32, until: Timestamp },
    OpenedByRate { failed: usize, of: usize, until: Timestamp },
    ReopenedByProbe { until: Timestamp },
    ClosedByProbe,
}

impl Breaker {
    /// Rebuilds a breaker from the two facts a channel's row keeps.
    pub fn restore(failures: u32, open_until: Option<Timestamp>, policy: &BreakerPolicy) -> Self {
        let state = open_until.map_or(State::Closed, |until| State::Open { until });
        let rests = match open_until {
            Some(_) => failures.saturating_sub(policy.consecutive.max(1)) + 1,
            None => 0,
        };
        Self { state, failures, rests, generation: 0, recent: VecDeque::new() }
    }

    /// Failures in a row.
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// `closed`, `open` or `half_open`, as the outside world calls them. Open turns half-open by time alone.
    pub fn state_name(&self, now: Timestamp) -> &'static str {
        match self.state {
            State::Closed => "closed",
            State::Open { until } if now < until => "open",
            State::Open { .. } | State::HalfOpen { .. } => "half_open",
        }
    }

    /// The end of the present rest; `None` when closed.
    pub const fn open_until(&self) -> Option<Timestamp> {
        match self.state {
            State::Closed => None,
            State::Open { until } => Some(until),
            State::HalfOpen { probe_until } => Some(probe_until),
        }
    }

    /// Asks for one call. An open breaker whose rest is over permits exactly one probe.
    pub fn permit(&mut self, now: Timestamp, policy: &BreakerPolicy) -> Result<Call, Refused> {
        match self.state {
            State::Closed => Ok(Call { generation: self.generation, is_probe: false }),
            State::Open { until } if now < until => Err(Refused::Open { until }),
            State::HalfOpen { probe_until } if now < probe_until => {
                Err(Refused::ProbeInFlight { until: probe_until })
            }
            State::Open { .. } | State::HalfOpen { .. } => {
                self.enter(State::HalfOpen { probe_until: now + policy.probe_timeout });
                Ok(Call { generation: self.generation, is_probe: true })
            }
        }
    }

    /// Takes the outcome of a permitted call; late results of an earlier state change nothing.
    pub fn record(
        &mut self,
        call: Call,
        outcome: CallOutcome,
        now: Timestamp,
        policy: &BreakerPolicy,
    ) -> Option<Transition> {
        if call.generation != self.generation {
            return None;
        }
        self.failures = match outcome {
            CallOutcome::Success => 0,
            CallOutcome::Failure => self.failures.saturating_add(1),
        };
        match (self.state, outcome) {
            (State::Closed, _) => {
                self.remember(now, outcome, policy);
                self.reason_to_open(policy).map(|reason| self.open(reason, now, policy))
            }
            (State::HalfOpen { .. }, CallOutcome::Success) => {
                self.rests = 0;
                self.recent.clear();
                self.enter(State::Closed);
                Some(Transition::ClosedByProbe)
            }
            (State::HalfOpen { .. }, CallOutcome::Failure) => Some(self.open(Reason::Probe, now, policy)),
            (State::Open { .. }, _) => None,
        }
    }

    /// The one careful call was not made, or nobody will hear of it: another may go.
    pub fn lose_probe(&mut self, now: Timestamp) {
        if let State::HalfOpen { .. } = self.state {
            self.enter(State::Open { until: now });
        }
    }

    fn remember(&mut self, now: Timestamp, outcome: CallOutcome, policy: &BreakerPolicy) {
        let Some(rule) = policy.rate else { return };
        let horizon = now - rule.window;
        self.recent.retain(|(at, _)| *at > horizon);
        if self.recent.len() == CALLS_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back((now, outcome));
    }

    fn reason_to_open(&self, policy: &BreakerPolicy) -> Option<Reason> {
        if self.failures >= policy.consecutive.max(1) {
            return Some(Reason::Failures);
        }
        let rule = policy.rate?;
        let of = self.recent.len();
        let failed = self.recent.iter().filter(|(_, outcome)| *outcome == CallOutcome::Failure).count();
        #[expect(clippy::cast_precision_loss, reason = "both are at most 256")]
        let reached = failed as f64 >= rule.share * of as f64;
        (failed > 0 && of >= rule.calls_min && reached).then_some(Reason::Rate { failed, of })
    }

    fn open(&mut self, reason: Reason, now: Timestamp, policy: &BreakerPolicy) -> Transition {
        let rest = policy.open_for.saturating_mul(1 << self.rests.min(20)).min(policy.open_for_max);
        let until = now + rest;
        self.rests = self.rests.saturating_add(1);
        self.recent.clear();
        self.enter(State::Open { until });
        match reason {
            Reason::Failures => Transition::OpenedByFailures { in_a_row: self.failures, until },
            Reason::Rate { failed, of } => Transition::OpenedByRate { failed, of, until },
            Reason::Probe => Transition::ReopenedByProbe { until },
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
    }
}

#[derive(Clone, Copy)]
enum Reason {
    Failures,
    Rate { failed: usize, of: usize },
    Probe,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: BreakerPolicy = BreakerPolicy {
        consecutive: 3,
        rate: None,
        open_for: Duration::from_secs(30),
        open_for_max: Duration::from_mins(10),
        probe_timeout: Duration::from_mins(1),
    };

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn fail(breaker: &mut Breaker, now: Timestamp) -> Option<Transition> {
        let call = breaker.permit(now, &POLICY).unwrap();
        breaker.record(call, CallOutcome::Failure, now, &POLICY)
    }

    /// Three failures, in the seconds 0 to 2: open until second 32.
    fn tripped(breaker: &mut Breaker) {
        let transitions: Vec<_> = (0..3).map(|second| fail(breaker, at(second))).collect();
        assert!(transitions[2].is_some());
    }

    #[test]
    fn it_opens_after_three_failures_in_a_row_and_rests_longer_each_time() {
        let mut breaker = Breaker::default();
        assert_eq!(fail(&mut breaker, at(0)), None);
        assert_eq!(fail(&mut breaker, at(1)), None);
        let opened = Transition::OpenedByFailures { in_a_row: 3, until: at(32) };
        assert_eq!(fail(&mut breaker, at(2)), Some(opened));
        assert_eq!(breaker.permit(at(31), &POLICY), Err(Refused::Open { until: at(32) }));
        assert_eq!(fail(&mut breaker, at(32)), Some(Transition::ReopenedByProbe { until: at(92) }));
        assert_eq!(fail(&mut breaker, at(92)), Some(Transition::ReopenedByProbe { until: at(212) }));
    }

    #[test]
    fn a_success_between_failures_starts_the_count_anew() {
        let mut breaker = Breaker::default();
        for second in 0..20 {
            let call = breaker.permit(at(second), &POLICY).unwrap();
            let outcome = if second % 3 == 2 { CallOutcome::Success } else { CallOutcome::Failure };
            assert_eq!(breaker.record(call, outcome, at(second), &POLICY), None);
        }
    }

    #[test]
    fn half_open_lets_one_probe_pass_and_closes_on_its_success() {
        let mut breaker = Breaker::default();
        tripped(&mut breaker);
        assert_eq!(breaker.state_name(at(3)), "open");
        assert_eq!(breaker.state_name(at(40)), "half_open");
        let probe = breaker.permit(at(40), &POLICY).unwrap();
        assert!(probe.is_probe);
        assert_eq!(breaker.permit(at(41), &POLICY), Err(Refused::ProbeInFlight { until: at(100) }));
        let closed = breaker.record(probe, CallOutcome::Success, at(42), &POLICY);
        assert_eq!(closed, Some(Transition::ClosedByProbe));
        assert_eq!((breaker.failures(), breaker.open_until()), (0, None));
    }

    #[test]
    fn a_lost_probe_gives_its_place_back_and_its_late_result_is_ignored() {
        let mut breaker = Breaker::default();
        tripped(&mut breaker);
        let lost = breaker.permit(at(40), &POLICY).unwrap();
        let second = breaker.permit(at(100), &POLICY).unwrap();
        assert_eq!(breaker.record(lost, CallOutcome::Success, at(101), &POLICY), None);
        assert_eq!(breaker.state_name(at(101)), "half_open");
        assert!(breaker.record(second, CallOutcome::Success, at(102), &POLICY).is_some());
    }

    #[test]
    fn a_probe_that_was_not_made_leaves_its_place_to_another() {
        let mut breaker = Breaker::default();
        breaker.lose_probe(at(0));
        assert_eq!(breaker, Breaker::default());
        tripped(&mut breaker);
        let lost = breaker.permit(at(40), &POLICY).unwrap();
        breaker.lose_probe(at(41));
        let probe = breaker.permit(at(41), &POLICY).unwrap();
        assert!(probe.is_probe);
        assert_eq!(breaker.record(lost, CallOutcome::Failure, at(42), &POLICY), None);
        assert!(breaker.record(probe, CallOutcome::Success, at(42), &POLICY).is_some());
    }

    #[test]
    fn the_rate_rule_opens_without_a_row_of_failures() {
        let rule = RateRule { share: 0.5, calls_min: 10, window: Duration::from_mins(1) };
        let policy = BreakerPolicy { consecutive: 100, rate: Some(rule), ..POLICY };
        let mut breaker = Breaker::default();
        let mut transition = None;
        for second in 0..10 {
            let call = breaker.permit(at(second), &policy).unwrap();
            let outcome = if second % 2 == 0 { CallOutcome::Failure } else { CallOutcome::Success };
            transition = breaker.record(call, outcome, at(second), &policy);
        }
        assert_eq!(transition, Some(Transition::OpenedByRate { failed: 5, of: 10, until: at(39) }));
        let mut slow = Breaker::default();
        for minute in 0..50 {
            let call = slow.permit(at(minute * 60), &policy).unwrap();
            assert_eq!(slow.record(call, CallOutcome::Failure, at(minute * 60), &policy), None);
        }
    }

    #[test]
    fn a_channels_row_restores_the_rest_and_its_length() {
        let restored = Breaker::restore(4, Some(at(100)), &POLICY);
        assert_eq!(restored.state_name(at(99)), "open");
        let mut grown = Breaker::default();
        tripped(&mut grown);
        assert!(fail(&mut grown, at(40)).is_some());
        assert_eq!((restored.failures, restored.rests), (grown.failures, grown.rests));
        assert_eq!(Breaker::restore(2, None, &POLICY).state_name(at(0)), "closed");
    }

    #[test]
    fn it_survives_serialisation() {
        let mut breaker = Breaker::default();
        tripped(&mut breaker);
        let text = serde_json::to_string(&breaker).unwrap();
        assert_eq!(serde_json::from_str::<Breaker>(&text).unwrap(), breaker);
    }

    /// The same rules, told differently: a list of what happened since the last change of state.
    #[derive(Default)]
    struct Model {
        row: u32,
        rests: u32,
        open_until: Option<i64>,
        probe: Option<i64>,
    }

    impl Model {
        fn permits(&self, now: i64) -> bool {
            self.open_until.is_none_or(|until| now >= until) && self.probe.is_none_or(|until| now >= until)
        }

        fn finish(&mut self, failed: bool, now: i64) {
            let probing = self.open_until.is_some();
            self.row = if failed { self.row + 1 } else { 0 };
            self.probe = None;
            if !failed {
                (self.open_until, self.rests) = (None, 0);
            } else if probing || self.row >= 3 {
                self.open_until = Some(now + (30 << self.rests.min(5)).min(600));
                self.rests += 1;
            }
        }
    }

    proptest! {
        #[test]
        fn it_behaves_as_the_model(steps in prop::collection::vec((0i64..90, 0u8..4), 1..200)) {
            let (mut breaker, mut model) = (Breaker::default(), Model::default());
            let mut now = 0;
            let mut generation = 0;
            for (wait, kind) in steps {
                now += wait;
                prop_assert_eq!(breaker.permit(at(now), &POLICY).is_ok(), model.permits(now));
                // The call above took the probe's place when the breaker was half-open.
                if model.permits(now) {
                    if model.open_until.is_some() {
                        model.probe = Some(now + 60);
                    }
                    if kind != 0 {
                        let call = Call { generation: breaker.generation, is_probe: model.open_until.is_some() };
                        let failed = kind >= 2;
                        let outcome = if failed { CallOutcome::Failure } else { CallOutcome::Success };
                        let before = breaker.state;
                        let transition = breaker.record(call, outcome, at(now), &POLICY);
                        prop_assert_eq!(transition.is_some(), breaker.state != before);
                        model.finish(failed, now);
                    }
                }
                prop_assert_eq!(breaker.failures(), model.row);
                prop_assert!(breaker.generation >= generation);
                generation = breaker.generation;
            }
        }
    }
}
