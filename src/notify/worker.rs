//! Makes one attempt at one message: minds the channel's pacing and breaker, sends, judges what came back. Knows no
//! table; who calls it claims before and records after.

use std::time::Duration;

use super::channel::{Channel, Failure, Outgoing, SendError, Sent, Transport};
use super::facts::{Facts, Story};
use super::message::Message;
use super::verdict::{DeliveryPolicy, Progress, Verdict, breaker_outcome, judge};
use crate::base::{Clock, Entropy, Severity, Timestamp, Uid};
use crate::incidents::Purpose;
use crate::incidents::channels::ChannelHealth;
use crate::incidents::deliveries::{Attempt, CRITICAL_PAUSE_MAX};
use crate::resilience::{Breaker, Refused};

/// Pacing up to this is waited for, a longer pause puts the message off.
const PACE_WAIT_MAX: Duration = Duration::from_secs(2);

/// Sends messages. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Worker {
    pub transport: Transport,
    pub policy: DeliveryPolicy,
    pub clock: Clock,
    pub entropy: Entropy,
}

/// One claimed delivery with everything it says.
#[derive(Clone, Debug)]
pub struct Letter {
    pub uid: Uid,
    pub facts: Facts,
    /// `remote_id` of the incident's first message in this channel, where one was delivered.
    pub thread: Option<String>,
    pub recipient: Option<String>,
    /// Attempts already made.
    pub attempts: u32,
    /// When it was first tried, since somebody or a process last began anew.
    pub due_at: Timestamp,
}

/// What became of a letter; to be written in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub verdict: Verdict,
    /// `None` where no attempt was made.
    pub attempt: Option<Attempt>,
    /// The channel's columns after it.
    pub health: ChannelHealth,
}

impl Letter {
    /// Whether it tells of a critical incident, which no pause may hold up for long.
    fn is_urgent(&self) -> bool {
        let is_alarm = matches!(self.facts.story, Story::Incident(_) | Story::Bundle(_));
        is_alarm && self.facts.severity == Severity::Critical
    }
}

impl Worker {
    /// Makes one attempt, unless the channel rests or is paced.
    pub async fn deliver(&self, channel: &Channel, health: ChannelHealth, letter: &Letter) -> Outcome {
        if let Err(verdict) = self.wait_for_turn(health.paced_until, letter).await {
            return Outcome { verdict, attempt: None, health };
        }
        let begun = self.clock.now();
        let mut breaker = Breaker::restore(health.failures, health.open_until, &self.policy.breaker);
        let call = match breaker.permit(begun, &self.policy.breaker) {
            Ok(call) => Some(call),
            // Somebody sits before the screen and asked for a test; it tells more than an open breaker.
            Err(_) if letter.facts.purpose() == Purpose::Test => None,
            Err(Refused::Open { until } | Refused::ProbeInFlight { until }) => {
                let at = until + self.entropy.jitter(Duration::from_secs(1), 1.0);
                let reason = "the channel rests after failures".to_owned();
                return Outcome { verdict: Verdict::Deferred { at, reason }, attempt: None, health };
            }
        };
        let result = self.attempt(channel, letter, begun).await;
        let ended = self.clock.now();
        if let Some(call) = call {
            breaker.record(call, breaker_outcome(&result), ended, &self.policy.breaker);
        }
        let progress = Progress {
            due_at: letter.due_at,
            attempts: letter.attempts.saturating_add(1),
            now: ended,
            wait_max: if letter.is_urgent() { CRITICAL_PAUSE_MAX } else { Duration::MAX },
            drawn: self.entropy.next_u64(),
        };
        let health = ChannelHealth {
            failures: breaker.failures(),
            open_until: breaker.open_until(),
            paced_until: paced_until(channel, &result, ended),
        };
        let verdict = judge(&self.policy, progress, &result);
        let attempt = Attempt { started_at: begun, duration: ended.since(begun), detail: detail(result) };
        Outcome { verdict, attempt: Some(attempt), health }
    }

    async fn attempt(&self, channel: &Channel, letter: &Letter, now: Timestamp) -> Result<Sent, SendError> {
        let message = Message::new(&letter.facts, now);
        let outgoing = Outgoing {
            facts: &letter.facts,
            message: &message,
            delivery: letter.uid,
            attempt: letter.attempts.saturating_add(1),
            thread: letter.thread.as_deref(),
            recipient: letter.recipient.as_deref(),
            now,
        };
        channel.send(&self.transport, outgoing).await
    }

    /// Waits out a short pause; a long one defers. An urgent letter is claimed in a long pause only when it has waited
    /// enough.
    async fn wait_for_turn(&self, paced_until: Option<Timestamp>, letter: &Letter) -> Result<(), Verdict> {
        let now = self.clock.now();
        let Some(until) = paced_until.filter(|until| *until > now) else { return Ok(()) };
        if until.since(now) > PACE_WAIT_MAX {
            if letter.is_urgent() {
                return Ok(());
            }
            return Err(Verdict::Deferred { at: until, reason: "the channel asked to wait".to_owned() });
        }
        self.clock.sleep_until(until).await;
        Ok(())
    }
}

/// No message before this: the channel's own pace, or what the peer asked for.
fn paced_until(channel: &Channel, result: &Result<Sent, SendError>, now: Timestamp) -> Option<Timestamp> {
    let pace = Some(channel.pace()).filter(|pace| !pace.is_zero()).map(|pace| now + pace);
    match result {
        Err(SendError { failure: Failure::Retryable { retry_after: Some(wait) }, .. }) => {
            Some(now + *wait).max(pace)
        }
        Ok(_) | Err(_) => pace,
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
