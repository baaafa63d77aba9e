//! How a destination fares: what it did point by point, and what it is doing now.

use crate::base::Timestamp;
use crate::store::{Error, ReadTx, params};
use crate::webhooks::DestinationId;
use crate::webhooks::points::{Durations, Point};
use crate::webhooks::rows::time;

/// What a destination did in five minutes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub at: Timestamp,
    pub point: Point,
}

/// Ninety days of five minutes.
const STRETCHES_MAX: u32 = 26_000;
/// As many as a destination may have under way at once.
const UNDER_WAY_MAX: u32 = 100;

/// What a destination did since then, in order; where it did nothing there is nothing.
///
/// # Errors
/// Where it cannot be read.
pub fn course(tx: &ReadTx<'_>, destination: DestinationId, since: Timestamp) -> Result<Vec<Stretch>, Error> {
    tx.all(
        "SELECT at, attempts, failures, completed, at_first, dead, slow, latency FROM webhook_destination_points
         WHERE destination_id = ?1 AND at >= ?2 ORDER BY at LIMIT ?3",
        params![destination.0, since.as_micros(), STRETCHES_MAX],
        |row| {
            let point = Point {
                attempts: row.get(1)?,
                failures: row.get(2)?,
                completed: row.get(3)?,
                at_first: row.get(4)?,
                dead: row.get(5)?,
                slow: row.get(6)?,
                latency: Durations::read(row.get_ref(7)?.as_blob()?),
            };
            Ok(Stretch { at: time(row, 0)?, point })
        },
    )
}

/// How many of its deliveries are being sent right now.
///
/// # Errors
/// Where it cannot be read.
pub fn under_way(tx: &ReadTx<'_>, destination: DestinationId) -> Result<u32, Error> {
    tx.one(
        "SELECT count(*) FROM (SELECT 1 FROM webhook_deliveries INDEXED BY webhook_deliveries_leased
                               WHERE destination_id = ?1 AND status = 'processing' LIMIT ?2)",
        params![destination.0, UNDER_WAY_MAX],
        |row| row.get(0),
    )
}
