//! Active checks of what a team depends on: what a probe is, what it asks of an answer, what its results mean.
//!
//! Asking is somebody else's (`prober`); it hands in what it saw. Everything here is types, pure rules and queries.

pub mod definition;
pub mod kind;
pub mod secrets;
pub mod target;

pub mod condition;
pub mod seen;

pub mod presets;

pub mod judge;
pub mod status;

pub mod board;

pub use board::{Board, ProbeId};
pub use definition::{Checked, Definition, Invalid};
pub use kind::Kind;
pub use secrets::Secrets;
pub use seen::Seen;
pub use status::Status;
pub use target::Target;
