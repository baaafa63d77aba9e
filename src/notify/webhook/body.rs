//! The flat body that no-code receivers map field by field: the same keys in every message of a kind, no nesting.

use serde::Serialize;
use serde_json::{Value, json};

use super::super::channel::Outgoing;
use super::super::facts::{Facts, IncidentFacts, Moment, Story};
use super::super::message::{GATHERED_MAX, ITEM_CHARS_MAX};
use super::super::plain::clean;
use crate::base::{EventId, Severity, Timestamp, Uid};

/// Queries listed; the body stays below the 20 kB that the specification advises.
const QUERIES_MAX: usize = 10;
const QUERY_CHARS_MAX: usize = 500;
/// A slug is shorter; whatever stands there must not grow the body.
const PROJECT_CHARS_MAX: usize = 100;

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    context: String,
    severity: Severity,
    message: &'a str,
    timestamp: Timestamp,
    project: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    queries: Vec<String>,
    /// What joined the incident since its last message.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also_seen: Vec<String>,
    incident_id: Option<Uid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<EventId>,
    attempt: u32,
    /// The incident's page; `null` where the base URL leads nowhere for the receiver.
    url: Option<String>,
}

pub(in super::super) fn body(outgoing: Outgoing<'_>) -> Value {
    let Outgoing { facts, message, attempt, now, .. } = outgoing;
    let incident = match &facts.story {
        Story::Incident(incident) => Some(incident.as_ref()),
        Story::Digest(_) | Story::Bundle(_) | Story::Test(_) | Story::Account(_) => None,
    };
    json!(Body {
        r#type: kind(facts),
        context: message.lines.first().map(|line| line.text.clone()).unwrap_or_default(),
        severity: facts.severity,
        message: &message.headline,
        timestamp: incident.map_or(now, |incident| happened_at(incident, now)),
        project: clean(facts.project_name(), PROJECT_CHARS_MAX),
        threshold: incident.and_then(|incident| incident.known(|detail| detail.threshold)),
        queries: incident.map(queries).unwrap_or_default(),
        also_seen: incident.map(also_seen).unwrap_or_default(),
        incident_id: incident.map(|incident| incident.uid),
        event_id: incident.and_then(|incident| incident.known(|detail| detail.event_id)),
        attempt,
        url: match incident {
            Some(incident) => facts.link(&format!("/incidents/{}", incident.uid)),
            None => facts.link("/"),
        },
    })
}

fn kind(facts: &Facts) -> &'static str {
    match &facts.story {
        Story::Incident(incident) if incident.moment.is_over() => "recovery",
        Story::Incident(incident) if incident.moment == Moment::WellAgain => "partial_recovery",
        Story::Incident(incident) => {
            incident.subject_witness().map_or("incident", |witness| witness.alert().as_str())
        }
        Story::Digest(_) => "digest",
        Story::Bundle(_) => "bundle",
        Story::Test(_) => "test",
        Story::Account(_) => "account",
    }
}

fn happened_at(incident: &IncidentFacts, now: Timestamp) -> Timestamp {
    match incident.moment {
        Moment::Recovered | Moment::Closed(_) => incident.recovered_at.unwrap_or(now),
        Moment::WellAgain => now,
        Moment::Opened | Moment::Witness | Moment::Raised | Moment::RingAgain => incident.impact_started_at,
    }
}

fn also_seen(incident: &IncidentFacts) -> Vec<String> {
    let gathered = incident.gathered().into_iter().take(GATHERED_MAX);
    gathered.map(|witness| clean(&witness.summary, ITEM_CHARS_MAX)).collect()
}

fn queries(incident: &IncidentFacts) -> Vec<String> {
    let known = incident.known(|detail| (!detail.queries.is_empty()).then_some(&detail.queries));
    let shown = known.into_iter().flatten().take(QUERIES_MAX);
    shown
        .map(|slow| format!("{} ms: {}", slow.duration_ms.round(), clean(&slow.query, QUERY_CHARS_MAX)))
        .collect()
}
