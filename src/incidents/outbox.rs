//! Writes the messages: one row per channel, in the transaction of the cause.

use serde_json::{Value, json};

use crate::base::{ProjectId, Severity, Timestamp};
use crate::store::{self, WriteTx, params};

use super::rows::IncidentRow;
use super::{ChannelId, DELIVERIES, DeliveryId, IncidentId, Incidents, gather, routes};

/// Why a message exists; only incidents ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Incident,
    Account,
    Subscription,
    Report,
    Test,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The first message of an incident on a channel; everything later hangs on it.
    Opened,
    /// A further witness, or some that were gathered. `content.rings` says why it should be heard, or is null.
    Witness,
    Raised,
    RingAgain,
    Recovered,
    Digest,
    /// Stands for several messages, counted and listed.
    Bundle,
    Account,
    Test,
}

/// A message that no incident causes: of an account, a test, a report.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    pub project: Option<ProjectId>,
    pub incident: Option<IncidentId>,
    pub cause: Cause,
    pub purpose: Purpose,
    pub severity: Severity,
    /// `None`: it waits for a first channel.
    pub channel: Option<ChannelId>,
    /// `None`: the channel's own.
    pub recipient: Option<String>,
    /// A JSON object: what the renderer needs beyond the incident's rows.
    pub content: Value,
    /// How many messages it stands for.
    pub quantity: i64,
}

/// Messages that wait for a first channel, the fold included; older ones are folded into one counted row.
pub(super) const WAITING_MAX: i64 = 10_000;
/// Folded at once, so that not every message that waits has to fold one.
pub(super) const FOLDED_AT_ONCE: i64 = 1_000;

impl Cause {
    const ALL: [Self; 5] = [Self::Incident, Self::Account, Self::Subscription, Self::Report, Self::Test];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Incident => "incident",
            Self::Account => "account",
            Self::Subscription => "subscription",
            Self::Report => "report",
            Self::Test => "test",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == text)
    }
}

impl Purpose {
    const ALL: [Self; 9] = [
        Self::Opened,
        Self::Witness,
        Self::Raised,
        Self::RingAgain,
        Self::Recovered,
        Self::Digest,
        Self::Bundle,
        Self::Account,
        Self::Test,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Witness => "witness",
            Self::Raised => "raised",
            Self::RingAgain => "ring_again",
            Self::Recovered => "recovered",
            Self::Digest => "digest",
            Self::Bundle => "bundle",
            Self::Account => "account",
            Self::Test => "test",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == text)
    }
}

impl NewDelivery {
    /// A message about `incident` that its channel will send.
    pub(super) fn of(incident: &IncidentRow, purpose: Purpose, content: Value) -> Self {
        Self {
            project: incident.project,
            incident: Some(incident.id),
            cause: Cause::Incident,
            purpose,
            severity: incident.severity,
            channel: None,
            recipient: None,
            content,
            quantity: 1,
        }
    }
}

impl Incidents {
    /// Writes one message: due now on its channel, or waiting where it has none. It takes along what was gathered for
    /// that channel.
    ///
    /// Answers `None` where the incident's first message on this channel exists already.
    pub fn enqueue(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        message: &NewDelivery,
    ) -> Result<Option<DeliveryId>, store::Error> {
        let (state, due) = match message.channel {
            Some(_) => ("pending", Some(now.as_micros())),
            None => ("waiting", None),
        };
        let written = tx.first(
            "INSERT INTO deliveries
                 (uid, project_id, incident_id, cause, purpose, severity, channel_id, recipient, content, state,
                  quantity, created_at, next_attempt_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
             ON CONFLICT DO NOTHING
             RETURNING id",
            params![
                self.entropy.uid(now).as_bytes(),
                message.project.map(|project| project.0),
                message.incident.map(|incident| incident.0),
                message.cause.as_str(),
                message.purpose.as_str(),
                message.severity.as_str(),
                message.channel.map(|channel| channel.0),
                message.recipient,
                message.content.to_string(),
                state,
                message.quantity,
                now.as_micros(),
                due
            ],
            |row| row.get(0).map(DeliveryId),
        )?;
        tx.touch(DELIVERIES);
        match (message.incident, message.channel, written) {
            (Some(incident), Some(channel), Some(id)) => gather::take_along(tx, (incident, channel), id)?,
            (_, None, Some(_)) => self.fold_waiting(tx, now)?,
            (_, _, _) => {}
        }
        Ok(written)
    }

    /// Tells every channel of the incident's project that was not told yet; without any channel the message waits.
    pub(super) fn tell_all(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        incident: &IncidentRow,
    ) -> Result<Vec<ChannelId>, store::Error> {
        let channels = routes::ready_channels(tx, incident.project)?;
        let mut message = NewDelivery::of(incident, Purpose::Opened, json!({}));
        if channels.is_empty() {
            self.enqueue(tx, now, &message)?;
            return Ok(Vec::new());
        }
        let mut newly_told = Vec::new();
        for channel in channels {
            message.channel = Some(channel);
            if self.enqueue(tx, now, &message)?.is_some() {
                newly_told.push(channel);
            }
        }
        Ok(newly_told)
    }

    /// Posts to the channels that know of the incident, except `skip`, which hear it in a message of their own.
    pub(super) fn post_to_thread(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        message: &mut NewDelivery,
        skip: &[ChannelId],
    ) -> Result<(), store::Error> {
        let Some(incident) = message.incident else { return Ok(()) };
        for channel in told_channels(tx, incident)?.into_iter().filter(|channel| !skip.contains(channel)) {
            message.channel = Some(channel);
            self.enqueue(tx, now, message)?;
        }
        Ok(())
    }

    /// Keeps at most [`WAITING_MAX`] messages waiting: the oldest go into a row that counts such. A message costs the
    /// look at a kept number, and every [`FOLDED_AT_ONCE`]th the fold.
    pub(super) fn fold_waiting(&self, tx: &WriteTx<'_>, now: Timestamp) -> Result<(), store::Error> {
        while count_waiting(tx)? > WAITING_MAX {
            let fold = self.open_fold(tx, now)?;
            tx.execute(
                "UPDATE deliveries SET quantity = quantity + (
                     SELECT ifnull(sum(quantity), 0) FROM (
                         SELECT quantity FROM deliveries WHERE state = 'waiting' AND purpose <> 'bundle'
                         ORDER BY id LIMIT ?2))
                 WHERE id = ?1",
                params![fold.0, FOLDED_AT_ONCE],
            )?;
            let folded = tx.execute(
                "UPDATE deliveries SET state = 'bundled', bundle_id = ?1 WHERE id IN (
                     SELECT id FROM deliveries WHERE state = 'waiting' AND purpose <> 'bundle'
                     ORDER BY id LIMIT ?2)",
                params![fold.0, FOLDED_AT_ONCE],
            )?;
            if folded == 0 {
                break;
            }
        }
        Ok(())
    }

    /// The waiting row that counts what it stands for.
    pub(super) fn open_fold(&self, tx: &WriteTx<'_>, now: Timestamp) -> Result<DeliveryId, store::Error> {
        if let Some(fold) = find_waiting_fold(tx)? {
            return Ok(fold);
        }
        tx.insert(
            "INSERT INTO deliveries (uid, cause, purpose, severity, content, state, quantity, created_at)
             VALUES (?1, 'incident', 'bundle', 'high', '{\"reason\":\"waiting_full\"}', 'waiting', 0, ?2)",
            params![self.entropy.uid(now).as_bytes(), now.as_micros()],
        )
        .map(DeliveryId)
    }
}

fn count_waiting(tx: &WriteTx<'_>) -> Result<i64, store::Error> {
    tx.one("SELECT count FROM deliveries_waiting_count", [], |row| row.get(0))
}

fn find_waiting_fold(tx: &WriteTx<'_>) -> Result<Option<DeliveryId>, store::Error> {
    tx.first(
        "SELECT id FROM deliveries INDEXED BY deliveries_waiting_fold
         WHERE state = 'waiting' AND purpose = 'bundle' LIMIT 1",
        [],
        |row| row.get(0).map(DeliveryId),
    )
}

/// The ready channels that know of an incident, or will as soon as their first message is sent.
pub(super) fn told_channels(tx: &WriteTx<'_>, incident: IncidentId) -> Result<Vec<ChannelId>, store::Error> {
    tx.all(
        "SELECT c.id FROM deliveries d JOIN channels c ON c.id = d.channel_id
         WHERE d.incident_id = ?1 AND d.purpose = 'opened' AND d.follows IS NULL
           AND d.state IN ('pending', 'sending', 'delivered', 'bundled') AND c.state = 'ready'
         ORDER BY c.position, c.id LIMIT ?2",
        params![incident.0, super::channels::CHANNELS_MAX],
        |row| row.get(0).map(ChannelId),
    )
}
