//! Deliveries as people look for them: above all those that died, until somebody has dealt with them.

use super::detail::{DELIVERIES, delivery};
use super::requests::{Found, LIMIT_MAX, share, whole};
use super::{DeliveryLine, Names};
use crate::accounts::Visible;
use crate::base::{ProjectId, Timestamp, Uid};
use crate::store::{Error, ReadTx, params};
use crate::webhooks::rows::{time, uid};
use crate::webhooks::{DESTINATIONS_MAX, DeliveryId, DeliveryStatus, DestinationId, SourceId};

/// Which deliveries a list shows.
#[derive(Clone, Debug)]
pub struct DeskFilter {
    pub visible: Visible,
    pub source: Option<SourceId>,
    pub destination: Option<DestinationId>,
    pub which: Which,
    /// Only older ones: [`DeskPage::next`] of the page before.
    pub before: Option<i64>,
    /// At most 100.
    pub limit: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Any,
    Status(DeliveryStatus),
    /// Dead letters that somebody has dealt with, or nobody.
    Dead {
        settled: bool,
    },
}

/// A part of a list; `next` begins the following one, which may be empty: then nothing was found as far as was looked.
#[derive(Clone, Debug, PartialEq)]
pub struct DeskPage {
    pub items: Vec<DeskLine>,
    pub next: Option<i64>,
}

/// A delivery with what it brings and where.
#[derive(Clone, Debug, PartialEq)]
pub struct DeskLine {
    pub delivery: DeliveryLine,
    pub project: ProjectId,
    /// The source's key.
    pub source: Option<String>,
    /// The destination's key; `None`: it was removed.
    pub destination: Option<String>,
    /// The request's outside id.
    pub request: Uid,
    pub event_id: String,
    pub event_type: String,
    pub received_at: Timestamp,
}

/// One page of deliveries, the newest first.
///
/// # Errors
/// Where they cannot be read.
pub fn desk(tx: &ReadTx<'_>, filter: &DeskFilter) -> Result<DeskPage, Error> {
    let limit = filter.limit.clamp(1, LIMIT_MAX);
    let destinations = find_destinations(tx, filter)?;
    let looked_at = share(destinations.len());
    let mut all = Found::default();
    for destination in destinations {
        all.add(find_ids(tx, filter, destination, looked_at)?);
    }
    let (ids, next) = all.page(limit);
    let mut names = Names::default();
    let lines = ids.into_iter().map(|id| line(tx, &mut names, DeliveryId(id)));
    Ok(DeskPage { items: lines.filter_map(Result::transpose).collect::<Result<_, _>>()?, next })
}

/// A delivery by its outside id, among those that the caller may see.
///
/// # Errors
/// Where it cannot be read.
pub fn find_delivery(
    tx: &ReadTx<'_>,
    visible: &Visible,
    id: Uid,
) -> Result<Option<(DeliveryId, DeskLine)>, Error> {
    let sql = "SELECT id FROM webhook_deliveries WHERE uid = ?1";
    let Some(id) = tx.first(sql, [id.as_bytes()], |row| row.get(0).map(DeliveryId))? else { return Ok(None) };
    let found = line(tx, &mut Names::default(), id)?;
    Ok(found.filter(|line| visible.contains(line.project)).map(|line| (id, line)))
}

fn find_destinations(tx: &ReadTx<'_>, filter: &DeskFilter) -> Result<Vec<DestinationId>, Error> {
    let all = tx.all(
        "SELECT id, source_id, project_id FROM webhook_destinations LIMIT ?1",
        [DESTINATIONS_MAX],
        |row| Ok((DestinationId(row.get(0)?), SourceId(row.get(1)?), ProjectId(row.get(2)?))),
    )?;
    let is_asked = |(id, source, project): &(DestinationId, SourceId, ProjectId)| {
        filter.visible.contains(*project)
            && filter.source.is_none_or(|wanted| wanted == *source)
            && filter.destination.is_none_or(|wanted| wanted == *id)
    };
    Ok(all.into_iter().filter(is_asked).map(|(id, _, _)| id).collect())
}

/// The newest deliveries to a destination that fit. Those that died and those under way have an index; of the others the
/// last `looked_at` are looked at.
fn find_ids(
    tx: &ReadTx<'_>,
    filter: &DeskFilter,
    destination: DestinationId,
    looked_at: u32,
) -> Result<Found, Error> {
    let (before, limit) = (filter.before.unwrap_or(i64::MAX), filter.limit.clamp(1, LIMIT_MAX) + 1);
    let exact =
        |sql: &str| tx.all(sql, params![destination.0, before, limit], |row| row.get::<_, i64>(0)).map(whole);
    match filter.which {
        Which::Any => exact(
            "SELECT id FROM webhook_deliveries INDEXED BY webhook_deliveries_by_destination
             WHERE destination_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3",
        ),
        Which::Dead { settled: false } => exact(
            "SELECT id FROM webhook_deliveries INDEXED BY webhook_deliveries_dead_there
             WHERE destination_id = ?1 AND id < ?2 AND status = 'dead_letter' AND settled_at IS NULL
             ORDER BY id DESC LIMIT ?3",
        ),
        Which::Status(DeliveryStatus::Processing) => exact(
            "SELECT id FROM webhook_deliveries INDEXED BY webhook_deliveries_leased
             WHERE destination_id = ?1 AND id < ?2 AND status = 'processing' ORDER BY id DESC LIMIT ?3",
        ),
        Which::Status(status) => look(tx, (destination, before), status, None, looked_at),
        Which::Dead { settled: true } => {
            look(tx, (destination, before), DeliveryStatus::DeadLetter, Some(true), looked_at)
        }
    }
}

fn look(
    tx: &ReadTx<'_>,
    (destination, before): (DestinationId, i64),
    status: DeliveryStatus,
    settled: Option<bool>,
    looked_at: u32,
) -> Result<Found, Error> {
    let rows = tx.all(
        "SELECT id, status = ?3, settled_at IS NOT NULL
         FROM webhook_deliveries INDEXED BY webhook_deliveries_by_destination
         WHERE destination_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?4",
        params![destination.0, before, status.as_str(), looked_at],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?, row.get::<_, bool>(2)?)),
    )?;
    let until = rows.last().map(|(id, _, _)| *id).filter(|_| rows.len() >= looked_at as usize);
    let fits = |(_, is_so, is_settled): &(i64, bool, bool)| {
        *is_so && settled.is_none_or(|wanted| wanted == *is_settled)
    };
    Ok(Found { ids: rows.into_iter().filter(fits).map(|(id, _, _)| id).collect(), until })
}

/// Nothing where it was let go of meanwhile.
fn line(tx: &ReadTx<'_>, names: &mut Names, id: DeliveryId) -> Result<Option<DeskLine>, Error> {
    let found = tx.first(&format!("{DELIVERIES} WHERE id = ?1"), [id.0], |row| {
        Ok((delivery(row)?, row.get::<_, i64>(13)?, SourceId(row.get(14)?), ProjectId(row.get(15)?)))
    })?;
    let Some((delivery, request, source, project)) = found else { return Ok(None) };
    let sql = "SELECT uid, event_id, event_type, received_at FROM webhook_requests WHERE id = ?1";
    let brought = tx.first(sql, [request], |row| {
        Ok((uid(row, 0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, time(row, 3)?))
    })?;
    let Some((request, event_id, event_type, received_at)) = brought else { return Ok(None) };
    Ok(Some(DeskLine {
        source: names.source(tx, source)?,
        destination: names.destination(tx, delivery.destination)?,
        delivery,
        project,
        request,
        event_id,
        event_type,
        received_at,
    }))
}
