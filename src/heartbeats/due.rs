//! The body of the background task that notices what did not come.

use std::time::Duration;

use super::absence::{Looked, look};
use super::rows::{self, COLUMNS, Heartbeat, JOINED};
use super::{HeartbeatId, Status, runs, signals};
use crate::accounts::projects;
use crate::base::Timestamp;
use crate::incidents::Incidents;
use crate::store::{Error, ReadTx, WriteTx, params};
use crate::vigil::{self, Spell};

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    pub late: u64,
    pub down: u64,
    /// There is more that is due.
    pub more: bool,
}

/// A heartbeat that is due, as far as it can be read.
type Due = (HeartbeatId, Result<Heartbeat, Error>);

/// After a start, or when the machine woke, nobody has said yet how long tocsin was away: until it is said, nothing is
/// decided. The mark is set every ten seconds, and a gap longer than this becomes a spell.
const AWAY: Duration = Duration::from_secs(30);
/// What this program cannot read is looked at again after this; meanwhile the others have their turn.
const UNREADABLE_RETRY: Duration = Duration::from_hours(1);
/// What belongs to an archived project rings nobody, until the project is taken out of the archive.
const ARCHIVED_RETRY: Duration = Duration::from_hours(1);

/// Lets time pass for at most `limit` heartbeats that are due. One that cannot be passed is put off alone.
pub fn pass(tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp, limit: u32) -> Result<Passed, Error> {
    let due = find_due(tx, now, limit)?;
    if due.is_empty() {
        return Ok(Passed::default());
    }
    if vigil::last_alive(tx)?.is_some_and(|alive| now.since(alive) > AWAY) {
        return Ok(Passed::default());
    }
    let readable = due.iter().filter_map(|(_, heartbeat)| heartbeat.as_ref().ok());
    let since = readable.map(waited_since).min().unwrap_or(now);
    let spells = vigil::between(tx, since, now)?;
    let mut passed =
        Passed { more: due.len() >= usize::try_from(limit).unwrap_or(usize::MAX), ..Passed::default() };
    for (id, heartbeat) in due {
        let did = tx.attempt(|tx| pass_one(tx, incidents, now, heartbeat?, &spells));
        match did {
            Ok((late, down)) => (passed.late, passed.down) = (passed.late + late, passed.down + down),
            Err(error) if error.is_of_one_row() => {
                tracing::error!(heartbeat = id.0, %error, "a heartbeat cannot be judged: open it and save it anew");
                put_off(tx, id, now + UNREADABLE_RETRY)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(passed)
}

fn put_off(tx: &WriteTx<'_>, id: HeartbeatId, until: Timestamp) -> Result<(), Error> {
    let put_off = "UPDATE heartbeat_states SET due_at = ?2 WHERE heartbeat_id = ?1";
    tx.execute(put_off, params![id.0, until.as_micros()]).map(drop)
}

/// Whether anything is due at all: most of the time nothing is, and the writer is left alone.
pub fn is_due(tx: &ReadTx<'_>, now: Timestamp) -> Result<bool, Error> {
    tx.one("SELECT EXISTS (SELECT 1 FROM heartbeat_states WHERE due_at <= ?1)", [now.as_micros()], |row| {
        row.get(0)
    })
}

pub(super) fn find_due(tx: &ReadTx<'_>, now: Timestamp, limit: u32) -> Result<Vec<Due>, Error> {
    tx.all(
        &format!("SELECT {COLUMNS} FROM {JOINED} WHERE s.due_at <= ?1 ORDER BY s.due_at LIMIT ?2"),
        params![now.as_micros(), limit],
        |row| Ok((HeartbeatId(row.get(0)?), rows::read(row).map_err(Error::from))),
    )
}

/// Since when something is waited for.
fn waited_since(heartbeat: &Heartbeat) -> Timestamp {
    let state = &heartbeat.state;
    [state.last_start_at, state.expected_at, state.due_at].into_iter().flatten().min().unwrap_or_default()
}

/// How many became late, and down.
fn pass_one(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    mut heartbeat: Heartbeat,
    spells: &[Spell],
) -> Result<(u64, u64), Error> {
    if projects::is_archived(tx, heartbeat.project)? {
        heartbeat.state.due_at = Some(now + ARCHIVED_RETRY);
        return rows::save_state(tx, heartbeat.id, &heartbeat.state).map(|()| (0, 0));
    }
    if heartbeat.state.expected_at.is_none() && heartbeat.state.last_ping_at.is_some() {
        // Its project is back from the archive.
        heartbeat.state.expected_at = heartbeat.definition.schedule.next_after(now);
    }
    let Looked { changes, missed, given_up } = look(&heartbeat.definition, &mut heartbeat.state, spells, now);
    rows::save_state(tx, heartbeat.id, &heartbeat.state)?;
    for expected in missed {
        runs::insert_missed(tx, heartbeat.id, expected)?;
    }
    if let Some(given_up) = given_up {
        runs::give_up_all(tx, heartbeat.id, given_up.note())?;
    }
    let (mut late, mut down) = (0, 0);
    for changed in &changes {
        rows::note_change(tx, heartbeat.id, changed.at, changed.status, &changed.reason)?;
        match changed.status {
            Status::Late => late += 1,
            Status::Down => down += 1,
            Status::New | Status::Up | Status::Paused => {}
        }
    }
    let fell = changes.iter().rev().find(|changed| changed.status == Status::Down);
    if !changes.is_empty() {
        signals::level(tx, incidents, now, &heartbeat, fell.map(|fell| fell.bad_since))?;
    }
    Ok((late, down))
}
