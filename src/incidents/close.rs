//! How witnesses and incidents end.

use serde_json::json;

use crate::base::{ProjectId, Timestamp};
use crate::store::{self, WriteTx, params};

use super::decide::{LiveWitness, WitnessKind};
use super::outbox::NewDelivery;
use super::rows::{self, IncidentRow};
use super::timeline::{Event, EventKind, note};
use super::{
    DELIVERIES, Error, INCIDENTS, IncidentId, IncidentState, Incidents, Purpose, bundle, gather, lead,
    silences,
};

/// Why a witness, and with the last one its incident, is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The condition was well for as long as the hold asks.
    Recovered,
    /// The occurrence was not seen again for the quiet time.
    Quiet,
    SubjectResolved,
    SubjectIgnored,
    /// What was watched was removed, or belongs to another project now.
    SubjectRemoved,
    /// Somebody paused what watches.
    SubjectPaused,
    /// It does not ring by itself any more: what it belongs to does.
    SubjectGrouped,
    /// Its project was put away.
    SubjectArchived,
    /// A person closed the incident.
    ByHand,
}

/// Why something ends and who ended it; `None`: tocsin itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending<'a> {
    pub(super) reason: CloseReason,
    pub(super) actor: Option<&'a str>,
}

impl CloseReason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recovered => "recovered",
            Self::Quiet => "quiet",
            Self::SubjectResolved => "subject_resolved",
            Self::SubjectIgnored => "subject_ignored",
            Self::SubjectRemoved => "subject_removed",
            Self::SubjectPaused => "subject_paused",
            Self::SubjectGrouped => "subject_grouped",
            Self::SubjectArchived => "subject_archived",
            Self::ByHand => "by_hand",
        }
    }

    /// Whether it ends unseen: nobody looks at what was wrong any more, or somebody does elsewhere.
    const fn is_unseen(self) -> bool {
        matches!(
            self,
            Self::SubjectRemoved | Self::SubjectPaused | Self::SubjectGrouped | Self::SubjectArchived
        )
    }

    pub(super) const fn of_lapse(kind: WitnessKind) -> Self {
        match kind {
            WitnessKind::Condition => Self::Recovered,
            WitnessKind::Occurrence => Self::Quiet,
        }
    }
}

/// What is ended in one write when a project is put away.
const CLOSED_MAX: u32 = 200;

/// Whether something of a project that is put away still fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    Over,
    /// There may be more than one write ends.
    GoesOn,
}

impl Incidents {
    /// Ends what fires under `key`, because its subject was resolved, ignored or removed; closes the incident where
    /// this was its last. Answers the incident that the key belonged to.
    pub fn close_key(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        key: &str,
        reason: CloseReason,
        by: &str,
    ) -> Result<Option<IncidentId>, Error> {
        let Some(witness) = rows::find_live_witness(tx, key)? else { return Ok(None) };
        let incident = witness.incident.id;
        self.end_witness(tx, now, &witness, now, Ending { reason, actor: Some(by) })?;
        Ok(Some(incident))
    }

    /// Ends what fires for a project that is put away, the newest first; to be called until it is over.
    pub fn close_project(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        project: ProjectId,
        by: &str,
    ) -> Result<Closing, Error> {
        let keys: Vec<String> = tx.all(
            "SELECT w.key FROM incidents i JOIN witnesses w ON w.incident_id = i.id
             WHERE i.project_id = ?1 AND i.state <> 'resolved' AND w.live = 1 AND w.state <> 'ok'
             ORDER BY w.id DESC LIMIT ?2",
            params![project.0, CLOSED_MAX],
            |row| row.get(0),
        )?;
        for key in &keys {
            self.close_key(tx, now, key, CloseReason::SubjectArchived, by)?;
        }
        Ok(if keys.len() < CLOSED_MAX as usize { Closing::Over } else { Closing::GoesOn })
    }

    /// Closes an incident by hand, whatever still fires: then it ends without having recovered. What fires on opens a
    /// new one with its next signal.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Over`] where it is closed already.
    pub fn resolve(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        incident: IncidentId,
        by: &str,
    ) -> Result<(), Error> {
        let row = rows::find_incident(tx, incident)?.ok_or(Error::NotFound("incident"))?;
        if row.state == IncidentState::Resolved {
            return Err(Error::Over);
        }
        let recovered_at = find_recovery(tx, incident)?;
        tx.execute(
            "UPDATE witnesses SET state = 'ok', ok_since = ifnull(ok_since, ?2)
             WHERE incident_id = ?1 AND state <> 'ok'",
            params![incident.0, now.as_micros()],
        )?;
        self.close(tx, now, &row, recovered_at, Ending { reason: CloseReason::ByHand, actor: Some(by) })
    }

    /// Marks a witness as over since `over_since`, and closes its incident if it was the last.
    pub(super) fn end_witness(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        witness: &LiveWitness,
        over_since: Timestamp,
        ending: Ending<'_>,
    ) -> Result<(), Error> {
        tx.execute(
            "UPDATE witnesses SET state = 'ok', ok_since = ?2 WHERE id = ?1",
            params![witness.id.0, over_since.as_micros()],
        )?;
        let incident = witness.incident.id;
        let detail = json!({"key": witness.key, "reason": ending.reason.as_str()});
        note(tx, now, incident, &Event { kind: EventKind::WitnessOver, actor: ending.actor, detail })?;
        tx.touch(INCIDENTS);
        let goes_on = self.close_if_over(tx, now, incident, ending)?;
        match goes_on.filter(|_| ending.reason == CloseReason::Recovered) {
            Some(incident) => self.tell_well_again(tx, now, &incident, witness),
            None => Ok(()),
        }
    }

    /// Closes an incident none of whose witnesses fires or holds. One that goes on is as grave as what is left of it, and
    /// answered.
    pub(super) fn close_if_over(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        incident: IncidentId,
        ending: Ending<'_>,
    ) -> Result<Option<IncidentRow>, Error> {
        let (unwell, over_since) = tx.one(
            "SELECT count(*) FILTER (WHERE state <> 'ok'), max(ok_since) FROM witnesses WHERE incident_id = ?1",
            [incident.0],
            |row| Ok((row.get::<_, i64>(0)?, rows::maybe_time(row, 1)?)),
        )?;
        let Some(mut row) = rows::find_incident(tx, incident)? else { return Ok(None) };
        if unwell > 0 {
            // What is left may be what a silence covers.
            row.silenced = silences::silence_if_covered(tx, now, &row)?;
            return Ok(Some(self.follow_lead(tx, now, row)?));
        }
        if row.state != IncidentState::Resolved {
            let recovered_at = (!ending.reason.is_unseen()).then(|| over_since.unwrap_or(now));
            self.close(tx, now, &row, recovered_at, ending)?;
        }
        Ok(None)
    }

    fn close(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        incident: &IncidentRow,
        recovered_at: Option<Timestamp>,
        ending: Ending<'_>,
    ) -> Result<(), Error> {
        tx.execute(
            "UPDATE incidents SET state = 'resolved', recovered_at = ?2, resolved_at = ?3, resolve_reason = ?4,
                    next_ring_at = NULL
             WHERE id = ?1",
            params![incident.id.0, recovered_at.map(Timestamp::as_micros), now.as_micros(), ending.reason.as_str()],
        )?;
        tx.execute("UPDATE witnesses SET live = 0 WHERE incident_id = ?1", [incident.id.0])?;
        silences::end_with_incident(tx, now, incident.id)?;
        let incident = &lead::conclude(tx, now, incident)?;
        // What nobody watches any more is named as it was: the worst of it may have recovered.
        if !ending.reason.is_unseen() {
            lead::name(tx, now, incident)?;
        }
        let detail = json!({"reason": ending.reason.as_str()});
        note(tx, now, incident.id, &Event { kind: EventKind::Resolved, actor: ending.actor, detail })?;
        cancel_rings(tx, incident.id, "the incident was over before it was sent")?;
        let content = json!({"reason": ending.reason.as_str(), "by": ending.actor});
        let mut message = NewDelivery::of(incident, Purpose::Recovered, content);
        self.post_to_thread(tx, now, &mut message, &[])?;
        tx.touch(INCIDENTS);
        Ok(())
    }
}

/// Since when none of an incident's witnesses fires; `None` while one does.
fn find_recovery(tx: &WriteTx<'_>, incident: IncidentId) -> Result<Option<Timestamp>, store::Error> {
    tx.one(
        "SELECT iif(count(*) FILTER (WHERE state = 'firing') = 0, max(ok_since), NULL)
         FROM witnesses WHERE incident_id = ?1",
        [incident.0],
        |row| rows::maybe_time(row, 0),
    )
}

/// Takes back the repetitions that were not sent yet. First messages and news of the thread are still sent.
pub(super) fn cancel_rings(tx: &WriteTx<'_>, incident: IncidentId, reason: &str) -> Result<(), store::Error> {
    gather::release_from_rings(tx, incident)?;
    let cancelled = tx.execute(
        "UPDATE deliveries SET state = 'cancelled', next_attempt_at = NULL, last_error = ?2
         WHERE incident_id = ?1 AND state = 'pending' AND purpose = 'ring_again'",
        params![incident.0, reason],
    )?;
    let taken_out = bundle::take_rings_out(tx, incident, reason)?;
    if cancelled + taken_out > 0 {
        tx.touch(DELIVERIES);
    }
    Ok(())
}
