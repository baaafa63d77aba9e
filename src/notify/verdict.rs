//! What follows from an attempt: the pure part of delivery.

use std::time::Duration;

use super::channel::{Failure, SendError, Sent};
use crate::base::Timestamp;
use crate::incidents::put_off::Unreached;
use crate::resilience::{Backoff, BreakerPolicy, CallOutcome, Next};

/// How stubbornly deliveries are tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeliveryPolicy {
    pub backoff: Backoff,
    pub breaker: BreakerPolicy,
}

impl Default for DeliveryPolicy {
    fn default() -> Self {
        Self {
            backoff: Backoff {
                base: Duration::from_secs(5),
                cap: Duration::from_mins(10),
                // A weekend without uplink must not silence Monday's first message.
                total: Duration::from_hours(72),
            },
            breaker: BreakerPolicy {
                consecutive: 3,
                rate: None,
                open_for: Duration::from_secs(30),
                open_for_max: Duration::from_mins(10),
                probe_timeout: Duration::from_mins(1),
            },
        }
    }
}

/// What to do with a delivery, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Delivered {
        remote_id: Option<String>,
        /// Who of several recipients did not get it.
        unreached: Unreached,
        /// When those who were put off are tried again.
        again_at: Timestamp,
    },
    /// Try again at `at`.
    Retry { at: Timestamp, reason: String },
    /// No attempt was made and none is counted: the channel rests or is paced.
    Deferred { at: Timestamp, reason: String },
    /// Never again by this channel. An incident's message goes to the next channel.
    Failed { reason: String, channel_broken: bool },
    /// Nobody is to get it any more. No attempt was made.
    Cancelled { reason: String },
}

impl Verdict {
    /// Why it is not out.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Delivered { .. } => None,
            Self::Retry { reason, .. }
            | Self::Deferred { reason, .. }
            | Self::Failed { reason, .. }
            | Self::Cancelled { reason } => Some(reason),
        }
    }
}

/// Where a delivery stands when an attempt ends.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// When it was first tried, since somebody or a process last began anew.
    pub due_at: Timestamp,
    /// Attempts, the one that just ended included.
    pub attempts: u32,
    pub now: Timestamp,
    /// What a peer's request to wait counts for at most.
    pub wait_max: Duration,
    /// 64 random bits.
    pub drawn: u64,
}

/// Judges an attempt.
pub fn judge(policy: &DeliveryPolicy, progress: Progress, result: &Result<Sent, SendError>) -> Verdict {
    let error = match result {
        Ok(sent) => {
            let (remote_id, unreached) = (sent.remote_id.clone(), sent.unreached.clone());
            // For who was put off this was the first of the attempts.
            let again_at = progress.now + policy.backoff.delay(1, progress.drawn);
            return Verdict::Delivered { remote_id, unreached, again_at };
        }
        Err(error) => error,
    };
    match error.failure {
        Failure::ChannelBroken => Verdict::Failed { reason: error.summary.clone(), channel_broken: true },
        Failure::MessageRefused => Verdict::Failed { reason: error.summary.clone(), channel_broken: false },
        Failure::Retryable { .. } | Failure::RecipientLater => {
            let Progress { due_at, attempts, now, wait_max, drawn } = progress;
            let retry_after = error.failure.retry_after().map(|wait| wait.min(wait_max));
            match policy.backoff.next(due_at, attempts, now, retry_after, drawn) {
                Next::At(at) => Verdict::Retry { at, reason: error.summary.clone() },
                Next::GiveUp => Verdict::Failed {
                    reason: format!("given up after {attempts} attempts: {}", error.summary),
                    channel_broken: false,
                },
            }
        }
    }
}

/// What the attempt says about the channel's health. A refusal of one message is an answer of a healthy peer, and
/// so is a request to slow down.
pub fn breaker_outcome(result: &Result<Sent, SendError>) -> CallOutcome {
    match result {
        Ok(_) => CallOutcome::Success,
        Err(error) => match error.failure {
            Failure::MessageRefused
            | Failure::RecipientLater
            | Failure::Retryable { retry_after: Some(_) } => CallOutcome::Success,
            Failure::ChannelBroken | Failure::Retryable { retry_after: None } => CallOutcome::Failure,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incidents::put_off::Missed;

    const START: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn failed(failure: Failure) -> Result<Sent, SendError> {
        Err(SendError { failure, summary: "no".to_owned(), detail: String::new(), cure: None })
    }

    fn judged(minutes: u64, attempts: u32, result: &Result<Sent, SendError>) -> Verdict {
        let now = START + Duration::from_mins(minutes);
        let wait_max = Duration::from_hours(1);
        let progress = Progress { due_at: START, attempts, now, wait_max, drawn: 0 };
        judge(&DeliveryPolicy::default(), progress, result)
    }

    #[test]
    fn permanent_failures_say_whether_the_channel_is_to_blame() {
        for (failure, channel_broken) in [(Failure::ChannelBroken, true), (Failure::MessageRefused, false)] {
            let expected = Verdict::Failed { reason: "no".to_owned(), channel_broken };
            assert_eq!(judged(0, 1, &failed(failure)), expected);
        }
    }

    #[test]
    fn a_peer_that_asks_to_wait_is_not_asked_sooner() {
        let patient = failed(Failure::Retryable { retry_after: Some(Duration::from_mins(30)) });
        let at = START + Duration::from_mins(30);
        assert_eq!(judged(0, 1, &patient), Verdict::Retry { at, reason: "no".to_owned() });
    }

    #[test]
    fn an_urgent_message_does_not_wait_as_long_as_it_was_asked_to() {
        let patient = failed(Failure::Retryable { retry_after: Some(Duration::from_mins(30)) });
        let wait_max = Duration::from_mins(5);
        let progress = Progress { due_at: START, attempts: 1, now: START, wait_max, drawn: 0 };
        let at = START + wait_max;
        let expected = Verdict::Retry { at, reason: "no".to_owned() };
        assert_eq!(judge(&DeliveryPolicy::default(), progress, &patient), expected);
    }

    #[test]
    fn after_three_days_it_is_given_up_aloud() {
        let later = failed(Failure::Retryable { retry_after: None });
        let Verdict::Failed { reason, channel_broken } = judged(72 * 60, 400, &later) else { panic!() };
        assert_eq!(reason, "given up after 400 attempts: no");
        assert!(!channel_broken);
    }

    #[test]
    fn who_is_put_off_is_tried_again_as_after_a_first_attempt() {
        let put_off = Missed { recipient: "bob@example.com".to_owned(), reason: "450".to_owned() };
        let unreached = Unreached { refused: Vec::new(), put_off: vec![put_off] };
        let sent = Sent { remote_id: None, unreached: unreached.clone(), detail: String::new() };
        // However many attempts the others took.
        let at = START + Duration::from_mins(90) + Duration::from_millis(2_500);
        let expected = Verdict::Delivered { remote_id: None, unreached, again_at: at };
        assert_eq!(judged(90, 12, &Ok(sent)), expected);
    }

    #[test]
    fn slowing_down_is_no_sickness() {
        let wait = Some(Duration::from_secs(1));
        for (failure, expected) in [
            (Failure::Retryable { retry_after: wait }, CallOutcome::Success),
            (Failure::Retryable { retry_after: None }, CallOutcome::Failure),
            (Failure::MessageRefused, CallOutcome::Success),
            (Failure::RecipientLater, CallOutcome::Success),
        ] {
            assert_eq!(breaker_outcome(&failed(failure)), expected);
        }
    }
}
