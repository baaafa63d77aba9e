//! What tocsin says about itself: log lines and counters. Nothing secret passes through here.

mod exposition;
mod line;
mod process;
mod registry;
mod subscriber;

pub use exposition::{Exposition, Series};
pub use registry::{Registry, RegistryError};
pub use subscriber::{AlreadyInitialised, Destination, Format, Logging, init};
pub use tracing::Level;
