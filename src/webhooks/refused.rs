//! Calls that were turned away, counted in memory and written in bundles: a flood of them must not become a flood of
//! writes. Of each source the last ones are kept, to be looked at. Never a body, never a secret.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use super::SourceId;
use super::scheme::Refusal;
use super::tally::{self, Tally};
use crate::base::Timestamp;
use crate::store::{Error, Store, WriteTx, params};

/// A call that was turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub at: Timestamp,
    /// One word, for counters and lists: of [`super::scheme::Refusal`], or what the door says itself.
    pub reason: &'static str,
    /// Who called.
    pub address: String,
    /// Without secrets, at most [`HEADERS_BYTES_MAX`].
    pub headers: Vec<(String, String)>,
}

/// Of each source.
pub const KEPT: u32 = 20;
pub const HEADERS_BYTES_MAX: usize = 2 * 1024;

/// Refusals that wait to be written. A crash loses at most what came since the last run of the task.
#[derive(Default)]
pub struct Refusals {
    waiting: Mutex<HashMap<SourceId, Waiting>>,
}

#[derive(Clone, Debug, Default)]
struct Waiting {
    count: u64,
    /// The newest last; alike ones together.
    newest: VecDeque<(Refused, u64)>,
}

impl Waiting {
    /// What the caller cannot mend is told to whoever runs tocsin.
    fn tell(&self, source: SourceId) {
        if self.newest.iter().any(|(refused, _)| refused.reason == Refusal::NoSecret.as_str()) {
            tracing::warn!(
                webhook.source_id = source.0,
                "a source of webhooks has no secret and refuses every call: enter its provider's signing secret"
            );
        }
    }

    fn add(&mut self, refused: Refused, times: u64) {
        self.count += times;
        let is_alike = |one: &Refused| one.reason == refused.reason && one.address == refused.address;
        if let Some((last, count)) = self.newest.back_mut()
            && is_alike(last)
        {
            (*last, *count) = (refused, *count + times);
            return;
        }
        if self.newest.len() == KEPT as usize {
            self.newest.pop_front();
        }
        self.newest.push_back((refused, times));
    }
}

impl Refusals {
    pub fn count(&self, source: SourceId, refused: Refused) {
        self.waiting().entry(source).or_default().add(refused, 1);
    }

    /// Writes what was counted; a failed write keeps it for the next time. A task's body.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub async fn flush(&self, store: &Store) -> Result<u64, Error> {
        let taken = std::mem::take(&mut *self.waiting());
        if taken.is_empty() {
            return Ok(0);
        }
        let written = store.write(FLUSH, write(taken.clone())).await;
        self.settle(taken, written)
    }

    /// As [`Refusals::flush`], blocking: for the stop.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn flush_now(&self, store: &Store) -> Result<u64, Error> {
        let taken = std::mem::take(&mut *self.waiting());
        if taken.is_empty() {
            return Ok(0);
        }
        let written = store.write_now(FLUSH, write(taken.clone()));
        self.settle(taken, written)
    }

    fn settle(&self, taken: HashMap<SourceId, Waiting>, written: Result<(), Error>) -> Result<u64, Error> {
        let total = taken.values().map(|waiting| waiting.count).sum();
        for (source, waiting) in &taken {
            waiting.tell(*source);
        }
        if written.is_err() {
            let mut waiting = self.waiting();
            for (source, mut older) in taken {
                let newer = waiting.remove(&source).unwrap_or_default();
                let counted = older.count + newer.count;
                for (refused, times) in newer.newest {
                    older.add(refused, times);
                }
                older.count = counted;
                waiting.insert(source, older);
            }
        }
        written.map(|()| total)
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<SourceId, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const FLUSH: &str = "webhooks.refusals";

fn write(taken: HashMap<SourceId, Waiting>) -> impl FnOnce(&WriteTx<'_>) -> Result<(), Error> + Send {
    move |tx| taken.into_iter().try_for_each(|(source, waiting)| write_source(tx, source, &waiting))
}

fn write_source(tx: &WriteTx<'_>, source: SourceId, waiting: &Waiting) -> Result<(), Error> {
    let at = waiting.newest.back().map_or(Timestamp::EPOCH, |(refused, _)| refused.at);
    let counted = i64::try_from(waiting.count).unwrap_or(i64::MAX);
    // It may have been removed meanwhile.
    if !tally::add(tx, source, at, Tally { refused: counted, ..Tally::default() })? {
        return Ok(());
    }
    for (refused, times) in &waiting.newest {
        tx.insert(
            "INSERT INTO webhook_refusals (source_id, at, reason, address, headers, count)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                source.0,
                refused.at.as_micros(),
                refused.reason,
                refused.address,
                json!(refused.headers).to_string(),
                i64::try_from(*times).unwrap_or(i64::MAX),
            ],
        )?;
    }
    tx.execute(
        "DELETE FROM webhook_refusals WHERE source_id = ?1 AND id <= (
             SELECT id FROM webhook_refusals INDEXED BY webhook_refusals_by_source
             WHERE source_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        params![source.0, KEPT],
    )?;
    Ok(())
}
