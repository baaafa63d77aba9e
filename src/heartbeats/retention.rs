//! What of a heartbeat is let go of for its age.

use std::time::Duration;

use crate::base::Timestamp;
use crate::store::{Error, WriteTx, params};

/// Runs stay this long …
pub const RUNS_KEPT: Duration = Duration::from_hours(24 * 90);
/// … and the last ones of each heartbeat however old they are.
pub const RUNS_KEPT_MIN: u32 = 100;
/// … or these, where there is no room.
pub const RUNS_KEPT_LEAST: u32 = 10;
/// When it was how: a year and some days, for those who look a year back.
pub const CHANGES_KEPT: Duration = Duration::from_hours(24 * 400);

/// Deletes runs older than `before` that are not among the last `kept` of their heartbeat, oldest first, at most `limit`.
pub fn purge_runs(tx: &WriteTx<'_>, before: Timestamp, kept: u32, limit: u32) -> Result<usize, Error> {
    tx.execute(
        "DELETE FROM heartbeat_runs WHERE id IN (
             SELECT r.id FROM heartbeat_runs AS r INDEXED BY heartbeat_runs_by_time
             WHERE r.at < ?1 AND r.id < ifnull(
                 (SELECT k.id FROM heartbeat_runs AS k INDEXED BY heartbeat_runs_by_heartbeat
                  WHERE k.heartbeat_id = r.heartbeat_id ORDER BY k.id DESC LIMIT 1 OFFSET ?3), 0)
             ORDER BY r.at LIMIT ?2)",
        params![before.as_micros(), limit, kept.saturating_sub(1)],
    )
}

/// Deletes changes older than `before`, oldest first, at most `limit`. The last one of each heartbeat stays: it says how it
/// was from then on.
pub fn purge_changes(tx: &WriteTx<'_>, before: Timestamp, limit: u32) -> Result<usize, Error> {
    tx.execute(
        "DELETE FROM heartbeat_changes WHERE id IN (
             SELECT c.id FROM heartbeat_changes AS c INDEXED BY heartbeat_changes_by_time
             WHERE c.at < ?1 AND EXISTS (
                 SELECT 1 FROM heartbeat_changes AS n INDEXED BY heartbeat_changes_by_heartbeat
                 WHERE n.heartbeat_id = c.heartbeat_id AND n.at > c.at AND n.at < ?1)
             ORDER BY c.at LIMIT ?2)",
        params![before.as_micros(), limit],
    )
}
