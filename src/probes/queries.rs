//! Lists of probes, one probe, and what was seen of it. Every query is scoped to the projects that the caller may see.

use std::collections::HashMap;

use serde::Serialize;

use super::definition::Definition;
use super::kind::Kind;
use super::memory::Memory;
use super::rows::{self, PROBES, json, maybe_time, time, word};
use super::save::PROBES_MAX;
use super::status::Status;
use super::{Owner, Probe, ProbeId, outline};
use crate::accounts::Visible;
use crate::base::text::{clip, fold};
use crate::base::{ProjectId, Timestamp};
use crate::store::{Error, ReadTx, Row, Value, params};

mod history;
mod near;

pub use crate::base::Cursor;
pub use history::{ChangeLine, SampleView, changes, changes_since, samples};
pub use near::{Related, children, count_unreachable, free_key, lines, parents};

/// How a probe is, as it was written last.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub status: Status,
    pub since: Timestamp,
    /// Why it is not healthy; empty where it is.
    pub reason: String,
    pub flapping: bool,
    pub memory: Memory,
    /// Some minutes old where nothing changed: the board knows the last run.
    pub checked_at: Option<Timestamp>,
    pub latency_us: Option<i64>,
    /// Whether anything was ever reported; nothing is, to one that is asked.
    pub is_reported: bool,
    /// As in [`Version`].
    pub forgotten: i64,
}

/// What of a probe is read anew when it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Grows with each change of the definition or the pause.
    pub definition: i64,
    /// Grows when what readings proved is forgotten.
    pub forgotten: i64,
}

/// A line of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct ListLine {
    pub id: ProbeId,
    pub key: String,
    pub name: String,
    pub project: ProjectId,
    /// The project's slug.
    pub project_slug: String,
    pub owner: Owner,
    /// `None`: this program does not understand it; the reason says so.
    pub definition: Option<Definition>,
    pub status: Status,
    pub since: Timestamp,
    pub reason: String,
    pub flapping: bool,
    pub checked_at: Option<Timestamp>,
    pub latency_us: Option<i64>,
}

/// Which probes a list shows.
#[derive(Clone, Debug)]
pub struct Filter {
    pub visible: Visible,
    pub project: Option<ProjectId>,
    /// One of these; none: any.
    pub status: Vec<Status>,
    pub kind: Option<Kind>,
    /// Part of the name, the key or the address.
    pub text: Option<String>,
    /// A label by its name, and its value.
    pub label: Option<(String, String)>,
    /// Only what depends on this one, directly or through others.
    pub behind: Option<ProbeId>,
    pub after: Option<Cursor>,
    /// At most 100.
    pub limit: u32,
}

/// A part of a list; `next` begins the following one.
#[derive(Clone, Debug)]
pub struct Page {
    pub items: Vec<ListLine>,
    pub next: Option<Cursor>,
}

/// How many probes are how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub unhealthy: u32,
    pub degraded: u32,
    pub unreachable: u32,
    pub unknown: u32,
    pub maintenance: u32,
    pub healthy: u32,
    pub paused: u32,
}

const LIMIT_MAX: u32 = 100;

impl Filter {
    /// Everything that may be seen, from the beginning.
    pub const fn all(visible: Visible) -> Self {
        Self {
            visible,
            project: None,
            status: Vec::new(),
            kind: None,
            text: None,
            label: None,
            behind: None,
            after: None,
            limit: LIMIT_MAX,
        }
    }
}

/// One page of probes: what needs somebody first, then by name.
pub fn list(tx: &ReadTx<'_>, filter: &Filter) -> Result<Page, Error> {
    let limit = filter.limit.clamp(1, LIMIT_MAX);
    let mut clauses = Clauses::of(filter);
    if let Some(after) = &filter.after {
        let rank = clauses.bind(i64::from(after.rank));
        let name = clauses.bind(after.name.clone());
        let id = clauses.bind(after.id);
        clauses.and(&format!("(s.rank, s.name, s.probe_id) > ({rank}, {name}, {id})"));
    }
    let more = clauses.bind(i64::from(limit) + 1);
    let sql = format!(
        "SELECT {LINE} FROM {TABLES} WHERE {} ORDER BY s.rank, s.name, s.probe_id LIMIT {more}",
        clauses.text
    );
    let mut items = tx.all(&sql, rusqlite::params_from_iter(clauses.values), line)?;
    let has_more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items.last().filter(|_| has_more).map(|last| Cursor {
        rank: last.status.rank(),
        name: last.name.clone(),
        id: last.id.0,
    });
    Ok(Page { items, next })
}

/// How many probes `filter` finds in all its pages.
pub fn count(tx: &ReadTx<'_>, filter: &Filter) -> Result<u32, Error> {
    let clauses = Clauses::of(filter);
    let sql = format!("SELECT count(*) FROM {TABLES} WHERE {}", clauses.text);
    tx.one(&sql, rusqlite::params_from_iter(clauses.values), |row| row.get(0))
}

/// How many probes are how, of one project or of all.
pub fn counts(tx: &ReadTx<'_>, visible: &Visible, project: Option<ProjectId>) -> Result<Counts, Error> {
    let clauses = Clauses::of(&Filter { project, ..Filter::all(visible.clone()) });
    let sql =
        format!("SELECT s.status, count(*) FROM probe_states AS s WHERE {} GROUP BY s.status", clauses.text);
    let found = tx.all(&sql, rusqlite::params_from_iter(clauses.values), |row| {
        Ok((word(row, 0, Status::parse)?, row.get::<_, u32>(1)?))
    })?;
    let mut counts = Counts::default();
    for (status, count) in found {
        *counts.of(status) += count;
    }
    Ok(counts)
}

/// A probe by its key, among those that the caller may see.
pub fn find(tx: &ReadTx<'_>, visible: &Visible, key: &str) -> Result<Option<Probe>, Error> {
    Ok(rows::find_by_key(tx, key)?.filter(|probe| visible.contains(probe.project)))
}

/// A probe by its number, among those that the caller may see.
pub fn find_by_id(tx: &ReadTx<'_>, visible: &Visible, id: ProbeId) -> Result<Option<Probe>, Error> {
    Ok(rows::find(tx, id)?.filter(|probe| visible.contains(probe.project)))
}

/// How a probe is.
pub fn state(tx: &ReadTx<'_>, id: ProbeId) -> Result<Option<State>, Error> {
    tx.first(
        "SELECT status, since, reason, flapping, judge, checked_at, latency_us,
                EXISTS (SELECT 1 FROM probe_reports WHERE probe_reports.probe_id = probe_states.probe_id), forgotten
         FROM probe_states WHERE probe_id = ?1",
        [id.0],
        |row| {
            Ok(State {
                status: word(row, 0, Status::parse)?,
                since: time(row, 1)?,
                reason: row.get(2)?,
                flapping: row.get(3)?,
                // What a later program remembers otherwise is proved anew.
                memory: json(row, 4).unwrap_or_default(),
                checked_at: maybe_time(row, 5)?,
                latency_us: row.get(6)?,
                is_reported: row.get(7)?,
                forgotten: row.get(8)?,
            })
        },
    )
}

/// A probe that this program does not understand: a newer one wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub id: ProbeId,
    pub key: String,
    pub reason: String,
}

/// Every probe that is asked or paused, in the order of its number, at most `limit` after `after`: for what goes through
/// all. Those of archived projects are left out; those that cannot be read come by name.
pub fn all(tx: &ReadTx<'_>, after: ProbeId, limit: u32) -> Result<(Vec<Probe>, Vec<Unreadable>), Error> {
    let sql =
        format!("{PROBES} WHERE probes.id > ?1 AND projects.archived_at IS NULL ORDER BY probes.id LIMIT ?2");
    let found = tx.all(&sql, params![after.0, limit], |row| {
        let probe = rows::probe(row).map_err(|error| unreadable(&error));
        let (id, key) = (ProbeId(row.get(0)?), row.get(4)?);
        Ok(probe.map_err(|reason| Unreadable { id, key, reason }))
    })?;
    let (mut probes, mut lost) = (Vec::new(), Vec::new());
    for one in found {
        match one {
            Ok(probe) => probes.push(probe),
            Err(unreadable) => lost.push(unreadable),
        }
    }
    Ok((probes, lost))
}

/// In words, with the cure.
pub fn unreadable(error: &dyn std::fmt::Display) -> String {
    let error = error.to_string();
    let why = clip(&error, WHY_CHARS_MAX);
    format!(
        "it is not asked: a newer version of tocsin wrote it, and this one cannot read it ({why}). Upgrade again, or remove it"
    )
}

/// Of what is wrong with a definition.
const WHY_CHARS_MAX: usize = 200;

/// The version of every probe of [`all`]: what changed is read anew.
pub fn versions(tx: &ReadTx<'_>) -> Result<HashMap<ProbeId, Version>, Error> {
    let sql = "SELECT probes.id, probes.version, s.forgotten
               FROM probes CROSS JOIN projects ON projects.id = probes.project_id
               CROSS JOIN probe_states AS s ON s.probe_id = probes.id
               WHERE projects.archived_at IS NULL LIMIT ?1";
    let found = tx.all(sql, [PROBES_MAX], |row| {
        Ok((ProbeId(row.get(0)?), Version { definition: row.get(1)?, forgotten: row.get(2)? }))
    })?;
    Ok(found.into_iter().collect())
}

/// The keys of what a probe depends on, as far as the caller may know of it.
pub fn parent_keys(tx: &ReadTx<'_>, visible: &Visible, probe: &Probe) -> Result<Vec<String>, Error> {
    let mut keys = Vec::with_capacity(probe.parents.len());
    for parent in &probe.parents {
        keys.extend(outline::find_by_id(tx, visible, *parent)?.map(|parent| parent.key));
    }
    Ok(keys)
}

impl Counts {
    pub const fn total(&self) -> u32 {
        let Self { unhealthy, degraded, unreachable, unknown, maintenance, healthy, paused } = *self;
        unhealthy + degraded + unreachable + unknown + maintenance + healthy + paused
    }

    const fn of(&mut self, status: Status) -> &mut u32 {
        match status {
            Status::Unhealthy => &mut self.unhealthy,
            Status::Degraded => &mut self.degraded,
            Status::Unreachable => &mut self.unreachable,
            Status::Unknown => &mut self.unknown,
            Status::Maintenance => &mut self.maintenance,
            Status::Healthy => &mut self.healthy,
            Status::Paused => &mut self.paused,
        }
    }
}

/// The states lead: lists go by their order.
const TABLES: &str = "probe_states AS s INDEXED BY probe_states_in_order
     CROSS JOIN probes ON probes.id = s.probe_id CROSS JOIN projects ON projects.id = probes.project_id";

/// What `line` reads, from 0 on.
const LINE: &str = "probes.id, probes.key, probes.name, probes.project_id, projects.slug, probes.owner,
     probes.definition, s.status, s.since, s.reason, s.flapping, s.checked_at, s.latency_us";

/// A definition that cannot be read costs its own line the reason, and the others nothing.
fn line(row: &Row<'_>) -> rusqlite::Result<ListLine> {
    let definition: rusqlite::Result<Definition> = json(row, 6);
    let reason = match &definition {
        Ok(_) => row.get(9)?,
        Err(error) => unreadable(error),
    };
    Ok(ListLine {
        id: ProbeId(row.get(0)?),
        key: row.get(1)?,
        name: row.get(2)?,
        project: ProjectId(row.get(3)?),
        project_slug: row.get(4)?,
        owner: word(row, 5, Owner::parse)?,
        definition: definition.ok(),
        status: word(row, 7, Status::parse)?,
        since: time(row, 8)?,
        reason,
        flapping: row.get(10)?,
        checked_at: maybe_time(row, 11)?,
        latency_us: row.get(12)?,
    })
}

/// The conditions of a list, with their values.
struct Clauses {
    text: String,
    values: Vec<Value>,
}

impl Clauses {
    fn of(filter: &Filter) -> Self {
        let mut clauses = Self { text: "1".to_owned(), values: Vec::new() };
        if let Some(project) = filter.project {
            let project = clauses.bind(project.0);
            clauses.and(&format!("s.project_id = {project}"));
        }
        if let Visible::Only(projects) = &filter.visible {
            let ids: Vec<String> = projects.iter().map(|project| project.0.to_string()).collect();
            clauses.and(&format!("s.project_id IN ({})", ids.join(", ")));
        }
        if !filter.status.is_empty() {
            let words: Vec<String> =
                filter.status.iter().map(|status| clauses.bind(i64::from(status.rank()))).collect();
            clauses.and(&format!("s.rank IN ({})", words.join(", ")));
        }
        if let Some(kind) = filter.kind {
            let kind = clauses.bind(kind.as_str().to_owned());
            clauses.and(&format!("probes.kind = {kind}"));
        }
        if let Some(text) = &filter.text {
            let part = clauses.bind(fold(text));
            clauses.and(&format!(
                "(instr(fold(s.name), {part}) OR instr(probes.key, {part})
                  OR instr(fold(coalesce(probes.definition ->> '$.target.url', probes.definition ->> '$.target.host',
                                          probes.definition ->> '$.target.name', '')), {part}))"
            ));
        }
        if let Some((name, value)) = &filter.label {
            let (name, value) = (clauses.bind(name.clone()), clauses.bind(value.clone()));
            clauses.and(&format!(
                "EXISTS (SELECT 1 FROM json_each(probes.definition, '$.labels') AS label
                 WHERE label.key = {name} AND label.value = {value})"
            ));
        }
        if let Some(behind) = filter.behind {
            let behind = clauses.bind(behind.0);
            clauses.and(&format!("s.probe_id IN ({})", near::behind(&behind)));
        }
        clauses
    }

    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    fn and(&mut self, clause: &str) {
        self.text.push_str(" AND ");
        self.text.push_str(clause);
    }
}
