//! The rule over slow points: more than five `database_query` points over 1000 ms in an hour, by default.

use std::time::Duration;

use serde_json::{Value, json};

use super::Point;
use crate::base::text::clip;
use crate::base::{ProjectId, Timestamp};
use crate::incidents::rules::{self, Rule, RuleKind, RuleParams};
use crate::incidents::windows::{Looked, WindowRule};
use crate::incidents::{Incidents, Signal, SignalKind, Source};
use crate::store::{Error, ReadTx, WriteTx, params};

const SLOW_METRICS: WindowRule =
    WindowRule { kind: RuleKind::SlowMetrics, source: Source::SlowMetrics, word: "slow" };
/// Queries named in a message; the rest is counted.
const QUERIES_MAX: u32 = 5;
const QUERY_CHARS_MAX: usize = 200;
/// The newest slow points, among which the slowest are named: the writer reads no more of them.
const NAMED_AMONG: u32 = 500;
/// Points beyond this, and beyond the rule's own threshold, are not counted: a message says "10000+".
const COUNTED_MAX: i64 = 10_000;

/// How many milliseconds a point took that counts under its project's rule.
pub(super) fn slow_ms(rule: &Rule, point: &Point) -> Option<f64> {
    let (kind, bound) = counted(rule);
    if !rule.enabled || point.kind != kind {
        return None;
    }
    millis(point.value, point.unit.as_deref()).filter(|ms| *ms > bound)
}

/// A duration in milliseconds, which is what no unit means; `None` for a unit that is none of time.
fn millis(value: f64, unit: Option<&str>) -> Option<f64> {
    // Divisors are exact where factors such as 0.001 are not.
    Some(match unit.map_or("", str::trim).to_lowercase().as_str() {
        "ns" | "nanosecond" | "nanoseconds" => value / 1_000_000.0,
        // The micro sign and the Greek letter.
        "us" | "\u{b5}s" | "\u{3bc}s" | "microsecond" | "microseconds" => value / 1000.0,
        "" | "ms" | "millisecond" | "milliseconds" => value,
        "s" | "sec" | "second" | "seconds" => value * 1000.0,
        "m" | "min" | "minute" | "minutes" => value * 60_000.0,
        _ => return None,
    })
}

/// Notes a slow point, so that the window is a small range.
pub(super) fn note(tx: &WriteTx<'_>, point: &Point, id: i64, ms: f64) -> Result<(), Error> {
    tx.execute(
        "INSERT OR IGNORE INTO slow_points (project_id, type, at, point_id, duration_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![point.project.0, point.kind, point.at.as_micros(), id, ms],
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
    let over = rule.is_broken_by(window.points);
    if over {
        incidents.raise(tx, now, &signal(tx, now, project, rule, &window)?)?;
    }
    Ok(over)
}

/// Says where a window that was over its threshold has emptied. A task's body:
/// one page of keys, those after `after`.
pub fn expire_slow(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    after: &str,
) -> Result<Looked, Error> {
    incidents.end_fallen(tx, now, SLOW_METRICS, after, |project, rule| {
        let window = window(tx, now, project, rule)?;
        let is_over = rule.is_broken_by(window.points);
        (!is_over).then(|| signal(tx, now, project, rule, &window)).transpose()
    })
}

/// Forgets marks that are older than any window, at most `limit`.
pub fn purge_slow(tx: &WriteTx<'_>, now: Timestamp, limit: u32) -> Result<usize, Error> {
    tx.execute(
        "DELETE FROM slow_points WHERE (project_id, type, at, point_id) IN (
             SELECT project_id, type, at, point_id FROM slow_points WHERE at < ?1 ORDER BY at LIMIT ?2)",
        params![(now - rules::WINDOW_MAX).as_micros(), limit],
    )
}

/// The type of the points that count, and the bound in milliseconds; of any other rule, what no point is.
fn counted(rule: &Rule) -> (&str, f64) {
    match &rule.params {
        RuleParams::SlowMetrics { metric, above_ms } => (metric, *above_ms),
        RuleParams::None | RuleParams::NewIssue { .. } | RuleParams::Regression { .. } => ("", f64::INFINITY),
    }
}

fn window_of(rule: &Rule) -> Duration {
    rule.window.unwrap_or(Duration::from_hours(1))
}

struct Window {
    points: i64,
    /// There are more than `points`.
    is_more: bool,
    began: Timestamp,
}

impl Window {
    fn words(&self) -> String {
        format!("{}{}", self.points, if self.is_more { "+" } else { "" })
    }
}

/// Points that are counted at most: enough to tell whether they are over the rule's threshold.
fn counted_max(rule: &Rule) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a cast of a float stays within bounds")]
    let threshold = rule.threshold.unwrap_or(0.0) as i64;
    COUNTED_MAX.max(threshold.saturating_add(1))
}

/// What counts under the rule as it is now: a point that was slow under an earlier one may be of another type, or quick.
fn window(tx: &ReadTx<'_>, now: Timestamp, project: ProjectId, rule: &Rule) -> Result<Window, Error> {
    let (since, most) = ((now - window_of(rule)).as_micros(), counted_max(rule));
    let (kind, bound) = counted(rule);
    tx.one(
        "WITH over (at) AS (
             SELECT at FROM slow_points
             WHERE project_id = ?1 AND type = ?3 AND at > ?2 AND duration_ms > ?4 ORDER BY at LIMIT ?5)
         SELECT count(*), min(at) FROM over",
        params![project.0, since, kind, bound, most.saturating_add(1)],
        |row| {
            let (points, began) = (row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?);
            let began = began.map_or(now, Timestamp::from_micros);
            Ok(Window { points: points.min(most), is_more: points > most, began })
        },
    )
}

fn signal(
    tx: &ReadTx<'_>,
    now: Timestamp,
    project: ProjectId,
    rule: &Rule,
    window: &Window,
) -> Result<Signal, Error> {
    let (kind, bound) = counted(rule);
    Ok(Signal {
        project: Some(project),
        service: None,
        key: SLOW_METRICS.key_of(project),
        source: SLOW_METRICS.source,
        severity: rule.severity,
        summary: format!(
            "{} {kind} over {bound} ms in {}",
            window.words(),
            rules::window_words(window_of(rule))
        ),
        detail: json!({
            "alert": "performance_degradation",
            "points": window.points,
            "threshold": rule.threshold,
            "type": kind,
            "over_ms": bound,
            "queries": slowest(tx, now, project, rule)?,
        }),
        first_bad_at: window.began.min(now),
        observed_at: now,
        kind: SignalKind::Firing,
    })
}

/// The slowest of the window's newest points, for the message.
fn slowest(tx: &ReadTx<'_>, now: Timestamp, project: ProjectId, rule: &Rule) -> Result<Vec<Value>, Error> {
    let (kind, bound) = counted(rule);
    tx.all(
        "SELECT newest.duration_ms, metric_points.metadata, metric_points.at
         FROM (SELECT point_id, duration_ms FROM slow_points
               WHERE project_id = ?1 AND type = ?3 AND at > ?2 AND duration_ms > ?4
               ORDER BY at DESC, point_id DESC LIMIT ?5) AS newest
             CROSS JOIN metric_points ON metric_points.id = newest.point_id
         ORDER BY newest.duration_ms DESC LIMIT ?6",
        params![project.0, (now - window_of(rule)).as_micros(), kind, bound, NAMED_AMONG, QUERIES_MAX],
        |row| {
            let metadata: String = row.get(1)?;
            let metadata: Value = serde_json::from_str(&metadata).unwrap_or_default();
            let named = ["query", "sql", "name", "statement"].iter().find_map(|key| metadata[*key].as_str());
            Ok(json!({
                "query": clip(named.unwrap_or("unnamed"), QUERY_CHARS_MAX),
                "duration_ms": row.get::<_, f64>(0)?,
                "at": Timestamp::from_micros(row.get(2)?),
            }))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_time_become_milliseconds() {
        let table = [
            (None, Some(1500.0)),
            (Some(""), Some(1500.0)),
            (Some("ms"), Some(1500.0)),
            (Some("Milliseconds"), Some(1500.0)),
            (Some("us"), Some(1.5)),
            (Some("\u{b5}s"), Some(1.5)),
            (Some("\u{3bc}s"), Some(1.5)),
            (Some("microsecond"), Some(1.5)),
            (Some("ns"), Some(0.0015)),
            (Some("S"), Some(1_500_000.0)),
            (Some("seconds"), Some(1_500_000.0)),
            (Some("min"), Some(90_000_000.0)),
            (Some("bytes"), None),
        ];
        for (unit, expected) in table {
            assert_eq!(millis(1500.0, unit), expected, "{unit:?}");
        }
    }
}
