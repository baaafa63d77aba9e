//! Brings webhooks to where they belong: takes what providers call in, and sends it on until it has arrived.
//!
//! `intake` is the lane that every accepted call goes through: the request, its deliveries, and what it says of deploys
//! and mails, in one commit. `run` is the loop that claims what is due, sends it and records what came of it. `causes`
//! joins what failed with the errors that the app reported.

pub mod arrival;
pub mod causes;
pub mod intake;

mod headers;
mod request;
mod send;

pub mod run;

pub use headers::{ATTEMPT, DELIVERY_ID};
pub use run::{Loop, Parts, Settings};
pub use send::Sender;
