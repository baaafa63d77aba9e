//! Which deliveries a replay is of.

use serde::{Deserialize, Serialize};

use crate::base::{ProjectId, Timestamp};
use crate::webhooks::filter::TypeGlob;
use crate::webhooks::{DeliveryId, DeliveryStatus, DestinationId, SourceId};

/// Everything that is said must fit; what is not said fits always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct What {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<DestinationId>,
    pub status: Among,
    /// Types of events; none: all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<TypeGlob>,
    /// When the event was received: from here on …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// … and before this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// These alone; at most [`IDS_MAX`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<DeliveryId>>,
    /// The issue with which those of `ids` failed. Said to people; it chooses nothing itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue: Option<i64>,
}

/// Named one by one.
pub const IDS_MAX: usize = 10_000;

/// What became of the deliveries that are sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Among {
    /// Dead ones that nobody dealt with.
    #[default]
    DeadLetter,
    /// Those that wait for their next attempt: it is made now.
    Failed,
    /// Those that have arrived: they arrive again.
    Completed,
}

/// What decides whether a delivery fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) id: DeliveryId,
    pub(super) request: i64,
    pub(super) project: ProjectId,
    pub(super) source: SourceId,
    pub(super) destination: DestinationId,
    pub(super) status: DeliveryStatus,
    pub(super) is_settled: bool,
    pub(super) event_type: String,
    pub(super) received_at: Timestamp,
}

impl What {
    /// Of a delivery that is one of `ids`, where some are named.
    pub(super) fn fits(&self, project: ProjectId, seen: &Seen) -> bool {
        seen.project == project
            && seen.status == self.status.status()
            && !seen.is_settled
            && self.source.is_none_or(|source| source == seen.source)
            && self.destination.is_none_or(|destination| destination == seen.destination)
            && (self.types.is_empty() || self.types.iter().any(|glob| glob.fits(&seen.event_type)))
            && self.since.is_none_or(|since| seen.received_at >= since)
            && self.until.is_none_or(|until| seen.received_at < until)
    }

    /// For the audit log: as it is, but for a long list, which is counted.
    pub(super) fn in_words(&self) -> serde_json::Value {
        let mut words = serde_json::to_value(Self { ids: None, ..self.clone() }).unwrap_or_default();
        if let Some(ids) = &self.ids {
            words["ids"] = ids.len().into();
        }
        words
    }
}

impl Among {
    pub const fn status(self) -> DeliveryStatus {
        match self {
            Self::DeadLetter => DeliveryStatus::DeadLetter,
            Self::Failed => DeliveryStatus::Failed,
            Self::Completed => DeliveryStatus::Completed,
        }
    }
}
