//! Questions about heartbeats. Each is asked for the projects that the caller may see.

use super::Status;
use super::rows::{self, COLUMNS};
use crate::accounts::Visible;
use crate::accounts::projects::{self, ProjectRef};
use crate::base::text::fold;
use crate::base::{Cursor, ProjectId, Timestamp, Uid};
use crate::store::{Error, ReadTx, params};

pub use super::rows::{Heartbeat, find, find_by_slug, find_by_uid};

/// Which heartbeats are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub project: Option<ProjectId>,
    pub status: Option<Status>,
    /// Part of the name or the slug.
    pub text: Option<String>,
    /// Name and value.
    pub label: Option<(String, String)>,
}

/// Some heartbeats, and where the next ones begin.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    pub items: Vec<Heartbeat>,
    /// URL-safe; hand it to [`list`] as `after`.
    pub next_cursor: Option<String>,
}

/// How many there are of each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub new: i64,
    pub up: i64,
    pub late: i64,
    pub down: i64,
    pub paused: i64,
}

/// A status that a heartbeat had from `at` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    pub at: Timestamp,
    pub status: Status,
    pub reason: String,
}

/// Turns of one question: the newest.
const TURNS_MAX: u32 = 1_000;

/// Heartbeats of `visible` projects, what needs somebody first, then by name; those after `after`, at most `limit`.
pub fn list(
    tx: &ReadTx<'_>,
    visible: &Visible,
    filter: &Filter,
    after: Option<&str>,
    limit: usize,
) -> Result<Page, Error> {
    let after = after.and_then(Cursor::parse);
    let (rank, name, id) =
        after.map_or((-1_i64, String::new(), 0), |last| (last.rank.into(), last.name, last.id));
    let ask = i64::try_from(limit).unwrap_or(i64::MAX - 1).saturating_add(1);
    let label = filter.label.as_ref();
    let mut items = tx.all(
        &format!(
            "SELECT {COLUMNS}
             FROM heartbeat_states AS s INDEXED BY heartbeat_states_in_order
                 CROSS JOIN heartbeats ON heartbeats.id = s.heartbeat_id
             WHERE (?1 IS NULL OR s.project_id IN (SELECT value FROM json_each(?1)))
               AND (?2 IS NULL OR s.project_id = ?2)
               AND (?3 IS NULL OR s.status = ?3)
               AND (?4 IS NULL OR instr(fold(heartbeats.name), ?4) OR instr(heartbeats.slug, ?4))
               AND (?5 IS NULL OR EXISTS (SELECT 1 FROM json_each(heartbeats.definition, '$.labels') AS l
                                          WHERE l.key = ?5 AND l.value = ?6))
               AND (s.rank, s.name, s.heartbeat_id) > (?7, ?8, ?9)
             ORDER BY s.rank, s.name, s.heartbeat_id LIMIT ?10"
        ),
        params![
            projects_of(visible),
            filter.project.map(|project| project.0),
            filter.status.map(Status::as_str),
            filter.text.as_deref().map(fold),
            label.map(|(name, _)| name),
            label.map(|(_, value)| value),
            rank,
            name,
            id,
            ask,
        ],
        rows::read,
    )?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| more).map(cursor_of);
    Ok(Page { items, next_cursor })
}

/// Whether a text is a cursor of [`list`].
pub fn is_cursor(text: &str) -> bool {
    Cursor::parse(text).is_some()
}

fn cursor_of(last: &Heartbeat) -> String {
    Cursor { rank: last.state.status.rank(), name: last.name.clone(), id: last.id.0 }.to_string()
}

/// How many heartbeats of `visible` projects, and of `project` alone where given, have each status.
pub fn counts(tx: &ReadTx<'_>, visible: &Visible, project: Option<ProjectId>) -> Result<Counts, Error> {
    let rows = tx.all(
        "SELECT status, count(*) FROM heartbeat_states
         WHERE (?1 IS NULL OR project_id IN (SELECT value FROM json_each(?1))) AND (?2 IS NULL OR project_id = ?2)
         GROUP BY status LIMIT 10",
        params![projects_of(visible), project.map(|project| project.0)],
        |row| Ok((rows::word(row, 0, Status::parse)?, row.get::<_, i64>(1)?)),
    )?;
    let mut counts = Counts::default();
    for (status, count) in rows {
        match status {
            Status::New => counts.new = count,
            Status::Up => counts.up = count,
            Status::Late => counts.late = count,
            Status::Down => counts.down = count,
            Status::Paused => counts.paused = count,
        }
    }
    Ok(counts)
}

/// The heartbeat that somebody names by its uid, or as `project/slug`, if they may see it.
pub fn find_named(tx: &ReadTx<'_>, visible: &Visible, name: &str) -> Result<Option<Heartbeat>, Error> {
    let found = match name.split_once('/') {
        None => match name.parse::<Uid>() {
            Ok(uid) => find_by_uid(tx, uid)?,
            Err(_) => None,
        },
        Some((project, slug)) => {
            let Ok(reference) = project.parse::<ProjectRef>() else { return Ok(None) };
            let project = projects::find_visible(tx, &reference, visible).map_err(Error::from)?;
            match project {
                Some(project) => find_by_slug(tx, project.id, slug)?,
                None => None,
            }
        }
    };
    Ok(found.filter(|heartbeat| visible.contains(heartbeat.project)))
}

/// Its statuses since `since`, the one that it had then included, the oldest first; at most 1,000, the newest.
pub fn turns(tx: &ReadTx<'_>, id: super::HeartbeatId, since: Timestamp) -> Result<Vec<Turn>, Error> {
    let mut turns = tx.all(
        "SELECT at, status, reason FROM heartbeat_changes INDEXED BY heartbeat_changes_by_heartbeat
         WHERE heartbeat_id = ?1 AND at >= ifnull(
             (SELECT max(at) FROM heartbeat_changes WHERE heartbeat_id = ?1 AND at <= ?2), ?2)
         ORDER BY at DESC LIMIT ?3",
        params![id.0, since.as_micros(), TURNS_MAX],
        |row| {
            Ok(Turn {
                at: Timestamp::from_micros(row.get(0)?),
                status: rows::word(row, 1, Status::parse)?,
                reason: row.get(2)?,
            })
        },
    )?;
    turns.reverse();
    Ok(turns)
}

/// JSON of the projects; `None`: all.
fn projects_of(visible: &Visible) -> Option<String> {
    match visible {
        Visible::All => None,
        Visible::Only(projects) => Some(serde_json::to_string(projects).unwrap_or_default()),
    }
}
