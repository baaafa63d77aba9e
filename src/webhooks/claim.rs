//! What is due where, and the claim of it: from then on a delivery belongs to this process until it is recorded.

use super::delivery::Claimed;
use super::{DeliveryId, DestinationId};
use crate::base::{Timestamp, Uid};
use crate::store::columns::{time, uid};
use crate::store::{Error, ReadTx, WriteTx, params};

/// How many deliveries of a destination may begin now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    pub destination: DestinationId,
    /// At least 1.
    pub most: u32,
}

/// What one claim came to.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    pub claimed: Vec<Claimed>,
    /// When the next one of each destination that was asked for is due; `None`: nothing waits for a time there.
    pub due: Vec<(DestinationId, Option<Timestamp>)>,
}

/// Memory for what is under way.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    pub bytes: usize,
    /// Nothing is under way: one delivery goes, however large it is.
    pub is_empty: bool,
}

/// Destinations that may be sent to: nobody holds them, and their project is not put away.
const SENT_TO: &str = "webhook_destinations JOIN projects ON projects.id = webhook_destinations.project_id
     AND projects.archived_at IS NULL AND webhook_destinations.held_at IS NULL";

/// When the next delivery of each destination is due, of those where one is. A seek for each.
pub fn look(tx: &ReadTx<'_>) -> Result<Vec<(DestinationId, Timestamp)>, Error> {
    let found = tx.all(
        &format!(
            "SELECT webhook_destinations.id,
                 (SELECT due_at FROM webhook_deliveries INDEXED BY webhook_deliveries_due
                  WHERE destination_id = webhook_destinations.id AND due_at IS NOT NULL ORDER BY due_at LIMIT 1)
             FROM {SENT_TO} LIMIT {}",
            super::DESTINATIONS_MAX
        ),
        [],
        |row| Ok((DestinationId(row.get(0)?), row.get::<_, Option<i64>>(1)?)),
    )?;
    let due = |(id, at): (DestinationId, Option<i64>)| Some((id, Timestamp::from_micros(at?)));
    Ok(found.into_iter().filter_map(due).collect())
}

/// Claims what is due, of each destination the oldest first, as far as there is room.
pub fn claim(
    tx: &WriteTx<'_>,
    now: Timestamp,
    boot: Uid,
    wants: &[Want],
    mut space: Space,
) -> Result<Claim, Error> {
    let mut claim = Claim::default();
    for want in wants {
        if !is_sent_to(tx, want.destination)? {
            claim.due.push((want.destination, None));
            continue;
        }
        for delivery in due(tx, now, *want)? {
            if delivery.body_bytes > space.bytes && !space.is_empty {
                break;
            }
            space = Space { bytes: space.bytes.saturating_sub(delivery.body_bytes), is_empty: false };
            tx.execute(
                "UPDATE webhook_deliveries
                 SET status = 'processing', attempts = attempts + 1, last_attempt_at = ?2, due_at = NULL, lease = ?3
                 WHERE id = ?1",
                params![delivery.id.0, now.as_micros(), boot.as_bytes()],
            )?;
            claim.claimed.push(delivery);
        }
        claim.due.push((want.destination, next_due(tx, want.destination)?));
    }
    Ok(claim)
}

fn is_sent_to(tx: &ReadTx<'_>, destination: DestinationId) -> Result<bool, Error> {
    let sql = format!("SELECT 1 FROM {SENT_TO} WHERE webhook_destinations.id = ?1");
    Ok(tx.first(&sql, [destination.0], |_| Ok(()))?.is_some())
}

fn next_due(tx: &ReadTx<'_>, destination: DestinationId) -> Result<Option<Timestamp>, Error> {
    tx.first(
        "SELECT due_at FROM webhook_deliveries INDEXED BY webhook_deliveries_due
         WHERE destination_id = ?1 AND due_at IS NOT NULL ORDER BY due_at LIMIT 1",
        [destination.0],
        |row| time(row, 0),
    )
}

fn due(tx: &ReadTx<'_>, now: Timestamp, want: Want) -> Result<Vec<Claimed>, Error> {
    tx.all(
        "SELECT deliveries.id, deliveries.uid, deliveries.request_id, requests.uid, requests.event_id,
             deliveries.order_key, deliveries.due_at, deliveries.began_at, deliveries.attempts + 1,
             deliveries.began_after, requests.body_bytes
         FROM webhook_deliveries AS deliveries INDEXED BY webhook_deliveries_due
             CROSS JOIN webhook_requests AS requests ON requests.id = deliveries.request_id
         WHERE deliveries.destination_id = ?1 AND deliveries.due_at IS NOT NULL AND deliveries.due_at <= ?2
         ORDER BY deliveries.due_at, deliveries.id LIMIT ?3",
        params![want.destination.0, now.as_micros(), want.most],
        |row| {
            Ok(Claimed {
                id: DeliveryId(row.get(0)?),
                uid: uid(row, 1)?,
                destination: want.destination,
                request: row.get(2)?,
                request_uid: uid(row, 3)?,
                event_id: row.get(4)?,
                order_key: row.get(5)?,
                due_at: time(row, 6)?,
                began_at: time(row, 7)?,
                number: row.get(8)?,
                began_after: row.get(9)?,
                body_bytes: row.get::<_, u32>(10)? as usize,
            })
        },
    )
}
