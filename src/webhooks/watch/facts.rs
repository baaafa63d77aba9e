//! What sources and destinations did lately, as it lies on disk.

use super::rules::{Came, REFUSED_WINDOW, Recent, WINDOW};
use crate::base::Timestamp;
use crate::store::columns::{maybe_time, time};
use crate::store::{Error, ReadTx, params};
use crate::webhooks::points::{Durations, POINT};
use crate::webhooks::{Destination, Source, SourceId};

/// Of one source, the oldest that were looked at for one destination: others of the same source stand between.
const WAITING_LOOKED_AT: u32 = 1_000;

/// What a destination did within the window, the point that it begins in left out.
pub(super) fn recent(tx: &ReadTx<'_>, destination: &Destination, now: Timestamp) -> Result<Recent, Error> {
    let mut recent = Recent { due_at: due_at(tx, destination)?, ..Recent::default() };
    let from = now.floor_to(POINT) + POINT - WINDOW;
    let points = tx.all(
        "SELECT attempts, failures, slow, latency FROM webhook_destination_points
         WHERE destination_id = ?1 AND at >= ?2",
        params![destination.id.0, from.as_micros()],
        |row| {
            let latency = Durations::read(row.get_ref(3)?.as_blob()?);
            Ok((row.get::<_, u32>(0)?, row.get::<_, u32>(1)?, row.get::<_, u32>(2)?, latency))
        },
    )?;
    for (attempts, failures, slow, latency) in points {
        recent.attempts += attempts;
        recent.failures += failures;
        recent.slow += slow;
        recent.answers += u32::try_from(latency.count()).unwrap_or(u32::MAX);
    }
    Ok(recent)
}

/// Since when the oldest delivery waits that should have gone: it is due, or an earlier one of its order key is not done.
pub(super) fn oldest(
    tx: &ReadTx<'_>,
    destination: &Destination,
    due_at: Option<Timestamp>,
) -> Result<Option<Timestamp>, Error> {
    if !destination.definition.in_order {
        return Ok(due_at);
    }
    let waiting = tx.one(
        "SELECT min(began_at) FROM (
             SELECT destination_id, began_at FROM webhook_deliveries INDEXED BY webhook_deliveries_unfinished
             WHERE source_id = ?1 AND status = 'pending' AND status IN ('pending', 'failed', 'dead_letter')
             ORDER BY request_id LIMIT ?3)
         WHERE destination_id = ?2",
        params![destination.source.0, destination.id.0, WAITING_LOOKED_AT],
        |row| maybe_time(row, 0),
    )?;
    Ok([due_at, waiting].into_iter().flatten().min())
}

fn due_at(tx: &ReadTx<'_>, destination: &Destination) -> Result<Option<Timestamp>, Error> {
    tx.first(
        "SELECT due_at FROM webhook_deliveries INDEXED BY webhook_deliveries_due
         WHERE destination_id = ?1 AND due_at IS NOT NULL ORDER BY due_at LIMIT 1",
        [destination.id.0],
        |row| time(row, 0),
    )
}

/// When the source was heard from last; one that never was is waited for since it was made.
pub(super) fn heard_at(tx: &ReadTx<'_>, source: &Source) -> Result<Timestamp, Error> {
    let sql = "SELECT last_at FROM webhook_source_states WHERE source_id = ?1";
    let last = tx.first(sql, [source.id.0], |row| maybe_time(row, 0))?.flatten();
    Ok(last.unwrap_or(source.created_at))
}

/// What came to a source within the window and since the point that it begins in.
pub(super) fn came(tx: &ReadTx<'_>, source: SourceId, now: Timestamp) -> Result<Came, Error> {
    let from = (now - REFUSED_WINDOW).floor_to(POINT);
    tx.one(
        "SELECT coalesce(sum(accepted + duplicates), 0), coalesce(sum(refused), 0) FROM webhook_source_points
         WHERE source_id = ?1 AND at >= ?2",
        params![source.0, from.as_micros()],
        |row| Ok(Came { believed: row.get(0)?, refused: row.get(1)? }),
    )
}
