//! Questions that pages and the API ask about messages: the outbox and the proof of delivery.

use std::collections::HashMap;

use crate::base::{ProjectId, Timestamp, Uid};
use crate::store::{Error, ReadTx, Row, params};

use super::queries::{Page, PageOf, Scope, bounds, sees};
use super::rows::{self, DeliveryState, IncidentId};
use super::views::{AttemptView, DeliveryProof, DeliveryView};

/// What [`read_delivery`] reads.
const SELECT: &str = "
    SELECT d.uid, d.id, d.project_id, i.uid, d.cause, d.purpose, d.severity, c.name, d.recipient, d.state, d.attempts,
           d.quantity, d.created_at, d.next_attempt_at, d.delivered_at, d.last_error, d.remote_id";
/// Stands after the deliveries of [`SELECT`].
const JOINS: &str =
    "LEFT JOIN incidents i ON i.id = d.incident_id LEFT JOIN channels c ON c.id = d.channel_id";
/// Messages on an incident's page.
const OF_INCIDENT_MAX: i64 = 200;
/// Beyond this a page says "and more": nobody reads the number, and counting costs.
pub const COUNTED_MAX: i64 = 10_000;

/// The messages in one of `states`, or with none all of them; the newest first.
pub fn list(
    tx: &ReadTx<'_>,
    scope: Scope<'_>,
    states: &[DeliveryState],
    page: PageOf,
) -> Result<Page<DeliveryView>, Error> {
    let (before, limit) = bounds(page);
    let of = |state| match scope {
        Scope::All => list_all(tx, state, (before, limit)),
        Scope::Projects(projects) => list_of_projects(tx, projects, state, (before, limit)),
    };
    let mut items = if states.is_empty() { of(None)? } else { Vec::new() };
    // A page from the index of each state, and of these the newest.
    for state in states {
        items.extend(of(Some(*state))?);
    }
    items.sort_by_key(|delivery| std::cmp::Reverse(delivery.row));
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|delivery| delivery.row);
    Ok(Page { items, next })
}

fn list_all(
    tx: &ReadTx<'_>,
    state: Option<DeliveryState>,
    (before, limit): (i64, u32),
) -> Result<Vec<DeliveryView>, Error> {
    match state {
        Some(state) => tx.all(
            &format!("{SELECT} FROM deliveries d {JOINS} WHERE d.state = ?1 AND d.id < ?2 ORDER BY d.id DESC LIMIT ?3"),
            params![state.as_str(), before, limit + 1],
            read_delivery,
        ),
        None => tx.all(
            &format!("{SELECT} FROM deliveries d {JOINS} WHERE d.id < ?1 ORDER BY d.id DESC LIMIT ?2"),
            params![before, limit + 1],
            read_delivery,
        ),
    }
}

/// The newest of some projects: a page from the index of each, and of these the newest.
fn list_of_projects(
    tx: &ReadTx<'_>,
    projects: &[ProjectId],
    state: Option<DeliveryState>,
    (before, limit): (i64, u32),
) -> Result<Vec<DeliveryView>, Error> {
    let projects = serde_json::to_string(projects).unwrap_or_default();
    match state {
        Some(state) => tx.all(
            &format!(
                "{SELECT} FROM json_each(?1) p CROSS JOIN deliveries d ON d.id IN (
                     SELECT own.id FROM deliveries own INDEXED BY deliveries_by_project
                     WHERE own.project_id = p.value AND own.state = ?2 AND own.id < ?3
                     ORDER BY own.id DESC LIMIT ?4)
                 {JOINS} ORDER BY d.id DESC LIMIT ?4"
            ),
            params![projects, state.as_str(), before, limit + 1],
            read_delivery,
        ),
        None => tx.all(
            &format!(
                "{SELECT} FROM json_each(?1) p CROSS JOIN deliveries d ON d.id IN (
                     SELECT own.id FROM deliveries own INDEXED BY deliveries_of_project
                     WHERE own.project_id = p.value AND own.id < ?2
                     ORDER BY own.id DESC LIMIT ?3)
                 {JOINS} ORDER BY d.id DESC LIMIT ?3"
            ),
            params![projects, before, limit + 1],
            read_delivery,
        ),
    }
}

/// How many messages in scope are in one of the states; counted up to [`COUNTED_MAX`].
pub fn count(tx: &ReadTx<'_>, scope: Scope<'_>, states: &[DeliveryState]) -> Result<i64, Error> {
    let states: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
    let states = serde_json::to_string(&states).unwrap_or_default();
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
    let found = tx.first(
        &format!("{SELECT} FROM deliveries d {JOINS} WHERE d.uid = ?1"),
        [uid.as_bytes()],
        read_delivery,
    )?;
    match found.filter(|delivery| sees(scope, delivery.project_id)) {
        Some(delivery) => Ok(with_proofs(tx, vec![delivery])?.pop()),
        None => Ok(None),
    }
}

/// When the oldest message was written that is not out; messages without a channel are not counted. For the page of the
/// outbox.
pub fn find_oldest_undelivered(tx: &ReadTx<'_>) -> Result<Option<Timestamp>, Error> {
    let mut found = Vec::new();
    for state in DeliveryState::UNDER_WAY {
        found.extend(tx.first(
            "SELECT created_at FROM deliveries WHERE state = ?1 ORDER BY id LIMIT 1",
            [state.as_str()],
            |row| rows::time(row, 0),
        )?);
    }
    Ok(found.into_iter().min())
}

/// The messages of an incident, the oldest first, with the proof of each; where there are very many, the newest.
pub(super) fn list_of_incident(tx: &ReadTx<'_>, incident: IncidentId) -> Result<Vec<DeliveryProof>, Error> {
    let mut messages = tx.all(
        &format!("{SELECT} FROM deliveries d {JOINS} WHERE d.incident_id = ?1 ORDER BY d.id DESC LIMIT ?2"),
        params![incident.0, OF_INCIDENT_MAX],
        read_delivery,
    )?;
    messages.reverse();
    with_proofs(tx, messages)
}

/// Puts the attempts of each message to it, found with one question. So many are kept of a message, and no more.
fn with_proofs(tx: &ReadTx<'_>, messages: Vec<DeliveryView>) -> Result<Vec<DeliveryProof>, Error> {
    let ids: Vec<i64> = messages.iter().map(|delivery| delivery.row).collect();
    let mut attempts: HashMap<i64, Vec<AttemptView>> = HashMap::new();
    let found = tx.all(
        "SELECT delivery_id, number, at, duration_us, outcome, detail FROM delivery_attempts
         WHERE delivery_id IN (SELECT value FROM json_each(?1)) ORDER BY delivery_id, number",
        [serde_json::to_string(&ids).unwrap_or_default()],
        read_attempt,
    )?;
    for (delivery, attempt) in found {
        attempts.entry(delivery).or_default().push(attempt);
    }
    let proof_of = |delivery: DeliveryView| {
        let proof = attempts.remove(&delivery.row).unwrap_or_default();
        DeliveryProof { delivery, proof }
    };
    Ok(messages.into_iter().map(proof_of).collect())
}

fn read_attempt(row: &Row<'_>) -> rusqlite::Result<(i64, AttemptView)> {
    let attempt = AttemptView {
        number: row.get(1)?,
        at: rows::time(row, 2)?,
        duration_us: row.get(3)?,
        outcome: row.get(4)?,
        detail: row.get(5)?,
    };
    Ok((row.get(0)?, attempt))
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
        state: rows::word(row, 9, DeliveryState::parse)?,
        attempts: row.get(10)?,
        quantity: row.get(11)?,
        created_at: rows::time(row, 12)?,
        next_attempt_at: rows::maybe_time(row, 13)?,
        delivered_at: rows::maybe_time(row, 14)?,
        last_error: row.get(15)?,
        remote_id: row.get(16)?,
    })
}
