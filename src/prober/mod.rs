//! Asks every probe in its time, and has its readings judged.
//!
//! Read `clients` first: a file per kind of probe, each hands out what was seen, judges nothing and stores nothing. Then
//! `run`, the loop: which question is due, whose fault a bad reading is, what is written when. `handle` is what others
//! hold of both.
//!
//! Every question has one time limit for all its phases, reads a bounded part of the answer, and dials only addresses
//! that its [`Reach`] permits.

mod clients;
mod run;

mod handle;
mod trials;

#[cfg(test)]
mod tests;

pub use clients::{Asker, Question, Reach, Trust, dns};
pub use handle::{Prober, Tried};
pub use run::{CERT_EXPIRES_AT, Covers, Loop, Observed, Parts, Settings, Sight, TOLD_FROM};
pub use trials::TooMany;
