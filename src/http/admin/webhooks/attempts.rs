//! The tries to deliver, one after the other, with what came back.

use std::time::Duration;

use super::super::incident_words::Badge;
use super::super::moments::span;
use super::super::wording::When;
use super::body::visible;
use crate::base::Timestamp;
use crate::webhooks::delivery::Cause;
use crate::webhooks::queries::AttemptLine;

/// One try, as pages show it.
pub(super) struct Attempt {
    pub(super) number: i64,
    pub(super) badge: Badge,
    /// Why it was made.
    pub(super) cause: &'static str,
    pub(super) at: When,
    /// Empty where nobody knows.
    pub(super) took: String,
    /// Empty where it came through.
    pub(super) error: String,
    /// What the app answered, where it failed.
    pub(super) answer: String,
}

pub(super) fn shown(attempt: AttemptLine, now: Timestamp) -> Attempt {
    let took = attempt.duration_us.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0)));
    Attempt {
        number: attempt.number,
        badge: badge(attempt.status, took),
        cause: Cause::parse(&attempt.cause).map_or("", cause_word),
        at: When::new(attempt.started_at, now),
        took: took.map(took_words).unwrap_or_default(),
        error: visible(attempt.error.unwrap_or_default().as_bytes()),
        answer: visible(attempt.answer.unwrap_or_default().as_bytes()),
    }
}

const fn badge(status: Option<u16>, took: Option<Duration>) -> Badge {
    let (class, word) = match (status, took) {
        (Some(200..=299), _) => ("ok", "delivered"),
        (Some(_), _) => ("bad", "refused"),
        (None, Some(Duration::ZERO)) => ("bad", "not sent"),
        (None, Some(_)) => ("bad", "no answer"),
        (None, None) => ("warn", "cut off"),
    };
    Badge { class, word }
}

const fn cause_word(cause: Cause) -> &'static str {
    match cause {
        Cause::First => "the first try",
        Cause::Retry => "tried again by itself",
        Cause::Replay => "replayed by somebody",
        Cause::Probe => "one careful try after a rest",
    }
}

/// Below a millisecond there is nothing to tell apart.
fn took_words(took: Duration) -> String {
    if took < Duration::from_millis(1) { "less than 1 ms".to_owned() } else { span(took) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_try_says_how_it_ended() {
        let long = Some(Duration::from_millis(5));
        for (status, took, word) in [
            (Some(204), long, "delivered"),
            (Some(500), long, "refused"),
            (None, long, "no answer"),
            (None, Some(Duration::ZERO), "not sent"),
            (None, None, "cut off"),
        ] {
            assert_eq!(badge(status, took).word, word);
        }
    }
}
