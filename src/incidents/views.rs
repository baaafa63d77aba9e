//! The shapes of incidents and deliveries as the API and the pages show them.

use serde::Serialize;
use serde_json::Value;

use super::rows::DeliveryState;
use crate::base::{ProjectId, Severity, Timestamp, Uid};

/// An incident. `project` is the slug, which its reader fills in from `project_id`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IncidentView {
    pub id: Uid,
    /// What people say aloud.
    pub number: i64,
    #[serde(skip)]
    pub project_id: Option<ProjectId>,
    pub project: Option<String>,
    pub service: Option<String>,
    /// Of the listed witnesses.
    pub keys: Vec<String>,
    pub severity: Severity,
    /// open, acknowledged or resolved.
    pub state: String,
    pub summary: String,
    pub silenced: bool,
    pub witnesses: Vec<WitnessView>,
    /// Also those not listed.
    pub witness_count: i64,
    pub impact_started_at: Timestamp,
    pub detected_at: Timestamp,
    /// From the first bad moment to the first signal about it.
    pub time_to_detect_ms: i64,
    pub first_sent_at: Option<Timestamp>,
    pub first_delivered_at: Option<Timestamp>,
    pub acknowledged_at: Option<Timestamp>,
    pub acknowledged_by: Option<String>,
    pub recovered_at: Option<Timestamp>,
    pub resolved_at: Option<Timestamp>,
    /// `recovered`, `quiet`, `subject_resolved`, `subject_ignored`, `subject_removed`, `subject_paused`,
    /// `subject_grouped`, `subject_archived` or `by_hand`.
    pub resolve_reason: Option<String>,
    /// When it rings next if nobody acknowledges.
    pub next_ring_at: Option<Timestamp>,
}

/// What one watcher saw of an incident.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WitnessView {
    /// For splitting it off.
    pub number: i64,
    pub key: String,
    pub source: String,
    /// condition or occurrence.
    pub kind: String,
    pub severity: Severity,
    pub summary: String,
    pub detail: Value,
    /// firing, holding or ok.
    pub state: String,
    pub first_bad_at: Timestamp,
    pub detected_at: Timestamp,
    /// How long this watcher took to see what it saw.
    pub time_to_detect_ms: i64,
    pub last_bad_at: Timestamp,
    pub ok_since: Option<Timestamp>,
    pub signal_count: i64,
}

/// One line of an incident's timeline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventView {
    pub at: Timestamp,
    pub kind: String,
    /// The person; null: tocsin itself.
    pub actor: Option<String>,
    pub detail: Value,
}

/// A message. `attempts` counts the tries; their proof is in [`AttemptView`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeliveryView {
    pub id: Uid,
    #[serde(skip)]
    pub row: i64,
    #[serde(skip)]
    pub project_id: Option<ProjectId>,
    pub project: Option<String>,
    pub incident_id: Option<Uid>,
    pub cause: String,
    pub purpose: String,
    pub severity: Severity,
    /// The channel's name; null while it waits for a first channel, or after the channel was removed.
    pub channel: Option<String>,
    pub recipient: Option<String>,
    pub state: DeliveryState,
    pub attempts: i64,
    /// How many messages it stands for.
    pub quantity: i64,
    pub created_at: Timestamp,
    pub next_attempt_at: Option<Timestamp>,
    pub delivered_at: Option<Timestamp>,
    pub last_error: Option<String>,
    pub remote_id: Option<String>,
}

/// One try to send a message.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttemptView {
    pub number: i64,
    pub at: Timestamp,
    pub duration_us: i64,
    /// delivered, retryable or permanent.
    pub outcome: String,
    pub detail: String,
}

/// A message with its proof.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeliveryProof {
    #[serde(flatten)]
    pub delivery: DeliveryView,
    pub proof: Vec<AttemptView>,
}

/// Everything an incident's page shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IncidentPage {
    #[serde(flatten)]
    pub incident: IncidentView,
    pub timeline: Vec<EventView>,
    pub deliveries: Vec<DeliveryProof>,
}

/// Numbers beside the navigation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub open: i64,
    pub acknowledged: i64,
    /// The worst of the open ones.
    pub worst: Option<Severity>,
}
