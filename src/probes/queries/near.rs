//! Probes that a page names beside the one, or the list, that it shows.

use super::{LINE, ListLine, line};
use crate::accounts::Visible;
use crate::base::{ProjectId, Timestamp};
use crate::probes::rows::{time, word};
use crate::probes::{ProbeId, Status};
use crate::store::{Error, ReadTx, Row, params};

/// A probe that another one depends on, or that depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    pub key: String,
    pub name: String,
    pub status: Status,
    pub since: Timestamp,
}

/// What a page names; more are counted.
const RELATED_MAX: u32 = 100;
/// A name that so many probes begin with is none.
const KEYS_TRIED: u32 = 10_000;

/// Those of `ids` that the caller may see, as a list shows them.
pub fn lines(tx: &ReadTx<'_>, visible: &Visible, ids: &[ProbeId]) -> Result<Vec<ListLine>, Error> {
    let sql = format!(
        "SELECT {LINE} FROM probe_states AS s CROSS JOIN probes ON probes.id = s.probe_id
         CROSS JOIN projects ON projects.id = probes.project_id WHERE s.probe_id = ?1"
    );
    let found = ids.iter().filter_map(|id| tx.first(&sql, [id.0], line).transpose());
    found.filter(|line| line.as_ref().map_or(true, |line| visible.contains(line.project))).collect()
}

/// What depends on a probe, as far as the caller may see it, at most 100.
pub fn children(tx: &ReadTx<'_>, visible: &Visible, id: ProbeId) -> Result<Vec<Related>, Error> {
    related(tx, visible, "probe_parents.probe_id", "probe_parents.parent_id", id)
}

/// What a probe depends on, as far as the caller may see it.
pub fn parents(tx: &ReadTx<'_>, visible: &Visible, id: ProbeId) -> Result<Vec<Related>, Error> {
    related(tx, visible, "probe_parents.parent_id", "probe_parents.probe_id", id)
}

/// Numbers of all that depends on a probe, directly or through others, as a question within another one.
pub(super) fn behind(parent: &str) -> String {
    format!(
        "WITH RECURSIVE behind(id) AS (
             SELECT probe_id FROM probe_parents WHERE parent_id = {parent}
             UNION SELECT probe_parents.probe_id FROM behind CROSS JOIN probe_parents ON parent_id = behind.id)
         SELECT id FROM behind"
    )
}

/// How many probes cannot be reached because of this one, as far as the caller may see them.
pub fn count_unreachable(tx: &ReadTx<'_>, visible: &Visible, id: ProbeId) -> Result<u32, Error> {
    let sql = format!(
        "SELECT s.project_id, count(*) FROM ({}) AS behind CROSS JOIN probe_states AS s ON s.probe_id = behind.id
         WHERE s.status = 'unreachable' GROUP BY s.project_id",
        behind("?1")
    );
    let found = tx.all(&sql, [id.0], |row| Ok((ProjectId(row.get(0)?), row.get::<_, u32>(1)?)))?;
    Ok(found.into_iter().filter(|(project, _)| visible.contains(*project)).map(|(_, count)| count).sum())
}

fn related(
    tx: &ReadTx<'_>,
    visible: &Visible,
    other: &str,
    this: &str,
    id: ProbeId,
) -> Result<Vec<Related>, Error> {
    let sql = format!(
        "SELECT probes.project_id, probes.key, probes.name, s.status, s.since
         FROM probe_parents CROSS JOIN probes ON probes.id = {other}
         CROSS JOIN probe_states AS s ON s.probe_id = probes.id WHERE {this} = ?1 LIMIT ?2"
    );
    let read = |row: &Row<'_>| {
        let related = Related {
            key: row.get(1)?,
            name: row.get(2)?,
            status: word(row, 3, Status::parse)?,
            since: time(row, 4)?,
        };
        Ok((ProjectId(row.get(0)?), related))
    };
    let found = tx.all(&sql, params![id.0, RELATED_MAX], read)?;
    let seen = found.into_iter().filter(|(project, _)| visible.contains(*project));
    Ok(seen.map(|(_, related)| related).collect())
}

/// `wanted`, or the first of `wanted-2`, `wanted-3` … that no probe has.
pub fn free_key(tx: &ReadTx<'_>, wanted: &str) -> Result<String, Error> {
    let room: String = wanted.chars().take(54).collect();
    for number in 1..=KEYS_TRIED {
        let key =
            if number == 1 { wanted.to_owned() } else { format!("{}-{number}", room.trim_end_matches('-')) };
        let is_taken: bool =
            tx.one("SELECT EXISTS (SELECT 1 FROM probes WHERE key = ?1)", [&key], |row| row.get(0))?;
        if !is_taken {
            return Ok(key);
        }
    }
    Ok(wanted.to_owned())
}
