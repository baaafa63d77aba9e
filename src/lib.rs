//! tocsin hears everything that can go wrong in a small team's product, decides what it means and rings the
//! right person. One binary, one data folder. ARCHITECTURE.md holds the map and the invariants.

pub mod accounts;
pub mod app;
pub mod base;
pub mod cli;
pub mod config;
pub mod courier;
pub mod engine;
pub mod health;
pub mod heartbeats;
pub mod http;
pub mod incidents;
pub mod issues;
pub mod ledger;
pub mod lifecycle;
pub mod manifest;
pub mod metrics;
pub mod notify;
pub mod outbound;
pub mod prober;
pub mod probes;
pub mod releases;
pub mod resilience;
pub mod scrub;
pub mod sentry;
pub mod status_page;
pub mod store;
pub mod telemetry;
pub mod vigil;
pub mod webhooks;
