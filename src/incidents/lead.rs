//! The witness that an incident is called after: the worst that still fires, the oldest among equals; once none fires,
//! the worst that did. The incident rings as that one does, whatever else was told before.

use serde_json::json;

use crate::base::{Severity, Timestamp};
use crate::store::{self, ReadTx, WriteTx, params};

use super::close::cancel_rings;
use super::rows::{self, IncidentRow};
use super::timeline::{Event, EventKind, note};
use super::{IncidentState, Incidents, silences};

struct Lead {
    severity: Severity,
    summary: String,
}

impl Incidents {
    /// As [`name`], where a witness left: what rang for that one alone is taken back, and the incident is no graver than
    /// what still fires. It becomes graver only where that is told, in `record`.
    pub(super) fn follow_lead(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        incident: IncidentRow,
    ) -> Result<IncidentRow, store::Error> {
        let Some(lead) = find(tx, now, &incident)? else { return Ok(incident) };
        let severity = incident.severity.min(lead.severity);
        write(tx, &incident, &Lead { severity, ..lead })?;
        if severity == incident.severity {
            return Ok(incident);
        }
        let row = IncidentRow { severity, ..incident };
        cancel_rings(tx, row.id, "what it rang for was over before it was sent")?;
        tx.execute(
            "UPDATE deliveries SET severity = ?2 WHERE incident_id = ?1 AND state = 'pending'",
            params![row.id.0, severity.as_str()],
        )?;
        self.schedule_ring(tx, now, &row)?;
        let detail = json!({"severity": severity.as_str()});
        note(tx, now, row.id, &Event { kind: EventKind::Eased, actor: None, detail })?;
        Ok(row)
    }
}

/// Calls an incident after its lead; its severity stays.
pub(super) fn name(tx: &WriteTx<'_>, now: Timestamp, incident: &IncidentRow) -> Result<(), store::Error> {
    let Some(lead) = find(tx, now, incident)? else { return Ok(()) };
    write(tx, incident, &Lead { severity: incident.severity, ..lead })
}

/// What an incident that is over was: as grave as the worst of it.
pub(super) fn conclude(
    tx: &WriteTx<'_>,
    now: Timestamp,
    incident: &IncidentRow,
) -> Result<IncidentRow, store::Error> {
    let Some(lead) = find(tx, now, incident)? else { return Ok(incident.clone()) };
    let severity = incident.severity.max(lead.severity);
    tx.execute(
        "UPDATE incidents SET severity = ?2 WHERE id = ?1",
        params![incident.id.0, severity.as_str()],
    )?;
    Ok(IncidentRow { severity, ..incident.clone() })
}

/// Who acknowledged something lesser is asked again when it turns critical; under a silence, once that is over.
pub(super) fn raise(
    tx: &WriteTx<'_>,
    incident: &IncidentRow,
    to: Severity,
) -> Result<IncidentRow, store::Error> {
    let reopens = to == Severity::Critical && incident.state == IncidentState::Acknowledged;
    if reopens {
        tx.execute(
            "UPDATE incidents SET state = 'open', acknowledged_at = NULL, acknowledged_by = NULL WHERE id = ?1",
            [incident.id.0],
        )?;
    }
    tx.execute("UPDATE incidents SET severity = ?2 WHERE id = ?1", params![incident.id.0, to.as_str()])?;
    // What waits goes first by how bad it is now.
    tx.execute(
        "UPDATE deliveries SET severity = ?2 WHERE incident_id = ?1 AND state = 'pending'",
        params![incident.id.0, to.as_str()],
    )?;
    let state = if reopens { IncidentState::Open } else { incident.state };
    Ok(IncidentRow { severity: to, state, ..incident.clone() })
}

/// What a silence covers does not speak for an incident that is heard.
fn find(tx: &ReadTx<'_>, now: Timestamp, incident: &IncidentRow) -> Result<Option<Lead>, store::Error> {
    tx.first(
        &format!(
            "SELECT w.severity, w.summary FROM witnesses w WHERE w.incident_id = ?1
             ORDER BY w.state = 'ok', w.state <> 'ok' AND NOT ?4 AND {}, {} DESC, w.id LIMIT 1",
            silences::covers_witness(),
            rows::SEVERITY_RANK
        ),
        params![incident.id.0, now.as_micros(), incident.project.map(|project| project.0), incident.silenced],
        |row| Ok(Lead { severity: rows::severity(row, 0)?, summary: row.get(1)? }),
    )
}

fn write(tx: &WriteTx<'_>, incident: &IncidentRow, lead: &Lead) -> Result<(), store::Error> {
    tx.execute(
        "UPDATE incidents SET severity = ?2, summary = ?3 WHERE id = ?1",
        params![incident.id.0, lead.severity.as_str(), lead.summary],
    )?;
    Ok(())
}
