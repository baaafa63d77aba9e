//! The audit log: every change, with who made it, when and from where.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::Value;

use super::{Actor, Error, columns};
use crate::base::text::clip;
use crate::base::{ProjectId, Timestamp};
use crate::store::{ReadTx, Row, WriteTx, params};

/// Who changes something, when, and from which address. Goes with every change.
#[derive(Clone, Debug)]
pub struct By {
    pub actor: Actor,
    pub now: Timestamp,
    pub address: Option<IpAddr>,
}

impl By {
    /// The program itself.
    pub fn tocsin(now: Timestamp) -> Self {
        Self { actor: Actor::Tocsin, now, address: None }
    }

    pub fn command_line(now: Timestamp) -> Self {
        Self { actor: Actor::CommandLine, now, address: None }
    }
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// Dotted, such as `project.create`.
    pub action: &'static str,
    /// What it was done to, in words that people know: an email address, a slug, a token's name.
    pub subject: &'a str,
    pub project: Option<ProjectId>,
    /// An object without secrets; `Value::Null` for nothing more.
    pub detail: Value,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    pub id: i64,
    pub at: Timestamp,
    pub actor: String,
    pub action: String,
    pub subject: String,
    pub project_id: Option<ProjectId>,
    pub detail: Value,
    pub address: Option<String>,
}

/// Which lines are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// What this actor did.
    pub actor: Option<String>,
    /// The part of the action before its dot: `user`, `project`.
    pub area: Option<String>,
}

/// Choices of a filter; more are no choice but a search.
const CHOICES_MAX: u32 = 200;
/// A subject is a name; longer ones are cut.
const SUBJECT_CHARS_MAX: usize = 300;

/// Appends one line, in the transaction of the change itself.
pub fn append(tx: &WriteTx<'_>, by: &By, change: &Change<'_>) -> Result<(), Error> {
    let detail = if change.detail.is_null() { "{}".to_owned() } else { change.detail.to_string() };
    tx.insert(
        "INSERT INTO audit_log (at, actor, action, subject, project_id, detail, address)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            by.now.as_micros(),
            by.actor.to_string(),
            change.action,
            clip(change.subject, SUBJECT_CHARS_MAX),
            change.project.map(|project| project.0),
            detail,
            by.address.map(|address| address.to_string()),
        ],
    )?;
    Ok(())
}

/// The newest lines first, those before line `before` if given.
pub fn list(tx: &ReadTx<'_>, filter: &Filter, before: Option<i64>, limit: u32) -> Result<Vec<Line>, Error> {
    let before = before.unwrap_or(i64::MAX);
    // Each has an index that ends in the id: whatever is asked, only the lines of one page are read.
    Ok(match (&filter.actor, &filter.area) {
        (None, None) => tx.all(
            "SELECT id, at, actor, action, subject, project_id, detail, address FROM audit_log
             WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
            params![before, limit],
            line,
        )?,
        (Some(actor), None) => tx.all(
            "SELECT id, at, actor, action, subject, project_id, detail, address
             FROM audit_log INDEXED BY audit_log_by_actor
             WHERE id < ?1 AND actor = ?3 ORDER BY id DESC LIMIT ?2",
            params![before, limit, actor],
            line,
        )?,
        (None, Some(area)) => tx.all(
            "SELECT id, at, actor, action, subject, project_id, detail, address
             FROM audit_log INDEXED BY audit_log_by_area
             WHERE id < ?1 AND substr(action, 1, instr(action, '.') - 1) = ?3 ORDER BY id DESC LIMIT ?2",
            params![before, limit, area],
            line,
        )?,
        (Some(actor), Some(area)) => tx.all(
            "SELECT id, at, actor, action, subject, project_id, detail, address
             FROM audit_log INDEXED BY audit_log_by_both
             WHERE id < ?1 AND actor = ?3 AND substr(action, 1, instr(action, '.') - 1) = ?4
             ORDER BY id DESC LIMIT ?2",
            params![before, limit, actor, area],
            line,
        )?,
    })
}

/// Everybody who stands in the log, by name. Steps from one to the next in the index.
pub fn actors(tx: &ReadTx<'_>) -> Result<Vec<String>, Error> {
    Ok(tx.all(
        "WITH RECURSIVE found (actor) AS (
             SELECT min(actor) FROM audit_log
             UNION ALL
             SELECT (SELECT min(actor) FROM audit_log WHERE actor > found.actor) FROM found
             WHERE found.actor IS NOT NULL LIMIT ?1)
         SELECT actor FROM found WHERE actor IS NOT NULL",
        [CHOICES_MAX],
        |row| row.get(0),
    )?)
}

/// Every area in which something was done, by name.
pub fn areas(tx: &ReadTx<'_>) -> Result<Vec<String>, Error> {
    Ok(tx.all(
        "WITH RECURSIVE found (area) AS (
             SELECT min(substr(action, 1, instr(action, '.') - 1)) FROM audit_log
             UNION ALL
             SELECT (SELECT min(substr(action, 1, instr(action, '.') - 1)) FROM audit_log
                     WHERE substr(action, 1, instr(action, '.') - 1) > found.area) FROM found
             WHERE found.area IS NOT NULL LIMIT ?1)
         SELECT area FROM found WHERE area IS NOT NULL",
        [CHOICES_MAX],
        |row| row.get(0),
    )?)
}

/// Deletes at most `limit` lines older than `before`; returns how many went.
pub fn purge(tx: &WriteTx<'_>, before: Timestamp, limit: u32) -> Result<usize, Error> {
    Ok(tx.execute(
        "DELETE FROM audit_log WHERE id IN (SELECT id FROM audit_log WHERE at < ?1 ORDER BY at LIMIT ?2)",
        params![before.as_micros(), limit],
    )?)
}

fn line(row: &Row<'_>) -> rusqlite::Result<Line> {
    Ok(Line {
        id: row.get(0)?,
        at: columns::time(row, 1)?,
        actor: row.get(2)?,
        action: row.get(3)?,
        subject: row.get(4)?,
        project_id: row.get::<_, Option<i64>>(5)?.map(ProjectId),
        detail: serde_json::from_str(row.get_ref(6)?.as_str()?).unwrap_or_default(),
        address: row.get(7)?,
    })
}
