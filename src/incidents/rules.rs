//! Rules: what is worth an incident, how bad it is, and from which bound on. Kept here, evaluated by the domains
//! that see the facts.

mod params;

use std::mem::discriminant;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::text::line;
use crate::base::{Owner, ProjectId, Severity, Timestamp};
use crate::store::{self, ReadTx, WriteTx, params};

use super::{Error, rows};
pub use params::{RuleFields, RuleParams};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// A critical event rings at once, whatever else is known of its issue.
    Critical,
    NewIssue,
    /// A resolved issue comes back.
    Regression,
    /// More than `threshold` errors of a project within `window`.
    ErrorRate,
    /// More than `threshold` points of a metric above a bound within `window`.
    SlowMetrics,
    /// tocsin itself is in trouble.
    SelfTrouble,
}

/// Where the values of a rule come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleScope {
    BuiltIn,
    EveryProject,
    Project,
}

/// A rule as it applies to one project.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rule {
    pub kind: RuleKind,
    pub scope: RuleScope,
    pub enabled: bool,
    pub severity: Severity,
    /// More than this many; `None` for rules that count nothing.
    pub threshold: Option<f64>,
    #[serde(rename = "window_s", serialize_with = "whole_seconds")]
    pub window: Option<Duration>,
    pub params: RuleParams,
    /// Who has the say over the row that these values come from.
    pub owner: Owner,
}

/// Every kind of rule as it applies to one project.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSet {
    rules: Vec<Rule>,
}

/// What a person may say about a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleChange {
    pub enabled: bool,
    pub severity: Severity,
    pub threshold: Option<f64>,
    pub window: Option<Duration>,
    pub params: RuleParams,
}

/// A longer window would read more rows per event than it is worth.
pub const WINDOW_MAX: Duration = Duration::from_hours(24);
/// Errors are counted in steps of this width.
const WINDOW_MIN: Duration = Duration::from_secs(10);
const ENVIRONMENTS_EXCLUDED_MAX: usize = 50;
const NAME_CHARS_MAX: usize = 200;

impl RuleKind {
    pub const ALL: [Self; 6] = [
        Self::Critical,
        Self::NewIssue,
        Self::Regression,
        Self::ErrorRate,
        Self::SlowMetrics,
        Self::SelfTrouble,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::NewIssue => "new_issue",
            Self::Regression => "regression",
            Self::ErrorRate => "error_rate",
            Self::SlowMetrics => "slow_metrics",
            Self::SelfTrouble => "self_trouble",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The rule before anybody changed it.
    pub fn built_in(self) -> Rule {
        let quiet_environments = || ["development", "test", "local"].map(str::to_owned).to_vec();
        let rule = |severity, threshold, window, params| Rule {
            kind: self,
            scope: RuleScope::BuiltIn,
            enabled: true,
            severity,
            threshold,
            window,
            params,
            owner: Owner::Page,
        };
        match self {
            Self::Critical | Self::SelfTrouble => rule(Severity::Critical, None, None, RuleParams::None),
            Self::NewIssue => {
                let params = RuleParams::NewIssue {
                    least_severity: Severity::High,
                    environments_excluded: quiet_environments(),
                    digest_first_hours: 24,
                };
                rule(Severity::High, None, None, params)
            }
            Self::Regression => {
                let params = RuleParams::Regression { environments_excluded: quiet_environments() };
                rule(Severity::High, None, None, params)
            }
            Self::ErrorRate => {
                rule(Severity::High, Some(10.0), Some(Duration::from_mins(5)), RuleParams::None)
            }
            Self::SlowMetrics => {
                let params =
                    RuleParams::SlowMetrics { metric: "database_query".to_owned(), above_ms: 1000.0 };
                rule(Severity::High, Some(5.0), Some(Duration::from_hours(1)), params)
            }
        }
    }
}

impl RuleSet {
    pub fn built_in() -> Self {
        Self { rules: RuleKind::ALL.map(RuleKind::built_in).to_vec() }
    }

    /// The rule of this kind; a set has one of each, in the order of [`RuleKind::ALL`].
    pub fn get(&self, kind: RuleKind) -> &Rule {
        let place = RuleKind::ALL.iter().position(|known| *known == kind).unwrap_or(0);
        &self.rules[place]
    }

    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }
}

impl Rule {
    /// Whether this many within its window are more than the rule allows.
    pub fn is_broken_by(&self, count: i64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a threshold is a small number")]
        let count = count as f64;
        self.enabled && self.threshold.is_some_and(|threshold| count > threshold)
    }

    /// Whether the rule looks at this environment.
    pub fn covers_environment(&self, environment: &str) -> bool {
        !self.params.environments_excluded().iter().any(|name| name.eq_ignore_ascii_case(environment))
    }
}

/// The rules of a project: its own rows over those of every project over the built-in ones. `None`: tocsin itself.
pub fn effective(tx: &ReadTx<'_>, project: Option<ProjectId>) -> Result<RuleSet, store::Error> {
    let mut set = RuleSet::built_in();
    let stored = tx.all(
        "SELECT kind, project_id, enabled, severity, threshold, window_s, params, owner FROM rules
         WHERE project_id IS NULL OR project_id = ?1 ORDER BY project_id IS NOT NULL LIMIT 100",
        [project.map(|project| project.0)],
        |row| {
            // Kinds of a newer program are left alone.
            let Some(kind) = RuleKind::parse(row.get_ref(0)?.as_str()?) else { return Ok(None) };
            let scope = match row.get::<_, Option<i64>>(1)? {
                Some(_) => RuleScope::Project,
                None => RuleScope::EveryProject,
            };
            let window_s: Option<u32> = row.get(5)?;
            Ok(Some(Rule {
                kind,
                scope,
                enabled: row.get(2)?,
                severity: rows::severity(row, 3)?,
                threshold: row.get(4)?,
                window: window_s.map(|secs| Duration::from_secs(u64::from(secs))),
                params: RuleParams::stored(kind, rows::json(row, 6)?),
                owner: rows::word(row, 7, Owner::parse)?,
            }))
        },
    )?;
    for rule in stored.into_iter().flatten() {
        if let Some(place) = set.rules.iter().position(|known| known.kind == rule.kind) {
            set.rules[place] = rule;
        }
    }
    Ok(set)
}

/// A window as summaries name it: `5 minutes`, `20 seconds`.
pub fn window_words(window: Duration) -> String {
    match window.as_secs() {
        60 => "1 minute".to_owned(),
        seconds if seconds.is_multiple_of(60) => format!("{} minutes", seconds / 60),
        seconds => format!("{seconds} seconds"),
    }
}

/// Stores a rule for a project, or with `None` for every project.
///
/// # Errors
/// [`Error::Invalid`] names the field that cannot be; [`Error::OwnedByFile`].
pub fn change(
    tx: &WriteTx<'_>,
    now: Timestamp,
    project: Option<ProjectId>,
    kind: RuleKind,
    change: &RuleChange,
) -> Result<(), Error> {
    refuse_of_file(tx, project, kind)?;
    write(tx, now, (project, kind), change, Owner::Page)
}

/// Stores a rule, whoever has the say over what is there.
pub(super) fn write(
    tx: &WriteTx<'_>,
    now: Timestamp,
    (project, kind): (Option<ProjectId>, RuleKind),
    change: &RuleChange,
    owner: Owner,
) -> Result<(), Error> {
    validate(kind, change)?;
    let window_s = change.window.map(|window| i64::try_from(window.as_secs()).unwrap_or(i64::MAX));
    let params = serde_json::to_string(&change.params.fields()).unwrap_or_else(|_| "{}".to_owned());
    tx.execute(
        "INSERT INTO rules (project_id, kind, enabled, severity, threshold, window_s, params, updated_at, owner)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (ifnull(project_id, 0), kind) DO UPDATE SET
             enabled = excluded.enabled, severity = excluded.severity, threshold = excluded.threshold,
             window_s = excluded.window_s, params = excluded.params, updated_at = excluded.updated_at,
             owner = excluded.owner",
        params![
            project.map(|project| project.0),
            kind.as_str(),
            change.enabled,
            change.severity.as_str(),
            change.threshold,
            window_s,
            params,
            now.as_micros(),
            owner.as_str()
        ],
    )?;
    Ok(())
}

/// Forgets a stored rule, so that the one below it holds again.
///
/// # Errors
/// [`Error::OwnedByFile`].
pub fn reset(tx: &WriteTx<'_>, project: Option<ProjectId>, kind: RuleKind) -> Result<(), Error> {
    refuse_of_file(tx, project, kind)?;
    forget(tx, project, kind)
}

fn refuse_of_file(tx: &ReadTx<'_>, project: Option<ProjectId>, kind: RuleKind) -> Result<(), Error> {
    let owner = tx.first(
        "SELECT owner FROM rules WHERE ifnull(project_id, 0) = ifnull(?1, 0) AND kind = ?2",
        params![project.map(|project| project.0), kind.as_str()],
        |row| row.get::<_, String>(0),
    )?;
    match owner.and_then(|owner| owner.parse().ok()) {
        Some(Owner::File) => Err(Error::OwnedByFile),
        Some(Owner::Page) | None => Ok(()),
    }
}

pub(super) fn forget(tx: &WriteTx<'_>, project: Option<ProjectId>, kind: RuleKind) -> Result<(), Error> {
    tx.execute(
        "DELETE FROM rules WHERE ifnull(project_id, 0) = ifnull(?1, 0) AND kind = ?2",
        params![project.map(|project| project.0), kind.as_str()],
    )?;
    Ok(())
}

/// A rule has exactly the values its built-in form has.
fn validate(kind: RuleKind, change: &RuleChange) -> Result<(), Error> {
    let built_in = kind.built_in();
    let invalid = |text: &str| Err(Error::Invalid(text.to_owned()));
    if change.threshold.is_some() != built_in.threshold.is_some() {
        return invalid("threshold: for rules that count, and only for them");
    }
    if change.threshold.is_some_and(|threshold| !threshold.is_finite() || threshold < 0.0) {
        return invalid("threshold: 0 or more");
    }
    if change.window.is_some() != built_in.window.is_some() {
        return invalid("window_s: for rules that count, and only for them");
    }
    if change.window.is_some_and(|window| !(WINDOW_MIN..=WINDOW_MAX).contains(&window)) {
        return invalid("window_s: 10 to 86400");
    }
    if discriminant(&change.params) != discriminant(&built_in.params) {
        return invalid("params: of another kind of rule");
    }
    if let RuleParams::SlowMetrics { metric, above_ms } = &change.params {
        if let Err(bad) = line("metric", metric, NAME_CHARS_MAX) {
            return invalid(&bad.to_string());
        }
        if !above_ms.is_finite() || *above_ms < 0.0 {
            return invalid("above_ms: 0 or more");
        }
    }
    let excluded = change.params.environments_excluded();
    if excluded.len() > ENVIRONMENTS_EXCLUDED_MAX
        || excluded.iter().any(|name| name.chars().count() > NAME_CHARS_MAX)
    {
        return invalid("environments_excluded: at most 50 names of at most 200 characters");
    }
    Ok(())
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn whole_seconds<S: serde::Serializer>(window: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    window.map(|window| window.as_secs()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change_of(kind: RuleKind) -> RuleChange {
        let Rule { enabled, severity, threshold, window, params, .. } = kind.built_in();
        RuleChange { enabled, severity, threshold, window, params }
    }

    #[test]
    fn every_built_in_rule_is_valid_and_in_the_set() {
        for kind in RuleKind::ALL {
            validate(kind, &change_of(kind)).unwrap();
            assert_eq!(RuleSet::built_in().get(kind).kind, kind);
        }
    }

    #[test]
    fn values_that_a_kind_does_not_know_or_cannot_have_are_refused() {
        let rate = change_of(RuleKind::ErrorRate);
        let cases = [
            (RuleKind::ErrorRate, RuleChange { threshold: None, ..rate.clone() }),
            (RuleKind::ErrorRate, RuleChange { threshold: Some(f64::NAN), ..rate.clone() }),
            (RuleKind::ErrorRate, RuleChange { window: Some(Duration::from_hours(25)), ..rate.clone() }),
            (RuleKind::Critical, rate.clone()),
            (
                RuleKind::ErrorRate,
                RuleChange { params: change_of(RuleKind::NewIssue).params, ..rate.clone() },
            ),
            (RuleKind::SlowMetrics, rate),
        ];
        for (kind, change) in cases {
            assert!(matches!(validate(kind, &change), Err(Error::Invalid(_))), "{kind:?} {change:?}");
        }
    }

    #[test]
    fn a_window_is_named_in_the_unit_that_fits() {
        for (seconds, words) in
            [(10, "10 seconds"), (60, "1 minute"), (300, "5 minutes"), (3600, "60 minutes")]
        {
            assert_eq!(window_words(Duration::from_secs(seconds)), words);
        }
    }

    #[test]
    fn excluded_environments_are_compared_without_case() {
        let rule = RuleKind::NewIssue.built_in();
        assert!(!rule.covers_environment("Development"));
        assert!(rule.covers_environment("production"));
    }
}
