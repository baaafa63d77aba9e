//! Resolving, ignoring and opening again an issue.

use serde_json::json;

use crate::accounts::access::{Permission, Subject};
use crate::accounts::audit::{self, Change};
use crate::base::{Timestamp, Uid};
use crate::http::Problem;
use crate::http::auth::Caller;
use crate::incidents::Incidents;
use crate::issues::Status;
use crate::issues::queries::{self, IssueView, StatusChange};
use crate::store::WriteTx;

/// Sets an issue's status; returns the issue as it was before.
///
/// # Errors
/// 404 where the caller may not see the issue, 403 where they may only see it.
pub fn set_status(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    caller: &Caller,
    now: Timestamp,
    (issue, status): (Uid, Status),
) -> Result<IssueView, Problem> {
    let found = queries::find_issue(tx, &caller.visible(), issue)?;
    let issue = found.ok_or_else(|| Problem::not_found("issue"))?;
    caller.may(Permission::Triage, Subject::Project(issue.project_id))?;
    let by = caller.by(now);
    let change = StatusChange { status, by: by.actor.to_string() };
    queries::set_status(tx, incidents, now, &issue, &change)?;
    let line = Change {
        action: "issue.set_status",
        subject: &issue.short_id,
        project: Some(issue.project_id),
        detail: json!({ "from": issue.status, "to": status.as_str() }),
    };
    audit::append(tx, &by, &line)?;
    Ok(issue)
}
