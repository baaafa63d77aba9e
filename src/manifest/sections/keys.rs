//! `[projects.SLUG.keys.LABEL]`: the keys that a project's apps use, by their labels.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Draft, Fault, Section, Shape, Stored, Work, project_named, refuse_secrets, slugs, table};
use crate::accounts::keys::{self, Key, KeySettings};
use crate::accounts::{KeyKind, OriginPattern, Origins, from_files};
use crate::base::Owner;
use crate::manifest::Means;
use crate::manifest::plan::What;
use crate::manifest::problem::Problem;
use crate::manifest::reader;
use crate::manifest::tree::Entry;
use crate::store::ReadTx;

pub(super) const SECTION: Section = Section {
    name: "keys",
    word: "key",
    shape: Shape::Keyed,
    stands_alone: false,
    below: Some("projects"),
    audits_itself: false,
    action: |what| match what {
        What::Created => "key.create",
        What::Changed => "key.update",
        What::Removed => "key.revoke",
        What::HandedOver => "key.release",
    },
    judged_with: &[],
    read,
    stored,
    remove,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    kind: Kind,
    #[serde(default)]
    origins: Vec<OriginPattern>,
    #[serde(default)]
    events_per_minute: Option<u32>,
    #[serde(default)]
    allow_critical: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Browser,
    Server,
}

struct Wanted {
    project: String,
    settings: KeySettings,
}

fn read(entry: &Entry, problems: &mut Vec<Problem>) -> Option<Box<dyn Draft>> {
    refuse_secrets(entry, problems);
    let fields: Fields = reader::read(entry, problems)?;
    let (project, label) = entry.key.split_once('/')?;
    let settings = KeySettings {
        kind: match fields.kind {
            Kind::Browser => KeyKind::Browser,
            Kind::Server => KeyKind::Server,
        },
        label: label.to_owned(),
        origins: Origins(fields.origins),
        events_per_minute: fields.events_per_minute,
        allow_critical: fields.allow_critical,
    };
    Some(Box::new(Wanted { project: project.to_owned(), settings }))
}

impl Draft for Wanted {
    fn save(&self, work: &Work<'_>) -> Result<(), Fault> {
        let project = project_named(work.tx, &self.project)?.id;
        let known = from_files::find_labelled(work.tx, project, &self.settings.label)?;
        if known.is_some_and(|key| key.owner == Owner::File && key.settings == self.settings) {
            return Ok(());
        }
        from_files::save_key(work.tx, work.by, &work.means.entropy, project, &self.settings)?;
        Ok(())
    }
}

/// Keys that share a label are told of when a file names it; here the newest stands for them.
fn stored(tx: &ReadTx<'_>, _: &Means) -> Result<Vec<Stored>, Fault> {
    let mut stored: BTreeMap<String, Stored> = BTreeMap::new();
    for (project, slug) in slugs(tx)? {
        for key in keys::list(tx, project)?.into_iter().filter(|key| key.revoked_at.is_none()) {
            let full = format!("{slug}/{}", key.settings.label);
            stored.entry(full.clone()).or_insert_with(|| row(full, &key));
        }
    }
    Ok(stored.into_values().collect())
}

fn row(full: String, key: &Key) -> Stored {
    let KeySettings { kind, label: _, origins, events_per_minute, allow_critical } = &key.settings;
    let origins = Some(origins).filter(|origins| !origins.0.is_empty());
    let allow_critical = Some(Value::Bool(true)).filter(|_| *allow_critical);
    Stored {
        key: full,
        entry_key: None,
        of_file: key.owner == Owner::File,
        table: table(json!({
            "kind": kind,
            "origins": origins,
            "events_per_minute": events_per_minute,
            "allow_critical": allow_critical,
        })),
        secrets: BTreeMap::new(),
    }
}

fn remove(work: &Work<'_>, thing: &Stored) -> Result<What, Fault> {
    let (project, label) = thing.key.split_once('/').unwrap_or_default();
    let project = project_named(work.tx, project)?.id;
    if let Some(key) = from_files::find_labelled(work.tx, project, label)? {
        from_files::revoke_key(work.tx, work.by, &key)?;
    }
    Ok(What::Removed)
}
