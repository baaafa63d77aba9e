//! What a process that ended left under way: nobody knows whether the app got it, so it is tried again.

use super::delivery::Cause;
use super::{DeliveryId, WEBHOOK_DELIVERIES};
use crate::base::{Timestamp, Uid};
use crate::store::columns::maybe_time;
use crate::store::{Error, WriteTx, params};

/// What stands at an attempt of which nobody knows what came.
pub const ENDED: &str = "tocsin ended while it was under way: the app may have got it";

/// Makes what other processes claimed due at once, at most `limit`; answers how many. Their attempts count: the app may
/// have seen them.
pub fn recover(tx: &WriteTx<'_>, now: Timestamp, boot: Uid, limit: u32) -> Result<usize, Error> {
    let left = tx.all(
        "SELECT id, attempts, began_after, last_attempt_at
         FROM webhook_deliveries INDEXED BY webhook_deliveries_leased
         WHERE status = 'processing' AND lease IS NOT ?1 LIMIT ?2",
        params![boot.as_bytes(), limit],
        |row| Ok((DeliveryId(row.get(0)?), row.get(1)?, row.get(2)?, maybe_time(row, 3)?)),
    )?;
    for (id, number, began_after, started_at) in &left {
        let (number, began_after): (u32, u32) = (*number, *began_after);
        tx.insert(
            "INSERT INTO webhook_attempts (delivery_id, number, cause, started_at, error) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                id.0,
                number,
                Cause::of(number, began_after).as_str(),
                started_at.unwrap_or(now).as_micros(),
                ENDED
            ],
        )?;
        tx.execute(
            "UPDATE webhook_deliveries SET status = 'failed', due_at = ?2, lease = NULL, error = ?3 WHERE id = ?1",
            params![id.0, now.as_micros(), ENDED],
        )?;
    }
    if !left.is_empty() {
        tx.touch(WEBHOOK_DELIVERIES);
    }
    Ok(left.len())
}
