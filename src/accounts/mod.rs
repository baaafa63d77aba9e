//! Who may do what, and under which name: users, sessions, projects, DSN keys, API tokens, the audit log.
//!
//! The sign-in and settings pages, the JSON API and the command line write here; everything that takes a
//! request reads. A change that somebody makes takes [`By`] (who, when, from where) and writes its row of the
//! audit log in the same transaction. Functions do not ask for permission: the caller asks [`access::decide`]
//! first. What [`Cache`] remembers is forgotten by an explicit call after the commit.

pub mod access;
pub mod audit;
pub mod cache;
mod email;
mod error;
pub mod from_files;
pub mod keys;
pub mod links;
pub mod names;
mod origins;
pub mod passwords;
pub mod projects;
mod secrets;
pub mod sessions;
pub mod sign_in;
mod slug;
pub mod tokens;
pub mod users;

use crate::store::columns;
pub use access::{Actor, Role, Scope, Scopes, Visible};
pub use audit::By;
pub use cache::Cache;
pub use email::Email;
pub use error::Error;
pub use keys::{KeyKind, PublicKey};
pub use origins::{OriginDecision, OriginPattern, Origins};
pub use secrets::TokenHash;
pub use slug::Slug;

#[cfg(test)]
mod tests;
