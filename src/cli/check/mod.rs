//! The readiness test: every part, side by side, each with a verdict and a cure.

mod parts;
mod webhooks;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::AsJson;
use super::session::Session;
use crate::base::{Clock, Timestamp};
use crate::config::{self, Loaded};
use parts::PARTS;

/// Check that everything is ready: PASS, WARN or FAIL for each part, with a cure
#[derive(Args, Debug)]
pub(super) struct Check {
    #[command(flatten)]
    format: AsJson,
}

/// A person waits in front of it; a part that needs longer is in trouble.
const TIME_MAX: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Verdict {
    Pass,
    Warn,
    Fail,
}

/// What one part found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) text: String,
    /// What to do; `None` where nothing is wrong.
    pub(super) cure: Option<String>,
}

/// What the parts look at.
pub(super) struct Facts {
    pub(super) loaded: Loaded,
    pub(super) now: Timestamp,
}

pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) look: fn(&Facts) -> Finding,
}

impl Finding {
    pub(super) fn pass(text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Pass, text: text.into(), cure: None }
    }

    pub(super) fn warn(text: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, text: text.into(), cure: Some(cure.into()) }
    }

    pub(super) fn fail(text: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, text: text.into(), cure: Some(cure.into()) }
    }
}

impl Check {
    pub(super) fn run(self, session: &mut Session<'_>) -> anyhow::Result<ExitCode> {
        session.enter()?;
        let findings = match config::load(&session.flags, session.environment) {
            Ok(loaded) => {
                let now = Clock::system().now();
                look_at_all(PARTS, &Arc::new(Facts { loaded, now }), TIME_MAX)
            }
            // Nothing else can be looked at without knowing where.
            Err(invalid) => {
                vec![("configuration", Finding::fail(invalid.to_string(), "correct what it names"))]
            }
        };
        let worst = findings.iter().map(|(_, finding)| finding.verdict).max().unwrap_or(Verdict::Pass);
        if self.format.json {
            let item = |(name, finding): &(&str, Finding)| {
                json!({
                    "part": name,
                    "verdict": finding.verdict,
                    "text": finding.text,
                    "cure": finding.cure,
                })
            };
            let items: Vec<_> = findings.iter().map(item).collect();
            session.output.json(&json!({ "verdict": worst, "items": items }))?;
        } else {
            session.output.table(&findings.iter().flat_map(rows).collect::<Vec<_>>())?;
        }
        Ok(if worst == Verdict::Fail { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn rows((name, finding): &(&str, Finding)) -> Vec<Vec<String>> {
    let verdict = match finding.verdict {
        Verdict::Pass => "PASS",
        Verdict::Warn => "WARN",
        Verdict::Fail => "FAIL",
    };
    let head = vec![verdict.to_owned(), (*name).to_owned(), finding.text.clone()];
    let cure = finding.cure.iter().map(|cure| vec![String::new(), String::new(), format!("→ {cure}")]);
    std::iter::once(head).chain(cure).collect()
}

/// Looks at every part on a thread of its own; one that has not answered by `time_max` fails. Keeps the order.
fn look_at_all(
    parts: &'static [Part],
    facts: &Arc<Facts>,
    time_max: Duration,
) -> Vec<(&'static str, Finding)> {
    let (sender, receiver) = mpsc::channel();
    for (at, part) in parts.iter().enumerate() {
        let (sender, facts) = (sender.clone(), Arc::clone(facts));
        std::thread::spawn(move || {
            // Nobody listens any more once the time is over.
            sender.send((at, (part.look)(&facts))).ok();
        });
    }
    // A thread that panics answers nothing; with our own sender gone, the last answer ends the wait.
    drop(sender);
    let mut findings = vec![None; parts.len()];
    let started = Instant::now();
    while let Ok((at, finding)) = receiver.recv_timeout(time_max.saturating_sub(started.elapsed())) {
        findings[at] = Some(finding);
    }
    let late = || {
        let text = format!("no answer within {} s", time_max.as_secs());
        Finding::fail(text, "look at the machine's load and its disk, then try again")
    };
    parts.iter().zip(findings).map(|(part, found)| (part.name, found.unwrap_or_else(late))).collect()
}

#[cfg(test)]
mod tests;
