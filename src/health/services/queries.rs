//! Services with their members, scoped to the projects that the caller may see.

use std::collections::HashMap;

use rusqlite::Row;

use super::rule::{Needs, ServiceStatus};
use super::{MemberView, Service, ServiceId, members};
use crate::accounts::Visible;
use crate::base::owned::Owner;
use crate::base::{ProjectId, Timestamp, Uid};
use crate::store::columns::{json, maybe_time, word};
use crate::store::{Error, ReadTx};

const COLUMNS: &str = "
    SELECT s.id, s.uid, s.key, s.project_id, projects.slug, s.name, s.needs, s.quorum, s.critical, s.settings,
           s.position, s.owner, ifnull(t.status, 'unknown'), t.since, ifnull(t.reason, ''), s.updated_at,
           s.version
    FROM services s JOIN projects ON projects.id = s.project_id LEFT JOIN service_states t ON t.service_id = s.id";

/// All services that may be seen, in their order; those of archived projects are left out.
pub fn list(tx: &ReadTx<'_>, visible: &Visible) -> Result<Vec<Service>, Error> {
    let mut found = tx.all(
        &format!("{COLUMNS} WHERE projects.archived_at IS NULL ORDER BY s.position, s.id"),
        [],
        service,
    )?;
    found.retain(|service| visible.contains(service.project));
    let mut of: HashMap<i64, Vec<MemberView>> = HashMap::new();
    for (service, member) in members::find(tx, None)? {
        of.entry(service).or_default().push(member);
    }
    for service in &mut found {
        service.members = of.remove(&service.id.0).unwrap_or_default();
    }
    Ok(found)
}

/// A service by its key, if it may be seen.
pub fn find(tx: &ReadTx<'_>, visible: &Visible, key: &str) -> Result<Option<Service>, Error> {
    let found = tx.first(&format!("{COLUMNS} WHERE s.key = ?1"), [key], service)?;
    let Some(mut found) = found.filter(|service| visible.contains(service.project)) else { return Ok(None) };
    found.members = members::find(tx, Some(found.id.0))?.into_iter().map(|(_, member)| member).collect();
    Ok(Some(found))
}

/// The services that have this member, by the key of its signals, in their order and without their members.
pub fn list_of_member(tx: &ReadTx<'_>, visible: &Visible, member: &str) -> Result<Vec<Service>, Error> {
    let of = "s.id IN (SELECT service_id FROM service_members WHERE member = ?1)";
    let mut found = tx.all(&format!("{COLUMNS} WHERE {of} ORDER BY s.position, s.id"), [member], service)?;
    found.retain(|service| visible.contains(service.project));
    Ok(found)
}

/// From when on it was how, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeLine {
    pub at: Timestamp,
    pub status: ServiceStatus,
    pub reason: String,
}

/// Changes that are read of one service: four a day over the time that they are kept.
const CHANGES_MAX: i64 = 2_000;

/// How a service was from `from` on, the oldest first; the first line is the last one before that time, if any. At
/// most 2,000, the newest.
pub fn changes(tx: &ReadTx<'_>, service: ServiceId, from: Timestamp) -> Result<Vec<ChangeLine>, Error> {
    let mut found = tx.all(
        "SELECT at, status, reason FROM service_changes
         WHERE service_id = ?1 AND at >= ifnull(
             (SELECT max(at) FROM service_changes WHERE service_id = ?1 AND at <= ?2), 0)
         ORDER BY at DESC, id DESC LIMIT ?3",
        [service.0, from.as_micros(), CHANGES_MAX],
        |row| {
            Ok(ChangeLine {
                at: Timestamp::from_micros(row.get(0)?),
                status: word(row, 1, ServiceStatus::parse)?,
                reason: row.get(2)?,
            })
        },
    )?;
    found.reverse();
    Ok(found)
}

fn service(row: &Row<'_>) -> rusqlite::Result<Service> {
    let quorum: Option<u32> = row.get(7)?;
    let needs = |text: &str| match text {
        "all" => Some(Needs::All),
        "any" => Some(Needs::Any),
        "quorum" => quorum.map(Needs::Quorum),
        _ => None,
    };
    Ok(Service {
        id: ServiceId(row.get(0)?),
        uid: Uid::from_bytes(row.get(1)?),
        key: row.get(2)?,
        project: ProjectId(row.get(3)?),
        project_slug: row.get(4)?,
        name: row.get(5)?,
        needs: word(row, 6, needs)?,
        critical: row.get(8)?,
        settings: json(row, 9)?,
        position: row.get(10)?,
        owner: word(row, 11, Owner::parse)?,
        status: word(row, 12, ServiceStatus::parse)?,
        since: maybe_time(row, 13)?,
        reason: row.get(14)?,
        updated_at: Timestamp::from_micros(row.get(15)?),
        version: row.get(16)?,
        members: Vec::new(),
    })
}
