//! What is let go: payloads past their age, the oldest payloads over the byte budget, issues nobody sees again.
//!
//! Every step is one short write of at most [`STEP_ROWS`] rows in time order, so that intake hardly notices.

use std::collections::HashMap;

use super::ids::{Entry, Place};
use super::rows::day_of;
use crate::base::{EventId, ProjectId, Timestamp};
use crate::ledger::{self, Category, Outcome, Reason};
use crate::store::{Error, WriteTx, params};

/// A few milliseconds of work for the writer.
pub const STEP_ROWS: u32 = 200;

/// Which payloads a step removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Those received before this moment.
    Before(Timestamp),
    /// The oldest, because the byte budget is used up.
    OverBudget,
}

/// Removes one step of payloads, oldest first, and returns their ids for [`super::ids::RecentIds::forget`].
pub fn evict(tx: &WriteTx<'_>, now: Timestamp, cut: Cut) -> Result<Vec<Entry>, Error> {
    let before = match cut {
        Cut::Before(at) => at,
        Cut::OverBudget => Timestamp::MAX,
    };
    let removed = tx.all(
        "DELETE FROM events WHERE seq IN (SELECT seq FROM events ORDER BY seq LIMIT ?2) AND received_at < ?1
         RETURNING seq, project_id, issue_id, event_id",
        params![before.as_micros(), STEP_ROWS],
        |row| {
            let (project, event) = (ProjectId(row.get(1)?), EventId(row.get(3)?));
            Ok((row.get::<_, i64>(2)?, Entry { project, event, place: Place::Stored(row.get(0)?) }))
        },
    )?;
    let mut per_issue: HashMap<i64, i64> = HashMap::new();
    let mut per_project: HashMap<ProjectId, u64> = HashMap::new();
    for (issue, entry) in &removed {
        *per_issue.entry(*issue).or_default() += 1;
        *per_project.entry(entry.project).or_default() += 1;
        tx.execute(
            "DELETE FROM event_ids WHERE project_id = ?1 AND event_id = ?2",
            params![entry.project.0, entry.event.0],
        )?;
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

/// Removes issues that have no payload left and were last seen before `before`, and old hourly counts.
pub fn forget_issues(tx: &WriteTx<'_>, before: Timestamp) -> Result<usize, Error> {
    let issues = tx.execute(
        "DELETE FROM issues WHERE id IN (
             SELECT issue_id FROM issue_stats WHERE last_seen < ?1 AND stored = 0 LIMIT ?2)",
        params![before.as_micros(), STEP_ROWS],
    )?;
    let hours = tx.execute(
        "DELETE FROM issue_hours WHERE (project_id, hour, issue_id) IN (
             SELECT project_id, hour, issue_id FROM issue_hours WHERE hour < ?1 LIMIT ?2)",
        params![day_of(before) * 24, STEP_ROWS],
    )?;
    Ok(issues + hours)
}

fn over_budget(project: ProjectId, quantity: u64) -> Outcome {
    Outcome { project: Some(project), reason: Reason::Evicted, category: Category::Error, quantity }
}
