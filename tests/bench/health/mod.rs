//! What watching costs: many probes, many pings, many questions for the health of everything; each beside its bare limit.

mod answers;
mod asking;
pub(crate) mod bare;
mod pings;
mod probes;
mod services;

pub(crate) mod rows;

pub(crate) use probes::Watching;
