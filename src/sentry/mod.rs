//! The Sentry protocol as pure code: who sends (auth), what arrives (body, envelope, store) and what we answer.
//! The HTTP layer feeds it plain header values and bytes; the domains get typed items. No I/O happens here.

pub mod answer;
pub mod auth;
pub mod body;
pub mod category;
pub mod check_in;
pub mod client_report;
mod decoder;
pub mod envelope;
pub mod kind;
pub mod store;

#[cfg(test)]
mod tests;

pub use auth::{AuthError, AuthSources, Credentials};
pub use body::{Body, BodyError, BodyLimits, Encoding};
pub use category::{LimitScope, RateLimit};
pub use envelope::{Envelope, EnvelopeError, EnvelopeHeader, Item};
pub use kind::ItemKind;
