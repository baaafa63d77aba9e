//! A ping as it comes in, from whoever sent it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Slug, Written};
use crate::base::{ProjectId, Timestamp};

/// A heartbeat's number; its signals carry the key `heartbeat:{number}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HeartbeatId(pub i64);

impl HeartbeatId {
    /// What its signals are called.
    pub fn signal_key(self) -> String {
        format!("heartbeat:{}", self.0)
    }

    /// The heartbeat whose signals are called so.
    pub fn of_signal_key(key: &str) -> Option<Self> {
        Some(Self(key.strip_prefix("heartbeat:")?.parse().ok()?))
    }
}

/// What a ping says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Success,
    /// A run began.
    Start,
    Fail,
    /// Something to read later; changes nothing.
    Log,
    /// A run ended with this status: 0 is a success, all else a failure.
    Exit(u8),
}

/// One ping, within its bounds and without secrets.
#[derive(Clone, Debug)]
pub struct Ping {
    pub target: Target,
    pub at: Timestamp,
    pub action: Action,
    /// Which start belongs to which end.
    pub rid: Option<[u8; 16]>,
    /// `GET`, `HEAD`, `POST`; empty where it came another way.
    pub method: &'static str,
    pub source: Origin,
    pub agent: String,
    pub address: String,
    /// What the job wrote, scrubbed, as much as is kept.
    pub body: Vec<u8>,
    /// Bytes of it that came.
    pub body_bytes: u64,
    /// How long the run took by the sender's own account.
    pub took: Option<Duration>,
    /// For people, beside the run.
    pub note: String,
}

/// Whom a ping is for.
#[derive(Clone, Debug)]
pub enum Target {
    Known(HeartbeatId),
    /// Made where the project has none of this slug.
    Create {
        project: ProjectId,
        slug: Slug,
    },
    /// As Sentry's SDKs do it: `definition` makes it, and changes it where it was not made by a person or a file.
    Upsert {
        project: ProjectId,
        slug: Slug,
        definition: Option<Box<Written>>,
    },
}

/// Which way a ping came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Http,
    Sentry,
}

/// What became of a ping. It is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Recorded,
    /// For a heartbeat that was made for it.
    Created,
    /// Nothing was recorded: there is no such heartbeat, or no more.
    Unknown,
    /// Nothing was recorded: no more heartbeats can be made.
    Full,
    /// Nothing was recorded: too many of its project were made in the last minute.
    TooFast,
}

/// A user agent is cut here.
pub const AGENT_CHARS_MAX: usize = 200;

impl Action {
    pub const fn exit_status(self) -> Option<u8> {
        match self {
            Self::Exit(status) => Some(status),
            Self::Success | Self::Start | Self::Fail | Self::Log => None,
        }
    }
}

impl Origin {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Sentry => "sentry",
        }
    }
}

impl Ping {
    /// What it holds in memory, about.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.agent.len() + self.address.len() + self.body.len() + self.note.len()
    }
}
