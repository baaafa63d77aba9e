//! What was not kept, counted by reason and category per hour. Intake writes it in the commit that drops or
//! cuts something; the ledger page and `/api/v1/outcomes` read it.

mod names;
mod queries;

pub use names::{Category, ClientReason, Reason};
pub use queries::{Day, Line, LinePage, NO_PROJECT, add, daily, list, purge};

use crate::base::ProjectId;

/// So many things of one category were not kept, for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Outcome {
    /// `None` where the request named no project that exists.
    pub project: Option<ProjectId>,
    pub reason: Reason,
    pub category: Category,
    pub quantity: u64,
}
