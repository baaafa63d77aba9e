//! What one run came to, and the part of it that is kept to lay a good and a bad one side by side.

use std::time::Duration;

use serde_json::json;

use crate::base::Timestamp;
use crate::base::text::clip;
use crate::probes::board::Outcome;
use crate::probes::condition::Value;
use crate::probes::judge::Reading;
use crate::probes::seen::{Phases, Sample, Seen};
use crate::probes::{Assessed, Checked, assess, outcomes};

/// A fact that conditions do not know: they ask how long is left.
pub const CERT_EXPIRES_AT: &str = "cert.expires_at";
/// Characters of an answer that are kept in memory; 5,000 probes keep one or two each.
const KEPT_BODY_CHARS_MAX: usize = 1_000;
const KEPT_LINES_MAX: usize = 20;

/// What one run came to, before it is known whether it counts.
#[derive(Debug)]
pub(in crate::prober) struct Run {
    /// When it began, by both clocks.
    pub(super) at: Timestamp,
    pub(super) began: Duration,
    pub(in crate::prober) reading: Reading,
    pub(in crate::prober) reason: String,
    /// A lost uplink would look the same.
    pub(super) may_be_ours: bool,
    pub(in crate::prober) phases: Phases,
    pub(in crate::prober) facts: Vec<(&'static str, String)>,
    pub(in crate::prober) sample: Sample,
    pub(in crate::prober) outcomes: Vec<Outcome>,
}

/// An answer as it was.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) at: Timestamp,
    /// Why it was not good; empty where it was.
    reason: String,
    phases: Phases,
    facts: Vec<(&'static str, String)>,
    sample: Sample,
}

impl Run {
    /// By itself: whose fault it is nobody has asked yet.
    pub(in crate::prober) fn of(checked: &Checked, at: Timestamp, began: Duration, seen: Seen) -> Self {
        let Assessed { reading, reason } = assess(checked, &seen);
        let may_be_ours = seen.failed.as_ref().is_some_and(|failed| failed.may_be_ours);
        let mut facts = seen.facts.shown();
        if let Some(Value::Number(seconds, _)) = seen.facts.get("cert.expires_in") {
            let left = Duration::try_from_secs_f64(seconds.abs()).unwrap_or_default();
            let expires = if *seconds < 0.0 { at - left } else { at + left };
            facts.push((CERT_EXPIRES_AT, expires.to_rfc3339()));
        }
        let outcomes = outcomes(checked, &seen);
        let Seen { phases, sample, .. } = seen;
        Self { at, began, reading, reason, may_be_ours, phases, facts, sample, outcomes }
    }

    /// As it is stored and shown.
    pub(in crate::prober) fn json(&self) -> String {
        written(&self.phases, &self.facts, &self.sample, &self.reason)
    }
}

impl Answer {
    /// Of a run, as much as is kept.
    pub(super) fn cut(run: &Run) -> Self {
        let Sample { address, head, lines, body } = run.sample.clone();
        let body = clip(&body, KEPT_BODY_CHARS_MAX).into_owned();
        let lines = lines.into_iter().take(KEPT_LINES_MAX).collect();
        let sample = Sample { address, head, lines, body };
        Self { at: run.at, reason: run.reason.clone(), phases: run.phases, facts: run.facts.clone(), sample }
    }

    /// As it is stored and shown.
    pub(super) fn json(&self) -> String {
        written(&self.phases, &self.facts, &self.sample, &self.reason)
    }
}

/// What was seen, as it is stored and shown.
pub(in crate::prober) fn written(
    phases: &Phases,
    facts: &[(&'static str, String)],
    sample: &Sample,
    reason: &str,
) -> String {
    let micros = |phase: Option<Duration>| phase.map(|phase| phase.as_micros());
    let facts: serde_json::Map<String, serde_json::Value> =
        facts.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
    json!({
        "reason": reason,
        "phases_us": {
            "dns": micros(phases.dns), "connect": micros(phases.connect), "tls": micros(phases.tls),
            "answer": micros(phases.answer), "transfer": micros(phases.transfer),
            "total": phases.total.as_micros(),
        },
        "facts": facts,
        "sample": sample,
    })
    .to_string()
}
