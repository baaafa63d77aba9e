//! What the loop writes of its readings: only what changed, with the incident that follows from it.

use std::time::Duration;

use super::memory::Memory;
use super::status::Status;
use super::{Error, PROBES, ProbeId, STATES, ring};
use crate::base::{ProjectId, Timestamp};
use crate::incidents::Incidents;
use crate::store::{self, WriteTx, params};

/// How a probe is from now on, and how it was since the last recording that was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    pub id: ProbeId,
    /// By which memory it was judged: nothing is written once that was forgotten.
    pub forgotten: i64,
    /// What changed before and could not be written yet, in order; at most [`EARLIER_MAX`], the newest.
    pub earlier: Vec<Turn>,
    pub now: Turn,
    /// The last good and the last bad answer, where there is a newer one: JSON of a sample.
    pub good: Option<Sampled>,
    pub bad: Option<Sampled>,
}

/// A change of how a probe is.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// When the reading was taken from which this follows.
    pub at: Timestamp,
    pub status: Status,
    pub since: Timestamp,
    pub reason: String,
    pub flapping: bool,
    pub memory: Memory,
    pub latency: Option<Duration>,
}

/// An answer to lay beside another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampled {
    pub at: Timestamp,
    /// JSON: phases, facts, the answer's head and beginning.
    pub json: String,
}

/// How a probe shows itself while its status stays.
#[derive(Clone, Debug, PartialEq)]
pub struct Present {
    pub checked_at: Timestamp,
    pub latency: Duration,
    pub status: Status,
    /// Why it is not healthy, as the last reading says it.
    pub reason: String,
    /// The last bad answer, where there is a newer one.
    pub bad: Option<Sampled>,
}

/// Flapping begins after fewer: who comes and goes more often while nothing can be written is told as that.
pub const EARLIER_MAX: usize = 16;

impl Recording {
    /// What an earlier recording, which could not be written, knows and this one does not.
    pub fn after(&mut self, earlier: Self) {
        if earlier.forgotten != self.forgotten {
            return;
        }
        self.good = self.good.take().or(earlier.good);
        self.bad = self.bad.take().or(earlier.bad);
        let mut turns = earlier.earlier;
        turns.push(earlier.now);
        turns.append(&mut self.earlier);
        turns.drain(..turns.len().saturating_sub(EARLIER_MAX));
        self.earlier = turns;
    }
}

/// Writes how a probe was and is, and raises or ends what rings for it, turn by turn. Nothing where it was paused,
/// removed or forgotten meanwhile.
///
/// # Errors
/// Where it cannot be written; then nothing is.
pub fn record(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    recording: &Recording,
) -> Result<(), Error> {
    let id = recording.id;
    if !is_asked(tx, recording)? {
        return Ok(());
    }
    for turn in recording.earlier.iter().chain([&recording.now]) {
        take(tx, id, turn)?;
        ring::level(tx, incidents, now, id)?;
    }
    for (kind, sampled) in [("good", &recording.good), ("bad", &recording.bad)] {
        if let Some(sampled) = sampled {
            keep_sample(tx, id, kind, sampled)?;
        }
    }
    Ok(())
}

fn take(tx: &WriteTx<'_>, id: ProbeId, turn: &Turn) -> Result<(), store::Error> {
    let memory = serde_json::to_string(&turn.memory).unwrap_or_default();
    tx.execute(
        "UPDATE probe_states SET flapping = ?2, judge = ?3, checked_at = ?4, latency_us = ?5 WHERE probe_id = ?1",
        params![id.0, turn.flapping, memory, turn.at.as_micros(), turn.latency.map(micros)],
    )?;
    change_status(tx, id, turn.since, turn.status, &turn.reason)
}

/// Notes how a probe shows itself by now, though its status is the same: for lists that are read after a restart, and
/// for its incident, whose words are those of the trouble as it is.
///
/// # Errors
/// Where it cannot be written; then nothing is.
pub fn refresh(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    id: ProbeId,
    present: &Present,
) -> Result<(), Error> {
    let Present { checked_at, latency, status, reason, bad } = present;
    let (at, status) = (checked_at.as_micros(), status.as_str());
    tx.execute(
        "UPDATE probe_states SET checked_at = ?2, latency_us = ?3 WHERE probe_id = ?1",
        params![id.0, at, micros(*latency)],
    )?;
    // A change that was written meanwhile knows better.
    let is_news = tx.execute(
        "UPDATE probe_states SET reason = ?2 WHERE probe_id = ?1 AND status = ?3 AND since <= ?4 AND reason <> ?2",
        params![id.0, reason, status, at],
    )?;
    if let Some(bad) = bad {
        keep_sample(tx, id, "bad", bad)?;
    }
    if is_news > 0 {
        tx.touch(STATES);
        ring::level(tx, incidents, now, id)?;
    }
    Ok(())
}

fn keep_sample(tx: &WriteTx<'_>, id: ProbeId, kind: &str, sampled: &Sampled) -> Result<(), store::Error> {
    tx.execute(
        "INSERT INTO probe_samples (probe_id, kind, at, sample) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (probe_id, kind) DO UPDATE SET at = excluded.at, sample = excluded.sample
         WHERE excluded.at >= probe_samples.at",
        params![id.0, kind, sampled.at.as_micros(), sampled.json],
    )?;
    Ok(())
}

fn is_asked(tx: &WriteTx<'_>, recording: &Recording) -> Result<bool, store::Error> {
    let found = tx.first(
        "SELECT probes.paused_at IS NULL AND s.forgotten = ?2
         FROM probes CROSS JOIN probe_states AS s ON s.probe_id = probes.id WHERE probes.id = ?1",
        params![recording.id.0, recording.forgotten],
        |row| row.get(0),
    )?;
    Ok(found.unwrap_or(false))
}

/// Makes `status` what the probe is since `since`, which lies not before the last change. The same status keeps its
/// time and takes the newer reason.
pub(super) fn change_status(
    tx: &WriteTx<'_>,
    id: ProbeId,
    since: Timestamp,
    status: Status,
    reason: &str,
) -> Result<(), store::Error> {
    let before = tx.first("SELECT status, since FROM probe_states WHERE probe_id = ?1", [id.0], |row| {
        Ok((row.get::<_, String>(0)?, Timestamp::from_micros(row.get(1)?)))
    })?;
    let Some((before, before_since)) = before else { return Ok(()) };
    let is_change = before != status.as_str();
    let since = if is_change { since.max(before_since) } else { before_since };
    tx.execute(
        "UPDATE probe_states SET status = ?2, rank = ?3, since = ?4, reason = ?5 WHERE probe_id = ?1",
        params![id.0, status.as_str(), status.rank(), since.as_micros(), reason],
    )?;
    if is_change {
        tx.execute(
            "INSERT INTO probe_changes (probe_id, at, status, reason) VALUES (?1, ?2, ?3, ?4)",
            params![id.0, since.as_micros(), status.as_str(), reason],
        )?;
    }
    tx.touch(STATES);
    Ok(())
}

/// Forgets how the probes of a project are, as nobody asks them any more, or did not until now: what they are is to be
/// proved anew.
pub fn forget_project(
    tx: &WriteTx<'_>,
    now: Timestamp,
    project: ProjectId,
    reason: &str,
) -> Result<(), store::Error> {
    let (unknown, at) = (Status::Unknown, now.as_micros());
    tx.execute(
        "INSERT INTO probe_changes (probe_id, at, status, reason)
         SELECT probe_id, max(since, ?2), ?3, ?4 FROM probe_states
         WHERE project_id = ?1 AND status NOT IN ('paused', ?3)",
        params![project.0, at, unknown.as_str(), reason],
    )?;
    tx.execute(
        "UPDATE probe_states SET status = ?3, rank = ?4, reason = ?5, judge = '{}', flapping = 0, forgotten = forgotten + 1,
             since = iif(status = ?3, since, max(since, ?2))
         WHERE project_id = ?1 AND status <> 'paused'",
        params![project.0, at, unknown.as_str(), unknown.rank(), reason],
    )?;
    tx.touch(STATES);
    tx.touch(PROBES);
    Ok(())
}

/// Of a probe that cannot be asked nothing is known. One that is paused stays so.
pub fn give_up(tx: &WriteTx<'_>, id: ProbeId, now: Timestamp, reason: &str) -> Result<(), store::Error> {
    let is_paused =
        tx.first("SELECT paused_at IS NOT NULL FROM probes WHERE id = ?1", [id.0], |row| row.get(0))?;
    if is_paused == Some(true) {
        return Ok(());
    }
    change_status(tx, id, now, Status::Unknown, reason)
}

/// Forgets what readings proved: it is to be proved anew.
pub(super) fn forget(tx: &WriteTx<'_>, id: ProbeId) -> Result<(), store::Error> {
    tx.execute(
        "UPDATE probe_states SET judge = '{}', flapping = 0, forgotten = forgotten + 1 WHERE probe_id = ?1",
        [id.0],
    )?;
    Ok(())
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
