//! Sources and destinations, with how they are.

use serde::Serialize;

use crate::accounts::Visible;
use crate::base::{ProjectId, Timestamp};
use crate::store::{Error, ReadTx, Row, params};
use crate::webhooks::rows::{self, DESTINATIONS, SOURCES, json, maybe_time, time};
use crate::webhooks::tally::Tally;
use crate::webhooks::{Destination, DestinationId, SOURCES_MAX, Source, SourceId};

/// A line of the list of sources.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceLine {
    pub source: Source,
    pub counters: Counters,
    pub health: Health,
}

/// What came, since the source was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    pub accepted: i64,
    pub duplicates: i64,
    pub refused: i64,
    /// Of the newest that was accepted.
    pub last_at: Option<Timestamp>,
    pub refused_at: Option<Timestamp>,
}

/// How the destinations of a source are. Of what waits and of dead letters at most [`COUNT_MAX`] are counted for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    pub destinations: u32,
    /// Somebody, or tocsin, holds them.
    pub held: u32,
    /// Their breakers are not closed.
    pub resting: u32,
    pub waiting: u32,
    /// Dead letters that nobody has dealt with.
    pub dead: u32,
}

/// A destination with how it is.
#[derive(Clone, Debug, PartialEq)]
pub struct DestinationLine {
    pub destination: Destination,
    pub state: State,
    /// At most [`COUNT_MAX`], as the dead ones.
    pub waiting: u32,
    pub dead: u32,
}

/// How a destination is, as it was written last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct State {
    /// Of its breaker: `closed`, `open` or `half_open`.
    pub breaker: String,
    pub open_until: Option<Timestamp>,
    pub changed_at: Option<Timestamp>,
    pub last_ok_at: Option<Timestamp>,
    pub last_failed_at: Option<Timestamp>,
    pub last_error: String,
}

/// A call that was turned away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusalLine {
    pub at: Timestamp,
    pub reason: String,
    pub address: String,
    /// Without secrets.
    pub headers: Vec<(String, String)>,
    /// Alike ones one after the other, of which this is the last.
    pub count: i64,
}

/// What came in five minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    pub at: Timestamp,
    pub came: Tally,
}

/// More need not be told apart in a list; counting all of a long queue takes as long as the queue is.
pub const COUNT_MAX: u32 = 100;
/// Ninety days of five minutes.
const POINTS_MAX: u32 = 26_000;

/// The sources of one project or of all, by name.
///
/// # Errors
/// Where they cannot be read.
pub fn sources(
    tx: &ReadTx<'_>,
    visible: &Visible,
    project: Option<ProjectId>,
) -> Result<Vec<SourceLine>, Error> {
    let found = tx.all(
        &format!("{SOURCES} WHERE projects.archived_at IS NULL ORDER BY webhook_sources.name COLLATE NOCASE LIMIT ?1"),
        [SOURCES_MAX],
        rows::source,
    )?;
    let is_asked = |source: &Source| {
        visible.contains(source.project) && project.is_none_or(|project| project == source.project)
    };
    found.into_iter().filter(is_asked).map(|source| source_line(tx, source)).collect()
}

/// A source by its key, among those that the caller may see.
///
/// # Errors
/// Where it cannot be read.
pub fn find_source(tx: &ReadTx<'_>, visible: &Visible, key: &str) -> Result<Option<SourceLine>, Error> {
    let found = rows::find_source_by_key(tx, key)?.filter(|source| visible.contains(source.project));
    found.map(|source| source_line(tx, source)).transpose()
}

/// A destination by its key, among those that the caller may see.
///
/// # Errors
/// Where it cannot be read.
pub fn find_destination(
    tx: &ReadTx<'_>,
    visible: &Visible,
    key: &str,
) -> Result<Option<DestinationLine>, Error> {
    let found = rows::find_destination_by_key(tx, key)?.filter(|found| visible.contains(found.project));
    found.map(|destination| destination_line(tx, destination)).transpose()
}

/// The destinations of a source, in the order in which they were made.
///
/// # Errors
/// Where they cannot be read.
pub fn destinations(tx: &ReadTx<'_>, source: SourceId) -> Result<Vec<DestinationLine>, Error> {
    let found = rows::destinations_of(tx, source)?;
    found.into_iter().map(|destination| destination_line(tx, destination)).collect()
}

/// The last calls of a source that were turned away, the newest first.
///
/// # Errors
/// Where they cannot be read.
pub fn refusals(tx: &ReadTx<'_>, source: SourceId) -> Result<Vec<RefusalLine>, Error> {
    tx.all(
        "SELECT at, reason, address, headers, count FROM webhook_refusals INDEXED BY webhook_refusals_by_source
         WHERE source_id = ?1 ORDER BY id DESC LIMIT ?2",
        params![source.0, crate::webhooks::refused::KEPT],
        |row| {
            Ok(RefusalLine {
                at: time(row, 0)?,
                reason: row.get(1)?,
                address: row.get(2)?,
                headers: json(row, 3)?,
                count: row.get(4)?,
            })
        },
    )
}

/// What came to a source since then, in order.
///
/// # Errors
/// Where it cannot be read.
pub fn points(tx: &ReadTx<'_>, source: SourceId, since: Timestamp) -> Result<Vec<Point>, Error> {
    tx.all(
        "SELECT at, accepted, duplicates, refused FROM webhook_source_points
         WHERE source_id = ?1 AND at >= ?2 ORDER BY at LIMIT ?3",
        params![source.0, since.as_micros(), POINTS_MAX],
        |row| {
            let came = Tally { accepted: row.get(1)?, duplicates: row.get(2)?, refused: row.get(3)? };
            Ok(Point { at: time(row, 0)?, came })
        },
    )
}

fn source_line(tx: &ReadTx<'_>, source: Source) -> Result<SourceLine, Error> {
    let counters = tx.first(
        "SELECT accepted, duplicates, refused, last_at, refused_at FROM webhook_source_states WHERE source_id = ?1",
        [source.id.0],
        |row| {
            Ok(Counters {
                accepted: row.get(0)?,
                duplicates: row.get(1)?,
                refused: row.get(2)?,
                last_at: maybe_time(row, 3)?,
                refused_at: maybe_time(row, 4)?,
            })
        },
    )?;
    let ends = tx.all(
        "SELECT d.id, d.held_at IS NOT NULL, s.state <> 'closed'
         FROM webhook_destinations AS d INDEXED BY webhook_destinations_by_source
         CROSS JOIN webhook_destination_states AS s ON s.destination_id = d.id
         WHERE d.source_id = ?1",
        [source.id.0],
        |row| Ok((DestinationId(row.get(0)?), row.get::<_, bool>(1)?, row.get::<_, bool>(2)?)),
    )?;
    let mut health = Health::default();
    for (id, is_held, is_resting) in ends {
        health.destinations += 1;
        health.held += u32::from(is_held);
        health.resting += u32::from(is_resting);
        health.waiting += waiting(tx, id)?;
        health.dead += dead(tx, id)?;
    }
    Ok(SourceLine { source, counters: counters.unwrap_or_default(), health })
}

fn destination_line(tx: &ReadTx<'_>, destination: Destination) -> Result<DestinationLine, Error> {
    let id = destination.id;
    let state = tx.first(
        "SELECT state, open_until, changed_at, last_ok_at, last_failed_at, last_error
         FROM webhook_destination_states WHERE destination_id = ?1",
        [id.0],
        state,
    )?;
    let (waiting, dead) = (waiting(tx, id)?, dead(tx, id)?);
    Ok(DestinationLine { destination, state: state.unwrap_or_default(), waiting, dead })
}

fn state(row: &Row<'_>) -> rusqlite::Result<State> {
    Ok(State {
        breaker: row.get(0)?,
        open_until: maybe_time(row, 1)?,
        changed_at: maybe_time(row, 2)?,
        last_ok_at: maybe_time(row, 3)?,
        last_failed_at: maybe_time(row, 4)?,
        last_error: row.get(5)?,
    })
}

fn waiting(tx: &ReadTx<'_>, id: DestinationId) -> Result<u32, Error> {
    tx.one(
        "SELECT count(*) FROM (SELECT 1 FROM webhook_deliveries INDEXED BY webhook_deliveries_due
                               WHERE destination_id = ?1 AND due_at IS NOT NULL LIMIT ?2)",
        params![id.0, COUNT_MAX],
        |row| row.get(0),
    )
}

fn dead(tx: &ReadTx<'_>, id: DestinationId) -> Result<u32, Error> {
    tx.one(
        "SELECT count(*) FROM (SELECT 1 FROM webhook_deliveries INDEXED BY webhook_deliveries_dead_there
                               WHERE destination_id = ?1 AND status = 'dead_letter' AND settled_at IS NULL LIMIT ?2)",
        params![id.0, COUNT_MAX],
        |row| row.get(0),
    )
}

/// Every destination, in the order of its number: for what goes through all.
///
/// # Errors
/// Where they cannot be read.
pub fn all_destinations(tx: &ReadTx<'_>, limit: u32) -> Result<Vec<Destination>, Error> {
    tx.all(&format!("{DESTINATIONS} ORDER BY id LIMIT ?1"), [limit], rows::destination)
}

/// Every source that is of no archived project, in the order of its number.
///
/// # Errors
/// Where they cannot be read.
pub fn all_sources(tx: &ReadTx<'_>) -> Result<Vec<Source>, Error> {
    let sql = format!("{SOURCES} WHERE projects.archived_at IS NULL ORDER BY webhook_sources.id LIMIT ?1");
    tx.all(&sql, [SOURCES_MAX], rows::source)
}
