//! Where a message goes when its channel cannot deliver it: never nowhere.

use serde_json::{Value, json};

use crate::base::Timestamp;
use crate::store::{self, WriteTx, params};

use super::outbox::{NewDelivery, Purpose};
use super::rows::{self, ChannelId, DeliveryId, IncidentState};
use super::timeline::{Event, EventKind, note};
use super::{Cause, DELIVERIES, Error, IncidentId, Incidents, routes};

/// What became of a message that its channel will not deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// The next channel by position gets it.
    Channel(ChannelId),
    /// No channel is ready: it waits for one.
    Waiting,
    /// Every other ready channel has its own copy.
    OthersKnow,
    /// A test or a message to one address, meant for this channel alone.
    OnlyHere,
}

impl Fallback {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Channel(_) => "channel",
            Self::Waiting => "waiting",
            Self::OthersKnow => "others_know",
            Self::OnlyHere => "only_here",
        }
    }
}

/// A message that is given up on its channel.
struct Failing {
    id: DeliveryId,
    incident: Option<IncidentId>,
    channel: Option<ChannelId>,
    recipient: Option<String>,
    message: NewDelivery,
}

impl Incidents {
    /// Marks a message as failed and passes it on; an incident's timeline says so.
    pub(super) fn give_up(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        delivery: DeliveryId,
        reason: &str,
    ) -> Result<Fallback, Error> {
        let failing = find_failing(tx, delivery)?.ok_or(Error::NotFound("delivery"))?;
        tx.execute(
            "UPDATE deliveries SET state = 'failed', last_error = ?2, next_attempt_at = NULL, lease_until = NULL,
                    lease_boot = NULL
             WHERE id = ?1",
            params![delivery.0, reason],
        )?;
        let fallback = self.pass_on(tx, now, &failing)?;
        if let Some(incident) = failing.incident {
            let detail = json!({
                "purpose": failing.message.purpose.as_str(),
                "channel": failing.channel.map(|channel| channel.0),
                "reason": reason,
                "fallback": fallback.as_str(),
            });
            note(tx, now, incident, &Event { kind: EventKind::DeliveryFailed, actor: None, detail })?;
        }
        tx.touch(DELIVERIES);
        Ok(fallback)
    }

    /// Gives up what waits at channels that are not ready or were removed. At most `limit` messages.
    pub(super) fn hand_over_stranded(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        limit: u32,
    ) -> Result<usize, Error> {
        let stranded = tx.all(
            "SELECT d.id FROM deliveries d LEFT JOIN channels c ON c.id = d.channel_id
             WHERE d.state = 'pending' AND (c.id IS NULL OR (c.state <> 'ready' AND d.cause <> 'test'))
             ORDER BY d.id LIMIT ?1",
            [limit],
            |row| row.get(0).map(DeliveryId),
        )?;
        for delivery in &stranded {
            self.give_up(tx, now, *delivery, "its channel cannot send now")?;
        }
        Ok(stranded.len())
    }

    fn pass_on(&self, tx: &WriteTx<'_>, now: Timestamp, failing: &Failing) -> Result<Fallback, Error> {
        let only_here = match failing.message.cause {
            Cause::Test | Cause::Account | Cause::Subscription => true,
            Cause::Incident | Cause::Report => failing.recipient.is_some(),
        };
        if only_here {
            return Ok(Fallback::OnlyHere);
        }
        match failing.incident {
            Some(incident) => self.pass_on_incident(tx, now, failing, incident),
            None => self.pass_on_copy(tx, now, failing),
        }
    }

    /// Whatever could not be said about an incident, the next channel hears of it from the beginning.
    fn pass_on_incident(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        failing: &Failing,
        incident: IncidentId,
    ) -> Result<Fallback, Error> {
        let row = rows::find_incident(tx, incident)?.ok_or(Error::NotFound("incident"))?;
        let next = routes::untold_channels(tx, row.project, incident)?.first().copied();
        let any_ready = !routes::ready_channels(tx, row.project)?.is_empty();
        let over = row.state == IncidentState::Resolved && failing.message.purpose == Purpose::Recovered;
        let purpose = if over { Purpose::Recovered } else { Purpose::Opened };
        let mut message = NewDelivery::of(&row, purpose, json!({"instead_of": failing.id.0}));
        message.channel = next;
        match (next, any_ready) {
            (Some(channel), _) => {
                self.enqueue(tx, now, &message)?;
                Ok(Fallback::Channel(channel))
            }
            (None, true) => Ok(Fallback::OthersKnow),
            (None, false) => {
                self.enqueue(tx, now, &message)?;
                Ok(Fallback::Waiting)
            }
        }
    }

    /// A report or a bundle goes whole to the next channel that has not failed it; what it stands for goes with it.
    fn pass_on_copy(&self, tx: &WriteTx<'_>, now: Timestamp, failing: &Failing) -> Result<Fallback, Error> {
        let mut tried: Vec<i64> = failing
            .message
            .content
            .get("tried")
            .and_then(Value::as_array)
            .map(|tried| tried.iter().filter_map(Value::as_i64).collect())
            .unwrap_or_default();
        tried.extend(failing.channel.map(|channel| channel.0));
        let next = tx.first(
            "SELECT id FROM channels WHERE state = 'ready' AND id NOT IN (SELECT value FROM json_each(?1))
             ORDER BY position, id LIMIT 1",
            [Value::from(tried.clone()).to_string()],
            |row| row.get(0).map(ChannelId),
        )?;
        let mut message = failing.message.clone();
        if let Value::Object(content) = &mut message.content {
            content.insert("tried".to_owned(), Value::from(tried));
        }
        message.channel = next;
        if let Some(copy) = self.enqueue(tx, now, &message)? {
            tx.execute(
                "UPDATE deliveries SET bundle_id = ?2 WHERE bundle_id = ?1",
                params![failing.id.0, copy.0],
            )?;
        }
        Ok(next.map_or(Fallback::Waiting, Fallback::Channel))
    }
}

fn find_failing(tx: &WriteTx<'_>, id: DeliveryId) -> Result<Option<Failing>, store::Error> {
    tx.first(
        "SELECT incident_id, channel_id, recipient, project_id, cause, purpose, severity, content, quantity
         FROM deliveries WHERE id = ?1",
        [id.0],
        |row| {
            let incident = row.get::<_, Option<i64>>(0)?.map(IncidentId);
            let channel = row.get::<_, Option<i64>>(1)?.map(ChannelId);
            let recipient: Option<String> = row.get(2)?;
            let message = NewDelivery {
                project: row.get::<_, Option<i64>>(3)?.map(crate::base::ProjectId),
                incident,
                cause: rows::word(row, 4, Cause::parse)?,
                purpose: rows::word(row, 5, Purpose::parse)?,
                severity: rows::severity(row, 6)?,
                channel: None,
                recipient: None,
                content: rows::json(row, 7)?,
                quantity: row.get(8)?,
            };
            Ok(Failing { id, incident, channel, recipient, message })
        },
    )
}
