//! Active checks of what a team depends on: what a probe is, what it asks of an answer, what its results mean.
//!
//! Asking is somebody else's (`prober`); it hands in what it saw. Everything here is types, pure rules and queries.

pub mod definition;
pub mod kind;
pub mod secrets;
pub mod target;

pub mod condition;
pub mod redactor;
pub mod seen;

pub mod assess;
pub mod judge;
pub mod points;
pub mod standing;
pub mod status;

pub mod board;

pub mod presets;

mod error;
mod memory;
pub mod outline;
mod place;
mod rows;

pub mod grouped;
mod parents;
mod pause;
pub mod pushed;
pub mod queries;
pub mod record;
pub mod removed;
pub mod ring;
pub mod save;
pub mod token;
pub mod uptime;

#[cfg(test)]
mod tests;

pub use crate::base::Owner;
pub use assess::{Assessed, assess, outcomes};
pub use board::{Board, ProbeId};
pub use definition::{Checked, Definition, Invalid};
pub use error::Error;
pub use kind::Kind;
pub use memory::Memory;
pub use outline::Outline;
pub use pause::Paused;
pub use redactor::Redactor;
pub use rows::Probe;
pub use save::{Change, Draft, Probes};
pub use secrets::Secrets;
pub use seen::Seen;
pub use standing::standing;
pub use status::Status;
pub use target::Target;
pub use token::find_by_token;

use crate::store::Topic;

/// Moves when a probe was made, changed, paused, resumed or removed.
pub const PROBES: Topic = Topic("probes");
/// Moves when the status of a probe changed.
pub const STATES: Topic = Topic("probe_states");
