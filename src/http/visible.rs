//! What a caller may see, in the words of the modules that are asked for it.

use std::collections::HashMap;

use crate::accounts::access::Subject;
use crate::accounts::{Visible, projects};
use crate::base::ProjectId;
use crate::incidents::queries::Scope;
use crate::incidents::silences::Silence;
use crate::incidents::views::{DeliveryView, IncidentView};
use crate::ledger::NO_PROJECT;
use crate::store::{Error, ReadTx};

/// The scope of questions about incidents and messages.
pub fn scope(visible: &Visible) -> Scope<'_> {
    match visible {
        Visible::All => Scope::All,
        Visible::Only(projects) => Scope::Projects(projects),
    }
}

/// What an incident, a silence or a message belongs to: its project, else the installation.
pub fn subject(project: Option<ProjectId>) -> Subject {
    project.map_or(Subject::Instance, Subject::Project)
}

/// The projects whose ledger is read; who sees all sees the lines that belong to none, too.
pub fn ledger_projects(tx: &ReadTx<'_>, visible: &Visible) -> Result<Vec<ProjectId>, Error> {
    match visible {
        Visible::Only(projects) => Ok(projects.clone()),
        Visible::All => {
            let mut all = tx.all("SELECT id FROM projects ORDER BY id LIMIT 10000", [], |row| {
                row.get(0).map(ProjectId)
            })?;
            all.push(NO_PROJECT);
            Ok(all)
        }
    }
}

/// Whether somebody may know of a silence. One of every project concerns everybody, but its key or its incident may be
/// what only some may know.
pub fn sees_silence(visible: &Visible, silence: &Silence) -> bool {
    match silence.project {
        Some(project) => visible.contains(project),
        None => *visible == Visible::All || (silence.key.is_none() && silence.incident.is_none()),
    }
}

/// The slugs of projects, each looked up once.
#[derive(Default)]
pub struct Slugs {
    known: HashMap<ProjectId, Option<String>>,
}

impl Slugs {
    /// `None` for no project, and for one that was removed.
    pub fn of(&mut self, tx: &ReadTx<'_>, project: Option<ProjectId>) -> Result<Option<String>, Error> {
        let Some(project) = project else { return Ok(None) };
        if let Some(known) = self.known.get(&project) {
            return Ok(known.clone());
        }
        let slug = projects::find(tx, project)?.map(|project| project.slug.to_string());
        self.known.insert(project, slug.clone());
        Ok(slug)
    }

    pub fn name_incident(&mut self, tx: &ReadTx<'_>, incident: &mut IncidentView) -> Result<(), Error> {
        incident.project = self.of(tx, incident.project_id)?;
        Ok(())
    }

    pub fn name_delivery(&mut self, tx: &ReadTx<'_>, delivery: &mut DeliveryView) -> Result<(), Error> {
        delivery.project = self.of(tx, delivery.project_id)?;
        Ok(())
    }
}
