//! The rule over a project's errors: more than ten in five minutes, by default.

use std::time::Duration;

use serde_json::json;

use crate::base::{ProjectId, Timestamp};
use crate::incidents::rules::{self, Rule, RuleKind};
use crate::incidents::windows::{Looked, WindowRule};
use crate::incidents::{Incidents, Signal, SignalKind, Source};
use crate::store::{Error, ReadTx, WriteTx, params};

const ERROR_RATE: WindowRule =
    WindowRule { kind: RuleKind::ErrorRate, source: Source::ErrorRate, word: "rate" };
/// Errors are counted in steps of this many seconds.
const STEP_S: i64 = 10;

/// Counts errors of a project, of which the first arrived at `began`.
pub(super) fn add(
    tx: &WriteTx<'_>,
    now: Timestamp,
    project: ProjectId,
    errors: usize,
    began: Timestamp,
) -> Result<(), Error> {
    let errors = i64::try_from(errors).unwrap_or(i64::MAX);
    tx.execute(
        "INSERT INTO error_rate (project_id, step, errors, began_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (project_id, step) DO UPDATE SET errors = errors + excluded.errors",
        params![project.0, step_of(now), errors, began.as_micros()],
    )?;
    Ok(())
}

/// Raises a project whose window is over its threshold; whether it is.
pub(super) fn raise(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    project: ProjectId,
    rule: &Rule,
) -> Result<bool, Error> {
    let window = window(tx, now, project, rule)?;
    let is_over = rule.is_broken_by(window.errors);
    if is_over {
        incidents.raise(tx, now, &signal(now, project, rule, &window))?;
    }
    Ok(is_over)
}

/// Looks at the error rate of projects whose rate is known to be high, and says where it fell. A task's body:
/// one page of keys, those after `after`.
pub fn expire_rates(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    after: &str,
) -> Result<Looked, Error> {
    incidents.end_fallen(tx, now, ERROR_RATE, after, |project, rule| {
        let window = window(tx, now, project, rule)?;
        let is_over = rule.is_broken_by(window.errors);
        Ok((!is_over).then(|| signal(now, project, rule, &window)))
    })
}

/// Forgets steps that are older than any window, at most `limit`.
pub fn purge_rates(tx: &WriteTx<'_>, now: Timestamp, limit: u32) -> Result<usize, Error> {
    tx.execute(
        "DELETE FROM error_rate WHERE (project_id, step) IN (
             SELECT project_id, step FROM error_rate WHERE step < ?1 ORDER BY step LIMIT ?2)",
        params![step_of(now - rules::WINDOW_MAX), limit],
    )
}

struct Window {
    errors: i64,
    began: Timestamp,
}

fn window(tx: &ReadTx<'_>, now: Timestamp, project: ProjectId, rule: &Rule) -> Result<Window, Error> {
    tx.one(
        "SELECT ifnull(sum(errors), 0), ifnull(min(began_at), ?3) FROM error_rate WHERE project_id = ?1 AND step >= ?2",
        params![project.0, step_of(now - window_of(rule)), now.as_micros()],
        |row| Ok(Window { errors: row.get(0)?, began: Timestamp::from_micros(row.get(1)?) }),
    )
}

fn signal(now: Timestamp, project: ProjectId, rule: &Rule, window: &Window) -> Signal {
    let window_s = window_of(rule).as_secs();
    Signal {
        project: Some(project),
        service: None,
        key: ERROR_RATE.key_of(project),
        source: ERROR_RATE.source,
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

fn step_of(at: Timestamp) -> i64 {
    at.as_secs().div_euclid(STEP_S)
}
