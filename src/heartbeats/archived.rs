//! Heartbeats of a project that comes back from the archive: what did not come while nobody listened says nothing.

use super::{HEARTBEATS, STATES, Status};
use crate::base::{ProjectId, Timestamp};
use crate::store::{Error, WriteTx, params};

/// Begins the heartbeats of a project anew: well if they were ever heard from, and expected by their schedules from now
/// on, which the task `heartbeats.due` computes for each.
pub fn begin_anew(tx: &WriteTx<'_>, now: Timestamp, project: ProjectId) -> Result<(), Error> {
    let (up, new, at) = (Status::Up, Status::New, now.as_micros());
    tx.execute(
        "INSERT INTO heartbeat_changes (heartbeat_id, at, status, reason)
         SELECT heartbeat_id, ?2, iif(last_ping_at IS NULL, ?3, ?4), 'its project was restored'
         FROM heartbeat_states WHERE project_id = ?1 AND status IN ('late', 'down')",
        params![project.0, at, new.as_str(), up.as_str()],
    )?;
    tx.execute(
        "UPDATE heartbeat_states
         SET status = iif(last_ping_at IS NULL, ?3, ?4), rank = iif(last_ping_at IS NULL, ?5, ?6), since = ?2, reason = ''
         WHERE project_id = ?1 AND status IN ('late', 'down')",
        params![project.0, at, new.as_str(), up.as_str(), new.rank(), up.rank()],
    )?;
    tx.execute(
        "UPDATE heartbeat_states
         SET expected_at = NULL, last_start_at = NULL, bad_now = 0, missed_now = 0,
             due_at = iif(last_ping_at IS NULL, NULL, ?2)
         WHERE project_id = ?1 AND status <> 'paused'",
        params![project.0, at],
    )?;
    tx.touch(HEARTBEATS);
    tx.touch(STATES);
    Ok(())
}
