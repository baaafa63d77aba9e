//! The outside face: routes, intake, JSON API, pages.

pub mod acts;
pub mod admin;
pub mod api;
pub mod auth;
pub mod body;
pub mod doubles;
pub mod drain;
pub mod exposition;
mod exposition_probes;
mod exposition_webhooks;
mod hooks;
pub mod ingest;
pub mod observed;
pub mod own;
pub mod ping;
pub mod problem;
mod push;
pub mod request;
pub mod server;
pub mod services;
mod state;
pub mod status;
pub mod strangers;
pub mod visible;

pub use problem::Problem;
pub use state::{AppState, WATCH_TASK};
