//! What callers do, for the pages and the JSON API alike: each asks [`rights`] whether the caller may, acts and leaves a
//! line in the audit log, in one transaction.

mod refused;
pub mod rights;

pub mod heartbeat;
pub mod incident;
pub mod issue;
pub mod maintenance;
mod named;
pub mod probe;
pub mod project;
pub mod service;
pub mod silence;
pub mod status_page;
pub mod webhook;
pub mod webhook_deliveries;

pub use refused::Refused;
