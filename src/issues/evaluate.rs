//! The rules over issues: which of a batch's changes ring, wait for a digest or only keep an incident awake.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;

use super::Level;
use super::incoming::Incoming;
use super::record::Change;
use super::rows::Status;
use crate::accounts::projects;
use crate::base::{ProjectId, Severity, Timestamp};
use crate::incidents::rules::{self, Rule, RuleKind, RuleSet};
use crate::incidents::{Incidents, Signal, SignalKind, Source, queries::firing_keys};
use crate::store::{Error, ReadTx, WriteTx, params};

/// Why an issue's events ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingReason {
    Critical,
    Regression,
    NewIssue,
}

/// What the rules say of one issue's events in one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Ring(RingReason),
    /// A new issue of a project's first day.
    Digest,
    /// Nothing new: an open incident of this issue stays awake.
    KeepAwake,
    /// Somebody decided not to hear of it.
    Ignored,
}

/// What [`judge`] looks at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub status: Status,
    pub is_new: bool,
    pub regressed: bool,
    pub worst: Severity,
    pub environment: &'a str,
    /// Since when the project hears events: its first hours fill with everything that was broken before.
    pub heard_for: Duration,
}

/// A burning issue or project is raised again this often, not with every commit.
const RAISE_EVERY: Duration = Duration::from_secs(10);
/// Far below the quiet time after which an incident closes.
const TOUCH_EVERY: Duration = Duration::from_mins(1);
/// An event may tell of trouble that began before it arrived; older claims are a client's stale queue.
const BACKDATE_MAX: Duration = Duration::from_hours(1);
/// Width of a step of `error_rate`.
const STEP: Duration = Duration::from_secs(10);
/// Entries of [`Seen`] before it starts anew: it only saves work.
const SEEN_MAX: usize = 10_000;

/// Applies the rules: first the loudest.
pub fn judge(facts: &Facts<'_>, rules: &RuleSet) -> Verdict {
    if facts.status == Status::Ignored {
        return Verdict::Ignored;
    }
    let applies = |kind| {
        let rule = rules.get(kind);
        rule.enabled && rule.covers_environment(facts.environment)
    };
    if facts.worst == Severity::Critical && applies(RuleKind::Critical) {
        return Verdict::Ring(RingReason::Critical);
    }
    if facts.regressed && applies(RuleKind::Regression) {
        return Verdict::Ring(RingReason::Regression);
    }
    let new = rules.get(RuleKind::NewIssue);
    let is_grave = new.params.least_severity.is_none_or(|least| facts.worst >= least);
    if !(facts.is_new && is_grave && applies(RuleKind::NewIssue)) {
        return Verdict::KeepAwake;
    }
    let is_young = facts.heard_for < digest_time(rules);
    if is_young { Verdict::Digest } else { Verdict::Ring(RingReason::NewIssue) }
}

/// How long a project's new issues wait for its one digest.
fn digest_time(rules: &RuleSet) -> Duration {
    Duration::from_hours(rules.get(RuleKind::NewIssue).params.digest_first_hours.unwrap_or(0).into())
}

/// When something was last raised, so that a storm costs the incidents nothing.
#[derive(Default)]
pub(super) struct Seen {
    issues: HashMap<i64, Timestamp>,
    rates: HashMap<ProjectId, Timestamp>,
}

/// What [`Seen`] learns once the batch is on disk.
#[derive(Clone, Default)]
pub(super) struct StagedSeen {
    issues: HashMap<i64, Timestamp>,
    rates: HashMap<ProjectId, Timestamp>,
}

impl Seen {
    pub(super) fn apply(&mut self, staged: StagedSeen) {
        if self.issues.len() > SEEN_MAX {
            self.issues.clear();
        }
        self.issues.extend(staged.issues);
        self.rates.extend(staged.rates);
    }
}

/// Raises what a batch's changes call for, in the batch's own transaction.
pub(super) fn raise(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    changes: &[Change<'_>],
    seen: &Seen,
    staged: &mut StagedSeen,
) -> Result<(), Error> {
    let mut by_project: HashMap<ProjectId, Vec<&Change<'_>>> = HashMap::new();
    for change in changes {
        if let Some(first) = change.events.first() {
            by_project.entry(first.project).or_default().push(change);
        }
    }
    for (project, changes) in by_project {
        let rules = rules::effective(tx, Some(project))?;
        projects::note_first_event(tx, project, now)?;
        let heard_since = projects::find(tx, project)?.and_then(|found| found.first_event_at).unwrap_or(now);
        let round = Round { incidents, now, project, rules: &rules, heard_since, seen };
        for change in &changes {
            round.issue(tx, change, staged)?;
        }
        round.rate(tx, &changes, staged)?;
    }
    Ok(())
}

/// One project's part of a batch.
struct Round<'a> {
    incidents: &'a Incidents,
    now: Timestamp,
    project: ProjectId,
    rules: &'a RuleSet,
    heard_since: Timestamp,
    seen: &'a Seen,
}

impl Round<'_> {
    fn issue(&self, tx: &WriteTx<'_>, change: &Change<'_>, staged: &mut StagedSeen) -> Result<(), Error> {
        let Some(worst) = change.events.iter().max_by_key(|event| event.severity) else { return Ok(()) };
        let facts = Facts {
            status: change.issue.status,
            is_new: change.is_new,
            regressed: change.regressed,
            worst: worst.severity,
            environment: &worst.environment,
            heard_for: self.now.since(self.heard_since),
        };
        let last = self.seen.issues.get(&change.issue.id).copied().unwrap_or_default();
        let key = issue_key(self.project, change);
        match judge(&facts, self.rules) {
            Verdict::Ignored => {}
            Verdict::Ring(reason) => {
                let news = change.is_new || change.regressed;
                if news || self.now.since(last) >= RAISE_EVERY {
                    staged.issues.insert(change.issue.id, self.now);
                    self.incidents.raise(tx, self.now, &self.issue_signal(change, worst, reason, key))?;
                }
            }
            Verdict::Digest => {
                staged.issues.insert(change.issue.id, self.now);
                let signal = self.issue_signal(change, worst, RingReason::NewIssue, key);
                let due_at = self.heard_since + digest_time(self.rules);
                self.incidents.add_to_digest(tx, self.now, due_at, &signal)?;
            }
            Verdict::KeepAwake => {
                if self.now.since(last) >= TOUCH_EVERY {
                    staged.issues.insert(change.issue.id, self.now);
                    let count = i64::try_from(change.events.len()).unwrap_or(i64::MAX);
                    self.incidents.touch(tx, &key, self.now, count)?;
                }
            }
        }
        Ok(())
    }

    fn issue_signal(&self, change: &Change<'_>, worst: &Incoming, reason: RingReason, key: String) -> Signal {
        let severity = match reason {
            RingReason::Critical => Severity::Critical,
            RingReason::Regression => self.rules.get(RuleKind::Regression).severity.max(worst.severity),
            RingReason::NewIssue => worst.severity,
        };
        Signal {
            project: Some(self.project),
            service: None,
            key,
            source: Source::Errors,
            severity,
            summary: change.issue.title.clone(),
            detail: json!({
                "alert": match reason {
                    RingReason::Critical => "critical_error",
                    RingReason::Regression => "regression",
                    RingReason::NewIssue => "new_issue",
                },
                "issue": change.issue.uid,
                "event_id": worst.event,
                "culprit": change.issue.culprit,
                "events": change.stats.count,
                "users": change.stats.users,
                "users_estimated": !change.stats.users_exact,
                "frame": worst.frame,
                "release": worst.release,
                "environment": worst.environment,
            }),
            first_bad_at: self.began(&change.events),
            observed_at: self.now,
            kind: SignalKind::Occurrence,
        }
    }

    fn began(&self, events: &[&Incoming]) -> Timestamp {
        let earliest = events.iter().map(|event| event.timestamp).min().unwrap_or(self.now);
        if self.now.since(earliest) > BACKDATE_MAX { self.now } else { earliest.min(self.now) }
    }

    /// Counts the batch's errors and raises the error rate where it passes its bound.
    fn rate(&self, tx: &WriteTx<'_>, changes: &[&Change<'_>], staged: &mut StagedSeen) -> Result<(), Error> {
        let errors = changes
            .iter()
            .filter(|change| change.issue.status != Status::Ignored)
            .flat_map(|change| &change.events)
            .filter(|event| matches!(event.level, Level::Error | Level::Fatal))
            .count();
        if errors == 0 {
            return Ok(());
        }
        tx.execute(
            "INSERT INTO error_rate (project_id, step, errors) VALUES (?1, ?2, ?3)
             ON CONFLICT (project_id, step) DO UPDATE SET errors = errors + excluded.errors",
            params![self.project.0, step_of(self.now), i64::try_from(errors).unwrap_or(i64::MAX)],
        )?;
        let last = self.seen.rates.get(&self.project).copied().unwrap_or_default();
        let rule = self.rules.get(RuleKind::ErrorRate);
        if !rule.enabled || self.now.since(last) < RAISE_EVERY {
            return Ok(());
        }
        let window = window(tx, self.now, self.project, rule)?;
        if window.is_over(rule) {
            staged.rates.insert(self.project, self.now);
            self.incidents.raise(tx, self.now, &rate_signal(self.now, self.project, rule, &window))?;
        }
        Ok(())
    }
}

/// Looks at the error rate of projects whose rate is known to be high, and says where it fell. A task's body.
pub fn expire_rates(tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp) -> Result<u64, Error> {
    let mut fell = 0;
    for key in firing_keys(tx, Source::ErrorRate)? {
        let Some(project) = key.strip_prefix("rate:").and_then(|id| id.parse().ok()).map(ProjectId) else {
            continue;
        };
        let rules = rules::effective(tx, Some(project))?;
        let rule = rules.get(RuleKind::ErrorRate);
        let window = window(tx, now, project, rule)?;
        if !rule.enabled || !window.is_over(rule) {
            let kind = SignalKind::Ok;
            incidents.raise(tx, now, &Signal { kind, ..rate_signal(now, project, rule, &window) })?;
            fell += 1;
        }
    }
    tx.execute("DELETE FROM error_rate WHERE step < ?1", [step_of(now - rules::WINDOW_MAX)])?;
    Ok(fell)
}

#[derive(Clone, Copy, Debug, Default)]
struct RateWindow {
    errors: i64,
    began: Timestamp,
}

impl RateWindow {
    fn is_over(&self, rule: &Rule) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a threshold is a small number")]
        let errors = self.errors as f64;
        rule.threshold.is_some_and(|threshold| errors > threshold)
    }
}

fn window(tx: &ReadTx<'_>, now: Timestamp, project: ProjectId, rule: &Rule) -> Result<RateWindow, Error> {
    tx.one(
        "SELECT ifnull(sum(errors), 0), ifnull(min(step), ?3) FROM error_rate WHERE project_id = ?1 AND step > ?2",
        params![project.0, step_of(now - window_of(rule)), step_of(now)],
        |row| {
            let step: i64 = row.get(1)?;
            let began = Timestamp::from_secs(step.saturating_mul(10));
            Ok(RateWindow { errors: row.get(0)?, began })
        },
    )
}

fn rate_signal(now: Timestamp, project: ProjectId, rule: &Rule, window: &RateWindow) -> Signal {
    let window_s = window_of(rule).as_secs();
    Signal {
        project: Some(project),
        service: None,
        key: format!("rate:{project}"),
        source: Source::ErrorRate,
        severity: rule.severity,
        summary: format!("{} errors in {}", window.errors, rules::window_words(window_of(rule))),
        detail: json!({"alert": "high_error_rate", "events": window.errors, "window_s": window_s, "threshold": rule.threshold}),
        first_bad_at: window.began.min(now),
        observed_at: now,
        kind: SignalKind::Firing,
    }
}

fn window_of(rule: &Rule) -> Duration {
    rule.window.unwrap_or(Duration::from_mins(5))
}

/// The incident key of an issue.
fn issue_key(project: ProjectId, change: &Change<'_>) -> String {
    key_of(project, change.issue.uid)
}

/// `issue:{project}:{issue}`: new, critical and regression are one incident.
pub fn key_of(project: ProjectId, issue: crate::base::Uid) -> String {
    format!("issue:{project}:{issue}")
}

fn step_of(at: Timestamp) -> i64 {
    at.floor_to(STEP).as_secs() / 10
}
