//! A source: who calls, how it proves that it is they, and what is taken of what they say.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::scheme::Scheme;
use crate::base::{Owner, ProjectId, Severity, Timestamp, Uid, span};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SourceId(pub i64);

/// A source as it is stored. Its secrets stay sealed, with the context of [`Source::context`].
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub id: SourceId,
    pub uid: Uid,
    pub project: ProjectId,
    /// The project's slug.
    pub project_slug: String,
    /// Its address is `/hooks/{key}`.
    pub key: String,
    pub name: String,
    pub definition: Definition,
    pub sealed: Option<Vec<u8>>,
    pub owner: Owner,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Grows with each change by somebody.
    pub version: i64,
}

/// What a person, or a file, says of a source. What is not said is as its provider has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// As [`super::providers`] names it.
    pub provider: String,
    /// How its calls are verified, and signed anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// The address that the provider calls, where it is not this server's own: some schemes sign it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Where the event's id stands: a header's name, or a JSON pointer. Of several that are there, all together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub event_id: Vec<String>,
    /// Where the event's type stands, as for its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// JSON pointer to what must stay in order, such as `/data/object/customer`; used where a destination asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// Of a body; the provider's own bound by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_bytes_max: Option<usize>,
    /// Somebody is told when nothing came for so long.
    #[serde(default, with = "span::option", skip_serializing_if = "Option::is_none")]
    pub silent_after: Option<Duration>,
    /// Of the incidents of this source.
    #[serde(default = "high")]
    pub severity: Severity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// What the provider hears when an event was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// 200 to 299.
    pub status: u16,
    #[serde(default)]
    pub body: String,
    #[serde(default)]
    pub content_type: String,
}

const fn high() -> Severity {
    Severity::High
}

impl Source {
    /// With what its secrets are sealed.
    pub fn context(uid: Uid) -> String {
        format!("webhook_source:{uid}")
    }
}
