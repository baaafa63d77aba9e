//! Asks: one file per kind of probe. Hands out what was seen, judges nothing and stores nothing.
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

pub use question::{Asker, Question};
pub use reach::Reach;
pub use trust::Trust;
