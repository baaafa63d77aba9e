//! One destination as the loop knows it: what is under way there, and how much more may begin now.

use std::sync::Arc;
use std::time::Duration;

use super::super::send::Place;
use crate::base::Timestamp;
use crate::resilience::{Admission, Call, CallOutcome, Quota, Refused, SlidingWindow, Transition};
use crate::webhooks::breaker_state::SharedBreaker;
use crate::webhooks::destination::{BREAKER, Definition};

/// A destination in memory.
pub(super) struct Room {
    pub(super) place: Arc<Place>,
    pub(super) breaker: SharedBreaker,
    pub(super) under_way: u32,
    /// When the next delivery is due, as far as it is known.
    pub(super) due: Option<Timestamp>,
    pace: Option<SlidingWindow>,
}

/// How much may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum May {
    /// At least 1.
    Begin(u32),
    /// Nothing before this.
    Wait(Timestamp),
    /// Nothing until something ends, or somebody resumes it.
    Full,
}

/// What an attempt did to the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Learnt {
    /// Nothing that a restart must know.
    Nothing,
    /// It is to be stored.
    Changed,
}

const SECOND: Duration = Duration::from_secs(1);

impl Room {
    pub(super) fn new(place: Arc<Place>, breaker: SharedBreaker) -> Self {
        let pace = window(&place.target.definition);
        Self { place, breaker, under_way: 0, due: None, pace }
    }

    /// Goes on as the destination is now; what is under way stays so.
    pub(super) fn follow(&mut self, place: Arc<Place>) {
        let quota = quota(&place.target.definition);
        match (quota, &mut self.pace) {
            (Some(quota), Some(pace)) => pace.set_quota(quota),
            (quota, pace) => *pace = quota.map(SlidingWindow::new),
        }
        self.place = place;
    }

    /// How many deliveries may begin now, whether or not some are due.
    pub(super) fn may(&mut self, now: Timestamp) -> May {
        let said = &self.place.target.definition;
        let free = u32::from(said.concurrency).saturating_sub(self.under_way);
        if self.place.target.is_held || free == 0 {
            return May::Full;
        }
        let careful = match self.breaker.lock().open_until() {
            None => free,
            Some(until) if until > now => return May::Wait(until),
            // One careful call, after what began before it rested has ended.
            Some(_) => 1,
        };
        match self.pace.as_mut().map(|pace| pace.ask(now, 1)) {
            None => May::Begin(careful),
            Some(Admission::Admitted { remaining }) => May::Begin(careful.min(remaining.saturating_add(1))),
            Some(Admission::Refused { retry_after }) => May::Wait(now + retry_after),
        }
    }

    /// Begins one attempt.
    ///
    /// # Errors
    /// [`Refused`], where the breaker opened since it was asked for.
    pub(super) fn begin(&mut self, now: Timestamp) -> Result<Call, Refused> {
        let call = self.breaker.lock().permit(now, &BREAKER)?;
        if let Some(pace) = &mut self.pace {
            // It was asked before the claim; where the clock was set since, one more goes.
            pace.admit(now, 1);
        }
        self.under_way += 1;
        Ok(call)
    }

    /// Ends an attempt. `None`: nobody was called.
    pub(super) fn end(&mut self, call: Call, outcome: Option<CallOutcome>, now: Timestamp) -> Learnt {
        self.under_way = self.under_way.saturating_sub(1);
        let mut breaker = self.breaker.lock();
        let Some(outcome) = outcome else {
            if call.is_probe {
                breaker.lose_probe(now);
            }
            return Learnt::Nothing;
        };
        let failed_before = breaker.failures() > 0;
        let turned: Option<Transition> = breaker.record(call, outcome, now, &BREAKER);
        match outcome {
            CallOutcome::Success if turned.is_none() && !failed_before => Learnt::Nothing,
            CallOutcome::Success | CallOutcome::Failure => Learnt::Changed,
        }
    }

    /// When it is worth looking at it again by time alone.
    pub(super) fn wants_at(&mut self, now: Timestamp) -> Option<Timestamp> {
        let due = self.due?;
        match self.may(now) {
            May::Begin(_) => Some(due),
            May::Wait(until) => Some(due.max(until)),
            May::Full => None,
        }
    }
}

fn quota(said: &Definition) -> Option<Quota> {
    said.per_second.map(|limit| Quota::new(u32::from(limit).max(1), SECOND))
}

fn window(said: &Definition) -> Option<SlidingWindow> {
    quota(said).map(SlidingWindow::new)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::base::{Owner, ProjectId, Severity, Uid};
    use crate::webhooks::DestinationId;
    use crate::webhooks::alarms::Subject;
    use crate::webhooks::scheme::Scheme;
    use crate::webhooks::secrets::Secrets;
    use crate::webhooks::target::{Signing, Target};

    const START: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn room(definition: &str) -> Room {
        let subject = Subject {
            destination: DestinationId(1),
            uid: Uid::from_bytes([1; 16]),
            key: "app".to_owned(),
            name: "App".to_owned(),
            source_name: "Stripe".to_owned(),
            project: ProjectId(1),
            severity: Severity::High,
            service: None,
            runbook: None,
            environment: None,
        };
        let target = Target {
            subject,
            definition: serde_json::from_str(definition).unwrap(),
            is_held: false,
            owner: Owner::File,
            scheme: Scheme::None,
            signing: Signing::Off,
            secrets: Secrets(BTreeMap::new()),
        };
        Room::new(Arc::new(Place::new(target)), SharedBreaker::default())
    }

    fn fail(room: &mut Room, now: Timestamp) -> Learnt {
        let call = room.begin(now).unwrap();
        room.end(call, Some(CallOutcome::Failure), now)
    }

    #[test]
    fn a_destination_that_rests_waits_and_then_makes_one_careful_call() {
        let mut room = room(r#"{"url":"http://app.example.com/"}"#);
        assert_eq!(room.may(START), May::Begin(8));
        for _ in 0..3 {
            assert_eq!(fail(&mut room, START), Learnt::Changed);
        }
        let rested = START + Duration::from_secs(30);
        assert_eq!(room.may(START), May::Wait(rested));
        room.due = Some(START);
        assert_eq!(room.wants_at(START), Some(rested));
        assert_eq!(room.may(rested), May::Begin(1));
        let careful = room.begin(rested).unwrap();
        assert!(matches!(room.may(rested), May::Wait(_)), "one alone");
        assert_eq!(room.end(careful, Some(CallOutcome::Success), rested), Learnt::Changed);
        assert_eq!(room.may(rested), May::Begin(8));
    }

    #[test]
    fn a_careful_call_that_was_not_made_leaves_its_place() {
        let mut room = room(r#"{"url":"http://app.example.com/"}"#);
        for _ in 0..3 {
            fail(&mut room, START);
        }
        let rested = START + Duration::from_secs(30);
        let careful = room.begin(rested).unwrap();
        assert_eq!(room.end(careful, None, rested), Learnt::Nothing);
        assert_eq!(room.may(rested), May::Begin(1));
    }

    #[test]
    fn a_new_pace_counts_from_what_went_already() {
        let mut room = room(r#"{"url":"http://app.example.com/","per_second":2}"#);
        assert_eq!(room.may(START), May::Begin(2));
        room.begin(START).unwrap();
        room.begin(START).unwrap();
        let next = START + Duration::from_secs(1);
        assert_eq!(room.may(START), May::Wait(next));
        assert_eq!(room.may(next), May::Begin(2));
    }

    proptest! {
        /// Whatever happens: what it says may begin does begin, never more than that; and after it opened nothing goes
        /// before its time, and then one alone.
        #[test]
        fn what_it_says_may_begin_begins(steps in prop::collection::vec((0u64..40, 0u8..4, 0usize..8), 1..200)) {
            let mut room = room(r#"{"url":"http://app.example.com/","concurrency":5,"per_second":3}"#);
            let (mut now, mut under_way) = (START, Vec::new());
            for (wait, kind, which) in steps {
                now = now + Duration::from_secs(wait);
                match room.may(now) {
                    May::Begin(most) => {
                        prop_assert!(most >= 1 && under_way.len() + most as usize <= 5);
                        let is_resting = room.breaker.lock().open_until().is_some();
                        prop_assert!(!is_resting || most == 1);
                        let call = room.begin(now);
                        prop_assert!(call.is_ok_and(|call| call.is_probe == is_resting));
                        under_way.extend(call);
                    }
                    May::Wait(until) => prop_assert!(until > now),
                    May::Full => prop_assert_eq!(under_way.len(), 5),
                }
                let ended = which.checked_rem(under_way.len()).map(|at| under_way.remove(at));
                if let Some(call) = ended.filter(|_| kind > 0) {
                    let outcome = [CallOutcome::Success, CallOutcome::Failure, CallOutcome::Failure];
                    room.end(call, Some(outcome[usize::from(kind) - 1]), now);
                } else if let Some(call) = ended {
                    room.end(call, None, now);
                }
                prop_assert_eq!(room.under_way as usize, under_way.len());
            }
        }
    }
}
