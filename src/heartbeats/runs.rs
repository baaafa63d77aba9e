//! Runs: from a start to its end, or a ping alone.

use std::borrow::Cow;
use std::time::Duration;

use super::HeartbeatId;
use super::ping::{Action, Origin, Ping};
use super::rows;
use super::rules::{Heard, OpenRun, RunKind};
use crate::base::Timestamp;
use crate::store::{Error, ReadTx, Row, WriteTx, params};

/// A run as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub id: i64,
    pub rid: Option<[u8; 16]>,
    pub kind: RunKind,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// Of its last ping; of a missed one, when it was expected.
    pub at: Timestamp,
    pub took: Option<Duration>,
    pub exit_status: Option<u8>,
    pub method: String,
    pub source: String,
    pub agent: String,
    pub address: String,
    pub note: String,
    /// As sent; what is kept may be less.
    pub body_bytes: u64,
    pub body: Option<Vec<u8>>,
}

/// Some runs, the newest first, and where older ones begin.
#[derive(Clone, Debug, PartialEq)]
pub struct RunPage {
    pub items: Vec<Run>,
    /// Hand it to [`list`] as `before`.
    pub next: Option<i64>,
}

/// An SDK that was refused comes again within minutes.
const REPEATED_WITHIN: Duration = Duration::from_hours(1);
/// Runs among which a repeated one is looked for.
const REPEATED_AMONG: u32 = 50;

const COLUMNS: &str =
    "id, rid, kind, started_at, ended_at, at, duration_us, exit_status, method, source, agent,
    address, note, body_bytes, body";

impl Run {
    /// What the job wrote, where it is text enough.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        self.body.as_deref().filter(|body| !body.is_empty()).map(String::from_utf8_lossy)
    }
}

/// The runs of a heartbeat before run `before`, the newest first, at most `limit`.
pub fn list(
    tx: &ReadTx<'_>,
    heartbeat: HeartbeatId,
    before: Option<i64>,
    limit: usize,
) -> Result<RunPage, Error> {
    let ask = i64::try_from(limit).unwrap_or(i64::MAX - 1).saturating_add(1);
    let mut items = tx.all(
        &format!(
            "SELECT {COLUMNS} FROM heartbeat_runs INDEXED BY heartbeat_runs_by_heartbeat
             WHERE heartbeat_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
        ),
        params![heartbeat.0, before.unwrap_or(i64::MAX), ask],
        read,
    )?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|run| run.id);
    Ok(RunPage { items, next })
}

pub fn find(tx: &ReadTx<'_>, heartbeat: HeartbeatId, id: i64) -> Result<Option<Run>, Error> {
    tx.first(
        &format!("SELECT {COLUMNS} FROM heartbeat_runs WHERE id = ?1 AND heartbeat_id = ?2"),
        [id, heartbeat.0],
        read,
    )
}

/// The newest run, whatever it is.
pub(super) fn last_told(tx: &ReadTx<'_>, heartbeat: HeartbeatId) -> Result<Option<Run>, Error> {
    Ok(list(tx, heartbeat, None, 1)?.items.pop())
}

/// The run under way with this rid, or the one without any.
pub(super) fn find_open(
    tx: &ReadTx<'_>,
    heartbeat: HeartbeatId,
    rid: Option<[u8; 16]>,
) -> Result<Option<OpenRun>, Error> {
    tx.first(
        "SELECT id, started_at FROM heartbeat_runs INDEXED BY heartbeat_runs_open
         WHERE heartbeat_id = ?1 AND rid IS ?2 AND kind = 'running' ORDER BY id DESC LIMIT 1",
        params![heartbeat.0, rid],
        |row| {
            let started_at = rows::time(row, 1)?.unwrap_or_default();
            Ok(OpenRun { id: row.get(0)?, started_at })
        },
    )
}

/// Whether a check-in came before: an SDK whose envelope was taken in part sends all of it again.
pub(super) fn is_repeated(tx: &ReadTx<'_>, heartbeat: HeartbeatId, ping: &Ping) -> Result<bool, Error> {
    let (Origin::Sentry, Some(rid)) = (ping.source, ping.rid) else { return Ok(false) };
    let ended_as = match ping.action {
        Action::Start => None,
        Action::Success | Action::Exit(0) => Some(RunKind::Success),
        Action::Fail | Action::Exit(_) => Some(RunKind::Fail),
        Action::Log => return Ok(false),
    };
    tx.one(
        "SELECT EXISTS (
             SELECT 1 FROM (SELECT rid, kind, at FROM heartbeat_runs INDEXED BY heartbeat_runs_by_heartbeat
                            WHERE heartbeat_id = ?1 ORDER BY id DESC LIMIT ?5)
             WHERE rid = ?2 AND at > ?4 AND (?3 IS NULL OR kind = ?3))",
        params![
            heartbeat.0,
            rid,
            ended_as.map(RunKind::as_str),
            (ping.at - REPEATED_WITHIN).as_micros(),
            REPEATED_AMONG
        ],
        |row| row.get(0),
    )
}

/// Ends runs under way whose end will not come: the one with this rid, because it began anew.
pub(super) fn give_up(
    tx: &WriteTx<'_>,
    heartbeat: HeartbeatId,
    rid: Option<[u8; 16]>,
    note: &str,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE heartbeat_runs SET kind = 'missed', note = ?3
         WHERE id IN (SELECT id FROM heartbeat_runs INDEXED BY heartbeat_runs_open
                      WHERE heartbeat_id = ?1 AND rid IS ?2 AND kind = 'running' LIMIT 10)",
        params![heartbeat.0, rid, note],
    )?;
    Ok(())
}

/// As [`give_up`], whatever their rid: the newest ten.
pub(super) fn give_up_all(tx: &WriteTx<'_>, heartbeat: HeartbeatId, note: &str) -> Result<(), Error> {
    tx.execute(
        "UPDATE heartbeat_runs SET kind = 'missed', note = ?2
         WHERE id IN (SELECT id FROM heartbeat_runs INDEXED BY heartbeat_runs_open
                      WHERE heartbeat_id = ?1 AND kind = 'running' ORDER BY id DESC LIMIT 10)",
        params![heartbeat.0, note],
    )?;
    Ok(())
}

/// Writes what a ping did: a run of its own, or the end of the one that it ends. That keeps its start and its rid, and
/// what the start said where the end says nothing.
pub(super) fn write(tx: &WriteTx<'_>, id: HeartbeatId, ping: &Ping, heard: &Heard) -> Result<(), Error> {
    let at = ping.at.as_micros();
    let (started, ended) = match heard.run {
        RunKind::Running => (Some(at), None),
        RunKind::Success | RunKind::Fail => (heard.took.map(|took| (ping.at - took).as_micros()), Some(at)),
        RunKind::Log | RunKind::Missed | RunKind::Ignored => (None, None),
    };
    tx.execute(
        "INSERT INTO heartbeat_runs (id, heartbeat_id, rid, kind, started_at, ended_at, at, duration_us, exit_status,
             method, source, agent, address, note, body_bytes, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
         ON CONFLICT (id) DO UPDATE SET
             kind = excluded.kind, ended_at = excluded.ended_at, at = excluded.at,
             duration_us = excluded.duration_us, exit_status = excluded.exit_status, method = excluded.method,
             source = excluded.source, agent = excluded.agent, address = excluded.address, note = excluded.note,
             body_bytes = excluded.body_bytes, body = ifnull(excluded.body, body)",
        params![
            heard.ends.map(|run| run.id),
            id.0,
            ping.rid,
            heard.run.as_str(),
            started,
            ended,
            at,
            heard.took.map(micros),
            ping.action.exit_status(),
            ping.method,
            ping.source.as_str(),
            ping.agent,
            ping.address,
            note(ping, heard),
            i64::try_from(ping.body_bytes).unwrap_or(i64::MAX),
            (!ping.body.is_empty()).then_some(&ping.body),
        ],
    )?;
    Ok(())
}

fn note(ping: &Ping, heard: &Heard) -> String {
    let notes = [ping.note.as_str(), heard.note.as_str()];
    notes.into_iter().filter(|note| !note.is_empty()).collect::<Vec<_>>().join("; ")
}

/// Writes down a run that never came.
pub(super) fn insert_missed(tx: &WriteTx<'_>, id: HeartbeatId, expected: Timestamp) -> Result<(), Error> {
    tx.insert(
        "INSERT INTO heartbeat_runs (heartbeat_id, kind, at, note) VALUES (?1, 'missed', ?2, 'did not run')",
        params![id.0, expected.as_micros()],
    )?;
    Ok(())
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Run> {
    let took: Option<i64> = row.get(6)?;
    let body_bytes: i64 = row.get(13)?;
    Ok(Run {
        id: row.get(0)?,
        rid: row.get(1)?,
        kind: rows::run_kind(row, 2)?,
        started_at: rows::time(row, 3)?,
        ended_at: rows::time(row, 4)?,
        at: Timestamp::from_micros(row.get(5)?),
        took: took.and_then(|us| u64::try_from(us).ok()).map(Duration::from_micros),
        exit_status: row.get(7)?,
        method: row.get(8)?,
        source: row.get(9)?,
        agent: row.get(10)?,
        address: row.get(11)?,
        note: row.get(12)?,
        body_bytes: u64::try_from(body_bytes).unwrap_or(0),
        body: row.get(14)?,
    })
}
