//! A secret that is sent along as it is. It says who sent a call, and nothing of what was sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::header::Header;
use super::refusal::{BadSecret, Refusal, Unsignable};
use super::{Call, Verified};
use crate::base::Secret;
use crate::outbound::header::{HeaderName, HeaderValue};

/// Where the token stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Token {
    /// `Authorization: Basic …`; the secret is the password (RFC 7617).
    Basic { user: String },
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer,
    /// The value of a header.
    Header { name: Header },
}

static AUTHORIZATION: Header = Header::of("authorization");

impl Token {
    pub(super) fn verify(&self, call: &Call<'_>, secrets: &[Secret]) -> Result<Verified, Refusal> {
        if secrets.iter().all(|secret| self.check_secret(secret).is_err()) {
            return Err(Refusal::NoSecret);
        }
        let header = self.header();
        let given = self.token(header.read(call)?)?;
        let is_right = |secret: &Secret| !secret.is_empty() && self.expected(secret).matches(&given);
        let right = secrets.iter().position(is_right);
        let secret = right.ok_or_else(|| Refusal::TokenWrong { header: header.to_string() })?;
        Ok(Verified { secret: Some(secret), signed_at: None })
    }

    pub(super) fn sign(&self, secret: &Secret) -> Result<Vec<(HeaderName, HeaderValue)>, Unsignable> {
        self.check_secret(secret)?;
        let expected = self.expected(secret);
        let value = match self {
            Self::Basic { .. } => format!("Basic {}", STANDARD.encode(expected.expose())),
            Self::Bearer => format!("Bearer {}", expected.expose()),
            Self::Header { .. } => expected.expose().to_owned(),
        };
        let (name, mut value) = self.header().write(&value)?;
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

    /// What the header must hold: with the name of the user, which a password is worth nothing without.
    fn expected(&self, secret: &Secret) -> Secret {
        match self {
            Self::Basic { user } => Secret::new(format!("{user}:{}", secret.expose())),
            Self::Bearer | Self::Header { .. } => secret.clone(),
        }
    }

    /// The same, out of the value of the header.
    fn token(&self, value: &str) -> Result<String, Refusal> {
        let behind = |scheme: &str| {
            let (given, rest) = value.split_once(' ')?;
            given.eq_ignore_ascii_case(scheme).then(|| rest.trim_start_matches(' '))
        };
        let (found, wanted) = match self {
            Self::Basic { .. } => (behind("basic").and_then(decoded), "user and password (Basic)"),
            Self::Bearer => (behind("bearer").map(str::to_owned), "token (Bearer)"),
            Self::Header { .. } => (Some(value.to_owned()), "token"),
        };
        found.ok_or_else(|| Refusal::TokenMalformed { header: self.header().to_string(), wanted })
    }
}

fn decoded(text: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text).ok()?).ok()
}
