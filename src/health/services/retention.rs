//! What is no longer asked about services.

use crate::base::Timestamp;
use crate::store::{Error, WriteTx, params};

/// Removes changes before `before`, oldest first, at most `limit`; the last one of each service stays, for it says how
/// the service is.
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
