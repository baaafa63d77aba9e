//! The lane of metric points and the queries over them.

use std::sync::Arc;

use super::{Point, slow};
use crate::base::Timestamp;
use crate::incidents::Incidents;
use crate::store::{Error, Record, Topic, WriteTx, params};

/// Metric points were recorded.
pub const METRICS: Topic = Topic("metrics");

/// Records the points of whole requests. Lives on the writer thread.
pub struct MetricRecord {
    pub incidents: Arc<Incidents>,
}

impl Record for MetricRecord {
    /// The points of one request: all or nothing.
    type Item = Vec<Point>;
    type Outcome = usize;
    type Staged = ();

    fn bytes(points: &Vec<Point>) -> usize {
        points.iter().map(Point::bytes).sum()
    }

    fn record(&self, tx: &WriteTx<'_>, items: &[Vec<Point>], (): &mut ()) -> Result<Vec<usize>, Error> {
        for point in items.iter().flatten() {
            let id = insert(tx, point)?;
            slow::note(tx, point, id)?;
        }
        slow::evaluate(tx, &self.incidents, items)?;
        tx.touch(METRICS);
        Ok(items.iter().map(Vec::len).collect())
    }

    fn apply(&mut self, (): ()) {}
}

fn insert(tx: &WriteTx<'_>, point: &Point) -> Result<i64, Error> {
    let metadata = serde_json::to_string(&point.metadata).unwrap_or_else(|_| "{}".to_owned());
    tx.insert(
        "INSERT INTO metric_points (project_id, type, value, unit, metadata, at, received_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            point.project.0,
            point.kind,
            point.value,
            point.unit,
            metadata,
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
