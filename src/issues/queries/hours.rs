//! Events per hour: for the small plots, and for what is loud now.

use std::collections::HashMap;

use crate::base::{ProjectId, Timestamp};
use crate::store::{Error, ReadTx, params};

use super::super::Status;
use super::IssueView;
use super::list::find_row;

/// Hours that a small plot shows.
pub(super) const HOURS: usize = 24;
/// Loud issues of a project that are looked at: some of them are ignored and not shown.
const LOUD_MAX: i64 = 50;

/// Events per hour of each issue over the last day, oldest first, 24 values each, by the issue's row.
pub fn hourly(
    tx: &ReadTx<'_>,
    now: Timestamp,
    issues: &[IssueView],
) -> Result<HashMap<i64, Vec<i64>>, Error> {
    let first = first_hour(now);
    let mut out = HashMap::new();
    for issue in issues {
        let mut counts = vec![0; HOURS];
        for (at, slot) in (first..).zip(counts.iter_mut()) {
            *slot = tx
                .first(
                    "SELECT count FROM issue_hours WHERE project_id = ?1 AND hour = ?2 AND issue_id = ?3",
                    params![issue.project_id.0, at, issue.row_id],
                    |row| row.get(0),
                )?
                .unwrap_or(0);
        }
        out.insert(issue.row_id, counts);
    }
    Ok(out)
}

/// Events per hour of a whole project over the last day, oldest first, 24 values.
pub fn project_hours(tx: &ReadTx<'_>, now: Timestamp, project: ProjectId) -> Result<Vec<i64>, Error> {
    let first = first_hour(now);
    let mut counts = vec![0; HOURS];
    let sums = tx.all(
        "SELECT hour, sum(count) FROM issue_hours WHERE project_id = ?1 AND hour >= ?2 GROUP BY hour",
        params![project.0, first],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
    )?;
    for (hour, sum) in sums {
        if let Some(slot) = usize::try_from(hour - first).ok().and_then(|at| counts.get_mut(at)) {
            *slot = sum;
        }
    }
    Ok(counts)
}

/// The issues of some projects with the most events in this hour and the one before it, loudest first, without those
/// that somebody ignores.
pub fn loudest(
    tx: &ReadTx<'_>,
    now: Timestamp,
    projects: &[ProjectId],
    limit: usize,
) -> Result<Vec<(IssueView, i64)>, Error> {
    let since = now.as_secs() / 3600 - 1;
    let mut loud = Vec::new();
    for project in projects {
        loud.extend(tx.all(
            "SELECT issue_id, sum(count) AS events FROM issue_hours WHERE project_id = ?1 AND hour >= ?2
             GROUP BY issue_id ORDER BY events DESC, issue_id DESC LIMIT ?3",
            params![project.0, since, LOUD_MAX],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
        )?);
    }
    loud.sort_by_key(|(_, events)| std::cmp::Reverse(*events));
    let mut found = Vec::with_capacity(limit);
    for (issue, events) in loud {
        if found.len() == limit {
            break;
        }
        let issue = find_row(tx, issue)?.filter(|issue| issue.status != Status::Ignored.as_str());
        found.extend(issue.map(|issue| (issue, events)));
    }
    Ok(found)
}

fn first_hour(now: Timestamp) -> i64 {
    now.as_secs() / 3600 - i64::try_from(HOURS).unwrap_or(0) + 1
}
