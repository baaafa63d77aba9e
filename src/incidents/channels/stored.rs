//! Rows of `channels`: found, read, and overwritten.

use super::{CHANNELS_MAX, Channel, ChannelHealth, ChannelKind, ChannelOwner, ChannelState, NewChannel};
use crate::base::{Timestamp, Uid};
use crate::incidents::rows::{self, ChannelId};
use crate::store::{self, ReadTx, WriteTx, params};

/// What [`read`] reads.
const CHANNELS: &str = "
    SELECT id, uid, name, kind, settings, sealed, owner, position, state, state_reason, failures, open_until,
           paced_until, created_at, delivered_at
    FROM channels";

/// Stores what the worker learned from an attempt.
pub fn record_health(
    tx: &WriteTx<'_>,
    now: Timestamp,
    id: ChannelId,
    health: &ChannelHealth,
) -> Result<(), store::Error> {
    tx.execute(
        "UPDATE channels SET failures = ?2, open_until = ?3, paced_until = ?4, health_at = ?5 WHERE id = ?1",
        params![
            id.0,
            health.failures,
            health.open_until.map(Timestamp::as_micros),
            health.paced_until.map(Timestamp::as_micros),
            now.as_micros()
        ],
    )?;
    Ok(())
}

/// All channels in climbing order.
pub fn list(tx: &ReadTx<'_>) -> Result<Vec<Channel>, store::Error> {
    tx.all(&format!("{CHANNELS} ORDER BY position, id LIMIT ?1"), [CHANNELS_MAX], read)
}

pub fn find(tx: &ReadTx<'_>, id: ChannelId) -> Result<Option<Channel>, store::Error> {
    tx.first(&format!("{CHANNELS} WHERE id = ?1"), [id.0], read)
}

pub fn find_by_uid(tx: &ReadTx<'_>, uid: Uid) -> Result<Option<ChannelId>, store::Error> {
    tx.first("SELECT id FROM channels WHERE uid = ?1", [uid.as_bytes()], |row| row.get(0).map(ChannelId))
}

/// Messages that a channel has and that are not out.
pub fn count_undelivered(tx: &ReadTx<'_>, id: ChannelId) -> Result<i64, store::Error> {
    tx.one(
        "SELECT count(*) FROM deliveries WHERE channel_id = ?1 AND state IN ('pending', 'sending')",
        [id.0],
        |row| row.get(0),
    )
}

/// A channel by its name, which no other has.
pub fn find_by_name(tx: &ReadTx<'_>, name: &str) -> Result<Option<Channel>, store::Error> {
    Ok(list(tx)?.into_iter().find(|channel| channel.name == name))
}

pub(in crate::incidents) fn overwrite(
    tx: &WriteTx<'_>,
    id: ChannelId,
    channel: &NewChannel,
) -> Result<(), store::Error> {
    tx.execute(
        "UPDATE channels SET uid = ?2, name = ?3, settings = ?4, sealed = ?5 WHERE id = ?1",
        params![id.0, channel.uid.as_bytes(), channel.name, channel.settings.to_string(), channel.sealed],
    )?;
    Ok(())
}

fn read(row: &store::Row<'_>) -> rusqlite::Result<Channel> {
    Ok(Channel {
        id: ChannelId(row.get(0)?),
        uid: rows::uid(row, 1)?,
        name: row.get(2)?,
        kind: rows::word(row, 3, ChannelKind::parse)?,
        settings: rows::json(row, 4)?,
        sealed: row.get(5)?,
        owner: rows::word(row, 6, ChannelOwner::parse)?,
        position: row.get(7)?,
        state: rows::word(row, 8, ChannelState::parse)?,
        state_reason: row.get(9)?,
        health: ChannelHealth {
            failures: row.get(10)?,
            open_until: rows::maybe_time(row, 11)?,
            paced_until: rows::maybe_time(row, 12)?,
        },
        created_at: rows::time(row, 13)?,
        delivered_at: rows::maybe_time(row, 14)?,
    })
}
