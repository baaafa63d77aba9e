//! Making and changing a source from the page.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::scheme_form::{Offer, offers};
use super::source_form::{Draft, wrongs_of};
use super::{choose, place};
use crate::base::{Owner, Severity};
use crate::http::acts::Refused;
use crate::http::acts::rights::Act;
use crate::http::acts::webhook::{Aim, Saver, find_source_to};
use crate::http::admin::configurable::{configurable, project_choices};
use crate::http::admin::form::{Form, Wrongs};
use crate::http::admin::frame::{Frame, Place, form_page, page, page_with, see_other};
use crate::http::admin::from_file;
use crate::http::auth::{SignedIn, find_project};
use crate::http::{AppState, Problem};
use crate::store::{ReadTx, WriteTx};
use crate::webhooks::providers::{self, Provider};
use crate::webhooks::{Error, Source, SourceDraft};

#[derive(Template)]
#[template(path = "webhook_source_form.html", config = "src/http/admin/askama.toml")]
struct EditPage {
    frame: Frame,
    /// Of the source that is changed; empty for a new one.
    key: String,
    name: String,
    /// Where a file names it: then it is only shown.
    file: String,
    base: String,
    provider: &'static Provider,
    form: FormView,
}

/// The fields as the template asks for them.
struct FormView {
    draft: Draft,
    wrongs: Wrongs,
    offers: Vec<Offer>,
    projects: Vec<(String, String)>,
    severities: [&'static str; 4],
    is_new: bool,
    /// Whoever saves it later than somebody else is told.
    seen: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::http::admin) struct Asked {
    provider: String,
}

pub(super) const NOBODY: &str = "Members of a project make sources of webhooks: ask an owner.";
const SEVERITIES: [&str; 4] =
    [Severity::Low.as_str(), Severity::Medium.as_str(), Severity::High.as_str(), Severity::Critical.as_str()];

impl FormView {
    /// Whether something that is folded away needs somebody.
    fn is_open(&self) -> bool {
        const FOLDED: [&str; 12] = [
            "url",
            "event_id",
            "event_type",
            "order_key",
            "answer_status",
            "answer_type",
            "answer_body",
            "body_bytes_max",
            "silent_after",
            "runbook",
            "environment",
            "labels",
        ];
        FOLDED.iter().any(|field| !self.wrongs.of(field).is_empty())
    }
}

/// `GET /webhooks/new`, with `provider` once it is chosen.
pub(in crate::http::admin) async fn show_new(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    let Some(provider) = providers::find(&asked.provider) else {
        return choose::show(&state, &signed_in).await;
    };
    let shown = new_page(&state, signed_in, provider, (Draft::new(provider), Wrongs::default())).await?;
    page(&shown)
}

async fn new_page(
    state: &AppState,
    signed_in: SignedIn,
    provider: &'static Provider,
    (draft, wrongs): (Draft, Wrongs),
) -> Result<EditPage, Problem> {
    let base = state.base_url.as_str().to_owned();
    state
        .store
        .read(move |tx| {
            let projects = configurable(tx, &signed_in)?;
            if projects.is_empty() {
                return Err(Problem::forbidden(NOBODY));
            }
            Ok(EditPage {
                frame: Frame::load(tx, &signed_in, Place::Webhooks)?,
                key: String::new(),
                name: String::new(),
                file: String::new(),
                base,
                provider,
                form: FormView {
                    draft,
                    wrongs,
                    offers: offers(provider),
                    projects: project_choices(projects),
                    severities: SEVERITIES,
                    is_new: true,
                    seen: String::new(),
                },
            })
        })
        .await
}

/// `POST /webhooks/new`
pub(in crate::http::admin) async fn create(
    state: web::Data<AppState>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    form.once(state, "/webhooks/new", make).await
}

async fn make(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    let provider = providers::find(form.text("provider"))
        .ok_or_else(|| Problem::bad_request("Say in `provider` who calls."))?;
    let draft = Draft::typed(&form.fields);
    let definition = match draft.read(provider, None) {
        Ok(definition) => definition,
        Err(wrongs) => return refuse_new(&state, form, provider, (draft, wrongs)).await,
    };
    let secret = Some(form.fields.secret("secret")).filter(|secret| !secret.is_empty());
    let (key, name, project) = (draft.key_or_derived(), draft.name.clone(), draft.project.clone());
    let (saver, visible, made) = (Saver::new(&state, form.caller()), form.caller().visible(), key.clone());
    let write = move |tx: &WriteTx<'_>| {
        let project = find_project(tx, &visible, &project)?.id;
        let secrets = Some(secret.into_iter().collect());
        let draft = SourceDraft { key, name, project, definition, secrets, owner: Owner::Page };
        saver.source(tx, &draft, Aim::New)
    };
    match state.store.write("webhook_source.create", write).await {
        Ok(_) => Ok(see_other(&place(&made))),
        Err(refused) => refuse_new(&state, form, provider, (draft, wrongs_of(refused)?)).await,
    }
}

async fn refuse_new(
    state: &AppState,
    form: Form,
    provider: &'static Provider,
    typed: (Draft, Wrongs),
) -> Result<HttpResponse, Problem> {
    form_page(true, &new_page(state, form.signed_in, provider, typed).await?)
}

/// `GET /webhooks/{key}/edit`
pub(in crate::http::admin) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    page(&edit_page(&state, signed_in, &key, None).await?)
}

async fn edit_page(
    state: &AppState,
    signed_in: SignedIn,
    key: &str,
    typed: Option<(Draft, Wrongs)>,
) -> Result<EditPage, Problem> {
    let (base, key) = (state.base_url.as_str().to_owned(), key.to_owned());
    state
        .store
        .read(move |tx| {
            let found = find_source_to(tx, &signed_in.caller(), Act::Change, &key)?;
            let provider = provider_of(&found)?;
            let (draft, wrongs) = typed.unwrap_or_else(|| (Draft::of(provider, &found), Wrongs::default()));
            Ok(EditPage {
                frame: Frame::load(tx, &signed_in, Place::Webhooks)?,
                file: told(tx, &found)?,
                base,
                provider,
                form: FormView {
                    draft,
                    wrongs,
                    offers: offers(provider),
                    projects: Vec::new(),
                    severities: SEVERITIES,
                    is_new: false,
                    seen: found.version.to_string(),
                },
                key: found.key,
                name: found.name,
            })
        })
        .await
}

/// Where a file names the source; empty where the page changes it.
pub(super) fn told(tx: &ReadTx<'_>, source: &Source) -> Result<String, Problem> {
    from_file::told(tx, source.owner == Owner::File, "webhooks", &source.key)
}

fn provider_of(source: &Source) -> Result<&'static Provider, Problem> {
    let id = &source.definition.provider;
    providers::find(id).ok_or_else(|| {
        let cure = "install that version again, or delete the source";
        Problem::new(
            StatusCode::CONFLICT,
            format!("A newer version of tocsin wrote this source, for the provider {id}: {cure}."),
        )
    })
}

/// `POST /webhooks/{key}/edit`
pub(in crate::http::admin) async fn update(
    state: web::Data<AppState>,
    key: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let (named, caller) = (key.into_inner(), form.caller());
    let find = {
        let named = named.clone();
        move |tx: &ReadTx<'_>| find_source_to(tx, &caller, Act::Change, &named)
    };
    let found = state.store.read(find).await?;
    if found.owner == Owner::File {
        return Err(Error::OwnedByFile(found.key).into());
    }
    let draft = Draft::typed(&form.fields);
    let definition = match draft.read(provider_of(&found)?, Some(&found.definition)) {
        Ok(definition) => definition,
        Err(wrongs) => return refuse(&state, form, &named, (draft, wrongs)).await,
    };
    let (saver, seen, name) = (Saver::new(&state, form.caller()), form.seen(), draft.name.clone());
    let write = move |tx: &WriteTx<'_>| {
        let (key, project) = (found.key, found.project);
        let draft = SourceDraft { key, name, project, definition, secrets: None, owner: Owner::Page };
        saver.source(tx, &draft, Aim::Known { seen })
    };
    match state.store.write("webhook_source.update", write).await {
        Ok(_) => Ok(see_other(&place(&named))),
        Err(Refused::Stale(_)) => {
            let overtaken = Some((draft, Wrongs::overtaken("source")));
            page_with(StatusCode::CONFLICT, &edit_page(&state, form.signed_in, &named, overtaken).await?)
        }
        Err(refused) => refuse(&state, form, &named, (draft, wrongs_of(refused)?)).await,
    }
}

async fn refuse(
    state: &AppState,
    form: Form,
    key: &str,
    typed: (Draft, Wrongs),
) -> Result<HttpResponse, Problem> {
    form_page(true, &edit_page(state, form.signed_in, key, Some(typed)).await?)
}
