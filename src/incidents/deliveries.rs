//! Claiming messages to send and recording what became of them: at least once, one at a time per channel.

use std::time::Duration;

use serde_json::Value;

use crate::base::{ProjectId, Severity, Timestamp, Uid};
use crate::store::{self, WriteTx, params};

use super::put_off::Unreached;
use super::rows::{self, ChannelId, DeliveryId, IncidentId};
use super::{Cause, DELIVERIES, Error, Fallback, INCIDENTS, Incidents, Purpose, refusals};

/// A message that this process sends now.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    pub id: DeliveryId,
    /// The same over all attempts: an idempotency key.
    pub uid: Uid,
    pub project: Option<ProjectId>,
    pub incident: Option<IncidentId>,
    pub incident_uid: Option<Uid>,
    pub cause: Cause,
    pub purpose: Purpose,
    pub severity: Severity,
    pub channel: ChannelId,
    pub recipient: Option<String>,
    /// The message that went out without `recipient`, who was put off.
    pub follows: Option<DeliveryId>,
    pub content: Value,
    pub quantity: i64,
    /// Counts from 1.
    pub attempt: u32,
    /// From then on the message is anybody's.
    pub lease_until: Timestamp,
    pub created_at: Timestamp,
    /// Since when it is tried; from here its deadline counts.
    pub tried_since: Timestamp,
    /// What the incident's first message on this channel was called by the other side.
    pub thread: Option<String>,
}

/// One try, for the proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub started_at: Timestamp,
    pub duration: Duration,
    /// The answer, or the dialogue with its secrets masked; cut to [`DETAIL_CHARS_MAX`].
    pub detail: String,
}

/// Why a message will never go out on its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    pub reason: &'a str,
    pub blame: Blame,
}

/// What a refusal speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// This one message.
    Message,
    /// The channel itself, as the other side says; believed once it has said so for `policy.broken_after`.
    Channel,
    /// The channel's own settings: tocsin cannot even ask the other side.
    Settings,
}

/// What the other side said when it took a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt<'a> {
    /// What a thread hangs on.
    pub remote_id: Option<&'a str>,
    /// Who of several recipients did not get it.
    pub unreached: &'a Unreached,
    /// When those who were put off are tried again.
    pub again_at: Timestamp,
}

/// What the proof of an attempt keeps of the other side's answer or of the dialogue.
pub const DETAIL_CHARS_MAX: usize = 4_000;
/// Attempts kept per message, the newest; the counter goes on.
const ATTEMPTS_KEPT: u32 = 50;
/// A critical incident's message is tried again after this, whatever its channel asked for.
pub const CRITICAL_PAUSE_MAX: Duration = Duration::from_mins(5);
/// A message that was due this long without a try was out of reach: tocsin was off, or its channel. That time does not
/// count against its deadline.
const OUT_OF_REACH_AFTER: Duration = Duration::from_hours(1);

#[derive(Clone, Copy)]
enum AttemptOutcome {
    Delivered,
    Retryable,
    Permanent,
}

impl Incidents {
    /// Claims due messages: at most `limit`, one per channel, critical incidents first, then other incidents, then
    /// everything else. None of a channel that is sending, paced, open or not ready, though a pause holds up critical
    /// ones for [`CRITICAL_PAUSE_MAX`] at most; and none before an earlier message of the same incident on the same
    /// channel to the same recipients: who was put off holds up nobody else.
    ///
    /// A lease of another boot is void; one of this boot runs out after `policy.lease`.
    pub fn claim_due(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        boot: Uid,
        limit: u32,
    ) -> Result<Vec<Claimed>, store::Error> {
        release_void_leases(tx, now, boot)?;
        let due = tx.all(
            "SELECT c.id, (
                 SELECT d.id FROM deliveries d
                 WHERE d.state = 'pending' AND d.channel_id = c.id AND d.next_attempt_at <= ?1
                   AND (ifnull(c.paced_until, 0) <= ?1 OR (d.rank = 0 AND ifnull(c.health_at, 0) <= ?3))
                   AND NOT EXISTS (SELECT 1 FROM deliveries earlier
                                   WHERE earlier.incident_id = d.incident_id AND earlier.channel_id = d.channel_id
                                     AND earlier.id < d.id AND earlier.state IN ('pending', 'sending')
                                     AND earlier.recipient IS d.recipient)
                 ORDER BY d.rank, d.next_attempt_at, d.id LIMIT 1) AS due_id
             FROM channels c
             WHERE c.state = 'ready' AND ifnull(c.open_until, 0) <= ?1
               AND NOT EXISTS (SELECT 1 FROM deliveries s WHERE s.state = 'sending' AND s.channel_id = c.id)
               AND due_id IS NOT NULL
             ORDER BY due_id LIMIT ?2",
            params![now.as_micros(), limit, (now - CRITICAL_PAUSE_MAX).as_micros()],
            |row| row.get(1).map(DeliveryId),
        )?;
        due.into_iter().map(|id| self.claim(tx, now, boot, id)).collect()
    }

    /// Claims one message whatever its channel's state: a test that a person waits for.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it is not pending.
    pub fn claim_one(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        boot: Uid,
        delivery: DeliveryId,
    ) -> Result<Claimed, Error> {
        tx.first(
            "SELECT id FROM deliveries WHERE id = ?1 AND state = 'pending' AND channel_id IS NOT NULL",
            [delivery.0],
            |row| row.get(0).map(DeliveryId),
        )?
        .ok_or(Error::NotFound("pending delivery"))?;
        Ok(self.claim(tx, now, boot, delivery)?)
    }

    fn claim(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        boot: Uid,
        id: DeliveryId,
    ) -> Result<Claimed, store::Error> {
        let until = now + self.policy.lease;
        tx.execute(
            "UPDATE deliveries SET state = 'sending', lease_until = ?2, lease_boot = ?3, attempts = attempts + 1,
                    tried_since = iif(next_attempt_at <= ?5, ?4, ifnull(tried_since, ?4))
             WHERE id = ?1",
            params![
                id.0,
                until.as_micros(),
                boot.as_bytes(),
                now.as_micros(),
                (now - OUT_OF_REACH_AFTER).as_micros()
            ],
        )?;
        tx.touch(DELIVERIES);
        tx.one(
            "SELECT d.id, d.uid, d.project_id, d.incident_id, i.uid, d.cause, d.purpose, d.severity, d.channel_id,
                    d.recipient, d.content, d.quantity, d.attempts, d.created_at,
                    (SELECT remote_id FROM deliveries first
                     WHERE first.incident_id = d.incident_id AND first.channel_id = d.channel_id
                       AND first.purpose = 'opened' AND first.state <> 'failed' AND first.follows IS NULL
                       AND first.id <> d.id),
                    d.lease_until, d.follows, d.tried_since
             FROM deliveries d LEFT JOIN incidents i ON i.id = d.incident_id WHERE d.id = ?1",
            [id.0],
            read_claimed,
        )
    }

    /// The channel took the message: the proof, the clocks of its incident or of those it bundles, and a message of
    /// their own for the recipients who were put off.
    pub fn record_delivered(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        delivery: DeliveryId,
        attempt: &Attempt,
        receipt: Receipt<'_>,
    ) -> Result<(), Error> {
        record_attempt(tx, delivery, attempt, AttemptOutcome::Delivered)?;
        let channel = tx
            .first(
                "UPDATE deliveries SET state = 'delivered', delivered_at = ?2, remote_id = ?3, last_error = ?4,
                        next_attempt_at = NULL, lease_until = NULL, lease_boot = NULL
                 WHERE id = ?1 RETURNING channel_id",
                params![delivery.0, now.as_micros(), receipt.remote_id, receipt.unreached.words()],
                |row| row.get::<_, Option<i64>>(0),
            )?
            .ok_or(Error::NotFound("delivery"))?;
        tx.execute("UPDATE channels SET delivered_at = ?2 WHERE id = ?1", params![channel, now.as_micros()])?;
        refusals::forget(tx, channel)?;
        tx.execute(
            "UPDATE incidents SET first_delivered_at = ?2
             WHERE first_delivered_at IS NULL AND id IN (
                 SELECT incident_id FROM deliveries WHERE id = ?1
                 UNION SELECT incident_id FROM deliveries WHERE bundle_id = ?1)",
            params![delivery.0, now.as_micros()],
        )?;
        self.mind_unreached(tx, now, delivery, receipt)?;
        tx.touch(DELIVERIES);
        tx.touch(INCIDENTS);
        Ok(())
    }

    /// It did not go out this time; it is tried again at `next_at`.
    pub fn record_retry(
        &self,
        tx: &WriteTx<'_>,
        delivery: DeliveryId,
        attempt: &Attempt,
        next_at: Timestamp,
        error: &str,
    ) -> Result<(), Error> {
        record_attempt(tx, delivery, attempt, AttemptOutcome::Retryable)?;
        tx.execute(
            "UPDATE deliveries SET state = 'pending', next_attempt_at = ?2, last_error = ?3, lease_until = NULL,
                    lease_boot = NULL
             WHERE id = ?1 AND state = 'sending'",
            params![delivery.0, next_at.as_micros(), error],
        )?;
        tx.touch(DELIVERIES);
        Ok(())
    }

    /// It will never go out on this channel; says where it goes instead. Where the channel is to blame and may yet
    /// recover, it is held for another try.
    pub fn record_failed(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        delivery: DeliveryId,
        attempt: &Attempt,
        refusal: Refusal<'_>,
    ) -> Result<Fallback, Error> {
        record_attempt(tx, delivery, attempt, AttemptOutcome::Permanent)?;
        let channel = tx
            .first("SELECT channel_id FROM deliveries WHERE id = ?1", [delivery.0], |row| {
                row.get::<_, Option<i64>>(0)
            })?
            .ok_or(Error::NotFound("delivery"))?;
        tx.touch(INCIDENTS);
        // Before the message looks for another way: a broken channel is none.
        match (channel.map(ChannelId), refusal.blame) {
            (None, _) | (_, Blame::Message) => {}
            (Some(channel), Blame::Settings) => self.break_channel(tx, now, channel, refusal.reason)?,
            (Some(channel), Blame::Channel) => {
                let is_broken = self.note_refusal(tx, now, channel, refusal.reason)?;
                if !is_broken && refusals::may_be_held(tx, delivery)? {
                    self.hold(tx, now, delivery, refusal.reason)?;
                    return Ok(Fallback::Held);
                }
            }
        }
        self.give_up(tx, now, delivery, refusal.reason)
    }

    /// Nothing was tried, and nobody is to get it any more.
    pub fn record_cancelled(
        &self,
        tx: &WriteTx<'_>,
        delivery: DeliveryId,
        reason: &str,
    ) -> Result<(), store::Error> {
        tx.execute(
            "UPDATE deliveries SET state = 'cancelled', next_attempt_at = NULL, last_error = ?2, lease_until = NULL,
                    lease_boot = NULL, attempts = max(attempts - 1, 0)
             WHERE id = ?1 AND state = 'sending'",
            params![delivery.0, reason],
        )?;
        tx.touch(DELIVERIES);
        Ok(())
    }

    /// Nothing was tried: the claim is undone, and no attempt counted.
    pub fn give_back(
        &self,
        tx: &WriteTx<'_>,
        delivery: DeliveryId,
        at: Timestamp,
        reason: &str,
    ) -> Result<(), store::Error> {
        tx.execute(
            "UPDATE deliveries SET state = 'pending', next_attempt_at = ?2, last_error = ?3, lease_until = NULL,
                    lease_boot = NULL, attempts = max(attempts - 1, 0)
             WHERE id = ?1 AND state = 'sending'",
            params![delivery.0, at.as_micros(), reason],
        )?;
        tx.touch(DELIVERIES);
        Ok(())
    }

    /// A person wants a message tried now, as if for the first time: one that waits for its next attempt, or one that
    /// was given up.
    ///
    /// # Errors
    /// [`Error::Invalid`] where it is under way, out, has no channel to go out on, or another one took its place.
    pub fn send_again(&self, tx: &WriteTx<'_>, now: Timestamp, delivery: DeliveryId) -> Result<(), Error> {
        let asked = tx.execute(
            "UPDATE OR IGNORE deliveries SET state = 'pending', next_attempt_at = ?2, tried_since = NULL
             WHERE id = ?1 AND state IN ('pending', 'failed') AND channel_id IS NOT NULL",
            params![delivery.0, now.as_micros()],
        )?;
        if asked == 0 {
            return Err(Error::Invalid(
                "only a message that failed or waits for its next try can be sent again".to_owned(),
            ));
        }
        tx.touch(DELIVERIES);
        Ok(())
    }
}

/// Whether a claim still stands: neither was the message recorded since, nor did its lease end and another began.
pub fn is_held(tx: &store::ReadTx<'_>, claimed: &Claimed) -> Result<bool, store::Error> {
    let held = tx.first(
        "SELECT 1 FROM deliveries WHERE id = ?1 AND state = 'sending' AND attempts = ?2",
        params![claimed.id.0, claimed.attempt],
        |_| Ok(()),
    )?;
    Ok(held.is_some())
}

/// When the oldest of the messages was written that a bundle stands for.
pub fn find_oldest_bundled(
    tx: &store::ReadTx<'_>,
    bundle: DeliveryId,
) -> Result<Option<Timestamp>, store::Error> {
    tx.one("SELECT min(created_at) FROM deliveries WHERE bundle_id = ?1", [bundle.0], |row| {
        rows::maybe_time(row, 0)
    })
}

/// What a process that died, or a worker that hangs, had claimed is due at once; a new process begins anew.
fn release_void_leases(tx: &WriteTx<'_>, now: Timestamp, boot: Uid) -> Result<(), store::Error> {
    tx.execute(
        "UPDATE deliveries SET state = 'pending', next_attempt_at = ?1, lease_until = NULL, lease_boot = NULL,
                tried_since = iif(lease_boot <> ?2, NULL, tried_since)
         WHERE state = 'sending' AND (lease_boot <> ?2 OR lease_until <= ?1)",
        params![now.as_micros(), boot.as_bytes()],
    )?;
    Ok(())
}

/// The proof of a try. The first one is when its incidents were sent, whatever came of it.
fn record_attempt(
    tx: &WriteTx<'_>,
    delivery: DeliveryId,
    attempt: &Attempt,
    outcome: AttemptOutcome,
) -> Result<(), store::Error> {
    let outcome = match outcome {
        AttemptOutcome::Delivered => "delivered",
        AttemptOutcome::Retryable => "retryable",
        AttemptOutcome::Permanent => "permanent",
    };
    let duration_us = i64::try_from(attempt.duration.as_micros()).unwrap_or(i64::MAX);
    let detail = crate::base::text::clip_middle(&attempt.detail, DETAIL_CHARS_MAX);
    tx.execute(
        "INSERT INTO delivery_attempts (delivery_id, number, at, duration_us, outcome, detail)
         SELECT id, attempts, ?2, ?3, ?4, ?5 FROM deliveries WHERE id = ?1",
        params![delivery.0, attempt.started_at.as_micros(), duration_us, outcome, detail],
    )?;
    tx.execute(
        "DELETE FROM delivery_attempts
         WHERE delivery_id = ?1 AND number <= (SELECT attempts FROM deliveries WHERE id = ?1) - ?2",
        params![delivery.0, ATTEMPTS_KEPT],
    )?;
    tx.execute(
        "UPDATE incidents SET first_sent_at = ?2
         WHERE first_sent_at IS NULL AND id IN (
             SELECT incident_id FROM deliveries WHERE id = ?1
             UNION SELECT incident_id FROM deliveries WHERE bundle_id = ?1)",
        params![delivery.0, attempt.started_at.as_micros()],
    )?;
    Ok(())
}

fn read_claimed(row: &store::Row<'_>) -> rusqlite::Result<Claimed> {
    Ok(Claimed {
        id: DeliveryId(row.get(0)?),
        uid: rows::uid(row, 1)?,
        project: row.get::<_, Option<i64>>(2)?.map(ProjectId),
        incident: row.get::<_, Option<i64>>(3)?.map(IncidentId),
        incident_uid: row.get::<_, Option<[u8; 16]>>(4)?.map(Uid::from_bytes),
        cause: rows::word(row, 5, Cause::parse)?,
        purpose: rows::word(row, 6, Purpose::parse)?,
        severity: rows::severity(row, 7)?,
        channel: ChannelId(row.get(8)?),
        recipient: row.get(9)?,
        content: rows::json(row, 10)?,
        quantity: row.get(11)?,
        attempt: row.get(12)?,
        created_at: rows::time(row, 13)?,
        thread: row.get(14)?,
        lease_until: rows::time(row, 15)?,
        follows: row.get::<_, Option<i64>>(16)?.map(DeliveryId),
        tried_since: rows::time(row, 17)?,
    })
}
