//! Which error a delivery died of, and which deliveries died of an error: by the trace that the app's error carries, else
//! by what happened at the time.

use std::time::Duration;

use serde::Serialize;

use crate::accounts::Visible;
use crate::base::{EventId, ProjectId, Timestamp, Uid};
use crate::issues::deliveries;
use crate::store::columns::{time, uid, word};
use crate::store::{Error, ReadTx, params};
use crate::webhooks::replays::What;
use crate::webhooks::{DeliveryId, DeliveryStatus, DestinationId};

/// Deliveries that failed with an issue and have not arrived since.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FailedWith {
    /// Dead, and nobody dealt with them.
    pub dead: u32,
    /// To be tried again.
    pub failing: u32,
    /// The newest of both, [`LISTED_MAX`] at most.
    pub deliveries: Vec<Failed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failed {
    pub id: DeliveryId,
    pub uid: Uid,
    pub request: i64,
    pub destination: DestinationId,
    pub status: DeliveryStatus,
    pub error: Option<String>,
    /// When the error was reported.
    pub at: Timestamp,
}

/// An issue that a delivery may have failed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    pub issue: i64,
    pub issue_uid: Uid,
    pub title: String,
    /// The event that named the delivery; `None` where none did.
    pub event: Option<EventId>,
    pub certainty: Certainty,
}

/// How it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// The error carried the delivery's own trace.
    Traced,
    /// It was reported by the same project while an attempt was under way, or just after.
    Perhaps,
}

/// Listed of an issue.
pub const LISTED_MAX: usize = 100;
/// An app reports an error this much later, at most, for it to be of an attempt.
pub const REPORTED_WITHIN: Duration = Duration::from_secs(5);
/// Attempts whose time is looked at, the newest; and events of that time, whosever they are.
const ATTEMPTS_MAX: u32 = 20;
const EVENTS_MAX: u32 = 1_000;
const PERHAPS_MAX: usize = 5;

/// The deliveries that failed with an issue of `project`.
///
/// # Errors
/// Where they cannot be read.
pub fn failed_with(tx: &ReadTx<'_>, project: ProjectId, issue: i64) -> Result<FailedWith, Error> {
    let mut found = FailedWith::default();
    for failed in failed(tx, project, issue)? {
        match failed.status {
            DeliveryStatus::DeadLetter => found.dead += 1,
            DeliveryStatus::Pending
            | DeliveryStatus::Processing
            | DeliveryStatus::Completed
            | DeliveryStatus::Failed => found.failing += 1,
        }
        if found.deliveries.len() < LISTED_MAX {
            found.deliveries.push(failed);
        }
    }
    Ok(found)
}

/// What a replay of all dead ones that failed with an issue is of.
///
/// # Errors
/// Where they cannot be read.
pub fn what_died_with(tx: &ReadTx<'_>, project: ProjectId, issue: i64) -> Result<What, Error> {
    let dead = failed(tx, project, issue)?.into_iter();
    let dead = dead.filter(|failed| failed.status == DeliveryStatus::DeadLetter).map(|failed| failed.id);
    Ok(What { ids: Some(dead.collect()), issue: Some(issue), ..What::default() })
}

/// The newest first. Another project's are none of this one's business, whatever its app sends.
fn failed(tx: &ReadTx<'_>, project: ProjectId, issue: i64) -> Result<Vec<Failed>, Error> {
    tx.all(
        "SELECT d.id, d.uid, d.request_id, d.destination_id, d.status, d.error, issue_deliveries.at
         FROM issue_deliveries CROSS JOIN webhook_deliveries AS d ON d.id = issue_deliveries.delivery_id
         WHERE issue_deliveries.issue_id = ?1 AND d.project_id = ?2 AND d.settled_at IS NULL
             AND (d.status = 'dead_letter' OR d.status = 'failed')
         ORDER BY issue_deliveries.number DESC LIMIT ?3",
        params![issue, project.0, deliveries::KEPT],
        |row| {
            Ok(Failed {
                id: DeliveryId(row.get(0)?),
                uid: uid(row, 1)?,
                request: row.get(2)?,
                destination: DestinationId(row.get(3)?),
                status: word(row, 4, DeliveryStatus::parse)?,
                error: row.get(5)?,
                at: time(row, 6)?,
            })
        },
    )
}

/// The issues that a delivery failed with; where none named it, those that were seen at the time of an attempt. Nothing
/// where the caller may not see its project.
///
/// # Errors
/// Where they cannot be read.
pub fn causes(tx: &ReadTx<'_>, visible: &Visible, delivery: DeliveryId) -> Result<Vec<Cause>, Error> {
    let sql = "SELECT project_id FROM webhook_deliveries WHERE id = ?1";
    let project = tx.first(sql, [delivery.0], |row| row.get(0).map(ProjectId))?;
    let Some(project) = project.filter(|project| visible.contains(*project)) else { return Ok(Vec::new()) };
    let mut causes = Vec::new();
    for came_of in deliveries::of_delivery(tx, delivery.0)? {
        causes.extend(cause(tx, project, came_of.issue, Some(came_of.event))?);
    }
    if causes.is_empty() {
        for issue in seen_meanwhile(tx, project, delivery)? {
            causes.extend(cause(tx, project, issue, None)?);
        }
    }
    Ok(causes)
}

/// Issues of the project of which an event came while an attempt that failed was under way, or just after.
fn seen_meanwhile(tx: &ReadTx<'_>, project: ProjectId, delivery: DeliveryId) -> Result<Vec<i64>, Error> {
    let attempts = tx.all(
        "SELECT started_at, coalesce(duration_us, 0) FROM webhook_attempts INDEXED BY webhook_attempts_by_delivery
         WHERE delivery_id = ?1 AND error IS NOT NULL ORDER BY number DESC LIMIT ?2",
        params![delivery.0, ATTEMPTS_MAX],
        |row| Ok((time(row, 0)?, row.get::<_, i64>(1)?)),
    )?;
    let mut seen: Vec<i64> = Vec::new();
    for (from, micros) in attempts {
        let until = from + Duration::from_micros(u64::try_from(micros).unwrap_or(0)) + REPORTED_WITHIN;
        let issues = tx.all(
            "SELECT issue_id, project_id FROM events INDEXED BY events_by_time
             WHERE received_at >= ?1 AND received_at <= ?2 ORDER BY received_at LIMIT ?3",
            params![from.as_micros(), until.as_micros(), EVENTS_MAX],
            |row| Ok((row.get::<_, i64>(0)?, ProjectId(row.get(1)?))),
        )?;
        for (issue, _) in issues.into_iter().filter(|(_, of)| *of == project) {
            if !seen.contains(&issue) {
                seen.push(issue);
            }
        }
        if seen.len() >= PERHAPS_MAX {
            break;
        }
    }
    seen.truncate(PERHAPS_MAX);
    Ok(seen)
}

fn cause(
    tx: &ReadTx<'_>,
    project: ProjectId,
    issue: i64,
    event: Option<EventId>,
) -> Result<Option<Cause>, Error> {
    let certainty = if event.is_some() { Certainty::Traced } else { Certainty::Perhaps };
    tx.first(
        "SELECT uid, title FROM issues WHERE id = ?1 AND project_id = ?2",
        params![issue, project.0],
        |row| Ok(Cause { issue, issue_uid: uid(row, 0)?, title: row.get(1)?, event, certainty }),
    )
}
