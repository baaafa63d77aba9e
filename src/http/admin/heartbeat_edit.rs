//! Making, changing, pausing and removing a heartbeat from the page.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::configurable::{configurable, project_choices};
use super::form::{Form, Wrongs};
use super::frame::{Frame, Place, form_page, page, page_with, see_other};
use super::heartbeat::told;
use super::heartbeat_form::{Content, Draft, read};
use super::schedule_words::{Preview, PreviewAlone, zones};
use crate::base::{ProjectId, Severity, Uid};
use crate::heartbeats::{Heartbeat, HeartbeatId, Owner, keys, save};
use crate::http::acts::Refused;
use crate::http::acts::heartbeat::{change, find_to};
use crate::http::acts::rights::{Act, Thing, check};
use crate::http::auth::{Caller, SignedIn, find_project};
use crate::http::visible::Slugs;
use crate::http::{AppState, Problem};
use crate::store::ReadTx;

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
            Ok::<_, Refused<save::Error>>(uid_of(tx, id)?)
        })
        .await;
    match made {
        Ok(uid) => Ok(see_other(&format!("/heartbeats/{uid}#ping"))),
        Err(refused) => refuse_new(&state, form, draft, wrongs_of(refused)?).await,
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

/// What a person can mend of a form that was not saved.
fn wrongs_of(refused: Refused<save::Error>) -> Result<Wrongs, Problem> {
    let field = match &refused {
        Refused::Draft(save::Error::SlugTaken(_)) => {
            return Ok(Wrongs::one("slug", Problem::from(refused).detail));
        }
        Refused::Draft(save::Error::Line(_)) => "name",
        Refused::Draft(_) | Refused::Stale(_) | Refused::Problem(_) => "form",
    };
    Ok(Wrongs::one(field, Problem::from(refused).to_mend()?))
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

fn project_of(tx: &ReadTx<'_>, caller: &Caller, named: &str) -> Result<ProjectId, Problem> {
    let project = find_project(tx, &caller.visible(), named)?.id;
    check(caller, Act::Make, Thing::Heartbeat, Some(project))?;
    Ok(project)
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
            let found = find_to(tx, &signed_in.caller(), Act::Change, &id)?;
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

/// `POST /heartbeats/{id}/edit`
pub(super) async fn update(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let (named, caller) = (id.clone(), form.caller());
    let found = state.store.read(move |tx| find_to(tx, &caller, Act::Change, &named)).await?;
    if found.owner == Owner::File {
        return Err(save::Error::OwnedByFile.into());
    }
    let draft = Draft::typed(&form.fields);
    let content = match read(&draft, Some(&found.slug)) {
        Ok(content) => content,
        Err(wrongs) => return refuse(&state, form, &id, (draft, wrongs)).await,
    };
    let wanted = move |known: &Heartbeat| Ok(domain_draft(known.project, content));
    match change(&state, form.caller(), (id.clone(), form.seen()), wanted).await {
        Ok(saved) => Ok(see_other(&format!("/heartbeats/{}", saved.uid))),
        Err(Refused::Stale(_)) => {
            let overtaken = Some((draft, Wrongs::overtaken("heartbeat")));
            page_with(StatusCode::CONFLICT, &edit_page(&state, form.signed_in, &id, overtaken).await?)
        }
        Err(refused) => {
            let wrongs = wrongs_of(refused)?;
            refuse(&state, form, &id, (draft, wrongs)).await
        }
    }
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
