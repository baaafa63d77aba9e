//! What people do with an incident: acknowledge it, take that back, split a witness off.

use serde_json::json;

use crate::base::Timestamp;
use crate::store::{WriteTx, params};

use super::close::{CloseReason, Ending, cancel_rings};
use super::rows::{self, IncidentRow};
use super::timeline::{Event, EventKind, note};
use super::{Error, INCIDENTS, IncidentId, IncidentState, Incidents, WitnessId, silences};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    Now,
    /// By whom, earlier.
    Already(String),
}

impl Incidents {
    /// Stops the rings: `by` (an email address, or `signed link`) takes care of it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Over`].
    pub fn acknowledge(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        incident: IncidentId,
        by: &str,
    ) -> Result<Acknowledged, Error> {
        let row = rows::find_incident(tx, incident)?.ok_or(Error::NotFound("incident"))?;
        match row.state {
            IncidentState::Resolved => Err(Error::Over),
            IncidentState::Acknowledged => Ok(Acknowledged::Already(tx.one(
                "SELECT ifnull(acknowledged_by, '') FROM incidents WHERE id = ?1",
                [incident.0],
                |row| row.get(0),
            )?)),
            IncidentState::Open => {
                tx.execute(
                    "UPDATE incidents SET state = 'acknowledged', acknowledged_at = ?2, acknowledged_by = ?3,
                            next_ring_at = NULL
                     WHERE id = ?1",
                    params![incident.0, now.as_micros(), by],
                )?;
                let event = Event { kind: EventKind::Acknowledged, actor: Some(by), detail: json!({}) };
                note(tx, now, incident, &event)?;
                cancel_rings(tx, incident, "acknowledged before it was sent")?;
                tx.touch(INCIDENTS);
                Ok(Acknowledged::Now)
            }
        }
    }

    /// Takes an acknowledgement back: the waits before a critical incident rings begin anew.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Over`].
    pub fn unacknowledge(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        incident: IncidentId,
        by: &str,
    ) -> Result<(), Error> {
        let row = rows::find_incident(tx, incident)?.ok_or(Error::NotFound("incident"))?;
        match row.state {
            IncidentState::Resolved => return Err(Error::Over),
            IncidentState::Open => return Ok(()),
            IncidentState::Acknowledged => {}
        }
        tx.execute(
            "UPDATE incidents SET state = 'open', acknowledged_at = NULL, acknowledged_by = NULL WHERE id = ?1",
            [incident.0],
        )?;
        let event = Event { kind: EventKind::Unacknowledged, actor: Some(by), detail: json!({}) };
        note(tx, now, incident, &event)?;
        tx.touch(INCIDENTS);
        Ok(self.schedule_ring(tx, now, &IncidentRow { state: IncidentState::Open, ..row })?)
    }

    /// Gives a witness an incident of its own, told to everybody; the rest is as grave as what stays.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Over`]; [`Error::LastWitness`].
    pub fn split(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        witness: WitnessId,
        by: &str,
    ) -> Result<IncidentId, Error> {
        let (from, key, live) = tx
            .first("SELECT incident_id, key, live FROM witnesses WHERE id = ?1", [witness.0], |row| {
                Ok((IncidentId(row.get(0)?), row.get::<_, String>(1)?, row.get::<_, bool>(2)?))
            })?
            .ok_or(Error::NotFound("witness"))?;
        if !live {
            return Err(Error::Over);
        }
        let others = tx.one(
            "SELECT count(*) FROM witnesses WHERE incident_id = ?1 AND id <> ?2",
            params![from.0, witness.0],
            |row| row.get::<_, i64>(0),
        )?;
        if others == 0 {
            return Err(Error::LastWitness);
        }
        let project = rows::find_incident(tx, from)?.ok_or(Error::NotFound("incident"))?.project;
        // A silence of the incident that it leaves does not go with it.
        let silenced = silences::find_active(tx, now, project, &key, None)?.is_some();
        let own = self.move_witness(tx, now, witness, (from, silenced))?;
        self.settle_rest(tx, now, from)?;
        let own_detail = json!({"key": key, "incident": from.0});
        note(tx, now, own.id, &Event { kind: EventKind::SplitFrom, actor: Some(by), detail: own_detail })?;
        let detail = json!({"key": key, "incident": own.id.0});
        note(tx, now, from, &Event { kind: EventKind::SplitOff, actor: Some(by), detail })?;
        if !own.silenced {
            self.tell_all(tx, now, &own)?;
            self.schedule_ring(tx, now, &own)?;
        }
        let ending = Ending { reason: CloseReason::ByHand, actor: Some(by) };
        self.close_if_over(tx, now, own.id, ending)?;
        self.close_if_over(tx, now, from, ending)?;
        tx.touch(INCIDENTS);
        Ok(own.id)
    }

    fn move_witness(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        witness: WitnessId,
        (from, silenced): (IncidentId, bool),
    ) -> Result<IncidentRow, Error> {
        let own = IncidentId(tx.insert(
            "INSERT INTO incidents
                 (uid, project_id, service, severity, state, summary, opened_as, impact_started_at, detected_at,
                  silenced, witness_count)
             SELECT ?1, i.project_id, i.service, w.severity, 'open', w.summary, w.summary, w.first_bad_at, w.detected_at,
                    ?3, 1
             FROM witnesses w JOIN incidents i ON i.id = w.incident_id WHERE w.id = ?2",
            params![self.entropy.uid(now).as_bytes(), witness.0, silenced],
        )?);
        tx.execute("UPDATE witnesses SET incident_id = ?2 WHERE id = ?1", params![witness.0, own.0])?;
        tx.execute("UPDATE incidents SET witness_count = witness_count - 1 WHERE id = ?1", [from.0])?;
        rows::find_incident(tx, own)?.ok_or(Error::NotFound("incident"))
    }

    /// Severity, start and summary of an incident that a witness has left, from those that stay.
    fn settle_rest(&self, tx: &WriteTx<'_>, now: Timestamp, incident: IncidentId) -> Result<(), Error> {
        tx.execute(
            "UPDATE incidents SET
                 impact_started_at = (SELECT min(first_bad_at) FROM witnesses WHERE incident_id = ?1)
             WHERE id = ?1",
            [incident.0],
        )?;
        let row = rows::find_incident(tx, incident)?.ok_or(Error::NotFound("incident"))?;
        self.follow_lead(tx, now, row)?;
        Ok(())
    }
}
