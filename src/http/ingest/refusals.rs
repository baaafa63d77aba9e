//! What was turned away, counted in memory and written in bundles: a flood of refusals must not become a flood
//! of writes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::base::{ProjectId, Timestamp};
use crate::ledger::{self, Category, Outcome, Reason};
use crate::store::{Error, Store, WriteTx};

type Line = (Option<ProjectId>, Reason, Category);

/// Counts that wait for the ledger. A crash loses at most what came since the last run of the task.
#[derive(Default)]
pub struct Refusals {
    counts: Mutex<HashMap<Line, u64>>,
}

impl Refusals {
    pub fn count(&self, project: Option<ProjectId>, reason: Reason, category: Category, quantity: u64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = counts.entry((project, reason, category)).or_default();
        *sum = sum.saturating_add(quantity);
    }

    /// Writes what was counted; a failed write keeps it for the next time. A task's body.
    pub async fn flush(&self, store: &Store, now: Timestamp) -> Result<u64, Error> {
        let taken = self.take();
        if taken.is_empty() {
            return Ok(0);
        }
        let written = store.write(FLUSH, add(now, taken.clone())).await;
        self.settle(taken, written)
    }

    /// As [`Refusals::flush`], blocking: for the stop.
    pub fn flush_now(&self, store: &Store, now: Timestamp) -> Result<u64, Error> {
        let taken = self.take();
        if taken.is_empty() {
            return Ok(0);
        }
        let written = store.write_now(FLUSH, add(now, taken.clone()));
        self.settle(taken, written)
    }

    fn take(&self) -> Vec<Outcome> {
        let counts = std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        counts
            .into_iter()
            .map(|((project, reason, category), quantity)| Outcome { project, reason, category, quantity })
            .collect()
    }

    fn settle(&self, taken: Vec<Outcome>, written: Result<(), Error>) -> Result<u64, Error> {
        let total = taken.iter().map(|outcome| outcome.quantity).sum();
        if written.is_err() {
            for outcome in taken {
                self.count(outcome.project, outcome.reason, outcome.category, outcome.quantity);
            }
        }
        written.map(|()| total)
    }
}

const FLUSH: &str = "ledger.refusals";

fn add(now: Timestamp, outcomes: Vec<Outcome>) -> impl FnOnce(&WriteTx<'_>) -> Result<(), Error> + Send {
    move |tx| ledger::add(tx, now, &outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Options;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[tokio::test]
    async fn what_could_not_be_written_is_kept_until_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
        let refusals = Refusals::default();
        refusals.count(None, Reason::Busy, Category::Error, 2);
        let stopped = open();
        stopped.stop();
        assert!(refusals.flush(&stopped, NOW).await.is_err());
        assert!(refusals.flush_now(&stopped, NOW).is_err());
        refusals.count(None, Reason::Busy, Category::Error, 3);
        drop(stopped);

        let store = open();
        assert_eq!(refusals.flush(&store, NOW).await.unwrap(), 5);
        assert_eq!(refusals.flush(&store, NOW).await.unwrap(), 0);
        let sum = |tx: &crate::store::ReadTx<'_>| {
            tx.one("SELECT sum(quantity) FROM outcomes WHERE reason = 'busy'", [], |row| row.get::<_, i64>(0))
        };
        assert_eq!(store.read_now(sum).map_err(|error: Error| error).unwrap(), 5);
        store.stop();
    }
}
