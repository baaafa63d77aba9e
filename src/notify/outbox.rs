//! The body of the delivery task: claims what is due, has it sent, records what became of it.

use tokio::sync::mpsc;

use super::channel::{Channel, ChannelKind, Parts};
use super::load::{self, LoadError};
use super::verdict::Verdict;
use super::worker::{self, Batch, Letter, Record, RunReport, Worker};
use crate::base::seal::{SealError, Sealer};
use crate::base::{Entropy, Secret, Timestamp, Uid};
use crate::incidents::channels::{self, ChannelHealth, ChannelOwner, ChannelState};
use crate::incidents::deliveries::{Attempt, Claimed};
use crate::incidents::{self, Cause, ChannelId, DELIVERIES, DeliveryId, Incidents, NewDelivery, Purpose};
use crate::outbound::Reach;
use crate::store::{self, ReadTx, Store, WriteTx, params};

pub use super::load::LinkMaker;

/// Claimed in one run, one message per channel; more channels than a team has.
const CLAIM_MAX: u32 = 32;
/// Records that may wait for their commit; a full queue slows the sending.
const RECORDS_MAX: usize = 64;

/// Everything that a run needs. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    pub store: Store,
    pub incidents: Incidents,
    pub worker: Worker,
    pub sealer: Sealer,
    pub links: LinkMaker,
    /// This process's start; leases of another one are void.
    pub boot: Uid,
}

/// A message that cannot even be tried.
struct Unsendable {
    claimed: Claimed,
    reason: String,
    channel_broken: bool,
}

/// What was claimed, made ready.
#[derive(Default)]
struct Loaded {
    batches: Vec<Batch>,
    unsendable: Vec<Unsendable>,
    claimed: Vec<Claimed>,
}

impl Outbox {
    /// One bounded run; idempotent, at least once. A report of zeros means that nothing was due.
    pub async fn run(&self) -> Result<RunReport, incidents::Error> {
        let now = self.worker.clock.now();
        let (incidents, boot) = (self.incidents.clone(), self.boot);
        let claimed = self
            .store
            .write("deliveries.claim", move |tx| {
                for channel in channels::list(tx)?.iter().filter(|known| known.state == ChannelState::Ready) {
                    incidents.bundle_due(tx, now, channel.id)?;
                }
                incidents.claim_due(tx, now, boot, CLAIM_MAX).map_err(incidents::Error::from)
            })
            .await?;
        self.send(claimed, now).await
    }

    /// Sends one message now, whatever its channel's state: a test that somebody waits for.
    pub async fn send_now(&self, delivery: DeliveryId) -> Result<RunReport, incidents::Error> {
        let now = self.worker.clock.now();
        let (incidents, boot) = (self.incidents.clone(), self.boot);
        let claimed = self
            .store
            .write("deliveries.claim_one", move |tx| incidents.claim_one(tx, now, boot, delivery))
            .await?;
        self.send(vec![claimed], now).await
    }

    async fn send(&self, claimed: Vec<Claimed>, now: Timestamp) -> Result<RunReport, incidents::Error> {
        if claimed.is_empty() {
            return Ok(RunReport::default());
        }
        let outbox = self.clone();
        let loaded: Loaded = self.store.read(move |tx| outbox.load(tx, now, claimed)).await?;
        let mut failed = 0;
        for unsendable in loaded.unsendable {
            self.refuse(unsendable, now).await?;
            failed += 1;
        }
        let (sender, mut receiver) = mpsc::channel(RECORDS_MAX);
        let recording = async {
            while let Some(record) = receiver.recv().await {
                self.record(&loaded.claimed, record).await?;
            }
            Ok::<(), incidents::Error>(())
        };
        let (mut report, recorded) = tokio::join!(self.worker.run(loaded.batches, sender), recording);
        recorded?;
        report.failed += failed;
        Ok(report)
    }

    fn load(
        &self,
        tx: &ReadTx<'_>,
        now: Timestamp,
        claimed: Vec<Claimed>,
    ) -> Result<Loaded, incidents::Error> {
        let mut loaded = Loaded::default();
        for claimed in claimed {
            let Some(row) = channels::find(tx, claimed.channel)? else { continue };
            let channel = match self.open(&row) {
                Ok(channel) => channel,
                Err(reason) => {
                    loaded.unsendable.push(Unsendable { claimed, reason, channel_broken: true });
                    continue;
                }
            };
            let facts = match load::facts(tx, now, &claimed, &row.name, (&self.links, &self.sealer)) {
                Ok(facts) => facts,
                Err(LoadError::Store(error)) => return Err(error.into()),
                Err(error @ (LoadError::Content(_) | LoadError::Sealed(_) | LoadError::NoIncident)) => {
                    let reason = error.to_string();
                    loaded.unsendable.push(Unsendable { claimed, reason, channel_broken: false });
                    continue;
                }
            };
            let letter = Letter {
                id: claimed.id.0,
                uid: claimed.uid,
                facts,
                thread: claimed.thread.clone(),
                recipient: claimed.recipient.clone(),
                attempts: claimed.attempt.saturating_sub(1),
                due_at: claimed.created_at,
            };
            let health = worker::ChannelHealth {
                failures: row.health.failures,
                open_until: row.health.open_until,
                paced_until: row.health.paced_until,
            };
            loaded.batches.push(Batch { channel_id: row.id.0, channel, health, letters: vec![letter] });
            loaded.claimed.push(claimed);
        }
        Ok(loaded)
    }

    /// The channel behind a row. The operator's own may reach private addresses, the page's may not.
    pub fn open(&self, row: &channels::Channel) -> Result<Channel, String> {
        let opened: Result<Option<Secret>, SealError> =
            row.sealed.as_deref().map(|sealed| self.sealer.open(sealed, &seal_context(row.uid))).transpose();
        let secrets = opened.map_err(|error| error.to_string())?;
        let kind = match row.kind {
            channels::ChannelKind::Email => ChannelKind::Email,
            channels::ChannelKind::Slack => ChannelKind::Slack,
            channels::ChannelKind::Webhook => ChannelKind::Webhook,
        };
        let reach = match row.owner {
            ChannelOwner::Page => Reach::Public,
            ChannelOwner::Environment | ChannelOwner::File => Reach::Private,
        };
        Channel::parse(kind, &row.settings.to_string(), secrets.as_ref(), reach)
            .map_err(|error| error.to_string())
    }

    /// `channels.settings` and `channels.sealed` of a channel.
    pub fn seal(
        &self,
        channel: &Channel,
        uid: Uid,
    ) -> Result<(serde_json::Value, Option<Vec<u8>>), SealError> {
        let Parts { settings, secrets } = channel.parts();
        let sealed = secrets
            .map(|secrets| seal_secrets(&self.sealer, &self.worker.entropy, &secrets, uid))
            .transpose()?;
        Ok((serde_json::from_str(&settings).unwrap_or_default(), sealed))
    }

    async fn refuse(&self, unsendable: Unsendable, now: Timestamp) -> Result<(), incidents::Error> {
        let incidents = self.incidents.clone();
        let Unsendable { claimed, reason, channel_broken } = unsendable;
        self.store
            .write("deliveries.refuse", move |tx| {
                let attempt =
                    Attempt { started_at: now, duration: std::time::Duration::ZERO, detail: reason.clone() };
                incidents.record_failed(tx, now, claimed.id, &attempt, &reason)?;
                if channel_broken {
                    incidents.break_channel(tx, now, claimed.channel, &reason)?;
                }
                Ok(())
            })
            .await
    }

    async fn record(&self, claimed: &[Claimed], record: Record) -> Result<(), incidents::Error> {
        let Some(claimed) = claimed.iter().find(|claimed| claimed.id.0 == record.delivery_id).cloned() else {
            return Ok(());
        };
        let (incidents, now) = (self.incidents.clone(), self.worker.clock.now());
        self.store
            .write("deliveries.record", move |tx| write_record(tx, &incidents, now, &claimed, record))
            .await
    }
}

fn write_record(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    claimed: &Claimed,
    record: Record,
) -> Result<(), incidents::Error> {
    let id = claimed.id;
    channels::record_health(tx, claimed.channel, &health(record.health))?;
    let attempt = record.attempt.map(|made| Attempt {
        started_at: made.at,
        duration: made.duration,
        detail: made.detail,
    });
    let none = || Attempt { started_at: now, duration: std::time::Duration::ZERO, detail: String::new() };
    match record.verdict {
        Verdict::Delivered { remote_id } => {
            let attempt = attempt.unwrap_or_else(none);
            incidents.record_delivered(tx, now, id, &attempt, remote_id.as_deref())
        }
        Verdict::Retry { at, reason, fall_back } => {
            incidents.record_retry(tx, id, &attempt.unwrap_or_else(none), at, &reason)?;
            if fall_back { tell_another(tx, incidents, now, claimed) } else { Ok(()) }
        }
        Verdict::Deferred { at, reason } => Ok(give_back(tx, id, at, reason)?),
        Verdict::Failed { reason, channel_broken } => {
            incidents.record_failed(tx, now, id, &attempt.unwrap_or_else(none), &reason)?;
            if channel_broken {
                incidents.break_channel(tx, now, claimed.channel, &reason)?;
            }
            Ok(())
        }
    }
}

/// Nothing was tried: the claim is undone and no attempt counted.
fn give_back(tx: &WriteTx<'_>, id: DeliveryId, at: Timestamp, reason: &str) -> Result<(), store::Error> {
    tx.execute(
        "UPDATE deliveries SET state = 'pending', next_attempt_at = ?2, last_error = ?3, lease_until = NULL,
                lease_boot = NULL, attempts = max(attempts - 1, 0)
         WHERE id = ?1 AND state = 'sending'",
        params![id.0, at.as_micros(), reason],
    )?;
    tx.touch(DELIVERIES);
    Ok(())
}

/// A slow incident message gets a second way, once: the next ready channel, where no other knows of it.
fn tell_another(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    claimed: &Claimed,
) -> Result<(), incidents::Error> {
    let Some(incident) = claimed.incident.filter(|_| claimed.cause == Cause::Incident) else { return Ok(()) };
    let next = tx.first(
        "SELECT c.id FROM channels c
         WHERE c.state = 'ready' AND c.id <> ?2 AND NOT EXISTS (
             SELECT 1 FROM deliveries d
             WHERE d.incident_id = ?1 AND d.channel_id <> ?2 AND d.purpose = 'opened'
               AND d.state IN ('pending', 'sending', 'delivered', 'bundled'))
         ORDER BY c.position, c.id LIMIT 1",
        params![incident.0, claimed.channel.0],
        |row| row.get(0).map(ChannelId),
    )?;
    if next.is_some() {
        let message = NewDelivery {
            project: claimed.project,
            incident: Some(incident),
            cause: Cause::Incident,
            purpose: Purpose::Opened,
            severity: claimed.severity,
            channel: next,
            recipient: None,
            content: serde_json::json!({ "instead_of": claimed.id.0 }),
            quantity: 1,
        };
        incidents.enqueue(tx, now, &message)?;
    }
    Ok(())
}

const fn health(health: worker::ChannelHealth) -> ChannelHealth {
    ChannelHealth {
        failures: health.failures,
        open_until: health.open_until,
        paced_until: health.paced_until,
    }
}

/// Seals a channel's secrets (JSON) for its row.
pub fn seal_secrets(
    sealer: &Sealer,
    entropy: &Entropy,
    secrets: &Secret,
    uid: Uid,
) -> Result<Vec<u8>, SealError> {
    sealer.seal(entropy, secrets, &seal_context(uid))
}

/// Secrets open only in the channel they were sealed for.
fn seal_context(uid: Uid) -> String {
    format!("channel:{uid}")
}

#[cfg(test)]
mod tests;
