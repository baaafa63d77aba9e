//! Replays of many deliveries: those that fit, begun anew one after the other at a bounded pace, so that an app that was
//! just mended is not thrown over by what it missed.
//!
//! [`count`] says what a replay would do, [`begin`] writes it down, [`step()`] is the body of the task that carries it out,
//! and its cursor lies on disk: a restart goes on where it was.

mod pace;
mod progress;
mod select;
mod step;
mod what;

use serde::Serialize;
use serde_json::json;

use super::WEBHOOK_REPLAYS;
use crate::accounts::{By, audit};
use crate::base::{Entropy, ProjectId, Timestamp, Uid};
use crate::store::{self, WriteTx, params};

pub use progress::{Progress, find, list};
pub use select::{Counted, There, count};
pub use step::{Stepped, running, step};
pub use what::{Among, IDS_MAX, What};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ReplayId(pub i64);

/// What goes on with a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Running,
    /// Everything that fits was begun anew.
    Done,
    /// Somebody stopped it; what was begun stays so.
    Cancelled,
}

/// A replay as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Replay {
    pub id: ReplayId,
    pub uid: Uid,
    pub project: ProjectId,
    pub what: What,
    pub state: State,
    pub per_second: u32,
    /// How many fitted when it began.
    pub total: u32,
    /// Begun anew so far.
    pub released: u32,
    /// Left out: what they brought, or where they go, is gone.
    pub skipped: u32,
    pub created_at: Timestamp,
    pub created_by: String,
    pub ended_at: Option<Timestamp>,
}

/// A replay that is to be begun.
#[derive(Clone, Debug)]
pub struct New {
    pub project: ProjectId,
    pub what: What,
    /// Deliveries begun anew in a second; see [`PER_SECOND`].
    pub per_second: u32,
    /// As [`count`] answered it for `what`.
    pub counted: Counted,
}

/// What a mended app bears beside its usual load.
pub const PER_SECOND: u32 = 5;
pub const PER_SECOND_MAX: u32 = 100;
/// Under way at once, of one project.
pub const RUNNING_MAX: u32 = 5;

/// Why a replay was not begun or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no such replay")]
    NotFound,
    #[error("the pace: 1 to {PER_SECOND_MAX} deliveries a second")]
    Pace,
    #[error("at most {IDS_MAX} deliveries can be named: say what they have in common instead")]
    TooManyIds,
    #[error("nothing fits: widen what is to be sent again")]
    Nothing,
    #[error("{RUNNING_MAX} replays of this project are running: wait for one, or cancel one")]
    TooMany,
    #[error("it has ended already")]
    Ended,
    #[error(transparent)]
    Accounts(#[from] crate::accounts::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// For transactions in which this is one step among others.
impl From<Error> for store::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error,
            other => Self::Refused(other.to_string().into()),
        }
    }
}

/// Writes a replay down; the task `webhooks.replay` carries it out from now on.
///
/// # Errors
/// [`Error::Pace`], [`Error::TooManyIds`], [`Error::Nothing`], [`Error::TooMany`], or where it cannot be written.
pub fn begin(tx: &WriteTx<'_>, entropy: &Entropy, by: &By, new: &New) -> Result<(ReplayId, Uid), Error> {
    if !(1..=PER_SECOND_MAX).contains(&new.per_second) {
        return Err(Error::Pace);
    }
    if new.what.ids.as_ref().is_some_and(|ids| ids.len() > IDS_MAX) {
        return Err(Error::TooManyIds);
    }
    if new.counted.matching == 0 {
        return Err(Error::Nothing);
    }
    let running: u32 = tx.one(
        "SELECT count(*) FROM webhook_replays INDEXED BY webhook_replays_running
         WHERE state = 'running' AND project_id = ?1",
        [new.project.0],
        |row| row.get(0),
    )?;
    if running >= RUNNING_MAX {
        return Err(Error::TooMany);
    }
    let (uid, now) = (entropy.uid(by.now), by.now.as_micros());
    let what =
        serde_json::to_string(&new.what).map_err(|error| store::Error::Refused(error.to_string().into()))?;
    let id = tx.insert(
        "INSERT INTO webhook_replays
             (uid, project_id, what, state, per_second, total, up_to, paced_at, created_at, created_by)
         VALUES (?1, ?2, ?3, 'running', ?4, ?5, ?6, ?7, ?7, ?8)",
        params![
            uid.as_bytes(),
            new.project.0,
            what,
            new.per_second,
            new.counted.matching,
            new.counted.up_to.0,
            now,
            by.actor.to_string()
        ],
    )?;
    let detail = json!({
        "what": new.what.in_words(), "deliveries": new.counted.matching, "per_second": new.per_second,
    });
    note(tx, by, "webhook_replay.begin", (uid, new.project), detail)?;
    tx.touch(WEBHOOK_REPLAYS);
    Ok((ReplayId(id), uid))
}

/// Stops a replay: what it did not reach stays as it is.
///
/// # Errors
/// [`Error::NotFound`], also where the caller may not see its project; [`Error::Ended`], or where it cannot be written.
pub fn cancel(tx: &WriteTx<'_>, by: &By, uid: Uid) -> Result<(), Error> {
    let Some(replay) = find(tx, &by.actor.visible(), uid)? else { return Err(Error::NotFound) };
    if replay.state != State::Running {
        return Err(Error::Ended);
    }
    end(tx, replay.id, State::Cancelled, by.now)?;
    let detail = json!({ "released": replay.released, "deliveries": replay.total });
    note(tx, by, "webhook_replay.cancel", (uid, replay.project), detail)
}

fn end(tx: &WriteTx<'_>, id: ReplayId, state: State, now: Timestamp) -> Result<(), store::Error> {
    tx.execute(
        "UPDATE webhook_replays SET state = ?2, ended_at = ?3 WHERE id = ?1",
        params![id.0, state.as_str(), now.as_micros()],
    )?;
    tx.touch(WEBHOOK_REPLAYS);
    Ok(())
}

/// Forgets replays that ended before `before`, at most `limit`.
///
/// # Errors
/// Where it cannot be written.
pub fn purge(tx: &WriteTx<'_>, before: Timestamp, limit: u32) -> Result<usize, store::Error> {
    tx.execute(
        "DELETE FROM webhook_replays WHERE id IN (
             SELECT id FROM webhook_replays INDEXED BY webhook_replays_ended
             WHERE ended_at < ?1 ORDER BY ended_at LIMIT ?2)",
        params![before.as_micros(), limit],
    )
}

fn note(
    tx: &WriteTx<'_>,
    by: &By,
    action: &'static str,
    (uid, project): (Uid, ProjectId),
    detail: serde_json::Value,
) -> Result<(), Error> {
    let change = audit::Change { action, subject: &uid.to_string(), project: Some(project), detail };
    audit::append(tx, by, &change)?;
    Ok(())
}

impl State {
    pub const ALL: [Self; 3] = [Self::Running, Self::Done, Self::Cancelled];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}
