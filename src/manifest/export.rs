//! What is stored, written as files: applied again, they change nothing. Secrets are never written; where they came from
//! is.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::Means;
use super::entries::{self, Noted};
use super::plan::{bare, inline};
use super::sections::{Fault, SECTIONS, Section, Shape, Stored};
use crate::accounts::{Visible, projects};
use crate::store::{self, ReadTx};

/// These stand first, in this order; the rest by the alphabet.
const FIRST: [&str; 4] = ["name", "project", "kind", "slug"];

/// Everything of one project with the channels that it rings, or with `None` everything. What the environment names is left out, and archived projects
/// with all that is theirs: no file can name them.
///
/// # Errors
/// Those of the store; [`store::Error::Refused`] where something stored cannot be read.
pub fn export(tx: &ReadTx<'_>, means: &Means, project: Option<&str>) -> Result<String, store::Error> {
    let noted = entries::list(tx)?;
    let archived = archived(tx)?;
    let mut blocks: Vec<(usize, String, String)> = Vec::new();
    let rung = match project {
        Some(slug) => rung(tx, means, slug)?,
        None => Vec::new(),
    };
    // Things of the project, by their sections: what stands below one goes where it goes.
    let mut taken: BTreeSet<(&str, String)> = BTreeSet::new();
    for (rank, section) in SECTIONS.iter().enumerate() {
        let things = (section.stored)(tx, means).map_err(refuse)?;
        let goes_along = |thing: &Stored| section.name == "channels" && rung.contains(&thing.key);
        for thing in &things {
            let is_wanted =
                project.is_none_or(|slug| is_of(section, thing, slug, &taken)) || goes_along(thing);
            if !is_wanted {
                continue;
            }
            taken.insert((section.name, thing.key.clone()));
            let known = noted.get(&(section.name.to_owned(), thing.key.clone()));
            // What belongs to a thing stands below it.
            let above = section.below.filter(|_| thing.key.contains('/'));
            let place = above.and_then(|above| SECTIONS.iter().position(|it| it.name == above));
            let order = if place.is_some() { thing.key.clone() } else { thing.export_key().to_owned() };
            blocks.push((place.unwrap_or(rank), order, block(section, thing, known)));
        }
    }
    blocks.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    let mut text = "# Written by `tocsin export`; `tocsin apply` takes it back.\n".to_owned();
    if project.is_none() && !archived.is_empty() {
        // Writing to a String cannot fail.
        writeln!(text, "# Left out with all that is theirs, as they are archived: {}.", archived.join(", "))
            .ok();
    }
    for (_, _, block) in blocks {
        text.push('\n');
        text.push_str(&block);
    }
    Ok(text)
}

/// The names of the channels that a project chose; none where it rings all.
fn rung(tx: &ReadTx<'_>, means: &Means, slug: &str) -> Result<Vec<String>, store::Error> {
    let Some(section) = SECTIONS.iter().find(|section| section.name == "projects") else {
        return Ok(Vec::new());
    };
    let projects = (section.stored)(tx, means).map_err(refuse)?;
    let chosen =
        projects.iter().find(|thing| thing.key == slug).and_then(|thing| thing.table.get("channels"));
    let names = chosen.and_then(Value::as_array).into_iter().flatten();
    Ok(names.filter_map(Value::as_str).map(str::to_owned).collect())
}

fn refuse(fault: Fault) -> store::Error {
    match fault {
        Fault::Store(error) => error,
        Fault::Refused { text, .. } => store::Error::Refused(text.into()),
    }
}

/// The slugs of archived projects.
fn archived(tx: &ReadTx<'_>) -> Result<Vec<String>, store::Error> {
    let projects = projects::list_archived(tx, &Visible::All).map_err(store::Error::from)?;
    Ok(projects.into_iter().map(|project| project.slug.to_string()).collect())
}

fn is_of(section: &Section, thing: &Stored, slug: &str, taken: &BTreeSet<(&str, String)>) -> bool {
    match thing.table.get("project").and_then(Value::as_str) {
        Some(project) => project == slug,
        None => match (section.below, thing.key.split_once('/')) {
            (Some("projects"), Some((above, _))) => above == slug,
            (Some(section), Some((above, _))) => taken.contains(&(section, above.to_owned())),
            (_, Some(_) | None) => section.name == "projects" && thing.key == slug,
        },
    }
}

fn block(section: &Section, thing: &Stored, known: Option<&Noted>) -> String {
    let mut text = format!("[{}]\n", header(section, thing));
    let names = thing.table.keys().filter(|name| !FIRST.contains(&name.as_str()));
    for name in FIRST.iter().copied().chain(names.map(String::as_str)) {
        if let Some(value) = thing.table.get(name).filter(|value| !value.is_null()) {
            // Writing to a String cannot fail.
            writeln!(text, "{} = {}", bare(name), inline(value)).ok();
        }
    }
    let mut references = Vec::new();
    for name in thing.secrets.keys() {
        if let Some(reference) = known.and_then(|known| known.secrets.get(name)) {
            references.push(format!("{} = {}", bare(name), inline(&Value::from(reference.as_str()))));
        } else {
            let hint =
                "is stored and not written here; name it as file:PATH, cred:NAME or env:NAME to change it";
            writeln!(text, "# secrets.{name} {hint}").ok();
        }
    }
    if !references.is_empty() {
        writeln!(text, "secrets = {{ {} }}", references.join(", ")).ok();
    }
    text
}

fn header(section: &Section, thing: &Stored) -> String {
    match (section.shape, section.below, thing.key.split_once('/')) {
        (Shape::Single, _, _) => section.name.to_owned(),
        (Shape::Keyed, Some(above), Some((key, own))) => {
            format!("{above}.{}.{}.{}", bare(key), section.name, bare(own))
        }
        (Shape::Keyed, _, _) => format!("{}.{}", section.name, bare(thing.export_key())),
    }
}
