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
    let last = first + i64::try_from(HOURS).unwrap_or(0) - 1;
    let mut out: HashMap<i64, Vec<i64>> = issues.iter().map(|issue| (issue.row_id, vec![0; HOURS])).collect();
    let mut of_project: HashMap<ProjectId, Vec<i64>> = HashMap::new();
    for issue in issues {
        of_project.entry(issue.project_id).or_default().push(issue.row_id);
    }
    for (project, ids) in of_project {
        // Named hours and issues are looked up one by one in the table's order; a range of hours would be read whole.
        let counts = tx.all(
            "SELECT issue_id, hour, count FROM issue_hours
             WHERE project_id = ?1 AND hour IN (SELECT value FROM json_each(?2))
               AND issue_id IN (SELECT value FROM json_each(?3))",
            params![project.0, list_of(first..=last), list_of(ids)],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)),
        )?;
        for (issue, hour, count) in counts {
            let at = usize::try_from(hour - first).ok();
            if let Some(slot) = at.and_then(|at| out.get_mut(&issue)?.get_mut(at)) {
                *slot = count;
            }
        }
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

/// Numbers for `json_each`.
fn list_of(numbers: impl IntoIterator<Item = i64>) -> String {
    serde_json::Value::from_iter(numbers).to_string()
}

fn first_hour(now: Timestamp) -> i64 {
    now.as_secs() / 3600 - i64::try_from(HOURS).unwrap_or(0) + 1
}
