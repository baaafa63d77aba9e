//! tocsin hears everything that can go wrong in a small team's product, decides what it means and rings the
//! right person. One binary, one data folder. ARCHITECTURE.md holds the map and the invariants.

pub mod base;
pub mod notify;
pub mod outbound;
pub mod resilience;
pub mod store;
