//! The dictionaries of the issues that are busy now: made by the writer, used by whoever compresses.

use std::sync::Arc;

use moka::policy::EvictionPolicy;

use super::payload::Dictionary;
use crate::base::ProjectId;
use crate::store::{Error, ReadTx, WriteTx, params};

/// Issues that are busy at one time; each dictionary takes about 200 kB in memory. Nothing is lost beyond: their
/// payloads are compressed alone.
const REMEMBERED_MAX: u64 = 64;
/// The stored payload from which an issue's dictionary is made. Most issues stay below and need none.
pub(super) const LEARN_AT: i64 = 5;

type Key = (ProjectId, [u8; 16]);

/// Dictionaries by project and grouping key. Cheap to clone; clones share one memory.
#[derive(Clone)]
pub struct Dictionaries {
    by_key: moka::sync::Cache<Key, Arc<Dictionary>>,
}

impl Default for Dictionaries {
    fn default() -> Self {
        let policy = EvictionPolicy::lru();
        Self {
            by_key: moka::sync::Cache::builder().max_capacity(REMEMBERED_MAX).eviction_policy(policy).build(),
        }
    }
}

impl Dictionaries {
    /// The dictionary for an event of this group, where its issue is busy.
    pub fn find(&self, project: ProjectId, key: [u8; 16]) -> Option<Arc<Dictionary>> {
        self.by_key.get(&(project, key))
    }

    pub(super) fn remember(&self, project: ProjectId, key: [u8; 16], dictionary: Arc<Dictionary>) {
        self.by_key.insert((project, key), dictionary);
    }

    pub(super) fn forget(&self, project: ProjectId, key: [u8; 16]) {
        self.by_key.invalidate(&(project, key));
    }
}

/// Stores a new dictionary.
pub(super) fn insert(
    tx: &WriteTx<'_>,
    project: ProjectId,
    issue: i64,
    content: &[u8],
) -> Result<Dictionary, Error> {
    let id = tx.insert(
        "INSERT INTO payload_dictionaries (project_id, issue_id, content) VALUES (?1, ?2, ?3)",
        params![project.0, issue, content],
    )?;
    Ok(Dictionary::new(id, content.to_vec()))
}

/// The dictionary of an issue, where it has one.
pub(super) fn load(tx: &ReadTx<'_>, issue: i64) -> Result<Option<Dictionary>, Error> {
    tx.first(
        "SELECT id, content FROM payload_dictionaries WHERE issue_id = ?1 ORDER BY id DESC LIMIT 1",
        [issue],
        |row| Ok(Dictionary::new(row.get(0)?, row.get(1)?)),
    )
}

/// Whether a dictionary is still stored: it goes with its issue.
pub(super) fn exists(tx: &ReadTx<'_>, id: i64) -> Result<bool, Error> {
    tx.one("SELECT EXISTS (SELECT 1 FROM payload_dictionaries WHERE id = ?1)", [id], |row| row.get(0))
}
