//! What a destination did in a stretch of time.

use serde::Serialize;

use crate::base::Timestamp;
use crate::store::{Error, ReadTx, params};
use crate::webhooks::DestinationId;
use crate::webhooks::points::Durations;
use crate::webhooks::rows::time;

/// Sums of the points of a destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    pub attempts: i64,
    pub failures: i64,
    pub completed: i64,
    /// Completed by the first attempt.
    pub at_first: i64,
    pub dead: i64,
    /// Answered later than a second.
    pub slow: i64,
    /// Half of the answers took no longer; the upper end of a stretch that doubles. `None` without answers.
    pub p50_ms: Option<u64>,
    pub p95_ms: Option<u64>,
}

/// Ninety days of five minutes.
const POINTS_MAX: u32 = 26_000;

/// Since then; the point that it falls into counts whole.
///
/// # Errors
/// Where it cannot be read.
pub fn figures(tx: &ReadTx<'_>, destination: DestinationId, since: Timestamp) -> Result<Figures, Error> {
    let (mut sum, mut latency) = (Figures::default(), Durations::default());
    let points = tx.all(
        "SELECT attempts, failures, completed, at_first, dead, slow, latency FROM webhook_destination_points
         WHERE destination_id = ?1 AND at >= ?2 LIMIT ?3",
        params![destination.0, since.floor_to(crate::webhooks::points::POINT).as_micros(), POINTS_MAX],
        |row| {
            let one = Figures {
                attempts: row.get(0)?,
                failures: row.get(1)?,
                completed: row.get(2)?,
                at_first: row.get(3)?,
                dead: row.get(4)?,
                slow: row.get(5)?,
                ..Figures::default()
            };
            Ok((one, Durations::read(row.get_ref(6)?.as_blob()?)))
        },
    )?;
    for (one, durations) in points {
        sum.attempts += one.attempts;
        sum.failures += one.failures;
        sum.completed += one.completed;
        sum.at_first += one.at_first;
        sum.dead += one.dead;
        sum.slow += one.slow;
        latency.merge(&durations);
    }
    let at_most =
        |share| latency.at_most(share).map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    Ok(Figures { p50_ms: at_most(0.5), p95_ms: at_most(0.95), ..sum })
}

/// When what is due the longest was due: in the past where it waits already, `None` where nothing is to be sent.
///
/// # Errors
/// Where it cannot be read.
pub fn oldest_due(tx: &ReadTx<'_>, destination: DestinationId) -> Result<Option<Timestamp>, Error> {
    tx.first(
        "SELECT due_at FROM webhook_deliveries INDEXED BY webhook_deliveries_due
         WHERE destination_id = ?1 AND due_at IS NOT NULL ORDER BY due_at LIMIT 1",
        [destination.0],
        |row| time(row, 0),
    )
}
