//! Making, changing, pausing and removing a heartbeat from the page.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::configurable::{configurable, project_choices};
use super::form::{Form, Wrongs};
use super::frame::{Frame, Place, form_page, page, page_with, see_other};
use super::heartbeat::{find, told};
use super::heartbeat_form::{Content, Draft, read};
use super::schedule_words::{Preview, PreviewAlone, zones};
use crate::accounts::access::{Permission, Subject};
use crate::base::{ProjectId, Severity, Uid};
use crate::heartbeats::{Heartbeat, HeartbeatId, Owner, keys, save};
use crate::http::auth::{Caller, SignedIn, find_project};
use crate::http::visible::Slugs;
use crate::http::{AppState, Problem};
use crate::store::{ReadTx, WriteTx};

#[derive(Template)]
#[template(path = "heartbeat_edit.html", config = "src/http/admin/askama.toml")]
struct EditPage {
    frame: Frame,
    /// Of the heartbeat that is changed; empty for a new one.
    id: String,
    name: String,
    /// Where a file names it: then it is only shown.
    file: String,
    form: FormView,
}

/// The fields as the template asks for them.
struct FormView {
    draft: Draft,
    wrongs: Wrongs,
    preview: Preview,
    projects: Vec<(String, String)>,
    zones: Vec<&'static str>,
    severities: [&'static str; 4],
    is_new: bool,
    /// Its address and its definition come from an SDK until this form is saved.
    is_sentrys: bool,
    /// Whoever saves it later than somebody else is told.
    seen: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct PreviewAsked {
    kind: String,
    every: String,
    cron: String,
    zone: String,
}

/// `GET /heartbeats/new`
pub(super) async fn show_new(
    state: web::Data<AppState>,
    signed_in: SignedIn,
) -> Result<HttpResponse, Problem> {
    let draft = Draft::new();
    let shown = new_page(&state, signed_in, draft, Wrongs::default()).await?;
    page(&shown)
}

async fn new_page(
    state: &AppState,
    signed_in: SignedIn,
    draft: Draft,
    wrongs: Wrongs,
) -> Result<EditPage, Problem> {
    let now = state.clock.now();
    state
        .store
        .read(move |tx| {
            let projects = configurable(tx, &signed_in)?;
            if projects.is_empty() {
                return Err(Problem::forbidden(NOBODY));
            }
            Ok(EditPage {
                frame: Frame::load(tx, &signed_in, Place::Heartbeats)?,
                id: String::new(),
                name: String::new(),
                file: String::new(),
                form: FormView {
                    preview: draft.preview(now),
                    draft,
                    wrongs,
                    projects: project_choices(projects),
                    zones: zones(),
                    severities: SEVERITIES,
                    is_new: true,
                    is_sentrys: false,
                    seen: String::new(),
                },
            })
        })
        .await
}

const NOBODY: &str = "Members of a project make heartbeats: ask an owner.";
const SEVERITIES: [&str; 4] =
    [Severity::Low.as_str(), Severity::Medium.as_str(), Severity::High.as_str(), Severity::Critical.as_str()];

/// `POST /heartbeats`
pub(super) async fn create(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    form.once(state, "/heartbeats", make).await
}

async fn make(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    let draft = Draft::typed(&form.fields);
    let content = match read(&draft, None) {
        Ok(content) => content,
        Err(wrongs) => return refuse_new(&state, form, draft, wrongs).await,
    };
    let (caller, named) = (form.caller(), draft.project.clone());
    let (incidents, entropy, now) = (Arc::clone(&state.incidents), state.entropy.clone(), state.clock.now());
    let made = state
        .store
        .write("heartbeat.create", move |tx| {
            let project = project_of(tx, &caller, &named)?;
            let by = caller.by(now);
            // With the first heartbeat comes the key with which others can be named.
            keys::ensure(tx, &by, &entropy, project)?;
            let id = save::create_new(tx, &by, &incidents, &domain_draft(project, content))?;
            Ok::<_, Refused>(uid_of(tx, id)?)
        })
        .await;
    match made {
        Ok(uid) => Ok(see_other(&format!("/heartbeats/{uid}#ping"))),
        Err(refused) => refuse_new(&state, form, draft, refused.into_wrongs()?).await,
    }
}

async fn refuse_new(
    state: &AppState,
    form: Form,
    draft: Draft,
    wrongs: Wrongs,
) -> Result<HttpResponse, Problem> {
    let shown = new_page(state, form.signed_in, draft, wrongs).await?;
    form_page(true, &shown)
}

/// Why a form was not saved: what a person can mend, or not.
enum Refused {
    Save(save::Error),
    Problem(Problem),
}

impl From<save::Error> for Refused {
    fn from(error: save::Error) -> Self {
        Self::Save(error)
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<crate::accounts::Error> for Refused {
    fn from(error: crate::accounts::Error) -> Self {
        Self::Problem(error.into())
    }
}

impl From<crate::store::Error> for Refused {
    fn from(error: crate::store::Error) -> Self {
        Self::Problem(error.into())
    }
}

impl Refused {
    fn into_wrongs(self) -> Result<Wrongs, Problem> {
        let (field, problem) = match self {
            Self::Save(save::Error::SlugTaken(slug)) => {
                return Ok(Wrongs::one(
                    "slug",
                    format!(
                        "This project has a heartbeat {slug} already: choose another slug, or change that one."
                    ),
                ));
            }
            Self::Save(error @ save::Error::Line(_)) => ("name", Problem::from(error)),
            Self::Save(error) => ("form", Problem::from(error)),
            Self::Problem(problem) => ("form", problem),
        };
        Ok(Wrongs::one(field, problem.to_mend()?))
    }
}

fn domain_draft(project: ProjectId, content: Content) -> save::Draft {
    save::Draft {
        project,
        slug: content.slug,
        name: Some(content.name),
        definition: content.definition,
        owner: Owner::Page,
    }
}

pub(super) fn project_of(tx: &ReadTx<'_>, caller: &Caller, named: &str) -> Result<ProjectId, Problem> {
    let project = find_project(tx, &caller.visible(), named)?;
    caller.may(Permission::Configure, Subject::Project(project.id))?;
    Ok(project.id)
}

fn uid_of(tx: &ReadTx<'_>, id: HeartbeatId) -> Result<Uid, Problem> {
    let found = crate::heartbeats::queries::find(tx, id)?;
    found.map(|heartbeat| heartbeat.uid).ok_or_else(|| Problem::not_found("heartbeat"))
}

/// `GET /heartbeats/{id}/edit`
pub(super) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let shown = edit_page(&state, signed_in, &id, None).await?;
    page(&shown)
}

async fn edit_page(
    state: &AppState,
    signed_in: SignedIn,
    id: &str,
    typed: Option<(Draft, Wrongs)>,
) -> Result<EditPage, Problem> {
    let (now, id) = (state.clock.now(), id.to_owned());
    state
        .store
        .read(move |tx| {
            let found = find_mine(tx, &signed_in, &id)?;
            let (draft, wrongs) = typed.unwrap_or_else(|| (Draft::of(&found), Wrongs::default()));
            let project = Slugs::default().of(tx, Some(found.project))?.unwrap_or_default();
            let file = told(tx, &found, &project)?;
            Ok(EditPage {
                frame: Frame::load(tx, &signed_in, Place::Heartbeats)?,
                id: found.uid.to_string(),
                file,
                form: FormView {
                    preview: draft.preview(now),
                    draft,
                    wrongs,
                    projects: Vec::new(),
                    zones: zones(),
                    severities: SEVERITIES,
                    is_new: false,
                    is_sentrys: found.owner == Owner::Sentry,
                    seen: found.version.to_string(),
                },
                name: found.name,
            })
        })
        .await
}

/// A heartbeat that the asker may change.
fn find_mine(tx: &ReadTx<'_>, signed_in: &SignedIn, id: &str) -> Result<Heartbeat, Problem> {
    let found = find(tx, signed_in, id)?;
    signed_in.caller().may(Permission::Configure, Subject::Project(found.project))?;
    Ok(found)
}

/// `POST /heartbeats/{id}/edit`
pub(super) async fn update(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let (named, signed_in) = (id.clone(), form.signed_in.clone());
    let found = state.store.read(move |tx| find_mine(tx, &signed_in, &named)).await?;
    if found.owner == Owner::File {
        return Err(save::Error::OwnedByFile.into());
    }
    if form.is_stale(found.version) {
        let now_is = Some((Draft::of(&found), Wrongs::stale("heartbeat")));
        return page_with(StatusCode::CONFLICT, &edit_page(&state, form.signed_in, &id, now_is).await?);
    }
    let draft = Draft::typed(&form.fields);
    let saved = match read(&draft, Some(&found.slug)) {
        Ok(content) => store(&state, &form, domain_draft(found.project, content)).await,
        Err(wrongs) => return refuse(&state, form, &id, (draft, wrongs)).await,
    };
    match saved {
        Ok(()) => Ok(see_other(&format!("/heartbeats/{}", found.uid))),
        Err(refused) => {
            let wrongs = refused.into_wrongs()?;
            refuse(&state, form, &id, (draft, wrongs)).await
        }
    }
}

async fn store(state: &AppState, form: &Form, draft: save::Draft) -> Result<(), Refused> {
    let (caller, incidents, now) = (form.caller(), Arc::clone(&state.incidents), state.clock.now());
    let write = move |tx: &WriteTx<'_>| {
        save::save(tx, &caller.by(now), &incidents, &draft)?;
        Ok::<_, Refused>(())
    };
    state.store.write("heartbeat.change", write).await
}

async fn refuse(
    state: &AppState,
    form: Form,
    id: &str,
    typed: (Draft, Wrongs),
) -> Result<HttpResponse, Problem> {
    let shown = edit_page(state, form.signed_in, id, Some(typed)).await?;
    form_page(true, &shown)
}

/// `GET /heartbeats/preview`: what a schedule means, while it is typed.
pub(super) async fn preview(
    state: web::Data<AppState>,
    _: SignedIn,
    asked: web::Query<PreviewAsked>,
) -> Result<HttpResponse, Problem> {
    let PreviewAsked { kind, every, cron, zone } = asked.into_inner();
    let draft = Draft { kind, every, cron, zone: zone.trim().to_owned(), ..Draft::default() };
    page(&PreviewAlone { preview: draft.preview(state.clock.now()) })
}
