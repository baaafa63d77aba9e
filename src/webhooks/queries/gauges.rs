//! What /metrics shows: a few numbers of each source and each destination, of the first by their keys.

use std::time::Duration;

use super::figures::{figures, oldest_due};
use crate::base::Timestamp;
use crate::store::{Error, ReadTx, Row, params};
use crate::webhooks::{DeliveryStatus, DestinationId, SourceId};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gauges {
    pub sources: Vec<SourceGauge>,
    pub destinations: Vec<DestinationGauge>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SourceGauge {
    pub key: String,
    pub accepted: u64,
    pub duplicates: u64,
    pub refused: u64,
    /// How many deliveries are so, at most [`COUNTED_MAX`] of each; of dead letters those that nobody has dealt with.
    pub deliveries: Vec<(DeliveryStatus, u64)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DestinationGauge {
    pub key: String,
    /// `closed`, `half_open` or `open`.
    pub breaker: String,
    pub is_held: bool,
    /// How long what is due the longest waits already.
    pub backlog: Duration,
    /// Of the last hour.
    pub attempts: u64,
    pub failures: u64,
}

/// Series are bounded: more than a Prometheus takes from one target without a thought are not shown.
const SHOWN_MAX: u32 = 500;
/// Counting all of a long queue takes as long as the queue is.
pub const COUNTED_MAX: u32 = 10_000;
const ATTEMPTS_OF: Duration = Duration::from_hours(1);

/// The figures as they are now.
///
/// # Errors
/// Where they cannot be read.
pub fn gauges(tx: &ReadTx<'_>, now: Timestamp) -> Result<Gauges, Error> {
    let sources = tx.all(
        "SELECT s.id, s.key, coalesce(t.accepted, 0), coalesce(t.duplicates, 0), coalesce(t.refused, 0)
         FROM webhook_sources AS s LEFT JOIN webhook_source_states AS t ON t.source_id = s.id
         ORDER BY s.key LIMIT ?1",
        [SHOWN_MAX],
        |row| {
            let gauge = SourceGauge {
                key: row.get(1)?,
                accepted: count(row, 2)?,
                duplicates: count(row, 3)?,
                refused: count(row, 4)?,
                deliveries: Vec::new(),
            };
            Ok((SourceId(row.get(0)?), gauge))
        },
    )?;
    let sources = sources.into_iter().map(|(id, gauge)| {
        let deliveries = deliveries(tx, id)?;
        Ok::<_, Error>(SourceGauge { deliveries, ..gauge })
    });
    Ok(Gauges { sources: sources.collect::<Result<_, _>>()?, destinations: destinations(tx, now)? })
}

fn deliveries(tx: &ReadTx<'_>, source: SourceId) -> Result<Vec<(DeliveryStatus, u64)>, Error> {
    let found = |sql: &str| tx.one(sql, params![source.0, COUNTED_MAX], |row| count(row, 0));
    let waiting = |status: DeliveryStatus| {
        tx.one(
            "SELECT count(*) FROM (SELECT 1 FROM webhook_deliveries INDEXED BY webhook_deliveries_unfinished
                 WHERE source_id = ?1 AND status = ?3 AND status IN ('pending', 'failed', 'dead_letter') LIMIT ?2)",
            params![source.0, COUNTED_MAX, status.as_str()],
            |row| count(row, 0),
        )
    };
    let processing = found(
        "SELECT count(*) FROM (SELECT 1 FROM webhook_destinations AS d INDEXED BY webhook_destinations_by_source
             CROSS JOIN webhook_deliveries AS one INDEXED BY webhook_deliveries_leased
                 ON one.destination_id = d.id AND one.status = 'processing'
             WHERE d.source_id = ?1 LIMIT ?2)",
    )?;
    let dead = found(
        "SELECT count(*) FROM (SELECT 1 FROM webhook_destinations AS d INDEXED BY webhook_destinations_by_source
             CROSS JOIN webhook_deliveries AS one INDEXED BY webhook_deliveries_dead_there
                 ON one.destination_id = d.id AND one.status = 'dead_letter' AND one.settled_at IS NULL
             WHERE d.source_id = ?1 LIMIT ?2)",
    )?;
    Ok(vec![
        (DeliveryStatus::Pending, waiting(DeliveryStatus::Pending)?),
        (DeliveryStatus::Processing, processing),
        (DeliveryStatus::Failed, waiting(DeliveryStatus::Failed)?),
        (DeliveryStatus::DeadLetter, dead),
    ])
}

fn destinations(tx: &ReadTx<'_>, now: Timestamp) -> Result<Vec<DestinationGauge>, Error> {
    let rows = tx.all(
        "SELECT d.id, d.key, coalesce(s.state, 'closed'), d.held_at IS NOT NULL
         FROM webhook_destinations AS d LEFT JOIN webhook_destination_states AS s ON s.destination_id = d.id
         ORDER BY d.key LIMIT ?1",
        [SHOWN_MAX],
        |row| Ok((DestinationId(row.get(0)?), row.get(1)?, row.get(2)?, row.get(3)?)),
    )?;
    let gauge = |(id, key, breaker, is_held): (DestinationId, String, String, bool)| {
        let figures = figures(tx, id, now - ATTEMPTS_OF)?;
        Ok(DestinationGauge {
            key,
            breaker,
            is_held,
            backlog: oldest_due(tx, id)?.map_or(Duration::ZERO, |due| now.since(due)),
            attempts: figures.attempts.unsigned_abs(),
            failures: figures.failures.unsigned_abs(),
        })
    };
    rows.into_iter().map(gauge).collect()
}

fn count(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(at).map(|count| u64::try_from(count).unwrap_or(0))
}
