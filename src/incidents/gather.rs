//! Further signs of one outage, gathered: one message tells of all that join within `policy.gather`.
//!
//! It is a row like any other, due when the time is over. Until it goes, whoever joins is written into it, and whatever
//! is told of its incident sooner takes it along: the row then stands in that message, as in a bundle.

use serde_json::json;

use crate::base::Timestamp;
use crate::store::{self, ReadTx, WriteTx, params};

use super::outbox::{NewDelivery, told_channels};
use super::rows::{ChannelId, DeliveryId, IncidentRow, WitnessId};
use super::{DELIVERIES, IncidentId, Incidents, Purpose};

/// A message that still gathers: nothing was tried, so nobody can have read it. What names one witness beside those it
/// took along is news of its own.
pub(super) const GATHERS: &str =
    "purpose = 'witness' AND state = 'pending' AND attempts = 0 AND follows IS NULL
    AND json_type(content, '$.gathered') IS 'array' AND json_type(content, '$.witness') IS NULL";

impl Incidents {
    /// Tells the channels that know of `incident` of a witness that rings for nothing: at once, or with whoever else
    /// joins soon.
    pub(super) fn gather(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        incident: &IncidentRow,
        witness: WitnessId,
    ) -> Result<(), store::Error> {
        let due = now + self.policy.gather;
        for channel in told_channels(tx, incident.id)? {
            if add(tx, incident.id, channel, witness)? {
                continue;
            }
            let content = json!({"gathered": [witness.0]});
            let mut message = NewDelivery::of(incident, Purpose::Witness, content);
            message.channel = Some(channel);
            if let Some(written) = self.enqueue(tx, now, &message)? {
                tx.execute(
                    "UPDATE deliveries SET next_attempt_at = ?2 WHERE id = ?1",
                    params![written.0, due.as_micros()],
                )?;
            }
        }
        Ok(())
    }
}

/// Writes a witness into the message that gathers on `channel`; `false` where none does.
fn add(
    tx: &WriteTx<'_>,
    incident: IncidentId,
    channel: ChannelId,
    witness: WitnessId,
) -> Result<bool, store::Error> {
    let added = tx.execute(
        &format!(
            "UPDATE deliveries SET content = json_insert(content, '$.gathered[#]', ?3), quantity = quantity + 1
             WHERE incident_id = ?1 AND channel_id = ?2 AND {GATHERS}"
        ),
        params![incident.0, channel.0, witness.0],
    )?;
    Ok(added > 0)
}

/// Lets `carrier`, which is told of the same incident on the same channel, tell what was gathered there as well.
pub(super) fn take_along(
    tx: &WriteTx<'_>,
    (incident, channel): (IncidentId, ChannelId),
    carrier: DeliveryId,
) -> Result<(), store::Error> {
    let gathering = tx.first(
        &format!(
            "SELECT id, content ->> '$.gathered', quantity FROM deliveries
             WHERE incident_id = ?1 AND channel_id = ?2 AND id < ?3 AND {GATHERS} ORDER BY id LIMIT 1"
        ),
        params![incident.0, channel.0, carrier.0],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?)),
    )?;
    let Some((id, gathered, quantity)) = gathering else { return Ok(()) };
    tx.execute(
        "UPDATE deliveries SET content = json_set(content, '$.gathered', json(?2)), quantity = quantity + ?3
         WHERE id = ?1",
        params![carrier.0, gathered, quantity],
    )?;
    tx.execute(
        "UPDATE deliveries SET state = 'bundled', bundle_id = ?2, next_attempt_at = NULL WHERE id = ?1",
        params![id, carrier.0],
    )?;
    Ok(())
}

/// What the repetitions of `incident` had taken along is due by itself where these are taken back.
pub(super) fn release_from_rings(tx: &WriteTx<'_>, incident: IncidentId) -> Result<(), store::Error> {
    let released = tx.execute(
        "UPDATE deliveries SET state = 'pending', bundle_id = NULL, next_attempt_at = created_at
         WHERE incident_id = ?1 AND state = 'bundled' AND purpose = 'witness' AND bundle_id IN (
             SELECT id FROM deliveries WHERE incident_id = ?1 AND state = 'pending' AND purpose = 'ring_again')",
        [incident.0],
    )?;
    if released > 0 {
        tx.touch(DELIVERIES);
    }
    Ok(())
}

/// Whether a message that was not sent yet tells of `witness` for the first time.
pub(super) fn waits(tx: &ReadTx<'_>, incident: IncidentId, witness: WitnessId) -> Result<bool, store::Error> {
    let waits = tx.first(
        &format!(
            "SELECT 1 FROM deliveries WHERE incident_id = ?1 AND {GATHERS}
               AND ?2 IN (SELECT value FROM json_each(content, '$.gathered')) LIMIT 1"
        ),
        params![incident.0, witness.0],
        |_| Ok(()),
    )?;
    Ok(waits.is_some())
}
