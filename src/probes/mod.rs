//! Active checks of what a team depends on: what a probe is, what it asks of an answer, what its results mean.

pub mod condition;
pub mod judge;
pub mod kind;
