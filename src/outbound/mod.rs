//! The one door to other people's servers: every call checks the concrete address it dials, follows no
//! redirect, uses no proxy, and is bounded in time and size. Who calls decides how far it may reach.

pub mod address;
mod client;
mod error;
mod resolve;
mod retry_after;
mod tls;

pub use address::{AddressClass, Reach, classify};
pub use client::{BODY_BYTES_MAX, Client, Options, Request, Response};
pub use error::Error;
pub use reqwest::{Method, Url, header};
pub use resolve::{NoAddress, addresses, check_literal, literal};
pub use retry_after::retry_after;
pub use tls::{TlsError, check_authorities, install_crypto_provider, trusted_roots};
