//! `[webhooks.KEY]`: a source of webhooks, flat. Its secrets are `signing`, the newest, and `previous`, the one before it,
//! up to `previous_4`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Draft, Fault, Section, Shape, Stored, Work, known_first, project_named, table};
use crate::base::{Owner, Secret};
use crate::manifest::Means;
use crate::manifest::plan::What;
use crate::manifest::problem::Problem;
use crate::manifest::reader::{self, unknown_words};
use crate::manifest::tree::Entry;
use crate::store::ReadTx;
use crate::webhooks::secrets::{SIGNING, SOURCE_SECRETS_MAX};
use crate::webhooks::source::Definition;
use crate::webhooks::{Error, Invalid, Source, SourceDraft, Webhooks, providers, queries};

pub(super) const SECTION: Section = Section {
    name: "webhooks",
    word: "webhook source",
    shape: Shape::Keyed,
    stands_alone: true,
    below: None,
    audits_itself: true,
    action: |what| match what {
        What::Created => "webhook_source.create",
        What::Changed => "webhook_source.update",
        What::Removed => "webhook_source.remove",
        What::HandedOver => "webhook_source.release",
    },
    judged_with: &[],
    read,
    stored,
    remove,
};

/// What says which source it is; everything else is its definition.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    /// Nothing: its key.
    #[serde(default)]
    name: Option<String>,
    project: String,
}

const FIELDS: [&str; 2] = ["name", "project"];
/// By their age.
const SECRETS: [&str; SOURCE_SECRETS_MAX] = [SIGNING, "previous", "previous_2", "previous_3", "previous_4"];

struct Wanted {
    key: String,
    fields: Fields,
    definition: Definition,
    /// The newest first. With any, these are all; with none those that are stored stay.
    references: Vec<String>,
}

fn read(entry: &Entry, problems: &mut Vec<Problem>) -> Option<Box<dyn Draft>> {
    for name in entry.secrets.keys().filter(|name| !SECRETS.contains(&name.as_str())) {
        let text = format!("secrets: {}", unknown_words(name, &SECRETS));
        problems.push(entry.problem(&format!("secrets.{name}"), text));
    }
    let older = SECRETS.iter().find(|name| **name != SIGNING && entry.secrets.contains_key(**name));
    if let Some(older) = older.filter(|_| !entry.secrets.contains_key(SIGNING)) {
        let text = format!("secrets.{older}: name the newest as secrets.{SIGNING} beside it");
        problems.push(entry.problem(&format!("secrets.{older}"), text));
    }
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
    let references = SECRETS.iter().filter_map(|name| entry.secrets.get(*name).cloned()).collect();
    Some(Box::new(Wanted { key: entry.key.clone(), fields, definition, references }))
}

/// The provider last: without one nothing else could be judged.
fn check(definition: &Definition) -> Result<(), Invalid> {
    if providers::find(&definition.provider).is_none() {
        Definition { provider: "generic".to_owned(), ..definition.clone() }.check()?;
    }
    definition.check()
}

impl Draft for Wanted {
    fn save(&self, work: &Work<'_>) -> Result<(), Fault> {
        let secrets: Vec<Secret> =
            self.references.iter().filter_map(|reference| work.secrets.get(reference).cloned()).collect();
        let draft = SourceDraft {
            key: self.key.clone(),
            name: self.fields.name.clone().unwrap_or_else(|| self.key.clone()),
            project: project_named(work.tx, &self.fields.project)?.id,
            definition: self.definition.clone(),
            secrets: Some(secrets).filter(|secrets| !secrets.is_empty()),
            owner: Owner::File,
        };
        webhooks_of(work.means).save_source(work.tx, work.by, &draft)?;
        Ok(())
    }
}

pub(super) fn webhooks_of(means: &Means) -> Webhooks {
    Webhooks { incidents: means.incidents.clone(), sealer: means.sealer.clone() }
}

fn stored(tx: &ReadTx<'_>, means: &Means) -> Result<Vec<Stored>, Fault> {
    let webhooks = webhooks_of(means);
    let stored = queries::all_sources(tx)?.into_iter().map(|source| {
        // What cannot be opened is as good as not there: it is asked for again.
        let secrets = webhooks.open_source(&source).unwrap_or_default().plain();
        let named = SECRETS.iter().map(|name| (*name).to_owned()).zip(secrets);
        Stored {
            secrets: named.collect::<BTreeMap<_, _>>(),
            key: source.key.clone(),
            entry_key: None,
            of_file: source.owner == Owner::File,
            table: row(&source),
        }
    });
    Ok(stored.collect())
}

fn row(source: &Source) -> Map<String, Value> {
    let mut fields = table(json!(source.definition));
    fields.insert("name".to_owned(), source.name.clone().into());
    fields.insert("project".to_owned(), source.project_slug.clone().into());
    fields
}

fn remove(work: &Work<'_>, thing: &Stored) -> Result<What, Fault> {
    if let Some(line) = queries::find_source(work.tx, &work.by.actor.visible(), &thing.key)? {
        webhooks_of(work.means).remove_source(work.tx, work.by, line.source.id, Owner::File)?;
    }
    Ok(What::Removed)
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        let field = match error {
            Error::Store(error) => return Self::Store(error),
            Error::Accounts(error) => return error.into(),
            Error::Incidents(error) => return error.into(),
            Error::Invalid(Invalid { field, .. }) => field,
            Error::Settled(_) | Error::UnknownProject => "project",
            Error::BadSecret(_)
            | Error::SecretTooLong
            | Error::TooManySecrets
            | Error::SecretTwice(_)
            | Error::LastSecret(_)
            | Error::NoSecret
            | Error::SecretMoves(_)
            | Error::Sealing(_) => "secrets",
            Error::SecretTold(_) => "sign",
            Error::BadLine(_)
            | Error::BadKey(_)
            | Error::KeyTaken(_)
            | Error::NoSource
            | Error::NoDestination
            | Error::OwnedByFile(_)
            | Error::TooManySources
            | Error::TooManyDestinations => return Self::of_text(text),
        };
        Self::at(field, text)
    }
}
