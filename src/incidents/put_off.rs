//! Recipients that a mail server did not take a message for while it took it for others. Whom it refused is told; whom
//! it put off gets a message of their own, written with the outcome of the first: nobody gets it twice, and nobody who
//! has it waits for those who have not.

use std::fmt;

use serde_json::json;

use crate::base::Timestamp;
use crate::store::{WriteTx, params};

use super::deliveries::Receipt;
use super::rows::DeliveryId;
use super::timeline::{Event, EventKind, note};
use super::{Error, IncidentId, Incidents};

/// A recipient that did not get a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The mail address.
    pub recipient: String,
    /// What the server said of it.
    pub reason: String,
}

/// The recipients that did not get a message which others got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unreached {
    /// For good.
    pub refused: Vec<Missed>,
    /// For now: each is tried again.
    pub put_off: Vec<Missed>,
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.recipient, self.reason)
    }
}

impl Unreached {
    /// Everybody got it.
    pub const NONE: Self = Self { refused: Vec::new(), put_off: Vec::new() };

    /// Who did not get it, and what follows; `None` where everybody did.
    pub(super) fn words(&self) -> Option<String> {
        let words = [
            Some(&self.refused)
                .filter(|it| !it.is_empty())
                .map(|it| format!("not delivered to {}", list(it))),
            Some(&self.put_off)
                .filter(|it| !it.is_empty())
                .map(|it| format!("put off for {}: tried again on its own", list(it))),
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

fn list(missed: &[Missed]) -> String {
    missed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Incidents {
    /// Tells whom `delivery` did not reach for good, and writes it anew for each who was put off.
    pub(super) fn mind_unreached(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        delivery: DeliveryId,
        receipt: Receipt<'_>,
    ) -> Result<(), Error> {
        for missed in &receipt.unreached.refused {
            note_refused(tx, now, delivery, missed)?;
        }
        for missed in &receipt.unreached.put_off {
            self.follow(tx, now, delivery, (missed, receipt.again_at))?;
        }
        Ok(())
    }

    /// The same message, as old as the first, to one recipient. One who has such a message gets no other.
    fn follow(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        delivery: DeliveryId,
        (missed, again_at): (&Missed, Timestamp),
    ) -> Result<(), Error> {
        tx.execute(
            "INSERT INTO deliveries
                 (uid, project_id, incident_id, cause, purpose, severity, channel_id, recipient, follows, content,
                  state, quantity, created_at, next_attempt_at, last_error)
             SELECT ?2, project_id, incident_id, cause, purpose, severity, channel_id, ?3, id, content,
                    'pending', quantity, created_at, ?4, ?5
             FROM deliveries WHERE id = ?1
             ON CONFLICT DO NOTHING",
            params![
                delivery.0,
                self.entropy.uid(now).as_bytes(),
                missed.recipient,
                again_at.as_micros(),
                missed.reason
            ],
        )?;
        Ok(())
    }
}

fn note_refused(
    tx: &WriteTx<'_>,
    now: Timestamp,
    delivery: DeliveryId,
    missed: &Missed,
) -> Result<(), Error> {
    let (incident, purpose, channel) = tx.one(
        "SELECT incident_id, purpose, channel_id FROM deliveries WHERE id = ?1",
        [delivery.0],
        |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<i64>>(2)?)),
    )?;
    let Some(incident) = incident.map(IncidentId) else { return Ok(()) };
    let Missed { recipient, reason } = missed;
    let detail = json!({"purpose": purpose, "channel": channel, "recipient": recipient, "reason": reason});
    Ok(note(tx, now, incident, &Event { kind: EventKind::DeliveryFailed, actor: None, detail })?)
}
