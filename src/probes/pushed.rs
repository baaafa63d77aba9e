//! Reports to probes of kind push: what may be said, and the last one of each.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::condition::{Facts, Tree, Unit, Value};
use super::seen::{Phases, Raw, Sample, Seen};
use super::{ProbeId, Redactor, assess};
use crate::base::Timestamp;
use crate::store::{Error, ReadTx, WriteTx, params};

/// A report's body in bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// Of the message as it is stored.
const MESSAGE_CHARS_MAX: usize = 500;

/// What somebody reports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    pub status: Word,
    pub message: String,
    pub value: Option<f64>,
    /// The whole of it, where it is JSON.
    pub body: Option<Json>,
}

/// How it is, in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    #[default]
    Up,
    Degraded,
    Down,
}

/// A report that was stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub id: ProbeId,
    pub at: Timestamp,
    pub report: Report,
}

impl Word {
    /// Reads `up`, `degraded` or `down`, and what other monitors write for them.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "up" | "ok" | "healthy" | "pass" => Some(Self::Up),
            "degraded" | "warn" | "warning" => Some(Self::Degraded),
            "down" | "fail" | "unhealthy" | "error" => Some(Self::Down),
            _ => None,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => assess::DEGRADED,
            Self::Down => "down",
        }
    }
}

impl Report {
    /// As a run of the probe would have seen it.
    pub fn seen(&self, at: Timestamp, now: Timestamp) -> Seen {
        let mut facts = Facts::new(now);
        facts.set("status", Value::Text(self.status.as_str().to_owned()));
        facts.set("message", Value::Text(self.message.clone()));
        facts.set("age", Value::Number(now.since(at).as_secs_f64(), Unit::Seconds));
        if let Some(value) = self.value {
            facts.set("value", Value::Number(value, Unit::Plain));
        }
        let body = self.body.as_ref();
        if let Some(body) = body {
            facts.set_tree("body", Tree::of_json(body.clone()));
        }
        let sample = Sample {
            head: format!("{} {}", self.status.as_str(), self.message),
            body: body.map(Json::to_string).unwrap_or_default(),
            ..Sample::default()
        };
        Raw { failed: None, facts, phases: Phases::default(), sample, words: self.words() }.seen()
    }

    /// As it may lie on the disk.
    #[must_use]
    pub fn scrubbed(&self, redactor: &Redactor) -> Self {
        Self {
            status: self.status,
            message: redactor.text(&self.message, MESSAGE_CHARS_MAX),
            value: self.value,
            body: self.body.as_ref().map(|body| redactor.json(body)),
        }
    }

    /// The sender's own words for what is wrong.
    fn words(&self) -> Option<String> {
        match self.status {
            Word::Up => None,
            word if self.message.is_empty() => Some(format!("was reported as {}", word.as_str())),
            Word::Degraded | Word::Down => Some(self.message.clone()),
        }
    }
}

/// Stores a report as the last one of its probe.
///
/// # Errors
/// Where it cannot be written.
pub fn record(tx: &WriteTx<'_>, stored: &Stored) -> Result<(), Error> {
    let report = serde_json::to_string(&stored.report).unwrap_or_default();
    tx.execute(
        "INSERT INTO probe_reports (probe_id, at, report) VALUES (?1, ?2, ?3)
         ON CONFLICT (probe_id) DO UPDATE SET at = excluded.at, report = excluded.report",
        params![stored.id.0, stored.at.as_micros(), report],
    )?;
    Ok(())
}

/// The last report of a probe, where it came after `since` by tocsin's clock, after the last reading that was written,
/// and after the probe became what it is: what a stop kept from being judged, or did not come through.
pub fn unjudged(tx: &ReadTx<'_>, id: ProbeId, since: Timestamp) -> Result<Option<Stored>, Error> {
    tx.first(
        "SELECT reports.probe_id, reports.at, reports.report
         FROM probe_reports AS reports JOIN probe_states AS states ON states.probe_id = reports.probe_id
         WHERE reports.probe_id = ?1 AND reports.at > max(?2, coalesce(states.checked_at, 0), states.since)",
        params![id.0, since.as_micros()],
        |row| {
            let report: String = row.get(2)?;
            Ok(Stored {
                id: ProbeId(row.get(0)?),
                at: Timestamp::from_micros(row.get(1)?),
                report: serde_json::from_str(&report).unwrap_or_default(),
            })
        },
    )
}
