//! Who belongs to a service, by the names that people use and by the keys of their signals.

use rusqlite::Row;
use serde::Serialize;

use super::Error;
use crate::accounts::Visible;
use crate::base::{ProjectId, Timestamp};
use crate::heartbeats;
use crate::incidents::maintenance::Covers;
use crate::probes::Status;
use crate::probes::board::Live;
use crate::store::{self, ReadTx, WriteTx, params};

/// A member with how it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MemberView {
    /// The key of its signals: `probe:7`, `heartbeat:3`.
    pub member: String,
    /// As files name it: `api`, `shop/nightly`.
    pub key: String,
    pub name: String,
    /// `http`, `postgres` … or `heartbeat`.
    pub kind: String,
    pub status: Status,
    pub since: Option<Timestamp>,
    pub reason: String,
    pub checked_at: Option<Timestamp>,
    pub latency_us: Option<i64>,
}

/// A service's members: reading them all takes a statement of each kind.
const PROBES: &str = "
    SELECT m.service_id, m.member, p.key, p.name, p.kind,
           iif(p.paused_at IS NULL, ifnull(s.status, 'unknown'), 'paused'), s.since, ifnull(s.reason, ''),
           s.checked_at, s.latency_us, m.position
    FROM service_members m JOIN services ON services.id = m.service_id
    JOIN probes p ON p.id = CAST(substr(m.member, 7) AS INTEGER) AND p.project_id = services.project_id
    LEFT JOIN probe_states s ON s.probe_id = p.id
    WHERE m.member LIKE 'probe:%' AND (?1 IS NULL OR m.service_id = ?1)";
const HEARTBEATS: &str = "
    SELECT m.service_id, m.member, projects.slug || '/' || h.slug, h.name, 'heartbeat',
           iif(h.paused_at IS NULL, ifnull(s.status, 'new'), 'paused'), s.since, ifnull(s.reason, ''),
           s.last_ping_at, NULL, m.position
    FROM service_members m JOIN heartbeats h ON h.id = CAST(substr(m.member, 11) AS INTEGER)
    JOIN projects ON projects.id = h.project_id
    LEFT JOIN heartbeat_states s ON s.heartbeat_id = h.id
    WHERE m.member LIKE 'heartbeat:%' AND (?1 IS NULL OR m.service_id = ?1)";

/// Probes that moved to another project than that of their service.
const MOVED: &str = "
    SELECT m.service_id, m.member FROM service_members m JOIN services ON services.id = m.service_id
    JOIN probes p ON p.id = CAST(substr(m.member, 7) AS INTEGER) AND p.project_id <> services.project_id
    WHERE m.member LIKE 'probe:%'";

/// Whether [`let_go`] would find somebody.
pub(super) fn have_moved(tx: &ReadTx<'_>) -> Result<bool, store::Error> {
    tx.one(&format!("SELECT EXISTS ({MOVED})"), [], |row| row.get(0))
}

/// Takes probes that moved to another project out of their services for good: they are no members when they come back.
pub(super) fn let_go(tx: &WriteTx<'_>, now: Timestamp) -> Result<(), store::Error> {
    tx.execute(
        &format!("UPDATE services SET updated_at = ?1 WHERE id IN (SELECT service_id FROM ({MOVED}))"),
        [now.as_micros()],
    )?;
    tx.execute(&format!("DELETE FROM service_members WHERE (service_id, member) IN ({MOVED})"), [])?;
    Ok(())
}

/// Members with their service, in their order; those of one service, or of all. What was removed, or moved to another
/// project, is left out.
pub(super) fn find(tx: &ReadTx<'_>, service: Option<i64>) -> Result<Vec<(i64, MemberView)>, store::Error> {
    let mut found = tx.all(PROBES, [service], |row| read(row, probe_status))?;
    found.extend(tx.all(HEARTBEATS, [service], |row| read(row, heartbeat_status))?);
    found.sort_by_key(|(service, position, _)| (*service, *position));
    Ok(found.into_iter().map(|(service, _, member)| (service, member)).collect())
}

fn read(row: &Row<'_>, status: fn(&str) -> Status) -> rusqlite::Result<(i64, i64, MemberView)> {
    let time = |at| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(at)?.map(Timestamp::from_micros));
    let member = MemberView {
        member: row.get(1)?,
        key: row.get(2)?,
        name: row.get(3)?,
        kind: row.get(4)?,
        status: status(row.get_ref(5)?.as_str()?),
        since: time(6)?,
        reason: row.get(7)?,
        checked_at: time(8)?,
        latency_us: row.get(9)?,
    };
    Ok((row.get(0)?, row.get(10)?, member))
}

/// The table checks its words; one of a newer program says nothing here.
fn probe_status(word: &str) -> Status {
    Status::parse(word).unwrap_or(Status::Unknown)
}

fn heartbeat_status(word: &str) -> Status {
    heartbeats::Status::parse(word).map_or(Status::Unknown, Status::from)
}

/// A heartbeat among probes. A job that is late is within its grace: nothing is wrong yet.
impl From<heartbeats::Status> for Status {
    fn from(status: heartbeats::Status) -> Self {
        match status {
            heartbeats::Status::Up | heartbeats::Status::Late => Self::Healthy,
            heartbeats::Status::Down => Self::Unhealthy,
            heartbeats::Status::Paused => Self::Paused,
            heartbeats::Status::New => Self::Unknown,
        }
    }
}

impl MemberView {
    /// Takes over what memory knows of a probe: the store may be behind, or refuse to be told.
    pub(super) fn follow(&mut self, live: &Live) {
        if self.status != Status::Paused {
            (self.status, self.since) = (live.status, Some(live.since));
            self.reason.clone_from(&live.reason);
        }
    }

    /// What it is while planned work covers it.
    pub(super) fn cover(&mut self, project: ProjectId, covers: &Covers) {
        if self.status != Status::Paused
            && let Some(active) = covers.of(project, &self.member)
        {
            self.status = Status::Maintenance;
            self.reason.clone_from(&active.title);
        }
    }
}

/// The key of the signals of what is named `api`, `shop/nightly`, `probe:7` or `heartbeat:3` in a project. Whoever may
/// not know of what is named is told as of what is not there.
///
/// # Errors
/// [`Error::UnknownProbe`], [`Error::UnknownHeartbeat`]; [`Error::OtherProject`].
pub fn resolve(tx: &ReadTx<'_>, visible: &Visible, project: ProjectId, name: &str) -> Result<String, Error> {
    let name = name.trim();
    let (found, unknown): (_, fn(String) -> Error) = if let Some(id) = name.strip_prefix("probe:") {
        (find_numbered(tx, PROBE_OF, id)?, Error::UnknownProbe)
    } else if let Some(id) = name.strip_prefix("heartbeat:") {
        (find_numbered(tx, HEARTBEAT_OF, id)?, Error::UnknownHeartbeat)
    } else if let Some((slug, heartbeat)) = name.split_once('/') {
        (find_heartbeat(tx, slug, heartbeat)?, Error::UnknownHeartbeat)
    } else {
        let sql = "SELECT 'probe:' || id, project_id FROM probes WHERE key = ?1";
        (tx.first(sql, [name], member)?, Error::UnknownProbe)
    };
    match found {
        Some((member, of)) if of == project => Ok(member),
        Some((_, of)) if visible.contains(of) => Err(Error::OtherProject(name.to_owned())),
        Some(_) | None => Err(unknown(name.to_owned())),
    }
}

type Found = Option<(String, ProjectId)>;

const PROBE_OF: &str = "SELECT 'probe:' || id, project_id FROM probes WHERE id = ?1";
const HEARTBEAT_OF: &str = "SELECT 'heartbeat:' || id, project_id FROM heartbeats WHERE id = ?1";

/// What is no number names nothing: SQL would take `7abc` for 7.
fn find_numbered(tx: &ReadTx<'_>, sql: &str, id: &str) -> Result<Found, store::Error> {
    let is_plain = id.bytes().all(|b| b.is_ascii_digit());
    match id.parse::<i64>() {
        Ok(id) if is_plain => tx.first(sql, [id], member),
        Ok(_) | Err(_) => Ok(None),
    }
}

fn find_heartbeat(tx: &ReadTx<'_>, slug: &str, heartbeat: &str) -> Result<Found, store::Error> {
    tx.first(
        "SELECT 'heartbeat:' || h.id, h.project_id FROM heartbeats h JOIN projects ON projects.id = h.project_id
         WHERE projects.slug = ?1 AND h.slug = ?2",
        params![slug, heartbeat],
        member,
    )
}

fn member(row: &Row<'_>) -> rusqlite::Result<(String, ProjectId)> {
    Ok((row.get(0)?, ProjectId(row.get(1)?)))
}
