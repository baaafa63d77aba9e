use super::keys::KEYS_PER_PROJECT_MAX;
use super::passwords::{PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN};
use crate::base::text::BadLine;
use crate::store;

/// Why accounts did not do what was asked; the text says what to do instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("this is not an email address: write it as name@example.com")]
    InvalidEmail,
    #[error("the role is one of owner, member, viewer")]
    InvalidRole,
    #[error("{0:?} is no scope: use read, write, admin, ingest, gateway or metrics")]
    InvalidScope(String),
    #[error("a token needs at least one scope: read, write, admin, ingest, gateway or metrics")]
    NoScope,
    #[error(
        "a slug has 1 to 50 characters of a-z, 0-9 and -, begins and ends without -, and is not only digits"
    )]
    InvalidSlug,
    #[error("the slug {0} has a meaning of its own here: choose another one")]
    ReservedSlug(String),
    #[error("there is a project {0} already: choose another slug")]
    SlugTaken(String),
    #[error(transparent)]
    BadLine(#[from] BadLine),
    #[error("the key's kind is browser or server")]
    InvalidKeyKind,
    #[error("a public key is 32 hex digits, the part of the DSN before the @")]
    InvalidPublicKey,
    #[error("{0:?} is no origin: write https://shop.example, shop.example:8443, *.shop.example or *")]
    InvalidOrigin(String),
    #[error("a quota is at least 1 event a minute: to stop a key, revoke it")]
    InvalidQuota,
    #[error("the password is too short: use at least {PASSWORD_CHARS_MIN} characters")]
    PasswordTooShort,
    #[error("the password is too long: use at most {PASSWORD_BYTES_MAX} bytes")]
    PasswordTooLong,
    #[error("this password is among the first that anybody tries: use a few unrelated words")]
    PasswordCommon,
    #[error("the password could not be hashed: {0}")]
    Hashing(String),
    #[error("there is a user {0} already: make a new sign-in link for them instead")]
    EmailTaken(String),
    #[error("this is the last owner: make somebody else an owner first")]
    LastOwner,
    #[error("there are users already: sign in, or ask an owner for a link")]
    NotFirst,
    #[error("this link was used, is too old or never existed: make a new one with `tocsin user link`")]
    LinkSpent,
    #[error("this user is disabled: an owner can enable it again")]
    UserDisabled,
    #[error("a file names this, and it is changed there: edit the file and run `tocsin apply`")]
    OwnedByFile,
    #[error("several active keys of this project are labelled {0}: rename or revoke all but one first")]
    LabelTwice(String),
    #[error("no such user")]
    UnknownUser,
    #[error("no such project")]
    UnknownProject,
    #[error("no such key, or it is revoked already")]
    UnknownKey,
    #[error("no such token, or it is revoked already")]
    UnknownToken,
    #[error("no such session")]
    UnknownSession,
    #[error("there are {limit} {what} already, which is the most there can be: remove some first")]
    TooMany { what: &'static str, limit: u32 },
    #[error("this project has {KEYS_PER_PROJECT_MAX} active keys, which is the most: revoke some first")]
    TooManyKeys,
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// For transactions in which an account's step is one among others.
impl From<Error> for store::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error,
            other => Self::Refused(other.to_string().into()),
        }
    }
}
