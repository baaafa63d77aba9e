//! Tests of a channel: one message that a person asks for, tried once, whatever the channel's state.

use std::time::Duration;

use serde_json::json;

use crate::base::{Severity, Timestamp, Uid};
use crate::store::{self, ReadTx, WriteTx, params};

use super::channels::{self, ChannelState};
use super::rows::{self, ChannelId, DeliveryId};
use super::{Cause, DELIVERIES, Error, Incidents, NewDelivery, Purpose};

/// A test that was not tried by then is given up: whoever waited for it has gone.
pub const TEST_LASTS: Duration = Duration::from_mins(2);

/// A test that is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    pub delivery: DeliveryId,
    /// It was neither tried nor put off: somebody should send it now.
    pub is_due: bool,
}

impl Incidents {
    /// Writes a test for `channel`. Its breaker is closed for it: a person wants to know now.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such channel.
    pub fn write_test(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        channel: ChannelId,
        asked_by: &str,
    ) -> Result<(DeliveryId, Uid), Error> {
        let known = tx.execute("UPDATE channels SET open_until = NULL WHERE id = ?1", [channel.0])?;
        if known == 0 {
            return Err(Error::NotFound("channel"));
        }
        let message = NewDelivery {
            project: None,
            incident: None,
            cause: Cause::Test,
            purpose: Purpose::Test,
            severity: Severity::Low,
            channel: Some(channel),
            recipient: None,
            content: json!({ "asked_by": asked_by }),
            quantity: 1,
        };
        let delivery = self.enqueue(tx, now, &message)?.ok_or(Error::NotFound("delivery"))?;
        let uid =
            tx.one("SELECT uid FROM deliveries WHERE id = ?1", [delivery.0], |row| rows::uid(row, 0))?;
        Ok((delivery, uid))
    }

    /// Draws the line under a test that was tried or is too old: a broken channel that took it is ready again, and
    /// what was not taken must not arrive tomorrow.
    pub fn end_test(&self, tx: &WriteTx<'_>, now: Timestamp, delivery: DeliveryId) -> Result<(), Error> {
        let ended = tx.execute(
            "UPDATE deliveries SET state = 'cancelled', next_attempt_at = NULL
             WHERE id = ?1 AND state = 'pending' AND (attempts > 0 OR created_at <= ?2)",
            params![delivery.0, (now - TEST_LASTS).as_micros()],
        )?;
        if ended > 0 {
            tx.touch(DELIVERIES);
        }
        let proven = tx.first(
            "SELECT channel_id FROM deliveries WHERE id = ?1 AND state = 'delivered' AND channel_id IS NOT NULL",
            [delivery.0],
            |row| row.get(0).map(ChannelId),
        )?;
        if let Some(channel) = proven
            && channels::find(tx, channel)?.is_some_and(|channel| channel.state == ChannelState::Broken)
        {
            self.resume_channel(tx, now, channel)?;
        }
        Ok(())
    }
}

/// Tests that are not over, the oldest first.
pub fn list(tx: &ReadTx<'_>, now: Timestamp, limit: u32) -> Result<Vec<Trial>, store::Error> {
    tx.all(
        "SELECT id, attempts = 0 AND next_attempt_at <= ?1 FROM deliveries
         WHERE state = 'pending' AND cause = 'test' AND (attempts > 0 OR next_attempt_at <= ?1 OR created_at <= ?2)
         ORDER BY id LIMIT ?3",
        params![now.as_micros(), (now - TEST_LASTS).as_micros(), limit],
        |row| Ok(Trial { delivery: DeliveryId(row.get(0)?), is_due: row.get(1)? }),
    )
}

/// The newest message to a channel's own recipients that was tried, or that is a test.
pub fn find_last(tx: &ReadTx<'_>, channel: ChannelId) -> Result<Option<Uid>, store::Error> {
    tx.first(
        "SELECT uid FROM deliveries WHERE channel_id = ?1 AND follows IS NULL AND (attempts > 0 OR cause = 'test')
         ORDER BY id DESC LIMIT 1",
        [channel.0],
        |row| rows::uid(row, 0),
    )
}
