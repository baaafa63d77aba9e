//! Of which deliveries of webhooks the errors of an issue came: an app that goes on with the trace of a delivery names
//! it in what it reports. Written with the event, sampled or not; read by whoever joins it with the deliveries.

use serde::Serialize;

use super::incoming::Incoming;
use crate::base::{EventId, Timestamp};
use crate::store::columns::time;
use crate::store::{Error, ReadTx, Row, WriteTx, params};

/// Deliveries remembered of one issue, the newest: an app that fails for a day on everything fails no differently.
pub const KEPT: u32 = 10_000;
/// Issues named of one delivery.
const ISSUES_MAX: u32 = 20;

/// An issue and a delivery that it came of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CameOf {
    pub issue: i64,
    /// The delivery's number. It may be another project's, or forgotten.
    pub delivery: i64,
    /// The newest event of this issue that came of it.
    pub event: EventId,
    pub at: Timestamp,
}

/// Notes of which deliveries these events of an issue came.
pub(super) fn note(tx: &WriteTx<'_>, issue: i64, events: &[&Incoming]) -> Result<(), Error> {
    let mut is_noted = false;
    for event in events {
        let Some(delivery) = event.delivery else { continue };
        tx.execute(
            "INSERT INTO issue_deliveries (issue_id, number, delivery_id, event_id, at)
             SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4 FROM issue_deliveries WHERE issue_id = ?1
             ON CONFLICT (delivery_id, issue_id) DO UPDATE SET event_id = excluded.event_id, at = excluded.at",
            params![issue, delivery, event.event.0, event.received_at.as_micros()],
        )?;
        is_noted = true;
    }
    if is_noted {
        tx.execute(
            "DELETE FROM issue_deliveries WHERE issue_id = ?1
                 AND number <= (SELECT max(number) FROM issue_deliveries WHERE issue_id = ?1) - ?2",
            params![issue, KEPT],
        )?;
    }
    Ok(())
}

/// The deliveries that an issue came of, the newest first.
///
/// # Errors
/// Where they cannot be read.
pub fn of_issue(tx: &ReadTx<'_>, issue: i64) -> Result<Vec<CameOf>, Error> {
    tx.all(
        "SELECT issue_id, delivery_id, event_id, at FROM issue_deliveries
         WHERE issue_id = ?1 ORDER BY number DESC LIMIT ?2",
        params![issue, KEPT],
        came_of,
    )
}

/// The issues that came of a delivery.
///
/// # Errors
/// Where they cannot be read.
pub fn of_delivery(tx: &ReadTx<'_>, delivery: i64) -> Result<Vec<CameOf>, Error> {
    tx.all(
        "SELECT issue_id, delivery_id, event_id, at FROM issue_deliveries INDEXED BY issue_deliveries_by_delivery
         WHERE delivery_id = ?1 ORDER BY issue_id LIMIT ?2",
        params![delivery, ISSUES_MAX],
        came_of,
    )
}

fn came_of(row: &Row<'_>) -> rusqlite::Result<CameOf> {
    Ok(CameOf { issue: row.get(0)?, delivery: row.get(1)?, event: EventId(row.get(2)?), at: time(row, 3)? })
}
