//! Ping keys: one per project, for addresses that name a heartbeat by its slug.

use serde_json::json;

use super::HEARTBEATS;
use crate::accounts::{self, By, audit};
use crate::base::{Entropy, ProjectId};
use crate::store::{Error, ReadTx, WriteTx, params};

/// As long as those of healthchecks.io: 132 random bits.
pub const KEY_CHARS: usize = 22;

/// The key of a project, where it has one.
pub fn find(tx: &ReadTx<'_>, project: ProjectId) -> Result<Option<String>, Error> {
    tx.first("SELECT key FROM ping_keys WHERE project_id = ?1", [project.0], |row| row.get(0))
}

/// The project of a key; none where it is archived.
pub fn find_project(tx: &ReadTx<'_>, key: &str) -> Result<Option<ProjectId>, Error> {
    tx.first(
        "SELECT ping_keys.project_id FROM ping_keys JOIN projects ON projects.id = ping_keys.project_id
         WHERE ping_keys.key = ?1 AND projects.archived_at IS NULL",
        [key],
        |row| row.get(0).map(ProjectId),
    )
}

/// The key of a project, made where it has none yet.
pub fn ensure(
    tx: &WriteTx<'_>,
    by: &By,
    entropy: &Entropy,
    project: ProjectId,
) -> Result<String, accounts::Error> {
    match find(tx, project)? {
        Some(key) => Ok(key),
        None => set(tx, by, entropy, project, "ping_key.create"),
    }
}

/// A new key; the one before it stops to work at once.
pub fn renew(
    tx: &WriteTx<'_>,
    by: &By,
    entropy: &Entropy,
    project: ProjectId,
) -> Result<String, accounts::Error> {
    set(tx, by, entropy, project, "ping_key.renew")
}

fn set(
    tx: &WriteTx<'_>,
    by: &By,
    entropy: &Entropy,
    project: ProjectId,
    action: &'static str,
) -> Result<String, accounts::Error> {
    let known = accounts::projects::find(tx, project)?.ok_or(accounts::Error::UnknownProject)?;
    let key: String = entropy.token().chars().take(KEY_CHARS).collect();
    tx.execute(
        "INSERT INTO ping_keys (project_id, key, created_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (project_id) DO UPDATE SET key = excluded.key, created_at = excluded.created_at",
        params![project.0, key, by.now.as_micros()],
    )?;
    tx.touch(HEARTBEATS);
    let change =
        audit::Change { action, subject: known.slug.as_str(), project: Some(project), detail: json!(null) };
    audit::append(tx, by, &change)?;
    Ok(key)
}
