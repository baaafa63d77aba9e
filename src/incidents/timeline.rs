//! What happened to an incident, in order, for its page.

use serde_json::Value;

use crate::base::Timestamp;
use crate::store::{self, WriteTx, params};

use super::IncidentId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventKind {
    Opened,
    Joined,
    Refired,
    Raised,
    Worsened,
    Eased,
    Rang,
    Silenced,
    Unsilenced,
    Acknowledged,
    Unacknowledged,
    WitnessOver,
    SplitOff,
    SplitFrom,
    DeliveryFailed,
    Resolved,
}

/// A page of timeline. Condition that flaps for weeks, or rings unanswered, stops being listed here; its counters go on.
const REPEATED_EVENTS_MAX: i64 = 500;

impl EventKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Joined => "joined",
            Self::Refired => "refired",
            Self::Raised => "raised",
            Self::Worsened => "worsened",
            Self::Eased => "eased",
            Self::Rang => "rang",
            Self::Silenced => "silenced",
            Self::Unsilenced => "unsilenced",
            Self::Acknowledged => "acknowledged",
            Self::Unacknowledged => "unacknowledged",
            Self::WitnessOver => "witness_over",
            Self::SplitOff => "split_off",
            Self::SplitFrom => "split_from",
            Self::DeliveryFailed => "delivery_failed",
            Self::Resolved => "resolved",
        }
    }

    /// Whether it can happen without end in one incident.
    const fn repeats(self) -> bool {
        match self {
            Self::Joined
            | Self::Refired
            | Self::Rang
            | Self::WitnessOver
            | Self::DeliveryFailed
            | Self::Raised
            | Self::Worsened
            | Self::Eased => true,
            Self::Opened
            | Self::Silenced
            | Self::Unsilenced
            | Self::Acknowledged
            | Self::Unacknowledged
            | Self::SplitOff
            | Self::SplitFrom
            | Self::Resolved => false,
        }
    }
}

/// One line of an incident's timeline; `actor` is the person, `None` tocsin itself.
pub(super) struct Event<'a> {
    pub(super) kind: EventKind,
    pub(super) actor: Option<&'a str>,
    pub(super) detail: Value,
}

pub(super) fn note(
    tx: &WriteTx<'_>,
    now: Timestamp,
    incident: IncidentId,
    event: &Event<'_>,
) -> Result<(), store::Error> {
    let listed_max = if event.kind.repeats() { REPEATED_EVENTS_MAX } else { i64::MAX };
    tx.execute(
        "INSERT INTO incident_events (incident_id, at, kind, actor, detail)
         SELECT ?1, ?2, ?3, ?4, ?5
         WHERE ?6 > (SELECT count(*) FROM (SELECT 1 FROM incident_events WHERE incident_id = ?1 LIMIT ?6))",
        params![
            incident.0,
            now.as_micros(),
            event.kind.as_str(),
            event.actor,
            event.detail.to_string(),
            listed_max
        ],
    )?;
    Ok(())
}
