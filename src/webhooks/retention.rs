//! What goes once it is old, in steps: payloads first, then what was logged, last by what an event is known again.
//!
//! What is still to be delivered stays, and what died until somebody dealt with it. Whoever lets go finds first, on a
//! connection that only reads, and what was found is looked at again in the write: a delivery may have been begun anew
//! meanwhile.

use super::removed;
use crate::base::Timestamp;
use crate::store::{Error, ReadTx, WriteTx, params};

/// What may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// What was received, and delivered, before this.
    pub before: Timestamp,
    /// Of what died and nobody dealt with, what was received before this; `None`: it stays.
    pub dead_before: Option<Timestamp>,
}

/// Requests of which something may go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub requests: Vec<i64>,
    /// From where to look on; `None`: everything was looked at.
    pub next: Option<i64>,
}

/// Requests looked at in one step.
const LOOKED_AT: u32 = 1_000;
/// Requests of which something goes in one step; with each go its deliveries and their attempts.
pub const STEP_REQUESTS: usize = 100;
/// Rows of other kinds that go in one step.
pub const STEP_ROWS: u32 = 200;

/// Whether a row of `webhook_requests` may go, where `?1` and `?2` are the [`Bounds`].
const MAY_GO: &str = "received_at < ?1 AND NOT EXISTS (
         SELECT 1 FROM webhook_deliveries INDEXED BY webhook_deliveries_by_request
         WHERE webhook_deliveries.request_id = webhook_requests.id
           AND (status IN ('pending', 'processing', 'failed') OR completed_at >= ?1
                OR (status = 'dead_letter' AND settled_at IS NULL AND webhook_requests.received_at >= ?2)))";

/// Payloads that may go, of requests after `after`. What was dealt with goes at once, however long it was dead.
///
/// # Errors
/// Where they cannot be read.
pub fn find_payloads(tx: &ReadTx<'_>, bounds: &Bounds, after: i64) -> Result<Found, Error> {
    let kept = tx.all(
        "SELECT request_id FROM webhook_payloads WHERE request_id > ?1 ORDER BY request_id LIMIT ?2",
        params![after, LOOKED_AT],
        |row| row.get(0),
    )?;
    choose(tx, bounds, kept)
}

/// Requests that may go with all that hangs on them, after `after`.
///
/// # Errors
/// Where they cannot be read.
pub fn find_requests(tx: &ReadTx<'_>, bounds: &Bounds, after: i64) -> Result<Found, Error> {
    let kept = tx.all(
        "SELECT id FROM webhook_requests WHERE id > ?1 ORDER BY id LIMIT ?2",
        params![after, LOOKED_AT],
        |row| row.get(0),
    )?;
    choose(tx, bounds, kept)
}

/// Those of `ids`, which are in order, that may go: as many as one step takes. They were received in this order, about: it
/// ends where one is too young.
fn choose(tx: &ReadTx<'_>, bounds: &Bounds, ids: Vec<i64>) -> Result<Found, Error> {
    let mut found = Found::default();
    let is_full = ids.len() >= LOOKED_AT as usize;
    let last = ids.last().copied();
    for id in ids {
        match look(tx, bounds, id)? {
            Looked::MayGo => found.requests.push(id),
            Looked::Stays => {}
            Looked::TooYoung => return Ok(found),
        }
        if found.requests.len() >= STEP_REQUESTS {
            return Ok(Found { next: Some(id), ..found });
        }
    }
    found.next = last.filter(|_| is_full);
    Ok(found)
}

enum Looked {
    MayGo,
    Stays,
    TooYoung,
}

fn look(tx: &ReadTx<'_>, bounds: &Bounds, id: i64) -> Result<Looked, Error> {
    let found = tx.first(
        &format!("SELECT received_at < ?1, {MAY_GO} FROM webhook_requests WHERE id = ?3"),
        params![bounds.before.as_micros(), dead_bound(bounds), id],
        |row| Ok((row.get::<_, bool>(0)?, row.get::<_, bool>(1)?)),
    )?;
    Ok(match found {
        // A payload without its request.
        None | Some((_, true)) => Looked::MayGo,
        Some((true, false)) => Looked::Stays,
        Some((false, false)) => Looked::TooYoung,
    })
}

/// Deletes payloads that [`find_payloads`] found, unless they must stay by now.
///
/// # Errors
/// Where it cannot be written.
pub fn forget_payloads(tx: &WriteTx<'_>, bounds: &Bounds, requests: &[i64]) -> Result<usize, Error> {
    let mut gone = 0;
    for id in requests {
        if matches!(look(tx, bounds, *id)?, Looked::MayGo) {
            gone += tx.execute("DELETE FROM webhook_payloads WHERE request_id = ?1", [id])?;
        }
    }
    Ok(gone)
}

/// Deletes requests that [`find_requests`] found with their payloads, deliveries and attempts, unless they must stay by
/// now. Answers how many rows.
///
/// # Errors
/// Where it cannot be written.
pub fn forget_requests(tx: &WriteTx<'_>, bounds: &Bounds, requests: &[i64]) -> Result<usize, Error> {
    let mut rows = 0;
    for id in requests {
        if matches!(look(tx, bounds, *id)?, Looked::MayGo) {
            rows += removed::forget_request(tx, *id)?;
        }
    }
    Ok(rows)
}

/// Deletes ids of events that came before `before`, at most [`STEP_ROWS`] of those after `after`, which it answers the
/// last of; `None`: there are no more.
///
/// # Errors
/// Where it cannot be written.
pub fn forget_keys(tx: &WriteTx<'_>, before: Timestamp, after: i64) -> Result<(usize, Option<i64>), Error> {
    let looked_at = tx.all(
        "SELECT id, processed_at < ?2 FROM processed_webhook_events WHERE id > ?1 ORDER BY id LIMIT ?3",
        params![after, before.as_micros(), STEP_ROWS],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?)),
    )?;
    // In the order in which they came first; one that came again after it died is younger than its place.
    let is_young = looked_at.iter().all(|(_, is_old)| !is_old);
    let next = looked_at.last().map(|(id, _)| *id);
    for (id, _) in looked_at.iter().filter(|(_, is_old)| *is_old) {
        tx.execute("DELETE FROM processed_webhook_events WHERE id = ?1", [id])?;
    }
    let gone = looked_at.iter().filter(|(_, is_old)| *is_old).count();
    Ok((gone, next.filter(|_| !is_young)))
}

/// Deletes points of plots before `before`, at most [`STEP_ROWS`] of each kind.
///
/// # Errors
/// Where it cannot be written.
pub fn forget_points(tx: &WriteTx<'_>, before: Timestamp) -> Result<usize, Error> {
    let sources = tx.execute(
        "DELETE FROM webhook_source_points WHERE (source_id, at) IN (
             SELECT source_id, at FROM webhook_source_points INDEXED BY webhook_source_points_by_time
             WHERE at < ?1 ORDER BY at LIMIT ?2)",
        params![before.as_micros(), STEP_ROWS],
    )?;
    let destinations = tx.execute(
        "DELETE FROM webhook_destination_points WHERE (destination_id, at) IN (
             SELECT destination_id, at FROM webhook_destination_points
             INDEXED BY webhook_destination_points_by_time WHERE at < ?1 ORDER BY at LIMIT ?2)",
        params![before.as_micros(), STEP_ROWS],
    )?;
    Ok(sources + destinations)
}

/// Everything is received later than this.
fn dead_bound(bounds: &Bounds) -> i64 {
    bounds.dead_before.map_or(i64::MIN, Timestamp::as_micros)
}
