//! `[heartbeats.SLUG]`: a job that should be heard from. Its project and slug say which one it is.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Draft, Fault, Section, Shape, Stored, Work, known_first, project_named, refuse_secrets, slugs, table,
};
use crate::accounts::Visible;
use crate::heartbeats::queries::{self, Filter, Heartbeat, find_by_slug};
use crate::heartbeats::{Definition, Owner, Slug, Written, save};
use crate::manifest::Means;
use crate::manifest::plan::What;
use crate::manifest::problem::Problem;
use crate::manifest::reader;
use crate::manifest::tree::Entry;
use crate::store::ReadTx;

pub(super) const SECTION: Section = Section {
    name: "heartbeats",
    word: "heartbeat",
    shape: Shape::Keyed,
    stands_alone: true,
    below: None,
    audits_itself: true,
    action: |what| match what {
        What::Created => "heartbeat.create",
        What::Changed => "heartbeat.change",
        What::Removed => "heartbeat.remove",
        What::HandedOver => "heartbeat.release",
    },
    judged_with: &[],
    read,
    stored,
    remove,
};

/// What says which heartbeat it is; everything else is its definition.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    project: String,
    /// Nothing: the key of the entry.
    #[serde(default)]
    slug: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

const FIELDS: [&str; 3] = ["project", "slug", "name"];
/// Read at a time; the list goes on until there are no more.
const PAGE: usize = 1000;

struct Wanted {
    project: String,
    slug: Slug,
    name: String,
    definition: Definition,
}

fn read(entry: &Entry, problems: &mut Vec<Problem>) -> Option<Box<dyn Draft>> {
    refuse_secrets(entry, problems);
    let (fields, definition) = reader::read_with(entry, problems, |all| {
        let (own, rest): (Map<_, _>, Map<_, _>) =
            all.clone().into_iter().partition(|(name, _)| FIELDS.contains(&name.as_str()));
        let written = serde_json::from_value::<Written>(Value::Object(rest));
        let written = written.map_err(|error| known_first(&error.to_string(), &FIELDS))?;
        let definition = Definition::try_from(written).map_err(|error| error.to_string())?;
        let fields =
            serde_json::from_value::<Fields>(Value::Object(own)).map_err(|error| error.to_string())?;
        Ok((fields, definition))
    })?;
    let slug = fields.slug.unwrap_or_else(|| entry.key.clone());
    let slug = slug
        .parse::<Slug>()
        .map_err(|bad| problems.push(entry.problem("slug", format!("slug: {bad}"))))
        .ok()?;
    let name = fields.name.unwrap_or_else(|| slug.to_string());
    Some(Box::new(Wanted { project: fields.project, slug, name, definition }))
}

impl Draft for Wanted {
    fn save(&self, work: &Work<'_>) -> Result<(), Fault> {
        let draft = save::Draft {
            project: project_named(work.tx, &self.project)?.id,
            slug: self.slug.clone(),
            name: Some(self.name.clone()),
            definition: self.definition.clone(),
            owner: Owner::File,
        };
        save::save(work.tx, work.by, &work.means.incidents, &draft)?;
        Ok(())
    }

    fn stored_key(&self) -> Option<String> {
        Some(format!("{}/{}", self.project, self.slug))
    }
}

fn stored(tx: &ReadTx<'_>, _: &Means) -> Result<Vec<Stored>, Fault> {
    let slugs = slugs(tx)?;
    let (mut all, mut after): (Vec<Heartbeat>, Option<String>) = (Vec::new(), None);
    loop {
        let page = queries::list(tx, &Visible::All, &Filter::default(), after.as_deref(), PAGE)?;
        all.extend(page.items);
        match page.next_cursor {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for heartbeat in &all {
        *counts.entry(heartbeat.slug.as_str()).or_default() += 1;
    }
    let with_project = all.iter().filter_map(|it| Some((it, slugs.get(&it.project)?)));
    Ok(with_project
        .map(|(heartbeat, project)| {
            let slug = heartbeat.slug.as_str();
            let is_alone = counts.get(slug) == Some(&1);
            Stored {
                key: format!("{project}/{slug}"),
                entry_key: Some(if is_alone { slug.to_owned() } else { format!("{project}-{slug}") }),
                of_file: heartbeat.owner == Owner::File,
                table: row(heartbeat, project),
                secrets: BTreeMap::new(),
            }
        })
        .collect())
}

fn row(heartbeat: &Heartbeat, project: &str) -> Map<String, Value> {
    let mut fields = table(json!(Written::from(heartbeat.definition.clone())));
    let own = json!({ "project": project, "slug": heartbeat.slug, "name": heartbeat.name });
    fields.extend(table(own));
    fields
}

fn remove(work: &Work<'_>, thing: &Stored) -> Result<What, Fault> {
    let (project, slug) = thing.key.split_once('/').unwrap_or_default();
    let project = project_named(work.tx, project)?.id;
    if let Some(heartbeat) = find_by_slug(work.tx, project, slug)? {
        save::remove(work.tx, work.by, &work.means.incidents, heartbeat.id, Owner::File)?;
    }
    Ok(What::Removed)
}

impl From<save::Error> for Fault {
    fn from(error: save::Error) -> Self {
        match error {
            save::Error::Store(error) => Self::Store(error),
            save::Error::Accounts(error) => error.into(),
            save::Error::Incidents(error) => error.into(),
            save::Error::NotFound
            | save::Error::OwnedByFile
            | save::Error::SlugTaken(_)
            | save::Error::TooMany
            | save::Error::Line(_) => Self::of_text(error.to_string()),
        }
    }
}
