//! The rows of witnesses: what one watcher saw of an incident.

use crate::base::Timestamp;
use crate::store::{self, WriteTx, params};

use super::decide::{LiveWitness, WitnessKind, WitnessState};
use super::{IncidentId, Signal, SignalKind, WitnessId};

/// Witnesses beyond are kept, so that their keys can end, but are only counted in messages and on pages.
pub(super) const LISTED_MAX: i64 = 100;

/// What became of a witness that is still bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Words {
    Same,
    /// The trouble shows itself in another way by now.
    Other,
}

/// Still bad: a hold is forgotten, the counters go on, and a condition says what it is by now. An occurrence keeps its
/// words: they are of the time at which it occurred.
pub(super) fn continues(
    tx: &WriteTx<'_>,
    witness: &LiveWitness,
    signal: &Signal,
) -> Result<Words, store::Error> {
    let is_other = tx.one(
        "UPDATE witnesses SET state = 'firing', ok_since = NULL, last_bad_at = max(last_bad_at, ?2),
                signal_count = signal_count + 1
         WHERE id = ?1 RETURNING kind = 'condition' AND summary <> ?3",
        params![witness.id.0, signal.observed_at.as_micros(), signal.summary],
        |row| row.get::<_, bool>(0),
    )?;
    if !is_other {
        return Ok(Words::Same);
    }
    tx.execute(
        "UPDATE witnesses SET summary = ?2, detail = iif(detail = '{}', detail, ?3) WHERE id = ?1",
        params![witness.id.0, signal.summary, signal.detail.to_string()],
    )?;
    Ok(Words::Other)
}

/// Worse than before, or bad again: it says what the signal says. As long as it fires it is as bad as it was at worst.
pub(super) fn worsens(tx: &WriteTx<'_>, witness: &LiveWitness, signal: &Signal) -> Result<(), store::Error> {
    continues(tx, witness, signal)?;
    let severity = match witness.state {
        WitnessState::Ok => signal.severity,
        WitnessState::Firing | WitnessState::Holding => witness.severity.max(signal.severity),
    };
    tx.execute(
        "UPDATE witnesses SET severity = ?2, summary = ?3, detail = ?4 WHERE id = ?1",
        params![witness.id.0, severity.as_str(), signal.summary, signal.detail.to_string()],
    )?;
    Ok(())
}

pub(super) fn begins_holding(
    tx: &WriteTx<'_>,
    witness: Option<&LiveWitness>,
    ok_since: Timestamp,
) -> Result<(), store::Error> {
    let Some(witness) = witness else { return Ok(()) };
    tx.execute(
        "UPDATE witnesses SET state = 'holding', ok_since = ?2 WHERE id = ?1",
        params![witness.id.0, ok_since.as_micros()],
    )?;
    Ok(())
}

/// Adds the witness of `signal` and tells whether it is one of those that are listed.
pub(super) fn insert(
    tx: &WriteTx<'_>,
    now: Timestamp,
    incident: IncidentId,
    signal: &Signal,
) -> Result<(WitnessId, bool), store::Error> {
    let kind = match signal.kind {
        SignalKind::Occurrence => WitnessKind::Occurrence,
        SignalKind::Firing | SignalKind::Ok => WitnessKind::Condition,
    };
    let count = tx.one(
        "UPDATE incidents SET witness_count = witness_count + 1 WHERE id = ?1 RETURNING witness_count",
        [incident.0],
        |row| row.get::<_, i64>(0),
    )?;
    let listed = count <= LISTED_MAX;
    let detail = if listed { signal.detail.to_string() } else { "{}".to_owned() };
    let id = tx.insert(
        "INSERT INTO witnesses
             (incident_id, key, source, kind, severity, summary, detail, state, live, first_bad_at, detected_at,
              last_bad_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1, ?9, ?10, ?11)",
        params![
            incident.0,
            signal.key,
            signal.source.as_str(),
            kind.as_str(),
            signal.severity.as_str(),
            signal.summary,
            detail,
            WitnessState::Firing.as_str(),
            signal.first_bad_at.as_micros(),
            now.as_micros(),
            signal.observed_at.as_micros()
        ],
    )?;
    Ok((WitnessId(id), listed))
}
