//! What callers do, for the pages and the JSON API alike: each checks the permission, acts and leaves a line in the
//! audit log, in one transaction.

pub mod heartbeat;
pub mod incident;
pub mod issue;
pub mod maintenance;
mod named;
pub mod project;
pub mod service;
pub mod silence;
pub mod status_page;
