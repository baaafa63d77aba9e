//! Where a message goes when its channel cannot deliver it: never nowhere.

use serde_json::{Value, json};

use crate::base::Timestamp;
use crate::store::{self, WriteTx, params};

use super::bundle::FailedBundle;
use super::outbox::{NewDelivery, Purpose};
use super::routes::Wanted;
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
    /// Another channel has its own copy, and no further one that the project rings is ready.
    OthersKnow,
    /// A test or a message to one address, meant for this channel alone.
    OnlyHere,
    /// Nowhere else yet: its channel's refusal may pass, and it is tried there again.
    Held,
}

impl Fallback {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Channel(_) => "channel",
            Self::Waiting => "waiting",
            Self::OthersKnow => "others_know",
            Self::OnlyHere => "only_here",
            Self::Held => "held",
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
                "recipient": failing.recipient,
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
        let tried = failing.tried();
        match (failing.incident, failing.message.purpose) {
            (Some(incident), _) => self.pass_on_incident(tx, now, failing, incident),
            (None, Purpose::Bundle) => {
                let (id, content) = (failing.id, &failing.message.content);
                Ok(self.pass_on_bundle(tx, now, &FailedBundle { id, content, tried: &tried })?)
            }
            (None, _) => self.pass_on_copy(tx, now, failing),
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
        let tried = failing.tried();
        let wanted = Wanted { project: row.project, incident: Some(incident), tried: &tried };
        let next = routes::next_channel(tx, wanted)?;
        if is_told_elsewhere(tx, incident, failing.channel)? {
            let is_rung = next.map(|next| routes::is_rung(tx, row.project, next)).transpose()?;
            if is_rung != Some(true) {
                return Ok(Fallback::OthersKnow);
            }
        }
        let over = row.state == IncidentState::Resolved && failing.message.purpose == Purpose::Recovered;
        let purpose = if over { Purpose::Recovered } else { Purpose::Opened };
        let content = json!({"instead_of": failing.id.0, "tried": tried});
        let mut message = NewDelivery::of(&row, purpose, content);
        message.channel = next;
        self.enqueue(tx, now, &message)?;
        Ok(next.map_or(Fallback::Waiting, Fallback::Channel))
    }

    /// A report goes whole to the next channel that has not failed it, unless one has a copy of its own.
    fn pass_on_copy(&self, tx: &WriteTx<'_>, now: Timestamp, failing: &Failing) -> Result<Fallback, Error> {
        if has_copy_elsewhere(tx, failing)? {
            return Ok(Fallback::OthersKnow);
        }
        let tried = failing.tried();
        let wanted = Wanted { project: failing.message.project, incident: None, tried: &tried };
        let next = routes::next_channel(tx, wanted)?;
        let mut message = failing.message.clone();
        if let Value::Object(content) = &mut message.content {
            content.insert("tried".to_owned(), Value::from(tried));
        }
        message.channel = next;
        self.enqueue(tx, now, &message)?;
        Ok(next.map_or(Fallback::Waiting, Fallback::Channel))
    }

    /// Tells another channel of what nobody has received for `policy.fall_back_after`, and at once of critical
    /// incidents whose channels asked for a longer pause than the first between two rings; the late one keeps trying.
    /// At most `limit` of each kind.
    pub(super) fn tell_of_late(&self, tx: &WriteTx<'_>, now: Timestamp, limit: u32) -> Result<usize, Error> {
        if count_ready(tx)? < 2 {
            return Ok(0);
        }
        let late_before = now - self.policy.fall_back_after;
        let mut told = 0;
        let mut late = find_late_incidents(tx, late_before, limit)?;
        late.extend(self.find_paused_incidents(tx, now, limit)?);
        for incident in late {
            let Some(row) = rows::find_incident(tx, incident)? else { continue };
            let wanted = Wanted { project: row.project, incident: Some(incident), tried: &[] };
            let Some(next) = routes::next_channel(tx, wanted)? else { continue };
            let mut message = NewDelivery::of(&row, Purpose::Opened, json!({"late": true}));
            message.channel = Some(next);
            self.enqueue(tx, now, &message)?;
            told += 1;
        }
        for bundle in find_late_bundles(tx, now, late_before, limit)? {
            self.give_up(tx, now, bundle, "its channel did not take it in time")?;
            told += 1;
        }
        Ok(told)
    }
}

impl Incidents {
    /// Open critical incidents with a message that a pause holds up, told on no channel but paused ones, while
    /// another is free.
    fn find_paused_incidents(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<IncidentId>, store::Error> {
        let long = now + self.policy.ring.again_after;
        let paused = tx.first(
            "SELECT 1 FROM channels WHERE state = 'ready' AND paced_until > ?1 LIMIT 1",
            [long.as_micros()],
            |_| Ok(()),
        )?;
        if paused.is_none() {
            return Ok(Vec::new());
        }
        tx.all(
            "SELECT DISTINCT d.incident_id
             FROM channels p
             JOIN deliveries d ON d.channel_id = p.id AND d.state = 'pending' AND d.rank = 0 AND d.follows IS NULL
             JOIN incidents i ON i.id = d.incident_id
             WHERE p.state = 'ready' AND p.paced_until > ?1 AND i.state = 'open' AND i.silenced = 0
               AND d.purpose IN ('opened', 'raised', 'ring_again')
               AND NOT EXISTS (
                   SELECT 1 FROM deliveries told JOIN channels c ON c.id = told.channel_id
                   WHERE told.incident_id = d.incident_id AND told.purpose = 'opened' AND c.state = 'ready'
                     AND told.state IN ('pending', 'sending', 'delivered', 'bundled')
                     AND ifnull(c.paced_until, 0) <= ?1)
               AND EXISTS (SELECT 1 FROM channels c WHERE c.state = 'ready' AND ifnull(c.paced_until, 0) <= ?1)
             LIMIT ?2",
            params![long.as_micros(), limit],
            |row| row.get(0).map(IncidentId),
        )
    }
}

impl Failing {
    /// The channels that would not take it, this one included.
    fn tried(&self) -> Vec<i64> {
        let before = self.message.content.get("tried").and_then(Value::as_array);
        let before = before.into_iter().flatten().filter_map(Value::as_i64);
        before.chain(self.channel.map(|channel| channel.0)).collect()
    }
}

/// Whether another channel was told of the incident, or will be.
pub(super) fn is_told_elsewhere(
    tx: &WriteTx<'_>,
    incident: IncidentId,
    but: Option<ChannelId>,
) -> Result<bool, store::Error> {
    let told = tx.first(
        "SELECT 1 FROM deliveries
         WHERE incident_id = ?1 AND purpose = 'opened' AND state IN ('pending', 'sending', 'delivered', 'bundled')
           AND channel_id IS NOT NULL AND channel_id IS NOT ?2 LIMIT 1",
        params![incident.0, but.map(|channel| channel.0)],
        |_| Ok(()),
    )?;
    Ok(told.is_some())
}

/// Whether another channel has its own copy of a digest, or had it. A digest is known by the number of its first copy.
fn has_copy_elsewhere(tx: &WriteTx<'_>, failing: &Failing) -> Result<bool, store::Error> {
    let Some(digest) = failing.message.content.get("digest").and_then(Value::as_i64) else {
        return Ok(false);
    };
    let copy = tx.first(
        "SELECT 1 FROM channels c JOIN deliveries d ON d.channel_id = c.id AND d.id >= ?1
         WHERE c.id IS NOT ?2 AND d.purpose = 'digest' AND d.state IN ('pending', 'sending', 'delivered')
           AND json_extract(d.content, '$.digest') = ?1 LIMIT 1",
        params![digest, failing.channel.map(|channel| channel.0)],
        |_| Ok(()),
    )?;
    Ok(copy.is_some())
}

fn count_ready(tx: &WriteTx<'_>) -> Result<i64, store::Error> {
    tx.one("SELECT count(*) FROM channels WHERE state = 'ready'", [], |row| row.get(0))
}

/// Incidents with a late message that rings, each of whose told channels is late with one. After an acknowledgement
/// only what was written since is late: who acknowledged knows of the rest.
fn find_late_incidents(
    tx: &WriteTx<'_>,
    late_before: Timestamp,
    limit: u32,
) -> Result<Vec<IncidentId>, store::Error> {
    tx.all(
        "SELECT DISTINCT d.incident_id FROM deliveries d JOIN incidents i ON i.id = d.incident_id
         WHERE d.state = 'pending' AND d.follows IS NULL AND d.created_at <= ?1 AND i.silenced = 0
           AND (d.purpose IN ('opened', 'raised', 'ring_again') OR json_extract(d.content, '$.rings') IS NOT NULL)
           AND (i.state = 'open' OR (i.state = 'acknowledged' AND d.created_at >= i.acknowledged_at))
           AND EXISTS (
               SELECT 1 FROM channels c WHERE c.state = 'ready' AND NOT EXISTS (
                   SELECT 1 FROM deliveries told
                   WHERE told.incident_id = d.incident_id AND told.channel_id = c.id AND told.purpose = 'opened'
                     AND told.state <> 'failed'))
           AND NOT EXISTS (
               SELECT 1 FROM deliveries told
               WHERE told.incident_id = d.incident_id AND told.purpose = 'opened' AND told.channel_id IS NOT NULL
                 AND told.state IN ('pending', 'sending', 'delivered', 'bundled')
                 AND NOT EXISTS (
                     SELECT 1 FROM deliveries late
                     WHERE late.incident_id = d.incident_id AND late.channel_id = told.channel_id
                       AND late.state = 'pending' AND late.follows IS NULL AND late.created_at <= ?1
                       AND (late.purpose IN ('opened', 'raised', 'ring_again')
                            OR json_extract(late.content, '$.rings') IS NOT NULL)))
         LIMIT ?2",
        params![late_before.as_micros(), limit],
        |row| row.get(0).map(IncidentId),
    )
}

/// Bundles that are late while a channel that has not tried them could send at once.
fn find_late_bundles(
    tx: &WriteTx<'_>,
    now: Timestamp,
    late_before: Timestamp,
    limit: u32,
) -> Result<Vec<DeliveryId>, store::Error> {
    tx.all(
        "SELECT d.id FROM deliveries d
         WHERE d.state = 'pending' AND d.purpose = 'bundle' AND d.follows IS NULL AND d.created_at <= ?1 AND EXISTS (
             SELECT 1 FROM channels c
             WHERE c.state = 'ready' AND c.id <> d.channel_id
               AND ifnull(c.open_until, 0) <= ?2 AND ifnull(c.paced_until, 0) <= ?2
               AND c.id NOT IN (SELECT value FROM json_each(d.content, '$.tried')))
         ORDER BY d.id LIMIT ?3",
        params![late_before.as_micros(), now.as_micros(), limit],
        |row| row.get(0).map(DeliveryId),
    )
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
