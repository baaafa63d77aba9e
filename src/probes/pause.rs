//! Pausing a probe: it is not asked and rings nobody, until somebody, or the time that was said, resumes it.

use serde::Serialize;

use super::save::{Probes, note};
use super::status::Status;
use super::{Error, Outline, PROBES, ProbeId, outline, ring};
use crate::accounts::By;
use crate::base::Timestamp;
use crate::store::{WriteTx, params};

/// Who paused it, when, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Paused {
    pub at: Timestamp,
    pub by: String,
    /// `None`: until somebody resumes it.
    pub until: Option<Timestamp>,
}

impl Probes {
    /// Pauses a probe, also one that a file owns: its definition stays as it is. Its incident ends, saying why.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn pause(
        &self,
        tx: &WriteTx<'_>,
        by: &By,
        id: ProbeId,
        until: Option<Timestamp>,
    ) -> Result<(), Error> {
        let probe = seen_by(tx, by, id)?;
        tx.execute(
            "UPDATE probes SET paused_at = ?2, paused_by = ?3, paused_until = ?4, version = version + 1
             WHERE id = ?1",
            params![id.0, by.now.as_micros(), by.actor.to_string(), until.map(Timestamp::as_micros)],
        )?;
        let reason = format!("paused by {}", by.actor);
        super::record::change_status(tx, id, by.now, Status::Paused, &reason)?;
        let detail = serde_json::json!({"until": until});
        self.settle(tx, by, ("probe.pause", detail), &probe)
    }

    /// Resumes a probe: it is asked at once, and what it was before the pause is to be proved anew.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn resume(&self, tx: &WriteTx<'_>, by: &By, id: ProbeId) -> Result<(), Error> {
        let probe = seen_by(tx, by, id)?;
        if probe.paused.is_none() {
            return Ok(());
        }
        tx.execute(
            "UPDATE probes SET paused_at = NULL, paused_by = NULL, paused_until = NULL, version = version + 1
             WHERE id = ?1",
            [id.0],
        )?;
        super::record::forget(tx, id)?;
        super::record::change_status(tx, id, by.now, Status::Unknown, "resumed; not asked since")?;
        self.settle(tx, by, ("probe.resume", serde_json::Value::Null), &probe)
    }

    fn settle(
        &self,
        tx: &WriteTx<'_>,
        by: &By,
        (action, detail): (&'static str, serde_json::Value),
        probe: &Outline,
    ) -> Result<(), Error> {
        note(tx, by, action, (&probe.key, probe.project), detail)?;
        ring::level(tx, &self.incidents, by.now, probe.id)?;
        tx.touch(PROBES);
        Ok(())
    }
}

/// The probe, if the caller may know of it.
pub(super) fn seen_by(tx: &WriteTx<'_>, by: &By, id: ProbeId) -> Result<Outline, Error> {
    outline::find_by_id(tx, &by.actor.visible(), id)?.ok_or(Error::NotFound)
}
