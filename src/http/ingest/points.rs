//! The way of metric points to the writer. A request brings one or a thousand, so points are bounded, not requests.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Semaphore;

use crate::metrics::{MetricRecord, Point};
use crate::store::{Error, Lane};

/// The lane of points, with room for so many of them.
pub struct PointLane {
    lane: Lane<MetricRecord>,
    room: Semaphore,
    refused: AtomicU64,
}

impl PointLane {
    pub fn new(lane: Lane<MetricRecord>, points_waiting_max: usize) -> Self {
        Self { lane, room: Semaphore::new(points_waiting_max), refused: AtomicU64::new(0) }
    }

    /// As [`Lane::submit`], for the points of one request; answers how many were recorded.
    ///
    /// # Errors
    /// [`Error::Busy`] before anything was written where there is no room for them.
    pub async fn submit(&self, points: Vec<Point>) -> Result<usize, Error> {
        let weight = u32::try_from(points.len()).unwrap_or(u32::MAX);
        let Ok(_room) = self.room.try_acquire_many(weight) else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Error::Busy);
        };
        self.lane.submit(points).await
    }

    /// Requests that wait now.
    pub fn depth(&self) -> usize {
        self.lane.depth()
    }

    /// How long the oldest has waited.
    pub fn age(&self) -> std::time::Duration {
        self.lane.age()
    }

    /// Requests refused since the start because there was no room.
    pub fn refused(&self) -> u64 {
        self.lane.refused() + self.refused.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::accounts::{By, projects};
    use crate::base::{Entropy, ProjectId, Timestamp};
    use crate::incidents::{Incidents, Policy};
    use crate::metrics::parse_points;
    use crate::scrub::Scrubber;
    use crate::store::{Options, Store};

    const NOON: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[tokio::test]
    async fn a_request_weighs_as_many_points_as_it_brings() {
        let folder = tempfile::tempdir().unwrap();
        let incidents = Arc::new(Incidents { policy: Policy::default(), entropy: Entropy::seeded(7) });
        let mut opened = Store::open(folder.path(), &Options::default()).unwrap();
        let lane = PointLane::new(opened.lane("metrics", 100, MetricRecord::new(incidents)), 10);
        let store = opened.start().unwrap();
        store.write("project", |tx| projects::ensure_default(tx, &By::tocsin(NOON))).await.unwrap();
        let points = |count: usize| {
            let body = format!("[{}]", vec![r#"{"type":"a","value":1}"#; count].join(","));
            parse_points(body.as_bytes(), &Scrubber::default(), ProjectId(1), NOON).unwrap()
        };
        assert!(matches!(lane.submit(points(11)).await, Err(Error::Busy)));
        assert_eq!((lane.submit(points(10)).await.unwrap(), lane.refused(), lane.depth()), (10, 1, 0));
        assert_eq!(lane.submit(points(10)).await.unwrap(), 10, "the room is free again");
        store.stop();
    }
}
