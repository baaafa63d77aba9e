//! What was turned away, counted in memory and written in bundles: a flood of refusals must not become a flood
//! of writes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::base::{ProjectId, Timestamp};
use crate::ledger::{self, Category, Outcome, Reason};
use crate::store::{Error, Store};

type Line = (Option<ProjectId>, Reason, Category);

/// Counts that wait for the ledger. A crash loses at most what came since the last run of the task.
#[derive(Default)]
pub struct Refusals {
    counts: Mutex<HashMap<Line, u64>>,
}

impl Refusals {
    pub fn count(&self, project: Option<ProjectId>, reason: Reason, category: Category, quantity: u64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((project, reason, category)).or_default() += quantity;
    }

    /// Writes what was counted; a failed write keeps it for the next time. A task's body.
    pub async fn flush(&self, store: &Store, now: Timestamp) -> Result<u64, Error> {
        let counts = std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        if counts.is_empty() {
            return Ok(0);
        }
        let outcomes: Vec<Outcome> = counts
            .into_iter()
            .map(|((project, reason, category), quantity)| Outcome { project, reason, category, quantity })
            .collect();
        let total = outcomes.iter().map(|outcome| outcome.quantity).sum();
        let kept = outcomes.clone();
        let written = store.write("ledger.refusals", move |tx| ledger::add(tx, now, &outcomes)).await;
        if let Err(error) = written {
            for outcome in kept {
                self.count(outcome.project, outcome.reason, outcome.category, outcome.quantity);
            }
            return Err(error);
        }
        Ok(total)
    }
}
