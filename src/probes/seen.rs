//! What one run of a probe saw: [`Raw`] as it came, [`Seen`] as others may have it.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::condition::Facts;

/// Facts for the conditions, times for the plot, and a sample to lay beside the last good one. Everything that can be
/// read in it is without secrets; made of [`Raw`] and of nothing else.
#[derive(Debug)]
pub struct Seen {
    /// `None`: it came to its end, and the conditions decide.
    pub failed: Option<Failed>,
    pub facts: Facts,
    pub phases: Phases,
    pub sample: Sample,
    /// What a report itself says of its trouble: more than that a condition does not hold.
    pub(super) words: Option<String>,
}

/// As it came, whole.
#[derive(Debug)]
pub struct Raw {
    pub failed: Option<Failed>,
    pub facts: Facts,
    pub phases: Phases,
    pub sample: Sample,
    /// Of whoever reports.
    pub words: Option<String>,
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
/// Longest line of a sample: a header, a banner.
const LINE_CHARS_MAX: usize = 500;
/// Of the name before a line.
const NAME_CHARS_MAX: usize = 100;
/// Of why it failed, or of what a report says.
const REASON_CHARS_MAX: usize = 500;

impl Raw {
    /// The only way from what came to what is shown, stored and told.
    pub fn seen(self) -> Seen {
        let Self { failed, facts, phases, sample, words } = self;
        let redactor = facts.redactor();
        let failed = failed
            .map(|failed| Failed { reason: redactor.own_words(&failed.reason, REASON_CHARS_MAX), ..failed });
        let line = |(name, value): (String, String)| {
            let shown = redactor.header(&name, &value, LINE_CHARS_MAX);
            (redactor.line(&name, NAME_CHARS_MAX), shown)
        };
        let sample = Sample {
            address: sample.address,
            head: redactor.line(&sample.head, LINE_CHARS_MAX),
            lines: sample.lines.into_iter().take(LINES_MAX).map(line).collect(),
            body: redactor.lines(&sample.body, BODY_CHARS_MAX),
        };
        let words = words.map(|words| redactor.line(&words, REASON_CHARS_MAX));
        Seen { failed, facts, phases, sample, words }
    }
}

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
