//! What a probe depends on. Dependencies form no circle and are not deep: a bad reading asks the parents, they theirs.

use std::collections::{BTreeMap, BTreeSet};

use super::{Error, ProbeId};
use crate::accounts::Visible;
use crate::base::ProjectId;
use crate::store::{self, ReadTx, WriteTx, params};

/// More is no dependency but a list of everything.
pub(super) const PARENTS_MAX: usize = 16;
/// As [`PARENTS_MAX`], for a LIMIT.
const PARENTS_ROWS: i64 = 16;
/// Steps from a probe to the last one that it depends on.
pub(super) const DEPTH_MAX: usize = 8;

/// The probes of these keys, as far as the caller may know of them.
pub(super) fn find(tx: &ReadTx<'_>, keys: &[String], visible: &Visible) -> Result<BTreeSet<ProbeId>, Error> {
    if keys.len() > PARENTS_MAX {
        return Err(Error::TooManyParents);
    }
    keys.iter()
        .map(|key| {
            let found = tx.first("SELECT id, project_id FROM probes WHERE key = ?1", [key], |row| {
                Ok((ProbeId(row.get(0)?), ProjectId(row.get(1)?)))
            })?;
            let seen = found.filter(|(_, project)| visible.contains(*project));
            seen.map(|(id, _)| id).ok_or_else(|| Error::UnknownParent(key.clone()))
        })
        .collect()
}

/// What `probe` depends on and the caller may not know of.
pub(super) fn unseen(
    tx: &ReadTx<'_>,
    probe: ProbeId,
    visible: &Visible,
) -> Result<BTreeSet<ProbeId>, store::Error> {
    let all = tx.all(
        "SELECT probes.id, probes.project_id FROM probe_parents JOIN probes ON probes.id = probe_parents.parent_id
         WHERE probe_parents.probe_id = ?1 LIMIT ?2",
        [probe.0, PARENTS_ROWS],
        |row| Ok((ProbeId(row.get(0)?), ProjectId(row.get(1)?))),
    )?;
    Ok(all.into_iter().filter(|(_, project)| !visible.contains(*project)).map(|(id, _)| id).collect())
}

/// Makes `parents` all that `probe` depends on. Tells whether that changed anything.
pub(super) fn set(
    tx: &WriteTx<'_>,
    probe: ProbeId,
    parents: &BTreeSet<ProbeId>,
    visible: &Visible,
) -> Result<bool, Error> {
    let before: BTreeSet<ProbeId> = of(tx, probe)?.into_iter().collect();
    if before == *parents {
        return Ok(false);
    }
    tx.execute("DELETE FROM probe_parents WHERE probe_id = ?1", [probe.0])?;
    for parent in parents {
        tx.execute(
            "INSERT INTO probe_parents (probe_id, parent_id) VALUES (?1, ?2)",
            params![probe.0, parent.0],
        )?;
    }
    check(tx, probe, visible)?;
    Ok(true)
}

fn of(tx: &ReadTx<'_>, probe: ProbeId) -> Result<Vec<ProbeId>, store::Error> {
    tx.all(
        "SELECT parent_id FROM probe_parents WHERE probe_id = ?1 LIMIT ?2",
        [probe.0, PARENTS_ROWS],
        |row| row.get(0).map(ProbeId),
    )
}

fn children(tx: &ReadTx<'_>, probe: ProbeId) -> Result<Vec<ProbeId>, store::Error> {
    tx.all(
        "SELECT probe_id FROM probe_parents WHERE parent_id = ?1 LIMIT ?2",
        params![probe.0, super::save::PROBES_MAX],
        |row| row.get(0).map(ProbeId),
    )
}

type Step = fn(&ReadTx<'_>, ProbeId) -> Result<Vec<ProbeId>, store::Error>;

fn check(tx: &ReadTx<'_>, probe: ProbeId, visible: &Visible) -> Result<(), Error> {
    let up = depth(tx, probe, visible, of)?;
    let down = depth(tx, probe, visible, children)?;
    if up + down > DEPTH_MAX { Err(Error::TooDeep) } else { Ok(()) }
}

/// Steps to the furthest probe in one direction, each probe looked at once per step.
fn depth(tx: &ReadTx<'_>, probe: ProbeId, visible: &Visible, step: Step) -> Result<usize, Error> {
    let mut came_from: BTreeMap<ProbeId, ProbeId> = BTreeMap::new();
    let mut front = BTreeSet::from([probe]);
    for steps in 0..=DEPTH_MAX {
        let mut next = BTreeSet::new();
        for at in front {
            for found in step(tx, at)? {
                if found == probe {
                    return Err(Error::Cycle(circle(tx, (probe, at), &came_from, visible)?));
                }
                came_from.entry(found).or_insert(at);
                next.insert(found);
            }
        }
        if next.is_empty() {
            return Ok(steps);
        }
        front = next;
    }
    Err(Error::TooDeep)
}

/// The keys from `probe` to itself, `last` being the one that leads back to it. What the caller may not know of has no
/// name.
fn circle(
    tx: &ReadTx<'_>,
    (probe, last): (ProbeId, ProbeId),
    came_from: &BTreeMap<ProbeId, ProbeId>,
    visible: &Visible,
) -> Result<Vec<String>, store::Error> {
    let (mut ids, mut at) = (vec![probe], last);
    while at != probe && ids.len() <= DEPTH_MAX + 1 {
        ids.push(at);
        at = came_from.get(&at).copied().unwrap_or(probe);
    }
    ids.push(probe);
    ids.reverse();
    let name = |id: &ProbeId| {
        let sql = "SELECT key, project_id FROM probes WHERE id = ?1";
        let (key, project) = tx.one(sql, [id.0], |row| Ok((row.get(0)?, ProjectId(row.get(1)?))))?;
        Ok(if visible.contains(project) { key } else { "another one".to_owned() })
    };
    ids.iter().map(name).collect()
}
