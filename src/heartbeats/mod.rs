//! Jobs that should run: who was heard from, who is late, who failed.
//!
//! A job pings an address; what a ping means is decided by [`rules`], what its absence means by [`absence`], both without
//! a store or a clock of their own. [`PingRecord`] is the lane that pings take, `due` the body of the background task
//! that lets time pass.

pub mod definition;
pub mod ping;
pub mod slug;
pub mod state;
pub mod status;

pub mod absence;
pub mod rules;

pub mod keys;
pub mod outline;
pub mod queries;
pub mod removed;
pub mod retention;
pub mod runs;
pub mod save;

mod address;
mod archived;
mod due;
mod follow;
mod grouped;
mod record;
mod rows;
mod signals;
#[cfg(test)]
mod tests;

pub use address::{Address, Addresses, Known};
pub use archived::begin_anew;
pub use definition::{Definition, Invalid, Schedule, Written};
pub use due::{Passed, is_due, pass};
pub use grouped::{find_member, set_grouped};
pub use ping::{Action, HeartbeatId, Origin, Ping, Taken, Target};
pub use record::PingRecord;
pub use rows::{Heartbeat, Owner};
pub use slug::Slug;
pub use state::State;
pub use status::Status;

use crate::store::Topic;

/// A heartbeat was made, changed, paused or removed, or a ping key was renewed.
pub const HEARTBEATS: Topic = Topic("heartbeats");
/// A heartbeat's status changed.
pub const STATES: Topic = Topic("heartbeat_states");
/// Pings were recorded: for pages that show them live.
pub const PINGS: Topic = Topic("heartbeat_pings");

/// Heartbeats of all projects together.
pub const HEARTBEATS_MAX: u32 = 10_000;
