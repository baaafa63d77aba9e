//! Sources and destinations that are gone at once, and what they leave behind, which goes in steps.

use super::{DestinationId, SourceId};
use crate::store::{Error, ReadTx, WriteTx, params};

/// Removes a source: nothing finds it from now on, and its key is free. Its number is never given again. Its
/// destinations were removed before.
pub(super) fn leave_source(tx: &WriteTx<'_>, id: SourceId) -> Result<(), Error> {
    tx.execute("DELETE FROM webhook_sources WHERE id = ?1", [id.0])?;
    tx.execute("INSERT INTO webhooks_removed (kind, id) VALUES ('source', ?1)", [id.0])?;
    Ok(())
}

/// As [`leave_source`], for a destination.
pub(super) fn leave_destination(tx: &WriteTx<'_>, id: DestinationId) -> Result<(), Error> {
    tx.execute("DELETE FROM webhook_destinations WHERE id = ?1", [id.0])?;
    tx.execute("INSERT INTO webhooks_removed (kind, id) VALUES ('destination', ?1)", [id.0])?;
    Ok(())
}

/// Deletes what a removed one left behind, at most `limit` rows of each kind, with the attempts of each delivery. Answers
/// how many; none: nothing is left of any.
///
/// # Errors
/// Where it cannot be written.
pub fn purge(tx: &WriteTx<'_>, limit: u32) -> Result<usize, Error> {
    let next = "SELECT kind, id FROM webhooks_removed ORDER BY kind, id LIMIT 1";
    let Some((kind, id)) = tx.first(next, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?
    else {
        return Ok(0);
    };
    let rows = match kind.as_str() {
        "source" => purge_source(tx, id, limit)?,
        _ => purge_destination(tx, id, limit)?,
    };
    match rows {
        0 => tx.execute("DELETE FROM webhooks_removed WHERE kind = ?1 AND id = ?2", params![kind, id]),
        rows => Ok(rows),
    }
}

fn purge_destination(tx: &WriteTx<'_>, id: i64, limit: u32) -> Result<usize, Error> {
    let deliveries = ids(
        tx,
        "SELECT id FROM webhook_deliveries INDEXED BY webhook_deliveries_by_destination
         WHERE destination_id = ?1 ORDER BY id LIMIT ?2",
        (id, limit),
    )?;
    let points = tx.execute(
        "DELETE FROM webhook_destination_points WHERE destination_id = ?1 AND at IN (
             SELECT at FROM webhook_destination_points WHERE destination_id = ?1 ORDER BY at LIMIT ?2)",
        params![id, limit],
    )?;
    Ok(forget_deliveries(tx, &deliveries)? + points)
}

fn purge_source(tx: &WriteTx<'_>, id: i64, limit: u32) -> Result<usize, Error> {
    let requests = ids(
        tx,
        "SELECT id FROM webhook_requests INDEXED BY webhook_requests_by_source
         WHERE source_id = ?1 ORDER BY id LIMIT ?2",
        (id, limit),
    )?;
    let mut rows = 0;
    for request in requests {
        rows += forget_request(tx, request)?;
    }
    rows += tx.execute(
        "DELETE FROM processed_webhook_events WHERE id IN (
             SELECT id FROM processed_webhook_events INDEXED BY processed_webhook_events_by_event
             WHERE source_id = ?1 LIMIT ?2)",
        params![id, limit],
    )?;
    rows += tx.execute(
        "DELETE FROM webhook_source_points WHERE source_id = ?1 AND at IN (
             SELECT at FROM webhook_source_points WHERE source_id = ?1 ORDER BY at LIMIT ?2)",
        params![id, limit],
    )?;
    Ok(rows)
}

/// Deletes a request with its payload and deliveries.
pub(super) fn forget_request(tx: &WriteTx<'_>, id: i64) -> Result<usize, Error> {
    let deliveries = ids(
        tx,
        "SELECT id FROM webhook_deliveries INDEXED BY webhook_deliveries_by_request
         WHERE request_id = ?1 LIMIT ?2",
        (id, DELIVERIES_MAX),
    )?;
    let mut rows = forget_deliveries(tx, &deliveries)?;
    rows += tx.execute("DELETE FROM webhook_payloads WHERE request_id = ?1", [id])?;
    rows += tx.execute("DELETE FROM webhook_requests WHERE id = ?1", [id])?;
    Ok(rows)
}

fn forget_deliveries(tx: &WriteTx<'_>, deliveries: &[i64]) -> Result<usize, Error> {
    let mut rows = 0;
    for delivery in deliveries {
        rows += tx.execute("DELETE FROM webhook_attempts WHERE delivery_id = ?1", [delivery])?;
        rows += tx.execute("DELETE FROM webhook_deliveries WHERE id = ?1", [delivery])?;
    }
    Ok(rows)
}

/// One for each destination that a source ever had at once.
const DELIVERIES_MAX: u32 = 1_000;

fn ids(tx: &ReadTx<'_>, sql: &'static str, (id, limit): (i64, u32)) -> Result<Vec<i64>, Error> {
    tx.all(sql, params![id, limit], |row| row.get(0))
}
