//! Beginning and ending occurrences: what the task `incidents.maintenance` does, and a change of the plan.

use super::queries::find_by_id;
use super::{Error, Maintenance, Occurrence};
use crate::base::Timestamp;
use crate::incidents::silences::NewSilence;
use crate::incidents::{Incidents, MAINTENANCE, SilenceId};
use crate::store::{self, ReadTx, WriteTx, params};

/// What a run did. `more`: it met its limit, so the task runs again at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub begun: usize,
    /// With nothing more to come.
    pub over: usize,
    pub more: bool,
}

/// Whether [`Incidents::keep_maintenance`] would find something to do.
pub fn is_due(tx: &ReadTx<'_>, now: Timestamp) -> Result<bool, store::Error> {
    Ok(!find_due(tx, now, 1)?.is_empty() || !find_over(tx, now, 1)?.is_empty())
}

impl Incidents {
    /// Begins the occurrences that are due, each once, and closes what has nothing more to come. At most `limit` of each.
    /// An occurrence that passed while nobody looked does not begin.
    pub fn keep_maintenance(&self, tx: &WriteTx<'_>, now: Timestamp, limit: u32) -> Result<Kept, Error> {
        let due = find_due(tx, now, limit)?;
        let mut kept = Kept::default();
        for id in &due {
            let Some(known) = find_by_id(tx, now, *id)? else { continue };
            if known.draft.plan().is_err() {
                // A schedule that an older program understood must not hold up the others.
                tx.execute("UPDATE maintenances SET next_at = NULL WHERE id = ?1", [id])?;
                continue;
            }
            kept.begun += usize::from(self.settle(tx, now, &known)?.is_some());
        }
        let over = find_over(tx, now, limit)?;
        for id in &over {
            tx.execute("UPDATE maintenances SET ended_at = ?2 WHERE id = ?1", params![id, now.as_micros()])?;
            tx.touch(MAINTENANCE);
        }
        let full = |count: usize| u32::try_from(count).is_ok_and(|count| count >= limit);
        Ok(Kept { over: over.len(), more: full(due.len()) || full(over.len()), ..kept })
    }

    /// Brings rows and silences to what the plan says of `now`, and answers the occurrence that takes place. One that
    /// somebody called off stays off.
    pub(super) fn settle(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        known: &Maintenance,
    ) -> Result<Option<Occurrence>, Error> {
        let plan = known.draft.plan()?;
        let next = plan.next_after(now);
        let current = match plan.occurrence_at(now) {
            Some(occurrence) if !is_called_off(tx, known.id, occurrence)? => Some(occurrence),
            Some(_) | None => None,
        };
        let former = find_silences(tx, known.id)?;
        tx.execute(
            "UPDATE maintenance_occurrences SET ends_at = ?2
             WHERE maintenance_id = ?1 AND ends_at > ?2 AND began_at IS NOT ?3",
            params![known.id, now.as_micros(), current.map(|occurrence| occurrence.begins_at.as_micros())],
        )?;
        if let Some(occurrence) = current {
            self.begin(tx, now, known, occurrence)?;
        }
        // After the new ones: what both cover is not told in between.
        self.end_these(tx, now, &former)?;
        let ended_at = (next.is_none() && current.is_none()).then_some(now.as_micros());
        tx.execute(
            "UPDATE maintenances SET next_at = ?2, ended_at = ?3 WHERE id = ?1",
            params![known.id, next.map(|occurrence| occurrence.begins_at.as_micros()), ended_at],
        )?;
        tx.touch(MAINTENANCE);
        Ok(current)
    }

    fn begin(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        known: &Maintenance,
        occurrence: Occurrence,
    ) -> Result<(), Error> {
        tx.execute(
            "INSERT INTO maintenance_occurrences (maintenance_id, began_at, ends_at) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET ends_at = excluded.ends_at",
            params![known.id, occurrence.begins_at.as_micros(), occurrence.ends_at.as_micros()],
        )?;
        let subjects = known.draft.subjects.iter().map(|subject| Some(subject.clone()));
        let everything = known.draft.subjects.is_empty().then_some(None);
        for key in subjects.chain(everything) {
            let silence = NewSilence {
                project: known.draft.project,
                key,
                incident: None,
                reason: format!("Maintenance: {}", known.draft.title),
                created_by: known.created_by.clone(),
                starts_at: now,
                ends_at: occurrence.ends_at,
            };
            let id = self.begin_silence(tx, now, &silence)?;
            tx.execute(
                "INSERT INTO maintenance_silences (silence_id, maintenance_id) VALUES (?1, ?2)",
                params![id.0, known.id],
            )?;
        }
        Ok(())
    }

    pub(super) fn end_silences_of(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        maintenance: i64,
    ) -> Result<(), Error> {
        let former = find_silences(tx, maintenance)?;
        self.end_these(tx, now, &former)
    }

    /// All are over before the first is told: what two covered is not silent for the second's sake.
    fn end_these(&self, tx: &WriteTx<'_>, now: Timestamp, silences: &[SilenceId]) -> Result<(), Error> {
        for silence in silences {
            tx.execute(
                "UPDATE silences SET ends_at = min(ends_at, ?2) WHERE id = ?1 AND ended_at IS NULL",
                params![silence.0, now.as_micros()],
            )?;
        }
        for silence in silences {
            self.end_silence(tx, now, *silence)?;
        }
        Ok(())
    }
}

fn find_due(tx: &ReadTx<'_>, now: Timestamp, limit: u32) -> Result<Vec<i64>, store::Error> {
    tx.all(
        "SELECT id FROM maintenances WHERE next_at <= ?1 ORDER BY next_at LIMIT ?2",
        params![now.as_micros(), limit],
        |row| row.get(0),
    )
}

fn find_over(tx: &ReadTx<'_>, now: Timestamp, limit: u32) -> Result<Vec<i64>, store::Error> {
    tx.all(
        "SELECT m.id FROM maintenances m
         WHERE m.ended_at IS NULL AND m.next_at IS NULL AND NOT EXISTS (
             SELECT 1 FROM maintenance_occurrences o WHERE o.maintenance_id = m.id AND o.ends_at > ?1)
         LIMIT ?2",
        params![now.as_micros(), limit],
        |row| row.get(0),
    )
}

fn is_called_off(tx: &ReadTx<'_>, maintenance: i64, occurrence: Occurrence) -> Result<bool, store::Error> {
    let called_off = tx.first(
        "SELECT 1 FROM maintenance_occurrences
         WHERE maintenance_id = ?1 AND began_at = ?2 AND called_off = 1",
        params![maintenance, occurrence.begins_at.as_micros()],
        |_| Ok(()),
    )?;
    Ok(called_off.is_some())
}

/// Its silences that have not ended.
fn find_silences(tx: &ReadTx<'_>, maintenance: i64) -> Result<Vec<SilenceId>, store::Error> {
    tx.all(
        "SELECT s.id FROM maintenance_silences m JOIN silences s ON s.id = m.silence_id
         WHERE m.maintenance_id = ?1 AND s.ended_at IS NULL",
        [maintenance],
        |row| row.get(0).map(SilenceId),
    )
}
