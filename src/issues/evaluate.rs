//! The rules over issues: which of a batch's changes ring, wait for a digest or only keep an incident awake.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;

use super::Level;
use super::error_rate;
use super::incoming::Incoming;
use super::record::{Change, Kinship};
use super::rows::{self, Recurrence, Status};
use crate::accounts::projects;
use crate::base::{ProjectId, Severity, Timestamp};
use crate::incidents::rules::{self, RuleKind, RuleParams, RuleSet};
use crate::incidents::{Incidents, Signal, SignalKind, Source};
use crate::store::{Error, WriteTx};

/// Why an issue's events ring, the loudest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RingReason {
    /// It rang before, its incident is over, and here it is again.
    Returned,
    NewIssue,
    Regression,
    Critical,
}

/// What the rules say of an event of an issue, the loudest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Somebody decided not to hear of it.
    Ignored,
    /// It belongs to what was resolved since: nothing is raised.
    Late,
    /// Nothing new: an open incident of this issue stays awake.
    KeepAwake,
    /// As [`Verdict::KeepAwake`], but where no incident is open any more, it rings as [`RingReason::Returned`].
    AwakeOrReturned,
    /// A new issue of a project's first day.
    Digest,
    Ring(RingReason),
}

impl RingReason {
    /// The rule that says how bad it is.
    const fn rule(self) -> RuleKind {
        match self {
            Self::Returned | Self::NewIssue => RuleKind::NewIssue,
            Self::Regression => RuleKind::Regression,
            Self::Critical => RuleKind::Critical,
        }
    }

    /// The `type` of its messages.
    const fn alert(self) -> &'static str {
        match self {
            Self::Returned => "incident",
            Self::NewIssue => "new_issue",
            Self::Regression => "regression",
            Self::Critical => "critical_error",
        }
    }
}

/// What [`judge`] looks at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub status: Status,
    /// Nobody was told of the issue yet, however long it is known: no event so far was one that the rules cover.
    pub is_new: bool,
    pub recurrence: Recurrence,
    /// An incident was opened for it before, whatever became of that.
    pub has_rung: bool,
    pub severity: Severity,
    pub environment: &'a str,
    /// Since when the project hears events: its first hours fill with everything that was broken before.
    pub heard_for: Duration,
}

/// A burning issue or project is raised again this often, not with every commit.
const RAISE_EVERY: Duration = Duration::from_secs(10);
/// Far below the quiet time after which an incident closes, which is a minute at least.
const TOUCH_EVERY: Duration = Duration::from_secs(20);
/// An event may tell of trouble that began before it arrived; older claims are a client's stale queue.
const BACKDATE_MAX: Duration = Duration::from_hours(1);
/// Entries of [`Seen`] before it starts anew: it only saves work.
const SEEN_MAX: usize = 10_000;

/// Applies the rules: first the loudest.
pub fn judge(facts: &Facts<'_>, rules: &RuleSet) -> Verdict {
    if facts.status == Status::Ignored {
        return Verdict::Ignored;
    }
    if facts.recurrence == Recurrence::Late {
        return Verdict::Late;
    }
    let applies = |kind| {
        let rule = rules.get(kind);
        rule.enabled && rule.covers_environment(facts.environment)
    };
    if facts.severity == Severity::Critical && applies(RuleKind::Critical) {
        return Verdict::Ring(RingReason::Critical);
    }
    if facts.recurrence == Recurrence::Back && applies(RuleKind::Regression) {
        return Verdict::Ring(RingReason::Regression);
    }
    let (least, digest_time) = of_new_issues(rules);
    if !(facts.severity >= least && applies(RuleKind::NewIssue)) {
        return Verdict::KeepAwake;
    }
    let is_young = facts.heard_for < digest_time;
    match (facts.is_new, is_young) {
        (true, true) => Verdict::Digest,
        (true, false) => Verdict::Ring(RingReason::NewIssue),
        (false, false) if facts.has_rung => Verdict::AwakeOrReturned,
        (false, _) => Verdict::KeepAwake,
    }
}

/// From which severity on new issues ring, and how long those of a new project wait for its one digest.
fn of_new_issues(rules: &RuleSet) -> (Severity, Duration) {
    match &rules.get(RuleKind::NewIssue).params {
        RuleParams::NewIssue { least_severity, digest_first_hours, .. } => {
            (*least_severity, Duration::from_hours((*digest_first_hours).into()))
        }
        RuleParams::None | RuleParams::Regression { .. } | RuleParams::SlowMetrics { .. } => {
            (Severity::Low, Duration::ZERO)
        }
    }
}

/// When something was last raised, so that a storm costs the incidents nothing. Also what a batch adds to it.
#[derive(Clone, Default)]
pub(super) struct Seen {
    /// By issue: when, and how loud.
    raised: HashMap<i64, (Timestamp, Severity)>,
    touched: HashMap<i64, Timestamp>,
    rates: HashMap<ProjectId, Timestamp>,
    floods: HashMap<ProjectId, Timestamp>,
}

impl Seen {
    /// Learns what a batch added, once that is on disk.
    pub(super) fn apply(&mut self, staged: Self) {
        if self.raised.len().max(self.touched.len()) > SEEN_MAX {
            self.raised.clear();
            self.touched.clear();
        }
        self.raised.extend(staged.raised);
        self.touched.extend(staged.touched);
        self.rates.extend(staged.rates);
        self.floods.extend(staged.floods);
    }

    /// Whether the issue was raised just now, as loud as this or louder.
    fn is_raised(&self, issue: i64, severity: Severity, now: Timestamp) -> bool {
        let last = self.raised.get(&issue).filter(|(_, loudest)| *loudest >= severity);
        is_recent(last.map(|(at, _)| at), now, RAISE_EVERY)
    }
}

/// Whether `last` is no longer ago than `within`. A moment in the future is of a clock that was set back since.
fn is_recent(last: Option<&Timestamp>, now: Timestamp, within: Duration) -> bool {
    last.is_some_and(|last| *last <= now && now.since(*last) < within)
}

/// Raises what a batch's changes call for, in the batch's own transaction.
pub(super) fn raise(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    changes: &[Change<'_>],
    seen: &Seen,
    staged: &mut Seen,
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
        round.flood(tx, &changes, staged)?;
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
    /// Does what the loudest of the issue's events calls for.
    fn issue(&self, tx: &WriteTx<'_>, change: &Change<'_>, staged: &mut Seen) -> Result<(), Error> {
        let judged = change.events.iter().map(|event| (self.judge(change, event), *event));
        let loudest = judged.max_by_key(|(verdict, event)| (*verdict, event.severity));
        let Some((verdict, event)) = loudest else { return Ok(()) };
        match verdict {
            Verdict::Ignored | Verdict::Late => Ok(()),
            Verdict::KeepAwake => self.is_awake(tx, change, staged).map(|_| ()),
            Verdict::AwakeOrReturned => {
                if self.is_awake(tx, change, staged)? {
                    return Ok(());
                }
                self.raise(tx, change, &self.issue_signal(change, event, RingReason::Returned), staged)
            }
            Verdict::Digest => {
                let (_, digest_time) = of_new_issues(self.rules);
                let due_at = self.heard_since + digest_time;
                let signal = self.issue_signal(change, event, RingReason::NewIssue);
                self.incidents.add_to_digest(tx, self.now, due_at, &signal)?;
                rows::note_told(tx, change.issue.id, self.now)
            }
            Verdict::Ring(reason) => self.ring(tx, change, (event, reason), staged),
        }
    }

    fn judge(&self, change: &Change<'_>, event: &Incoming) -> Verdict {
        let facts = Facts {
            status: change.issue.status,
            is_new: change.is_new(),
            recurrence: change.issue.recurrence(event),
            has_rung: change.issue.has_rung,
            severity: event.severity,
            environment: &event.environment,
            heard_for: self.now.since(self.heard_since),
        };
        judge(&facts, self.rules)
    }

    /// Raises what `event` says, unless it is one of a storm that an open incident knows of.
    fn ring(
        &self,
        tx: &WriteTx<'_>,
        change: &Change<'_>,
        (event, reason): (&Incoming, RingReason),
        staged: &mut Seen,
    ) -> Result<(), Error> {
        let signal = self.issue_signal(change, event, reason);
        let is_news = change.is_new() || change.issue.recurrence(event) == Recurrence::Back;
        let is_heard = !is_news && self.seen.is_raised(change.issue.id, signal.severity, self.now);
        if is_heard && self.incidents.touch(tx, &signal.key, self.now, change.count())? {
            return Ok(());
        }
        self.raise(tx, change, &signal, staged)
    }

    fn raise(
        &self,
        tx: &WriteTx<'_>,
        change: &Change<'_>,
        signal: &Signal,
        staged: &mut Seen,
    ) -> Result<(), Error> {
        let issue = &change.issue;
        rows::note_alarm(tx, issue.id, self.now)?;
        staged.raised.insert(issue.id, (self.now, signal.severity));
        staged.touched.insert(issue.id, self.now);
        self.incidents.raise(tx, self.now, signal)?;
        Ok(())
    }

    /// Keeps the issue's incident awake and says whether there is one, as far as was looked lately.
    fn is_awake(&self, tx: &WriteTx<'_>, change: &Change<'_>, staged: &mut Seen) -> Result<bool, Error> {
        let issue = &change.issue;
        if !issue.has_rung {
            return Ok(false);
        }
        if is_recent(self.seen.touched.get(&issue.id), self.now, TOUCH_EVERY) {
            return Ok(true);
        }
        staged.touched.insert(issue.id, self.now);
        Ok(self.incidents.touch(tx, &issue_key(self.project, change), self.now, change.count())?)
    }

    /// A sender that makes no end of new issues is trouble of its own, where new issues ring.
    fn flood(&self, tx: &WriteTx<'_>, changes: &[&Change<'_>], staged: &mut Seen) -> Result<(), Error> {
        let rule = self.rules.get(RuleKind::NewIssue);
        let rings = |event: &&Incoming| rule.enabled && rule.covers_environment(&event.environment);
        let mut others = changes.iter().filter(|change| change.kinship == Kinship::Other);
        let Some(change) = others.find(|change| change.events.iter().any(rings)) else { return Ok(()) };
        if is_recent(self.seen.floods.get(&self.project), self.now, RAISE_EVERY) {
            return Ok(());
        }
        staged.floods.insert(self.project, self.now);
        let signal = Signal {
            project: Some(self.project),
            service: None,
            key: format!("new_issues:{}", self.project),
            source: Source::Errors,
            severity: rule.severity,
            summary: change.issue.title.clone(),
            detail: json!({"alert": "incident", "issue": change.issue.uid}),
            first_bad_at: self.now,
            observed_at: self.now,
            kind: SignalKind::Occurrence,
        };
        self.incidents.raise(tx, self.now, &signal)?;
        Ok(())
    }

    fn issue_signal(&self, change: &Change<'_>, event: &Incoming, reason: RingReason) -> Signal {
        Signal {
            project: Some(self.project),
            service: None,
            key: issue_key(self.project, change),
            source: Source::Errors,
            severity: self.rules.get(reason.rule()).severity,
            summary: change.issue.title.clone(),
            detail: json!({
                "alert": reason.alert(),
                "issue": change.issue.uid,
                "event_id": event.event,
                "culprit": change.issue.culprit,
                "events": change.stats.count,
                "users": change.stats.users,
                "users_estimated": !change.stats.users_exact,
                "frame": event.frame,
                "release": event.release,
                "environment": event.environment,
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
    fn rate(&self, tx: &WriteTx<'_>, changes: &[&Change<'_>], staged: &mut Seen) -> Result<(), Error> {
        let errors = changes
            .iter()
            .filter(|change| change.issue.status != Status::Ignored)
            .flat_map(|change| &change.events)
            .filter(|event| matches!(event.level, Level::Error | Level::Fatal));
        let Some(first) = errors.clone().map(|event| event.received_at).min() else { return Ok(()) };
        error_rate::add(tx, self.now, self.project, errors.count(), first)?;
        let rule = self.rules.get(RuleKind::ErrorRate);
        if !rule.enabled || is_recent(self.seen.rates.get(&self.project), self.now, RAISE_EVERY) {
            return Ok(());
        }
        if error_rate::raise(tx, self.incidents, self.now, self.project, rule)? {
            staged.rates.insert(self.project, self.now);
        }
        Ok(())
    }
}

/// The incident key of an issue.
fn issue_key(project: ProjectId, change: &Change<'_>) -> String {
    key_of(project, change.issue.uid)
}

/// `issue:{project}:{issue}`: new, critical and regression are one incident.
pub fn key_of(project: ProjectId, issue: crate::base::Uid) -> String {
    format!("issue:{project}:{issue}")
}
