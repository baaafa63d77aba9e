//! Which heartbeat an address means, remembered for a while: a ping costs no question, a wrong address one.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::{HEARTBEATS, HEARTBEATS_MAX, HeartbeatId, Slug, keys};
use crate::base::{ProjectId, Timestamp, Uid};
use crate::store::{Error, ReadTx, Store, params};

/// How a ping names its heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// By its `ping_id`.
    Id(Uid),
    Slug {
        key: String,
        slug: Slug,
    },
}

/// What an address means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    Heartbeat(HeartbeatId),
    /// The ping key is good, and its project has no such heartbeat.
    Project(ProjectId),
    Nothing,
}

/// The addresses that were found. What is not there is asked anew each time: it may be made the next moment.
pub struct Addresses {
    changes: watch::Receiver<u64>,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    /// Of the definitions that the addresses were found in.
    version: u64,
    until: Timestamp,
    addresses: HashMap<Address, HeartbeatId>,
}

/// Both addresses of every heartbeat.
const ADDRESSES_MAX: usize = 2 * HEARTBEATS_MAX as usize;
/// A project may be archived without anybody here being told.
const KEPT: Duration = Duration::from_mins(1);

impl Addresses {
    pub fn new(store: &Store) -> Self {
        Self { changes: store.changes(HEARTBEATS), found: Mutex::default() }
    }

    /// The heartbeat that `address` is known to mean.
    pub fn recall(&self, now: Timestamp, address: &Address) -> Option<HeartbeatId> {
        let version = *self.changes.borrow();
        self.current(version, now).addresses.get(address).copied()
    }

    /// Asks the store what `address` means, by the connections that anybody may keep busy: those of intake and engine
    /// are not for strangers.
    pub async fn find(&self, store: &Store, now: Timestamp, address: Address) -> Result<Known, Error> {
        let version = *self.changes.borrow();
        let asked = address.clone();
        let known = store.read(move |tx| look_up(tx, &asked)).await?;
        if let Known::Heartbeat(id) = known {
            let mut found = self.current(version, now);
            if found.version == version && found.addresses.len() < ADDRESSES_MAX {
                found.addresses.insert(address, id);
            }
        }
        Ok(known)
    }

    /// What was found, emptied where it may no longer be true.
    fn current(&self, version: u64, now: Timestamp) -> MutexGuard<'_, Found> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = found.version < version || now >= found.until || found.until > now + KEPT;
        if is_old {
            *found = Found { version, until: now + KEPT, addresses: HashMap::new() };
        }
        found
    }
}

fn look_up(tx: &ReadTx<'_>, address: &Address) -> Result<Known, Error> {
    match address {
        Address::Id(id) => {
            let found = tx.first(
                "SELECT heartbeats.id FROM heartbeats JOIN projects ON projects.id = heartbeats.project_id
                 WHERE heartbeats.ping_id = ?1 AND projects.archived_at IS NULL",
                [id.as_bytes()],
                |row| row.get(0).map(HeartbeatId),
            )?;
            Ok(found.map_or(Known::Nothing, Known::Heartbeat))
        }
        Address::Slug { key, slug } => {
            let Some(project) = keys::find_project(tx, key)? else { return Ok(Known::Nothing) };
            let found = tx.first(
                "SELECT id FROM heartbeats WHERE project_id = ?1 AND slug = ?2",
                params![project.0, slug.as_str()],
                |row| row.get(0).map(HeartbeatId),
            )?;
            Ok(found.map_or(Known::Project(project), Known::Heartbeat))
        }
    }
}
