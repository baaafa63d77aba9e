//! What is let go: payloads past their age, payloads over the byte budget, issues nobody sees again.
//!
//! Every step is one short write of at most [`STEP_ROWS`] rows, oldest first by when they arrived, so that intake
//! hardly notices. What is looked for at length is looked for by a reader.

use std::collections::HashMap;

use super::births;
use super::ids::{Entry, Place};
use crate::base::{EventId, ProjectId, Timestamp};
use crate::ledger::{self, Category, Outcome, Reason};
use crate::store::{Error, ReadTx, Row, WriteTx, params};

/// A few milliseconds of work for the writer.
pub const STEP_ROWS: u32 = 200;
/// With an issue go its keys, users, environments and hours.
const STEP_ISSUES: u32 = 40;
/// Payloads that a busy issue keeps while others can be let go of.
const KEPT_PER_ISSUE: i64 = 10;
/// Payloads that one search looks at.
const LOOK_ROWS: u32 = 2_000;

/// Which payloads a step removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Those received before this moment.
    Before(Timestamp),
    /// The oldest, because the byte budget is used up.
    OverBudget,
}

/// Where a search for payloads of busy issues goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    received_at: Timestamp,
    issue: i64,
    seq: i64,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// Oldest first.
    pub seqs: Vec<i64>,
    /// `None`: everything was looked at.
    pub next: Option<Mark>,
}

/// Reads the index alone, and no payload.
const FIND_BUSY: &str = "SELECT events.received_at, events.issue_id, events.seq, issue_stats.stored
     FROM events CROSS JOIN issue_stats ON issue_stats.issue_id = events.issue_id
     WHERE (events.received_at, events.issue_id, events.seq) > (?1, ?2, ?3)
     ORDER BY events.received_at, events.issue_id, events.seq LIMIT ?4";

/// Finds one step of payloads whose issues have more than `KEPT_PER_ISSUE`, the oldest after `from` first.
pub fn find_busy(tx: &ReadTx<'_>, from: Mark) -> Result<Busy, Error> {
    let looked =
        tx.all(FIND_BUSY, params![from.received_at.as_micros(), from.issue, from.seq, LOOK_ROWS], |row| {
            let received_at = Timestamp::from_micros(row.get(0)?);
            Ok((Mark { received_at, issue: row.get(1)?, seq: row.get(2)? }, row.get::<_, i64>(3)?))
        })?;
    let mut busy = Busy { seqs: Vec::new(), next: None };
    let mut taken: HashMap<i64, i64> = HashMap::new();
    for (mark, stored) in &looked {
        let taken = taken.entry(mark.issue).or_default();
        if stored - *taken > KEPT_PER_ISSUE {
            *taken += 1;
            busy.seqs.push(mark.seq);
        }
        if busy.seqs.len() >= STEP_ROWS as usize {
            busy.next = Some(*mark);
            return Ok(busy);
        }
    }
    if looked.len() >= LOOK_ROWS as usize {
        busy.next = looked.last().map(|(mark, ..)| *mark);
    }
    Ok(busy)
}

/// Removes these payloads over the byte budget and returns their ids for [`super::ids::RecentIds::forget`].
pub fn evict_these(tx: &WriteTx<'_>, now: Timestamp, seqs: &[i64]) -> Result<Vec<Entry>, Error> {
    let seqs = serde_json::to_string(seqs).unwrap_or_default();
    let removed = tx.all(
        "DELETE FROM events WHERE seq IN (SELECT value FROM json_each(?1))
         RETURNING seq, project_id, issue_id, event_id",
        [seqs],
        read_removed,
    )?;
    account(tx, now, Cut::OverBudget, removed)
}

/// Removes one step of payloads, oldest first, and returns their ids for [`super::ids::RecentIds::forget`].
pub fn evict(tx: &WriteTx<'_>, now: Timestamp, cut: Cut) -> Result<Vec<Entry>, Error> {
    let before = match cut {
        Cut::Before(at) => at,
        Cut::OverBudget => Timestamp::MAX,
    };
    let removed = tx.all(
        "DELETE FROM events WHERE seq IN (
             SELECT seq FROM events WHERE received_at < ?1 ORDER BY received_at LIMIT ?2)
         RETURNING seq, project_id, issue_id, event_id",
        params![before.as_micros(), STEP_ROWS],
        read_removed,
    )?;
    account(tx, now, cut, removed)
}

/// An issue's row and what was removed of it.
type Removed = (i64, Entry);

fn read_removed(row: &Row<'_>) -> rusqlite::Result<Removed> {
    let (project, event) = (ProjectId(row.get(1)?), EventId(row.get(3)?));
    Ok((row.get(2)?, Entry { project, event, place: Place::Stored(row.get(0)?) }))
}

/// Takes removed payloads out of the index of ids and moves them from `stored` to `evicted`.
fn account(tx: &WriteTx<'_>, now: Timestamp, cut: Cut, removed: Vec<Removed>) -> Result<Vec<Entry>, Error> {
    let mut per_issue: HashMap<i64, i64> = HashMap::new();
    let mut per_project: HashMap<ProjectId, u64> = HashMap::new();
    for (issue, entry) in &removed {
        *per_issue.entry(*issue).or_default() += 1;
        *per_project.entry(entry.project).or_default() += 1;
        forget_id(tx, entry)?;
    }
    for (issue, count) in per_issue {
        tx.execute(
            "UPDATE issue_stats SET stored = stored - ?2, evicted = evicted + ?2 WHERE issue_id = ?1",
            params![issue, count],
        )?;
    }
    if cut == Cut::OverBudget {
        let evicted: Vec<Outcome> =
            per_project.into_iter().map(|(project, quantity)| over_budget(project, quantity)).collect();
        ledger::add(tx, now, &evicted)?;
    }
    Ok(removed.into_iter().map(|(_, entry)| entry).collect())
}

/// An id that was sent again since then leads to another event: that one stays.
fn forget_id(tx: &WriteTx<'_>, entry: &Entry) -> Result<(), Error> {
    if let Place::Stored(seq) = entry.place {
        tx.execute(
            "DELETE FROM event_ids WHERE project_id = ?1 AND event_id = ?2 AND seq = ?3",
            params![entry.project.0, entry.event.0, seq],
        )?;
    }
    Ok(())
}

/// Finds one step of issues that have no payload left and were neither seen nor heard since `before`.
pub fn find_forgotten(tx: &ReadTx<'_>, before: Timestamp) -> Result<Vec<i64>, Error> {
    tx.all(
        "SELECT issue_stats.issue_id
         FROM projects CROSS JOIN issue_stats ON issue_stats.project_id = projects.id
         WHERE issue_stats.last_seen < ?1 AND issue_stats.stored = 0 AND NOT EXISTS (
             SELECT 1 FROM issue_hours WHERE issue_id = issue_stats.issue_id AND hour >= ?2)
         LIMIT ?3",
        params![before.as_micros(), hour_of(before), STEP_ISSUES],
        |row| row.get(0),
    )
}

/// Removes those of `issues` that still have no payload and no event since `before`; before them, a step of which
/// deliveries they came of, where there are any. Answers how many rows.
pub fn forget_issues(tx: &WriteTx<'_>, before: Timestamp, issues: &[i64]) -> Result<usize, Error> {
    let issues = serde_json::to_string(issues).unwrap_or_default();
    let deliveries = tx.execute(
        "DELETE FROM issue_deliveries WHERE (issue_id, number) IN (
             SELECT issue_deliveries.issue_id, number
             FROM json_each(?1) AS asked CROSS JOIN issue_stats ON issue_stats.issue_id = asked.value
                 CROSS JOIN issue_deliveries ON issue_deliveries.issue_id = asked.value
             WHERE last_seen < ?2 AND stored = 0 LIMIT ?3)",
        params![issues, before.as_micros(), STEP_ROWS],
    )?;
    if deliveries > 0 {
        return Ok(deliveries);
    }
    tx.execute(
        "DELETE FROM issues WHERE id IN (
             SELECT issue_id FROM issue_stats
             WHERE issue_id IN (SELECT value FROM json_each(?1)) AND last_seen < ?2 AND stored = 0)",
        params![issues, before.as_micros()],
    )
}

/// Removes one step of hourly counts that are older than `before`.
pub fn forget_hours(tx: &WriteTx<'_>, before: Timestamp) -> Result<usize, Error> {
    let hours = tx.execute(
        "DELETE FROM issue_hours WHERE (project_id, hour, issue_id) IN (
             SELECT project_id, hour, issue_id FROM issue_hours WHERE hour < ?1 ORDER BY hour LIMIT ?2)",
        params![hour_of(before), STEP_ROWS],
    )?;
    Ok(hours + births::purge(tx, before, STEP_ROWS)?)
}

fn hour_of(at: Timestamp) -> i64 {
    at.as_secs() / 3600
}

fn over_budget(project: ProjectId, quantity: u64) -> Outcome {
    Outcome { project: Some(project), reason: Reason::Evicted, category: Category::Error, quantity }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::plans::plans_of;
    use crate::store::{Options, Store};

    #[test]
    fn the_search_reads_no_payload_and_sorts_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
        let read = |tx: &ReadTx<'_>| Ok::<_, Error>(plans_of(tx, || find_busy(tx, Mark::default()).unwrap()));
        let plans = store.read_now(read).unwrap();
        assert!(plans[0].has("SEARCH events USING COVERING INDEX events_by_time"), "{plans:?}");
        assert!(!plans[0].sorts(), "{plans:?}");
        store.stop();
    }
}
