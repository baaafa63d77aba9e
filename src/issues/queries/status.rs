//! What people decide about an issue.

use super::super::evaluate::key_of;
use super::super::record::ISSUES;
use super::super::rows::Status;
use super::IssueView;
use crate::base::Timestamp;
use crate::incidents::{CloseReason, Incidents};
use crate::store::{Error, WriteTx, params};

/// A change of status and who made it.
#[derive(Clone, Debug)]
pub struct StatusChange {
    pub status: Status,
    pub by: String,
}

/// Sets an issue's status; resolving or ignoring it closes its incident in the same commit, and takes it out of a digest
/// that was not written yet.
pub fn set_status(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    issue: &IssueView,
    change: &StatusChange,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE issues SET status = ?2, status_at = ?3, status_by = ?4,
             return_of = CASE ?2 WHEN 'resolved' THEN NULL ELSE return_of END
         WHERE id = ?1",
        params![issue.row_id, change.status.as_str(), now.as_micros(), change.by],
    )?;
    let key = key_of(issue.project_id, issue.id);
    let closes = match change.status {
        Status::Unresolved => None,
        Status::Resolved => Some(CloseReason::SubjectResolved),
        Status::Ignored => Some(CloseReason::SubjectIgnored),
    };
    if let Some(reason) = closes {
        incidents.close_key(tx, now, &key, reason, &change.by)?;
        if incidents.withdraw_from_digest(tx, issue.project_id, &key)? {
            // Nobody was told after all: should it be heard of again, it is new.
            tx.execute(
                "UPDATE issues SET told_at = NULL WHERE id = ?1 AND alarmed_at IS NULL",
                [issue.row_id],
            )?;
        }
    }
    tx.touch(ISSUES);
    Ok(())
}
