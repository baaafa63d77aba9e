//! What it means that a channel refuses for good: it is believed once that lasted, and asked again now and then.

use serde_json::json;

use crate::base::Timestamp;
use crate::store::{self, WriteTx, params};

use super::outbox::NewDelivery;
use super::routes::Wanted;
use super::rows::{self, ChannelId, DeliveryId, IncidentState};
use super::{Cause, DELIVERIES, Error, IncidentId, Incidents, Purpose, fallback, routes};

/// Refusals in a row, over `policy.broken_after` at least, after which a channel is broken.
const REFUSALS_MIN: u32 = 3;

impl Incidents {
    /// Counts a refusal, and breaks a channel that has given nothing else for long enough: a proxy's 404 or a mail
    /// server's 535 of one minute switches nothing off. Answers whether it is broken.
    pub(super) fn note_refusal(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        channel: ChannelId,
        reason: &str,
    ) -> Result<bool, Error> {
        let (refusals, since) = tx.one(
            "UPDATE channels SET refusals = refusals + 1, refused_since = min(ifnull(refused_since, ?2), ?2)
             WHERE id = ?1 RETURNING refusals, refused_since",
            params![channel.0, now.as_micros()],
            |row| Ok((row.get::<_, u32>(0)?, rows::time(row, 1)?)),
        )?;
        let is_broken = refusals >= REFUSALS_MIN && now.since(since) >= self.policy.broken_after;
        if is_broken {
            self.break_channel(tx, now, channel, reason)?;
        }
        Ok(is_broken)
    }

    /// Keeps a refused message on its channel for another try, and tells another channel of its incident meanwhile.
    pub(super) fn hold(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        delivery: DeliveryId,
        reason: &str,
    ) -> Result<(), Error> {
        let again_at = now + self.policy.refused_again_after;
        let (incident, channel) = tx.one(
            "UPDATE deliveries SET state = 'pending', next_attempt_at = ?2, last_error = ?3, lease_until = NULL,
                    lease_boot = NULL
             WHERE id = ?1 RETURNING iif(recipient IS NULL, incident_id, NULL), channel_id",
            params![delivery.0, again_at.as_micros(), reason],
            |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?)),
        )?;
        if let (Some(incident), Some(channel)) = (incident, channel) {
            self.tell_meanwhile(tx, now, IncidentId(incident), ChannelId(channel))?;
        }
        tx.touch(DELIVERIES);
        Ok(())
    }

    fn tell_meanwhile(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        incident: IncidentId,
        refusing: ChannelId,
    ) -> Result<(), Error> {
        let row = rows::find_incident(tx, incident)?.ok_or(Error::NotFound("incident"))?;
        let is_quiet = row.silenced || row.state == IncidentState::Resolved;
        if is_quiet || fallback::is_told_elsewhere(tx, incident, Some(refusing))? {
            return Ok(());
        }
        let tried = [refusing.0];
        let wanted = Wanted { project: row.project, incident: Some(incident), tried: &tried };
        if let Some(next) = routes::next_channel(tx, wanted)? {
            let mut message = NewDelivery::of(&row, Purpose::Opened, json!({"late": true}));
            message.channel = Some(next);
            self.enqueue(tx, now, &message)?;
        }
        Ok(())
    }

    /// Gives the channel that has been broken longest what waits, to see whether it still is: hourly, and where no
    /// channel is ready as soon as something waits, but not within `policy.probe_alone_after` of the last try. Its
    /// next refusal breaks it again. Answers whether one is tried.
    pub(super) fn probe_broken(&self, tx: &WriteTx<'_>, now: Timestamp) -> Result<bool, Error> {
        let is_alone =
            tx.first("SELECT 1 FROM channels WHERE state = 'ready' LIMIT 1", [], |_| Ok(()))?.is_none();
        let wait = if is_alone { self.policy.probe_alone_after } else { self.policy.probe_after };
        let Some(channel) = find_probe(tx, now, now - wait)? else { return Ok(false) };
        let is_tried = self.adopt_waiting(tx, now, channel)? > 0;
        tx.execute(
            "UPDATE channels SET broken_at = ?2, state = iif(?3, 'ready', state),
                    open_until = iif(?3, NULL, open_until)
             WHERE id = ?1",
            params![channel.0, now.as_micros(), is_tried],
        )?;
        Ok(is_tried)
    }
}

/// Whether a message may be kept for another try: who asked for a test wants the answer.
pub(super) fn may_be_held(tx: &WriteTx<'_>, delivery: DeliveryId) -> Result<bool, store::Error> {
    let cause = tx.first("SELECT cause FROM deliveries WHERE id = ?1", [delivery.0], |row| {
        rows::word(row, 0, Cause::parse)
    })?;
    Ok(cause.is_some_and(|cause| cause != Cause::Test))
}

/// It works: what it refused before is forgotten.
pub(super) fn forget(tx: &WriteTx<'_>, channel: Option<i64>) -> Result<(), store::Error> {
    tx.execute(
        "UPDATE channels SET refusals = 0, refused_since = NULL, state_reason = iif(state = 'ready', NULL, state_reason)
         WHERE id = ?1 AND (refusals > 0 OR state_reason IS NOT NULL)",
        [channel],
    )?;
    Ok(())
}

/// A time ahead is one of before the clock was set back.
fn find_probe(
    tx: &WriteTx<'_>,
    now: Timestamp,
    broken_before: Timestamp,
) -> Result<Option<ChannelId>, store::Error> {
    tx.first(
        "SELECT id FROM channels
         WHERE state = 'broken' AND (ifnull(broken_at, 0) <= ?2 OR broken_at > ?1)
           AND EXISTS (SELECT 1 FROM deliveries WHERE state = 'waiting')
         ORDER BY broken_at, position, id LIMIT 1",
        params![now.as_micros(), broken_before.as_micros()],
        |row| row.get(0).map(ChannelId),
    )
}
