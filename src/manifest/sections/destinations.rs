//! `[webhooks.KEY.destinations.KEY2]`: where the events of a source go. KEY2 is its own key, of which there is one among
//! all destinations.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::webhooks::webhooks_of;
use super::{Draft, Fault, Section, Shape, Stored, Work, known_first, table};
use crate::accounts::Visible;
use crate::base::Owner;
use crate::manifest::Means;
use crate::manifest::plan::What;
use crate::manifest::problem::Problem;
use crate::manifest::reader;
use crate::manifest::tree::Entry;
use crate::manifest::wish::SOURCE;
use crate::store::ReadTx;
use crate::webhooks::destination::{Definition, Sign};
use crate::webhooks::secrets::{SIGNING, Secrets, names};
use crate::webhooks::{DESTINATIONS_MAX, Destination, DestinationDraft, Error, Invalid, SourceId, queries};

pub(super) const SECTION: Section = Section {
    name: "destinations",
    word: "webhook destination",
    shape: Shape::Keyed,
    stands_alone: false,
    below: Some("webhooks"),
    audits_itself: true,
    action: |what| match what {
        What::Created => "webhook_destination.create",
        What::Changed => "webhook_destination.update",
        What::Removed => "webhook_destination.remove",
        What::HandedOver => "webhook_destination.release",
    },
    judged_with: &[],
    read,
    stored,
    remove,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    /// Nothing: its key.
    #[serde(default)]
    name: Option<String>,
}

const FIELDS: [&str; 1] = ["name"];

struct Wanted {
    source: String,
    key: String,
    fields: Fields,
    definition: Definition,
    references: BTreeMap<String, String>,
}

fn read(entry: &Entry, problems: &mut Vec<Problem>) -> Option<Box<dyn Draft>> {
    refuse_unused(entry, problems);
    let (fields, definition) = reader::read_with(entry, problems, |all| {
        let (own, rest): (Map<_, _>, Map<_, _>) =
            all.clone().into_iter().partition(|(name, _)| FIELDS.contains(&name.as_str()));
        let definition = serde_json::from_value::<Definition>(Value::Object(rest));
        let definition = definition.map_err(|error| known_first(&error.to_string(), &FIELDS))?;
        let fields =
            serde_json::from_value::<Fields>(Value::Object(own)).map_err(|error| error.to_string())?;
        check(&definition).map_err(|invalid| invalid.to_string())?;
        Ok((fields, definition))
    })?;
    let (source, key) = entry.key.split_once('/')?;
    Some(Box::new(Wanted {
        source: source.to_owned(),
        key: key.to_owned(),
        fields,
        definition,
        references: entry.secrets.clone(),
    }))
}

/// The address last: without one nothing else could be judged.
fn check(definition: &Definition) -> Result<(), Invalid> {
    Definition { url: "https://stand-in.invalid/".to_owned(), ..definition.clone() }.check(Owner::File)?;
    definition.check(Owner::File)
}

/// By what the file says, whatever else is wrong with it.
fn refuse_unused(entry: &Entry, problems: &mut Vec<Problem>) {
    let headers = entry.fields.get("headers").and_then(Value::as_object);
    let values = headers.into_iter().flat_map(Map::values).filter_map(Value::as_str);
    let mut asked: BTreeSet<String> = values.flat_map(names).collect();
    if entry.fields.get("sign").is_some_and(|sign| *sign == json!(Sign::Own)) {
        asked.insert(SIGNING.to_owned());
    }
    for name in entry.secrets.keys().filter(|name| !asked.contains(*name)) {
        let text = format!(
            "secrets.{name}: nothing here stands for it; write {{{{{name}}}}} in a header, or sign = \"own\" for \
             the secret {SIGNING}"
        );
        problems.push(entry.problem(&format!("secrets.{name}"), text));
    }
}

impl Draft for Wanted {
    fn save(&self, work: &Work<'_>) -> Result<(), Fault> {
        let source = queries::find_source(work.tx, &work.by.actor.visible(), &self.source)?;
        let source = source.ok_or_else(|| {
            let key = &self.source;
            let text = format!("there is no source {key}: name it as [webhooks.{key}], or make it first");
            Fault::at(SOURCE, text)
        })?;
        let secrets = self.references.iter();
        let secrets = secrets
            .filter_map(|(name, reference)| Some((name.clone(), work.secrets.get(reference)?.clone())));
        let draft = DestinationDraft {
            key: self.key.clone(),
            name: self.fields.name.clone().unwrap_or_else(|| self.key.clone()),
            source: source.source.id,
            definition: self.definition.clone(),
            secrets: Secrets(secrets.collect()),
            owner: Owner::File,
        };
        let saved = webhooks_of(work.means).save_destination(work.tx, work.by, &draft);
        saved.map(drop).map_err(|error| self.fault(error))
    }
}

impl Wanted {
    fn fault(&self, error: Error) -> Fault {
        match error {
            // What it says was looked at when the entry was read: only a secret can be missing.
            Error::Invalid(Invalid { field: "headers" | "sign", reason }) => {
                Fault::at("secrets", format!("{reason}, as in secrets = {{ name = \"file:PATH\" }}"))
            }
            Error::Settled(_) => {
                let (source, key) = (&self.source, &self.key);
                let text = format!(
                    "another source has a destination {key}: choose another key, such as {source}-{key}"
                );
                Fault::at("", text)
            }
            other => other.into(),
        }
    }
}

fn stored(tx: &ReadTx<'_>, means: &Means) -> Result<Vec<Stored>, Fault> {
    let webhooks = webhooks_of(means);
    let sources: BTreeMap<SourceId, String> =
        queries::all_sources(tx)?.into_iter().map(|source| (source.id, source.key)).collect();
    let stored = queries::all_destinations(tx, DESTINATIONS_MAX)?.into_iter().filter_map(|destination| {
        // No file can name one of an archived project.
        let source = sources.get(&destination.source)?;
        Some(Stored {
            key: format!("{source}/{}", destination.key),
            entry_key: None,
            of_file: destination.owner == Owner::File,
            table: row(&destination),
            // What cannot be opened is as good as not there: it is asked for again.
            secrets: webhooks.open_destination(&destination).unwrap_or_default().0,
        })
    });
    Ok(stored.collect())
}

fn row(destination: &Destination) -> Map<String, Value> {
    let mut fields = table(json!(destination.definition));
    fields.insert("name".to_owned(), destination.name.clone().into());
    fields
}

fn remove(work: &Work<'_>, thing: &Stored) -> Result<What, Fault> {
    let (_, key) = thing.key.split_once('/').unwrap_or_default();
    if let Some(line) = queries::find_destination(work.tx, &Visible::All, key)? {
        webhooks_of(work.means).remove_destination(work.tx, work.by, line.destination.id, Owner::File)?;
    }
    Ok(What::Removed)
}
