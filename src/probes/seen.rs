//! What one run of a probe saw.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::condition::Facts;

/// Facts for the conditions, times for the plot, and a sample to lay beside the last good one.
#[derive(Debug)]
pub struct Seen {
    /// `None`: it came to its end, and the conditions decide.
    pub failed: Option<Failed>,
    pub facts: Facts,
    pub phases: Phases,
    pub sample: Sample,
}

/// Why it did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    pub phase: Phase,
    /// One line that fits into an alarm: `connection refused`.
    pub reason: String,
    /// Whether a lost uplink of tocsin's own would look the same: then the canaries are asked before it counts.
    pub may_be_ours: bool,
}

/// Where the time went. A phase that did not come about has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    pub dns: Option<Duration>,
    pub connect: Option<Duration>,
    pub tls: Option<Duration>,
    /// From the question's last byte to the answer's first; of a database, the query.
    pub answer: Option<Duration>,
    /// From the answer's first byte to its last.
    pub transfer: Option<Duration>,
    pub total: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Before anything was sent: the definition itself cannot be carried out.
    Setup,
    Dns,
    Connect,
    Tls,
    Answer,
    Transfer,
}

/// The answer as people read it, without secrets and cut to what a page shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The address that was dialled.
    pub address: Option<IpAddr>,
    /// Such as `HTTP/1.1 200 OK`, a banner, a row.
    pub head: String,
    /// Names and values: headers, facts.
    pub lines: Vec<(String, String)>,
    pub body: String,
}

/// Lines of a sample.
pub const LINES_MAX: usize = 50;
/// Characters of a sample's body.
pub const BODY_CHARS_MAX: usize = 4_000;

impl Phase {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Dns => "name lookup",
            Self::Connect => "connection",
            Self::Tls => "TLS",
            Self::Answer => "answer",
            Self::Transfer => "transfer",
        }
    }
}

impl Failed {
    /// The definition itself cannot be carried out.
    pub fn setup(reason: impl Into<String>) -> Self {
        Self { phase: Phase::Setup, reason: reason.into(), may_be_ours: false }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.phase {
            Phase::Setup => f.write_str(&self.reason),
            phase => write!(f, "{}: {}", phase.as_str(), self.reason),
        }
    }
}
