//! Builds every part in the order of what it needs. The only place that knows them all.

mod channels;
mod parts;
mod tasks;

pub use parts::{App, BuildError, Surroundings};
