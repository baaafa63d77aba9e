//! Signatures by a shared secret, as data: what is signed, with what, and where it stands. Stripe, GitHub, Slack,
//! Shopify, Standard Webhooks and most others differ in nothing else.

mod flow;
mod key;
mod layout;
mod stamp;
mod template;

use serde::{Deserialize, Serialize};

pub(super) use self::key::same;
pub use self::key::{Algorithm, Encoding, Key};
pub use self::layout::{Carrier, Layout};
pub use self::stamp::{Late, Place, Stamp, Unit};
pub use self::template::{BadTemplate, Part, Template};
use super::header::{Aliases, Header};

/// One scheme of signatures, whose parts fit together: it is only ever made of [`Parts`], and checked then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct Hmac {
    /// What is signed, such as `{timestamp}.{body}`.
    pub(super) signed: Template,
    pub(super) algorithm: Algorithm,
    /// How the secret becomes a key.
    pub(super) key: Key,
    /// How the signature is written.
    pub(super) encoding: Encoding,
    /// Where the signature stands.
    pub(super) signature: Carrier,
    /// When it was signed; nothing where the provider does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timestamp: Option<Stamp>,
    /// The header with the id of the event, where that is signed too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<Aliases>,
    /// Older signatures that come beside it. They are not looked at, and not passed on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ignored: Vec<Header>,
}

/// The parts of a scheme, before it is known whether they fit together; each as in [`Hmac`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    pub signed: Template,
    #[serde(default)]
    pub algorithm: Algorithm,
    #[serde(default)]
    pub key: Key,
    #[serde(default)]
    pub encoding: Encoding,
    pub signature: Carrier,
    pub timestamp: Option<Stamp>,
    pub id: Option<Aliases>,
    #[serde(default)]
    pub ignored: Vec<Header>,
}

/// Why the parts of a scheme do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("signed: {{body}} is missing; without it anybody could change the body")]
    BodyUnsigned,
    #[error("signed: {{timestamp}} is there, but timestamp does not say where the time stands")]
    TimeUnknown,
    #[error(
        "timestamp: the time is not part of what is signed, so anybody could change it; take it out, or write \
         {{timestamp}} into signed"
    )]
    TimeUnsigned,
    #[error("signed: a time within the body is signed with it already; take {{timestamp}} out")]
    TimeSignedTwice,
    #[error("timestamp: a pair can hold the time only where the signature stands in pairs too")]
    NoPairs,
    #[error("timestamp: the pair with the time needs another key than the one with the signature")]
    SamePair,
    #[error("signed: {{id}} is there, but id does not name the header that holds it")]
    IdUnknown,
    #[error("id: it is not part of what is signed; take it out, or write {{id}} into signed")]
    IdUnsigned,
    #[error(
        "signed: between {{{first}}} and {{{second}}} a mark is missing, so that one could be cut short for the other; \
         write it as the provider does"
    )]
    NoBoundary { first: &'static str, second: &'static str },
    #[error("{field}: {reason}")]
    Field { field: &'static str, reason: &'static str },
    #[error("the header {0} is named for two things: name it for one")]
    HeaderTwice(String),
}

const IGNORED_MAX: usize = 4;

impl Hmac {
    /// Whether the parts fit together.
    ///
    /// # Errors
    /// The first that does not, by its field.
    fn check(&self) -> Result<(), Invalid> {
        if !self.signed.has(Part::Body) {
            return Err(Invalid::BodyUnsigned);
        }
        if let Some((first, second)) = self.signed.unbounded() {
            return Err(Invalid::NoBoundary { first, second });
        }
        self.check_time()?;
        match (&self.id, self.signed.has(Part::Id)) {
            (None, true) => return Err(Invalid::IdUnknown),
            (Some(_), false) => return Err(Invalid::IdUnsigned),
            (Some(_), true) | (None, false) => {}
        }
        self.signature.check()?;
        self.key.check()?;
        if self.ignored.len() > IGNORED_MAX {
            return Err(Invalid::Field { field: "ignored", reason: "at most 4 headers" });
        }
        self.check_headers()
    }

    fn check_time(&self) -> Result<(), Invalid> {
        let is_signed = self.signed.has(Part::Timestamp);
        let Some(stamp) = &self.timestamp else {
            return if is_signed { Err(Invalid::TimeUnknown) } else { Ok(()) };
        };
        stamp.check()?;
        match (&stamp.place, is_signed) {
            (Place::Pointer(_), true) => Err(Invalid::TimeSignedTwice),
            (Place::Pointer(_), false) | (Place::Headers(_), true) => Ok(()),
            (Place::Pair(key), true) => match self.signature.layout.signature_key() {
                None => Err(Invalid::NoPairs),
                Some(other) if other == key => Err(Invalid::SamePair),
                Some(_) => Ok(()),
            },
            (Place::Headers(_) | Place::Pair(_), false) => Err(Invalid::TimeUnsigned),
        }
    }

    fn check_headers(&self) -> Result<(), Invalid> {
        let mut names: Vec<&str> = self.headers().collect();
        names.sort_unstable();
        let doubled = names.windows(2).find(|pair| pair[0] == pair[1]);
        doubled.map_or(Ok(()), |pair| Err(Invalid::HeaderTwice(pair[0].to_owned())))
    }

    /// What it is made of: for a form that changes some of it.
    pub fn parts(&self) -> Parts {
        let Self { signed, algorithm, key, encoding, signature, timestamp, id, ignored } = self.clone();
        Parts { signed, algorithm, key, encoding, signature, timestamp, id, ignored }
    }

    /// Every header that belongs to the signature.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        let stamped = self.timestamp.iter().filter_map(|stamp| match &stamp.place {
            Place::Headers(headers) => Some(headers),
            Place::Pair(_) | Place::Pointer(_) => None,
        });
        let named = std::iter::once(&self.signature.headers).chain(stamped).chain(&self.id);
        named.flat_map(Aliases::names).chain(self.ignored.iter().map(Header::as_str))
    }
}

impl TryFrom<Parts> for Hmac {
    type Error = Invalid;
    fn try_from(parts: Parts) -> Result<Self, Self::Error> {
        let Parts { signed, algorithm, key, encoding, signature, timestamp, id, ignored } = parts;
        let hmac = Self { signed, algorithm, key, encoding, signature, timestamp, id, ignored };
        hmac.check()?;
        Ok(hmac)
    }
}
