//! Events per hour, for the small plots.

use std::collections::HashMap;

use crate::base::Timestamp;
use crate::store::{Error, ReadTx, params};

use super::IssueView;

/// Hours that a small plot shows.
pub(super) const HOURS: usize = 24;

/// Events per hour of each issue over the last day, oldest first, 24 values each, by the issue's row.
pub fn hourly(
    tx: &ReadTx<'_>,
    now: Timestamp,
    issues: &[IssueView],
) -> Result<HashMap<i64, Vec<i64>>, Error> {
    let this_hour = now.as_secs() / 3600;
    let first = this_hour - i64::try_from(HOURS).unwrap_or(0) + 1;
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
