//! What is no longer asked about services.

use super::ServiceId;
use crate::base::Timestamp;
use crate::store::{Error, WriteTx, params};

/// Removes changes before `before`, oldest first, at most `limit`; the last one of each service stays, for it says how
/// the service was from then on.
pub fn purge(tx: &WriteTx<'_>, before: Timestamp, limit: u32) -> Result<usize, Error> {
    tx.execute(
        "DELETE FROM service_changes WHERE id IN (
             SELECT c.id FROM service_changes c WHERE c.at < ?1 AND EXISTS (
                 SELECT 1 FROM service_changes later
                 WHERE later.service_id = c.service_id AND later.at > c.at AND later.at < ?1)
             ORDER BY c.at LIMIT ?2)",
        params![before.as_micros(), limit],
    )
}

/// Removes a service: nothing finds it from now on, and its key is free. Its changes go in steps.
pub(super) fn leave(tx: &WriteTx<'_>, id: ServiceId) -> Result<(), Error> {
    tx.execute("DELETE FROM services WHERE id = ?1", [id.0])?;
    tx.execute("INSERT INTO services_removed (service_id) VALUES (?1)", [id.0])?;
    Ok(())
}

/// Deletes the changes that a removed service left behind, at most `limit`. Answers how many rows; none: nothing is left of
/// any.
pub fn purge_removed(tx: &WriteTx<'_>, limit: u32) -> Result<usize, Error> {
    let next = "SELECT service_id FROM services_removed ORDER BY service_id LIMIT 1";
    let Some(id) = tx.first(next, [], |row| row.get::<_, i64>(0))? else { return Ok(0) };
    let changes = tx.execute(
        "DELETE FROM service_changes WHERE id IN (
             SELECT id FROM service_changes INDEXED BY service_changes_by_service WHERE service_id = ?1 LIMIT ?2)",
        params![id, limit],
    )?;
    match changes {
        0 => tx.execute("DELETE FROM services_removed WHERE service_id = ?1", [id]),
        rows => Ok(rows),
    }
}
