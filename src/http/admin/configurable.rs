//! The projects that a form may offer.

use crate::accounts::access::{Decision, Permission, Subject, decide};
use crate::accounts::projects::{self, Project};
use crate::http::Problem;
use crate::http::auth::SignedIn;
use crate::store::ReadTx;

/// The projects in which somebody may change things.
pub(super) fn configurable(tx: &ReadTx<'_>, signed_in: &SignedIn) -> Result<Vec<Project>, Problem> {
    let actor = signed_in.session.actor();
    let may = |project: &Project| {
        decide(&actor, Permission::Configure, Subject::Project(project.id)) == Decision::Allowed
    };
    Ok(projects::list(tx, &actor.visible())?.into_iter().filter(may).collect())
}

/// Slugs and names, as a form lists them.
pub(super) fn project_choices(projects: Vec<Project>) -> Vec<(String, String)> {
    projects.into_iter().map(|project| (project.slug.to_string(), project.name)).collect()
}
