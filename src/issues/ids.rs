//! Exact deduplication of event ids, and how an event is found by its id.
//!
//! A unique index on random ids would cost every commit one random page per event. Instead the ids of a commit
//! are appended as one row of `event_id_log` and remembered in memory; [`Merge`] moves them in sorted order into
//! the table `event_ids`, so that neighbouring ids share pages. A restart reads the log back.
//!
//! **Where the window ends:** the id of a stored event is known as long as the event is. The id of a sampled
//! event (counted, payload not kept) is known until its batch is merged, at least [`MERGE_AT`] ids later.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::{EventId, ProjectId, Timestamp};
use crate::store::{Error, ReadTx, WriteTx, params};

/// The log is merged once it holds this many ids: about 3 MB in memory, half a second of the heaviest load that
/// was measured, weeks of a small team's.
pub const MERGE_AT: usize = 65_536;
/// Ids merged in one write: a few milliseconds.
const MERGE_STEP: usize = 1024;
const ENTRY_BYTES: usize = 32;

/// Where an event's payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `events.seq`.
    Stored(i64),
    /// Counted, payload not kept.
    Sampled,
}

/// One event's entry in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub project: ProjectId,
    pub event: EventId,
    pub place: Place,
}

type Key = (ProjectId, EventId);

/// The ids that are in the log and not merged yet. Shared between the lane, the readers and the merge.
#[derive(Clone, Default)]
pub struct RecentIds {
    places: Arc<Mutex<HashMap<Key, Place>>>,
}

impl RecentIds {
    /// Reads the log back after a start.
    pub fn load(tx: &ReadTx<'_>) -> Result<Self, Error> {
        let recent = Self::default();
        for_each_batch(tx, |_, ids| {
            recent.remember(&decode(ids));
            ControlFlow::Continue(())
        })?;
        Ok(recent)
    }

    pub fn find(&self, project: ProjectId, event: EventId) -> Option<Place> {
        self.places().get(&(project, event)).copied()
    }

    /// Remembers entries that are committed.
    pub fn remember(&self, entries: &[Entry]) {
        self.places().extend(entries.iter().map(|e| ((e.project, e.event), e.place)));
    }

    /// Forgets entries that were merged or deleted. An id that was let go of and sent again has another place by
    /// now: that one stays.
    pub fn forget(&self, entries: &[Entry]) {
        let mut places = self.places();
        for entry in entries {
            let key = (entry.project, entry.event);
            if places.get(&key) == Some(&entry.place) {
                places.remove(&key);
            }
        }
    }

    pub fn len(&self) -> usize {
        self.places().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn places(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether and where an event with this id is known.
pub fn find(
    tx: &ReadTx<'_>,
    recent: &RecentIds,
    project: ProjectId,
    event: EventId,
) -> Result<Option<Place>, Error> {
    if let Some(place) = recent.find(project, event) {
        return Ok(Some(place));
    }
    tx.first(
        "SELECT seq FROM event_ids WHERE project_id = ?1 AND event_id = ?2",
        params![project.0, event.0],
        |row| row.get(0).map(Place::Stored),
    )
}

/// Appends the ids of one commit as one row.
pub fn append(tx: &WriteTx<'_>, now: Timestamp, entries: &[Entry]) -> Result<(), Error> {
    if !entries.is_empty() {
        tx.execute(
            "INSERT INTO event_id_log (received_at, ids) VALUES (?1, ?2)",
            params![now.as_micros(), encode(entries)],
        )?;
    }
    Ok(())
}

/// A merge in progress: the log's batches up to one number, sorted.
pub struct Merge {
    last_batch: i64,
    entries: Vec<Entry>,
    done: usize,
}

impl Merge {
    /// What is to be merged now: nothing before the log holds [`MERGE_AT`] ids.
    pub fn plan(tx: &ReadTx<'_>) -> Result<Option<Self>, Error> {
        let bytes: i64 =
            tx.one("SELECT ifnull(sum(length(ids)), 0) FROM event_id_log", [], |row| row.get(0))?;
        if bytes < i64::try_from(MERGE_AT * ENTRY_BYTES).unwrap_or(i64::MAX) {
            return Ok(None);
        }
        Self::of_everything(tx)
    }

    /// The oldest batches until they hold [`MERGE_AT`] ids, however few there are.
    pub fn of_everything(tx: &ReadTx<'_>) -> Result<Option<Self>, Error> {
        Self::of_oldest(tx, MERGE_AT)
    }

    /// The oldest batches until they hold `ids_max` ids: the last one may bring some more.
    fn of_oldest(tx: &ReadTx<'_>, ids_max: usize) -> Result<Option<Self>, Error> {
        let mut merge = Self { last_batch: 0, entries: Vec::new(), done: 0 };
        for_each_batch(tx, |batch, ids| {
            merge.last_batch = batch;
            merge.entries.extend(decode(ids));
            if merge.entries.len() < ids_max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        merge.entries.sort_unstable_by_key(|e| (e.project, e.event));
        Ok((merge.last_batch > 0).then_some(merge))
    }

    /// Writes the next step; the last one also drops the merged batches. Repeating a step is harmless.
    pub fn step(&self, tx: &WriteTx<'_>) -> Result<(), Error> {
        for entry in self.next_entries() {
            if let Place::Stored(seq) = entry.place {
                // An event deleted since then must not come back through its id.
                tx.execute(
                    "INSERT OR IGNORE INTO event_ids (project_id, event_id, seq)
                     SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM events WHERE seq = ?3)",
                    params![entry.project.0, entry.event.0, seq],
                )?;
            }
        }
        if self.done + MERGE_STEP >= self.entries.len() {
            tx.execute("DELETE FROM event_id_log WHERE batch <= ?1", [self.last_batch])?;
        }
        Ok(())
    }

    /// Call after a step is committed; `false` when that was the last one.
    pub fn advance(&mut self) -> bool {
        self.done += MERGE_STEP;
        self.done < self.entries.len()
    }

    /// What memory may forget once the last step is committed.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn next_entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().skip(self.done).take(MERGE_STEP)
    }
}

/// Hands over the log batch by batch, oldest first, without holding more than one in memory.
fn for_each_batch(tx: &ReadTx<'_>, mut take: impl FnMut(i64, &[u8]) -> ControlFlow<()>) -> Result<(), Error> {
    let mut statement =
        tx.connection().prepare_cached("SELECT batch, ids FROM event_id_log ORDER BY batch")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if take(row.get(0)?, row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?).is_break() {
            break;
        }
    }
    Ok(())
}

fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY_BYTES);
    for entry in entries {
        let seq = match entry.place {
            Place::Stored(seq) => seq,
            Place::Sampled => 0,
        };
        bytes.extend_from_slice(&entry.project.0.to_le_bytes());
        bytes.extend_from_slice(&entry.event.0);
        bytes.extend_from_slice(&seq.to_le_bytes());
    }
    bytes
}

fn decode(bytes: &[u8]) -> Vec<Entry> {
    let (entries, _) = bytes.as_chunks::<ENTRY_BYTES>();
    entries
        .iter()
        .filter_map(|entry| {
            let (project, rest) = entry.split_first_chunk::<8>()?;
            let (event, seq) = rest.split_first_chunk::<16>()?;
            let seq = i64::from_le_bytes(*seq.first_chunk::<8>()?);
            let place = if seq == 0 { Place::Sampled } else { Place::Stored(seq) };
            Some(Entry { project: ProjectId(i64::from_le_bytes(*project)), event: EventId(*event), place })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Options, Store};

    #[test]
    fn entries_survive_the_log() {
        let entries = [
            Entry { project: ProjectId(1), event: EventId([7; 16]), place: Place::Stored(42) },
            Entry { project: ProjectId(2), event: EventId([8; 16]), place: Place::Sampled },
        ];
        assert_eq!(decode(&encode(&entries)), entries);
        assert_eq!(decode(&encode(&entries)[..40]), entries[..1]);
    }

    fn entry(id: u8, place: Place) -> Entry {
        Entry { project: ProjectId(1), event: EventId([id; 16]), place }
    }

    #[test]
    fn an_id_that_was_sent_again_is_not_forgotten_with_its_predecessor() {
        let (recent, old, new) =
            (RecentIds::default(), entry(1, Place::Stored(7)), entry(1, Place::Stored(9)));
        recent.remember(&[old]);
        recent.remember(&[new]);
        recent.forget(&[old]);
        assert_eq!(recent.find(new.project, new.event), Some(new.place));
        recent.forget(&[new]);
        assert!(recent.is_empty());
    }

    #[test]
    fn a_merge_takes_as_many_batches_as_hold_its_ids() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
        let write = |tx: &WriteTx<'_>| {
            for first in [0, 10, 20] {
                let batch: Vec<_> = (first..first + 10).map(|id| entry(id, Place::Sampled)).collect();
                append(tx, Timestamp::from_secs(1), &batch)?;
            }
            Ok::<_, Error>(())
        };
        store.write_now("append", write).unwrap();
        let merge = store.read_now(|tx| Merge::of_oldest(tx, 15)).unwrap().unwrap();
        assert_eq!((merge.last_batch, merge.entries().len()), (2, 20));
        let recent = store.read_now(RecentIds::load).unwrap();
        assert_eq!(recent.len(), 30);
        store.stop();
    }
}
