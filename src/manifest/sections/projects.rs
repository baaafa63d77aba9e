//! `[projects.SLUG]`: a project's name and the channels that it rings. Members stay a matter of the pages.

use serde::Deserialize;
use serde_json::json;

use super::{Draft, Fault, Section, Shape, Stored, Work, refuse_secrets, table};
use crate::accounts::projects::{self, ProjectRef};
use crate::accounts::{Slug, Visible, from_files};
use crate::base::nearest::nearest;
use crate::base::{Owner, ProjectId};
use crate::incidents::channels::{self, Channel};
use crate::incidents::{ChannelId, routes};
use crate::manifest::Means;
use crate::manifest::plan::What;
use crate::manifest::problem::Problem;
use crate::manifest::reader;
use crate::manifest::tree::Entry;
use crate::store::ReadTx;

pub(super) const SECTION: Section = Section {
    name: "projects",
    word: "project",
    shape: Shape::Keyed,
    stands_alone: true,
    below: None,
    audits_itself: false,
    action: |what| match what {
        What::Created => "project.create",
        What::Changed => "project.update",
        What::Removed => "project.remove",
        What::HandedOver => "project.release",
    },
    judged_with: &[],
    read,
    stored,
    remove,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    name: String,
    /// By their names; none: every channel.
    #[serde(default)]
    channels: Vec<String>,
}

struct Wanted {
    slug: Slug,
    fields: Fields,
}

fn read(entry: &Entry, problems: &mut Vec<Problem>) -> Option<Box<dyn Draft>> {
    refuse_secrets(entry, problems);
    let slug = entry.key.parse::<Slug>().map_err(|error| {
        problems.push(entry.problem("", format!("project {}: {error}", entry.key)));
    });
    let fields: Option<Fields> = reader::read(entry, problems);
    Some(Box::new(Wanted { slug: slug.ok()?, fields: fields? }))
}

impl Draft for Wanted {
    fn save(&self, work: &Work<'_>) -> Result<(), Fault> {
        let (tx, name) = (work.tx, self.fields.name.trim());
        let known = projects::find_visible(tx, &ProjectRef::Slug(self.slug.clone()), &Visible::All)?;
        if known.as_ref().is_some_and(|known| known.archived_at.is_some()) {
            return Err(Fault::at("", "it is archived: restore it on its page first"));
        }
        let is_so = known.as_ref().is_some_and(|known| known.owner == Owner::File && known.name == name);
        let id = match known.filter(|_| is_so) {
            Some(known) => known.id,
            None => from_files::save_project(tx, work.by, &self.slug, name)?.id,
        };
        let wanted = self.channels(tx)?;
        if chosen(tx, id)? != wanted {
            routes::choose(tx, id, &wanted)?;
        }
        Ok(())
    }
}

impl Wanted {
    /// In climbing order, as they are stored.
    fn channels(&self, tx: &ReadTx<'_>) -> Result<Vec<ChannelId>, Fault> {
        let all = channels::list(tx)?;
        for (place, name) in self.fields.channels.iter().enumerate() {
            if !all.iter().any(|channel| channel.name == *name) {
                let near = nearest(name, all.iter().map(|channel| channel.name.as_str()));
                let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                return Err(Fault::at(
                    &format!("channels.{place}"),
                    format!("there is no channel {name}{hint}"),
                ));
            }
        }
        let is_wanted = |channel: &&Channel| self.fields.channels.contains(&channel.name);
        Ok(all.iter().filter(is_wanted).map(|channel| channel.id).collect())
    }
}

fn chosen(tx: &ReadTx<'_>, project: ProjectId) -> Result<Vec<ChannelId>, Fault> {
    Ok(routes::find_chosen(tx, project)?.unwrap_or_default())
}

fn stored(tx: &ReadTx<'_>, _: &Means) -> Result<Vec<Stored>, Fault> {
    let all = channels::list(tx)?;
    let mut stored = Vec::new();
    for project in projects::list(tx, &Visible::All)? {
        let chosen = chosen(tx, project.id)?;
        let names: Vec<&str> =
            all.iter().filter(|it| chosen.contains(&it.id)).map(|it| it.name.as_str()).collect();
        let names = Some(names).filter(|names| !names.is_empty());
        stored.push(Stored {
            key: project.slug.to_string(),
            entry_key: None,
            of_file: project.owner == Owner::File,
            table: table(json!({ "name": project.name, "channels": names })),
            secrets: std::collections::BTreeMap::new(),
        });
    }
    Ok(stored)
}

/// What it holds is worth more than what a file says of it.
fn remove(work: &Work<'_>, thing: &Stored) -> Result<What, Fault> {
    let project = super::project_named(work.tx, &thing.key)?;
    from_files::release_project(work.tx, project.id)?;
    Ok(What::HandedOver)
}
