//! Rows of `heartbeats` and `heartbeat_states`, read and written.

use serde::Serialize;

use super::rules::RunKind;
use super::{Definition, HeartbeatId, State, Status};
use crate::base::{ProjectId, Timestamp, Uid};
use crate::store::columns::json;
pub(super) use crate::store::columns::{maybe_time, word};
use crate::store::{Error, ReadTx, Row, WriteTx, params};

/// Who made a heartbeat, and changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// The page or the API.
    Page,
    File,
    /// A ping that asked for it.
    Ping,
    /// A check-in of a Sentry SDK.
    Sentry,
}

/// A heartbeat with its state, as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Heartbeat {
    pub id: HeartbeatId,
    pub uid: Uid,
    /// Of the address that its job pings: whoever knows it speaks for the job, so it is told only to those who may
    /// change the heartbeat.
    pub ping_id: Uid,
    pub project: ProjectId,
    pub slug: String,
    pub name: String,
    pub definition: Definition,
    pub owner: Owner,
    pub paused_at: Option<Timestamp>,
    pub paused_by: Option<String>,
    /// A service that needs only some of its members rings for it.
    pub grouped: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub version: i64,
    pub state: State,
}

/// What [`read`] reads; the first [`STATE_AT`] columns are of the heartbeat.
pub(super) const COLUMNS: &str = "
    heartbeats.id, heartbeats.uid, heartbeats.project_id, heartbeats.slug, heartbeats.name, heartbeats.definition,
    heartbeats.owner, heartbeats.paused_at, heartbeats.paused_by, heartbeats.grouped, heartbeats.created_at,
    heartbeats.updated_at, heartbeats.version, heartbeats.ping_id,
    s.status, s.since, s.reason, s.last_ping_at, s.last_ok_at, s.last_start_at, s.expected_at, s.due_at, s.pings,
    s.missed, s.missed_now, s.bad_now, s.good_now, s.durations";
pub(super) const JOINED: &str = "heartbeats JOIN heartbeat_states AS s ON s.heartbeat_id = heartbeats.id";
const STATE_AT: usize = 14;
/// In [`COLUMNS`].
pub(super) const DEFINITION_AT: usize = 5;

impl Owner {
    pub const ALL: [Self; 4] = [Self::Page, Self::File, Self::Ping, Self::Sentry];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::File => "file",
            Self::Ping => "ping",
            Self::Sentry => "sentry",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|owner| owner.as_str() == word)
    }
}

impl Heartbeat {
    /// Whether its trouble rings for itself.
    pub fn rings(&self) -> bool {
        self.definition.rings.unwrap_or(!self.grouped)
    }
}

pub fn find(tx: &ReadTx<'_>, id: HeartbeatId) -> Result<Option<Heartbeat>, Error> {
    tx.first(&format!("SELECT {COLUMNS} FROM {JOINED} WHERE heartbeats.id = ?1"), [id.0], read)
}

pub fn find_by_uid(tx: &ReadTx<'_>, uid: Uid) -> Result<Option<Heartbeat>, Error> {
    tx.first(&format!("SELECT {COLUMNS} FROM {JOINED} WHERE heartbeats.uid = ?1"), [uid.as_bytes()], read)
}

pub fn find_by_slug(tx: &ReadTx<'_>, project: ProjectId, slug: &str) -> Result<Option<Heartbeat>, Error> {
    tx.first(
        &format!("SELECT {COLUMNS} FROM {JOINED} WHERE heartbeats.project_id = ?1 AND heartbeats.slug = ?2"),
        params![project.0, slug],
        read,
    )
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Heartbeat> {
    let definition = definition(row)?;
    read_with(row, definition)
}

/// As [`read`], with the definition that the row is known to hold.
pub(super) fn read_with(row: &Row<'_>, definition: Definition) -> rusqlite::Result<Heartbeat> {
    Ok(Heartbeat {
        id: HeartbeatId(row.get(0)?),
        uid: Uid::from_bytes(row.get(1)?),
        project: ProjectId(row.get(2)?),
        slug: row.get(3)?,
        name: row.get(4)?,
        definition,
        owner: word(row, 6, Owner::parse)?,
        paused_at: maybe_time(row, 7)?,
        paused_by: row.get(8)?,
        grouped: row.get(9)?,
        created_at: Timestamp::from_micros(row.get(10)?),
        updated_at: Timestamp::from_micros(row.get(11)?),
        version: row.get(12)?,
        ping_id: Uid::from_bytes(row.get(13)?),
        state: state(row, STATE_AT)?,
    })
}

pub(super) fn definition(row: &Row<'_>) -> rusqlite::Result<Definition> {
    json(row, DEFINITION_AT)
}

fn state(row: &Row<'_>, at: usize) -> rusqlite::Result<State> {
    Ok(State {
        status: word(row, at, Status::parse)?,
        since: Timestamp::from_micros(row.get(at + 1)?),
        reason: row.get(at + 2)?,
        last_ping_at: maybe_time(row, at + 3)?,
        last_ok_at: maybe_time(row, at + 4)?,
        last_start_at: maybe_time(row, at + 5)?,
        expected_at: maybe_time(row, at + 6)?,
        due_at: maybe_time(row, at + 7)?,
        pings: row.get(at + 8)?,
        missed: row.get(at + 9)?,
        missed_now: row.get(at + 10)?,
        bad_now: row.get(at + 11)?,
        good_now: row.get(at + 12)?,
        durations: json(row, at + 13)?,
    })
}

pub(super) fn insert_state(
    tx: &WriteTx<'_>,
    id: HeartbeatId,
    (project, name): (ProjectId, &str),
    state: &State,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO heartbeat_states (heartbeat_id, project_id, name, status, rank, since)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![id.0, project.0, name, state.status.as_str(), state.status.rank(), state.since.as_micros()],
    )?;
    save_state(tx, id, state)
}

/// The name, by which lists are in order.
pub(super) fn rename_state(tx: &WriteTx<'_>, id: HeartbeatId, name: &str) -> Result<(), Error> {
    tx.execute("UPDATE heartbeat_states SET name = ?2 WHERE heartbeat_id = ?1", params![id.0, name])?;
    Ok(())
}

pub(super) fn save_state(tx: &WriteTx<'_>, id: HeartbeatId, state: &State) -> Result<(), Error> {
    let micros = |at: Option<Timestamp>| at.map(Timestamp::as_micros);
    tx.execute(
        "UPDATE heartbeat_states SET status = ?2, rank = ?3, since = ?4, reason = ?5, last_ping_at = ?6,
             last_ok_at = ?7, last_start_at = ?8, expected_at = ?9, due_at = ?10, pings = ?11, missed = ?12,
             missed_now = ?13, bad_now = ?14, good_now = ?15, durations = ?16
         WHERE heartbeat_id = ?1",
        params![
            id.0,
            state.status.as_str(),
            state.status.rank(),
            state.since.as_micros(),
            state.reason,
            micros(state.last_ping_at),
            micros(state.last_ok_at),
            micros(state.last_start_at),
            micros(state.expected_at),
            micros(state.due_at),
            state.pings,
            state.missed,
            state.missed_now,
            state.bad_now,
            state.good_now,
            serde_json::to_string(&state.durations).unwrap_or_default(),
        ],
    )?;
    Ok(())
}

/// Writes down from when on it was how.
pub(super) fn note_change(
    tx: &WriteTx<'_>,
    id: HeartbeatId,
    at: Timestamp,
    status: Status,
    reason: &str,
) -> Result<(), Error> {
    tx.insert(
        "INSERT INTO heartbeat_changes (heartbeat_id, at, status, reason) VALUES (?1, ?2, ?3, ?4)",
        params![id.0, at.as_micros(), status.as_str(), reason],
    )?;
    tx.touch(super::STATES);
    Ok(())
}

pub(super) fn run_kind(row: &Row<'_>, column: usize) -> rusqlite::Result<RunKind> {
    word(row, column, RunKind::parse)
}
