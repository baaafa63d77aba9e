//! Silences: for a while, what matches opens and closes incidents without a message.

use std::collections::BTreeSet;

use serde_json::json;

use crate::base::{ProjectId, Timestamp, Uid};
use crate::store::{self, ReadTx, Row, WriteTx, params};

use super::named::{check_key, sql_names};
use super::rows::{self, IncidentRow};
use super::timeline::{Event, EventKind, note};
use super::{Error, INCIDENTS, IncidentId, IncidentState, Incidents, SilenceId, WitnessId, close, lead};

/// What is kept silent, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSilence {
    /// `None`: every project and tocsin itself.
    pub project: Option<ProjectId>,
    /// A key with what hangs on it, or a prefix ending in `*`; `None`: every key.
    pub key: Option<String>,
    /// This incident alone, with whatever joins it, and no longer than it lasts; `project` is then its project.
    pub incident: Option<IncidentId>,
    pub reason: String,
    pub created_by: String,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
}

/// A silence as it is stored; ended early where `ended_at` lies before `ends_at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    pub id: SilenceId,
    pub uid: Uid,
    pub project: Option<ProjectId>,
    pub key: Option<String>,
    /// The one incident that it is of, by both its ids.
    pub incident: Option<(IncidentId, Uid)>,
    pub reason: String,
    pub created_by: String,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

impl Silence {
    /// What it covers of its project, in a word.
    pub fn subject(&self) -> String {
        match (&self.incident, &self.key) {
            (Some((incident, _)), _) => format!("#{}", incident.0),
            (None, Some(key)) => key.clone(),
            (None, None) => "everything".to_owned(),
        }
    }
}

/// A witness that a silence covers.
struct Covered {
    witness: WitnessId,
    key: String,
    incident: IncidentId,
}

/// Active silences of keys of one project or of all, with which every signal is compared; and those of one incident.
const ACTIVE_MAX: i64 = 100;
/// Silences that a page lists.
const SILENCES_MAX: i64 = 1_000;
/// Witnesses in one page of those that a silence covers. One that ends tells a page per run.
const WITNESSES_PER_PAGE: usize = 1_000;

impl Incidents {
    /// Begins a silence. Open incidents all of whose witnesses it covers fall silent at once.
    ///
    /// # Errors
    /// [`Error::Invalid`] where it ends before it starts, its key is none, or there are too many; of an incident
    /// [`Error::NotFound`] and, where it is over, [`Error::Over`].
    pub fn silence(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        silence: &NewSilence,
    ) -> Result<SilenceId, Error> {
        if silence.ends_at <= silence.starts_at || silence.ends_at <= now {
            return Err(Error::Invalid("a silence ends after it starts, and in the future".to_owned()));
        }
        check_key(silence.key.as_deref())?;
        if let Some(incident) = silence.incident {
            check_incident(tx, incident)?;
        }
        if count_active(tx, now, silence)? >= ACTIVE_MAX {
            let text = format!(
                "{ACTIVE_MAX} silences are active here already: end one, or cover more with a prefix"
            );
            return Err(Error::Invalid(text));
        }
        self.begin_silence(tx, now, silence)
    }

    /// As [`Incidents::silence`], where nothing is left to be checked.
    pub(super) fn begin_silence(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        silence: &NewSilence,
    ) -> Result<SilenceId, Error> {
        let id = tx.insert(
            "INSERT INTO silences (uid, project_id, key, incident_id, reason, created_by, starts_at, ends_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                self.entropy.uid(now).as_bytes(),
                silence.project.map(|project| project.0),
                silence.key,
                silence.incident.map(|incident| incident.0),
                silence.reason,
                silence.created_by,
                silence.starts_at.as_micros(),
                silence.ends_at.as_micros()
            ],
        )?;
        let id = SilenceId(id);
        match silence.incident {
            Some(incident) => silence_covered(tx, now, [incident])?,
            None => silence_all_covered(tx, now, id)?,
        }
        tx.touch(INCIDENTS);
        Ok(id)
    }

    /// Ends a silence early. What still fires and nothing else silences is told now.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none or it has ended.
    pub fn end_silence(&self, tx: &WriteTx<'_>, now: Timestamp, silence: SilenceId) -> Result<(), Error> {
        let ended = tx.execute(
            "UPDATE silences SET ends_at = min(ends_at, ?2) WHERE id = ?1 AND ended_at IS NULL",
            params![silence.0, now.as_micros()],
        )?;
        if ended == 0 {
            return Err(Error::NotFound("silence"));
        }
        tx.touch(INCIDENTS);
        self.tell_what_was_silent(tx, now, silence).map(drop)
    }

    /// Tells what `silence`, which has run out, kept back, one page of it; marks it as ended once nothing is left, and
    /// answers whether that is so.
    pub(super) fn tell_what_was_silent(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        silence: SilenceId,
    ) -> Result<bool, Error> {
        let after = tx.one("SELECT told_up_to FROM silences WHERE id = ?1", [silence.0], |row| {
            row.get(0).map(WitnessId)
        })?;
        let covered = find_covered(tx, silence, after)?;
        let is_last = covered.len() < WITNESSES_PER_PAGE;
        let told_up_to = covered.last().map_or(after, |covered| covered.witness);
        for Covered { key, incident, .. } in covered {
            let Some(row) = rows::find_incident(tx, incident)? else { continue };
            if find_active(tx, now, row.project, &key, Some(incident))?.is_some() {
                continue;
            }
            let severity = rows::find_live_witness(tx, &key)?.map_or(row.severity, |w| w.severity);
            let risen = severity > row.severity;
            let row = if risen { lead::raise(tx, &row, severity)? } else { row };
            if row.silenced || risen {
                self.unsilence(tx, now, &row, risen)?;
                lead::name(tx, now, &row)?;
            }
            self.tell_of_silenced(tx, now, silence, (&key, incident))?;
        }
        if is_last {
            tx.execute(
                "UPDATE silences SET ended_at = ?2 WHERE id = ?1",
                params![silence.0, now.as_micros()],
            )?;
            tx.touch(INCIDENTS);
        } else {
            tx.execute(
                "UPDATE silences SET told_up_to = ?2 WHERE id = ?1",
                params![silence.0, told_up_to.0],
            )?;
        }
        Ok(is_last)
    }
}

/// Ends the silences of an incident that is over. What fires on is another incident, and is heard.
pub(super) fn end_with_incident(
    tx: &WriteTx<'_>,
    now: Timestamp,
    incident: IncidentId,
) -> Result<(), store::Error> {
    tx.execute(
        "UPDATE silences SET ends_at = min(ends_at, ?2), ended_at = ?2
         WHERE incident_id = ?1 AND ended_at IS NULL",
        params![incident.0, now.as_micros()],
    )?;
    Ok(())
}

/// Makes the incidents silent that `silence` helps to cover wholly.
fn silence_all_covered(tx: &WriteTx<'_>, now: Timestamp, silence: SilenceId) -> Result<(), store::Error> {
    let mut after = WitnessId(0);
    loop {
        let page = find_covered(tx, silence, after)?;
        silence_covered(tx, now, page.iter().map(|covered| covered.incident).collect::<BTreeSet<_>>())?;
        match page.last() {
            Some(last) if page.len() == WITNESSES_PER_PAGE => after = last.witness,
            Some(_) | None => return Ok(()),
        }
    }
}

fn silence_covered(
    tx: &WriteTx<'_>,
    now: Timestamp,
    incidents: impl IntoIterator<Item = IncidentId>,
) -> Result<(), store::Error> {
    for incident in incidents {
        if let Some(row) = rows::find_incident(tx, incident)? {
            silence_if_covered(tx, now, &row)?;
        }
    }
    Ok(())
}

/// Only an incident that is not over can be silenced.
fn check_incident(tx: &ReadTx<'_>, incident: IncidentId) -> Result<(), Error> {
    match rows::find_incident(tx, incident)?.ok_or(Error::NotFound("incident"))?.state {
        IncidentState::Open | IncidentState::Acknowledged => Ok(()),
        IncidentState::Resolved => Err(Error::Over),
    }
}

/// Active silences beside which `silence` would stand.
fn count_active(tx: &ReadTx<'_>, now: Timestamp, silence: &NewSilence) -> Result<i64, store::Error> {
    tx.one(
        "SELECT count(*) FROM silences
         WHERE ended_at IS NULL AND ends_at > ?1 AND project_id IS ?2 AND incident_id IS ?3",
        params![
            now.as_micros(),
            silence.project.map(|project| project.0),
            silence.incident.map(|incident| incident.0)
        ],
        |row| row.get(0),
    )
}

/// Deletes silences that ended before `before`, at most `limit`.
pub fn purge(tx: &WriteTx<'_>, before: Timestamp, limit: u32) -> Result<usize, store::Error> {
    tx.execute(
        "DELETE FROM silences WHERE id IN
           (SELECT id FROM silences WHERE ended_at < ?1 ORDER BY ended_at LIMIT ?2)",
        params![before.as_micros(), limit],
    )
}

/// The silence that covers a key of a project at `now`, if any; `incident` is the one that the key belongs to or would
/// join, whose own silence covers every key.
pub fn find_active(
    tx: &ReadTx<'_>,
    now: Timestamp,
    project: Option<ProjectId>,
    key: &str,
    incident: Option<IncidentId>,
) -> Result<Option<SilenceId>, store::Error> {
    let own = incident.map(|incident| find_of_incident(tx, now, incident)).transpose()?.flatten();
    if own.is_some() {
        return Ok(own);
    }
    let names = sql_names("key", "?3");
    tx.first(
        &format!(
            "SELECT id FROM silences
             WHERE ended_at IS NULL AND ends_at > ?1 AND starts_at <= ?1 AND incident_id IS NULL
               AND (project_id IS NULL OR project_id IS ?2) AND {names}
             ORDER BY ends_at DESC LIMIT 1"
        ),
        params![now.as_micros(), project.map(|project| project.0), key],
        |row| row.get(0).map(SilenceId),
    )
}

/// A silence of the incident itself that is active at `now`, if any: the question that each signal asks.
fn find_of_incident(
    tx: &ReadTx<'_>,
    now: Timestamp,
    incident: IncidentId,
) -> Result<Option<SilenceId>, store::Error> {
    tx.first(
        "SELECT id FROM silences
         WHERE incident_id = ?1 AND ended_at IS NULL AND ends_at > ?2 AND starts_at <= ?2
         LIMIT 1",
        params![incident.0, now.as_micros()],
        |row| row.get(0).map(SilenceId),
    )
}

/// All silences, those that have not ended first, then the newest.
pub fn list(tx: &ReadTx<'_>) -> Result<Vec<Silence>, store::Error> {
    tx.all(
        "SELECT s.id, s.uid, s.project_id, s.key, s.reason, s.created_by, s.starts_at, s.ends_at, s.ended_at,
                s.incident_id, i.uid
         FROM silences s LEFT JOIN incidents i ON i.id = s.incident_id
         ORDER BY s.ended_at IS NULL DESC, s.id DESC LIMIT ?1",
        [SILENCES_MAX],
        read_silence,
    )
}

/// The silence of the incident itself that is active at `now` and lasts longest.
pub fn find_longest(
    tx: &ReadTx<'_>,
    now: Timestamp,
    incident: IncidentId,
) -> Result<Option<Silence>, store::Error> {
    tx.first(
        "SELECT s.id, s.uid, s.project_id, s.key, s.reason, s.created_by, s.starts_at, s.ends_at, s.ended_at,
                s.incident_id, i.uid
         FROM silences s JOIN incidents i ON i.id = s.incident_id
         WHERE s.incident_id = ?1 AND s.ended_at IS NULL AND s.ends_at > ?2 AND s.starts_at <= ?2
         ORDER BY s.ends_at DESC LIMIT 1",
        params![incident.0, now.as_micros()],
        read_silence,
    )
}

fn read_silence(row: &Row<'_>) -> rusqlite::Result<Silence> {
    let number = row.get::<_, Option<i64>>(9)?.map(IncidentId);
    Ok(Silence {
        id: SilenceId(row.get(0)?),
        uid: rows::uid(row, 1)?,
        project: row.get::<_, Option<i64>>(2)?.map(ProjectId),
        key: row.get(3)?,
        incident: number.map(|number| Ok::<_, rusqlite::Error>((number, rows::uid(row, 10)?))).transpose()?,
        reason: row.get(4)?,
        created_by: row.get(5)?,
        starts_at: rows::time(row, 6)?,
        ends_at: rows::time(row, 7)?,
        ended_at: rows::maybe_time(row, 8)?,
    })
}

/// The id of a silence by its outside id.
pub fn find(tx: &ReadTx<'_>, uid: Uid) -> Result<Option<SilenceId>, store::Error> {
    tx.first("SELECT id FROM silences WHERE uid = ?1", [uid.as_bytes()], |row| row.get(0).map(SilenceId))
}

/// Silences that have run out and whose incidents were not told yet.
pub(super) fn find_ended(
    tx: &ReadTx<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<SilenceId>, store::Error> {
    tx.all(
        "SELECT id FROM silences WHERE ended_at IS NULL AND ends_at <= ?1 ORDER BY ends_at LIMIT ?2",
        params![now.as_micros(), limit],
        |row| row.get(0).map(SilenceId),
    )
}

/// Makes an incident silent where a silence of its own, or others for every witness that is not over, are active.
pub(super) fn silence_if_covered(
    tx: &WriteTx<'_>,
    now: Timestamp,
    incident: &IncidentRow,
) -> Result<bool, Error> {
    if incident.silenced || incident.state == IncidentState::Resolved {
        return Ok(incident.silenced);
    }
    if find_of_incident(tx, now, incident.id)?.is_none() && has_uncovered(tx, now, incident)? {
        return Ok(false);
    }
    tx.execute("UPDATE incidents SET silenced = 1, next_ring_at = NULL WHERE id = ?1", [incident.id.0])?;
    note(tx, now, incident.id, &Event { kind: EventKind::Silenced, actor: None, detail: json!({}) })?;
    close::cancel_rings(tx, incident.id, "silenced before it was sent")?;
    tx.touch(INCIDENTS);
    Ok(true)
}

/// Whether a silence of keys is active at `?2` that covers the witness `w` of the project `?3`.
pub(super) fn covers_witness() -> String {
    let names = sql_names("s.key", "w.key");
    format!(
        "EXISTS (
             SELECT 1 FROM silences s
             WHERE s.ended_at IS NULL AND s.ends_at > ?2 AND s.starts_at <= ?2 AND s.incident_id IS NULL
               AND (s.project_id IS NULL OR s.project_id IS ?3) AND {names})"
    )
}

/// Whether a witness is not over whose key no silence covers.
fn has_uncovered(tx: &ReadTx<'_>, now: Timestamp, incident: &IncidentRow) -> Result<bool, store::Error> {
    let uncovered = tx.first(
        &format!(
            "SELECT 1 FROM witnesses w
             WHERE w.incident_id = ?1 AND w.state <> 'ok' AND NOT {} LIMIT 1",
            covers_witness()
        ),
        params![incident.id.0, now.as_micros(), incident.project.map(|project| project.0)],
        |_| Ok(()),
    )?;
    Ok(uncovered.is_some())
}

/// One page of the witnesses that a silence covers and that are not over, those after `after`.
fn find_covered(tx: &ReadTx<'_>, silence: SilenceId, after: WitnessId) -> Result<Vec<Covered>, store::Error> {
    let page = i64::try_from(WITNESSES_PER_PAGE).unwrap_or(i64::MAX);
    let read = |row: &Row<'_>| {
        Ok(Covered { witness: WitnessId(row.get(0)?), key: row.get(1)?, incident: IncidentId(row.get(2)?) })
    };
    let of_incident = tx.first(
        "SELECT 1 FROM silences WHERE id = ?1 AND incident_id IS NOT NULL",
        [silence.0],
        |_| Ok(()),
    )?;
    if of_incident.is_some() {
        return tx.all(
            "SELECT w.id, w.key, w.incident_id
             FROM silences s JOIN witnesses w ON w.incident_id = s.incident_id
             WHERE s.id = ?1 AND w.live = 1 AND w.state <> 'ok' AND w.id > ?2 ORDER BY w.id LIMIT ?3",
            params![silence.0, after.0, page],
            read,
        );
    }
    let names = sql_names("s.key", "w.key");
    tx.all(
        &format!(
            "SELECT w.id, w.key, w.incident_id
             FROM silences s JOIN witnesses w INDEXED BY witnesses_unwell JOIN incidents i ON i.id = w.incident_id
             WHERE s.id = ?1 AND w.live = 1 AND w.state <> 'ok' AND w.id > ?2
               AND (s.project_id IS NULL OR s.project_id IS i.project_id) AND {names}
             ORDER BY w.id LIMIT ?3"
        ),
        params![silence.0, after.0, page],
        read,
    )
}
