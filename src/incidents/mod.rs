//! The one mechanism for everything that rings.
//!
//! A domain raises a [`Signal`] in the transaction of its cause; a pure function decides what it means
//! ([`decide`]); the incident, its timeline and the messages to send are rows of the same transaction. Sending is
//! somebody else's: `notify` claims [`deliveries`] and records what became of them. [`Incidents::expire`] is the
//! body of the background task that lets time pass: holds, quiet incidents, silences that end, rings, digests.
//!
//! Nothing here is dropped: a message without a channel waits, a message whose channel fails goes to the next one.

mod policy;
mod rows;

pub mod decide;
pub mod ring;
pub mod signal;

mod acknowledge;
mod clock;
mod close;
mod expire;
mod lead;
mod record;
mod timeline;
mod well_again;
mod witnesses;

pub mod links;
pub mod maintenance;
mod named;
pub mod rules;
pub mod silences;
pub mod windows;

pub mod bundle;
pub mod channels;
pub mod deliveries;
pub mod digest;
mod fallback;
pub mod from_files;
mod gather;
mod outbox;
pub mod put_off;
mod refusals;
pub mod routes;
pub mod trials;

pub mod messages;
pub mod queries;
pub mod views;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub use acknowledge::Acknowledged;
pub use close::{CloseReason, Closing};
pub use decide::Decision;
pub use expire::Expired;
pub use fallback::Fallback;
pub use outbox::{Cause, NewDelivery, Purpose};
pub use policy::Policy;
pub use record::Recorded;
pub use rows::{ChannelId, DeliveryId, DeliveryState, IncidentId, IncidentState, SilenceId, WitnessId};
pub use signal::{Signal, SignalKind, Source};

use crate::base::Entropy;
use crate::store::{self, Topic};

/// Moves when a delivery became due or changed.
pub const DELIVERIES: Topic = Topic("deliveries");
/// Moves when an incident changed in a way a page shows.
pub const INCIDENTS: Topic = Topic("incidents");

/// Moves when planned work was changed, began or ended.
pub const MAINTENANCE: Topic = Topic("maintenance");

/// Opens, joins, rings and closes incidents. Its methods work in the caller's transaction.
#[derive(Clone, Debug)]
pub struct Incidents {
    pub policy: Policy,
    pub entropy: Entropy,
}

/// Why an incident, a channel, a rule, a silence or planned work was not changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The text names the field and what it may be.
    #[error("{0}")]
    Invalid(String),
    #[error("the incident is over")]
    Over,
    #[error("it is the only witness of its incident")]
    LastWitness,
    #[error("this channel comes from the {0} and is changed there")]
    OwnedElsewhere(&'static str),
    #[error("a file names this, and it is changed there: edit the file and run `tocsin apply`")]
    OwnedByFile,
    #[error("another channel already has this name")]
    NameTaken,
    #[error("the key {0} is taken: choose another one")]
    KeyTaken(String),
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// For transactions in which raising a signal is one step among others.
impl From<Error> for store::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error,
            other => Self::Refused(other.to_string().into()),
        }
    }
}
