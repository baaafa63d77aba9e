//! `[services.KEY]`: what the team calls a service, and how many of its members it needs.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Draft, Fault, Section, Shape, Stored, Work, project_named, refuse_secrets, slugs, table};
use crate::accounts::Visible;
use crate::base::{Owner, Severity};
use crate::health::services::{self, Needs, Service, Services, Settings, queries};
use crate::manifest::Means;
use crate::manifest::plan::What;
use crate::manifest::problem::Problem;
use crate::manifest::reader;
use crate::manifest::tree::Entry;
use crate::probes::Probes;
use crate::store::ReadTx;

pub(super) const SECTION: Section = Section {
    name: "services",
    word: "service",
    shape: Shape::Keyed,
    stands_alone: true,
    below: None,
    audits_itself: true,
    action: |what| match what {
        What::Created => "service.create",
        What::Changed => "service.change",
        What::Removed => "service.remove",
        What::HandedOver => "service.release",
    },
    judged_with: &[("members", &["project"]), ("needs", &["quorum"]), ("quorum", &["members", "needs"])],
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
    project: String,
    #[serde(default)]
    needs: Option<Need>,
    #[serde(default)]
    quorum: Option<u32>,
    #[serde(default)]
    critical: bool,
    members: Vec<String>,
    #[serde(default)]
    severity: Option<Severity>,
    #[serde(default)]
    environment: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    runbook: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Need {
    All,
    Any,
    Quorum,
}

struct Wanted {
    key: String,
    fields: Fields,
    needs: Needs,
}

fn read(entry: &Entry, problems: &mut Vec<Problem>) -> Option<Box<dyn Draft>> {
    refuse_secrets(entry, problems);
    let fields: Fields = reader::read(entry, problems)?;
    let needs = match (fields.needs, fields.quorum) {
        (None | Some(Need::All), None) => Needs::All,
        (Some(Need::Any), None) => Needs::Any,
        (None | Some(Need::Quorum), Some(least)) => Needs::Quorum(least),
        (Some(Need::Quorum), None) => {
            problems.push(entry.problem("needs", "quorum is missing: how many of the members it needs"));
            return None;
        }
        (Some(Need::All | Need::Any), Some(_)) => {
            problems.push(entry.problem("quorum", "quorum: only where needs = \"quorum\""));
            return None;
        }
    };
    Some(Box::new(Wanted { key: entry.key.clone(), fields, needs }))
}

impl Draft for Wanted {
    fn save(&self, work: &Work<'_>) -> Result<(), Fault> {
        let fields = &self.fields;
        let draft = services::Draft {
            key: self.key.clone(),
            project: project_named(work.tx, &fields.project)?.id,
            name: fields.name.clone().unwrap_or_else(|| self.key.clone()),
            needs: self.needs,
            critical: fields.critical,
            members: fields.members.clone(),
            settings: Settings {
                severity: fields.severity,
                environment: fields.environment.clone(),
                labels: fields.labels.clone(),
                runbook: fields.runbook.clone(),
            },
            position: None,
            owner: Owner::File,
        };
        let saved = services_of(work.means).save(work.tx, work.by, &draft);
        saved.map(drop).map_err(|error| {
            let text = error.to_string();
            match &error {
                services::Error::UnknownProbe(name)
                | services::Error::UnknownHeartbeat(name)
                | services::Error::OtherProject(name) => {
                    Fault::of_item("members", &draft.members, name, text)
                }
                _ => error.into(),
            }
        })
    }
}

fn services_of(means: &Means) -> Services {
    let probes = Probes { incidents: means.incidents.clone(), sealer: means.sealer.clone() };
    Services { incidents: means.incidents.clone(), probes }
}

fn stored(tx: &ReadTx<'_>, _: &Means) -> Result<Vec<Stored>, Fault> {
    let slugs = slugs(tx)?;
    // No file can name one of an archived project.
    let is_known = |service: &&Service| slugs.contains_key(&service.project);
    Ok(queries::list(tx, &Visible::All)?.iter().filter(is_known).map(row).collect())
}

fn row(service: &Service) -> Stored {
    let members: Vec<&str> = service.members.iter().map(|member| member.key.as_str()).collect();
    let mut fields = table(json!(service.settings));
    fields.extend(table(json!({
        "name": service.name,
        "project": service.project_slug,
        "needs": service.needs.as_str(),
        "quorum": match service.needs {
            Needs::Quorum(least) => Some(least),
            Needs::All | Needs::Any => None,
        },
        "critical": Some(Value::Bool(true)).filter(|_| service.critical),
        "members": members,
    })));
    Stored {
        key: service.key.clone(),
        entry_key: None,
        of_file: service.owner == Owner::File,
        table: fields,
        secrets: BTreeMap::new(),
    }
}

fn remove(work: &Work<'_>, thing: &Stored) -> Result<What, Fault> {
    services_of(work.means).remove(work.tx, work.by, &thing.key, Owner::File)?;
    Ok(What::Removed)
}

impl From<services::Error> for Fault {
    fn from(error: services::Error) -> Self {
        match error {
            services::Error::Store(error) => Self::Store(error),
            services::Error::Accounts(error) => error.into(),
            services::Error::Probes(error) => error.into(),
            services::Error::Incidents(error) => error.into(),
            services::Error::BadQuorum(_) => Self::at("quorum", error.to_string()),
            _ => Self::of_text(error.to_string()),
        }
    }
}
