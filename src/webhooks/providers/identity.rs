//! What a call is: which event, of which kind, in whose order. By rules, since every provider says it elsewhere.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::content::Content;
use crate::base::hex::hex;
use crate::base::text::is_hidden;
use crate::webhooks::form;
use crate::webhooks::list;
use crate::webhooks::pointer::Pointer;
use crate::webhooks::scheme::{Call, Header};

/// How a call is told from others. Of each list the first way that leads somewhere counts. Few schemes sign a header or
/// a query: what is read there is what the caller says. Under a proof that covers the body alone, an event is therefore
/// known again by its content too, whatever its id ([`crate::webhooks::scheme::Covers`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Rules {
    /// The same for every try to deliver one event; parts are joined by a colon.
    pub event_id: Vec<Way>,
    /// Such as `invoice.paid`; parts are joined by a dot.
    pub event_type: Vec<Way>,
    /// Events with the same key are delivered one after the other; the first that is there counts, and none means that
    /// the order is no matter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub order_key: Vec<Pointer>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    event_id: Vec<Way>,
    event_type: Vec<Way>,
    order_key: Vec<Pointer>,
}

/// Parts that must all be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Way(#[serde(deserialize_with = "list::read")] pub Vec<Part>);

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
    /// The same with the query, where that is part of what is said: the steps of a call at Twilio differ in nothing else.
    CallHash,
}

/// What a call is, as far as its rules find it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// At most [`CHARS_MAX`] characters; a longer one is its hash. `None`: every call is an event of its own.
    pub event_id: Option<String>,
    /// At most [`CHARS_MAX`] characters.
    pub event_type: Option<String>,
    /// What headers and the query say of the type, as the id: Shopify sends one body as several events, which nothing else
    /// tells apart.
    pub told_type: Option<String>,
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
    #[error("order_key: name at most {ORDER_KEYS_MAX} places")]
    OrderKeys,
}

pub const CHARS_MAX: usize = 255;
const WAYS_MAX: usize = 8;
const PARTS_MAX: usize = 6;
const ORDER_KEYS_MAX: usize = 4;
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
        if self.order_key.len() > ORDER_KEYS_MAX { Err(BadRules::OrderKeys) } else { Ok(()) }
    }

    /// What it asks of a JSON body.
    pub fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        let parts = self.event_id.iter().chain(&self.event_type).flat_map(|way| &way.0);
        let named = parts.filter_map(|part| match part {
            Part::Pointer(pointer) => Some(pointer),
            Part::Header(_)
            | Part::Form(_)
            | Part::Query(_)
            | Part::Text(_)
            | Part::BodyHash
            | Part::CallHash => None,
        });
        named.chain(&self.order_key)
    }

    /// The headers by which an event is known: they say no secret, whatever they are called.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        let parts = self.event_id.iter().chain(&self.event_type).flat_map(|way| &way.0);
        parts.filter_map(|part| match part {
            Part::Header(header) => Some(header.as_str()),
            Part::Pointer(_)
            | Part::Form(_)
            | Part::Query(_)
            | Part::Text(_)
            | Part::BodyHash
            | Part::CallHash => None,
        })
    }

    /// What the call is. Never fails, whatever the call holds.
    pub fn identify(&self, call: &Call<'_>, content: &Content<'_>) -> Identity {
        let first = |ways: &[Way]| ways.iter().find_map(|way| way.find(call, content));
        let event_type = first(&self.event_type);
        Identity {
            event_id: first(&self.event_id).map(|found| bounded(found.id())),
            told_type: event_type.as_ref().and_then(Parts::told).map(bounded),
            event_type: event_type.map(|found| found.words()).filter(|text| is_shown(text)),
            order_key: self.order_key.iter().find_map(|pointer| content.text(pointer)).map(bounded),
        }
    }
}

/// What a way led to: its parts, and whether each was said by a header or the query.
struct Parts(Vec<(bool, String)>);

impl Way {
    fn find(&self, call: &Call<'_>, content: &Content<'_>) -> Option<Parts> {
        let find = |part: &Part| Some((part.is_told(), part.find(call, content)?));
        self.0.iter().map(find).collect::<Option<Vec<_>>>().map(Parts)
    }
}

impl Parts {
    /// Joined so that no two ids are one: of several parts each is without a colon of its own.
    fn id(self) -> String {
        match <[_; 1]>::try_from(self.0) {
            Ok([(_, text)]) => text,
            Err(parts) => join(parts.iter().map(|(_, text)| text)),
        }
    }

    fn words(&self) -> String {
        self.0.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(".")
    }

    fn told(&self) -> Option<String> {
        let told = join(self.0.iter().filter(|(is_told, _)| *is_told).map(|(_, text)| text));
        Some(told).filter(|told| !told.is_empty())
    }
}

fn join<'p>(parts: impl Iterator<Item = &'p String>) -> String {
    parts.map(|text| text.replace('%', "%25").replace(':', "%3A")).collect::<Vec<_>>().join(":")
}

impl Part {
    fn find(&self, call: &Call<'_>, content: &Content<'_>) -> Option<String> {
        let found = match self {
            Self::Header(header) => call.text(header.as_str()).map(str::to_owned),
            Self::Pointer(pointer) => content.text(pointer),
            Self::Form(name) => {
                content.field(name).and_then(|value| std::str::from_utf8(value).ok()).map(str::to_owned)
            }
            Self::Query(name) => {
                let mut fields = form::pairs(form::query(call.url).as_bytes());
                let value = fields.find(|(known, _)| known == name.as_bytes());
                value.and_then(|(_, value)| String::from_utf8(value).ok())
            }
            Self::Text(text) => Some(text.clone()),
            Self::BodyHash => Some(hashed(&[content.body()])),
            Self::CallHash => Some(hashed(&[form::query(call.url).as_bytes(), b"\0", content.body()])),
        };
        found.filter(|text| !text.is_empty())
    }

    /// What somebody typed without a type of its own to hold it.
    fn own_text(&self) -> Option<&str> {
        match self {
            Self::Form(text) | Self::Query(text) | Self::Text(text) => Some(text),
            Self::Header(_) | Self::Pointer(_) | Self::BodyHash | Self::CallHash => None,
        }
    }

    /// Whether it stands beside the body.
    const fn is_told(&self) -> bool {
        matches!(self, Self::Header(_) | Self::Query(_))
    }
}

impl TryFrom<Written> for Rules {
    type Error = BadRules;
    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written { event_id, event_type, order_key } = written;
        let rules = Self { event_id, event_type, order_key };
        rules.check()?;
        Ok(rules)
    }
}

fn is_shown(text: &str) -> bool {
    text.chars().count() <= CHARS_MAX && !text.chars().any(is_hidden)
}

/// What is too long or cannot be seen still tells one from another by its hash.
fn bounded(text: String) -> String {
    if is_shown(&text) { text } else { hashed(&[text.as_bytes()]) }
}

fn hashed(pieces: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for piece in pieces {
        hash.update(piece);
    }
    format!("sha256-{}", hex(&hash.finalize()))
}
