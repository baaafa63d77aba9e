//! The lane of metric points and the queries over them.

use std::sync::Arc;

use super::{Point, slow};
use crate::base::{ProjectId, Timestamp};
use crate::incidents::Incidents;
use crate::store::{Error, ReadTx, Record, Topic, WriteTx, params};

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

/// The newest points of one type, newest first.
pub fn list(tx: &ReadTx<'_>, project: ProjectId, kind: &str, limit: u32) -> Result<Vec<Point>, Error> {
    tx.all(
        "SELECT type, value, unit, metadata, at, received_at FROM metric_points
         WHERE project_id = ?1 AND type = ?2 ORDER BY at DESC LIMIT ?3",
        params![project.0, kind, limit],
        |row| {
            let metadata: String = row.get(3)?;
            Ok(Point {
                project,
                kind: row.get(0)?,
                value: row.get(1)?,
                unit: row.get(2)?,
                metadata: serde_json::from_str(&metadata).unwrap_or_default(),
                at: Timestamp::from_micros(row.get(4)?),
                received_at: Timestamp::from_micros(row.get(5)?),
            })
        },
    )
}

/// Deletes points received before `before`, oldest first, at most `limit`.
pub fn purge(tx: &WriteTx<'_>, before: Timestamp, limit: u32) -> Result<usize, Error> {
    tx.execute(
        "DELETE FROM metric_points WHERE id IN (
             SELECT id FROM metric_points ORDER BY id LIMIT ?2) AND received_at < ?1",
        params![before.as_micros(), limit],
    )
}
