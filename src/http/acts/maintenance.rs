//! Planning work, calling it off, taking it away.

use std::sync::Arc;

use serde_json::json;

use super::named::{subjects, visible_project};
use super::refused::{Refused, check_seen};
use super::rights::{Act, Thing, check};
use crate::accounts::Visible;
use crate::accounts::audit::{self, Change as Audited};
use crate::base::owned::{Change, Owner};
use crate::base::{ProjectId, Timestamp, Uid};
use crate::http::auth::Caller;
use crate::http::{AppState, Problem};
use crate::incidents::Error;
use crate::incidents::maintenance::{self, Called, Draft, Maintenance};
use crate::store::{ReadTx, WriteTx};

/// A title that so much planned work has is none.
const KEYS_TRIED: u32 = 10_000;

/// Whoever sees only some projects cannot plan for all.
const NO_PROJECT: &str = "Say in `project` what the work is on, by its slug or number: only those who see every project \
     may leave it out.";

/// Which planned work a draft makes or changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// New, under the first free key made of the draft's.
    NewUnderFreeKey,
    /// What has the draft's key and is of the same project; new where the key is free.
    NewOrKnown,
    /// What has the draft's key; `seen`: the version that the change was made of, where it is known.
    Known { seen: Option<i64> },
}

/// Plans work, or changes it. `draft.project` is set from `project`, and `draft.subjects` are what the caller named.
///
/// # Errors
/// Where the caller does not see the project or may not silence it, where something of it is wrong, another has its key,
/// or somebody changed it since.
pub async fn save(
    state: &AppState,
    caller: Caller,
    project: Option<String>,
    (draft, aim): (Draft, Aim),
) -> Result<(Maintenance, Change), Refused<Error>> {
    let (now, incidents) = (state.clock.now(), Arc::clone(&state.incidents));
    let write = move |tx: &WriteTx<'_>| {
        let visible = caller.visible();
        let project = match &project {
            Some(named) => Some(visible_project(tx, &visible, named)?),
            None if visible != Visible::All => return Err(Problem::bad_request(NO_PROJECT).into()),
            None => None,
        };
        check(&caller, Act::Make, Thing::Maintenance, project)?;
        let key = match aim {
            Aim::NewUnderFreeKey => free_key(tx, now, &draft.key)?,
            Aim::NewOrKnown | Aim::Known { .. } => draft.key.clone(),
        };
        let known = maintenance::find_by_key(tx, now, &key)?;
        may_take(&caller, project, known.as_ref(), aim)?;
        let subjects = subjects(tx, &visible, project, &draft.subjects)?;
        let draft = Draft { key, project, subjects, owner: Owner::Page, ..draft };
        let by = caller.by(now);
        let (uid, change) = incidents.save_maintenance(tx, now, &draft, &by.actor.to_string())?;
        let action = match change {
            Change::Created => "maintenance.create",
            Change::Updated | Change::Unchanged => "maintenance.change",
        };
        note(tx, &caller, now, (action, &draft.title, project))?;
        let saved = maintenance::find(tx, now, uid)?;
        Ok((saved.ok_or_else(|| Problem::not_found("maintenance"))?, change))
    };
    state.store.write("maintenance.save", write).await
}

/// Whether the caller may change what has the key.
fn may_take(
    caller: &Caller,
    project: Option<ProjectId>,
    known: Option<&Maintenance>,
    aim: Aim,
) -> Result<(), Refused<Error>> {
    match (aim, known) {
        (Aim::NewUnderFreeKey | Aim::NewOrKnown, None) => Ok(()),
        // That of another project is told like one that the caller may not know of.
        (Aim::NewOrKnown, Some(known)) if known.draft.project == project => Ok(()),
        (Aim::NewUnderFreeKey | Aim::NewOrKnown, Some(known)) => {
            Err(Error::KeyTaken(known.draft.key.clone()).into())
        }
        (Aim::Known { .. }, None) => Err(Problem::not_found("maintenance").into()),
        (Aim::Known { seen }, Some(known)) => {
            if !sees(&caller.visible(), known) {
                return Err(Problem::not_found("maintenance").into());
            }
            check(caller, Act::Change, Thing::Maintenance, known.draft.project)?;
            check_seen("maintenance", seen, known.version)
        }
    }
}

/// `wanted`, or the first of `wanted-2`, `wanted-3` … that nothing planned has.
fn free_key(tx: &ReadTx<'_>, now: Timestamp, wanted: &str) -> Result<String, Problem> {
    for number in 1..=KEYS_TRIED {
        let key = if number == 1 { wanted.to_owned() } else { format!("{wanted}-{number}") };
        if maintenance::find_by_key(tx, now, &key)?.is_none() {
            return Ok(key);
        }
    }
    Ok(wanted.to_owned())
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
    check(caller, Act::Change, Thing::Maintenance, found.draft.project)?;
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
