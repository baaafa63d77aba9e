//! The deliveries that fit, in the order of their numbers, a bounded page at a time.

use std::collections::BTreeMap;

use serde::Serialize;

use super::what::{Among, Seen, What};
use crate::base::{ProjectId, Timestamp};
use crate::store::columns::{time, word};
use crate::store::{Error, ReadTx, Row, params};
use crate::webhooks::{DeliveryId, DeliveryStatus, DestinationId, SourceId};

/// What a replay would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Counted {
    /// How many fit, those included that cannot be sent.
    pub matching: u32,
    /// Of these, what they brought is no longer kept.
    pub gone: u32,
    /// When the first of them was received, and the last.
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    pub by_destination: BTreeMap<DestinationId, There>,
    /// The replay is of deliveries up to this one: what dies later is not of it.
    pub up_to: DeliveryId,
    /// There may be more than one replay can be of: begin another one after it.
    pub is_more: bool,
}

/// Of one destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct There {
    pub matching: u32,
    pub gone: u32,
}

/// A stretch of deliveries that were looked at.
pub(super) struct Page {
    pub(super) fitting: Vec<Seen>,
    /// The last that was looked at; `None`: there are no more.
    pub(super) next: Option<DeliveryId>,
}

/// Which deliveries are looked at.
pub(super) struct Range<'w> {
    pub(super) project: ProjectId,
    pub(super) what: &'w What,
    pub(super) after: DeliveryId,
    pub(super) up_to: DeliveryId,
}

/// Of one replay. A page says how many there are; nobody replays more at once.
pub(super) const COVERED_MAX: u32 = 100_000;
/// Looked at to count; takes about a third of what a question may take.
const LOOKED_AT_MAX: u32 = 200_000;
const PAGE: u32 = 1_000;

/// What a replay of `what` would do now.
///
/// # Errors
/// Where it cannot be read.
pub fn count(tx: &ReadTx<'_>, project: ProjectId, what: &What) -> Result<Counted, Error> {
    let newest: Option<i64> = tx.one("SELECT max(id) FROM webhook_deliveries", [], |row| row.get(0))?;
    let newest = DeliveryId(newest.unwrap_or(0));
    let mut counted = Counted::nothing(newest);
    let (mut after, mut looked_at) = (DeliveryId(0), 0);
    loop {
        let page = find(tx, &Range { project, what, after, up_to: newest }, PAGE)?;
        for seen in &page.fitting {
            counted.add(seen, !has_payload(tx, seen.request)?);
            if counted.matching == COVERED_MAX {
                return Ok(Counted { up_to: seen.id, is_more: true, ..counted });
            }
        }
        let Some(next) = page.next else { return Ok(counted) };
        (after, looked_at) = (next, looked_at + PAGE);
        if looked_at >= LOOKED_AT_MAX {
            return Ok(Counted { up_to: next, is_more: true, ..counted });
        }
    }
}

impl Counted {
    const fn nothing(up_to: DeliveryId) -> Self {
        let by_destination = BTreeMap::new();
        Self { matching: 0, gone: 0, first: None, last: None, by_destination, up_to, is_more: false }
    }

    fn add(&mut self, seen: &Seen, is_gone: bool) {
        let there = self.by_destination.entry(seen.destination).or_default();
        there.matching += 1;
        there.gone += u32::from(is_gone);
        self.matching += 1;
        self.gone += u32::from(is_gone);
        let at = seen.received_at;
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
    }
}

const COLUMNS: &str = "d.id, d.request_id, d.project_id, d.source_id, d.destination_id, d.status,
     d.settled_at IS NOT NULL, coalesce(r.event_type, ''), coalesce(r.received_at, d.began_at)";

/// Of the next `most` deliveries those that fit, by the index that leaves the fewest to be looked at.
pub(super) fn find(tx: &ReadTx<'_>, range: &Range<'_>, most: u32) -> Result<Page, Error> {
    let Range { project, what, after, up_to } = *range;
    let (from, bound) = match (&what.ids, what.status, what.destination) {
        (Some(ids), _, _) => return these(tx, range, ids, most),
        (None, Among::DeadLetter, Some(destination)) => (
            "webhook_deliveries AS d INDEXED BY webhook_deliveries_dead_there
             LEFT JOIN webhook_requests AS r ON r.id = d.request_id
             WHERE d.destination_id = ?1 AND d.status = 'dead_letter' AND d.settled_at IS NULL AND",
            destination.0,
        ),
        (None, Among::DeadLetter, None) => (
            "webhook_deliveries AS d INDEXED BY webhook_deliveries_dead
             LEFT JOIN webhook_requests AS r ON r.id = d.request_id
             WHERE d.project_id = ?1 AND d.status = 'dead_letter' AND d.settled_at IS NULL AND",
            project.0,
        ),
        (None, Among::Failed | Among::Completed, Some(destination)) => (
            "webhook_deliveries AS d INDEXED BY webhook_deliveries_by_destination
             LEFT JOIN webhook_requests AS r ON r.id = d.request_id WHERE d.destination_id = ?1 AND",
            destination.0,
        ),
        // By their numbers, whosever they are: no index holds those of a project.
        (None, Among::Failed | Among::Completed, None) => (
            "webhook_deliveries AS d NOT INDEXED
             LEFT JOIN webhook_requests AS r ON r.id = d.request_id WHERE ?1 IS NOT NULL AND",
            project.0,
        ),
    };
    let seen = tx.all(
        &format!("SELECT {COLUMNS} FROM {from} d.id > ?2 AND d.id <= ?3 ORDER BY d.id LIMIT ?4"),
        params![bound, after.0, up_to.0, most],
        read,
    )?;
    Ok(page(range, seen, most))
}

/// As [`find`], among deliveries that were named.
fn these(tx: &ReadTx<'_>, range: &Range<'_>, ids: &[DeliveryId], most: u32) -> Result<Page, Error> {
    let mut next: Vec<i64> =
        ids.iter().filter(|id| **id > range.after && **id <= range.up_to).map(|id| id.0).collect();
    next.sort_unstable();
    next.dedup();
    next.truncate(most as usize);
    let last = next.last().copied().filter(|_| next.len() == most as usize).map(DeliveryId);
    let seen = tx.all(
        &format!(
            "SELECT {COLUMNS} FROM json_each(?1) AS named CROSS JOIN webhook_deliveries AS d ON d.id = named.value
             LEFT JOIN webhook_requests AS r ON r.id = d.request_id ORDER BY named.key"
        ),
        [serde_json::to_string(&next).unwrap_or_default()],
        read,
    )?;
    let fitting = seen.into_iter().filter(|seen| range.what.fits(range.project, seen)).collect();
    Ok(Page { fitting, next: last })
}

fn page(range: &Range<'_>, seen: Vec<Seen>, most: u32) -> Page {
    let next = seen.last().map(|seen| seen.id).filter(|_| seen.len() == most as usize);
    let fitting = seen.into_iter().filter(|seen| range.what.fits(range.project, seen)).collect();
    Page { fitting, next }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Seen> {
    Ok(Seen {
        id: DeliveryId(row.get(0)?),
        request: row.get(1)?,
        project: ProjectId(row.get(2)?),
        source: SourceId(row.get(3)?),
        destination: DestinationId(row.get(4)?),
        status: word(row, 5, DeliveryStatus::parse)?,
        is_settled: row.get(6)?,
        event_type: row.get(7)?,
        received_at: time(row, 8)?,
    })
}

fn has_payload(tx: &ReadTx<'_>, request: i64) -> Result<bool, Error> {
    Ok(tx.first("SELECT 1 FROM webhook_payloads WHERE request_id = ?1", [request], |_| Ok(()))?.is_some())
}
