//! Why a source or a destination was not made, changed, held or removed.

use super::check::Invalid;
use super::scheme::BadSecret;
use super::secrets::{SECRET_BYTES_MAX, SOURCE_SECRETS_MAX};
use super::{DESTINATIONS_MAX, DESTINATIONS_OF_SOURCE_MAX, SOURCES_MAX};
use crate::base::owned::BadKey;
use crate::base::text::BadLine;
use crate::store;

/// Each names what is wrong and what to do instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no such source of webhooks")]
    NoSource,
    #[error("no such destination of webhooks")]
    NoDestination,
    #[error(transparent)]
    BadKey(#[from] BadKey),
    #[error("the key {0} is taken: choose another one")]
    KeyTaken(String),
    #[error(transparent)]
    BadLine(#[from] BadLine),
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error(transparent)]
    BadSecret(#[from] BadSecret),
    #[error("no such project")]
    UnknownProject,
    #[error("{0} stays in its project, where its events are: make another one there")]
    Settled(String),
    #[error("the secret is too long: at most {SECRET_BYTES_MAX} bytes")]
    SecretTooLong,
    #[error("at most {SOURCE_SECRETS_MAX} secrets at a time: remove those that the provider uses no more")]
    TooManySecrets,
    #[error("the source has no such secret")]
    NoSecret,
    #[error("{0} cannot be verified without a secret: enter another one before this one goes")]
    LastSecret(String),
    #[error("{0} has this secret already")]
    SecretTwice(String),
    #[error("the secret {0} goes to another place now: enter it anew")]
    SecretMoves(String),
    #[error(
        "{0} is verified by a secret that is sent as it is, so this destination would be told it: \
         sign with a secret of its own or not at all, or name the destination in a file"
    )]
    SecretTold(String),
    #[error("{0} comes from a file: change it there and apply the file")]
    OwnedByFile(String),
    #[error("there are {SOURCES_MAX} sources already, which is the most there can be: remove some first")]
    TooManySources,
    #[error(
        "a source has at most {DESTINATIONS_OF_SOURCE_MAX} destinations, and all together {DESTINATIONS_MAX}: \
         remove some first"
    )]
    TooManyDestinations,
    #[error("the secrets of {0} could not be sealed or opened: enter them anew")]
    Sealing(String),
    #[error(transparent)]
    Accounts(#[from] crate::accounts::Error),
    #[error(transparent)]
    Incidents(#[from] crate::incidents::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// For transactions in which saving is one step among others.
impl From<Error> for store::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error,
            other => Self::Refused(other.to_string().into()),
        }
    }
}
