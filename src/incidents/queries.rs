//! Questions that pages and the API ask about incidents. Read only, indexed, bounded.

use std::time::Duration;

use crate::base::{ProjectId, Severity, Timestamp, Uid};
use crate::store::{Error, ReadTx, Row, params};

use super::rows::{self, IncidentId, IncidentState, WitnessId};
use super::views::{Counts, EventView, IncidentPage, IncidentView, WitnessView};
use super::{Source, messages, witnesses};

/// What the asker may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// Every project and tocsin's own.
    All,
    Projects(&'a [ProjectId]),
}

/// Which incidents are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateFilter {
    Any,
    /// Open or acknowledged.
    Unresolved,
    Only(IncidentState),
}

/// A page of a list: newest first, those with a number below `before`, at most 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageOf {
    pub before: Option<i64>,
    pub limit: u32,
}

/// Items and, where there are more, the number to ask `before` next.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<i64>,
}

pub const LIMIT_MAX: u32 = 100;
/// More than the timeline of one incident holds.
const EVENTS_MAX: i64 = 600;
/// More is a number that nobody reads.
pub const OPEN_COUNTED_MAX: i64 = 999;
/// Enough for a median.
const NEWEST_MAX: i64 = 1000;
/// A page of [`firing_keys`].
pub const FIRING_KEYS_MAX: u32 = 1000;

/// Incidents in scope, newest first.
pub fn list(
    tx: &ReadTx<'_>,
    scope: Scope<'_>,
    filter: StateFilter,
    page: PageOf,
) -> Result<Page<IncidentView>, Error> {
    let (before, limit) = bounds(page);
    let mut ids = match scope {
        Scope::All => find_ids(tx, filter, before, limit)?,
        Scope::Projects(projects) => {
            let mut ids = Vec::new();
            for project in projects {
                ids.extend(find_project_ids(tx, *project, filter, (before, limit))?);
            }
            ids.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
            ids.dedup();
            ids
        }
    };
    let next = cut(&mut ids, limit);
    let items =
        ids.into_iter().filter_map(|id| find_view(tx, id).transpose()).collect::<Result<Vec<_>, Error>>()?;
    Ok(Page { items, next })
}

/// An incident with its listed witnesses; `None` where there is none or it is out of scope.
pub fn find(tx: &ReadTx<'_>, scope: Scope<'_>, uid: Uid) -> Result<Option<IncidentView>, Error> {
    let Some(id) = rows::find_incident_by_uid(tx, uid)? else { return Ok(None) };
    Ok(find_view(tx, id)?.filter(|view| sees(scope, view.project_id)))
}

/// An incident by its number, for those who send its messages.
pub fn find_by_number(tx: &ReadTx<'_>, id: IncidentId) -> Result<Option<IncidentView>, Error> {
    find_view(tx, id)
}

/// What an incident was called when it began: its name may change, the subject of its mails does not.
pub fn opened_as(tx: &ReadTx<'_>, id: IncidentId) -> Result<String, Error> {
    let known = "SELECT coalesce(opened_as, summary) FROM incidents WHERE id = ?1";
    tx.one(known, [id.0], |row| row.get(0))
}

/// The number of an incident by its outside id.
pub fn find_number(tx: &ReadTx<'_>, uid: Uid) -> Result<Option<IncidentId>, Error> {
    rows::find_incident_by_uid(tx, uid)
}

/// The incident that `key` belongs to while it is unresolved.
pub fn find_live(tx: &ReadTx<'_>, key: &str) -> Result<Option<IncidentId>, Error> {
    Ok(rows::find_live_witness(tx, key)?.map(|witness| witness.incident.id))
}

/// The newest incidents in scope that `key` was a witness of, newest first, at most `limit`.
pub fn list_of_key(
    tx: &ReadTx<'_>,
    scope: Scope<'_>,
    key: &str,
    limit: u32,
) -> Result<Vec<IncidentView>, Error> {
    let ids = tx.all(
        "SELECT incident_id FROM witnesses INDEXED BY witnesses_live WHERE key = ?1 AND live = 1
         UNION SELECT incident_id FROM witnesses INDEXED BY witnesses_past WHERE key = ?1 AND live = 0
         ORDER BY 1 DESC LIMIT ?2",
        params![key, limit.min(LIMIT_MAX)],
        |row| row.get(0).map(IncidentId),
    )?;
    let found: Vec<IncidentView> =
        ids.into_iter().filter_map(|id| find_view(tx, id).transpose()).collect::<Result<_, _>>()?;
    Ok(found.into_iter().filter(|view| sees(scope, view.project_id)).collect())
}

/// The keys of one source that fire now, for a task that looks whether they still should: in order, those after
/// `after`, at most [`FIRING_KEYS_MAX`].
pub fn firing_keys(tx: &ReadTx<'_>, source: Source, after: &str) -> Result<Vec<String>, Error> {
    tx.all(
        "SELECT key FROM witnesses WHERE live = 1 AND state = 'firing' AND source = ?1 AND key > ?2
         ORDER BY key LIMIT ?3",
        params![source.as_str(), after, FIRING_KEYS_MAX],
        |row| row.get(0),
    )
}

/// The incident of a witness.
pub fn find_incident_of(tx: &ReadTx<'_>, witness: WitnessId) -> Result<Option<IncidentId>, Error> {
    tx.first("SELECT incident_id FROM witnesses WHERE id = ?1", [witness.0], |row| row.get(0).map(IncidentId))
}

/// An incident with its timeline and the proof of each message.
pub fn find_page(tx: &ReadTx<'_>, scope: Scope<'_>, uid: Uid) -> Result<Option<IncidentPage>, Error> {
    let Some(incident) = find(tx, scope, uid)? else { return Ok(None) };
    let timeline = tx.all(
        "SELECT at, kind, actor, detail FROM incident_events WHERE incident_id = ?1 ORDER BY id LIMIT ?2",
        params![incident.number, EVENTS_MAX],
        |row| {
            Ok(EventView {
                at: rows::time(row, 0)?,
                kind: row.get(1)?,
                actor: row.get(2)?,
                detail: rows::json(row, 3)?,
            })
        },
    )?;
    let deliveries = messages::list_of_incident(tx, IncidentId(incident.number))?;
    Ok(Some(IncidentPage { incident, timeline, deliveries }))
}

/// Unresolved incidents in scope.
pub fn count(tx: &ReadTx<'_>, scope: Scope<'_>) -> Result<Counts, Error> {
    tx.one(
        "SELECT count(*) FILTER (WHERE state = 'open'), count(*) FILTER (WHERE state = 'acknowledged'),
                count(*) FILTER (WHERE state = 'open' AND severity = 'critical'),
                count(*) FILTER (WHERE state = 'open' AND severity = 'high'),
                count(*) FILTER (WHERE state = 'open' AND severity = 'medium')
         FROM incidents
         WHERE state <> 'resolved' AND (?1 IS NULL OR project_id IN (SELECT value FROM json_each(?1)))",
        [project_list(scope)],
        |row| {
            let open: i64 = row.get(0)?;
            let mut worst = Severity::ALL.first().copied().filter(|_| open > 0);
            for (at, severity) in [(4, Severity::Medium), (3, Severity::High), (2, Severity::Critical)] {
                if row.get::<_, i64>(at)? > 0 {
                    worst = Some(severity);
                }
            }
            Ok(Counts { open, acknowledged: row.get(1)?, worst })
        },
    )
}

/// Open incidents in scope, at most one more than [`OPEN_COUNTED_MAX`]: every page asks.
pub fn count_open(tx: &ReadTx<'_>, scope: Scope<'_>) -> Result<i64, Error> {
    tx.one(
        "SELECT count(*) FROM (
           SELECT 1 FROM incidents WHERE state <> 'resolved' AND state = 'open'
             AND (?1 IS NULL OR project_id IN (SELECT value FROM json_each(?1))) LIMIT ?2)",
        params![project_list(scope), OPEN_COUNTED_MAX + 1],
        |row| row.get(0),
    )
}

/// Open incidents in scope that are silenced: nobody is asked to look at them.
pub fn count_silenced(tx: &ReadTx<'_>, scope: Scope<'_>) -> Result<i64, Error> {
    tx.one(
        "SELECT count(*) FROM incidents WHERE state <> 'resolved' AND state = 'open' AND silenced
           AND (?1 IS NULL OR project_id IN (SELECT value FROM json_each(?1)))",
        [project_list(scope)],
        |row| row.get(0),
    )
}

/// How long each incident took to be seen, the quickest first: those of the newest thousand that began since then.
pub fn times_to_detect(tx: &ReadTx<'_>, scope: Scope<'_>, since: Timestamp) -> Result<Vec<Duration>, Error> {
    tx.all(
        "SELECT detected_at - impact_started_at AS took
         FROM (SELECT impact_started_at, detected_at FROM incidents
               WHERE ?1 IS NULL OR project_id IN (SELECT value FROM json_each(?1)) ORDER BY id DESC LIMIT ?2)
         WHERE impact_started_at >= ?3 ORDER BY took",
        params![project_list(scope), NEWEST_MAX, since.as_micros()],
        |row| Ok(Duration::from_micros(u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0))),
    )
}

/// When the last incident ended; `None` where there was none.
pub fn find_last_end(tx: &ReadTx<'_>, scope: Scope<'_>) -> Result<Option<Timestamp>, Error> {
    tx.first(
        "SELECT resolved_at FROM incidents
         WHERE state = 'resolved' AND (?1 IS NULL OR project_id IN (SELECT value FROM json_each(?1)))
         ORDER BY resolved_at DESC LIMIT 1",
        [project_list(scope)],
        |row| rows::time(row, 0),
    )
}

/// The projects of a scope for `json_each`; null: every one, and tocsin's own.
fn project_list(scope: Scope<'_>) -> Option<String> {
    match scope {
        Scope::All => None,
        Scope::Projects(projects) => Some(serde_json::to_string(projects).unwrap_or_default()),
    }
}

pub(super) fn bounds(page: PageOf) -> (i64, u32) {
    (page.before.unwrap_or(i64::MAX), page.limit.clamp(1, LIMIT_MAX))
}

pub(super) fn sees(scope: Scope<'_>, project: Option<ProjectId>) -> bool {
    match scope {
        Scope::All => true,
        Scope::Projects(projects) => project.is_some_and(|project| projects.contains(&project)),
    }
}

/// Cuts a list that was asked for one more than `limit`, and tells where the next page begins.
fn cut(ids: &mut Vec<IncidentId>, limit: u32) -> Option<i64> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = ids.len() > limit;
    ids.truncate(limit);
    ids.last().filter(|_| more).map(|id| id.0)
}

fn find_ids(tx: &ReadTx<'_>, filter: StateFilter, before: i64, limit: u32) -> Result<Vec<IncidentId>, Error> {
    let read = |row: &Row<'_>| row.get(0).map(IncidentId);
    match filter {
        StateFilter::Any => tx.all(
            "SELECT id FROM incidents WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
            params![before, limit + 1],
            read,
        ),
        StateFilter::Only(IncidentState::Resolved) => tx.all(
            "SELECT id FROM incidents WHERE state = 'resolved' AND id < ?1 ORDER BY id DESC LIMIT ?2",
            params![before, limit + 1],
            read,
        ),
        StateFilter::Unresolved | StateFilter::Only(IncidentState::Open | IncidentState::Acknowledged) => tx
            .all(
                "SELECT id FROM incidents INDEXED BY incidents_unresolved
                 WHERE state <> 'resolved' AND (?3 IS NULL OR state = ?3) AND id < ?1 ORDER BY id DESC LIMIT ?2",
                params![before, limit + 1, word(filter)],
                read,
            ),
    }
}

fn find_project_ids(
    tx: &ReadTx<'_>,
    project: ProjectId,
    filter: StateFilter,
    (before, limit): (i64, u32),
) -> Result<Vec<IncidentId>, Error> {
    let read = |row: &Row<'_>| row.get(0).map(IncidentId);
    match filter {
        StateFilter::Any | StateFilter::Only(IncidentState::Resolved) => tx.all(
            "SELECT id FROM incidents INDEXED BY incidents_by_project
             WHERE project_id = ?1 AND (?4 IS NULL OR state = ?4) AND id < ?2 ORDER BY id DESC LIMIT ?3",
            params![project.0, before, limit + 1, word(filter)],
            read,
        ),
        StateFilter::Unresolved | StateFilter::Only(IncidentState::Open | IncidentState::Acknowledged) => tx
            .all(
                "SELECT id FROM incidents INDEXED BY incidents_unresolved
                 WHERE state <> 'resolved' AND project_id = ?1 AND (?4 IS NULL OR state = ?4) AND id < ?2
                 ORDER BY id DESC LIMIT ?3",
                params![project.0, before, limit + 1, word(filter)],
                read,
            ),
    }
}

const fn word(filter: StateFilter) -> Option<&'static str> {
    match filter {
        StateFilter::Any | StateFilter::Unresolved => None,
        StateFilter::Only(state) => Some(state.as_str()),
    }
}

fn find_view(tx: &ReadTx<'_>, id: IncidentId) -> Result<Option<IncidentView>, Error> {
    let found = tx.first(
        "SELECT uid, id, project_id, service, severity, state, summary, silenced, witness_count, impact_started_at,
                detected_at, first_sent_at, first_delivered_at, acknowledged_at, acknowledged_by, recovered_at,
                resolved_at, resolve_reason, next_ring_at
         FROM incidents WHERE id = ?1",
        [id.0],
        read_incident,
    )?;
    let Some(mut view) = found else { return Ok(None) };
    view.witnesses = tx.all(
        "SELECT id, key, source, kind, severity, summary, detail, state, first_bad_at, detected_at, last_bad_at,
                ok_since, signal_count
         FROM witnesses WHERE incident_id = ?1 ORDER BY id LIMIT ?2",
        params![id.0, witnesses::LISTED_MAX],
        read_witness,
    )?;
    view.keys = view.witnesses.iter().map(|witness| witness.key.clone()).collect();
    Ok(Some(view))
}

fn read_incident(row: &Row<'_>) -> rusqlite::Result<IncidentView> {
    Ok(IncidentView {
        id: rows::uid(row, 0)?,
        number: row.get(1)?,
        project_id: row.get::<_, Option<i64>>(2)?.map(ProjectId),
        project: None,
        service: row.get(3)?,
        keys: Vec::new(),
        severity: rows::severity(row, 4)?,
        state: row.get(5)?,
        summary: row.get(6)?,
        silenced: row.get(7)?,
        witnesses: Vec::new(),
        witness_count: row.get(8)?,
        impact_started_at: rows::time(row, 9)?,
        detected_at: rows::time(row, 10)?,
        time_to_detect_ms: millis_between(row, 9, 10)?,
        first_sent_at: rows::maybe_time(row, 11)?,
        first_delivered_at: rows::maybe_time(row, 12)?,
        acknowledged_at: rows::maybe_time(row, 13)?,
        acknowledged_by: row.get(14)?,
        recovered_at: rows::maybe_time(row, 15)?,
        resolved_at: rows::maybe_time(row, 16)?,
        resolve_reason: row.get(17)?,
        next_ring_at: rows::maybe_time(row, 18)?,
    })
}

/// What passed between the times of two columns; nothing takes less than no time.
fn millis_between(row: &Row<'_>, from: usize, to: usize) -> rusqlite::Result<i64> {
    let passed = rows::time(row, to)?.since(rows::time(row, from)?);
    Ok(i64::try_from(passed.as_millis()).unwrap_or(i64::MAX))
}

fn read_witness(row: &Row<'_>) -> rusqlite::Result<WitnessView> {
    Ok(WitnessView {
        number: row.get(0)?,
        key: row.get(1)?,
        source: row.get(2)?,
        kind: row.get(3)?,
        severity: rows::severity(row, 4)?,
        summary: row.get(5)?,
        detail: rows::json(row, 6)?,
        state: row.get(7)?,
        first_bad_at: rows::time(row, 8)?,
        detected_at: rows::time(row, 9)?,
        time_to_detect_ms: millis_between(row, 8, 9)?,
        last_bad_at: rows::time(row, 10)?,
        ok_since: rows::maybe_time(row, 11)?,
        signal_count: row.get(12)?,
    })
}
