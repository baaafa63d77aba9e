//! The lane of metric points and the queries over them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::{Point, slow};
use crate::base::{ProjectId, Timestamp};
use crate::incidents::Incidents;
use crate::incidents::rules::{self, RuleKind};
use crate::store::{Error, Record, Topic, WriteTx, params};

/// Metric points were recorded.
pub const METRICS: Topic = Topic("metrics");

/// A project that is slow for long is raised again this often, not with every commit.
const RAISE_EVERY: Duration = Duration::from_secs(10);

/// Records the points of whole requests. Lives on the writer thread.
pub struct MetricRecord {
    incidents: Arc<Incidents>,
    raised: Raised,
}

/// When a project's rule was last raised.
type Raised = HashMap<ProjectId, Timestamp>;

impl MetricRecord {
    pub fn new(incidents: Arc<Incidents>) -> Self {
        Self { incidents, raised: Raised::new() }
    }

    /// Writes one project's points of a batch, then looks once at its rule.
    fn record_project(
        &self,
        tx: &WriteTx<'_>,
        project: ProjectId,
        points: &[&Point],
        staged: &mut Raised,
    ) -> Result<(), Error> {
        let rules = rules::effective(tx, Some(project))?;
        let rule = rules.get(RuleKind::SlowMetrics);
        let mut slow = 0;
        for point in points {
            let id = insert(tx, point)?;
            if let Some(ms) = slow::slow_ms(rule, point) {
                slow::note(tx, point, id, ms)?;
                slow += 1;
            }
        }
        let now = points.iter().map(|point| point.received_at).max().unwrap_or_default();
        let last = staged.get(&project).or_else(|| self.raised.get(&project)).copied().unwrap_or_default();
        // Without a new slow point the window cannot have come over its bound.
        if slow > 0 && is_due(last, now) && slow::raise(tx, &self.incidents, now, project, rule)? {
            staged.insert(project, now);
        }
        Ok(())
    }
}

/// After a clock that was set back `last` lies ahead: that must not keep a rule quiet.
fn is_due(last: Timestamp, now: Timestamp) -> bool {
    last > now || now.since(last) >= RAISE_EVERY
}

impl Record for MetricRecord {
    /// The points of one request: all or nothing.
    type Item = Vec<Point>;
    type Outcome = usize;
    type Staged = Raised;

    fn bytes(points: &Vec<Point>) -> usize {
        points.iter().map(Point::bytes).sum()
    }

    fn record(
        &self,
        tx: &WriteTx<'_>,
        items: &[Vec<Point>],
        staged: &mut Raised,
    ) -> Result<Vec<usize>, Error> {
        let mut by_project: BTreeMap<ProjectId, Vec<&Point>> = BTreeMap::new();
        for point in items.iter().flatten() {
            by_project.entry(point.project).or_default().push(point);
        }
        for (project, points) in by_project {
            self.record_project(tx, project, &points, staged)?;
        }
        tx.touch(METRICS);
        Ok(items.iter().map(Vec::len).collect())
    }

    fn apply(&mut self, staged: Raised) {
        self.raised.extend(staged);
    }
}

/// Records one point that another domain has for us, in its own transaction.
///
/// # Errors
/// Where it cannot be written.
pub fn add(tx: &WriteTx<'_>, point: &Point) -> Result<(), Error> {
    insert(tx, point)?;
    tx.touch(METRICS);
    Ok(())
}

fn insert(tx: &WriteTx<'_>, point: &Point) -> Result<i64, Error> {
    tx.insert(
        "INSERT INTO metric_points (project_id, type, value, unit, metadata, at, received_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            point.project.0,
            point.kind,
            point.value,
            point.unit,
            point.metadata,
            point.at.as_micros(),
            point.received_at.as_micros(),
        ],
    )
}

/// Deletes points received before `before`, oldest first, at most `limit`.
pub fn purge(tx: &WriteTx<'_>, before: Timestamp, limit: u32) -> Result<usize, Error> {
    tx.execute(
        "DELETE FROM metric_points WHERE id IN (
             SELECT id FROM metric_points WHERE received_at < ?1 ORDER BY received_at LIMIT ?2)",
        params![before.as_micros(), limit],
    )
}
