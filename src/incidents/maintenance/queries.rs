//! What planned work there is, and what it covers now.

use rusqlite::Row;

use super::{Active, Covers, Draft, Maintenance, Occurrence};
use crate::base::owned::Owner;
use crate::base::{ProjectId, Timestamp, Uid};
use crate::incidents::rows;
use crate::store::{Error, ReadTx, WriteTx, params};

/// Maintenances that are read for one list: all that are not over, and the newest of the others.
const LISTED_MAX: i64 = 300;
const COLUMNS: &str =
    "SELECT m.id, m.uid, m.key, m.project_id, m.title, m.message, m.starts_at, m.ends_at, m.duration_s,
        m.schedule, m.time_zone, m.is_public, m.owner, m.created_by, m.created_at, m.next_at, m.ended_at,
        m.version, o.began_at, o.ends_at
    FROM maintenances m
    LEFT JOIN maintenance_occurrences o ON o.maintenance_id = m.id AND o.began_at <= ?1 AND o.ends_at > ?1";

/// All planned work, what is not over first, then the newest; at most 300.
pub fn list(tx: &ReadTx<'_>, now: Timestamp) -> Result<Vec<Maintenance>, Error> {
    let mut found = tx.all(
        &format!(
            "{COLUMNS} ORDER BY m.ended_at IS NULL DESC, m.ended_at DESC, m.next_at, m.id DESC LIMIT {LISTED_MAX}"
        ),
        [now.as_micros()],
        maintenance,
    )?;
    for one in &mut found {
        one.draft.subjects = subjects(tx, one.id)?;
    }
    Ok(found)
}

/// Planned work by its outside id.
pub fn find(tx: &ReadTx<'_>, now: Timestamp, uid: Uid) -> Result<Option<Maintenance>, Error> {
    let sql = format!("{COLUMNS} WHERE m.uid = ?2");
    fill(tx, tx.first(&sql, params![now.as_micros(), uid.as_bytes()], maintenance)?)
}

/// Planned work by its key, whosever it is.
pub fn find_by_key(tx: &ReadTx<'_>, now: Timestamp, key: &str) -> Result<Option<Maintenance>, Error> {
    let sql = format!("{COLUMNS} WHERE m.key = ?2");
    fill(tx, tx.first(&sql, params![now.as_micros(), key], maintenance)?)
}

pub(super) fn find_by_id(tx: &ReadTx<'_>, now: Timestamp, id: i64) -> Result<Option<Maintenance>, Error> {
    let sql = format!("{COLUMNS} WHERE m.id = ?2");
    fill(tx, tx.first(&sql, params![now.as_micros(), id], maintenance)?)
}

fn fill(tx: &ReadTx<'_>, found: Option<Maintenance>) -> Result<Option<Maintenance>, Error> {
    let Some(mut found) = found else { return Ok(None) };
    found.draft.subjects = subjects(tx, found.id)?;
    Ok(Some(found))
}

/// What takes place now, in every project.
pub fn active(tx: &ReadTx<'_>, now: Timestamp) -> Result<Vec<Active>, Error> {
    let mut found = tx.all(
        "SELECT m.id, m.uid, m.project_id, m.title, m.message, m.is_public, o.began_at, o.ends_at
         FROM maintenance_occurrences o JOIN maintenances m ON m.id = o.maintenance_id
         WHERE o.ends_at > ?1 AND o.began_at <= ?1 ORDER BY o.ends_at LIMIT ?2",
        params![now.as_micros(), LISTED_MAX],
        |row| {
            let active = Active {
                id: rows::uid(row, 1)?,
                project: row.get::<_, Option<i64>>(2)?.map(ProjectId),
                subjects: Vec::new(),
                title: row.get(3)?,
                message: row.get(4)?,
                is_public: row.get(5)?,
                since: rows::time(row, 6)?,
                until: rows::time(row, 7)?,
            };
            Ok((row.get::<_, i64>(0)?, active))
        },
    )?;
    for (id, active) in &mut found {
        active.subjects = subjects(tx, *id)?;
    }
    Ok(found.into_iter().map(|(_, active)| active).collect())
}

/// As [`active`], to be asked in memory.
pub fn covers(tx: &ReadTx<'_>, now: Timestamp) -> Result<Covers, Error> {
    active(tx, now).map(Covers::from)
}

/// Deletes what was over before `before`, at most `limit`; what a file says stays with its file.
pub fn purge(tx: &WriteTx<'_>, before: Timestamp, limit: u32) -> Result<usize, Error> {
    let occurrences = tx.execute(
        "DELETE FROM maintenance_occurrences WHERE (maintenance_id, began_at) IN (
             SELECT maintenance_id, began_at FROM maintenance_occurrences WHERE ends_at < ?1 LIMIT ?2)",
        params![before.as_micros(), limit],
    )?;
    let maintenances = tx.execute(
        "DELETE FROM maintenances WHERE id IN (
             SELECT id FROM maintenances WHERE ended_at < ?1 AND owner = 'page' ORDER BY ended_at LIMIT ?2)",
        params![before.as_micros(), limit],
    )?;
    Ok(occurrences + maintenances)
}

fn subjects(tx: &ReadTx<'_>, id: i64) -> Result<Vec<String>, Error> {
    tx.all("SELECT key FROM maintenance_subjects WHERE maintenance_id = ?1 ORDER BY key", [id], |row| {
        row.get(0)
    })
}

/// Reads a row of [`COLUMNS`]; its subjects are asked for apart.
fn maintenance(row: &Row<'_>) -> rusqlite::Result<Maintenance> {
    let began = rows::maybe_time(row, 18)?;
    let ends = rows::maybe_time(row, 19)?;
    Ok(Maintenance {
        id: row.get(0)?,
        uid: rows::uid(row, 1)?,
        draft: Draft {
            key: row.get(2)?,
            project: row.get::<_, Option<i64>>(3)?.map(ProjectId),
            subjects: Vec::new(),
            title: row.get(4)?,
            message: row.get(5)?,
            is_public: row.get(11)?,
            starts_at: rows::time(row, 6)?,
            ends_at: rows::maybe_time(row, 7)?,
            duration_s: row.get(8)?,
            schedule: row.get(9)?,
            time_zone: row.get(10)?,
            owner: rows::word(row, 12, Owner::parse)?,
        },
        created_by: row.get(13)?,
        created_at: rows::time(row, 14)?,
        current: began.zip(ends).map(|(begins_at, ends_at)| Occurrence { begins_at, ends_at }),
        next_at: rows::maybe_time(row, 15)?,
        ended_at: rows::maybe_time(row, 16)?,
        version: row.get(17)?,
    })
}
