//! Names of headers, and how a value that decides something is read: exactly one, or a refusal.

use std::fmt;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use super::{Call, Unsignable};
use crate::outbound::header::{HeaderName, HeaderValue};
use crate::webhooks::list;

/// The name of a header that a scheme reads and writes, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Header(HeaderName);

/// One header under the names that it is known by, such as `webhook-signature` and `svix-signature`. Read under any
/// of them, written under all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "Vec<Header>")]
pub struct Aliases(Vec<Header>);

/// Why a text names no [`Header`], or a list no [`Aliases`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHeader {
    #[error("“{0}” is no name of a header: use letters, digits and dashes")]
    Name(String),
    #[error("the header {0} belongs to HTTP itself: name the one that the provider adds")]
    Reserved(String),
    #[error("name 1 to {ALIASES_MAX} headers, each once")]
    Count,
}

const ALIASES_MAX: usize = 4;
const NAME_BYTES_MAX: usize = 100;
/// What a delivery sets by itself; a scheme that wrote them would break the request.
const RESERVED: [&str; 12] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Header {
    pub fn parse(text: &str) -> Result<Self, BadHeader> {
        let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| BadHeader::Name(text.to_owned()))?;
        if name.as_str().len() > NAME_BYTES_MAX {
            return Err(BadHeader::Name(text.to_owned()));
        }
        if RESERVED.contains(&name.as_str()) {
            return Err(BadHeader::Reserved(text.to_owned()));
        }
        Ok(Self(name))
    }

    pub(super) const fn of(name: &'static str) -> Self {
        Self(HeaderName::from_static(name))
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The one value of this header.
    pub(super) fn read<'c>(&self, call: &Call<'c>) -> Result<&'c str, Refusal> {
        one(call.values(self.as_str()), self)
    }

    pub(super) fn write(&self, value: &str) -> Result<(HeaderName, HeaderValue), Unsignable> {
        let value =
            HeaderValue::from_str(value).map_err(|_| Unsignable::Value { header: self.to_string() })?;
        Ok((self.0.clone(), value))
    }
}

impl Aliases {
    /// The one value under any of these names. Several names may carry the same; two that differ are refused, since
    /// one of them would be believed and another one passed on.
    pub(super) fn read<'c>(&self, call: &Call<'c>) -> Result<&'c str, Refusal> {
        let mut found: Option<&'c str> = None;
        for header in &self.0 {
            match (header.read(call), found) {
                (Err(Refusal::Missing { .. }), _) => {}
                (Err(refusal), _) => return Err(refusal),
                (Ok(value), Some(other)) if value != other => {
                    return Err(Refusal::Doubled { header: header.to_string() });
                }
                (Ok(value), _) => found = Some(value),
            }
        }
        found.ok_or_else(|| Refusal::Missing { header: self.first().to_owned() })
    }

    pub(super) fn write(&self, value: &str) -> Result<Vec<(HeaderName, HeaderValue)>, Unsignable> {
        self.0.iter().map(|header| header.write(value)).collect()
    }

    /// The name by which it is called in words.
    pub fn first(&self) -> &str {
        self.0.first().map_or("", Header::as_str)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Header::as_str)
    }
}

fn one<'c>(mut values: impl Iterator<Item = &'c [u8]>, header: &Header) -> Result<&'c str, Refusal> {
    let header = || header.to_string();
    let value = values.next().ok_or_else(|| Refusal::Missing { header: header() })?;
    if values.next().is_some() {
        return Err(Refusal::Doubled { header: header() });
    }
    if value.is_empty() {
        return Err(Refusal::Empty { header: header() });
    }
    let text = std::str::from_utf8(value).ok().filter(|text| !text.chars().any(char::is_control));
    text.ok_or_else(|| Refusal::Unreadable { header: header() })
}

impl TryFrom<String> for Header {
    type Error = BadHeader;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Header> for String {
    fn from(header: Header) -> Self {
        header.as_str().to_owned()
    }
}

impl TryFrom<Vec<Header>> for Aliases {
    type Error = BadHeader;
    fn try_from(headers: Vec<Header>) -> Result<Self, Self::Error> {
        let is_doubled = headers.iter().enumerate().any(|(at, header)| headers[..at].contains(header));
        if headers.is_empty() || headers.len() > ALIASES_MAX || is_doubled {
            return Err(BadHeader::Count);
        }
        Ok(Self(headers))
    }
}

impl<'de> Deserialize<'de> for Aliases {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::try_from(list::read(from)?).map_err(Error::custom)
    }
}

impl From<Aliases> for Vec<Header> {
    fn from(aliases: Aliases) -> Self {
        aliases.0
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
