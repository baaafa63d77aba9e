//! Planning work, calling it off, taking it away.

use std::sync::Arc;

use serde_json::json;

use super::named::{subjects, visible_project};
use crate::accounts::Visible;
use crate::accounts::access::Permission;
use crate::accounts::audit::{self, Change as Audited};
use crate::base::owned::{Change, Owner};
use crate::base::{ProjectId, Timestamp, Uid};
use crate::http::auth::Caller;
use crate::http::visible::subject;
use crate::http::{AppState, Problem};
use crate::incidents::maintenance::{self, Called, Draft, Maintenance};
use crate::store::{ReadTx, WriteTx};

/// Whoever sees only some projects cannot plan for all.
const NO_PROJECT: &str = "Say in `project` what the work is on, by its slug or number: only those who see every project \
     may leave it out.";

/// Plans work, or changes what has its key. `draft.project` is set from `project`, and `draft.subjects` are what the
/// caller named.
///
/// # Errors
/// Where the caller does not see the project or may not silence it, and where something of it is wrong.
pub async fn save(
    state: &AppState,
    caller: Caller,
    project: Option<String>,
    draft: Draft,
) -> Result<(Maintenance, Change), Problem> {
    let (now, incidents) = (state.clock.now(), Arc::clone(&state.incidents));
    state
        .store
        .write("maintenance.save", move |tx| {
            let visible = caller.visible();
            let project = match &project {
                Some(named) => Some(visible_project(tx, &visible, named)?),
                None if visible != Visible::All => return Err(Problem::bad_request(NO_PROJECT)),
                None => None,
            };
            caller.may(Permission::Triage, subject(project))?;
            let known = maintenance::list(tx, now)?.into_iter().find(|known| known.draft.key == draft.key);
            if let Some(known) = known {
                caller.may(Permission::Triage, subject(known.draft.project))?;
            }
            let subjects = subjects(tx, &visible, project, &draft.subjects)?;
            let draft = Draft { project, subjects, owner: Owner::Page, ..draft };
            let by = caller.by(now);
            let (uid, change) = incidents.save_maintenance(tx, now, &draft, &by.actor.to_string())?;
            let action = match change {
                Change::Created => "maintenance.create",
                Change::Updated | Change::Unchanged => "maintenance.change",
            };
            note(tx, &caller, now, (action, &draft.title, project))?;
            let saved = maintenance::find(tx, now, uid)?;
            Ok((saved.ok_or_else(|| Problem::not_found("maintenance"))?, change))
        })
        .await
}

/// Ends what takes place now, for this time or for good.
///
/// # Errors
/// Where the caller does not know of it or may not end it, and where nothing of it takes place.
pub async fn call_off(
    state: &AppState,
    caller: Caller,
    id: Uid,
    called: Called,
) -> Result<Maintenance, Problem> {
    let (now, incidents) = (state.clock.now(), Arc::clone(&state.incidents));
    state
        .store
        .write("maintenance.end", move |tx| {
            let known = find(tx, &caller, now, id)?;
            incidents.call_off_maintenance(tx, now, id, called)?;
            note(tx, &caller, now, ("maintenance.end", &known.draft.title, known.draft.project))?;
            find(tx, &caller, now, id)
        })
        .await
}

/// Takes planned work away, with its history.
///
/// # Errors
/// As [`call_off`]; where a file owns it.
pub async fn remove(state: &AppState, caller: Caller, id: Uid) -> Result<(), Problem> {
    let (now, incidents) = (state.clock.now(), Arc::clone(&state.incidents));
    state
        .store
        .write("maintenance.remove", move |tx| {
            let known = find(tx, &caller, now, id)?;
            incidents.remove_maintenance(tx, now, id, Owner::Page)?;
            note(tx, &caller, now, ("maintenance.remove", &known.draft.title, known.draft.project))
        })
        .await
}

/// Whether somebody may know of planned work: that on every project concerns everybody.
pub fn sees(visible: &Visible, work: &Maintenance) -> bool {
    work.draft.project.is_none_or(|project| visible.contains(project))
}

fn find(tx: &ReadTx<'_>, caller: &Caller, now: Timestamp, id: Uid) -> Result<Maintenance, Problem> {
    let found = maintenance::find(tx, now, id)?.filter(|work| sees(&caller.visible(), work));
    let found = found.ok_or_else(|| Problem::not_found("maintenance"))?;
    caller.may(Permission::Triage, subject(found.draft.project))?;
    Ok(found)
}

fn note(
    tx: &WriteTx<'_>,
    caller: &Caller,
    now: Timestamp,
    (action, title, project): (&'static str, &str, Option<ProjectId>),
) -> Result<(), Problem> {
    let change = Audited { action, subject: title, project, detail: json!({}) };
    Ok(audit::append(tx, &caller.by(now), &change)?)
}
