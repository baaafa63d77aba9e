//! How far replays have come, for those who may see their project.

use serde::Serialize;

use super::{Replay, ReplayId, State};
use crate::accounts::Visible;
use crate::base::{ProjectId, Uid};
use crate::store::columns::{json, maybe_time, time, uid, word};
use crate::store::{Error, ReadTx, Row, params};
use crate::webhooks::DeliveryStatus;

/// What became of the deliveries that a replay began anew. A later replay of the same one takes it along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    pub completed: u32,
    /// To be tried, or tried again.
    pub waiting: u32,
    /// They died once more.
    pub dead: u32,
}

const REPLAYS: &str = "
    SELECT id, uid, project_id, what, state, per_second, total, released, skipped, created_at, created_by, ended_at
    FROM webhook_replays";

/// Listed at most.
const LIMIT_MAX: u32 = 100;
/// Looked at for them, whosever they are.
const LOOKED_AT_MAX: u32 = 1_000;

/// # Errors
/// Where it cannot be read.
pub fn find(tx: &ReadTx<'_>, visible: &Visible, id: Uid) -> Result<Option<Replay>, Error> {
    let found = tx.first(&format!("{REPLAYS} WHERE uid = ?1"), [id.as_bytes()], replay)?;
    Ok(found.filter(|replay| visible.contains(replay.project)))
}

/// The newest first.
///
/// # Errors
/// Where they cannot be read.
pub fn list(tx: &ReadTx<'_>, visible: &Visible, limit: u32) -> Result<Vec<Replay>, Error> {
    let found = tx.all(&format!("{REPLAYS} ORDER BY id DESC LIMIT ?1"), [LOOKED_AT_MAX], replay)?;
    let seen = found.into_iter().filter(|replay| visible.contains(replay.project));
    Ok(seen.take(limit.min(LIMIT_MAX) as usize).collect())
}

impl Progress {
    /// Of one replay: an index alone is read, of a full one in some milliseconds.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn of(tx: &ReadTx<'_>, id: ReplayId) -> Result<Self, Error> {
        let mut progress = Self::default();
        let counts = tx.all(
            "SELECT status, count(*) FROM webhook_deliveries INDEXED BY webhook_deliveries_by_replay
             WHERE replay_id = ?1 GROUP BY status",
            params![id.0],
            |row| Ok((word(row, 0, DeliveryStatus::parse)?, row.get::<_, u32>(1)?)),
        )?;
        for (status, count) in counts {
            match status {
                DeliveryStatus::Completed => progress.completed += count,
                DeliveryStatus::Pending | DeliveryStatus::Processing | DeliveryStatus::Failed => {
                    progress.waiting += count;
                }
                DeliveryStatus::DeadLetter => progress.dead += count,
            }
        }
        Ok(progress)
    }
}

fn replay(row: &Row<'_>) -> rusqlite::Result<Replay> {
    Ok(Replay {
        id: ReplayId(row.get(0)?),
        uid: uid(row, 1)?,
        project: ProjectId(row.get(2)?),
        what: json(row, 3)?,
        state: word(row, 4, State::parse)?,
        per_second: row.get(5)?,
        total: row.get(6)?,
        released: row.get(7)?,
        skipped: row.get(8)?,
        created_at: time(row, 9)?,
        created_by: row.get(10)?,
        ended_at: maybe_time(row, 11)?,
    })
}
