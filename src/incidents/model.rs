//! Drives random histories against the store and against a small model in memory, and compares them.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::silences::NewSilence;
use super::tests::{Bed, INCIDENT_PROJECTS};
use super::*;
use crate::base::{ProjectId, Severity, Timestamp};
use crate::store::WriteTx;

const T0: Timestamp = Timestamp::from_secs(1_800_000_000);
/// Even keys are conditions, odd ones occurrences; the first four belong to project 1.
const KEYS: usize = 6;

#[derive(Clone, Debug)]
enum Step {
    Bad { key: usize, severity: Severity, began_secs_ago: u64 },
    Touch { key: usize },
    Ok { key: usize },
    CloseKey { key: usize },
    Acknowledge { nth: usize },
    Unacknowledge { nth: usize },
    Resolve { nth: usize },
    Silence { key: Option<usize>, minutes: u64 },
    SilenceIncident { nth: usize, minutes: u64 },
    EndSilence { nth: usize },
    Pass { secs: u64, expire: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let severity = prop_oneof![Just(Severity::Low), Just(Severity::High), Just(Severity::Critical)];
    let bad = (0..KEYS, severity, 0_u64..400).prop_map(|(key, severity, began_secs_ago)| Step::Bad {
        key,
        severity,
        began_secs_ago,
    });
    let minutes = || 1_u64..60;
    let pass = (prop_oneof![1_u64..90, 90_u64..3_000], any::<bool>())
        .prop_map(|(secs, expire)| Step::Pass { secs, expire });
    let step = prop_oneof![
        6 => bad,
        1 => (0..KEYS).prop_map(|key| Step::Touch { key }),
        4 => (0..KEYS).prop_map(|key| Step::Ok { key }),
        1 => (0..KEYS).prop_map(|key| Step::CloseKey { key }),
        2 => (0..3_usize).prop_map(|nth| Step::Acknowledge { nth }),
        1 => (0..3_usize).prop_map(|nth| Step::Unacknowledge { nth }),
        1 => (0..3_usize).prop_map(|nth| Step::Resolve { nth }),
        1 => (proptest::option::of(0..KEYS), minutes()).prop_map(|(key, minutes)| Step::Silence { key, minutes }),
        1 => (0..3_usize, minutes()).prop_map(|(nth, minutes)| Step::SilenceIncident { nth, minutes }),
        1 => (0..2_usize).prop_map(|nth| Step::EndSilence { nth }),
        6 => pass,
    ];
    proptest::collection::vec(step, 1..50)
}

fn key_text(key: usize) -> String {
    format!("key:{key}")
}

fn project_of(key: usize) -> ProjectId {
    ProjectId(if key < 4 { 1 } else { 2 })
}

fn is_occurrence(key: usize) -> bool {
    key % 2 == 1
}

/// A witness: bad, holding since, or over.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Health {
    Bad,
    Holding(Timestamp),
    Over,
}

#[derive(Clone, Debug)]
struct ModelWitness {
    key: usize,
    health: Health,
    severity: Severity,
    last_bad: Timestamp,
}

#[derive(Clone, Debug)]
struct ModelIncident {
    project: ProjectId,
    severity: Severity,
    state: IncidentState,
    silenced: bool,
    /// Whether anybody was ever told.
    told: bool,
    started: Timestamp,
    witnesses: Vec<ModelWitness>,
}

/// What a silence is of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Covers {
    Everything,
    Key(usize),
    Incident(usize),
}

impl Covers {
    /// Whether it is of `key`, which belongs to the incident `at` or would join it.
    fn has(self, key: usize, at: Option<usize>) -> bool {
        match self {
            Self::Everything => true,
            Self::Key(covered) => covered == key,
            Self::Incident(covered) => at == Some(covered),
        }
    }
}

#[derive(Clone, Debug)]
struct ModelSilence {
    id: SilenceId,
    covers: Covers,
    ends: Timestamp,
    ended: bool,
}

#[derive(Default)]
struct Model {
    incidents: Vec<ModelIncident>,
    silences: Vec<ModelSilence>,
}

impl Model {
    fn is_silent(&self, now: Timestamp, key: usize, at: Option<usize>) -> bool {
        self.silences
            .iter()
            .any(|silence| !silence.ended && silence.ends > now && silence.covers.has(key, at))
    }

    /// Closes an incident, which is remembered as grave as its worst; its own silences end with it.
    fn close(&mut self, at: usize) {
        let incident = &mut self.incidents[at];
        incident.state = IncidentState::Resolved;
        let worst = incident.witnesses.iter().map(|witness| witness.severity).max();
        incident.severity = incident.severity.max(worst.unwrap_or(incident.severity));
        for silence in self.silences.iter_mut().filter(|silence| silence.covers == Covers::Incident(at)) {
            silence.ended = true;
        }
    }

    fn live(&self, key: usize) -> Option<(usize, usize)> {
        self.incidents.iter().enumerate().find_map(|(at, incident)| {
            let place = incident.witnesses.iter().position(|witness| witness.key == key)?;
            (incident.state != IncidentState::Resolved).then_some((at, place))
        })
    }

    fn settle_key(&mut self, now: Timestamp, key: usize) {
        let Some((at, place)) = self.live(key) else { return };
        let witness = &self.incidents[at].witnesses[place];
        let over = match witness.health {
            Health::Over => false,
            Health::Holding(since) => since + Duration::from_mins(1) <= now,
            Health::Bad => is_occurrence(key) && witness.last_bad + Duration::from_mins(30) <= now,
        };
        if over {
            self.end(now, at, place);
        }
    }

    fn end(&mut self, now: Timestamp, at: usize, place: usize) {
        self.incidents[at].witnesses[place].health = Health::Over;
        if self.incidents[at].witnesses.iter().all(|witness| witness.health == Health::Over) {
            self.close(at);
        } else {
            self.silence_if_covered(now, at);
            self.settle(now, at);
        }
    }

    /// What goes on is no graver than what still fires of it and is heard.
    fn settle(&mut self, now: Timestamp, at: usize) {
        let incident = &self.incidents[at];
        let unwell = incident.witnesses.iter().filter(|witness| witness.health != Health::Over);
        let worst = unwell
            .filter(|witness| incident.silenced || !self.is_covered(now, witness.key))
            .map(|witness| witness.severity)
            .max();
        let severity = incident.severity;
        self.incidents[at].severity = severity.min(worst.unwrap_or(severity));
    }

    /// By a silence of keys.
    fn is_covered(&self, now: Timestamp, key: usize) -> bool {
        self.is_silent(now, key, None)
    }

    fn silence_if_covered(&mut self, now: Timestamp, at: usize) {
        let incident = &self.incidents[at];
        let covered = incident
            .witnesses
            .iter()
            .filter(|witness| witness.health != Health::Over)
            .all(|witness| self.is_silent(now, witness.key, Some(at)));
        if covered && incident.state != IncidentState::Resolved {
            self.incidents[at].silenced = true;
        }
    }

    fn bad(&mut self, now: Timestamp, key: usize, severity: Severity, began: Timestamp) {
        self.settle_key(now, key);
        if let Some((at, place)) = self.live(key) {
            let silent = self.is_silent(now, key, Some(at));
            let incident = &mut self.incidents[at];
            let witness = &mut incident.witnesses[place];
            let is_back = witness.health == Health::Over;
            let changes = is_back || severity > incident.severity || severity > witness.severity;
            witness.health = Health::Bad;
            witness.severity = if is_back { severity } else { witness.severity.max(severity) };
            witness.last_bad = now;
            if changes {
                incident.hears(severity, silent);
            }
            return;
        }
        let apart =
            |incident: &ModelIncident| incident.started.since(began).max(began.since(incident.started));
        let near = (0..self.incidents.len())
            .filter(|at| self.incidents[*at].state != IncidentState::Resolved)
            .filter(|at| self.incidents[*at].project == project_of(key))
            .filter(|at| apart(&self.incidents[*at]) <= Duration::from_mins(5))
            .min_by_key(|at| (apart(&self.incidents[*at]), *at));
        let silent = self.is_silent(now, key, near);
        let witness = ModelWitness { key, health: Health::Bad, severity, last_bad: now };
        match near {
            Some(at) => {
                let incident = &mut self.incidents[at];
                incident.started = incident.started.min(began);
                incident.witnesses.push(witness);
                incident.hears(severity, silent);
            }
            None => self.incidents.push(ModelIncident {
                project: project_of(key),
                severity,
                state: IncidentState::Open,
                silenced: silent,
                told: !silent,
                started: began,
                witnesses: vec![witness],
            }),
        }
    }

    fn ok(&mut self, now: Timestamp, key: usize) {
        self.settle_key(now, key);
        if let Some((at, place)) = self.live(key)
            && !is_occurrence(key)
            && self.incidents[at].witnesses[place].health == Health::Bad
        {
            self.incidents[at].witnesses[place].health = Health::Holding(now);
        }
    }

    fn expire(&mut self, now: Timestamp) {
        // As the task does: first the holds, then the quiet ones, each by the time since when, then by age.
        for occurrences in [false, true] {
            let mut lapsing: Vec<_> = (0..KEYS)
                .filter(|key| is_occurrence(*key) == occurrences)
                .filter_map(|key| self.live(key).map(|(at, place)| (at, place, key)))
                .map(|(at, place, key)| match self.incidents[at].witnesses[place].health {
                    Health::Holding(since) => (since, at, place, key),
                    Health::Bad | Health::Over => {
                        (self.incidents[at].witnesses[place].last_bad, at, place, key)
                    }
                })
                .collect();
            lapsing.sort();
            for (_, _, _, key) in lapsing {
                self.settle_key(now, key);
            }
        }
        for nth in 0..self.silences.len() {
            if !self.silences[nth].ended && self.silences[nth].ends <= now {
                self.end_silence(now, nth);
            }
        }
    }

    fn end_silence(&mut self, now: Timestamp, nth: usize) {
        let ended = self.silences[nth].covers;
        self.silences[nth].ended = true;
        for key in 0..KEYS {
            let Some((at, place)) = self.live(key).filter(|(at, _)| ended.has(key, Some(*at))) else {
                continue;
            };
            let silent = self.is_silent(now, key, Some(at));
            let witness = self.incidents[at].witnesses[place].clone();
            let incident = &mut self.incidents[at];
            if witness.health != Health::Over
                && !silent
                && (incident.silenced || witness.severity > incident.severity)
            {
                incident.hears(witness.severity, false);
            }
        }
    }
}

impl ModelIncident {
    fn hears(&mut self, severity: Severity, silent: bool) {
        if silent && !self.silenced {
            return;
        }
        let risen = severity > self.severity;
        self.severity = self.severity.max(severity);
        if risen && severity == Severity::Critical && self.state == IncidentState::Acknowledged {
            self.state = IncidentState::Open;
        }
        if silent {
            return;
        }
        self.silenced = false;
        self.told = true;
    }
}

/// One history: the same step is done to both sides, which must then agree.
struct History<'a, 'c> {
    tx: &'a WriteTx<'c>,
    incidents: &'a Incidents,
    model: Model,
    now: Timestamp,
}

impl History<'_, '_> {
    fn signal(&self, key: usize, severity: Severity, kind: SignalKind, began: Timestamp) -> Signal {
        Signal {
            project: Some(project_of(key)),
            service: None,
            key: key_text(key),
            source: Source::Errors,
            severity,
            summary: format!("Trouble {key}"),
            detail: json!({}),
            first_bad_at: began,
            observed_at: self.now,
            kind,
        }
    }

    fn unresolved(&self, nth: usize) -> Option<usize> {
        let mut open = (0..self.model.incidents.len())
            .filter(|at| self.model.incidents[*at].state != IncidentState::Resolved);
        open.nth(nth)
    }

    fn take(&mut self, step: &Step) {
        let (tx, now, incidents) = (self.tx, self.now, self.incidents);
        let id = |at: usize| IncidentId(i64::try_from(at).unwrap() + 1);
        match step {
            Step::Bad { key, severity, began_secs_ago } => {
                let began = now - Duration::from_secs(*began_secs_ago);
                let kind = if is_occurrence(*key) { SignalKind::Occurrence } else { SignalKind::Firing };
                incidents.raise(tx, now, &self.signal(*key, *severity, kind, began)).unwrap();
                self.model.bad(now, *key, *severity, began);
            }
            Step::Touch { key } => self.touch(*key),
            Step::Ok { key } => {
                incidents.raise(tx, now, &self.signal(*key, Severity::Low, SignalKind::Ok, now)).unwrap();
                self.model.ok(now, *key);
            }
            Step::CloseKey { key } => {
                let reason = CloseReason::SubjectResolved;
                incidents.close_key(tx, now, &key_text(*key), reason, "a@example.org").unwrap();
                if let Some((at, place)) = self.model.live(*key) {
                    self.model.end(now, at, place);
                }
            }
            Step::Acknowledge { nth } => {
                let Some(at) = self.unresolved(*nth) else { return };
                incidents.acknowledge(tx, now, id(at), "a@example.org").unwrap();
                self.model.incidents[at].state = IncidentState::Acknowledged;
            }
            Step::Unacknowledge { nth } => {
                let Some(at) = self.unresolved(*nth) else { return };
                incidents.unacknowledge(tx, now, id(at), "a@example.org").unwrap();
                self.model.incidents[at].state = IncidentState::Open;
            }
            Step::Resolve { nth } => {
                let Some(at) = self.unresolved(*nth) else { return };
                incidents.resolve(tx, now, id(at), "a@example.org").unwrap();
                self.model.close(at);
            }
            Step::Silence { key, minutes } => {
                self.silence(key.map_or(Covers::Everything, Covers::Key), *minutes);
            }
            Step::SilenceIncident { nth, minutes } => {
                let Some(at) = self.unresolved(*nth) else { return };
                self.silence(Covers::Incident(at), *minutes);
            }
            Step::EndSilence { nth } => {
                let open = (0..self.model.silences.len()).filter(|at| !self.model.silences[*at].ended);
                if let Some(at) = open.clone().nth(*nth) {
                    incidents.end_silence(tx, now, self.model.silences[at].id).unwrap();
                    self.model.end_silence(now, at);
                }
            }
            Step::Pass { secs, expire } => {
                self.now = now + Duration::from_secs(*secs);
                if *expire {
                    incidents.expire(tx, self.now, 1_000).unwrap();
                    self.model.expire(self.now);
                    let overdue = tx.first(
                        "SELECT id FROM incidents WHERE next_ring_at <= ?1",
                        [self.now.as_micros()],
                        |row| row.get::<_, i64>(0),
                    );
                    assert_eq!(overdue.unwrap(), None, "a ring that was due was not rung");
                }
            }
        }
    }

    fn touch(&mut self, key: usize) {
        let touched = self.incidents.touch(self.tx, &key_text(key), self.now, 3).unwrap();
        let awake = self.model.live(key).filter(|(at, place)| {
            let witness = &self.model.incidents[*at].witnesses[*place];
            let lapsed = is_occurrence(key) && witness.last_bad + Duration::from_mins(30) <= self.now;
            witness.health == Health::Bad && !lapsed
        });
        assert_eq!(touched, awake.is_some(), "touch {key}");
        if let Some((at, place)) = awake {
            self.model.incidents[at].witnesses[place].last_bad = self.now;
        }
    }

    fn silence(&mut self, covers: Covers, minutes: u64) {
        let (key, incident) = match covers {
            Covers::Everything => (None, None),
            Covers::Key(key) => (Some(key_text(key)), None),
            Covers::Incident(at) => (None, Some(IncidentId(i64::try_from(at).unwrap() + 1))),
        };
        let ends = self.now + Duration::from_mins(minutes);
        let silence = NewSilence {
            project: None,
            key,
            incident,
            reason: "work".to_owned(),
            created_by: "a@example.org".to_owned(),
            starts_at: self.now,
            ends_at: ends,
        };
        let id = self.incidents.silence(self.tx, self.now, &silence).unwrap();
        self.model.silences.push(ModelSilence { id, covers, ends, ended: false });
        for key in 0..KEYS {
            if let Some((at, place)) = self.model.live(key)
                && covers.has(key, Some(at))
                && self.model.incidents[at].witnesses[place].health != Health::Over
            {
                self.model.silence_if_covered(self.now, at);
            }
        }
    }

    fn compare(&self, channels: i64) {
        let stored = self
            .tx
            .all(
                "SELECT id, state, severity, silenced, impact_started_at, next_ring_at,
                        (SELECT count(*) FROM deliveries d WHERE d.incident_id = i.id AND d.purpose = 'opened'),
                        (SELECT count(*) FROM deliveries d WHERE d.incident_id = i.id AND d.purpose = 'recovered')
                 FROM incidents i ORDER BY id",
                [],
                |row| {
                    let started = rows::time(row, 4)?;
                    let shown = (row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, bool>(3)?);
                    Ok((shown, started, row.get::<_, Option<i64>>(5)?, row.get::<_, i64>(6)?, row.get::<_, i64>(7)?))
                },
            )
            .unwrap();
        assert_eq!(stored.len(), self.model.incidents.len());
        for ((shown, started, next_ring, opened, recovered), model) in
            stored.iter().zip(&self.model.incidents)
        {
            let expected =
                (model.state.as_str().to_owned(), model.severity.as_str().to_owned(), model.silenced);
            assert_eq!(*shown, expected, "{model:?}");
            assert_eq!(*started, model.started);
            let rings =
                model.state == IncidentState::Open && model.severity == Severity::Critical && !model.silenced;
            assert_eq!(
                next_ring.is_some(),
                rings,
                "rings by itself exactly while somebody should answer: {model:?}"
            );
            let expected = if model.told { channels.max(1) } else { 0 };
            assert_eq!(*opened, expected, "one first message per channel, or one that waits");
            let over = model.state == IncidentState::Resolved && model.told;
            assert_eq!(*recovered, if over { channels } else { 0 }, "the recovery is told to whom was told");
        }
        let witnesses = self
            .tx
            .all("SELECT incident_id, key, state, live FROM witnesses ORDER BY id", [], |row| {
                Ok((
                    usize::try_from(row.get::<_, i64>(0)?).unwrap(),
                    row.get::<_, String>(1)?,
                    row.get::<_, String>(2)?,
                    row.get::<_, bool>(3)?,
                ))
            })
            .unwrap();
        for (incident, key, state, live) in &witnesses {
            let incident = &self.model.incidents[incident - 1];
            assert_eq!(*live, incident.state != IncidentState::Resolved);
            let known = incident.witnesses.iter().find(|witness| key_text(witness.key) == *key).unwrap();
            let expected = match known.health {
                Health::Bad => "firing",
                Health::Holding(_) => "holding",
                Health::Over => "ok",
            };
            assert!(!live || state == expected, "{key} is {state}, should be {expected}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_ends_as_the_model_says(steps in steps(), channels in 0_usize..3) {
        let bed = Bed::shared();
        bed.try_out(move |tx, incidents| {
            for nth in 0..channels {
                tests::add_channel(tx, incidents, T0, &format!("channel {nth}"));
            }
            assert_eq!(INCIDENT_PROJECTS, [1, 2]);
            let mut history = History { tx, incidents, model: Model::default(), now: T0 };
            for step in &steps {
                history.take(step);
                history.compare(i64::try_from(channels).unwrap());
            }
        });
    }
}
