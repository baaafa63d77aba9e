//! The list of projects, and new ones.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::super::auth::SignedIn;
use super::super::{AppState, Problem};
use super::form::Form;
use super::frame::{Frame, Place, page_with, see_other};
use super::wording::{When, few};
use crate::accounts::access::{Permission, Subject};
use crate::accounts::projects::{self, NewProject};
use crate::accounts::{Slug, Visible};
use crate::issues::queries::count_unresolved;
use crate::store::WriteTx;

#[derive(Template)]
#[template(path = "projects.html", config = "src/http/admin/askama.toml")]
struct ProjectsPage {
    frame: Frame,
    projects: Vec<ProjectLine>,
    archived: Vec<ArchivedLine>,
    typed: Typed,
}

/// A refused form.
#[derive(Default)]
struct Typed {
    name: String,
    slug: String,
    wrong: Option<String>,
}

struct ArchivedLine {
    slug: String,
    name: String,
    archived: When,
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
    projects_page(&state, signed_in, Typed::default()).await
}

async fn projects_page(state: &AppState, signed_in: SignedIn, typed: Typed) -> Result<HttpResponse, Problem> {
    let now = state.clock.now();
    let status = if typed.wrong.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let found = state
        .store
        .read(move |tx| {
            let visible = signed_in.session.actor().visible();
            let archived = projects::list_archived(tx, &visible)?.into_iter().filter_map(|project| {
                Some(ArchivedLine {
                    archived: When::new(project.archived_at?, now),
                    slug: project.slug.to_string(),
                    name: project.name,
                })
            });
            let mut lines = Vec::new();
            for project in projects::list(tx, &visible)? {
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
                archived: archived.collect(),
                typed,
            })
        })
        .await?;
    page_with(status, &found)
}

/// `POST /projects`: a new project with its first key; the next page says how to connect an app.
pub(super) async fn create(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    form.once(state, "/projects", make).await
}

async fn make(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    let caller = form.caller();
    caller.may(Permission::ManageInstance, Subject::Instance)?;
    let (name, slug) = (form.text("name").to_owned(), form.text("slug").to_owned());
    let (by, entropy) = (caller.by(state.clock.now()), state.entropy.clone());
    let named = name.clone();
    let made = match Some(slug.as_str()).filter(|slug| !slug.is_empty()).map(str::parse::<Slug>).transpose() {
        Ok(slug) => {
            let new = NewProject { name: named, slug };
            let make = move |tx: &WriteTx<'_>| projects::create_with_key(tx, &by, &entropy, &new);
            state.store.write("project.create", make).await
        }
        Err(error) => Err(error),
    };
    let project = match made.map_err(Problem::from) {
        Ok((project, _)) => project,
        Err(problem) if problem.status == StatusCode::BAD_REQUEST => {
            let typed = Typed { name, slug, wrong: Some(problem.detail) };
            return projects_page(&state, form.signed_in, typed).await;
        }
        Err(problem) => return Err(problem),
    };
    // Everybody is a member of it now, and sessions remember what one may see.
    state.cache.sessions.forget_all();
    Ok(see_other(&format!("/projects/{}/welcome", project.slug)))
}
