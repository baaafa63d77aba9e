//! Builds every part in the order of what it needs. The only place that knows them all.

mod channels;
mod delivering;
mod outgoing;
mod parts;
mod probing;
mod reserve;
mod retention;
mod send_test;
mod start;
mod tasks;
mod tending;
mod watch;
mod watching;

pub use parts::{App, BuildError, Surroundings, policy};
pub use send_test::{own_address, send_test};
pub use start::{FirstWords, first_words};
