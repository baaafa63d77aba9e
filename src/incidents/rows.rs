//! The rows of this module and how their words are read.

use serde::Serialize;

use crate::base::{ProjectId, Severity, Uid};
pub(super) use crate::store::columns::{maybe_time, time, uid, word};
use crate::store::{self, ReadTx, Row, columns};

use super::decide::{LiveWitness, OpenIncident, WitnessKind, WitnessState};

/// An incident's number, which people say aloud. Its outside id is a [`Uid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentId(pub i64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WitnessId(pub i64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub i64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub i64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SilenceId(pub i64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IncidentState {
    Open,
    Acknowledged,
    Resolved,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// For a first channel.
    Waiting,
    /// Due now or later.
    Pending,
    /// Claimed by this process.
    Sending,
    Delivered,
    Failed,
    /// Told as part of another message.
    Bundled,
    Cancelled,
}

impl DeliveryState {
    pub const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Pending,
        Self::Sending,
        Self::Delivered,
        Self::Failed,
        Self::Bundled,
        Self::Cancelled,
    ];
    /// Will be told, or is being told.
    pub const UNDER_WAY: [Self; 2] = [Self::Pending, Self::Sending];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Bundled => "bundled",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

impl IncidentState {
    pub const ALL: [Self; 3] = [Self::Open, Self::Acknowledged, Self::Resolved];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

impl WitnessKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Condition => "condition",
            Self::Occurrence => "occurrence",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Condition, Self::Occurrence].into_iter().find(|kind| kind.as_str() == text)
    }
}

impl WitnessState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Holding => "holding",
            Self::Ok => "ok",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Firing, Self::Holding, Self::Ok].into_iter().find(|state| state.as_str() == text)
    }
}

/// An incident as the functions that change it see it.
#[derive(Clone, Debug)]
pub(super) struct IncidentRow {
    pub(super) id: IncidentId,
    pub(super) project: Option<ProjectId>,
    pub(super) severity: Severity,
    pub(super) state: IncidentState,
    pub(super) silenced: bool,
    pub(super) rings: u32,
}

pub(super) fn find_incident(tx: &ReadTx<'_>, id: IncidentId) -> Result<Option<IncidentRow>, store::Error> {
    tx.first(
        "SELECT id, project_id, severity, state, silenced, rings FROM incidents WHERE id = ?1",
        [id.0],
        |row| {
            Ok(IncidentRow {
                id: IncidentId(row.get(0)?),
                project: row.get::<_, Option<i64>>(1)?.map(ProjectId),
                severity: severity(row, 2)?,
                state: word(row, 3, IncidentState::parse)?,
                silenced: row.get(4)?,
                rings: row.get(5)?,
            })
        },
    )
}

pub(super) fn find_incident_by_uid(tx: &ReadTx<'_>, uid: Uid) -> Result<Option<IncidentId>, store::Error> {
    tx.first("SELECT id FROM incidents WHERE uid = ?1", [uid.as_bytes()], |row| row.get(0).map(IncidentId))
}

/// Incidents as [`open_incident`] reads them, from 0 on.
pub(super) const OPEN_INCIDENTS: &str =
    "SELECT id, project_id, service, severity, state, silenced, impact_started_at FROM incidents";

/// Reads the seven columns of [`OPEN_INCIDENTS`] that start at `from`.
pub(super) fn open_incident(row: &Row<'_>, from: usize) -> rusqlite::Result<OpenIncident> {
    Ok(OpenIncident {
        id: IncidentId(row.get(from)?),
        project: row.get::<_, Option<i64>>(from + 1)?.map(ProjectId),
        service: row.get(from + 2)?,
        severity: severity(row, from + 3)?,
        state: word(row, from + 4, IncidentState::parse)?,
        silenced: row.get(from + 5)?,
        started_at: time(row, from + 6)?,
    })
}

/// The witness of `key` in an unresolved incident.
pub(super) fn find_live_witness(tx: &ReadTx<'_>, key: &str) -> Result<Option<LiveWitness>, store::Error> {
    tx.first(&format!("{LIVE_WITNESSES} WHERE w.key = ?1 AND w.live = 1"), [key], live_witness)
}

/// Witnesses with their incidents, as [`live_witness`] reads them.
pub(super) const LIVE_WITNESSES: &str = "
    SELECT w.id, w.key, w.kind, w.state, w.severity, w.last_bad_at, w.ok_since,
           i.id, i.project_id, i.service, i.severity, i.state, i.silenced, i.impact_started_at
    FROM witnesses w JOIN incidents i ON i.id = w.incident_id";

/// Reads a row of [`LIVE_WITNESSES`].
pub(super) fn live_witness(row: &Row<'_>) -> rusqlite::Result<LiveWitness> {
    Ok(LiveWitness {
        id: WitnessId(row.get(0)?),
        key: row.get(1)?,
        kind: word(row, 2, WitnessKind::parse)?,
        state: word(row, 3, WitnessState::parse)?,
        severity: severity(row, 4)?,
        last_bad_at: time(row, 5)?,
        ok_since: maybe_time(row, 6)?,
        incident: open_incident(row, 7)?,
    })
}

/// Orders the witnesses `w` by how bad they are; the worst is the greatest.
pub(super) const SEVERITY_RANK: &str =
    "CASE w.severity WHEN 'critical' THEN 4 WHEN 'high' THEN 3 WHEN 'medium' THEN 2 ELSE 1 END";

pub(super) fn severity(row: &Row<'_>, at: usize) -> rusqlite::Result<Severity> {
    word(row, at, |text| text.parse().ok())
}

pub(super) fn json(row: &Row<'_>, at: usize) -> rusqlite::Result<serde_json::Value> {
    columns::json(row, at)
}
