//! A destination: where the events of a source go, how often it is tried, and when it is left alone.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::SourceId;
use super::filter::Filter;
use crate::base::{Owner, ProjectId, Timestamp, Uid, span};
use crate::resilience::{Backoff, BreakerPolicy, RateRule};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DestinationId(pub i64);

/// A destination as it is stored. Its secrets stay sealed, with the context of [`Destination::context`].
#[derive(Clone, Debug, PartialEq)]
pub struct Destination {
    pub id: DestinationId,
    pub uid: Uid,
    pub source: SourceId,
    pub project: ProjectId,
    pub key: String,
    pub name: String,
    pub definition: Definition,
    pub sealed: Option<Vec<u8>>,
    pub owner: Owner,
    pub held: Option<Held>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Grows with each change by somebody.
    pub version: i64,
}

/// Nothing is sent; everything waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    pub at: Timestamp,
    /// Who held it, or why tocsin did.
    pub by: String,
}

/// What a person, or a file, says of a destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// What is dialled. The query that the provider sent is added to it.
    pub url: String,
    /// The address that the app believes to have, where that is another: some schemes sign it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_url: Option<String>,
    #[serde(default)]
    pub sign: Sign,
    /// Sent beside what the provider sent; a value may name a secret as `{{name}}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "takes_all")]
    pub filter: Filter,
    /// Events of one order key go one after the other; the next waits until the one before it is completed or dead.
    #[serde(default)]
    pub in_order: bool,
    /// For everything from the name look-up to the last byte of the answer; 1 s to 2 min.
    #[serde(default = "timeout", with = "span")]
    pub timeout: Duration,
    /// Under way at once; 1 to 100.
    #[serde(default = "concurrency")]
    pub concurrency: u16,
    /// At most so many a second; nothing: as many as there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<u16>,
    #[serde(default)]
    pub retry: Retry,
}

/// With what secret the provider's scheme is carried out anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// The source's newest secret: the app verifies with what the provider gave it.
    #[default]
    AsSource,
    /// A secret of the destination's own, named `signing`.
    Own,
    /// Not at all.
    Off,
}

/// When a failed delivery is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// The first wait; it doubles each time.
    #[serde(with = "span")]
    pub first: Duration,
    /// No wait is longer.
    #[serde(with = "span")]
    pub at_most: Duration,
    /// After this, counted from when it was due first, it is a dead letter.
    #[serde(with = "span")]
    pub give_up_after: Duration,
}

fn takes_all(filter: &Filter) -> bool {
    filter.types().is_empty() && filter.conditions().is_empty()
}

const fn timeout() -> Duration {
    Duration::from_secs(15)
}

const fn concurrency() -> u16 {
    8
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5),
            at_most: Duration::from_hours(1),
            give_up_after: Duration::from_hours(24),
        }
    }
}

impl Retry {
    pub const fn backoff(&self) -> Backoff {
        Backoff { base: self.first, cap: self.at_most, total: self.give_up_after }
    }
}

/// When a destination rests: after three failures in a row, or where half of at least ten calls in a minute failed.
pub const BREAKER: BreakerPolicy = BreakerPolicy {
    consecutive: 3,
    rate: Some(RateRule { share: 0.5, calls_min: 10, window: Duration::from_mins(1) }),
    open_for: Duration::from_secs(30),
    open_for_max: Duration::from_mins(10),
    probe_timeout: Duration::from_mins(3),
};

impl DestinationId {
    /// What its signals are called: `breaker`, `held`, `dead`, `backlog`, `failing` or `slow`.
    pub fn signal_key(self, what: &str) -> String {
        format!("webhook_{what}:{}", self.0)
    }

    /// All of them.
    pub fn signal_keys(self) -> [String; 6] {
        ["breaker", "held", "dead", "backlog", "failing", "slow"].map(|what| self.signal_key(what))
    }
}

impl Destination {
    /// With what its secrets are sealed.
    pub fn context(uid: Uid) -> String {
        format!("webhook_destination:{uid}")
    }
}
