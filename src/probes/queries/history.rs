//! What was seen of one probe: its changes, and its last good and bad answer.

use serde::Serialize;

use crate::base::Timestamp;
use crate::probes::rows::{json, time, word};
use crate::probes::{ProbeId, Status};
use crate::store::{Error, ReadTx, Row, params};

/// From when on it was how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangeLine {
    pub at: Timestamp,
    pub status: Status,
    pub reason: String,
}

/// An answer to lay beside another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SampleView {
    pub at: Timestamp,
    /// Phases, facts, the answer's head and beginning.
    pub sample: serde_json::Value,
}

/// What a page shows of a timeline; older changes are reached by `before`.
const CHANGES_MAX: u32 = 200;
/// A probe that changes more often in a quarter is not told apart any more.
const CHANGES_COUNTED_MAX: u32 = 2_000;

/// The changes before `before`, the newest first, at most 200. The caller has found the probe within its scope.
pub fn changes(tx: &ReadTx<'_>, id: ProbeId, before: Timestamp) -> Result<Vec<ChangeLine>, Error> {
    tx.all(
        "SELECT at, status, reason FROM probe_changes WHERE probe_id = ?1 AND at < ?2 ORDER BY at DESC LIMIT ?3",
        params![id.0, before.as_micros(), CHANGES_MAX],
        line,
    )
}

/// How it was at `from`, and every change after it, the oldest first; of more than 2,000 the newest. The caller has
/// found the probe within its scope.
pub fn changes_since(tx: &ReadTx<'_>, id: ProbeId, from: Timestamp) -> Result<Vec<ChangeLine>, Error> {
    let mut found = tx.all(
        "SELECT at, status, reason FROM probe_changes WHERE probe_id = ?1
             AND at >= coalesce((SELECT max(at) FROM probe_changes WHERE probe_id = ?1 AND at <= ?2), ?2)
         ORDER BY at DESC, id DESC LIMIT ?3",
        params![id.0, from.as_micros(), CHANGES_COUNTED_MAX],
        line,
    )?;
    found.reverse();
    Ok(found)
}

fn line(row: &Row<'_>) -> rusqlite::Result<ChangeLine> {
    Ok(ChangeLine { at: time(row, 0)?, status: word(row, 1, Status::parse)?, reason: row.get(2)? })
}

/// The last good answer, and the last bad one. The caller has found the probe within its scope.
pub fn samples(tx: &ReadTx<'_>, id: ProbeId) -> Result<(Option<SampleView>, Option<SampleView>), Error> {
    let of = |kind: &str| {
        tx.first(
            "SELECT at, sample FROM probe_samples WHERE probe_id = ?1 AND kind = ?2",
            params![id.0, kind],
            |row| Ok(SampleView { at: time(row, 0)?, sample: json(row, 1)? }),
        )
    };
    Ok((of("good")?, of("bad")?))
}
