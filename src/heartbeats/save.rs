//! Heartbeats made, changed, paused and removed.

use serde_json::json;

use super::rows::{self, Heartbeat};
use super::state::Changed;
use super::{
    Definition, HEARTBEATS, HEARTBEATS_MAX, HeartbeatId, Owner, Slug, State, Status, removed, signals,
};
use crate::accounts::{self, By, audit};
pub use crate::base::owned::Change;
use crate::base::text::{BadLine, line};
use crate::base::{ProjectId, Timestamp, Uid};
use crate::incidents::{self, CloseReason, Incidents};
use crate::store::{self, WriteTx, params};

/// A heartbeat as somebody wants it. Its project and slug say which.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub project: ProjectId,
    pub slug: Slug,
    /// `None`: as it is, or the slug.
    pub name: Option<String>,
    pub definition: Definition,
    pub owner: Owner,
}

/// Why a heartbeat was not saved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such heartbeat")]
    NotFound,
    #[error("this heartbeat comes from a file: change it there and run `tocsin apply`")]
    OwnedByFile,
    #[error("this project has a heartbeat {0} already: choose another slug, or change that one")]
    SlugTaken(String),
    #[error("there are {HEARTBEATS_MAX} heartbeats, which is the most: remove some first")]
    TooMany,
    #[error(transparent)]
    Line(#[from] BadLine),
    #[error(transparent)]
    Accounts(#[from] accounts::Error),
    #[error(transparent)]
    Incidents(#[from] incidents::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// For transactions in which saving is one step among others.
impl From<Error> for store::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error,
            Error::Accounts(error) => error.into(),
            Error::Incidents(error) => error.into(),
            other => Self::Refused(other.to_string().into()),
        }
    }
}

const NAME_CHARS_MAX: usize = 100;

/// Makes or changes the heartbeat of the draft's project and slug.
///
/// # Errors
/// [`Error::OwnedByFile`] where a file made it and this draft comes from elsewhere; [`Error::TooMany`]; a bad name.
pub fn save(
    tx: &WriteTx<'_>,
    by: &By,
    incidents: &Incidents,
    draft: &Draft,
) -> Result<(HeartbeatId, Change), Error> {
    let Some(known) = rows::find_by_slug(tx, draft.project, draft.slug.as_str())? else {
        return Ok((create(tx, by, incidents, draft)?, Change::Created));
    };
    if known.owner == Owner::File && draft.owner != Owner::File {
        return Err(Error::OwnedByFile);
    }
    let name = match &draft.name {
        Some(name) => line("name", name, NAME_CHARS_MAX)?.to_owned(),
        None => known.name.clone(),
    };
    let is_same = known.definition == draft.definition && known.name == name && known.owner == draft.owner;
    if is_same {
        return Ok((known.id, Change::Unchanged));
    }
    let id = known.id;
    update(tx, by, incidents, Heartbeat { name, owner: draft.owner, ..known }, &draft.definition)?;
    Ok((id, Change::Updated))
}

/// As [`save`], for what must be new.
///
/// # Errors
/// [`Error::SlugTaken`], and as [`save`].
pub fn create_new(
    tx: &WriteTx<'_>,
    by: &By,
    incidents: &Incidents,
    draft: &Draft,
) -> Result<HeartbeatId, Error> {
    if rows::find_by_slug(tx, draft.project, draft.slug.as_str())?.is_some() {
        return Err(Error::SlugTaken(draft.slug.to_string()));
    }
    create(tx, by, incidents, draft)
}

fn create(tx: &WriteTx<'_>, by: &By, incidents: &Incidents, draft: &Draft) -> Result<HeartbeatId, Error> {
    let count: i64 = tx.one("SELECT count(*) FROM heartbeats", [], |row| row.get(0))?;
    if count >= i64::from(HEARTBEATS_MAX) {
        return Err(Error::TooMany);
    }
    let name = line("name", draft.name.as_deref().unwrap_or(draft.slug.as_str()), NAME_CHARS_MAX)?;
    let uid = incidents.entropy.uid(by.now);
    let ping_id = new_address(incidents);
    let id = tx.insert(
        "INSERT INTO heartbeats (uid, project_id, slug, name, definition, owner, created_at, updated_at, ping_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8)",
        params![
            uid.as_bytes(),
            draft.project.0,
            draft.slug.as_str(),
            name,
            text_of(&draft.definition),
            draft.owner.as_str(),
            by.now.as_micros(),
            ping_id.as_bytes(),
        ],
    )?;
    let id = HeartbeatId(id);
    rows::insert_state(tx, id, (draft.project, name), &State::new(by.now))?;
    rows::note_change(tx, id, by.now, Status::New, "")?;
    tx.touch(HEARTBEATS);
    let detail = json!({ "owner": draft.owner, "definition": draft.definition });
    note(tx, by, "heartbeat.create", (draft.project, draft.slug.as_str()), detail)?;
    Ok(id)
}

fn update(
    tx: &WriteTx<'_>,
    by: &By,
    incidents: &Incidents,
    known: Heartbeat,
    definition: &Definition,
) -> Result<(), Error> {
    let before = known.definition.clone();
    let mut heartbeat = Heartbeat { definition: definition.clone(), ..known };
    tx.execute(
        "UPDATE heartbeats SET name = ?2, definition = ?3, owner = ?4, updated_at = ?5, version = version + 1
         WHERE id = ?1",
        params![
            heartbeat.id.0,
            heartbeat.name,
            text_of(definition),
            heartbeat.owner.as_str(),
            by.now.as_micros(),
        ],
    )?;
    rows::rename_state(tx, heartbeat.id, &heartbeat.name)?;
    let changed = follow(&mut heartbeat.state, &before, definition, by.now);
    settle(tx, incidents, by.now, &heartbeat, changed.as_ref())?;
    tx.touch(HEARTBEATS);
    let detail = json!({ "owner": heartbeat.owner, "from": before, "to": definition });
    note(tx, by, "heartbeat.change", (heartbeat.project, &heartbeat.slug), detail)
}

/// A state under a new definition. What is down because it was late is well again where it would not be late now; what
/// failed stays failed.
fn follow(state: &mut State, before: &Definition, now_is: &Definition, now: Timestamp) -> Option<Changed> {
    let mut changed = None;
    if before.schedule != now_is.schedule
        && let Some(last) = state.last_ping_at
    {
        state.expected_at = now_is.next_run(last, last);
    }
    let is_in_time = state.expected_at.is_some_and(|expected| expected + now_is.grace > now);
    let was_good = state.last_ok_at.is_some() && state.last_ok_at == state.last_ping_at;
    let is_timing = before.schedule != now_is.schedule || before.grace != now_is.grace;
    if is_timing && is_in_time && was_good && matches!(state.status, Status::Late | Status::Down) {
        (state.bad_now, state.missed_now) = (0, 0);
        changed = state.turn(now, Status::Up, String::new());
    }
    state.set_due(now_is);
    changed
}

/// Pauses a heartbeat: nothing is expected, and what it rings about is over. A file's too, as the file says nothing of it.
///
/// # Errors
/// [`Error::NotFound`].
pub fn pause(tx: &WriteTx<'_>, by: &By, incidents: &Incidents, id: HeartbeatId) -> Result<(), Error> {
    let mut heartbeat = rows::find(tx, id)?.ok_or(Error::NotFound)?;
    if heartbeat.state.status == Status::Paused {
        return Ok(());
    }
    let who = by.actor.to_string();
    tx.execute(
        "UPDATE heartbeats SET paused_at = ?2, paused_by = ?3, version = version + 1 WHERE id = ?1",
        params![id.0, by.now.as_micros(), who],
    )?;
    let changed = heartbeat.state.turn(by.now, Status::Paused, String::new());
    heartbeat.state.last_start_at = None;
    heartbeat.state.set_due(&heartbeat.definition);
    rows::save_state(tx, id, &heartbeat.state)?;
    if let Some(changed) = changed {
        rows::note_change(tx, id, by.now, changed.status, &format!("paused by {who}"))?;
    }
    signals::close(tx, incidents, by.now, &heartbeat, (CloseReason::SubjectPaused, &who))?;
    tx.touch(HEARTBEATS);
    note(tx, by, "heartbeat.pause", (heartbeat.project, &heartbeat.slug), json!(null))
}

/// Resumes a paused heartbeat; the next run is expected by its schedule from now on.
///
/// # Errors
/// [`Error::NotFound`].
pub fn resume(tx: &WriteTx<'_>, by: &By, incidents: &Incidents, id: HeartbeatId) -> Result<(), Error> {
    let mut heartbeat = rows::find(tx, id)?.ok_or(Error::NotFound)?;
    if heartbeat.state.status != Status::Paused {
        return Ok(());
    }
    unpause(tx, id)?;
    let state = &mut heartbeat.state;
    let status = if state.last_ping_at.is_some() { Status::Up } else { Status::New };
    (state.bad_now, state.missed_now) = (0, 0);
    state.expected_at = state.last_ping_at.and_then(|_| heartbeat.definition.schedule.next_after(by.now));
    let changed = state.turn(by.now, status, String::new());
    state.set_due(&heartbeat.definition);
    settle(tx, incidents, by.now, &heartbeat, changed.as_ref())?;
    note(tx, by, "heartbeat.resume", (heartbeat.project, &heartbeat.slug), json!(null))
}

/// Forgets that it was paused.
pub(super) fn unpause(tx: &WriteTx<'_>, id: HeartbeatId) -> Result<(), store::Error> {
    tx.execute(
        "UPDATE heartbeats SET paused_at = NULL, paused_by = NULL, version = version + 1 WHERE id = ?1",
        [id.0],
    )?;
    tx.touch(HEARTBEATS);
    Ok(())
}

/// Gives a heartbeat a new address to ping: the one before leads nowhere from now on. A file's too, as no file names it.
/// The ping key of its project stays, and with it the address by name.
///
/// # Errors
/// [`Error::NotFound`].
pub fn renew_address(tx: &WriteTx<'_>, by: &By, incidents: &Incidents, id: HeartbeatId) -> Result<(), Error> {
    let heartbeat = rows::find(tx, id)?.ok_or(Error::NotFound)?;
    let ping_id = new_address(incidents);
    tx.execute("UPDATE heartbeats SET ping_id = ?2 WHERE id = ?1", params![id.0, ping_id.as_bytes()])?;
    tx.touch(HEARTBEATS);
    note(tx, by, "heartbeat.address", (heartbeat.project, &heartbeat.slug), json!(null))
}

/// Must not be guessed: all of it is random.
fn new_address(incidents: &Incidents) -> Uid {
    Uid(uuid::Builder::from_random_bytes(incidents.entropy.bytes()).into_uuid())
}

/// Removes a heartbeat; its runs go in steps. `owner` is who asks: a page does not remove what a file made.
///
/// # Errors
/// [`Error::NotFound`], [`Error::OwnedByFile`].
pub fn remove(
    tx: &WriteTx<'_>,
    by: &By,
    incidents: &Incidents,
    id: HeartbeatId,
    owner: Owner,
) -> Result<(), Error> {
    let heartbeat = rows::find(tx, id)?.ok_or(Error::NotFound)?;
    if heartbeat.owner == Owner::File && owner != Owner::File {
        return Err(Error::OwnedByFile);
    }
    let who = by.actor.to_string();
    signals::close(tx, incidents, by.now, &heartbeat, (CloseReason::SubjectRemoved, &who))?;
    removed::leave(tx, id)?;
    tx.touch(HEARTBEATS);
    tx.touch(super::STATES);
    note(tx, by, "heartbeat.remove", (heartbeat.project, &heartbeat.slug), json!(null))
}

/// Hands what a file no longer names to the page.
///
/// # Errors
/// [`Error::NotFound`].
pub fn release(tx: &WriteTx<'_>, by: &By, id: HeartbeatId) -> Result<(), Error> {
    let heartbeat = rows::find(tx, id)?.ok_or(Error::NotFound)?;
    if heartbeat.owner != Owner::File {
        return Ok(());
    }
    tx.execute("UPDATE heartbeats SET owner = 'page', version = version + 1 WHERE id = ?1", [id.0])?;
    tx.touch(HEARTBEATS);
    note(tx, by, "heartbeat.release", (heartbeat.project, &heartbeat.slug), json!(null))
}

/// Writes a state that changed otherwise than by a ping, and makes its incident follow.
fn settle(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    heartbeat: &Heartbeat,
    changed: Option<&Changed>,
) -> Result<(), Error> {
    rows::save_state(tx, heartbeat.id, &heartbeat.state)?;
    if let Some(changed) = changed {
        rows::note_change(tx, heartbeat.id, changed.at, changed.status, &changed.reason)?;
    }
    Ok(signals::level(tx, incidents, now, heartbeat, None)?)
}

fn text_of(definition: &Definition) -> String {
    serde_json::to_string(definition).unwrap_or_default()
}

fn note(
    tx: &WriteTx<'_>,
    by: &By,
    action: &'static str,
    (project, slug): (ProjectId, &str),
    detail: serde_json::Value,
) -> Result<(), Error> {
    Ok(audit::append(tx, by, &audit::Change { action, subject: slug, project: Some(project), detail })?)
}
