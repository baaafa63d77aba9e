//! One step of a replay: as many deliveries as its pace allows, in one write.

use super::pace::Pace;
use super::select::{self, Range};
use super::what::What;
use super::{ReplayId, State};
use crate::base::{ProjectId, Timestamp};
use crate::incidents::Incidents;
use crate::store::columns::{json, time};
use crate::store::{Error, ReadTx, WriteTx, params};
use crate::webhooks::replay_one::{self, Error as NotBegun};
use crate::webhooks::{DeliveryId, WEBHOOK_DELIVERIES, WEBHOOK_REPLAYS};

/// What a step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stepped {
    pub released: u32,
    pub skipped: u32,
    /// It looked at as many as a step may and has some of its pace left.
    pub has_more: bool,
}

/// Looked at in one step; of these at most a second's pace is begun anew.
const LOOKED_AT: u32 = 200;
/// Replays that one run of the task steps.
const RUNNING_MAX: u32 = 100;

/// What is carried out.
struct Running {
    project: ProjectId,
    what: What,
    per_second: u32,
    cursor: DeliveryId,
    up_to: DeliveryId,
    paced_at: Timestamp,
    created_by: String,
}

/// Replays to be stepped, those that wait longest first.
///
/// # Errors
/// Where they cannot be read.
pub fn running(tx: &ReadTx<'_>) -> Result<Vec<ReplayId>, Error> {
    tx.all(
        "SELECT id FROM webhook_replays INDEXED BY webhook_replays_running
         WHERE state = 'running' ORDER BY paced_at, id LIMIT ?1",
        [RUNNING_MAX],
        |row| row.get(0).map(ReplayId),
    )
}

/// Begins anew what the pace of a replay allows by now. Nothing where it was cancelled.
///
/// # Errors
/// Where it cannot be written.
pub fn step(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    id: ReplayId,
) -> Result<Stepped, NotBegun> {
    let Some(replay) = find(tx, id)? else { return Ok(Stepped::default()) };
    let pace = Pace::new(replay.paced_at, now, replay.per_second);
    if pace.allowed == 0 {
        if replay.paced_at > now {
            save(tx, id, (replay.cursor, pace.after(0)), Stepped::default())?;
        }
        return Ok(Stepped::default());
    }
    let Running { project, ref what, cursor, up_to, .. } = replay;
    let page = select::find(tx, &Range { project, what, after: cursor, up_to }, LOOKED_AT)?;
    let (mut did, mut reached, mut left) = (Stepped::default(), cursor, page.fitting.into_iter());
    while did.released < pace.allowed
        && let Some(seen) = left.next()
    {
        match replay_one::begin_anew(tx, incidents, (now, &replay.created_by), seen.id, Some(id)) {
            Ok(_) => did.released += 1,
            Err(NotBegun::PayloadGone | NotBegun::DestinationGone) => did.skipped += 1,
            Err(error) => return Err(error),
        }
        reached = seen.id;
    }
    let is_through = left.next().is_none();
    reached = page.next.filter(|_| is_through).unwrap_or(reached);
    save(tx, id, (reached, pace.after(did.released)), did)?;
    if is_through && page.next.is_none() {
        super::end(tx, id, State::Done, now)?;
    }
    Ok(Stepped { has_more: is_through && page.next.is_some() && did.released < pace.allowed, ..did })
}

fn find(tx: &ReadTx<'_>, id: ReplayId) -> Result<Option<Running>, Error> {
    tx.first(
        "SELECT project_id, what, per_second, cursor, up_to, paced_at, created_by
         FROM webhook_replays WHERE id = ?1 AND state = 'running'",
        [id.0],
        |row| {
            Ok(Running {
                project: ProjectId(row.get(0)?),
                what: json(row, 1)?,
                per_second: row.get(2)?,
                cursor: DeliveryId(row.get(3)?),
                up_to: DeliveryId(row.get(4)?),
                paced_at: time(row, 5)?,
                created_by: row.get(6)?,
            })
        },
    )
}

fn save(
    tx: &WriteTx<'_>,
    id: ReplayId,
    (cursor, paced_at): (DeliveryId, Timestamp),
    did: Stepped,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE webhook_replays
         SET cursor = ?2, paced_at = ?3, released = released + ?4, skipped = skipped + ?5 WHERE id = ?1",
        params![id.0, cursor.0, paced_at.as_micros(), did.released, did.skipped],
    )?;
    if did.released + did.skipped > 0 {
        tx.touch(WEBHOOK_REPLAYS);
    }
    if did.released > 0 {
        tx.touch(WEBHOOK_DELIVERIES);
    }
    Ok(())
}
