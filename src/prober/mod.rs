//! Asks: one file per kind of probe, and the loop that asks each in its time and has its readings judged.
//!
//! A kind hands out what was seen, judges nothing and stores nothing; [`Loop`] decides whose fault a bad reading is.
//!
//! Every question has one time limit for all its phases, reads a bounded part of the answer, and dials only addresses
//! that its [`Reach`] permits.

mod dial;
mod lookup;
mod question;
mod reach;
mod trust;
mod visible;
mod wire;

pub mod dns;
mod http;
mod tcp;
mod tls;

mod lines;
mod redis;
mod smtp;

mod postgres;
mod s3;

mod host;

mod handle;
mod keeper;
mod lag;
mod run;
mod sight;
mod subject;
mod trials;
mod uplink;
mod wheel;

#[cfg(test)]
mod tests;

pub use handle::{Prober, Tried};
pub use lag::Observed;
pub use question::{Asker, Question};
pub use reach::Reach;
pub use run::{CERT_EXPIRES_AT, Covers, Loop, Parts, Settings};
pub use sight::{Sight, TOLD_FROM};
pub use trials::TooMany;
pub use trust::Trust;
