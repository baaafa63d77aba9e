//! What machines send: Sentry envelopes and events, and the three plain endpoints for apps without an SDK.

pub mod admit;
pub mod check_in;
pub mod direct;
pub mod envelope;
pub mod points;
pub mod refusals;
mod reported;
pub mod sentry;

pub use refusals::Refusals;
