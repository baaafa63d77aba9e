//! Questions that pages and the API ask about messages: the outbox and the proof of delivery.

use crate::base::{ProjectId, Timestamp, Uid};
use crate::store::{Error, ReadTx, Row, params};

use super::queries::{Page, PageOf, Scope, bounds, sees};
use super::rows::{self, IncidentId};
use super::views::{AttemptView, DeliveryProof, DeliveryView};

/// Every word of [`DeliveryView::state`].
const STATES: [&str; 7] = ["waiting", "pending", "sending", "delivered", "failed", "bundled", "cancelled"];
/// What [`read_delivery`] reads.
const SELECT: &str = "
    SELECT d.uid, d.id, d.project_id, i.uid, d.cause, d.purpose, d.severity, c.name, d.recipient, d.state, d.attempts,
           d.quantity, d.created_at, d.next_attempt_at, d.delivered_at, d.last_error, d.remote_id
    FROM deliveries d";
/// Stands after [`SELECT`] and the index that a statement may insist on.
const JOINS: &str =
    "LEFT JOIN incidents i ON i.id = d.incident_id LEFT JOIN channels c ON c.id = d.channel_id";
/// Messages on an incident's page.
const OF_INCIDENT_MAX: i64 = 200;
/// Beyond this a page says "and more": nobody reads the number, and counting costs.
pub const COUNTED_MAX: i64 = 10_000;

/// The outbox, newest first; `state` is one of the words of [`DeliveryView::state`].
pub fn list(
    tx: &ReadTx<'_>,
    scope: Scope<'_>,
    state: Option<&str>,
    page: PageOf,
) -> Result<Page<DeliveryView>, Error> {
    let (before, limit) = bounds(page);
    let mut items = match scope {
        Scope::All => list_all(tx, state, (before, limit))?,
        Scope::Projects(projects) => {
            let mut items = Vec::new();
            for project in projects {
                items.extend(list_of_project(tx, *project, state, (before, limit))?);
            }
            items.sort_unstable_by_key(|delivery: &DeliveryView| std::cmp::Reverse(delivery.row));
            items
        }
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|delivery| delivery.row);
    Ok(Page { items, next })
}

fn list_all(
    tx: &ReadTx<'_>,
    state: Option<&str>,
    (before, limit): (i64, u32),
) -> Result<Vec<DeliveryView>, Error> {
    match state {
        Some(state) => tx.all(
            &format!("{SELECT} {JOINS} WHERE d.state = ?1 AND d.id < ?2 ORDER BY d.id DESC LIMIT ?3"),
            params![state, before, limit + 1],
            read_delivery,
        ),
        None => tx.all(
            &format!("{SELECT} {JOINS} WHERE d.id < ?1 ORDER BY d.id DESC LIMIT ?2"),
            params![before, limit + 1],
            read_delivery,
        ),
    }
}

/// The newest of a project, from its own rows alone: a page of each state, of which the caller takes the newest.
fn list_of_project(
    tx: &ReadTx<'_>,
    project: ProjectId,
    state: Option<&str>,
    (before, limit): (i64, u32),
) -> Result<Vec<DeliveryView>, Error> {
    let states = state.map_or_else(|| STATES.to_vec(), |state| vec![state]);
    let sql = format!(
        "{SELECT} INDEXED BY deliveries_by_project {JOINS}
         WHERE d.project_id = ?1 AND d.state = ?2 AND d.id < ?3 ORDER BY d.id DESC LIMIT ?4"
    );
    let mut items = Vec::new();
    for state in states {
        items.extend(tx.all(&sql, params![project.0, state, before, limit + 1], read_delivery)?);
    }
    Ok(items)
}

/// How many messages in scope are in one of the states; counted up to [`COUNTED_MAX`].
pub fn count(tx: &ReadTx<'_>, scope: Scope<'_>, states: &[&str]) -> Result<i64, Error> {
    let states = serde_json::to_string(states).unwrap_or_default();
    match scope {
        Scope::All => tx.one(
            "SELECT count(*) FROM (
                 SELECT 1 FROM deliveries WHERE state IN (SELECT value FROM json_each(?1)) LIMIT ?2)",
            params![states, COUNTED_MAX],
            |row| row.get(0),
        ),
        Scope::Projects(projects) => tx.one(
            "SELECT count(*) FROM (
                 SELECT 1 FROM deliveries INDEXED BY deliveries_by_project
                 WHERE project_id IN (SELECT value FROM json_each(?2))
                   AND state IN (SELECT value FROM json_each(?1)) LIMIT ?3)",
            params![states, serde_json::to_string(projects).unwrap_or_default(), COUNTED_MAX],
            |row| row.get(0),
        ),
    }
}

/// A message by its outside id, with its proof.
pub fn find(tx: &ReadTx<'_>, scope: Scope<'_>, uid: Uid) -> Result<Option<DeliveryProof>, Error> {
    let found = tx.first(&format!("{SELECT} {JOINS} WHERE d.uid = ?1"), [uid.as_bytes()], read_delivery)?;
    match found.filter(|delivery| sees(scope, delivery.project_id)) {
        Some(delivery) => with_proof(tx, delivery).map(Some),
        None => Ok(None),
    }
}

/// When the oldest message was written that is not out; messages without a channel are not counted. For the page of the
/// outbox.
pub fn find_oldest_undelivered(tx: &ReadTx<'_>) -> Result<Option<Timestamp>, Error> {
    let oldest = |state: &str| {
        tx.first("SELECT created_at FROM deliveries WHERE state = ?1 ORDER BY id LIMIT 1", [state], |row| {
            rows::time(row, 0)
        })
    };
    Ok([oldest("pending")?, oldest("sending")?].into_iter().flatten().min())
}

/// The messages of an incident, the oldest first, with the proof of each; where there are very many, the newest.
pub(super) fn list_of_incident(tx: &ReadTx<'_>, incident: IncidentId) -> Result<Vec<DeliveryProof>, Error> {
    let mut messages = tx.all(
        &format!("{SELECT} {JOINS} WHERE d.incident_id = ?1 ORDER BY d.id DESC LIMIT ?2"),
        params![incident.0, OF_INCIDENT_MAX],
        read_delivery,
    )?;
    messages.reverse();
    messages.into_iter().map(|delivery| with_proof(tx, delivery)).collect()
}

fn with_proof(tx: &ReadTx<'_>, delivery: DeliveryView) -> Result<DeliveryProof, Error> {
    let proof = find_attempts(tx, delivery.row)?;
    Ok(DeliveryProof { delivery, proof })
}

fn find_attempts(tx: &ReadTx<'_>, delivery: i64) -> Result<Vec<AttemptView>, Error> {
    tx.all(
        "SELECT number, at, duration_us, outcome, detail FROM delivery_attempts
         WHERE delivery_id = ?1 ORDER BY number LIMIT 100",
        [delivery],
        |row| {
            Ok(AttemptView {
                number: row.get(0)?,
                at: rows::time(row, 1)?,
                duration_us: row.get(2)?,
                outcome: row.get(3)?,
                detail: row.get(4)?,
            })
        },
    )
}

fn read_delivery(row: &Row<'_>) -> rusqlite::Result<DeliveryView> {
    Ok(DeliveryView {
        id: rows::uid(row, 0)?,
        row: row.get(1)?,
        project_id: row.get::<_, Option<i64>>(2)?.map(ProjectId),
        project: None,
        incident_id: row.get::<_, Option<[u8; 16]>>(3)?.map(Uid::from_bytes),
        cause: row.get(4)?,
        purpose: row.get(5)?,
        severity: rows::severity(row, 6)?,
        channel: row.get(7)?,
        recipient: row.get(8)?,
        state: row.get(9)?,
        attempts: row.get(10)?,
        quantity: row.get(11)?,
        created_at: rows::time(row, 12)?,
        next_attempt_at: rows::maybe_time(row, 13)?,
        delivered_at: rows::maybe_time(row, 14)?,
        last_error: row.get(15)?,
        remote_id: row.get(16)?,
    })
}
