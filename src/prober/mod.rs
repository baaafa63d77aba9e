//! Asks: one file per kind of probe. Hands out what was seen, judges nothing and stores nothing.
//!
//! Every question has one time limit for all its phases, reads a bounded part of the answer, and dials only addresses
//! that its [`Reach`] permits.

mod dial;
mod question;
mod trust;

mod tls;

mod lines;
mod redis;
mod smtp;

mod postgres;
mod s3;

mod host;

pub use dial::Reach;
pub use question::{Asker, Question};
pub use trust::Trust;
