//! Sends what was claimed: channels side by side, one message at a time in each, and hands every outcome over the
//! moment it is known, so that a crash repeats as little as possible. Knows no table; who calls it claims before
//! and records after.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::channel::{Channel, Failure, Outgoing, SEND_TIMEOUT, SendError, Sent, Transport};
use super::facts::{Facts, Purpose};
use super::message::Message;
use super::verdict::{DeliveryPolicy, Progress, Verdict, breaker_outcome, judge};
use crate::base::{Clock, Entropy, Timestamp, Uid};
use crate::resilience::{Breaker, Refused};

/// Channels that are served at the same time; more than a team has.
const CHANNELS_AT_ONCE: usize = 8;
/// A run starts no attempt later than this after its beginning; what is left is given back.
const RUN_TIMEOUT: Duration = Duration::from_mins(1);
/// Pacing up to this is waited for, a longer pause ends the channel's turn.
const PACE_WAIT_MAX: Duration = Duration::from_secs(2);
/// A lease must be longer than a run and its last attempt.
pub const LEASE: Duration = RUN_TIMEOUT.saturating_add(SEND_TIMEOUT).saturating_add(Duration::from_secs(30));

/// Sends batches. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Worker {
    pub transport: Transport,
    pub policy: DeliveryPolicy,
    pub clock: Clock,
    pub entropy: Entropy,
}

/// What was claimed for one channel, in the order of sending.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `channels.id`
    pub channel_id: i64,
    pub channel: Channel,
    pub health: ChannelHealth,
    pub letters: Vec<Letter>,
}

/// The columns of a channel's row that the worker reads and changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelHealth {
    /// Failures in a row.
    pub failures: u32,
    pub open_until: Option<Timestamp>,
    pub paced_until: Option<Timestamp>,
}

/// One claimed delivery with everything it says.
#[derive(Clone, Debug)]
pub struct Letter {
    /// `deliveries.id`
    pub id: i64,
    pub uid: Uid,
    pub facts: Facts,
    /// `remote_id` of the incident's first message in this channel, where one was delivered.
    pub thread: Option<String>,
    pub recipient: Option<String>,
    /// Attempts already made.
    pub attempts: u32,
    /// When it first became due.
    pub due_at: Timestamp,
}

/// What became of one letter; to be written in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub delivery_id: i64,
    pub channel_id: i64,
    pub verdict: Verdict,
    /// `None` where no attempt was made.
    pub attempt: Option<Attempt>,
    /// The channel's columns after it.
    pub health: ChannelHealth,
}

/// A row of `delivery_attempts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    pub at: Timestamp,
    pub duration: Duration,
    /// `delivered`, `retryable` or `permanent`.
    pub outcome: &'static str,
    /// The answer or the dialogue, secrets masked, and the cure where one is known.
    pub detail: String,
}

/// What a run did, for its task's line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunReport {
    pub delivered: u32,
    pub retried: u32,
    pub deferred: u32,
    pub failed: u32,
}

impl Worker {
    /// Sends every batch and reports each letter to `records` as it ends. Letters whose run is cut off are not
    /// reported; their lease runs out.
    pub async fn run(&self, batches: Vec<Batch>, records: mpsc::Sender<Record>) -> RunReport {
        let turns = Arc::new(Semaphore::new(CHANNELS_AT_ONCE));
        let deadline = self.clock.now() + RUN_TIMEOUT;
        let mut running = JoinSet::new();
        for batch in batches {
            let (worker, turns, records) = (self.clone(), Arc::clone(&turns), records.clone());
            running.spawn(async move {
                // The semaphore is never closed; without a permit the batch would merely run at once.
                let _turn = turns.acquire().await;
                worker.serve(batch, deadline, &records).await
            });
        }
        let mut report = RunReport::default();
        while let Some(served) = running.join_next().await {
            // A batch that panicked reported what it finished; the rest comes back by its lease.
            let served = served.unwrap_or_default();
            report.delivered += served.delivered;
            report.retried += served.retried;
            report.deferred += served.deferred;
            report.failed += served.failed;
        }
        report
    }

    async fn serve(&self, batch: Batch, deadline: Timestamp, records: &mpsc::Sender<Record>) -> RunReport {
        let Batch { channel_id, channel, health, letters } = batch;
        let mut turn = Turn {
            breaker: Breaker::restore(health.failures, health.open_until, &self.policy.breaker),
            paced_until: health.paced_until,
            broken: None,
            threads: HashMap::new(),
            deadline,
        };
        let mut report = RunReport::default();
        for letter in letters {
            let delivery_id = letter.id;
            let (verdict, attempt) = self.deliver(&channel, letter, &mut turn).await;
            match &verdict {
                Verdict::Delivered { .. } => report.delivered += 1,
                Verdict::Retry { .. } => report.retried += 1,
                Verdict::Deferred { .. } => report.deferred += 1,
                Verdict::Failed { .. } => report.failed += 1,
            }
            let record = Record { delivery_id, channel_id, verdict, attempt, health: turn.health() };
            if records.send(record).await.is_err() {
                // Nobody records any more: sending further would only repeat itself after the restart.
                break;
            }
        }
        report
    }

    async fn deliver(
        &self,
        channel: &Channel,
        letter: Letter,
        turn: &mut Turn,
    ) -> (Verdict, Option<Attempt>) {
        if let Some(reason) = &turn.broken {
            return (Verdict::Failed { reason: reason.clone(), channel_broken: true }, None);
        }
        if let Err(deferred) = self.wait_for_turn(turn).await {
            return (deferred, None);
        }
        let begun = self.clock.now();
        let purpose = letter.facts.purpose();
        let call = match turn.breaker.permit(begun, &self.policy.breaker) {
            Ok(call) => Some(call),
            // Somebody sits before the screen and asked for a test; it tells more than an open breaker.
            Err(_) if purpose == Purpose::Test => None,
            Err(Refused::Open { until } | Refused::ProbeInFlight { until }) => {
                let at = until + self.entropy.jitter(Duration::from_secs(1), 1.0);
                return (Verdict::Deferred { at, reason: "the channel rests after failures" }, None);
            }
        };
        let result = self.attempt(channel, &letter, turn, begun).await;
        let ended = self.clock.now();
        if let Some(call) = call {
            let outcome = breaker_outcome(&result);
            turn.breaker.record(call, outcome, ended, &self.policy.breaker);
        }
        turn.learn(channel, &letter, &result, ended);
        let number = letter.attempts.saturating_add(1);
        let progress =
            Progress { due_at: letter.due_at, attempts: number, now: ended, drawn: self.entropy.next_u64() };
        let verdict = judge(&self.policy, progress, &result);
        let attempt = Attempt {
            number,
            at: begun,
            duration: ended.since(begun),
            outcome: outcome_name(&result),
            detail: detail(result),
        };
        (verdict, Some(attempt))
    }

    async fn attempt(
        &self,
        channel: &Channel,
        letter: &Letter,
        turn: &Turn,
        now: Timestamp,
    ) -> Result<Sent, SendError> {
        let message = Message::new(&letter.facts, now);
        let earlier = message.thread.and_then(|incident| turn.threads.get(&incident));
        let outgoing = Outgoing {
            facts: &letter.facts,
            message: &message,
            delivery: letter.uid,
            attempt: letter.attempts.saturating_add(1),
            thread: letter.thread.as_deref().or(earlier.map(String::as_str)),
            recipient: letter.recipient.as_deref(),
            now,
        };
        channel.send(&self.transport, outgoing).await
    }

    /// Waits out a short pause; a long one or the end of the run defers.
    async fn wait_for_turn(&self, turn: &Turn) -> Result<(), Verdict> {
        let now = self.clock.now();
        if let Some(until) = turn.paced_until.filter(|until| *until > now) {
            if until.since(now) > PACE_WAIT_MAX {
                return Err(Verdict::Deferred { at: until, reason: "the channel asked to wait" });
            }
            self.clock.sleep_until(until).await;
        }
        let now = self.clock.now();
        if now > turn.deadline {
            return Err(Verdict::Deferred { at: now, reason: "the run ended before its turn" });
        }
        Ok(())
    }
}

/// What a channel's turn has learned so far.
struct Turn {
    breaker: Breaker,
    paced_until: Option<Timestamp>,
    /// Why the channel is broken: the other letters need another way at once.
    broken: Option<String>,
    /// First messages that this run itself delivered, by incident.
    threads: HashMap<Uid, String>,
    deadline: Timestamp,
}

impl Turn {
    fn learn(
        &mut self,
        channel: &Channel,
        letter: &Letter,
        result: &Result<Sent, SendError>,
        now: Timestamp,
    ) {
        let pace = Some(channel.pace()).filter(|pace| !pace.is_zero()).map(|pace| now + pace);
        self.paced_until = match result {
            Ok(sent) => {
                let incident = match &letter.facts.story {
                    super::facts::Story::Incident(incident) => Some(incident.uid),
                    super::facts::Story::Digest(_)
                    | super::facts::Story::Bundle(_)
                    | super::facts::Story::Test(_)
                    | super::facts::Story::Account(_) => None,
                };
                if let (Some(incident), Some(remote_id)) = (incident, &sent.remote_id) {
                    self.threads.entry(incident).or_insert_with(|| remote_id.clone());
                }
                pace
            }
            Err(error) => match error.failure {
                Failure::Retryable { retry_after: Some(wait) } => Some(now + wait).max(pace),
                Failure::Retryable { retry_after: None } | Failure::MessageRefused => pace,
                Failure::ChannelBroken => {
                    self.broken = Some(error.summary.clone());
                    pace
                }
            },
        };
    }

    fn health(&self) -> ChannelHealth {
        ChannelHealth {
            failures: self.breaker.failures(),
            open_until: self.breaker.open_until(),
            paced_until: self.paced_until,
        }
    }
}

const fn outcome_name(result: &Result<Sent, SendError>) -> &'static str {
    match result {
        Ok(_) => "delivered",
        Err(error) => match error.failure {
            Failure::Retryable { .. } => "retryable",
            Failure::ChannelBroken | Failure::MessageRefused => "permanent",
        },
    }
}

/// Begins the line of an attempt's detail that says what would help.
pub const CURE: &str = "What to do: ";

fn detail(result: Result<Sent, SendError>) -> String {
    match result {
        Ok(sent) => sent.detail,
        Err(error) => {
            let cure = error.cure.map(|cure| format!("{CURE}{cure}"));
            let parts = [Some(error.summary), Some(error.detail).filter(|d| !d.is_empty()), cure];
            parts.into_iter().flatten().collect::<Vec<_>>().join("\n")
        }
    }
}

#[cfg(test)]
mod tests;
