//! The page that strangers see: which services, under which names, and what is said of their trouble.
//!
//! People and files write it ([`save()`]), posts are drafted from real incidents ([`follow()`]) or written by hand
//! ([`posts`]). [`history`] counts up, down and unseen time, purely. Whoever renders brings the services: this module
//! does not know them.

pub mod history;

mod rows;
mod save;

mod course;
mod follow;
pub mod posts;
mod words;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use follow::{Followed, Shown, follow, is_due};
pub use rows::{EntryView, Page, SectionView, find};
pub use save::{release, save};

use crate::base::owned::Owner;
use crate::base::text::BadLine;
use crate::store::{self, Topic};

/// Moves when the page or a post was changed.
pub const STATUS_PAGE: Topic = Topic("status_page");

/// The page as a person or a file writes it, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// While it is not, there is nothing for strangers.
    pub enabled: bool,
    pub title: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub settings: Settings,
    #[serde(default)]
    pub sections: Vec<Section>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    pub title: String,
    pub entries: Vec<Entry>,
}

/// A service as strangers know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The service's key. One that does not exist is left out of the page.
    pub service: String,
    /// `None`: the service's own name.
    #[serde(default)]
    pub title: Option<String>,
    /// Whether its latency is shown.
    #[serde(default)]
    pub latency: bool,
}

/// How the page behaves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub publish: Publish,
    /// Where people find help: an address of the team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub support_url: Option<String>,
}

/// Whether what is drafted from an incident is shown at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Publish {
    #[default]
    ByHand,
    Automatically,
}

/// Why the page or a post was not changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such post")]
    NotFound,
    /// The text names the field and what it may be.
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    BadLine(#[from] BadLine),
    #[error("the status page comes from a file: change it there and run `tocsin apply`")]
    OwnedByFile,
    #[error(transparent)]
    Accounts(#[from] crate::accounts::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

pub const SECTIONS_MAX: usize = 20;
/// Services that are shown; each is a bar of ninety days.
pub const ENTRIES_MAX: usize = 100;
pub const TITLE_CHARS_MAX: usize = 80;
pub const TEXT_CHARS_MAX: usize = 2_000;

/// For transactions in which the page is one step among others.
impl From<Error> for store::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error,
            other => Self::Refused(other.to_string().into()),
        }
    }
}

impl Draft {
    /// A page that shows nothing yet.
    pub fn empty() -> Self {
        Self {
            enabled: false,
            title: "Status".to_owned(),
            description: String::new(),
            settings: Settings::default(),
            sections: Vec::new(),
        }
    }
}

/// Who may change what `owner` says.
fn may_change(owner: Owner, by: Owner) -> Result<(), Error> {
    if owner.yields_to(by) { Ok(()) } else { Err(Error::OwnedByFile) }
}
