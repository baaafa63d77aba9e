//! Dead letters that nobody has dealt with: how many there are, where, and of what they died.

use std::collections::HashMap;

use crate::accounts::Visible;
use crate::base::{ProjectId, Timestamp};
use crate::store::{Error, ReadTx, params};
use crate::webhooks::rows::maybe_time;
use crate::webhooks::{DESTINATIONS_MAX, DeliveryId, DestinationId};

/// What died at one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadThere {
    pub destination: DestinationId,
    /// Of the newest thousand.
    pub count: u32,
    /// There are more, which were not looked at.
    pub is_more: bool,
    /// Those of most recent deaths first.
    pub causes: Vec<DeadOf>,
}

/// What died of the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadOf {
    /// Of the last answer; `None`: none came.
    pub status: Option<u16>,
    pub error: String,
    pub count: u32,
    /// Of the last attempts of these: the earliest and the latest.
    pub first_at: Option<Timestamp>,
    pub last_at: Option<Timestamp>,
    pub newest: DeliveryId,
}

/// Dead letters of one destination that are looked at; many more are one outage.
const LOOKED_AT_MAX: u32 = 1_000;
/// Of all destinations together: some thirty milliseconds.
const ALL_LOOKED_AT_MAX: u32 = 10_000;
/// What is counted at most.
pub const DEAD_COUNTED_MAX: u32 = 1_000;

/// How many there are, to [`DEAD_COUNTED_MAX`] and one more.
///
/// # Errors
/// Where it cannot be read.
pub fn count_dead(tx: &ReadTx<'_>, visible: &Visible) -> Result<u32, Error> {
    let most = DEAD_COUNTED_MAX + 1;
    match visible {
        Visible::All => tx.one(
            "SELECT count(*) FROM (
                 SELECT 1 FROM webhook_deliveries INDEXED BY webhook_deliveries_dead
                 WHERE status = 'dead_letter' AND settled_at IS NULL LIMIT ?1)",
            [most],
            |row| row.get(0),
        ),
        Visible::Only(projects) => tx.one(
            "SELECT count(*) FROM (
                 SELECT 1 FROM json_each(?2) AS mine
                 CROSS JOIN webhook_deliveries AS d INDEXED BY webhook_deliveries_dead
                         ON d.project_id = mine.value AND d.status = 'dead_letter' AND d.settled_at IS NULL
                 LIMIT ?1)",
            params![most, list(projects)],
            |row| row.get(0),
        ),
    }
}

/// What died where, of the destinations that the caller may see or of one of them.
///
/// # Errors
/// Where it cannot be read.
pub fn dead(
    tx: &ReadTx<'_>,
    visible: &Visible,
    wanted: Option<DestinationId>,
) -> Result<Vec<DeadThere>, Error> {
    let all = tx.all(
        "SELECT id, project_id FROM webhook_destinations ORDER BY id LIMIT ?1",
        [DESTINATIONS_MAX],
        |row| Ok((DestinationId(row.get(0)?), ProjectId(row.get(1)?))),
    )?;
    let (mut left, mut found) = (ALL_LOOKED_AT_MAX, Vec::new());
    for (destination, project) in all {
        if !visible.contains(project) || wanted.is_some_and(|wanted| wanted != destination) {
            continue;
        }
        let there = dead_there(tx, destination, left.min(LOOKED_AT_MAX))?;
        left = left.saturating_sub(there.count).max(1);
        if there.count > 0 {
            found.push(there);
        }
    }
    found.sort_by_key(|there| std::cmp::Reverse(there.causes.first().map(|cause| cause.newest)));
    Ok(found)
}

fn dead_there(tx: &ReadTx<'_>, destination: DestinationId, most: u32) -> Result<DeadThere, Error> {
    let rows = tx.all(
        "SELECT id, last_status, coalesce(error, ''), last_attempt_at
         FROM webhook_deliveries INDEXED BY webhook_deliveries_dead_there
         WHERE destination_id = ?1 AND status = 'dead_letter' AND settled_at IS NULL ORDER BY id DESC LIMIT ?2",
        params![destination.0, most + 1],
        |row| Ok((DeliveryId(row.get(0)?), row.get(1)?, row.get::<_, String>(2)?, maybe_time(row, 3)?)),
    )?;
    let is_more = rows.len() > most as usize;
    let mut causes: Vec<DeadOf> = Vec::new();
    let mut places: HashMap<(Option<u16>, String), usize> = HashMap::new();
    let mut count = 0;
    for (newest, status, error, at) in rows.into_iter().take(most as usize) {
        count += 1;
        let place = *places.entry((status, error.clone())).or_insert_with(|| {
            causes.push(DeadOf { status, error, count: 0, first_at: at, last_at: at, newest });
            causes.len() - 1
        });
        let Some(cause) = causes.get_mut(place) else { continue };
        cause.count += 1;
        cause.first_at = cause.first_at.min(at);
        cause.last_at = cause.last_at.max(at);
    }
    Ok(DeadThere { destination, count, is_more, causes })
}

/// What the app answered at last; `None` where it answered nothing, or nothing is kept of it.
///
/// # Errors
/// Where it cannot be read.
pub fn last_answer(tx: &ReadTx<'_>, delivery: DeliveryId) -> Result<Option<String>, Error> {
    let found = tx.first(
        "SELECT answer FROM webhook_attempts INDEXED BY webhook_attempts_by_delivery
         WHERE delivery_id = ?1 ORDER BY number DESC LIMIT 1",
        [delivery.0],
        |row| row.get::<_, Option<String>>(0),
    )?;
    Ok(found.flatten())
}

fn list(projects: &[ProjectId]) -> String {
    let numbers: Vec<i64> = projects.iter().map(|project| project.0).collect();
    serde_json::Value::from(numbers).to_string()
}
