//! Why a probe was not made, changed, paused or removed.

use super::definition::Invalid;
use super::parents::{DEPTH_MAX, PARENTS_MAX};
use super::save::{PROBES_MAX, SECRET_BYTES_MAX};
use crate::base::annotations::{LABELS_MAX, RUNBOOK_CHARS_MAX, WORD_CHARS_MAX};
use crate::base::owned::BadKey;
use crate::base::text::BadLine;
use crate::store;

/// Each names what is wrong and what to do instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no such probe")]
    NotFound,
    #[error(transparent)]
    BadKey(#[from] BadKey),
    #[error("the key {0} is taken: choose another one")]
    KeyTaken(String),
    #[error(transparent)]
    BadLine(#[from] BadLine),
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error(
        "at most {LABELS_MAX} labels, each with a name and a value of at most {WORD_CHARS_MAX} characters"
    )]
    BadLabels,
    #[error(
        "the runbook is an address of at most {RUNBOOK_CHARS_MAX} characters that begins with https:// or http://"
    )]
    BadRunbook,
    #[error("no such project")]
    UnknownProject,
    #[error("depends_on: there is no probe {0}")]
    UnknownParent(String),
    #[error("depends_on: {} leads back to itself: take one of these out", .0.join(" → "))]
    Cycle(Vec<String>),
    #[error("depends_on: probes depend on each other at most {DEPTH_MAX} deep")]
    TooDeep,
    #[error("depends_on: at most {PARENTS_MAX} probes")]
    TooManyParents,
    #[error("the secret {0} goes to another place now: enter it anew")]
    SecretMoves(String),
    #[error("the secret {0} is longer than {SECRET_BYTES_MAX} bytes")]
    SecretTooLong(String),
    #[error("the probe {0} comes from a file: change it there and apply the file")]
    OwnedByFile(String),
    #[error(
        "the probe {0} was written by a newer version of tocsin, which this one cannot read: upgrade again to change or ask it; it can be paused and removed as it is"
    )]
    Newer(String),
    #[error("there are {PROBES_MAX} probes already, which is the most there can be: remove some first")]
    TooMany,
    #[error("results are reported only to a probe of kind push")]
    NotPushed,
    #[error("the secrets of the probe could not be sealed or opened: enter them anew")]
    Sealing,
    #[error(transparent)]
    Accounts(#[from] crate::accounts::Error),
    #[error(transparent)]
    Incidents(#[from] crate::incidents::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// For transactions in which a probe's step is one among others.
impl From<Error> for store::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error,
            other => Self::Refused(other.to_string().into()),
        }
    }
}
