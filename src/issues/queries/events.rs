//! Events by id and the events of an issue.

use serde::Serialize;

use super::super::births;
use super::super::ids::{self, Place, RecentIds};
use super::super::payload::decompress;
use super::super::view::{EventView, StoredColumns};
use super::IssueView;
use crate::accounts::Visible;
use crate::base::{EventId, ProjectId, Timestamp, Uid};
use crate::store::{Error, ReadTx, Row, params};

/// What is known of an event id.
#[derive(Debug)]
pub enum Found {
    Event(Box<EventView>),
    /// It was counted; its payload was not kept.
    Sampled,
    Unknown,
}

/// One line of an issue's events.
#[derive(Clone, Debug, Serialize)]
pub struct EventSummary {
    pub event_id: EventId,
    pub timestamp: Timestamp,
    pub received_at: Timestamp,
    pub level: String,
    pub environment: Option<String>,
    pub release: Option<String>,
    #[serde(skip)]
    pub seq: i64,
}

/// The stored events just before and after one, of the same issue.
#[derive(Clone, Copy, Debug, Default)]
pub struct Neighbours {
    pub older: Option<EventId>,
    pub newer: Option<EventId>,
}

/// An event by its client's id, in one project or in all that the caller may see.
pub fn find_event(
    tx: &ReadTx<'_>,
    recent: &RecentIds,
    visible: &Visible,
    project: Option<ProjectId>,
    event: EventId,
) -> Result<Found, Error> {
    let mut found = Found::Unknown;
    for project in candidates(tx, visible, project)? {
        match ids::find(tx, recent, project, event)? {
            Some(Place::Stored(seq)) => {
                if let Some(view) = load(tx, seq)? {
                    return Ok(Found::Event(Box::new(view)));
                }
            }
            Some(Place::Sampled) => found = Found::Sampled,
            None => {}
        }
    }
    Ok(found)
}

/// The stored events of an issue, newest first; `before` is the last `seq` of the page before.
pub fn list_events(
    tx: &ReadTx<'_>,
    issue: &IssueView,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<EventSummary>, Error> {
    tx.all(
        "SELECT events.event_id, events.timestamp, events.received_at, events.level, environments.name,
             releases.name, events.seq
         FROM events
         LEFT JOIN project_names AS environments ON environments.id = events.environment_id
         LEFT JOIN project_names AS releases ON releases.id = events.release_id
         WHERE events.project_id = ?1 AND events.issue_id = ?2 AND events.seq < ?3
         ORDER BY events.seq DESC LIMIT ?4",
        params![issue.project_id.0, issue.row_id, before.unwrap_or(i64::MAX), limit],
        read_summary,
    )
}

/// The neighbours of the event `seq` within its issue.
pub fn neighbours(tx: &ReadTx<'_>, issue: &IssueView, seq: i64) -> Result<Neighbours, Error> {
    let event_id = |row: &Row<'_>| row.get(0).map(EventId);
    let of = params![issue.project_id.0, issue.row_id, seq];
    let older = tx.first(
        "SELECT event_id FROM events WHERE project_id = ?1 AND issue_id = ?2 AND seq < ?3 ORDER BY seq DESC LIMIT 1",
        of,
        event_id,
    )?;
    let newer = tx.first(
        "SELECT event_id FROM events WHERE project_id = ?1 AND issue_id = ?2 AND seq > ?3 ORDER BY seq LIMIT 1",
        of,
        event_id,
    )?;
    Ok(Neighbours { older, newer })
}

fn candidates(
    tx: &ReadTx<'_>,
    visible: &Visible,
    project: Option<ProjectId>,
) -> Result<Vec<ProjectId>, Error> {
    match (project, visible) {
        (Some(project), visible) if visible.contains(project) => Ok(vec![project]),
        (Some(_), _) => Ok(Vec::new()),
        (None, Visible::Only(projects)) => Ok(projects.clone()),
        (None, Visible::All) => {
            tx.all("SELECT id FROM projects ORDER BY id LIMIT 10000", [], |row| row.get(0).map(ProjectId))
        }
    }
}

fn load(tx: &ReadTx<'_>, seq: i64) -> Result<Option<EventView>, Error> {
    let stored = tx.first(
        "SELECT events.event_id, issues.uid, projects.slug, events.timestamp, events.received_at, events.payload,
             (SELECT content FROM payload_dictionaries WHERE id = events.dictionary_id), issues.algorithm
         FROM events JOIN issues ON issues.id = events.issue_id JOIN projects ON projects.id = events.project_id
         WHERE events.seq = ?1",
        [seq],
        |row| {
            let columns = StoredColumns {
                event_id: EventId(row.get(0)?),
                issue_id: Uid::from_bytes(row.get(1)?),
                project: row.get(2)?,
                timestamp: Timestamp::from_micros(row.get(3)?),
                received_at: Timestamp::from_micros(row.get(4)?),
            };
            let is_other = row.get_ref(7)?.as_str()? == births::ALGORITHM;
            Ok((columns, row.get::<_, Vec<u8>>(5)?, row.get::<_, Option<Vec<u8>>>(6)?, is_other))
        },
    )?;
    let Some((columns, payload, dictionary, is_other)) = stored else { return Ok(None) };
    let json = decompress(&payload, dictionary.as_deref())?;
    let Ok(mut view) = EventView::new(columns, &String::from_utf8_lossy(&json)) else { return Ok(None) };
    view.warnings.extend(is_other.then(births::warning));
    Ok(Some(view))
}

fn read_summary(row: &Row<'_>) -> rusqlite::Result<EventSummary> {
    Ok(EventSummary {
        event_id: EventId(row.get(0)?),
        timestamp: Timestamp::from_micros(row.get(1)?),
        received_at: Timestamp::from_micros(row.get(2)?),
        level: row.get(3)?,
        environment: row.get(4)?,
        release: row.get(5)?,
        seq: row.get(6)?,
    })
}
