//! Which channels a project's incidents ring.

use crate::base::ProjectId;
use crate::store::{self, ReadTx, WriteTx, params};

use super::channels::CHANNELS_MAX;
use super::{ChannelId, Error, IncidentId};

/// The channels that a project chose, in climbing order; `None` where it rings all. Nothing may be left of a choice.
pub fn find_chosen(tx: &ReadTx<'_>, project: ProjectId) -> Result<Option<Vec<ChannelId>>, Error> {
    let has_chosen =
        tx.first("SELECT 1 FROM route_choices WHERE project_id = ?1", [project.0], |_| Ok(()))?.is_some();
    if !has_chosen {
        return Ok(None);
    }
    Ok(Some(tx.all(
        "SELECT c.id FROM routes r JOIN channels c ON c.id = r.channel_id
         WHERE r.project_id = ?1 ORDER BY c.position, c.id LIMIT ?2",
        params![project.0, CHANNELS_MAX],
        |row| row.get(0).map(ChannelId),
    )?))
}

/// The projects that chose a channel.
pub fn find_choosers(tx: &ReadTx<'_>, channel: ChannelId) -> Result<Vec<ProjectId>, Error> {
    Ok(tx.all(
        "SELECT project_id FROM routes WHERE channel_id = ?1 ORDER BY project_id",
        [channel.0],
        |row| row.get(0).map(ProjectId),
    )?)
}

/// Makes `channels` the only ones of a project; an empty list means all channels, those of the future too.
///
/// # Errors
/// [`Error::NotFound`] where a channel does not exist.
pub fn choose(tx: &WriteTx<'_>, project: ProjectId, channels: &[ChannelId]) -> Result<(), Error> {
    tx.execute("DELETE FROM routes WHERE project_id = ?1", [project.0])?;
    if channels.is_empty() {
        tx.execute("DELETE FROM route_choices WHERE project_id = ?1", [project.0])?;
        return Ok(());
    }
    tx.execute("INSERT OR IGNORE INTO route_choices (project_id) VALUES (?1)", [project.0])?;
    for channel in channels {
        let known = tx.execute(
            "INSERT INTO routes (project_id, channel_id) SELECT ?1, id FROM channels WHERE id = ?2
             ON CONFLICT (project_id, channel_id) DO UPDATE SET channel_id = channel_id",
            params![project.0, channel.0],
        )?;
        if known == 0 {
            return Err(Error::NotFound("channel"));
        }
    }
    Ok(())
}

/// The ready channels to tell first: the project's choice, else all; where no chosen one is ready, the first that is.
pub(super) fn ready_channels(
    tx: &ReadTx<'_>,
    project: Option<ProjectId>,
) -> Result<Vec<ChannelId>, store::Error> {
    let chosen = tx.all(
        "SELECT id FROM channels
         WHERE state = 'ready'
           AND (NOT EXISTS (SELECT 1 FROM route_choices WHERE project_id = ?1)
                OR id IN (SELECT channel_id FROM routes WHERE project_id = ?1))
         ORDER BY position, id LIMIT ?2",
        params![project.map(|project| project.0), CHANNELS_MAX],
        |row| row.get(0).map(ChannelId),
    )?;
    if !chosen.is_empty() {
        return Ok(chosen);
    }
    tx.all("SELECT id FROM channels WHERE state = 'ready' ORDER BY position, id LIMIT 1", [], |row| {
        row.get(0).map(ChannelId)
    })
}

/// Whether a channel is one that the project rings.
pub(super) fn is_rung(
    tx: &ReadTx<'_>,
    project: Option<ProjectId>,
    channel: ChannelId,
) -> Result<bool, store::Error> {
    tx.one(
        "SELECT NOT EXISTS (SELECT 1 FROM route_choices WHERE project_id = ?1)
             OR EXISTS (SELECT 1 FROM routes WHERE project_id = ?1 AND channel_id = ?2)",
        params![project.map(|project| project.0), channel.0],
        |row| row.get(0),
    )
}

/// What a message that needs another channel is about.
#[derive(Clone, Copy, Default)]
pub(super) struct Wanted<'a> {
    pub(super) project: Option<ProjectId>,
    /// A channel that was told of it, or will be, is not wanted.
    pub(super) incident: Option<IncidentId>,
    /// Channels that would not take it.
    pub(super) tried: &'a [i64],
}

/// The next ready channel for a message: the project's choice by position, then any other. An alarm rather rings
/// where nobody chose it than nowhere.
pub(super) fn next_channel(tx: &ReadTx<'_>, wanted: Wanted<'_>) -> Result<Option<ChannelId>, store::Error> {
    tx.first(
        "SELECT id FROM channels
         WHERE state = 'ready' AND id NOT IN (SELECT value FROM json_each(?1)) AND NOT EXISTS (
             SELECT 1 FROM deliveries d
             WHERE d.incident_id = ?2 AND d.channel_id = channels.id AND d.purpose = 'opened'
               AND d.state <> 'failed')
         ORDER BY id IN (SELECT channel_id FROM routes WHERE project_id = ?3) DESC, position, id LIMIT 1",
        params![
            serde_json::Value::from(wanted.tried).to_string(),
            wanted.incident.map(|incident| incident.0),
            wanted.project.map(|project| project.0)
        ],
        |row| row.get(0).map(ChannelId),
    )
}
