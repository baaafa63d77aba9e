//! What files can name: one section, one file. A section understands its entries, tells what is stored in the words of
//! an entry, and saves and removes through its domain's functions.

mod channels;
mod destinations;
mod heartbeats;
mod keys;
mod maintenance;
mod probes;
mod projects;
mod rules;
mod services;
mod status_page;
mod webhooks;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Means;
use super::plan::{What, called};
use super::problem::Problem;
use super::reader::unknown;
use super::tree::Entry;
use crate::accounts::projects::{Project, ProjectRef, find_visible};
use crate::accounts::{self, By, Slug, Visible};
use crate::base::{ProjectId, Secret};
use crate::incidents;
use crate::store::{self, ReadTx, WriteTx};

/// Every section, in the order in which it is saved: what others name comes first.
pub(super) static SECTIONS: &[Section] = &[
    channels::SECTION,
    projects::SECTION,
    keys::SECTION,
    rules::SECTION,
    probes::SECTION,
    heartbeats::SECTION,
    webhooks::SECTION,
    destinations::SECTION,
    services::SECTION,
    maintenance::SECTION,
    status_page::SECTION,
];

/// One kind of thing that files can name.
pub(super) struct Section {
    /// As in files.
    pub(super) name: &'static str,
    /// One of them, as in plans.
    pub(super) word: &'static str,
    pub(super) shape: Shape,
    /// Whether its name stands at the top of a file.
    pub(super) stands_alone: bool,
    /// The section in whose entries it stands, or may stand.
    pub(super) below: Option<&'static str>,
    /// Whether its domain writes the lines of the audit log.
    pub(super) audits_itself: bool,
    /// As the audit log names what was done.
    pub(super) action: fn(What) -> &'static str,
    /// Fields that are judged only together with others: what is told of these is not told of them as well.
    pub(super) judged_with: &'static [(&'static str, &'static [&'static str])],
    pub(super) read: Read,
    pub(super) stored: fn(&ReadTx<'_>, &Means) -> Result<Vec<Stored>, Fault>,
    /// Takes away what no file names any more, or hands it over.
    pub(super) remove: fn(&Work<'_>, &Stored) -> Result<What, Fault>,
}

/// Understands an entry; what is wrong is told.
type Read = fn(&Entry, &mut Vec<Problem>) -> Option<Box<dyn Draft>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `[section.key]`
    Keyed,
    /// `[section]`: there is one.
    Single,
}

/// An entry, understood.
pub(super) trait Draft: Send + Sync {
    /// Saves it; nothing is written where it is there already, just so.
    fn save(&self, work: &Work<'_>) -> Result<(), Fault>;

    /// By which it is stored, where that is not the key of its entry.
    fn stored_key(&self) -> Option<String> {
        None
    }

    /// Keys of the same section that must be saved before it.
    fn after(&self) -> &[String] {
        &[]
    }
}

/// What saving works with.
pub(super) struct Work<'a> {
    pub(super) tx: &'a WriteTx<'a>,
    pub(super) by: &'a By,
    pub(super) means: &'a Means,
    /// By their references.
    pub(super) secrets: &'a BTreeMap<String, Secret>,
}

/// A thing as it is stored, in the words of an entry.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) key: String,
    /// Of its entry in a file, where that is another.
    pub(super) entry_key: Option<String>,
    /// Files have the say over it.
    pub(super) of_file: bool,
    /// Whole, so that comparing two tells what changed.
    pub(super) table: Map<String, Value>,
    pub(super) secrets: BTreeMap<String, Secret>,
}

/// Why an entry was not saved.
#[derive(Debug)]
pub(super) enum Fault {
    /// By its own fault. `field` is the path of what is wrong, or empty; the text holds the cure.
    Refused {
        field: String,
        text: String,
    },
    Store(store::Error),
}

impl Section {
    /// `channel on-call`
    pub(super) fn called(&self, key: &str) -> String {
        called(self.word, key)
    }
}

/// The place of a section in [`SECTIONS`].
pub(super) fn rank(section: &Section) -> usize {
    SECTIONS.iter().position(|known| known.name == section.name).unwrap_or(SECTIONS.len())
}

/// Whether things of this rank are what services are put together of: they ring, where no service rings for them.
pub(super) fn is_member(rank: usize) -> bool {
    SECTIONS
        .get(rank)
        .is_some_and(|section| [probes::SECTION.name, heartbeats::SECTION.name].contains(&section.name))
}

impl super::wish::Wish {
    /// By which the thing is stored, and told in a plan.
    pub(super) fn key(&self) -> String {
        self.draft.as_ref().and_then(|draft| draft.stored_key()).unwrap_or_else(|| self.entry.key.clone())
    }
}

impl Stored {
    /// The key of its entry in a file.
    pub(super) fn export_key(&self) -> &str {
        self.entry_key.as_deref().unwrap_or(&self.key)
    }
}

impl Fault {
    pub(super) fn at(field: &str, text: impl Into<String>) -> Self {
        Self::Refused { field: field.to_owned(), text: text.into() }
    }

    /// Where one of a list is wrong, that one, as `members.2`.
    fn of_item(field: &str, list: &[String], item: &str, text: String) -> Self {
        let place = list.iter().position(|one| one == item);
        let path = place.map_or_else(|| field.to_owned(), |place| format!("{field}.{place}"));
        Self::Refused { field: path, text }
    }

    /// Where a text begins with the name of a field, that is where it belongs.
    fn of_text(text: String) -> Self {
        let name = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
        let field = text.split_once(": ").filter(|(field, _)| field.chars().all(name));
        Self::Refused { field: field.map(|(field, _)| field.to_owned()).unwrap_or_default(), text }
    }
}

impl From<store::Error> for Fault {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<accounts::Error> for Fault {
    fn from(error: accounts::Error) -> Self {
        match error {
            accounts::Error::Store(error) => Self::Store(error),
            other => Self::of_text(other.to_string()),
        }
    }
}

impl From<incidents::Error> for Fault {
    fn from(error: incidents::Error) -> Self {
        match error {
            incidents::Error::Store(error) => Self::Store(error),
            other => Self::of_text(other.to_string()),
        }
    }
}

/// For sections without secrets.
fn refuse_secrets(entry: &Entry, problems: &mut Vec<Problem>) {
    if !entry.secrets.is_empty() {
        problems.push(entry.problem("secrets", "secrets: there are none to this"));
    }
}

/// The project that an entry names.
fn project_named(tx: &ReadTx<'_>, slug: &str) -> Result<Project, Fault> {
    let unknown = || {
        Fault::at(
            "project",
            format!("there is no project {slug}: name it as [projects.{slug}], or make it first"),
        )
    };
    let parsed: Slug = slug.parse().map_err(|_| unknown())?;
    let found = find_visible(tx, &ProjectRef::Slug(parsed), &Visible::All)?.ok_or_else(unknown)?;
    match found.archived_at {
        Some(_) => {
            Err(Fault::at("project", format!("the project {slug} is archived: restore it on its page first")))
        }
        None => Ok(found),
    }
}

/// Makes a project of this slug, where there is none and it is one: what names a mistaken project is judged by it.
pub(super) fn stand_in_project(work: &Work<'_>, slug: &str) -> Result<(), store::Error> {
    let Ok(slug) = slug.parse::<Slug>() else { return Ok(()) };
    match accounts::from_files::save_project(work.tx, work.by, &slug, &slug.to_string()) {
        Err(accounts::Error::Store(error)) => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Every project that is not archived, by its number.
fn slugs(tx: &ReadTx<'_>) -> Result<BTreeMap<ProjectId, String>, Fault> {
    let all = accounts::projects::list(tx, &Visible::All)?;
    Ok(all.into_iter().map(|project| (project.id, project.slug.to_string())).collect())
}

/// serde's words on an unknown field, with the fields that somebody else would have taken.
fn known_first(error: &str, known: &[&str]) -> String {
    let Some((name, others)) = unknown(error) else { return error.to_owned() };
    let all: Vec<String> = known.iter().copied().chain(others).map(|name| format!("`{name}`")).collect();
    format!("unknown field `{name}`, expected one of {}", all.join(", "))
}

/// What the value is in the words of an entry; an object without what is null.
fn table(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(mut fields) => {
            fields.retain(|_, value| !value.is_null());
            fields
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}
