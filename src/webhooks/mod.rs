//! What providers call: who signed it, what it is, where it should go, and what became of it there.
//!
//! A *source* is somebody who calls; a *request* is what was accepted, once; a *delivery* is one request to one
//! *destination*, with its *attempts*. Pure rules and tables; `courier` takes calls in and sends them on.

pub mod filter;
pub mod form;
pub mod pointer;
pub mod providers;
pub mod scheme;
pub mod values;

pub mod destination;
pub mod payload;
pub mod secrets;
pub mod source;
pub mod status;

pub mod accept;
pub mod door;
pub mod refused;
pub mod tally;

pub mod delivery;
pub mod points;
pub mod verdict;

pub mod alarms;
pub mod breaker_state;
pub mod claim;
pub mod order;
pub mod outcome;
pub mod parcel;
pub mod recover;
pub mod replay_one;
pub mod replays;
pub mod target;
pub mod watch;

mod check;
mod error;
mod list;
mod rows;

pub mod queries;
pub mod removed;
pub mod retention;
pub mod save;

#[cfg(test)]
pub(crate) mod laid;
#[cfg(test)]
mod tests;

pub use check::Invalid;
pub use delivery::DeliveryId;
pub use destination::{Destination, DestinationId};
pub use door::{Door, Doors};
pub use error::Error;
pub use payload::Payload;
pub use save::{DestinationDraft, SourceDraft, Webhooks};
pub use source::{Source, SourceId};
pub use status::DeliveryStatus;

use crate::store::Topic;

/// A source or a destination was made, changed, held or removed.
pub const WEBHOOKS: Topic = Topic("webhooks");
/// Something is to be delivered, or became of it: for the loop that sends, and for pages that show it live.
pub const WEBHOOK_DELIVERIES: Topic = Topic("webhook_deliveries");
/// A replay of many was begun, came further, or ended.
pub const WEBHOOK_REPLAYS: Topic = Topic("webhook_replays");

/// Of all projects together.
pub const SOURCES_MAX: u32 = 1_000;
pub const DESTINATIONS_MAX: u32 = 2_000;
/// Of one source.
pub const DESTINATIONS_OF_SOURCE_MAX: usize = 20;
