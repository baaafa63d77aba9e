//! What of a heartbeat is let go of for its age.

use std::time::Duration;

use crate::base::Timestamp;
use crate::store::{Error, ReadTx, WriteTx, params};

/// Runs stay this long …
pub const RUNS_KEPT: Duration = Duration::from_hours(24 * 90);
/// … and the last ones of each heartbeat however old they are.
pub const RUNS_KEPT_MIN: u32 = 100;
/// … or these, where there is no room.
pub const RUNS_KEPT_LEAST: u32 = 10;
/// When it was how: a year and some days, for those who look a year back.
pub const CHANGES_KEPT: Duration = Duration::from_hours(24 * 400);

/// Runs older than `before` that are not among the last `kept` of their heartbeat, at most `limit`, the oldest of each
/// first. For a reader: where nothing is to go, each heartbeat's last runs are walked through to see that.
pub fn find_old_runs(tx: &ReadTx<'_>, before: Timestamp, kept: u32, limit: u32) -> Result<Vec<i64>, Error> {
    tx.all(
        "SELECT r.id FROM heartbeats h CROSS JOIN heartbeat_runs r ON r.id IN (
             SELECT o.id FROM heartbeat_runs o INDEXED BY heartbeat_runs_by_heartbeat
             WHERE o.heartbeat_id = h.id AND o.id < (
                 SELECT k.id FROM heartbeat_runs k INDEXED BY heartbeat_runs_by_heartbeat
                 WHERE k.heartbeat_id = h.id ORDER BY k.id DESC LIMIT 1 OFFSET ?3)
             ORDER BY o.id LIMIT ?2)
         WHERE r.at < ?1 LIMIT ?2",
        params![before.as_micros(), limit, kept.saturating_sub(1)],
        |row| row.get(0),
    )
}

/// Deletes the runs that [`find_old_runs`] found.
pub fn forget_runs(tx: &WriteTx<'_>, runs: &[i64]) -> Result<usize, Error> {
    let runs = serde_json::to_string(runs).unwrap_or_default();
    tx.execute("DELETE FROM heartbeat_runs WHERE id IN (SELECT value FROM json_each(?1))", [runs])
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
