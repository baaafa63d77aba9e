//! What a signal means, given what is open: pure, so that it can be shown, stored and tested.

use crate::base::{ProjectId, Severity, Timestamp};

use super::rows::{IncidentId, IncidentState, SilenceId, WitnessId};
use super::{Policy, Signal, SignalKind};

/// What became of a signal, and why.
///
/// `silence` is the silence that keeps the messages back; `rings` why people hear of it although they already know
/// of the incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A new incident; its first messages are written unless silenced.
    Opened {
        silence: Option<SilenceId>,
    },
    /// A further witness of an open incident, posted to its thread unless silenced.
    Joined {
        incident: IncidentId,
        rings: Option<RingReason>,
        silence: Option<SilenceId>,
    },
    /// A witness that was over fires again while its incident is still open.
    Refired {
        incident: IncidentId,
        rings: Option<RingReason>,
        silence: Option<SilenceId>,
    },
    /// The subject got worse than its incident was.
    Raised {
        incident: IncidentId,
        from: Severity,
        rings: Option<RingReason>,
        silence: Option<SilenceId>,
    },
    /// The subject got worse than it was, though no worse than its incident.
    Worsened {
        incident: IncidentId,
        rings: Option<RingReason>,
        silence: Option<SilenceId>,
    },
    /// Known and still bad. A hold that had begun is forgotten.
    Continued {
        incident: IncidentId,
    },
    /// Well again, but not yet believed before `until`.
    BeganHolding {
        incident: IncidentId,
        until: Timestamp,
    },
    /// Well again for as long as the hold asks.
    Recovered {
        incident: IncidentId,
    },
    Ignored(IgnoreReason),
}

/// Why a message of a known incident rings instead of only standing in its thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingReason {
    SeverityRaised,
    /// Whoever acknowledged did not know of this yet.
    AfterAcknowledgement,
    /// The incident was silenced and this signal is not: nobody was told yet.
    NotSilenced,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IgnoreReason {
    /// An "ok" for a key that is not firing.
    NothingFiring,
    /// An "ok" for an occurrence, which ends by being resolved, ignored or quiet.
    OccurrenceHasNoOk,
    AlreadyHolding,
}

/// Whether a witness can say "ok" by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WitnessKind {
    Condition,
    Occurrence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WitnessState {
    Firing,
    /// Well since `ok_since`, not yet believed.
    Holding,
    Ok,
}

/// An unresolved incident, as far as decisions need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenIncident {
    pub id: IncidentId,
    pub project: Option<ProjectId>,
    pub service: Option<String>,
    pub severity: Severity,
    pub state: IncidentState,
    pub silenced: bool,
    pub started_at: Timestamp,
}

/// The witness of a signal's key in an unresolved incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveWitness {
    pub id: WitnessId,
    pub key: String,
    pub incident: OpenIncident,
    pub kind: WitnessKind,
    pub state: WitnessState,
    pub severity: Severity,
    pub last_bad_at: Timestamp,
    pub ok_since: Option<Timestamp>,
}

/// What is known when a signal arrives.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    pub witness: Option<&'a LiveWitness>,
    /// Unresolved incidents of the signal's project or service; looked at only where there is no witness.
    pub candidates: &'a [OpenIncident],
    pub silence: Option<SilenceId>,
}

/// Decides what `signal` means. Its times are in order and `situation.witness` is not [lapsed](LiveWitness::lapsed_at).
pub fn decide(policy: &Policy, situation: Situation<'_>, signal: &Signal, now: Timestamp) -> Decision {
    match (signal.kind, situation.witness) {
        (SignalKind::Ok, None) => Decision::Ignored(IgnoreReason::NothingFiring),
        (SignalKind::Ok, Some(witness)) => decide_ok(policy, witness, signal, now),
        (SignalKind::Firing | SignalKind::Occurrence, Some(witness)) => {
            decide_known(witness, situation.silence, signal)
        }
        (SignalKind::Firing | SignalKind::Occurrence, None) => decide_new(policy, situation, signal),
    }
}

fn decide_ok(policy: &Policy, witness: &LiveWitness, signal: &Signal, now: Timestamp) -> Decision {
    let incident = witness.incident.id;
    let until = signal.observed_at + policy.hold;
    match (witness.kind, witness.state) {
        (WitnessKind::Occurrence, _) => Decision::Ignored(IgnoreReason::OccurrenceHasNoOk),
        (WitnessKind::Condition, WitnessState::Ok) => Decision::Ignored(IgnoreReason::NothingFiring),
        (WitnessKind::Condition, WitnessState::Holding) => Decision::Ignored(IgnoreReason::AlreadyHolding),
        (WitnessKind::Condition, WitnessState::Firing) if until <= now => Decision::Recovered { incident },
        (WitnessKind::Condition, WitnessState::Firing) => Decision::BeganHolding { incident, until },
    }
}

fn decide_known(witness: &LiveWitness, silence: Option<SilenceId>, signal: &Signal) -> Decision {
    let incident = &witness.incident;
    match witness.state {
        WitnessState::Ok => {
            // A condition that flaps beside another one would ring all night; it only rings when it is worse.
            let rings = ring_reason(incident, silence, signal.severity).filter(|reason| match reason {
                RingReason::SeverityRaised | RingReason::NotSilenced => true,
                RingReason::AfterAcknowledgement => witness.kind == WitnessKind::Occurrence,
            });
            Decision::Refired { incident: incident.id, rings, silence }
        }
        // What a silence keeps back is noted once: the witness knows by then how bad it is.
        WitnessState::Firing | WitnessState::Holding
            if signal.severity > incident.severity
                && (silence.is_none() || incident.silenced || signal.severity > witness.severity) =>
        {
            let rings = ring_reason(incident, silence, signal.severity);
            Decision::Raised { incident: incident.id, from: incident.severity, rings, silence }
        }
        WitnessState::Firing | WitnessState::Holding if signal.severity > witness.severity => {
            let rings = ring_reason(incident, silence, signal.severity);
            Decision::Worsened { incident: incident.id, rings, silence }
        }
        WitnessState::Firing | WitnessState::Holding => Decision::Continued { incident: incident.id },
    }
}

fn decide_new(policy: &Policy, situation: Situation<'_>, signal: &Signal) -> Decision {
    let silence = situation.silence;
    match nearest(policy, situation.candidates, signal) {
        Some(incident) => {
            let rings = ring_reason(incident, silence, signal.severity);
            Decision::Joined { incident: incident.id, rings, silence }
        }
        None => Decision::Opened { silence },
    }
}

/// The incident that a signal without a witness joins: of those that share the signal's project or service and began with it, the nearest, then the oldest.
pub(super) fn nearest<'a>(
    policy: &Policy,
    candidates: &'a [OpenIncident],
    signal: &Signal,
) -> Option<&'a OpenIncident> {
    let apart = |incident: &OpenIncident| {
        let (started, began) = (incident.started_at, signal.first_bad_at);
        started.since(began).max(began.since(started))
    };
    let shares = |incident: &&OpenIncident| {
        incident.project == signal.project
            || (incident.service.is_some() && incident.service == signal.service)
    };
    candidates
        .iter()
        .filter(shares)
        .filter(|incident| apart(incident) <= policy.join_within)
        .min_by_key(|incident| (apart(incident), incident.id))
}

fn ring_reason(
    incident: &OpenIncident,
    silence: Option<SilenceId>,
    severity: Severity,
) -> Option<RingReason> {
    if silence.is_some() {
        None
    } else if incident.silenced {
        Some(RingReason::NotSilenced)
    } else if severity > incident.severity {
        Some(RingReason::SeverityRaised)
    } else if incident.state == IncidentState::Acknowledged {
        Some(RingReason::AfterAcknowledgement)
    } else {
        None
    }
}

impl LiveWitness {
    /// When this witness was over by the mere passing of time, if that is so at `now`.
    pub fn lapsed_at(&self, policy: &Policy, now: Timestamp) -> Option<Timestamp> {
        match (self.kind, self.state) {
            (_, WitnessState::Ok) | (WitnessKind::Condition, WitnessState::Firing) => None,
            (_, WitnessState::Holding) => self.ok_since.filter(|since| *since + policy.hold <= now),
            (WitnessKind::Occurrence, WitnessState::Firing) => {
                Some(self.last_bad_at).filter(|last| *last + policy.quiet <= now)
            }
        }
    }

    /// Whether a signal changes nothing but counters: the case of a storm, which needs no further question.
    pub fn continues(&self, signal: &Signal) -> bool {
        let known = self.severity.min(self.incident.severity);
        signal.kind.is_bad() && self.state != WitnessState::Ok && signal.severity <= known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incidents::Source;
    use std::time::Duration;

    const T0: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn signal(kind: SignalKind, severity: Severity) -> Signal {
        Signal {
            project: Some(ProjectId(1)),
            service: None,
            key: "rate:1".to_owned(),
            source: Source::ErrorRate,
            severity,
            summary: "Too many errors".to_owned(),
            detail: serde_json::json!({}),
            first_bad_at: T0,
            observed_at: T0,
            kind,
        }
    }

    fn incident(id: i64, state: IncidentState, silenced: bool, began: Timestamp) -> OpenIncident {
        OpenIncident {
            id: IncidentId(id),
            project: Some(ProjectId(1)),
            service: None,
            severity: Severity::High,
            state,
            silenced,
            started_at: began,
        }
    }

    fn joined(candidates: &[OpenIncident], signal: &Signal) -> Decision {
        decide(&Policy::default(), Situation { witness: None, candidates, silence: None }, signal, T0)
    }

    #[test]
    fn a_signal_joins_the_nearest_incident_of_its_project_within_five_minutes() {
        let mins = Duration::from_mins;
        let firing = signal(SignalKind::Firing, Severity::High);
        let open = IncidentState::Open;
        let candidates = [
            incident(1, open, false, T0 - mins(5)),
            incident(2, open, false, T0 + mins(3)),
            incident(3, open, false, T0 - mins(3)),
        ];
        assert!(matches!(joined(&candidates, &firing), Decision::Joined { incident: IncidentId(2), .. }));
        assert!(matches!(joined(&candidates[..1], &firing), Decision::Joined { .. }));
        let late = [incident(1, open, false, T0 - mins(5) - Duration::from_micros(1))];
        assert_eq!(joined(&late, &firing), Decision::Opened { silence: None });
    }

    #[test]
    fn another_project_joins_only_by_the_service_label() {
        let mut firing = signal(SignalKind::Firing, Severity::High);
        firing.project = Some(ProjectId(2));
        let mut candidates = [incident(1, IncidentState::Open, false, T0)];
        assert_eq!(joined(&candidates, &firing), Decision::Opened { silence: None });
        firing.service = Some("stripe".to_owned());
        candidates[0].service = Some("stripe".to_owned());
        assert!(matches!(joined(&candidates, &firing), Decision::Joined { .. }));
    }

    #[test]
    fn a_joining_witness_rings_only_for_a_reason() {
        use IncidentState::{Acknowledged, Open};
        use RingReason::{AfterAcknowledgement, NotSilenced, SeverityRaised};
        let cases = [
            (Open, false, Severity::High, None),
            (Open, false, Severity::Low, None),
            (Open, false, Severity::Critical, Some(SeverityRaised)),
            (Acknowledged, false, Severity::Low, Some(AfterAcknowledgement)),
            (Acknowledged, false, Severity::Critical, Some(SeverityRaised)),
            (Open, true, Severity::Low, Some(NotSilenced)),
        ];
        for (state, silenced, severity, expected) in cases {
            let candidates = [incident(1, state, silenced, T0)];
            let decision = joined(&candidates, &signal(SignalKind::Firing, severity));
            let Decision::Joined { rings, .. } = decision else { panic!("{decision:?}") };
            assert_eq!(rings, expected, "{state:?} {silenced} {severity}");
        }
    }

    #[test]
    fn a_silenced_signal_never_rings() {
        let silence = Some(SilenceId(7));
        let candidates = [incident(1, IncidentState::Acknowledged, false, T0)];
        let situation = Situation { witness: None, candidates: &candidates, silence };
        let decision =
            decide(&Policy::default(), situation, &signal(SignalKind::Firing, Severity::Critical), T0);
        assert_eq!(decision, Decision::Joined { incident: IncidentId(1), rings: None, silence });
    }

    #[test]
    fn a_known_key_continues_holds_recovers_and_rises() {
        let policy = Policy::default();
        let (firing, critical) =
            (signal(SignalKind::Firing, Severity::High), signal(SignalKind::Firing, Severity::Critical));
        let ok = signal(SignalKind::Ok, Severity::High);
        let id = IncidentId(1);
        let mut witness = LiveWitness {
            id: WitnessId(1),
            key: "rate:1".to_owned(),
            incident: incident(1, IncidentState::Open, false, T0),
            kind: WitnessKind::Condition,
            state: WitnessState::Firing,
            severity: Severity::High,
            last_bad_at: T0,
            ok_since: None,
        };
        let told = |witness: &LiveWitness, signal: &Signal, now| {
            decide(&policy, Situation { witness: Some(witness), candidates: &[], silence: None }, signal, now)
        };
        assert_eq!(told(&witness, &firing, T0), Decision::Continued { incident: id });
        assert!(witness.continues(&firing) && !witness.continues(&critical) && !witness.continues(&ok));
        assert!(matches!(
            told(&witness, &critical, T0),
            Decision::Raised { from: Severity::High, rings: Some(RingReason::SeverityRaised), .. }
        ));
        let until = T0 + policy.hold;
        assert_eq!(told(&witness, &ok, T0), Decision::BeganHolding { incident: id, until });
        assert_eq!(told(&witness, &ok, until), Decision::Recovered { incident: id });
        witness.state = WitnessState::Holding;
        witness.ok_since = Some(T0);
        assert_eq!(told(&witness, &ok, T0), Decision::Ignored(IgnoreReason::AlreadyHolding));
        assert_eq!(told(&witness, &firing, T0), Decision::Continued { incident: id });
        assert_eq!(witness.lapsed_at(&policy, until), Some(T0));
        assert_eq!(witness.lapsed_at(&policy, until - Duration::from_micros(1)), None);
        witness.state = WitnessState::Ok;
        assert!(matches!(told(&witness, &firing, T0), Decision::Refired { rings: None, .. }));
        witness.kind = WitnessKind::Occurrence;
        assert_eq!(told(&witness, &ok, T0), Decision::Ignored(IgnoreReason::OccurrenceHasNoOk));
    }

    #[test]
    fn an_ok_for_nothing_is_ignored() {
        let decision = joined(&[], &signal(SignalKind::Ok, Severity::Low));
        assert_eq!(decision, Decision::Ignored(IgnoreReason::NothingFiring));
    }
}
