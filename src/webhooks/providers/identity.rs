//! What a call is: which event, of which kind, in whose order. By rules, since every provider says it elsewhere.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::content::Content;
use crate::base::text::is_hidden;
use crate::webhooks::form;
use crate::webhooks::pointer::Pointer;
use crate::webhooks::scheme::hmac::hex;
use crate::webhooks::scheme::{Call, Header};

/// How a call is told from others. Of each list the first way that leads somewhere counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// The same for every try to deliver one event; parts are joined by a colon.
    pub event_id: Vec<Way>,
    /// Such as `invoice.paid`; parts are joined by a dot.
    pub event_type: Vec<Way>,
    /// Events with the same key are delivered one after the other; nothing where the order is no matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_key: Option<Pointer>,
}

/// Parts that must all be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Way(pub Vec<Part>);

/// Where one part stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Header(Header),
    /// Of the JSON body.
    Pointer(Pointer),
    /// A field of a form.
    Form(String),
    /// A field of the query.
    Query(String),
    /// The text itself.
    Text(String),
    /// A hash of the whole body: the last resort, for which two events with the same body are one.
    BodyHash,
}

/// What a call is, as far as its rules find it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// At most [`CHARS_MAX`] characters; a longer one is its hash. `None`: every call is an event of its own.
    pub event_id: Option<String>,
    /// At most [`CHARS_MAX`] characters.
    pub event_type: Option<String>,
    /// As the id.
    pub order_key: Option<String>,
}

/// Why rules cannot be; names its field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRules {
    #[error("{field}: at most {WAYS_MAX} ways of 1 to {PARTS_MAX} parts each")]
    Count { field: &'static str },
    #[error("{field}: names and texts hold 1 to 100 characters that can be seen")]
    Text { field: &'static str },
}

pub const CHARS_MAX: usize = 255;
const WAYS_MAX: usize = 8;
const PARTS_MAX: usize = 6;
const TEXT_CHARS_MAX: usize = 100;

impl Rules {
    /// Whether they can be stored.
    pub fn check(&self) -> Result<(), BadRules> {
        for (field, ways) in [("event_id", &self.event_id), ("event_type", &self.event_type)] {
            if ways.len() > WAYS_MAX || ways.iter().any(|way| !(1..=PARTS_MAX).contains(&way.0.len())) {
                return Err(BadRules::Count { field });
            }
            let mut texts = ways.iter().flat_map(|way| &way.0).filter_map(Part::own_text);
            let is_fit = |text: &str| {
                (1..=TEXT_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(is_hidden)
            };
            if !texts.all(is_fit) {
                return Err(BadRules::Text { field });
            }
        }
        Ok(())
    }

    /// What the call is. Never fails, whatever the call holds.
    pub fn identify(&self, call: &Call<'_>, content: &Content<'_>) -> Identity {
        let first = |ways: &[Way], joint| ways.iter().find_map(|way| way.find(call, content, joint));
        Identity {
            event_id: first(&self.event_id, ":").map(bounded),
            event_type: first(&self.event_type, ".").filter(|text| is_shown(text)),
            order_key: self.order_key.as_ref().and_then(|pointer| content.text(pointer)).map(bounded),
        }
    }
}

impl Way {
    fn find(&self, call: &Call<'_>, content: &Content<'_>, joint: &str) -> Option<String> {
        let parts: Option<Vec<String>> = self.0.iter().map(|part| part.find(call, content)).collect();
        parts.map(|parts| parts.join(joint)).filter(|text| !text.is_empty())
    }
}

impl Part {
    fn find(&self, call: &Call<'_>, content: &Content<'_>) -> Option<String> {
        let found = match self {
            Self::Header(header) => call.text(header.as_str()).map(str::to_owned),
            Self::Pointer(pointer) => content.text(pointer),
            Self::Form(name) => content.field(name).and_then(|value| String::from_utf8(value).ok()),
            Self::Query(name) => {
                let mut fields = form::pairs(form::query(call.url).as_bytes());
                let value = fields.find(|(known, _)| known == name.as_bytes());
                value.and_then(|(_, value)| String::from_utf8(value).ok())
            }
            Self::Text(text) => Some(text.clone()),
            Self::BodyHash => Some(hashed(content.body())),
        };
        found.filter(|text| !text.is_empty())
    }

    /// What somebody typed without a type of its own to hold it.
    fn own_text(&self) -> Option<&str> {
        match self {
            Self::Form(text) | Self::Query(text) | Self::Text(text) => Some(text),
            Self::Header(_) | Self::Pointer(_) | Self::BodyHash => None,
        }
    }
}

fn is_shown(text: &str) -> bool {
    text.chars().count() <= CHARS_MAX && !text.chars().any(is_hidden)
}

/// What is too long or cannot be seen still tells one from another by its hash.
fn bounded(text: String) -> String {
    if is_shown(&text) { text } else { hashed(text.as_bytes()) }
}

fn hashed(bytes: &[u8]) -> String {
    format!("sha256-{}", hex(&Sha256::digest(bytes)))
}
