//! Heartbeats that are gone at once, and what they leave behind, which goes in steps.

use super::HeartbeatId;
use crate::store::{Error, WriteTx, params};

/// Removes a heartbeat: nothing finds it from now on, and its slug is free. Its number is never given again.
pub(super) fn leave(tx: &WriteTx<'_>, id: HeartbeatId) -> Result<(), Error> {
    tx.execute("DELETE FROM heartbeats WHERE id = ?1", [id.0])?;
    tx.execute("INSERT INTO heartbeats_removed (heartbeat_id) VALUES (?1)", [id.0])?;
    Ok(())
}

/// Deletes what a removed heartbeat left behind, at most `limit` rows of each kind. Answers how many; none: nothing is
/// left of any.
pub fn purge(tx: &WriteTx<'_>, limit: u32) -> Result<usize, Error> {
    let next = "SELECT heartbeat_id FROM heartbeats_removed ORDER BY heartbeat_id LIMIT 1";
    let Some(id) = tx.first(next, [], |row| row.get::<_, i64>(0))? else { return Ok(0) };
    let runs = tx.execute(
        "DELETE FROM heartbeat_runs WHERE id IN (
             SELECT id FROM heartbeat_runs INDEXED BY heartbeat_runs_by_heartbeat WHERE heartbeat_id = ?1 LIMIT ?2)",
        params![id, limit],
    )?;
    let changes = tx.execute(
        "DELETE FROM heartbeat_changes WHERE id IN (
             SELECT id FROM heartbeat_changes INDEXED BY heartbeat_changes_by_heartbeat
             WHERE heartbeat_id = ?1 LIMIT ?2)",
        params![id, limit],
    )?;
    match runs + changes {
        0 => tx.execute("DELETE FROM heartbeats_removed WHERE heartbeat_id = ?1", [id]),
        rows => Ok(rows),
    }
}
