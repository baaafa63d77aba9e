//! The list of projects, and new ones.

use actix_web::{HttpResponse, web};
use askama::Template;

use super::super::auth::SignedIn;
use super::super::{AppState, Problem};
use super::form::Form;
use super::frame::{Frame, Place, page, see_other};
use super::wording::{When, few};
use crate::accounts::access::{Permission, Subject};
use crate::accounts::projects::{self, NewProject};
use crate::accounts::{Slug, Visible};
use crate::issues::queries::count_unresolved;

#[derive(Template)]
#[template(path = "projects.html", config = "src/http/admin/askama.toml")]
struct ProjectsPage {
    frame: Frame,
    projects: Vec<ProjectLine>,
}

struct ProjectLine {
    slug: String,
    name: String,
    number: String,
    unresolved: String,
    heard: Option<When>,
    created: When,
}

/// `GET /projects`.
pub(super) async fn show(state: web::Data<AppState>, signed_in: SignedIn) -> Result<HttpResponse, Problem> {
    let now = state.clock.now();
    let found = state
        .store
        .read(move |tx| {
            let mut lines = Vec::new();
            for project in projects::list(tx, &signed_in.session.actor().visible())? {
                lines.push(ProjectLine {
                    unresolved: few(count_unresolved(tx, &Visible::Only(vec![project.id]))?),
                    heard: project.first_event_at.map(|at| When::new(at, now)),
                    created: When::new(project.created_at, now),
                    number: project.id.to_string(),
                    slug: project.slug.to_string(),
                    name: project.name,
                });
            }
            Ok::<_, Problem>(ProjectsPage {
                frame: Frame::load(tx, &signed_in, Place::Projects)?,
                projects: lines,
            })
        })
        .await?;
    page(&found)
}

/// `POST /projects`: a new project with its first key; the next page says how to connect an app.
pub(super) async fn create(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    let caller = form.caller();
    caller.may(Permission::ManageInstance, Subject::Instance)?;
    let slug = match form.text("slug") {
        "" => None,
        text => Some(text.parse::<Slug>()?),
    };
    let new = NewProject { name: form.text("name").to_owned(), slug };
    let (by, entropy) = (caller.by(state.clock.now()), state.entropy.clone());
    let (project, _) = state
        .store
        .write("project.create", move |tx| projects::create_with_key(tx, &by, &entropy, &new))
        .await?;
    // Everybody is a member of it now, and sessions remember what one may see.
    state.cache.sessions.forget_all();
    Ok(see_other(&format!("/projects/{}/welcome", project.slug)))
}
