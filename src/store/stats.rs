//! Counters of the store itself, for /metrics, the page and tocsin's own alarms.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::Error;

/// Running totals since start. Written by the writer and the checkpointer, read by anyone.
#[derive(Default)]
pub struct Stats {
    pub(super) queued: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) commits: AtomicU64,
    pub(super) failed_commits: AtomicU64,
    pub(super) jobs: AtomicU64,
    pub(super) commit_us: AtomicU64,
    pub(super) slowest_us: AtomicU64,
    pub(super) slow_batches: AtomicU64,
    pub(super) wal_pages: AtomicU64,
    pub(super) checkpoints: AtomicU64,
    pub(super) truncations: AtomicU64,
    pub(super) checkpoints_held: AtomicU64,
    pub(super) disk_full: AtomicU64,
    pub(super) failing: AtomicBool,
    /// The first damage that was met.
    damage: OnceLock<Error>,
}

/// [`Stats`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatsSnapshot {
    /// Closures that wait now. A lane tells its own depth.
    pub queued: u64,
    /// Closures refused because their queue was full. A lane tells its own.
    pub refused: u64,
    pub commits: u64,
    pub failed_commits: u64,
    /// Closures and lane items that were run.
    pub jobs: u64,
    /// Time spent in commits (the sync included), in all.
    pub commit_time: Duration,
    /// The slowest batch since the last call of [`Stats::take_slowest`].
    pub slowest: Duration,
    /// Batches over 50 ms.
    pub slow_batches: u64,
    /// Pages in the write-ahead log after the last commit.
    pub wal_pages: u64,
    pub checkpoints: u64,
    /// Times the writer had to truncate the log itself.
    pub truncations: u64,
    /// Checkpoints of the writer that somebody who reads held up.
    pub checkpoints_held: u64,
    /// Commits refused by a full disk.
    pub disk_full: u64,
}

impl Stats {
    pub fn snapshot(&self) -> StatsSnapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StatsSnapshot {
            queued: read(&self.queued),
            refused: read(&self.refused),
            commits: read(&self.commits),
            failed_commits: read(&self.failed_commits),
            jobs: read(&self.jobs),
            commit_time: Duration::from_micros(read(&self.commit_us)),
            slowest: Duration::from_micros(read(&self.slowest_us)),
            slow_batches: read(&self.slow_batches),
            wal_pages: read(&self.wal_pages),
            checkpoints: read(&self.checkpoints),
            truncations: read(&self.truncations),
            checkpoints_held: read(&self.checkpoints_held),
            disk_full: read(&self.disk_full),
        }
    }

    /// Whether the last commit failed.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// The damage that a statement met since the start. It stands: what is damaged does not become whole by itself.
    pub fn damage(&self) -> Option<&Error> {
        self.damage.get()
    }

    /// Remembers `error` where it tells of damage, and says so once.
    pub(super) fn note(&self, error: &Error) {
        if matches!(error, Error::Damaged(_)) && self.damage.set(error.clone()).is_ok() {
            tracing::error!("{error}");
        }
    }

    /// The slowest batch since the last call; starts anew.
    pub fn take_slowest(&self) -> Duration {
        Duration::from_micros(self.slowest_us.swap(0, Ordering::Relaxed))
    }

    pub(super) fn add(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

pub(super) fn as_micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
