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
    let mut out: HashMap<i64, Vec<i64>> = issues.iter().map(|issue| (issue.row_id, vec![0; HOURS])).collect();
    let ids: Vec<i64> = issues.iter().map(|issue| issue.row_id).collect();
    let counted = tx.all(
        "SELECT issue_id, hour, count FROM issue_hours
         WHERE issue_id IN (SELECT value FROM json_each(?1)) AND hour BETWEEN ?2 AND ?3",
        params![serde_json::to_string(&ids).unwrap_or_default(), first, this_hour],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)),
    )?;
    for (issue, hour, count) in counted {
        let place = usize::try_from(hour - first).unwrap_or(HOURS);
        if let Some(slot) = out.get_mut(&issue).and_then(|counts| counts.get_mut(place)) {
            *slot = count;
        }
    }
    Ok(out)
}
