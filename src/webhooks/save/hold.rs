//! Holding a destination: nothing is sent to it and everything waits, until somebody resumes it.

use serde_json::{Value, json};

use super::{Webhooks, destination_seen_by, note};
use crate::accounts::By;
use crate::incidents::CloseReason;
use crate::store::{WriteTx, params};
use crate::webhooks::{DestinationId, Error, WEBHOOK_DELIVERIES, WEBHOOKS};

impl Webhooks {
    /// Holds a destination, also one that a file owns: its definition stays as it is. `why` stands in the place of who,
    /// where tocsin itself does it. One that is held stays held as it is.
    ///
    /// # Errors
    /// [`Error::NoDestination`].
    pub fn hold(&self, tx: &WriteTx<'_>, by: &By, id: DestinationId, why: Option<&str>) -> Result<(), Error> {
        let found = destination_seen_by(tx, by, id)?;
        if found.held.is_some() {
            return Ok(());
        }
        let who = why.map_or_else(|| by.actor.to_string(), str::to_owned);
        tx.execute(
            "UPDATE webhook_destinations SET held_at = ?2, held_by = ?3, version = version + 1 WHERE id = ?1",
            params![id.0, by.now.as_micros(), who],
        )?;
        tx.touch(WEBHOOKS);
        note(tx, by, "webhook_destination.hold", (found.project, &found.key), json!({"by": who}))
    }

    /// Sends again what waits for a destination.
    ///
    /// # Errors
    /// [`Error::NoDestination`].
    pub fn resume(&self, tx: &WriteTx<'_>, by: &By, id: DestinationId) -> Result<(), Error> {
        let found = destination_seen_by(tx, by, id)?;
        if found.held.is_none() {
            return Ok(());
        }
        tx.execute(
            "UPDATE webhook_destinations SET held_at = NULL, held_by = NULL, version = version + 1 WHERE id = ?1",
            [id.0],
        )?;
        let (key, who) = (id.signal_key("held"), by.actor.to_string());
        self.incidents.close_key(tx, by.now, &key, CloseReason::SubjectResolved, &who)?;
        tx.touch(WEBHOOKS);
        tx.touch(WEBHOOK_DELIVERIES);
        note(tx, by, "webhook_destination.resume", (found.project, &found.key), Value::Null)
    }
}
