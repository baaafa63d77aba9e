//! A secret that is sent along as it is. It says who sent a call, and nothing of what was sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};

use super::header::Header;
use super::refusal::{BadSecret, Refusal, Unsignable};
use super::{Call, Covers, Verified};
use crate::base::Secret;
use crate::base::text::is_hidden;
use crate::outbound::header::{HeaderName, HeaderValue};

/// Where the token stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Token {
    /// `Authorization: Basic …`; the secret is the password (RFC 7617).
    Basic { user: User },
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer,
    /// The value of a header.
    Header { name: Header },
}

/// The name in front of a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct User(String);

/// Why a text is no [`User`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "user: 1 to {USER_CHARS_MAX} characters that can be seen, without a colon: the password begins behind it"
)]
pub struct BadUser;

const USER_CHARS_MAX: usize = 100;

static AUTHORIZATION: Header = Header::of("authorization");

impl Token {
    pub(super) fn verify(&self, call: &Call<'_>, secrets: &[Secret]) -> Result<Verified, Refusal> {
        if secrets.iter().all(|secret| self.check_secret(secret).is_err()) {
            return Err(Refusal::NoSecret);
        }
        let header = self.header();
        let given = self.token(header.read(call)?)?;
        let is_right = |secret: &Secret| !secret.is_empty() && self.is_right(secret, given.expose());
        let right = secrets.iter().position(is_right);
        let secret = right.ok_or_else(|| Refusal::TokenWrong { header: header.to_string() })?;
        Ok(Verified { secret: Some(secret), signed_at: None, covers: Covers::Nothing })
    }

    pub(super) fn sign(&self, secret: &Secret) -> Result<Vec<(HeaderName, HeaderValue)>, Unsignable> {
        self.check_secret(secret)?;
        let text = secret.expose();
        let value = match self {
            Self::Basic { user } => {
                let whole = Zeroizing::new(format!("{}:{text}", user.0));
                format!("Basic {}", STANDARD.encode(whole.as_bytes()))
            }
            Self::Bearer => format!("Bearer {text}"),
            Self::Header { .. } => text.to_owned(),
        };
        let (name, mut value) = self.header().write(&Zeroizing::new(value))?;
        value.set_sensitive(true);
        Ok(vec![(name, value)])
    }

    pub(super) fn check_secret(&self, secret: &Secret) -> Result<(), BadSecret> {
        let is_visible = secret.expose().bytes().all(|byte| matches!(byte, b' '..=b'~'));
        match self {
            _ if secret.is_empty() => Err(BadSecret::Empty),
            Self::Bearer | Self::Header { .. } if !is_visible => Err(BadSecret::NotForHeader),
            Self::Basic { .. } | Self::Bearer | Self::Header { .. } => Ok(()),
        }
    }

    fn header(&self) -> &Header {
        match self {
            Self::Basic { .. } | Self::Bearer => &AUTHORIZATION,
            Self::Header { name } => name,
        }
    }

    /// Whether `given` is what the header must hold: with the name of the user, which a password is worth nothing without.
    fn is_right(&self, secret: &Secret, given: &str) -> bool {
        match self {
            Self::Basic { user } => {
                let password = given.strip_prefix(user.0.as_str()).and_then(|rest| rest.strip_prefix(':'));
                password.is_some_and(|password| secret.matches(password))
            }
            Self::Bearer | Self::Header { .. } => secret.matches(given),
        }
    }

    /// What a caller knows, out of the value of the header.
    fn token(&self, value: &str) -> Result<Secret, Refusal> {
        let behind = |scheme: &str| {
            let (given, rest) = value.split_once(' ')?;
            given.eq_ignore_ascii_case(scheme).then(|| rest.trim_start_matches(' '))
        };
        let (found, wanted) = match self {
            Self::Basic { .. } => (behind("basic").and_then(decoded), "user and password (Basic)"),
            Self::Bearer => (behind("bearer").map(Secret::new), "token (Bearer)"),
            Self::Header { .. } => (Some(Secret::new(value)), "token"),
        };
        found.ok_or_else(|| Refusal::TokenMalformed { header: self.header().to_string(), wanted })
    }
}

impl User {
    pub fn parse(text: &str) -> Result<Self, BadUser> {
        let is_fit = (1..=USER_CHARS_MAX).contains(&text.chars().count())
            && !text.chars().any(|c| c == ':' || is_hidden(c));
        if is_fit { Ok(Self(text.to_owned())) } else { Err(BadUser) }
    }
}

impl TryFrom<String> for User {
    type Error = BadUser;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<User> for String {
    fn from(user: User) -> Self {
        user.0
    }
}

fn decoded(text: &str) -> Option<Secret> {
    String::from_utf8(STANDARD.decode(text).ok()?).ok().map(Secret::new)
}
