//! The loop against listeners that really listen, with a clock that tests move.

mod bed;
pub(in crate::prober) use bed::{Bed, START, draft};
mod blame;
mod outages;
mod secrets;
