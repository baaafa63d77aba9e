//! New issues of a project's first day: collected, then told in one message.

use std::time::Duration;

use serde_json::{Value, json};

use crate::base::{ProjectId, Severity, Timestamp};
use crate::store::{self, WriteTx, params};

use super::outbox::{Cause, NewDelivery, Purpose};
use super::{Incidents, Signal, routes, rows};

/// Named in the message; the others are counted.
const LISTED_MAX: i64 = 50;
/// How long what a silence covers waits before it is looked at again.
const HELD_BACK: Duration = Duration::from_hours(1);

impl Incidents {
    /// Notes a signal for the project's digest of `due_at` instead of raising it. It opens no incident.
    ///
    /// Signals of tocsin itself have no project and are not collected.
    pub fn add_to_digest(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        due_at: Timestamp,
        signal: &Signal,
    ) -> Result<(), store::Error> {
        let Some(project) = signal.project else { return Ok(()) };
        let signal = signal.bounded(now);
        tx.execute(
            "INSERT INTO digest_entries (project_id, at, due_at, severity, summary, key)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                project.0,
                now.as_micros(),
                due_at.as_micros(),
                signal.severity.as_str(),
                signal.summary,
                signal.key
            ],
        )?;
        Ok(())
    }

    /// Writes one message per project whose digest is due, to each of its channels, and forgets the entries.
    /// Answers for how many projects.
    pub(super) fn write_digests(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        limit: u32,
    ) -> Result<usize, store::Error> {
        let due = tx.all(
            // SQLite would walk all that waits, project by project; what is due is little or nothing.
            "SELECT DISTINCT project_id FROM digest_entries INDEXED BY digest_entries_by_due
             WHERE due_at <= ?1 LIMIT ?2",
            params![now.as_micros(), limit],
            |row| row.get(0).map(ProjectId),
        )?;
        for project in &due {
            hold_back_silenced(tx, now, *project)?;
            self.write_digest(tx, now, *project)?;
        }
        Ok(due.len())
    }

    /// Takes back what waits under `key` for the project's digest, because its subject was dealt with; answers whether
    /// anything did.
    pub fn withdraw_from_digest(
        &self,
        tx: &WriteTx<'_>,
        project: ProjectId,
        key: &str,
    ) -> Result<bool, store::Error> {
        let withdrawn = tx.execute(
            "DELETE FROM digest_entries WHERE project_id = ?1 AND key = ?2",
            params![project.0, key],
        )?;
        Ok(withdrawn > 0)
    }

    fn write_digest(&self, tx: &WriteTx<'_>, now: Timestamp, project: ProjectId) -> Result<(), store::Error> {
        let entries = tx.all(
            "SELECT severity, summary, key FROM digest_entries WHERE project_id = ?1 AND due_at <= ?2
             ORDER BY id LIMIT ?3",
            params![project.0, now.as_micros(), LISTED_MAX],
            |row| {
                let severity = rows::severity(row, 0)?;
                let item = json!({
                    "severity": severity.as_str(),
                    "summary": row.get::<_, String>(1)?,
                    "key": row.get::<_, String>(2)?,
                });
                Ok((severity, item))
            },
        )?;
        let quantity = tx.one(
            "SELECT count(*) FROM digest_entries WHERE project_id = ?1 AND due_at <= ?2",
            params![project.0, now.as_micros()],
            |row| row.get(0),
        )?;
        if quantity == 0 {
            return Ok(());
        }
        let severity = entries.iter().map(|(severity, _)| *severity).max().unwrap_or(Severity::High);
        // The number that its first copy will have: copies of one digest are told from those of others by it.
        let digest: i64 = tx.one("SELECT ifnull(max(id), 0) + 1 FROM deliveries", [], |row| row.get(0))?;
        let items: Vec<Value> = entries.into_iter().map(|(_, item)| item).collect();
        let mut message = NewDelivery {
            project: Some(project),
            incident: None,
            cause: Cause::Report,
            purpose: Purpose::Digest,
            severity,
            channel: None,
            recipient: None,
            content: json!({"digest": digest, "items": items}),
            quantity,
        };
        let channels = routes::ready_channels(tx, Some(project))?;
        if channels.is_empty() {
            self.enqueue(tx, now, &message)?;
        }
        for channel in channels {
            message.channel = Some(channel);
            self.enqueue(tx, now, &message)?;
        }
        tx.execute(
            "DELETE FROM digest_entries WHERE project_id = ?1 AND due_at <= ?2",
            params![project.0, now.as_micros()],
        )?;
        Ok(())
    }
}

/// Puts off what a silence covers: it is told in a later digest, unless its subject is dealt with by then.
fn hold_back_silenced(tx: &WriteTx<'_>, now: Timestamp, project: ProjectId) -> Result<(), store::Error> {
    tx.execute(
        "UPDATE digest_entries SET due_at = ?3
         WHERE project_id = ?1 AND due_at <= ?2 AND EXISTS (
             SELECT 1 FROM silences s
             WHERE s.ended_at IS NULL AND s.ends_at > ?2 AND s.starts_at <= ?2 AND s.incident_id IS NULL
               AND (s.project_id IS NULL OR s.project_id = ?1)
               AND (s.key IS NULL OR s.key = digest_entries.key
                    OR (substr(s.key, -1) = '*'
                        AND substr(digest_entries.key, 1, length(s.key) - 1) = substr(s.key, 1, length(s.key) - 1))))",
        params![project.0, now.as_micros(), (now + HELD_BACK).as_micros()],
    )?;
    Ok(())
}
