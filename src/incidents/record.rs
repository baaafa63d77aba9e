//! Applies a decision: the incident, its witness, its timeline and its messages, in the caller's transaction.

use serde_json::json;

use crate::base::Timestamp;
use crate::store::{self, WriteTx, params};

use super::close::Ending;
use super::decide::{
    LiveWitness, OpenIncident, RingReason, Situation, WitnessKind, WitnessState, decide, nearest,
};
use super::outbox::NewDelivery;
use super::ring::{Alarm, next_ring_at};
use super::rows::{self, IncidentRow, OPEN_INCIDENTS};
use super::timeline::{Event, EventKind, note};
use super::{
    CloseReason, Decision, Error, INCIDENTS, IncidentId, IncidentState, Incidents, Purpose, Signal,
    SilenceId, WitnessId, lead, silences, well_again,
    witnesses::{self, Words},
};

/// What became of a raised signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub decision: Decision,
    /// `None` where the signal was ignored.
    pub incident: Option<IncidentId>,
}

/// Open incidents of one project that began within the same ten minutes, the nearest first; the nearest is joined.
const CANDIDATES_MAX: i64 = 50;

impl Incidents {
    /// Decides what `signal` means and writes its consequences, messages included.
    ///
    /// A signal that changes nothing costs one read and one update.
    pub fn raise(&self, tx: &WriteTx<'_>, now: Timestamp, signal: &Signal) -> Result<Recorded, Error> {
        let signal = &signal.bounded(now);
        let witness = self.find_settled(tx, now, &signal.key)?;
        if let Some(witness) = witness.as_ref().filter(|witness| witness.continues(signal)) {
            let incident = witness.incident.id;
            let words = witnesses::continues(tx, witness, signal)?;
            if words == Words::Other
                && let Some(row) = rows::find_incident(tx, incident)?
            {
                lead::name(tx, now, &row)?;
            }
            if words == Words::Other || witness.state == WitnessState::Holding {
                tx.touch(INCIDENTS);
            }
            return Ok(Recorded { decision: Decision::Continued { incident }, incident: Some(incident) });
        }
        let bad = signal.kind.is_bad();
        let candidates =
            if bad && witness.is_none() { self.find_candidates(tx, signal)? } else { Vec::new() };
        let joins = || nearest(&self.policy, &candidates, signal).map(|incident| incident.id);
        let belongs = witness.as_ref().map(|witness| witness.incident.id).or_else(joins);
        let find_silence = || silences::find_active(tx, now, signal.project, &signal.key, belongs);
        let silence = if bad { find_silence()? } else { None };
        let situation = Situation { witness: witness.as_ref(), candidates: &candidates, silence };
        let decision = decide(&self.policy, situation, signal, now);
        let incident = self.apply(tx, now, signal, witness.as_ref(), decision)?;
        Ok(Recorded { decision, incident })
    }

    /// Takes back that what fires under `key` is well, where that is not believed yet: nothing proves it now.
    pub fn doubt(&self, tx: &WriteTx<'_>, key: &str) -> Result<(), Error> {
        let doubted = tx.execute(
            "UPDATE witnesses SET state = 'firing', ok_since = NULL WHERE key = ?1 AND live = 1 AND state = 'holding'",
            [key],
        )?;
        if doubted > 0 {
            tx.touch(INCIDENTS);
        }
        Ok(())
    }

    /// Keeps the incident of `key` awake: `count` more occurrences, the last at `now`. One update.
    ///
    /// Answers false where nothing fires under this key any more: then the caller raises a signal.
    pub fn touch(&self, tx: &WriteTx<'_>, key: &str, now: Timestamp, count: i64) -> Result<bool, Error> {
        let awake_since = now - self.policy.quiet;
        let touched = tx.execute(
            "UPDATE witnesses SET last_bad_at = max(last_bad_at, ?2), signal_count = signal_count + ?3
             WHERE key = ?1 AND live = 1 AND state = 'firing' AND (kind = 'condition' OR last_bad_at > ?4)",
            params![key, now.as_micros(), count, awake_since.as_micros()],
        )?;
        Ok(touched > 0)
    }

    /// The live witness of `key`, after what time alone has ended is ended: decisions do not depend on when the
    /// background task last ran.
    fn find_settled(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        key: &str,
    ) -> Result<Option<LiveWitness>, Error> {
        let Some(witness) = rows::find_live_witness(tx, key)? else { return Ok(None) };
        let Some(over_since) = witness.lapsed_at(&self.policy, now) else { return Ok(Some(witness)) };
        let reason = CloseReason::of_lapse(witness.kind);
        self.end_witness(tx, now, &witness, over_since, Ending { reason, actor: None })?;
        Ok(rows::find_live_witness(tx, key)?)
    }

    fn find_candidates(&self, tx: &WriteTx<'_>, signal: &Signal) -> Result<Vec<OpenIncident>, store::Error> {
        let began = signal.first_bad_at.as_micros();
        let from = (signal.first_bad_at - self.policy.join_within).as_micros();
        let to = (signal.first_bad_at + self.policy.join_within).as_micros();
        let mut candidates = tx.all(
            &format!(
                "{OPEN_INCIDENTS}
                 WHERE state <> 'resolved' AND project_id IS ?1 AND impact_started_at BETWEEN ?2 AND ?3
                 ORDER BY abs(impact_started_at - ?4), id LIMIT ?5"
            ),
            params![signal.project.map(|project| project.0), from, to, began, CANDIDATES_MAX],
            |row| rows::open_incident(row, 0),
        )?;
        if let Some(service) = &signal.service {
            candidates.extend(tx.all(
                &format!(
                    "{OPEN_INCIDENTS}
                     WHERE state <> 'resolved' AND service = ?1 AND impact_started_at BETWEEN ?2 AND ?3
                     ORDER BY abs(impact_started_at - ?4), id LIMIT ?5"
                ),
                params![service, from, to, began, CANDIDATES_MAX],
                |row| rows::open_incident(row, 0),
            )?);
        }
        Ok(candidates)
    }

    fn apply(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        signal: &Signal,
        witness: Option<&LiveWitness>,
        decision: Decision,
    ) -> Result<Option<IncidentId>, Error> {
        let incident = match decision {
            Decision::Ignored(_) => return Ok(None),
            Decision::Opened { silence } => self.open(tx, now, signal, silence)?,
            Decision::Joined { incident, rings, silence } => {
                self.join(tx, now, signal, incident, News { kind: EventKind::Joined, rings, silence })?;
                incident
            }
            Decision::Refired { incident, rings, silence } => {
                self.worsen(tx, now, signal, witness, News { kind: EventKind::Refired, rings, silence })?;
                incident
            }
            Decision::Raised { incident, rings, silence, .. } => {
                self.worsen(tx, now, signal, witness, News { kind: EventKind::Raised, rings, silence })?;
                incident
            }
            Decision::Worsened { incident, rings, silence } => {
                self.worsen(tx, now, signal, witness, News { kind: EventKind::Worsened, rings, silence })?;
                incident
            }
            Decision::Continued { incident } => {
                if let Some(witness) = witness {
                    witnesses::continues(tx, witness, signal)?;
                }
                incident
            }
            Decision::BeganHolding { incident, .. } => {
                witnesses::begins_holding(tx, witness, signal.observed_at)?;
                incident
            }
            Decision::Recovered { incident } => {
                if let Some(witness) = witness {
                    let ending = Ending { reason: CloseReason::Recovered, actor: None };
                    self.end_witness(tx, now, witness, signal.observed_at, ending)?;
                }
                incident
            }
        };
        tx.touch(INCIDENTS);
        Ok(Some(incident))
    }

    fn open(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        signal: &Signal,
        silence: Option<SilenceId>,
    ) -> Result<IncidentId, Error> {
        let id = tx.insert(
            "INSERT INTO incidents
                 (uid, project_id, service, severity, state, summary, opened_as, impact_started_at, detected_at, silenced)
             VALUES (?1, ?2, ?3, ?4, 'open', ?5, ?5, ?6, ?7, ?8)",
            params![
                self.entropy.uid(now).as_bytes(),
                signal.project.map(|project| project.0),
                signal.service,
                signal.severity.as_str(),
                signal.summary,
                signal.first_bad_at.as_micros(),
                now.as_micros(),
                silence.is_some()
            ],
        )?;
        let incident = IncidentRow {
            id: IncidentId(id),
            project: signal.project,
            severity: signal.severity,
            state: IncidentState::Open,
            silenced: silence.is_some(),
            rings: 0,
        };
        witnesses::insert(tx, now, incident.id, signal)?;
        let detail = json!({
            "key": signal.key,
            "source": signal.source.as_str(),
            "severity": signal.severity.as_str(),
            "silenced": silence.is_some(),
        });
        note(tx, now, incident.id, &Event { kind: EventKind::Opened, actor: None, detail })?;
        if silence.is_none() {
            self.tell_all(tx, now, &incident)?;
            self.schedule_ring(tx, now, &incident)?;
        }
        Ok(incident.id)
    }

    fn join(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        signal: &Signal,
        incident: IncidentId,
        news: News,
    ) -> Result<(), Error> {
        let (witness, listed) = witnesses::insert(tx, now, incident, signal)?;
        tx.execute(
            "UPDATE incidents SET impact_started_at = min(impact_started_at, ?2), service = ifnull(service, ?3)
             WHERE id = ?1",
            params![incident.0, signal.first_bad_at.as_micros(), signal.service],
        )?;
        let subject = Subject { incident, witness, heard: listed };
        self.announce(tx, now, signal, subject, news)
    }

    /// A known witness that is worse than it or its incident was, or fires again after it was over. What comes and goes
    /// beside another is told where people were told that it is well; it fires on for those who were not.
    fn worsen(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        signal: &Signal,
        witness: Option<&LiveWitness>,
        news: News,
    ) -> Result<(), Error> {
        let Some(witness) = witness else { return Ok(()) };
        witnesses::worsens(tx, witness, signal)?;
        let incident = witness.incident.id;
        let heard = news.kind == EventKind::Worsened
            || witness.kind == WitnessKind::Occurrence
            || well_again::is_told(tx, incident, witness.id)?;
        let subject = Subject { incident, witness: witness.id, heard };
        self.announce(tx, now, signal, subject, news)
    }

    /// Notes on the timeline, raises the incident's severity, and posts where somebody should hear of it.
    fn announce(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        signal: &Signal,
        subject: Subject,
        news: News,
    ) -> Result<(), Error> {
        let Subject { incident, witness, heard } = subject;
        let News { kind, rings, silence } = news;
        let detail = json!({
            "key": signal.key,
            "source": signal.source.as_str(),
            "severity": signal.severity.as_str(),
            "rings": rings.map(RingReason::as_str),
            "silenced": silence.is_some(),
        });
        note(tx, now, incident, &Event { kind, actor: None, detail })?;
        let row = rows::find_incident(tx, incident)?.ok_or(Error::NotFound("incident"))?;
        if silence.is_some() && !row.silenced {
            // What is silenced must not make an audible incident louder.
            return Ok(());
        }
        let risen = signal.severity > row.severity;
        let row = if risen { lead::raise(tx, &row, signal.severity)? } else { row };
        // One that joins and is no worse comes last.
        if risen || kind != EventKind::Joined {
            lead::name(tx, now, &row)?;
        }
        if silence.is_some() {
            return Ok(());
        }
        if rings == Some(RingReason::NotSilenced) {
            return self.unsilence(tx, now, &row, true);
        }
        // The channels that know of it may all be broken by now: whatever rings looks for others.
        let newly_told = if rings.is_some() { self.tell_all(tx, now, &row)? } else { Vec::new() };
        if risen {
            self.schedule_ring(tx, now, &row)?;
        }
        if kind == EventKind::Joined && heard && rings.is_none() && !self.policy.gather.is_zero() {
            return Ok(self.gather(tx, now, &row, witness)?);
        }
        if heard || rings.is_some() {
            let purpose = if risen { Purpose::Raised } else { Purpose::Witness };
            let content = json!({"witness": witness.0, "rings": rings.map(RingReason::as_str)});
            let mut message = NewDelivery::of(&row, purpose, content);
            self.post_to_thread(tx, now, &mut message, &newly_told)?;
        }
        Ok(())
    }

    /// Tells people of an incident that was kept silent, and starts its rings. Who acknowledged it is told only what is
    /// news.
    pub(super) fn unsilence(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        incident: &IncidentRow,
        is_news: bool,
    ) -> Result<(), Error> {
        tx.execute("UPDATE incidents SET silenced = 0 WHERE id = ?1", [incident.id.0])?;
        let row = IncidentRow { silenced: false, ..incident.clone() };
        let event = Event { kind: EventKind::Unsilenced, actor: None, detail: json!({}) };
        note(tx, now, row.id, &event)?;
        let newly_told = self.tell_all(tx, now, &row)?;
        let content = json!({"rings": RingReason::NotSilenced.as_str()});
        let mut message = NewDelivery::of(&row, Purpose::RingAgain, content);
        if is_news || row.state == IncidentState::Open {
            self.post_to_thread(tx, now, &mut message, &newly_told)?;
        }
        self.schedule_ring(tx, now, &row)?;
        tx.touch(INCIDENTS);
        Ok(())
    }

    /// Tells of a witness that joined `incident` under a silence, which is over now. Not where a message that tells of
    /// the whole incident was written since, nor of one that is only counted.
    pub(super) fn tell_of_silenced(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        silence: SilenceId,
        (key, incident): (&str, IncidentId),
    ) -> Result<(), Error> {
        let untold = tx.first(
            "SELECT w.id FROM witnesses w JOIN silences s ON s.id = ?1
             WHERE w.key = ?2 AND w.live = 1 AND w.detected_at >= s.starts_at
               AND (SELECT count(*) FROM (SELECT 1 FROM witnesses earlier
                    WHERE earlier.incident_id = w.incident_id AND earlier.id < w.id LIMIT ?3)) < ?3
               AND NOT EXISTS (
                   SELECT 1 FROM deliveries d
                   WHERE d.incident_id = w.incident_id AND d.created_at >= w.detected_at AND d.state <> 'cancelled'
                     AND d.follows IS NULL AND (d.purpose IN ('opened', 'raised', 'ring_again')
                          OR json_extract(d.content, '$.witness') = w.id
                          OR w.id IN (SELECT value FROM json_each(d.content, '$.gathered'))))",
            params![silence.0, key, witnesses::LISTED_MAX],
            |row| row.get::<_, i64>(0),
        )?;
        let Some(witness) = untold else { return Ok(()) };
        let row = rows::find_incident(tx, incident)?.ok_or(Error::NotFound("incident"))?;
        let is_acknowledged = row.state == IncidentState::Acknowledged;
        let rings = is_acknowledged.then_some(RingReason::AfterAcknowledgement);
        let newly_told = if is_acknowledged { self.tell_all(tx, now, &row)? } else { Vec::new() };
        let content = json!({"witness": witness, "rings": rings.map(RingReason::as_str)});
        let mut message = NewDelivery::of(&row, Purpose::Witness, content);
        Ok(self.post_to_thread(tx, now, &mut message, &newly_told)?)
    }

    /// Starts the waits anew: the incident rang now for another reason than a repetition.
    pub(super) fn schedule_ring(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        incident: &IncidentRow,
    ) -> Result<(), store::Error> {
        let alarm = Alarm {
            severity: incident.severity,
            state: incident.state,
            silenced: incident.silenced,
            rings: 0,
        };
        let next = next_ring_at(&self.policy.ring, alarm, now).map(Timestamp::as_micros);
        tx.execute(
            "UPDATE incidents SET rings = 0, next_ring_at = ?2 WHERE id = ?1",
            params![incident.id.0, next],
        )?;
        Ok(())
    }
}

/// How a change of a known incident is told.
#[derive(Clone, Copy)]
struct News {
    kind: EventKind,
    rings: Option<RingReason>,
    silence: Option<SilenceId>,
}

#[derive(Clone, Copy)]
struct Subject {
    incident: IncidentId,
    witness: WitnessId,
    /// Whether the thread hears of it even though it does not ring.
    heard: bool,
}

impl RingReason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SeverityRaised => "severity_raised",
            Self::AfterAcknowledgement => "after_acknowledgement",
            Self::NotSilenced => "not_silenced",
        }
    }
}
