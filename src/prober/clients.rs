//! Asks one target, once: what is seen there, as it is. Nothing here judges, stores, or knows of a second question.
//!
//! Read `question` first: it holds the one time limit and hands the target to its client. Then what all clients stand
//! on, `reach` (which addresses may be dialled), `dial` and `trust` (connections and certificates), `wire` (bounded
//! reading, phases); then a file per kind of target.

mod question;

mod dial;
mod lookup;
mod reach;
mod trust;
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
