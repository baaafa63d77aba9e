//! A source: who calls, how it proves that it is they, and what is taken of what they say.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::check::Invalid;
use super::pointer::Pointer;
use super::providers::{self, Part, Rules, Way};
use super::scheme::{BadSecret, Header, Scheme};
use crate::base::{Owner, ProjectId, Secret, Severity, Timestamp, Uid, span};

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
    /// Where the event's id stands: a header's name, or a JSON pointer. Of several, all together.
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

impl Definition {
    /// How its calls are verified: as it says itself, or as its provider does. `None`: this program knows no such
    /// provider, so that nobody can be believed.
    pub fn scheme(&self) -> Option<Scheme> {
        let of_provider = || providers::find(&self.provider).map(|provider| provider.scheme.clone());
        self.scheme.clone().or_else(of_provider)
    }

    /// How a call is told from others: as it says itself, else as its provider does. What orders them is used only where
    /// a destination asks for order.
    ///
    /// # Errors
    /// The first place that is none.
    pub fn rules(&self) -> Result<Rules, Invalid> {
        let provider = providers::find(&self.provider);
        let mut rules = provider.map(|provider| provider.rules.clone()).unwrap_or_default();
        if !self.event_id.is_empty() {
            let parts: Result<_, _> = self.event_id.iter().map(|place| part("event_id", place)).collect();
            rules.event_id.insert(0, Way(parts?));
        }
        if let Some(place) = &self.event_type {
            rules.event_type.insert(0, Way(vec![part("event_type", place)?]));
        }
        if let Some(place) = &self.order_key {
            let place = Pointer::parse(place).map_err(|bad| Invalid::new("order_key", bad.to_string()))?;
            rules.order_key = vec![place];
        } else if rules.order_key.is_empty() {
            rules.order_key =
                provider.map(|provider| provider.order_key_suggested.clone()).unwrap_or_default();
        }
        Ok(rules)
    }

    /// Whether nobody is believed without a secret.
    pub fn needs_secret(&self) -> bool {
        self.scheme().is_none_or(|scheme| scheme.needs_secret())
    }

    /// Whether what signs a call is the secret itself: whoever is called is told it.
    pub fn sends_its_secret(&self) -> bool {
        matches!(self.scheme(), Some(Scheme::Token(_)))
    }

    /// # Errors
    /// Why its scheme cannot use `secret`.
    pub fn check_secret(&self, secret: &Secret) -> Result<(), BadSecret> {
        self.scheme().map_or(Ok(()), |scheme| scheme.check_secret(secret))
    }
}

/// A header's name, or a JSON pointer.
fn part(field: &'static str, place: &str) -> Result<Part, Invalid> {
    if place.starts_with('/') {
        return Pointer::parse(place).map(Part::Pointer).map_err(|bad| Invalid::new(field, bad.to_string()));
    }
    Header::parse(place).map(Part::Header).map_err(|bad| {
        Invalid::new(field, format!("{bad}; what stands in a JSON body is named like /data/id"))
    })
}

impl SourceId {
    /// What its signals are called: nothing came for too long, too much is refused.
    pub fn signal_keys(self) -> [String; 2] {
        ["silent", "refused"].map(|what| format!("webhook_{what}:{}", self.0))
    }
}

impl Source {
    /// With what its secrets are sealed.
    pub fn context(uid: Uid) -> String {
        format!("webhook_source:{uid}")
    }
}
