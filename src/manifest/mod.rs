//! Configuration as code: files that say what there is, and what follows from them.
//!
//! A [`Document`] is what the files hold, with the secrets that they name; the command line reads it ([`files`]). It is
//! [understood](Manifest::read) without asking anybody, and [carried out](apply()) in one write: every section saves its
//! entries through its domain's own functions, what changed is told by comparing what is stored before and after, and a
//! dry run is the same write, taken back. [`export()`] writes what is stored as files again.

mod apply;
mod entries;
mod export;
pub mod files;
mod order;
mod plan;
mod problem;
mod reader;
mod sections;
mod tree;
mod wish;

#[cfg(test)]
mod tests;

pub use apply::{How, Stop, apply};
pub use entries::place;
pub use export::export;
pub use files::{Document, Source};
pub use plan::{Change, FieldChange, Left, Plan, What};
pub use problem::Problem;
pub use tree::Manifest;

use std::sync::Arc;

use crate::base::Entropy;
use crate::base::seal::Sealer;
use crate::incidents::Incidents;

/// What saving needs beside the transaction.
#[derive(Clone, Debug)]
pub struct Means {
    pub incidents: Arc<Incidents>,
    pub entropy: Entropy,
    pub sealer: Sealer,
}
