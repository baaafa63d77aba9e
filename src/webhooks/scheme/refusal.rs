//! Why a call is not believed, and why one cannot be signed.

use std::time::Duration;

use crate::base::span;
use crate::webhooks::form::PAIRS_MAX;

/// What is wrong with a call. Names headers and places as the scheme does; holds nothing that the caller sent, no
/// secret and no signature that would have been right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody could be believed: the source has no secret, or none that the scheme can use.
    #[error("no secret is set up for this source: enter the provider's signing secret")]
    NoSecret,
    #[error(
        "the header {header} is missing: call with the provider's signature, and let no proxy take it out"
    )]
    Missing { header: String },
    #[error("the header {header} is empty: let no proxy empty it")]
    Empty { header: String },
    #[error(
        "the header {header} came more than once, or with another value under another name: send it once"
    )]
    Doubled { header: String },
    #[error("the header {header} holds bytes that are no text: send it as the provider wrote it")]
    Unreadable { header: String },
    /// Cut, of the wrong length, or not in the encoding of the scheme.
    #[error("the signature in {header} cannot be read: send it whole, as {wanted}")]
    SignatureMalformed { header: String, wanted: String },
    #[error("{header} holds no signature of the kind {wanted}: look which provider this source is for")]
    SignatureVersion { header: String, wanted: String },
    /// Nothing is known of which: the secret, the body, the address or the time.
    #[error(
        "the signature is not of this call: compare the secret with the provider's, and let nothing change the body \
         on its way"
    )]
    SignatureWrong,
    /// Where the id ends and the next part of what is signed begins could be moved.
    #[error("the id in {header} holds a character that none may hold: send it as the provider wrote it")]
    IdMalformed { header: String },
    #[error("there is no time in {place}: send it as the provider wrote it")]
    TimeMissing { place: String },
    #[error("the time in {place} is no {unit}: send it as the provider wrote it")]
    TimeMalformed { place: String, unit: &'static str },
    /// Signed rightly, but too long ago: sent late, or by somebody who kept it.
    #[error(
        "the call was signed {} ago, and at most {} are allowed: look at the clocks, and at who sends it again",
        span::format(*.age),
        span::format(*.allowed)
    )]
    TooOld { age: Duration, allowed: Duration },
    #[error(
        "the call was signed {} in the future, and at most {} are allowed: look at the clocks",
        span::format(*.ahead),
        span::format(*.allowed)
    )]
    TooNew { ahead: Duration, allowed: Duration },
    /// The signature would be right whatever the body is.
    #[error("the body is no form and its hash (bodySHA256) is not in the address: nothing says who wrote it")]
    BodyUnsigned,
    #[error(
        "the body is not the one whose hash (bodySHA256) is in the address: let nothing change it on its way"
    )]
    BodyHashWrong,
    /// Reading it would take memory that a stranger must not have.
    #[error(
        "the form is larger than any of Twilio's: send at most {FORM_BYTES_MAX} bytes and {PAIRS_MAX} fields"
    )]
    FormTooLarge,
    #[error("the header {header} holds no {wanted}: set it up at the provider as the source asks for it")]
    TokenMalformed { header: String, wanted: &'static str },
    #[error("the token in {header} is another one: compare it with the one at the provider")]
    TokenWrong { header: String },
}

impl Refusal {
    /// One word, for counters and lists.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NoSecret => "no_secret",
            Self::Missing { .. } => "header_missing",
            Self::Empty { .. } => "header_empty",
            Self::Doubled { .. } => "header_doubled",
            Self::Unreadable { .. } => "header_unreadable",
            Self::SignatureMalformed { .. } => "signature_malformed",
            Self::SignatureVersion { .. } => "signature_version",
            Self::SignatureWrong => "signature_wrong",
            Self::IdMalformed { .. } => "id_malformed",
            Self::TimeMissing { .. } => "time_missing",
            Self::TimeMalformed { .. } => "time_malformed",
            Self::TooOld { .. } => "too_old",
            Self::TooNew { .. } => "too_new",
            Self::BodyUnsigned => "body_unsigned",
            Self::BodyHashWrong => "body_hash_wrong",
            Self::FormTooLarge => "form_too_large",
            Self::TokenMalformed { .. } => "token_malformed",
            Self::TokenWrong { .. } => "token_wrong",
        }
    }
}

/// Why a delivery cannot be signed. Nothing of it changes by trying again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsignable {
    #[error(transparent)]
    Secret(#[from] BadSecret),
    #[error("the header {header} cannot carry its value: it holds a character that no header may")]
    Value { header: String },
    #[error(
        "a body that is no form is signed through its hash in the address: take the one of `outgoing_url`"
    )]
    BodyHash,
    #[error("a form is signed by its fields, and this one has too many: send it as another type of content")]
    FormTooLarge,
}

/// Why a secret is none that the scheme can use. Never holds the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    #[error("the secret is empty: copy it from the provider")]
    Empty,
    #[error("the secret holds a line end or another character that cannot be seen: copy only the secret")]
    Control,
    #[error("a blank stands before or behind the secret: copy only the secret")]
    Blank,
    #[error("the secret is longer than {SECRET_BYTES_MAX} bytes: copy only the secret")]
    TooLong,
    #[error(
        "the secret cannot be read as base64: copy it whole from the provider, with what stands before it"
    )]
    NotBase64,
    #[error("the secret cannot stand in a header: use visible characters without accents")]
    NotForHeader,
}

/// Of a form whose fields are signed one by one: Twilio's own hold some thousand bytes.
pub(super) const FORM_BYTES_MAX: usize = 256 * 1024;
pub(super) const SECRET_BYTES_MAX: usize = 1024;
