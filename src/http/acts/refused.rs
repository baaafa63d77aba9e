//! Why a thing was not saved.

use crate::http::Problem;
use crate::store;
use crate::{accounts, health, heartbeats, incidents, probes, status_page, webhooks};

/// Why a thing was not saved; `E` is what its module says of a draft that is wrong.
#[derive(Debug)]
pub enum Refused<E> {
    /// The draft is wrong, which a form tells beside the field.
    Draft(E),
    /// Somebody changed this kind of thing since the version that the change was made of.
    Stale(&'static str),
    Problem(Problem),
}

/// Refuses a change that was made of another version than the stored one; `seen` is `None` where it is not known.
///
/// # Errors
/// [`Refused::Stale`]
pub(super) fn check_seen<E>(what: &'static str, seen: Option<i64>, version: i64) -> Result<(), Refused<E>> {
    if seen.is_some_and(|seen| seen != version) { Err(Refused::Stale(what)) } else { Ok(()) }
}

impl<E> From<Problem> for Refused<E> {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl<E> From<store::Error> for Refused<E> {
    fn from(error: store::Error) -> Self {
        Self::Problem(error.into())
    }
}

impl<E> From<accounts::Error> for Refused<E> {
    fn from(error: accounts::Error) -> Self {
        Self::Problem(error.into())
    }
}

impl From<probes::Error> for Refused<probes::Error> {
    fn from(error: probes::Error) -> Self {
        Self::Draft(error)
    }
}

impl From<heartbeats::save::Error> for Refused<heartbeats::save::Error> {
    fn from(error: heartbeats::save::Error) -> Self {
        Self::Draft(error)
    }
}

impl From<health::services::Error> for Refused<health::services::Error> {
    fn from(error: health::services::Error) -> Self {
        Self::Draft(error)
    }
}

impl From<incidents::Error> for Refused<incidents::Error> {
    fn from(error: incidents::Error) -> Self {
        Self::Draft(error)
    }
}

impl From<status_page::Error> for Refused<status_page::Error> {
    fn from(error: status_page::Error) -> Self {
        Self::Draft(error)
    }
}

impl From<webhooks::Error> for Refused<webhooks::Error> {
    fn from(error: webhooks::Error) -> Self {
        Self::Draft(error)
    }
}

impl<E: Into<Problem>> From<Refused<E>> for Problem {
    fn from(refused: Refused<E>) -> Self {
        match refused {
            Refused::Draft(error) => error.into(),
            Refused::Stale(what) => Self::stale(what),
            Refused::Problem(problem) => problem,
        }
    }
}
