//! Who signed a call, and how the same is signed again: one description for both.
//!
//! Rules for every scheme: the raw bytes are verified, never what was parsed of them; what is compared is decoded
//! bytes, in constant time; any live secret of a source will do, so that one can be changed without a gap; a value that
//! decides comes exactly once; without a secret nobody is believed.

pub mod header;
pub mod hmac;
pub mod refusal;
pub mod token;
pub mod twilio;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use self::header::{Aliases, Header};
pub use self::hmac::{Hmac, Late};
pub use self::refusal::{BadSecret, Refusal, Unsignable};
pub use self::token::{Token, User};
use crate::base::{Secret, Timestamp};
use crate::outbound::header::{HeaderName, HeaderValue};

/// How a provider proves that a call is its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// A signature by a shared secret over the body, mostly with a time.
    Hmac(Box<Hmac>),
    /// Twilio's own signature, over the address and the fields of a form.
    Twilio,
    /// A secret that is sent along as it is.
    Token(Token),
    /// None: anybody who knows the address may send. Somebody must have chosen that.
    None,
}

/// A call as it arrived.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub method: &'a str,
    /// The public address as the provider called it, with its query.
    pub url: &'a str,
    /// In their order, doubled ones each by itself; names in any case, values as they came.
    pub headers: &'a [(&'a str, &'a [u8])],
    pub body: &'a [u8],
}

/// Who sent a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Which of the secrets was the right one, by its index; `None` where the scheme asks for none.
    pub secret: Option<usize>,
    /// When the provider signed it; `None` where the scheme says nothing of time.
    pub signed_at: Option<Timestamp>,
    pub covers: Covers,
}

/// What the proof of a call covers, and so how a call is known that somebody kept and sends again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covers {
    /// Nothing of the call: whoever has the token may say anything.
    Nothing,
    /// What it says, without a time and an id: kept, it is believed at any time, under any id. The SHA-256 of what was
    /// signed, the same however the call is spelled.
    Content([u8; 32]),
    /// Its time or its id, too.
    Moment,
}

/// A call as it is about to be passed on.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    pub method: &'a str,
    /// The address as the receiver will see itself called, with its query: see [`Scheme::outgoing_url`].
    pub url: &'a str,
    /// What the provider calls the event, where its scheme signs that.
    pub id: &'a str,
    pub content_type: Option<&'a str>,
    pub body: &'a [u8],
    pub at: Timestamp,
}

/// A header of a call that belongs to who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureHeader {
    /// In lower case.
    pub name: String,
    /// It is a secret as it stands and must not be stored; a signature may be.
    pub is_secret: bool,
}

/// Headers that hold secrets in every scheme, also of callers who were asked for something else.
const ALWAYS_SECRET: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

impl Scheme {
    /// Whether one of `secrets` signed the call.
    ///
    /// # Errors
    /// The first reason not to believe it. A call that is too old or too new was signed rightly.
    pub fn verify(&self, call: &Call<'_>, secrets: &[Secret], now: Timestamp) -> Result<Verified, Refusal> {
        match self {
            Self::Hmac(hmac) => hmac.verify(call, secrets, now),
            Self::Twilio => twilio::verify(call, secrets),
            Self::Token(token) => token.verify(call, secrets),
            Self::None => Ok(Verified { secret: None, signed_at: None, covers: Covers::Nothing }),
        }
    }

    /// The headers that make the receiver's own verification accept the delivery, signed at `out.at`.
    ///
    /// # Errors
    /// What makes signing impossible; the delivery must not go out then.
    pub fn sign(
        &self,
        out: &Outgoing<'_>,
        secret: &Secret,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, Unsignable> {
        match self {
            Self::Hmac(hmac) => hmac.sign(out, secret),
            Self::Twilio => twilio::sign(out, secret),
            Self::Token(token) => token.sign(secret),
            Self::None => Ok(Vec::new()),
        }
    }

    /// The address to call for this delivery: Twilio's carries the hash of a body that is no form.
    pub fn outgoing_url<'u>(&self, url: &'u str, content_type: Option<&str>, body: &[u8]) -> Cow<'u, str> {
        match self {
            Self::Twilio => twilio::outgoing_url(url, content_type, body),
            Self::Hmac(_) | Self::Token(_) | Self::None => Cow::Borrowed(url),
        }
    }

    /// The headers of a call that must not be passed on: their place is taken by what [`Scheme::sign`] writes. Each name
    /// once; a secret stays one, whatever else it is.
    pub fn signature_headers(&self) -> Vec<SignatureHeader> {
        let always =
            ALWAYS_SECRET.map(|name| SignatureHeader { name: name.to_owned(), is_secret: true }).to_vec();
        let own: Vec<SignatureHeader> = match self {
            Self::Hmac(hmac) => hmac.headers().map(signature).collect(),
            Self::Twilio => twilio::HEADERS.map(signature).to_vec(),
            Self::Token(Token::Header { name }) => {
                vec![SignatureHeader { name: name.to_string(), is_secret: true }]
            }
            Self::Token(Token::Basic { .. } | Token::Bearer) | Self::None => Vec::new(),
        };
        own.into_iter().fold(always, |mut headers: Vec<SignatureHeader>, header| {
            if headers.iter().all(|known| known.name != header.name) {
                headers.push(header);
            }
            headers
        })
    }

    /// Whether what is signed anew later still passes the receiver's own look at the clock.
    pub fn late(&self) -> Late {
        match self {
            Self::Hmac(hmac) => hmac.late(),
            Self::Twilio | Self::Token(_) | Self::None => Late::Accepted,
        }
    }

    /// Whether the scheme can use `secret`; for when it is entered.
    pub fn check_secret(&self, secret: &Secret) -> Result<(), BadSecret> {
        let text = secret.expose();
        if text.is_empty() {
            return Err(BadSecret::Empty);
        }
        if text.len() > refusal::SECRET_BYTES_MAX {
            return Err(BadSecret::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(BadSecret::Control);
        }
        if text.trim() != text {
            return Err(BadSecret::Blank);
        }
        match self {
            Self::Hmac(hmac) => hmac.key.bytes(secret).map(drop),
            Self::Token(token) => token.check_secret(secret),
            Self::Twilio | Self::None => Ok(()),
        }
    }

    /// Whether the scheme asks for a secret at all.
    pub const fn needs_secret(&self) -> bool {
        !matches!(self, Self::None)
    }
}

fn signature(name: &str) -> SignatureHeader {
    SignatureHeader { name: name.to_owned(), is_secret: false }
}

impl Covers {
    fn content(signed: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for piece in signed {
            hash.update(piece);
        }
        Self::Content(hash.finalize().into())
    }
}

/// Without what it holds: headers are secrets, bodies a customer's.
impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        f.debug_struct("Call")
            .field("method", &self.method)
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// As that of a [`Call`].
impl fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("method", &self.method)
            .field("id", &self.id)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Call<'a> {
    /// The values of a header, in their order.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let named = self.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| *value)
    }

    /// The first value of a header that is text.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.values(name).find_map(|value| std::str::from_utf8(value).ok())
    }
}
