//! Probes that are gone at once, and what they leave behind, which goes in steps.

use super::ProbeId;
use crate::store::{Error, WriteTx, params};

/// Removes a probe: nothing finds it from now on, and its key is free. Its number is never given again.
pub(super) fn leave(tx: &WriteTx<'_>, id: ProbeId) -> Result<(), Error> {
    tx.execute("DELETE FROM probes WHERE id = ?1", [id.0])?;
    tx.execute("INSERT INTO probes_removed (probe_id) VALUES (?1)", [id.0])?;
    Ok(())
}

/// Deletes what a removed probe left behind, at most `limit` rows of each kind. Answers how many; none: nothing is left of
/// any.
pub fn purge(tx: &WriteTx<'_>, limit: u32) -> Result<usize, Error> {
    let next = "SELECT probe_id FROM probes_removed ORDER BY probe_id LIMIT 1";
    let Some(id) = tx.first(next, [], |row| row.get::<_, i64>(0))? else { return Ok(0) };
    let changes = tx.execute(
        "DELETE FROM probe_changes WHERE id IN (
             SELECT id FROM probe_changes INDEXED BY probe_changes_by_probe WHERE probe_id = ?1 LIMIT ?2)",
        params![id, limit],
    )?;
    let points = tx.execute(
        "DELETE FROM probe_points WHERE probe_id = ?1 AND hour IN (
             SELECT hour FROM probe_points WHERE probe_id = ?1 ORDER BY hour LIMIT ?2)",
        params![id, limit],
    )?;
    let hours = tx.execute(
        "DELETE FROM probe_hours WHERE probe_id = ?1 AND hour IN (
             SELECT hour FROM probe_hours WHERE probe_id = ?1 ORDER BY hour LIMIT ?2)",
        params![id, limit],
    )?;
    match changes + points + hours {
        0 => tx.execute("DELETE FROM probes_removed WHERE probe_id = ?1", [id]),
        rows => Ok(rows),
    }
}
