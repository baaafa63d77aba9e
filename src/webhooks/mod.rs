//! Webhooks of providers as pure code: who signed a call, what it is, and whether a destination takes it. A call is
//! verified over its raw bytes by the [`scheme`] of its provider, and signed again by the same description when it is
//! passed on, however late. No I/O happens here.

pub mod scheme;

pub mod filter;
pub mod form;
pub mod pointer;
pub mod providers;
