//! The dictionaries of the issues that are busy now: made by the writer, used by whoever compresses.

use std::sync::Arc;

use moka::policy::EvictionPolicy;

use super::payload::Dictionary;
use crate::base::{ProjectId, Timestamp};
use crate::store::{Error, ReadTx, WriteTx, params};

/// Issues that are busy at one time; each dictionary takes about 200 kB in memory. Nothing is lost beyond: their
/// payloads are compressed alone.
const REMEMBERED_MAX: u64 = 64;
/// Dictionaries that a step of their age takes; each has up to 32 KiB of pages.
const STEP_ROWS: u32 = 20;
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

/// Stores a new dictionary, made of an event that arrived at `received_at`.
pub(super) fn insert(
    tx: &WriteTx<'_>,
    project: ProjectId,
    issue: i64,
    received_at: Timestamp,
    content: &[u8],
) -> Result<Dictionary, Error> {
    let id = tx.insert(
        "INSERT INTO payload_dictionaries (project_id, issue_id, received_at, content) VALUES (?1, ?2, ?3, ?4)",
        params![project.0, issue, received_at.as_micros(), content],
    )?;
    Ok(Dictionary::new(id, content.to_vec()))
}

/// The dictionary of an issue, where it has one in use.
pub(super) fn load(tx: &ReadTx<'_>, issue: i64) -> Result<Option<Dictionary>, Error> {
    tx.first(
        "SELECT id, content FROM payload_dictionaries WHERE issue_id = ?1 AND retired_at IS NULL
         ORDER BY id DESC LIMIT 1",
        [issue],
        |row| Ok(Dictionary::new(row.get(0)?, row.get(1)?)),
    )
}

/// Whether a dictionary may still be compressed against: it goes with its issue, or for its age.
pub(super) fn is_in_use(tx: &ReadTx<'_>, id: i64) -> Result<bool, Error> {
    tx.one(
        "SELECT EXISTS (SELECT 1 FROM payload_dictionaries WHERE id = ?1 AND retired_at IS NULL)",
        [id],
        |row| row.get(0),
    )
}

/// Takes one step of dictionaries out of use that hold an event from before `before`. A busy issue learns anew.
pub fn retire(tx: &WriteTx<'_>, now: Timestamp, before: Timestamp) -> Result<usize, Error> {
    tx.execute(
        "UPDATE payload_dictionaries SET retired_at = ?1 WHERE id IN (
             SELECT id FROM payload_dictionaries WHERE retired_at IS NULL AND received_at < ?2 LIMIT ?3)",
        params![now.as_micros(), before.as_micros(), STEP_ROWS],
    )
}

/// Finds one step of dictionaries that were retired before `before` and that no payload needs any more. Payloads
/// that old are gone; each is looked for all the same, because without its dictionary it could not be read.
pub fn find_unused(tx: &ReadTx<'_>, before: Timestamp) -> Result<Vec<i64>, Error> {
    tx.all(
        "SELECT id FROM payload_dictionaries AS old
         WHERE retired_at < ?1 AND NOT EXISTS (
             SELECT 1 FROM events
             WHERE project_id = old.project_id AND issue_id = old.issue_id AND dictionary_id = old.id)
         LIMIT ?2",
        params![before.as_micros(), STEP_ROWS],
        |row| row.get(0),
    )
}

/// Removes what [`find_unused`] found. Nothing is compressed against a retired one, so none came into use since.
pub fn forget_unused(tx: &WriteTx<'_>, ids: &[i64]) -> Result<usize, Error> {
    tx.execute(
        "DELETE FROM payload_dictionaries WHERE id IN (SELECT value FROM json_each(?1))",
        [serde_json::to_string(ids).unwrap_or_default()],
    )
}
