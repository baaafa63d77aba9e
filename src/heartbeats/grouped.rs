//! Heartbeats as members of services.

use super::rows;
use super::{HEARTBEATS, HeartbeatId, signals};
use crate::base::{ProjectId, Timestamp};
use crate::incidents::Incidents;
use crate::store::{Error, ReadTx, WriteTx, params};

/// The heartbeat of this slug, for whoever names it as a member.
pub fn find_member(tx: &ReadTx<'_>, project: ProjectId, slug: &str) -> Result<Option<HeartbeatId>, Error> {
    tx.first(
        "SELECT id FROM heartbeats WHERE project_id = ?1 AND slug = ?2",
        params![project.0, slug],
        |row| row.get(0).map(HeartbeatId),
    )
}

/// Says whether a service that needs only some of its members rings for this one; its own incident follows.
pub fn set_grouped(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    id: HeartbeatId,
    grouped: bool,
) -> Result<(), Error> {
    let changed = tx.execute(
        "UPDATE heartbeats SET grouped = ?2 WHERE id = ?1 AND grouped <> ?2",
        params![id.0, grouped],
    )?;
    if changed > 0
        && let Some(heartbeat) = rows::find(tx, id)?
    {
        signals::level(tx, incidents, now, &heartbeat, None)?;
        tx.touch(HEARTBEATS);
    }
    Ok(())
}
