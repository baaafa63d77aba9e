//! What follows from one attempt. Pure: an answer, the destination's plan and a draw in, a verdict out.

use std::time::Duration;

use super::destination::Retry;
use crate::base::Timestamp;
use crate::resilience::{CallOutcome, Next};

/// What came of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    Answered {
        status: u16,
        /// What the app asked for.
        retry_after: Option<Duration>,
    },
    /// No connection, no trust, or no time.
    Silent,
    /// The app was not even called: something of the destination is missing or wrong.
    Unsendable,
    /// What the request brought is gone, so there is nothing to send.
    Lost,
}

/// What becomes of the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Completed,
    Again {
        at: Timestamp,
        reason: Reason,
    },
    /// Nothing more is sent to this destination until somebody says so; the delivery waits with the others.
    Hold,
    Dead {
        reason: Reason,
    },
}

/// Why an attempt was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// 3xx: redirects are not followed.
    Moved,
    /// 429.
    Busy,
    /// Another 4xx.
    Refused,
    /// 5xx.
    Failed,
    /// A status that is none of these.
    Odd,
    Silent,
    Unsendable,
    Lost,
}

/// How far a delivery has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    pub began_at: Timestamp,
    /// Attempts since it began, this one included.
    pub tries: u32,
    pub now: Timestamp,
    /// 64 random bits.
    pub drawn: u64,
}

impl Reply {
    /// Of the answer, where one came.
    pub const fn status(self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(status),
            Self::Silent | Self::Unsendable | Self::Lost => None,
        }
    }
}

/// What follows. Only 2xx is success; everything else is tried again until the deadline: an app that answers 400
/// because of a bug takes the same event once the bug is gone.
pub fn judge(retry: &Retry, progress: Progress, reply: Reply) -> Verdict {
    let Err(reason) = refusal(reply) else { return Verdict::Completed };
    if let Reply::Answered { status: 410, .. } = reply {
        return Verdict::Hold;
    }
    if reason == Reason::Lost {
        return Verdict::Dead { reason };
    }
    let asked = match reply {
        Reply::Answered { retry_after, .. } => retry_after,
        Reply::Silent | Reply::Unsendable | Reply::Lost => None,
    };
    let Progress { began_at, tries, now, drawn } = progress;
    match retry.backoff().next(began_at, tries, now, asked, drawn) {
        Next::At(at) => Verdict::Again { at, reason },
        Next::GiveUp => Verdict::Dead { reason },
    }
}

/// What the breaker learns: an app that answers is there, unless it says that it cannot. `None`: nobody was called.
pub const fn breaker_outcome(reply: Reply) -> Option<CallOutcome> {
    match reply {
        Reply::Answered { status: 429 | 500.., .. } | Reply::Silent => Some(CallOutcome::Failure),
        Reply::Answered { .. } => Some(CallOutcome::Success),
        Reply::Unsendable | Reply::Lost => None,
    }
}

/// An answer in words, with a cure where one is known.
pub fn answered(status: u16) -> String {
    let cure = match status {
        300..=399 => "; redirects are not followed: enter the address that it leads to",
        401 | 403 => "; it does not believe the signature: check the signing secret on both sides",
        404 | 405 => "; nothing takes a webhook at this address: check it for a typing error",
        410 => "; nothing more is sent there until somebody resumes it",
        413 => "; the body is too large for it: raise the app's own limit",
        429 => "; it asks for patience: a bound on how many a second are sent would help",
        _ => "",
    };
    format!("the app answered {status}{cure}")
}

const fn refusal(reply: Reply) -> Result<(), Reason> {
    match reply {
        Reply::Answered { status, .. } => match status {
            200..=299 => Ok(()),
            300..=399 => Err(Reason::Moved),
            429 => Err(Reason::Busy),
            400..=499 => Err(Reason::Refused),
            500..=599 => Err(Reason::Failed),
            _ => Err(Reason::Odd),
        },
        Reply::Silent => Err(Reason::Silent),
        Reply::Unsendable => Err(Reason::Unsendable),
        Reply::Lost => Err(Reason::Lost),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BEGAN: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn answer(status: u16) -> Reply {
        Reply::Answered { status, retry_after: None }
    }

    fn after(tries: u32, age: Duration) -> Progress {
        Progress { began_at: BEGAN, tries, now: BEGAN + age, drawn: u64::MAX }
    }

    #[test]
    fn every_answer_has_its_verdict() {
        let first = Verdict::Again { at: BEGAN + Duration::from_secs(5), reason: Reason::Failed };
        let again = |reason| match first {
            Verdict::Again { at, .. } => Verdict::Again { at, reason },
            other => other,
        };
        let (success, failure) = (Some(CallOutcome::Success), Some(CallOutcome::Failure));
        for (reply, verdict, breaker) in [
            (answer(200), Verdict::Completed, success),
            (answer(204), Verdict::Completed, success),
            (answer(299), Verdict::Completed, success),
            (answer(199), again(Reason::Odd), success),
            (answer(301), again(Reason::Moved), success),
            (answer(400), again(Reason::Refused), success),
            (answer(404), again(Reason::Refused), success),
            (answer(410), Verdict::Hold, success),
            (answer(429), again(Reason::Busy), failure),
            (answer(500), again(Reason::Failed), failure),
            (answer(503), again(Reason::Failed), failure),
            (answer(999), again(Reason::Odd), failure),
            (Reply::Silent, again(Reason::Silent), failure),
            (Reply::Unsendable, again(Reason::Unsendable), None),
            (Reply::Lost, Verdict::Dead { reason: Reason::Lost }, None),
        ] {
            assert_eq!(judge(&Retry::default(), after(1, Duration::ZERO), reply), verdict, "{reply:?}");
            assert_eq!(breaker_outcome(reply), breaker, "{reply:?}");
        }
    }

    #[test]
    fn what_the_app_asks_for_is_waited_out() {
        let reply = Reply::Answered { status: 503, retry_after: Some(Duration::from_mins(30)) };
        let verdict = judge(&Retry::default(), after(1, Duration::ZERO), reply);
        let at = BEGAN + Duration::from_mins(30);
        assert_eq!(verdict, Verdict::Again { at, reason: Reason::Failed });
    }

    #[test]
    fn after_the_deadline_it_is_dead() {
        let dead = Verdict::Dead { reason: Reason::Failed };
        assert_eq!(judge(&Retry::default(), after(9, Duration::from_hours(24)), answer(500)), dead);
        let gone = judge(&Retry::default(), after(9, Duration::from_hours(24)), answer(410));
        assert_eq!(gone, Verdict::Hold, "whoever resumes it may still get it");
    }

    proptest! {
        #[test]
        fn nothing_is_tried_after_its_deadline_or_at_once(
            status in 100u16..1000, tries in 1u32..60, age in 0u64..200_000, drawn: u64, asked in 0u64..7200,
        ) {
            let retry = Retry::default();
            let now = BEGAN + Duration::from_secs(age);
            let progress = Progress { began_at: BEGAN, tries, now, drawn };
            let reply = Reply::Answered { status, retry_after: Some(Duration::from_secs(asked)) };
            if let Verdict::Again { at, .. } = judge(&retry, progress, reply) {
                prop_assert!(at.since(BEGAN) <= retry.give_up_after);
                prop_assert!(at.since(now) >= Duration::from_secs(asked).max(retry.first / 2));
            }
        }
    }
}
