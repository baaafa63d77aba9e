//! What people do with one delivery: begin it anew, or say that a dead one is dealt with.

use serde_json::json;

use super::replays::ReplayId;
use super::{DeliveryId, DeliveryStatus, DestinationId, WEBHOOK_DELIVERIES, alarms, order};
use crate::accounts::{By, audit};
use crate::base::{ProjectId, Timestamp, Uid};
use crate::incidents::Incidents;
use crate::store::columns::{uid, word};
use crate::store::{self, ReadTx, WriteTx, params};

/// Why a delivery was not begun anew, or not settled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no such delivery")]
    NotFound,
    #[error("it is to be sent already: wait for what comes of it")]
    Waits,
    #[error("it is under way: wait for what comes of it")]
    UnderWay,
    #[error("what it brought is no longer kept: ask the provider to send the event again")]
    PayloadGone,
    #[error("its destination was removed: there is nowhere to send it")]
    DestinationGone,
    #[error("it is not dead, so there is nothing to deal with")]
    NotDead,
    #[error("nobody said that it is dealt with")]
    NotSettled,
    #[error("somebody dealt with it already")]
    Settled,
    #[error(transparent)]
    Incidents(#[from] crate::incidents::Error),
    #[error(transparent)]
    Accounts(#[from] crate::accounts::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// For transactions in which this is one step among others.
impl From<Error> for store::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error,
            other => Self::Refused(other.to_string().into()),
        }
    }
}

/// A delivery as somebody found it.
pub(super) struct Stored {
    uid: Uid,
    request: i64,
    destination: DestinationId,
    project: ProjectId,
    status: DeliveryStatus,
    order_key: Option<String>,
    is_settled: bool,
}

/// Sends a delivery anew, whether it is dead, completed, or waits for its next attempt: due now, or when its turn comes,
/// with its whole deadline before it.
pub fn replay(tx: &WriteTx<'_>, incidents: &Incidents, by: &By, id: DeliveryId) -> Result<(), Error> {
    let delivery = begin_anew(tx, incidents, (by.now, &by.actor.to_string()), id, None)?;
    note(tx, by, &delivery, "webhook_delivery.replay")?;
    tx.touch(WEBHOOK_DELIVERIES);
    Ok(())
}

/// What [`replay`] does but for the audit log, for `actor` and perhaps as one of many.
pub(super) fn begin_anew(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    (now, actor): (Timestamp, &str),
    id: DeliveryId,
    many: Option<ReplayId>,
) -> Result<Stored, Error> {
    let delivery = find(tx, id)?;
    match delivery.status {
        DeliveryStatus::Pending => return Err(Error::Waits),
        DeliveryStatus::Processing => return Err(Error::UnderWay),
        DeliveryStatus::Completed | DeliveryStatus::Failed | DeliveryStatus::DeadLetter => {}
    }
    if !exists(tx, "SELECT 1 FROM webhook_destinations WHERE id = ?1", delivery.destination.0)? {
        return Err(Error::DestinationGone);
    }
    if !exists(tx, "SELECT 1 FROM webhook_payloads WHERE request_id = ?1", delivery.request)? {
        return Err(Error::PayloadGone);
    }
    let due = order::turn(tx, delivery.destination, delivery.order_key.as_deref(), Some(id), now)?;
    tx.execute(
        "UPDATE webhook_deliveries
         SET status = 'pending', due_at = ?2, began_at = ?3, began_after = attempts, completed_at = NULL,
             settled_at = NULL, settled_by = NULL, replay_id = coalesce(?4, replay_id)
         WHERE id = ?1",
        params![id.0, due.map(Timestamp::as_micros), now.as_micros(), many.map(|many| many.0)],
    )?;
    if delivery.status == DeliveryStatus::DeadLetter {
        alarms::dealt_with(tx, incidents, now, delivery.destination, actor)?;
    }
    Ok(delivery)
}

/// Says that a dead letter is dealt with: nothing is sent, and it stands among the dead no more.
pub fn settle(tx: &WriteTx<'_>, incidents: &Incidents, by: &By, id: DeliveryId) -> Result<(), Error> {
    let delivery = find(tx, id)?;
    match (delivery.status, delivery.is_settled) {
        (DeliveryStatus::DeadLetter, false) => {}
        (DeliveryStatus::DeadLetter, true) => return Err(Error::Settled),
        _ => return Err(Error::NotDead),
    }
    let actor = by.actor.to_string();
    tx.execute(
        "UPDATE webhook_deliveries SET settled_at = ?2, settled_by = ?3 WHERE id = ?1",
        params![id.0, by.now.as_micros(), actor],
    )?;
    note(tx, by, &delivery, "webhook_delivery.settle")?;
    alarms::dealt_with(tx, incidents, by.now, delivery.destination, &actor)?;
    tx.touch(WEBHOOK_DELIVERIES);
    Ok(())
}

/// Takes [`settle`] back. Nobody is rung for it: whoever does it looks at it.
pub fn unsettle(tx: &WriteTx<'_>, by: &By, id: DeliveryId) -> Result<(), Error> {
    let delivery = find(tx, id)?;
    if delivery.status != DeliveryStatus::DeadLetter || !delivery.is_settled {
        return Err(Error::NotSettled);
    }
    tx.execute("UPDATE webhook_deliveries SET settled_at = NULL, settled_by = NULL WHERE id = ?1", [id.0])?;
    note(tx, by, &delivery, "webhook_delivery.unsettle")?;
    tx.touch(WEBHOOK_DELIVERIES);
    Ok(())
}

fn find(tx: &ReadTx<'_>, id: DeliveryId) -> Result<Stored, Error> {
    let found = tx.first(
        "SELECT uid, request_id, destination_id, project_id, status, order_key, settled_at IS NOT NULL
         FROM webhook_deliveries WHERE id = ?1",
        [id.0],
        |row| {
            Ok(Stored {
                uid: uid(row, 0)?,
                request: row.get(1)?,
                destination: DestinationId(row.get(2)?),
                project: ProjectId(row.get(3)?),
                status: word(row, 4, DeliveryStatus::parse)?,
                order_key: row.get(5)?,
                is_settled: row.get(6)?,
            })
        },
    )?;
    found.ok_or(Error::NotFound)
}

fn exists(tx: &ReadTx<'_>, sql: &str, id: i64) -> Result<bool, Error> {
    Ok(tx.first(sql, [id], |_| Ok(()))?.is_some())
}

fn note(tx: &WriteTx<'_>, by: &By, delivery: &Stored, action: &'static str) -> Result<(), Error> {
    let subject = delivery.uid.to_string();
    let project = Some(delivery.project);
    audit::append(tx, by, &audit::Change { action, subject: &subject, project, detail: json!({}) })?;
    Ok(())
}
