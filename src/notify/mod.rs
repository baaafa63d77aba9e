//! Renders, sends and judges deliveries: what a message says (`facts`, `message`), how each channel carries it
//! (`email`, `slack`, `webhook`), and what follows from the answer (`verdict`, `worker`). Decides nothing about
//! incidents; reads their rows and hands back what happened.

pub mod account;
pub mod channel;
pub mod email;
pub mod facts;
mod headline;
mod job;
mod load;
pub mod message;
pub mod outbox;
mod plain;
pub mod slack;
mod trials;
pub mod verdict;
pub mod webhook;
mod wording;
pub mod worker;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod stand_in;
