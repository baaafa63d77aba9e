//! What was accepted, the newest first.
//!
//! Each source is asked by an index that gives its requests in order, and the answers are put together: whatever is asked
//! for, no statement reads more than a bounded number of rows.

use serde::Serialize;

use crate::accounts::Visible;
use crate::base::{ProjectId, Timestamp, Uid};
use crate::store::{Error, ReadTx, params};
use crate::webhooks::accept::RequestId;
use crate::webhooks::rows::{maybe_time, time, uid, word};
use crate::webhooks::{DeliveryStatus, DestinationId, SOURCES_MAX, SourceId};

/// Which requests a list shows.
#[derive(Clone, Debug)]
pub struct Filter {
    pub visible: Visible,
    pub project: Option<ProjectId>,
    pub source: Option<SourceId>,
    /// The whole of it.
    pub event_type: Option<String>,
    /// One of the deliveries is so.
    pub status: Option<DeliveryStatus>,
    /// How the event's id begins.
    pub event_id: Option<String>,
    /// Only older ones: [`Page::next`] of the page before.
    pub before: Option<i64>,
    /// At most 100.
    pub limit: u32,
}

/// A part of a list; `next` begins the following one, which may be empty: then nothing was found as far as was looked.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    pub items: Vec<RequestLine>,
    pub next: Option<i64>,
}

/// A line of the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RequestLine {
    pub id: RequestId,
    pub uid: Uid,
    pub source: SourceId,
    pub received_at: Timestamp,
    pub event_id: String,
    pub event_type: String,
    pub body_bytes: i64,
    /// How often it was sent again.
    pub repeats: i64,
    /// It was sent again after it had died.
    pub is_again: bool,
    pub ends: Vec<End>,
}

/// What became of a request at one destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct End {
    pub destination: DestinationId,
    pub status: DeliveryStatus,
    pub attempts: i64,
    pub last_status: Option<u16>,
    pub due_at: Option<Timestamp>,
    pub is_settled: bool,
}

pub(super) const LIMIT_MAX: u32 = 100;
/// Rows that are looked at for one page, where an index does not answer all that is asked: some twenty milliseconds. The
/// sources share them.
const LOOKED_AT_MAX: u32 = 2_000;
const LOOKED_AT_MIN: u32 = 50;
/// Events whose ids begin alike; who sees so many writes more of the id.
const ALIKE_MAX: u32 = 200;

/// How much of one source is read.
#[derive(Clone, Copy)]
struct Most {
    limit: u32,
    looked_at: u32,
}

/// What an index gave of one source or destination.
#[derive(Default)]
pub(super) struct Found {
    pub(super) ids: Vec<i64>,
    /// Older ones were not looked at.
    pub(super) until: Option<i64>,
}

impl Filter {
    /// Everything that may be seen, from the newest on.
    pub const fn all(visible: Visible) -> Self {
        Self {
            visible,
            project: None,
            source: None,
            event_type: None,
            status: None,
            event_id: None,
            before: None,
            limit: LIMIT_MAX,
        }
    }

    fn before(&self) -> i64 {
        self.before.unwrap_or(i64::MAX)
    }
}

/// One page of requests, the newest first.
///
/// # Errors
/// Where they cannot be read.
pub fn requests(tx: &ReadTx<'_>, filter: &Filter) -> Result<Page, Error> {
    let limit = filter.limit.clamp(1, LIMIT_MAX);
    let mut all = Found::default();
    let sources = find_sources(tx, filter)?;
    let most = Most { limit, looked_at: share(sources.len()) };
    for source in sources {
        all.add(match &filter.event_id {
            Some(beginning) => find_alike(tx, filter, source, beginning)?,
            None => find_ids(tx, filter, source, most)?,
        });
    }
    let (ids, next) = all.page(limit);
    let items =
        ids.into_iter().map(|id| line(tx, id)).filter_map(Result::transpose).collect::<Result<_, _>>()?;
    Ok(Page { items, next })
}

/// How many rows of each are looked at, where there are so many.
pub(super) fn share(count: usize) -> u32 {
    let share = LOOKED_AT_MAX / u32::try_from(count).unwrap_or(u32::MAX).max(1);
    share.max(LOOKED_AT_MIN)
}

impl Found {
    pub(super) fn add(&mut self, more: Self) {
        self.ids.extend(more.ids);
        self.until = self.until.max(more.until);
    }

    /// The newest of all, and where the next page begins.
    pub(super) fn page(mut self, limit: u32) -> (Vec<i64>, Option<i64>) {
        // What one was not asked for may lie between what the others have.
        self.ids.retain(|id| self.until.is_none_or(|until| *id >= until));
        self.ids.sort_unstable_by(|one, other| other.cmp(one));
        let has_more = self.ids.len() > limit as usize;
        self.ids.truncate(limit as usize);
        let next = if has_more { self.ids.last().copied() } else { self.until };
        (self.ids, next)
    }
}

fn find_sources(tx: &ReadTx<'_>, filter: &Filter) -> Result<Vec<SourceId>, Error> {
    let sources = tx.all("SELECT id, project_id FROM webhook_sources LIMIT ?1", [SOURCES_MAX], |row| {
        Ok((SourceId(row.get(0)?), ProjectId(row.get(1)?)))
    })?;
    let is_asked = |(id, project): &(SourceId, ProjectId)| {
        filter.visible.contains(*project)
            && filter.project.is_none_or(|wanted| wanted == *project)
            && filter.source.is_none_or(|wanted| wanted == *id)
    };
    Ok(sources.into_iter().filter(is_asked).map(|(id, _)| id).collect())
}

/// The newest requests of a source that fit, by the index that leaves the fewest to be looked at.
fn find_ids(tx: &ReadTx<'_>, filter: &Filter, source: SourceId, most: Most) -> Result<Found, Error> {
    let Most { limit, looked_at } = most;
    let kind = filter.event_type.as_deref();
    match (filter.status, kind) {
        (None, None) => newest(tx, filter, source, limit + 1).map(whole),
        (None, Some(kind)) => newest_of_type(tx, (filter, source, kind), limit + 1).map(whole),
        (Some(DeliveryStatus::Processing), _) => {
            let ids = under_way(tx, filter, source)?;
            choose(ids, None, limit, |id| is_of_type(tx, id, kind))
        }
        (Some(status @ DeliveryStatus::Completed), None) => {
            let ids = newest(tx, filter, source, looked_at)?;
            choose(ids, Some(looked_at), limit, |id| has_status(tx, id, status))
        }
        (Some(status @ DeliveryStatus::Completed), Some(kind)) => {
            let ids = newest_of_type(tx, (filter, source, kind), looked_at)?;
            choose(ids, Some(looked_at), limit, |id| has_status(tx, id, status))
        }
        (Some(status), None) => unfinished(tx, (filter, source, status), limit + 1).map(whole),
        (Some(status), kind @ Some(_)) => {
            let ids = unfinished(tx, (filter, source, status), looked_at)?;
            choose(ids, Some(looked_at), limit, |id| is_of_type(tx, id, kind))
        }
    }
}

pub(super) const fn whole(ids: Vec<i64>) -> Found {
    Found { ids, until: None }
}

/// Those of `ids` that fit, one more than `limit` at most. `asked` is how many there could have been: where there are so
/// many, there may be more.
fn choose(
    ids: Vec<i64>,
    asked: Option<u32>,
    limit: u32,
    fits: impl Fn(i64) -> Result<bool, Error>,
) -> Result<Found, Error> {
    let until = ids.last().copied().filter(|_| asked.is_some_and(|asked| ids.len() >= asked as usize));
    let mut chosen = Vec::new();
    for id in ids {
        if fits(id)? {
            chosen.push(id);
            if chosen.len() > limit as usize {
                return Ok(whole(chosen));
            }
        }
    }
    Ok(Found { ids: chosen, until })
}

/// By the ids that are known of a source's events: older ones with the same id hang on the newest.
fn find_alike(tx: &ReadTx<'_>, filter: &Filter, source: SourceId, beginning: &str) -> Result<Found, Error> {
    let mut ids = tx.all(
        "SELECT request_id FROM processed_webhook_events INDEXED BY processed_webhook_events_by_event
         WHERE source_id = ?1 AND event_id >= ?2 AND event_id < ?2 || ?3 LIMIT ?4",
        params![source.0, beginning, char::MAX.to_string(), ALIKE_MAX],
        |row| row.get::<_, i64>(0),
    )?;
    ids.retain(|id| *id < filter.before());
    ids.sort_unstable_by(|one, other| other.cmp(one));
    let kind = filter.event_type.as_deref();
    choose(ids, None, LIMIT_MAX, |id| {
        let has_status = filter.status.map_or(Ok(true), |status| has_status(tx, id, status))?;
        Ok(has_status && is_of_type(tx, id, kind)?)
    })
}

fn newest(tx: &ReadTx<'_>, filter: &Filter, source: SourceId, limit: u32) -> Result<Vec<i64>, Error> {
    tx.all(
        "SELECT id FROM webhook_requests INDEXED BY webhook_requests_by_source
         WHERE source_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3",
        params![source.0, filter.before(), limit],
        |row| row.get(0),
    )
}

fn newest_of_type(
    tx: &ReadTx<'_>,
    (filter, source, kind): (&Filter, SourceId, &str),
    limit: u32,
) -> Result<Vec<i64>, Error> {
    tx.all(
        "SELECT id FROM webhook_requests INDEXED BY webhook_requests_by_type
         WHERE source_id = ?1 AND event_type = ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4",
        params![source.0, kind, filter.before(), limit],
        |row| row.get(0),
    )
}

fn unfinished(
    tx: &ReadTx<'_>,
    (filter, source, status): (&Filter, SourceId, DeliveryStatus),
    limit: u32,
) -> Result<Vec<i64>, Error> {
    tx.all(
        "SELECT DISTINCT request_id FROM webhook_deliveries INDEXED BY webhook_deliveries_unfinished
         WHERE source_id = ?1 AND status = ?2 AND status IN ('pending', 'failed', 'dead_letter') AND request_id < ?3
         ORDER BY request_id DESC LIMIT ?4",
        params![source.0, status.as_str(), filter.before(), limit],
        |row| row.get(0),
    )
}

/// No more than may be under way at once.
fn under_way(tx: &ReadTx<'_>, filter: &Filter, source: SourceId) -> Result<Vec<i64>, Error> {
    let mut ids = tx.all(
        "SELECT d.request_id
         FROM webhook_destinations INDEXED BY webhook_destinations_by_source
         CROSS JOIN webhook_deliveries AS d INDEXED BY webhook_deliveries_leased
                 ON d.destination_id = webhook_destinations.id AND d.status = 'processing'
         WHERE webhook_destinations.source_id = ?1 AND d.request_id < ?2 LIMIT ?3",
        params![source.0, filter.before(), LOOKED_AT_MAX],
        |row| row.get::<_, i64>(0),
    )?;
    ids.sort_unstable_by(|one, other| other.cmp(one));
    ids.dedup();
    Ok(ids)
}

fn is_of_type(tx: &ReadTx<'_>, id: i64, kind: Option<&str>) -> Result<bool, Error> {
    let Some(kind) = kind else { return Ok(true) };
    let sql = "SELECT event_type = ?2 FROM webhook_requests WHERE id = ?1";
    Ok(tx.first(sql, params![id, kind], |row| row.get(0))?.unwrap_or(false))
}

fn has_status(tx: &ReadTx<'_>, id: i64, status: DeliveryStatus) -> Result<bool, Error> {
    tx.one(
        "SELECT EXISTS (SELECT 1 FROM webhook_deliveries INDEXED BY webhook_deliveries_by_request
                        WHERE request_id = ?1 AND status = ?2)",
        params![id, status.as_str()],
        |row| row.get(0),
    )
}

/// Nothing where it was let go of meanwhile.
fn line(tx: &ReadTx<'_>, id: i64) -> Result<Option<RequestLine>, Error> {
    let found = tx.first(
        "SELECT uid, source_id, received_at, event_id, event_type, body_bytes, repeats, after IS NOT NULL
         FROM webhook_requests WHERE id = ?1",
        [id],
        |row| {
            Ok(RequestLine {
                id: RequestId(id),
                uid: uid(row, 0)?,
                source: SourceId(row.get(1)?),
                received_at: time(row, 2)?,
                event_id: row.get(3)?,
                event_type: row.get(4)?,
                body_bytes: row.get(5)?,
                repeats: row.get(6)?,
                is_again: row.get(7)?,
                ends: Vec::new(),
            })
        },
    )?;
    let Some(mut line) = found else { return Ok(None) };
    line.ends = tx.all(
        "SELECT destination_id, status, attempts, last_status, due_at, settled_at IS NOT NULL
         FROM webhook_deliveries INDEXED BY webhook_deliveries_by_request WHERE request_id = ?1 ORDER BY id LIMIT 100",
        [id],
        |row| {
            Ok(End {
                destination: DestinationId(row.get(0)?),
                status: word(row, 1, DeliveryStatus::parse)?,
                attempts: row.get(2)?,
                last_status: row.get(3)?,
                due_at: maybe_time(row, 4)?,
                is_settled: row.get(5)?,
            })
        },
    )?;
    Ok(Some(line))
}
