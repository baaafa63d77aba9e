//! The body of the delivery task: claims what is due, has it sent, records what became of it.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::channel::Channel;
use super::load::{self, LoadError};
use super::verdict::Verdict;
use super::worker::{Letter, Outcome, Worker};
use crate::accounts;
use crate::base::seal::{SealError, Sealer};
use crate::base::{Entropy, Secret, Timestamp, Uid};
use crate::incidents::channels::{self, ChannelHealth, ChannelOwner, ChannelState};
use crate::incidents::deliveries::{self, Attempt, Blame, Claimed, Receipt, Refusal};
use crate::incidents::put_off::Unreached;
use crate::incidents::{self, Cause, DeliveryId, Incidents};
use crate::outbound::Reach;
use crate::store::{self, ReadTx, Store, WriteTx};

pub use super::load::LinkMaker;

/// Claimed in one run, one message per channel: as many as there may be channels.
const CLAIM_MAX: u32 = 100;
/// Between two tries to write down what became of a message, at first and at most.
const RECORD_AGAIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// What could not be read is looked at again after this.
const LOAD_AGAIN: Duration = Duration::from_secs(5);

/// Everything that a run needs. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    pub store: Store,
    pub incidents: Incidents,
    pub worker: Worker,
    pub sealer: Sealer,
    pub links: LinkMaker,
    pub flights: Flights,
}

/// The messages that this process has under way, each a task of its own: a slow channel delays nobody else's. At most one per
/// channel, for a channel that sends is not claimed for. Cheap to clone; clones share.
#[derive(Clone)]
pub struct Flights {
    /// This process's start; leases of another one are void.
    boot: Uid,
    tracker: TaskTracker,
    ended: Arc<Mutex<RunReport>>,
}

/// What a run began, and what ended since the run before it, for the task's line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunReport {
    pub begun: u32,
    pub delivered: u32,
    pub retried: u32,
    pub deferred: u32,
    pub failed: u32,
}

/// A claimed message, as far as it could be made ready.
enum Loaded {
    Ready {
        channel: Channel,
        health: ChannelHealth,
        letter: Box<Letter>,
    },
    /// It cannot even be tried.
    Unsendable {
        reason: String,
        channel_broken: bool,
    },
    /// Who was put off is no recipient any more.
    Unwanted {
        reason: String,
    },
}

impl Flights {
    pub fn new(boot: Uid) -> Self {
        Self { boot, tracker: TaskTracker::new(), ended: Arc::default() }
    }

    /// Waits until nothing is under way; nothing begins from now on.
    pub async fn finish(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    fn note(&self, verdict: &Verdict) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        match verdict {
            Verdict::Delivered { .. } => ended.delivered += 1,
            Verdict::Retry { .. } => ended.retried += 1,
            Verdict::Deferred { .. } => ended.deferred += 1,
            Verdict::Failed { .. } => ended.failed += 1,
            Verdict::Cancelled { .. } => {}
        }
    }

    fn take(&self) -> RunReport {
        std::mem::take(&mut self.ended.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Outbox {
    /// Begins to send what is due, one message per channel, and does not wait for it: the commit that records the
    /// outcome wakes the next run. Idempotent, at least once. A report of zeros means that nothing was due.
    pub async fn run(&self) -> Result<RunReport, incidents::Error> {
        // From here on a stop waits for what this run begins.
        let _flight = self.flights.tracker.token();
        if self.flights.tracker.is_closed() {
            return Ok(RunReport::default());
        }
        let now = self.worker.clock.now();
        let (incidents, boot) = (self.incidents.clone(), self.flights.boot);
        let claimed = self
            .store
            .write("deliveries.claim", move |tx| {
                for channel in channels::list(tx)?.iter().filter(|known| known.state == ChannelState::Ready) {
                    incidents.bundle_due(tx, now, channel.id)?;
                }
                incidents.claim_due(tx, now, boot, CLAIM_MAX).map_err(incidents::Error::from)
            })
            .await?;
        let begun = self.begin_all(claimed).await?;
        Ok(RunReport { begun, ..self.flights.take() })
    }

    /// Begins what was claimed and answers how many; where the stop came meanwhile, the next process sends it.
    async fn begin_all(&self, claimed: Vec<Claimed>) -> Result<u32, incidents::Error> {
        if !self.flights.tracker.is_closed() {
            let begun = u32::try_from(claimed.len()).unwrap_or(u32::MAX);
            for claimed in claimed {
                drop(self.begin(claimed));
            }
            return Ok(begun);
        }
        let (incidents, now) = (self.incidents.clone(), self.worker.clock.now());
        let give_back = move |tx: &WriteTx<'_>| {
            claimed.iter().try_for_each(|claimed| incidents.give_back(tx, claimed.id, now, "tocsin stopped"))
        };
        self.store.write("deliveries.give_back", give_back).await?;
        Ok(0)
    }

    /// Sends one message now, whatever its channel's state, and waits for what became of it: a test that somebody
    /// wants. `None` where the program failed over it; its row tells more.
    ///
    /// # Errors
    /// [`incidents::Error::NotFound`] where it is not pending.
    pub async fn send_now(&self, delivery: DeliveryId) -> Result<Option<Verdict>, incidents::Error> {
        let _flight = self.flights.tracker.token();
        let now = self.worker.clock.now();
        let (incidents, boot) = (self.incidents.clone(), self.flights.boot);
        let claimed = self
            .store
            .write("deliveries.claim_one", move |tx| incidents.claim_one(tx, now, boot, delivery))
            .await?;
        Ok(self.begin(claimed).await.ok())
    }

    fn begin(&self, claimed: Claimed) -> JoinHandle<Verdict> {
        let outbox = self.clone();
        self.flights.tracker.spawn(async move { outbox.send(claimed).await })
    }

    /// From the claim to the record, whatever happens between them.
    async fn send(&self, claimed: Claimed) -> Verdict {
        let now = self.worker.clock.now();
        let (outbox, delivery) = (self.clone(), claimed.clone());
        let loaded = self.store.read_reserved(move |tx| outbox.load(tx, now, &delivery)).await;
        let (verdict, attempt, health) = match loaded {
            Ok(Loaded::Ready { channel, health, letter }) => {
                let Outcome { verdict, attempt, health } =
                    self.worker.deliver(&channel, health, &letter).await;
                (verdict, attempt, Some(health))
            }
            Ok(Loaded::Unsendable { reason, channel_broken }) => {
                (Verdict::Failed { reason, channel_broken }, None, None)
            }
            Ok(Loaded::Unwanted { reason }) => (Verdict::Cancelled { reason }, None, None),
            Err(error) => {
                let reason = format!("the message could not be made: {error}");
                (Verdict::Deferred { at: now + LOAD_AGAIN, reason }, None, None)
            }
        };
        self.record(Record { claimed, verdict: verdict.clone(), attempt, health }).await;
        self.flights.note(&verdict);
        verdict
    }

    fn load(&self, tx: &ReadTx<'_>, now: Timestamp, claimed: &Claimed) -> Result<Loaded, incidents::Error> {
        let row = channels::find(tx, claimed.channel)?.ok_or(incidents::Error::NotFound("channel"))?;
        let channel = match self.open(&row) {
            Ok(channel) => channel,
            Err(reason) => return Ok(Loaded::Unsendable { reason, channel_broken: true }),
        };
        let put_off = claimed.recipient.as_deref().filter(|_| claimed.follows.is_some());
        if let Some(gone) = put_off.filter(|recipient| !channel.reaches(recipient)) {
            let reason = format!("{gone} is not among the channel's recipients any more");
            return Ok(Loaded::Unwanted { reason });
        }
        let facts = match load::facts(tx, now, claimed, &row.name, (&self.links, &self.sealer)) {
            Ok(facts) => facts,
            Err(LoadError::Store(error) | LoadError::Accounts(accounts::Error::Store(error))) => {
                return Err(error.into());
            }
            Err(error) => {
                return Ok(Loaded::Unsendable { reason: error.to_string(), channel_broken: false });
            }
        };
        let letter = Letter {
            uid: claimed.uid,
            facts,
            thread: claimed.thread.clone(),
            recipient: claimed.recipient.clone(),
            attempts: claimed.attempt.saturating_sub(1),
            due_at: claimed.tried_since,
        };
        Ok(Loaded::Ready { channel, health: row.health, letter: Box::new(letter) })
    }

    /// The channel behind a row. The operator's own may reach private addresses, the page's may not.
    pub fn open(&self, row: &channels::Channel) -> Result<Channel, String> {
        let opened: Result<Option<Secret>, SealError> =
            row.sealed.as_deref().map(|sealed| self.sealer.open(sealed, &seal_context(row.uid))).transpose();
        let secrets = opened.map_err(|error| error.to_string())?;
        let reach = match row.owner {
            ChannelOwner::Page => Reach::Public,
            ChannelOwner::Environment | ChannelOwner::File => Reach::Private,
        };
        Channel::parse(row.kind, &row.settings.to_string(), secrets.as_ref(), reach)
            .map_err(|error| error.to_string())
    }

    /// Writes down what became of a message. A full writer or disk is waited out until the lease ends: what is out
    /// must not be sent again because nobody could note it.
    async fn record(&self, record: Record) {
        let until = record.claimed.lease_until;
        let mut wait = RECORD_AGAIN.0;
        loop {
            let (incidents, now) = (self.incidents.clone(), self.worker.clock.now());
            let written = record.clone();
            let write = move |tx: &WriteTx<'_>| written.write(tx, &incidents, now);
            let Err(error) = self.store.write("deliveries.record", write).await else { return };
            let lasting =
                !matches!(error, incidents::Error::Store(_)) || is_stopping(&error) || now + wait > until;
            if lasting {
                let delivery = record.claimed.uid;
                tracing::error!(%error, %delivery, "the outcome of a message was not recorded; it may be sent twice");
                return;
            }
            self.worker.clock.sleep_until(now + wait).await;
            wait = (wait * 2).min(RECORD_AGAIN.1);
        }
    }
}

const fn is_stopping(error: &incidents::Error) -> bool {
    matches!(error, incidents::Error::Store(store::Error::Stopped))
}

/// What became of a claimed message.
#[derive(Clone)]
struct Record {
    claimed: Claimed,
    verdict: Verdict,
    attempt: Option<Attempt>,
    /// `None` where the channel was not asked.
    health: Option<ChannelHealth>,
}

impl Record {
    fn write(self, tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp) -> Result<(), incidents::Error> {
        let Self { claimed, verdict, attempt, health } = self;
        let id = claimed.id;
        // After its lease another flight has it, and what that one learns counts; only that it is out stays true.
        if !matches!(verdict, Verdict::Delivered { .. }) && !deliveries::is_held(tx, &claimed)? {
            return Ok(());
        }
        if let Some(health) = health {
            channels::record_health(tx, now, claimed.channel, &health)?;
        }
        let was_asked = attempt.is_some();
        let attempt = attempt.unwrap_or_else(|| Attempt {
            started_at: now,
            duration: Duration::ZERO,
            detail: verdict.reason().unwrap_or_default().to_owned(),
        });
        match &verdict {
            Verdict::Delivered { remote_id, unreached, again_at } => {
                let unreached = for_good(unreached, claimed.cause);
                let receipt =
                    Receipt { remote_id: remote_id.as_deref(), unreached: &unreached, again_at: *again_at };
                incidents.record_delivered(tx, now, id, &attempt, receipt)
            }
            Verdict::Retry { at, reason } => incidents.record_retry(tx, id, &attempt, *at, reason),
            Verdict::Deferred { at, reason } => Ok(incidents.give_back(tx, id, *at, reason)?),
            Verdict::Failed { reason, channel_broken } => {
                let blame = match (*channel_broken, was_asked) {
                    (false, _) => Blame::Message,
                    (true, true) => Blame::Channel,
                    (true, false) => Blame::Settings,
                };
                let refusal = Refusal { reason, blame };
                incidents.record_failed(tx, now, id, &attempt, refusal).map(drop)
            }
            Verdict::Cancelled { reason } => Ok(incidents.record_cancelled(tx, id, reason)?),
        }
    }
}

/// A test is tried once: whom it was put off for does not get it.
fn for_good(unreached: &Unreached, cause: Cause) -> Cow<'_, Unreached> {
    match cause {
        Cause::Test => {
            let refused = [&unreached.refused[..], &unreached.put_off].concat();
            Cow::Owned(Unreached { refused, put_off: Vec::new() })
        }
        Cause::Incident | Cause::Account | Cause::Subscription | Cause::Report => Cow::Borrowed(unreached),
    }
}

/// Seals a channel's secrets (JSON), if it has any, for its row.
pub fn seal_secrets(
    sealer: &Sealer,
    entropy: &Entropy,
    secrets: Option<&Secret>,
    uid: Uid,
) -> Result<Option<Vec<u8>>, SealError> {
    secrets.map(|secrets| sealer.seal(entropy, secrets, &seal_context(uid))).transpose()
}

/// Secrets open only in the channel they were sealed for.
pub fn seal_context(uid: Uid) -> String {
    format!("channel:{uid}")
}

#[cfg(test)]
mod tests;
