//! Runs as bars show them: how each ended and how long it took, without what it wrote.

use std::time::Duration;

use super::HeartbeatId;
use super::rows;
use super::rules::RunKind;
use crate::base::Timestamp;
use crate::store::{Error, ReadTx, params};

/// A run without its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    pub kind: RunKind,
    /// Of its last ping; of a missed one, when it was expected.
    pub at: Timestamp,
    pub took: Option<Duration>,
    pub exit_status: Option<u8>,
}

/// The newest runs of a heartbeat, the newest first, at most `limit`. What says nothing of a run is left out.
pub fn list(tx: &ReadTx<'_>, heartbeat: HeartbeatId, limit: u32) -> Result<Vec<Outline>, Error> {
    tx.all(
        "SELECT kind, at, duration_us, exit_status FROM heartbeat_runs INDEXED BY heartbeat_runs_by_heartbeat
         WHERE heartbeat_id = ?1 AND kind NOT IN ('log', 'ignored') ORDER BY id DESC LIMIT ?2",
        params![heartbeat.0, limit],
        |row| {
            let took: Option<i64> = row.get(2)?;
            Ok(Outline {
                kind: rows::run_kind(row, 0)?,
                at: Timestamp::from_micros(row.get(1)?),
                took: took.and_then(|us| u64::try_from(us).ok()).map(Duration::from_micros),
                exit_status: row.get(3)?,
            })
        },
    )
}
