//! What tocsin says about itself: log lines and counters. Nothing secret passes through here.

mod exposition;
mod line;
mod process;
mod queue;
mod registry;
mod subscriber;

pub use exposition::{Exposition, Series};
pub use queue::{Drain, lines_dropped};
pub use registry::{Registry, RegistryError};
pub use subscriber::{Destination, Format, InitError, Logging, init};
pub use tracing::Level;
