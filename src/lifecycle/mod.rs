//! How the process starts, is commanded, and stops.
//!
//! Order of a stop: the *soft* token tells everybody to finish what is under way; whoever is not done by the
//! deadline (or at a second signal) is dropped by the *hard* token; then the closing steps run, last built first.

pub mod control;
mod folder;
mod owner;
mod sockets;
mod stop;
mod systemd;

pub use folder::{DATABASE_FILE, SEALING_KEY_FILE, prepare_folder, sealing_key};
pub use owner::{Became, OwnerError, become_owner};
pub use sockets::{InheritedSockets, SocketError};
pub use stop::{Ended, Lifecycle, Signals, StopReason};
pub use systemd::{Proof, ServiceManager, WatchdogFed, watch};
