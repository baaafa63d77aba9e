//! When a call was signed, and how far that may lie from now.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Invalid;
use crate::base::{Timestamp, span};
use crate::webhooks::pointer::Pointer;
use crate::webhooks::scheme::header::Aliases;
use crate::webhooks::scheme::refusal::Refusal;
use crate::webhooks::values::{Found, Wanted};

/// The time of a signature: where it stands, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stamp {
    pub place: Place,
    #[serde(default)]
    pub unit: Unit,
    /// How long ago it may have been signed.
    #[serde(default = "usual", with = "span")]
    pub past: Duration,
    /// How far it may lie in the future, since clocks differ.
    #[serde(default = "usual", with = "span")]
    pub future: Duration,
    /// How long ago the receiver's own library allows, where that is less: tocsin need not lose what is late.
    #[serde(default, with = "span::option", skip_serializing_if = "Option::is_none")]
    pub receiver_past: Option<Duration>,
}

/// Where the time stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In a header of its own.
    Headers(Aliases),
    /// In the header of the signature, as the pair of this key.
    Pair(String),
    /// Within the body, which is JSON. It is signed with the body and cannot be renewed.
    Pointer(Pointer),
}

/// How a time is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    #[default]
    /// Since 1970.
    Seconds,
    Milliseconds,
    /// `2026-01-02T03:04:05Z` (RFC 3339).
    Rfc3339,
}

/// What becomes of a delivery that goes out long after the call came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Late {
    /// The receiver's own verification accepts it at any time.
    Accepted,
    /// The receiver reads the time out of the body, which stays as it was: one that looks at it refuses what is older
    /// than `past`.
    TimeInBody { pointer: Pointer, past: Duration },
}

impl Late {
    pub const fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted)
    }
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str("a late delivery is signed anew and verifies"),
            Self::TimeInBody { pointer, past } => write!(
                f,
                "the time stands in the body ({pointer}) and cannot be renewed: an app that looks at it refuses what \
                 is delivered more than {} late",
                span::format(*past)
            ),
        }
    }
}

const fn usual() -> Duration {
    Duration::from_mins(5)
}

/// Retries may carry the time of the first try; beyond this a guard guards nothing.
const SPAN_MAX: Duration = Duration::from_hours(30 * 24);
const SPAN_MIN: Duration = Duration::from_secs(1);
/// More digits are no time of this world in any unit, and could not be counted.
const DIGITS_MAX: usize = 15;

impl Stamp {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let is_allowed = |span: &Duration| (SPAN_MIN..=SPAN_MAX).contains(span);
        let receiver_past = self.receiver_past.unwrap_or(self.past);
        if ![&self.past, &self.future, &receiver_past].into_iter().all(is_allowed) {
            return Err(Invalid::Field {
                field: "timestamp",
                reason: "past and future are between 1s and 30d",
            });
        }
        let is_word = |key: &str| (1..=20).contains(&key.len()) && key.chars().all(char::is_alphanumeric);
        match &self.place {
            Place::Pair(key) if !is_word(key) => Err(Invalid::Field {
                field: "timestamp",
                reason: "the key of a pair is 1 to 20 letters or digits",
            }),
            Place::Pair(_) | Place::Headers(_) | Place::Pointer(_) => Ok(()),
        }
    }

    /// The time of a signature that was right, from its text.
    pub(super) fn judge(&self, text: &str, now: Timestamp) -> Result<Timestamp, Refusal> {
        let malformed = || Refusal::TimeMalformed { place: self.place.says(), unit: self.unit.as_str() };
        let at = self.unit.read(text).ok_or_else(malformed)?;
        let (age, ahead) = (now.since(at), at.since(now));
        if age > self.past {
            return Err(Refusal::TooOld { age: whole(age), allowed: self.past });
        }
        if ahead > self.future {
            return Err(Refusal::TooNew { ahead: whole(ahead), allowed: self.future });
        }
        Ok(at)
    }

    /// The text of a time that stands within the body.
    pub(super) fn in_body(&self, pointer: &Pointer, body: &[u8]) -> Result<String, Refusal> {
        let wanted = Wanted::of([pointer]);
        let found = wanted.read(body).and_then(|values| wanted.find(&values, pointer).cloned());
        found.and_then(Found::text).ok_or_else(|| Refusal::TimeMissing { place: self.place.says() })
    }

    pub(super) fn write(&self, at: Timestamp) -> String {
        match self.unit {
            Unit::Seconds => at.as_secs().to_string(),
            Unit::Milliseconds => at.as_millis().to_string(),
            Unit::Rfc3339 => at.to_rfc3339(),
        }
    }
}

/// For people: parts of a second say nothing.
const fn whole(span: Duration) -> Duration {
    Duration::from_secs(span.as_secs())
}

impl Place {
    pub(super) fn says(&self) -> String {
        match self {
            Self::Headers(headers) => headers.first().to_owned(),
            Self::Pair(key) => format!("the pair {key} of the signature"),
            Self::Pointer(pointer) => format!("{pointer} of the body"),
        }
    }
}

impl Unit {
    /// `None` where the text is not written so. A number has no zero before it: one more would be the same time, and
    /// another text.
    fn read(self, text: &str) -> Option<Timestamp> {
        let number = || -> Option<i64> {
            let is_number = (1..=DIGITS_MAX).contains(&text.len())
                && !text.starts_with('0')
                && text.bytes().all(|digit| digit.is_ascii_digit());
            Some(text).filter(|_| is_number)?.parse().ok()
        };
        match self {
            Self::Seconds => number().map(Timestamp::from_secs),
            Self::Milliseconds => Some(Timestamp::from_micros(number()?.saturating_mul(1000))),
            Self::Rfc3339 => Timestamp::parse_rfc3339(text),
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "whole number of seconds since 1970",
            Self::Milliseconds => "whole number of milliseconds since 1970",
            Self::Rfc3339 => "time such as 2026-01-02T03:04:05Z",
        }
    }
}
