//! `[maintenance.KEY]`: planned work, once or again and again.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::{Draft, Fault, Section, Shape, Stored, Work, project_named, refuse_secrets, slugs, table};
use crate::accounts::Visible;
use crate::base::{Owner, ProjectId, Timestamp, span};
use crate::health::services;
use crate::health::services::subjects::{Unnamed, keys_of};
use crate::heartbeats::{self, HeartbeatId};
use crate::incidents::maintenance::{self, Maintenance};
use crate::manifest::Means;
use crate::manifest::plan::What;
use crate::manifest::problem::Problem;
use crate::manifest::reader;
use crate::manifest::tree::Entry;
use crate::probes::{self, ProbeId};
use crate::store::ReadTx;

pub(super) const SECTION: Section = Section {
    name: "maintenance",
    word: "maintenance",
    shape: Shape::Keyed,
    stands_alone: true,
    below: None,
    audits_itself: false,
    action: |what| match what {
        What::Created => "maintenance.create",
        What::Changed => "maintenance.update",
        What::Removed => "maintenance.remove",
        What::HandedOver => "maintenance.release",
    },
    judged_with: &[("covers", &["project"]), ("ends_at", &["starts_at"])],
    read,
    stored,
    remove,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    title: String,
    /// Nothing: every project.
    #[serde(default)]
    project: Option<String>,
    /// Keys of probes, `project/slug` of heartbeats, `service:KEY` of services, or keys of signals; none: everything of its
    /// project.
    #[serde(default)]
    covers: Vec<String>,
    #[serde(default)]
    message: String,
    #[serde(default)]
    public: bool,
    /// A time of TOML with its offset.
    starts_at: String,
    #[serde(default)]
    ends_at: Option<String>,
    #[serde(with = "span")]
    duration: Duration,
    #[serde(default)]
    schedule: Option<String>,
    #[serde(default = "utc")]
    time_zone: String,
}

struct Wanted {
    key: String,
    fields: Fields,
    starts_at: Timestamp,
    ends_at: Option<Timestamp>,
}

fn read(entry: &Entry, problems: &mut Vec<Problem>) -> Option<Box<dyn Draft>> {
    refuse_secrets(entry, problems);
    let fields: Fields = reader::read(entry, problems)?;
    let mut time = |name: &str, text: &str| {
        let read = Timestamp::parse_rfc3339(text);
        if read.is_none() {
            let text = format!("{name}: write it as 2026-12-01T02:00:00+01:00, with its offset");
            problems.push(entry.problem(name, text));
        }
        read
    };
    let starts_at = time("starts_at", &fields.starts_at);
    let ends_at = fields.ends_at.as_deref().map(|text| time("ends_at", text));
    Some(Box::new(Wanted {
        key: entry.key.clone(),
        starts_at: starts_at?,
        ends_at: ends_at.flatten(),
        fields,
    }))
}

impl Draft for Wanted {
    fn save(&self, work: &Work<'_>) -> Result<(), Fault> {
        let fields = &self.fields;
        let project = match &fields.project {
            Some(slug) => Some(project_named(work.tx, slug)?.id),
            None => None,
        };
        let mut subjects = Vec::new();
        for (place, name) in fields.covers.iter().enumerate() {
            let keys = keys_of(work.tx, &Visible::All, project, name);
            subjects.extend(keys.map_err(|error| match error {
                Unnamed::Store(error) => error.into(),
                Unnamed::Missing { .. } | Unnamed::Unknown(_) => {
                    Fault::at(&format!("covers.{place}"), format!("covers: {error}"))
                }
            })?);
        }
        let draft = maintenance::Draft {
            key: self.key.clone(),
            project,
            subjects,
            title: fields.title.clone(),
            message: fields.message.clone(),
            is_public: fields.public,
            starts_at: self.starts_at,
            ends_at: self.ends_at,
            duration_s: u32::try_from(fields.duration.as_secs()).unwrap_or(u32::MAX),
            schedule: fields.schedule.clone(),
            time_zone: fields.time_zone.clone(),
            owner: Owner::File,
        };
        let by = work.by.actor.to_string();
        work.means.incidents.save_maintenance(work.tx, work.by.now, &draft, &by)?;
        Ok(())
    }
}

/// As a file names what has this signal key.
fn name_of(tx: &ReadTx<'_>, slugs: &BTreeMap<ProjectId, String>, key: &str) -> Result<String, Fault> {
    let name = if let Some(id) = ProbeId::of_signal_key(key) {
        probes::outline::find_by_id(tx, &Visible::All, id)?.map(|probe| probe.key)
    } else if let Some(id) = HeartbeatId::of_signal_key(key) {
        let found = heartbeats::queries::find(tx, id)?;
        found.and_then(|it| Some(format!("{}/{}", slugs.get(&it.project)?, it.slug)))
    } else if key.starts_with("service:") {
        let all = services::queries::list(tx, &Visible::All)?;
        all.into_iter().find(|it| it.id.signal_key() == key).map(|it| format!("service:{}", it.key))
    } else {
        None
    };
    Ok(name.unwrap_or_else(|| key.to_owned()))
}

/// What a page planned and is over is history, and in no file.
fn stored(tx: &ReadTx<'_>, _: &Means) -> Result<Vec<Stored>, Fault> {
    let slugs = slugs(tx)?;
    let all = maintenance::list(tx, Timestamp::from_secs(0))?;
    // What was planned for an archived project alone must not read as planned for all.
    let is_known = |project: &ProjectId| slugs.contains_key(project);
    let ours = all.iter().filter(|it| {
        (it.draft.owner == Owner::File || it.ended_at.is_none())
            && it.draft.project.as_ref().is_none_or(is_known)
    });
    ours.map(|planned| row(tx, &slugs, planned)).collect()
}

fn row(tx: &ReadTx<'_>, slugs: &BTreeMap<ProjectId, String>, planned: &Maintenance) -> Result<Stored, Fault> {
    let draft = &planned.draft;
    let mut covers =
        draft.subjects.iter().map(|key| name_of(tx, slugs, key)).collect::<Result<Vec<_>, _>>()?;
    covers.sort();
    let duration = Duration::from_secs(draft.duration_s.into());
    Ok(Stored {
        key: draft.key.clone(),
        entry_key: None,
        of_file: draft.owner == Owner::File,
        table: table(json!({
            "title": draft.title,
            "project": draft.project.and_then(|project| slugs.get(&project)),
            "covers": Some(covers).filter(|covers| !covers.is_empty()),
            "message": Some(&draft.message).filter(|message| !message.is_empty()),
            "public": draft.is_public,
            "starts_at": draft.starts_at.to_rfc3339(),
            "ends_at": draft.ends_at.map(Timestamp::to_rfc3339),
            "duration": span::format(duration),
            "schedule": draft.schedule,
            "time_zone": draft.time_zone,
        })),
        secrets: BTreeMap::new(),
    })
}

fn remove(work: &Work<'_>, thing: &Stored) -> Result<What, Fault> {
    let all = maintenance::list(work.tx, work.by.now)?;
    if let Some(known) = all.iter().find(|known| known.draft.key == thing.key) {
        work.means.incidents.remove_maintenance(work.tx, work.by.now, known.uid, Owner::File)?;
    }
    Ok(What::Removed)
}

fn utc() -> String {
    "UTC".to_owned()
}
