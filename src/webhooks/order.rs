//! Whose turn it is where a destination keeps order: of the open deliveries of one key, one is due or under way, the
//! others wait without a time. When it is completed or dead the oldest of them is next.

use super::{DeliveryId, DestinationId};
use crate::base::Timestamp;
use crate::store::{Error, ReadTx, WriteTx, params};

/// When a delivery that begins now is due: at once, or `None` where another open one of its key has the turn.
/// `except` is itself, where it is stored already.
pub fn turn(
    tx: &ReadTx<'_>,
    destination: DestinationId,
    order_key: Option<&str>,
    except: Option<DeliveryId>,
    now: Timestamp,
) -> Result<Option<Timestamp>, Error> {
    let Some(order_key) = order_key else { return Ok(Some(now)) };
    let taken = tx.first(
        "SELECT 1 FROM webhook_deliveries INDEXED BY webhook_deliveries_in_order
         WHERE destination_id = ?1 AND order_key = ?2 AND status IN ('pending', 'processing', 'failed')
             AND id <> ?3 AND (due_at IS NOT NULL OR status = 'processing') LIMIT 1",
        params![destination.0, order_key, except.map_or(0, |id| id.0)],
        |_| Ok(()),
    )?;
    Ok(if taken.is_some() { None } else { Some(now) })
}

/// Gives the turn to the oldest open one of a key whose last one is completed or dead.
pub(super) fn pass_on(
    tx: &WriteTx<'_>,
    destination: DestinationId,
    order_key: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let next = tx.first(
        "SELECT id FROM webhook_deliveries INDEXED BY webhook_deliveries_in_order
         WHERE destination_id = ?1 AND order_key = ?2 AND status IN ('pending', 'processing', 'failed')
         ORDER BY id LIMIT 1",
        params![destination.0, order_key],
        |row| row.get(0).map(DeliveryId),
    )?;
    let Some(next) = next else { return Ok(()) };
    if turn(tx, destination, Some(order_key), None, now)?.is_some() {
        tx.execute(
            "UPDATE webhook_deliveries SET due_at = ?2 WHERE id = ?1",
            params![next.0, now.as_micros()],
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
