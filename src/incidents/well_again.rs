//! The word that one witness is well again while its incident goes on: only of what is high or critical, to those who
//! heard that it was bad, not where all recovers together, and not each time that it comes and goes.

use serde_json::json;

use crate::base::{Severity, Timestamp};
use crate::store::{self, ReadTx, WriteTx, params};

use super::decide::LiveWitness;
use super::outbox::NewDelivery;
use super::rows::IncidentRow;
use super::{Error, IncidentId, Incidents, Purpose, WitnessId, gather, silences, witnesses};

/// So often it is told of one witness; what comes and goes more often is told at the incident's end.
const TOLD_MAX: i64 = 3;

impl Incidents {
    /// Posts to the thread of `incident`, which goes on, that `witness` has recovered.
    pub(super) fn tell_well_again(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        incident: &IncidentRow,
        witness: &LiveWitness,
    ) -> Result<(), Error> {
        // Of whom people are still to hear, they hear this as well.
        let is_told_of = witness.severity >= Severity::High || gather::waits(tx, incident.id, witness.id)?;
        if incident.silenced || !is_told_of || !still_fires(tx, incident.id)? {
            return Ok(());
        }
        let silence = silences::find_active(tx, now, incident.project, &witness.key, Some(incident.id))?;
        if silence.is_some() || !is_listed(tx, witness)? || is_told(tx, incident.id, witness.id)? {
            return Ok(());
        }
        if count_told(tx, incident.id, witness.id)? >= TOLD_MAX {
            return Ok(());
        }
        let content = json!({"witness": witness.id.0, "well_again": true});
        let mut message = NewDelivery::of(incident, Purpose::Witness, content);
        Ok(self.post_to_thread(tx, now, &mut message, &[])?)
    }
}

/// Whether something is left that has not begun to be well.
fn still_fires(tx: &ReadTx<'_>, incident: IncidentId) -> Result<bool, store::Error> {
    let firing = tx.first(
        "SELECT 1 FROM witnesses WHERE incident_id = ?1 AND state = 'firing' LIMIT 1",
        [incident.0],
        |_| Ok(()),
    )?;
    Ok(firing.is_some())
}

/// Whether the last that was told of a witness is that it is well again.
pub(super) fn is_told(
    tx: &ReadTx<'_>,
    incident: IncidentId,
    witness: WitnessId,
) -> Result<bool, store::Error> {
    let last = tx.first(
        "SELECT ifnull(json_extract(content, '$.well_again'), 0) FROM deliveries
         WHERE incident_id = ?1 AND json_extract(content, '$.witness') = ?2 ORDER BY id DESC LIMIT 1",
        params![incident.0, witness.0],
        |row| row.get(0),
    )?;
    Ok(last.unwrap_or(false))
}

fn count_told(tx: &ReadTx<'_>, incident: IncidentId, witness: WitnessId) -> Result<i64, store::Error> {
    tx.one(
        "SELECT count(DISTINCT created_at) FROM deliveries
         WHERE incident_id = ?1 AND json_extract(content, '$.witness') = ?2
           AND json_extract(content, '$.well_again')",
        params![incident.0, witness.0],
        |row| row.get(0),
    )
}

/// What is only counted is not told of by name.
fn is_listed(tx: &ReadTx<'_>, witness: &LiveWitness) -> Result<bool, store::Error> {
    let earlier: i64 = tx.one(
        "SELECT count(*) FROM (SELECT 1 FROM witnesses WHERE incident_id = ?1 AND id < ?2 LIMIT ?3)",
        params![witness.incident.id.0, witness.id.0, witnesses::LISTED_MAX],
        |row| row.get(0),
    )?;
    Ok(earlier < witnesses::LISTED_MAX)
}
