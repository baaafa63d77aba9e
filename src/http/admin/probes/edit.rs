//! The form of a probe: shown, checked while it is filled in, tried, saved.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::choose::{self, made};
use super::fields::Typed;
use super::form::{policy, read, told};
use super::kinds::{Input, inputs};
use super::tries::{Tried, ask};
use super::view::{Said, SecretLine, View, build, form_page, kept, said, secret_lines};
use super::words::detects;
use super::{acts, find, probes_of};
use crate::accounts::Visible;
use crate::base::ProjectId;
use crate::http::acts::Refused;
use crate::http::acts::probe::{Aim, Saved, draft_trial, find_to, save};
use crate::http::acts::rights::Act;
use crate::http::admin::frame::{page, page_with};
use crate::http::admin::from_file;
use crate::http::admin::{Form, Wrongs};
use crate::http::auth::{SignedIn, find_project};
use crate::http::problem::sentence;
use crate::http::{AppState, Problem};
use crate::probes::secrets::take_from_url;
use crate::probes::{Definition, Draft, Error, Kind, Owner, Probe, presets, queries};
use crate::store::ReadTx;

#[derive(Template)]
#[template(path = "probe_said.html", config = "src/http/admin/askama.toml")]
struct SaidPart {
    said: Said,
}

#[derive(Template)]
#[template(path = "probe_secrets.html", config = "src/http/admin/askama.toml")]
struct SecretsPart {
    secrets: Vec<SecretLine>,
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::http::admin) struct Asked {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    preset: String,
    /// A probe whose settings the new one begins with.
    #[serde(default)]
    copy: String,
    #[serde(default)]
    project: String,
}

/// `GET /probes/new`, with `kind`, `preset` or `copy` once it is chosen.
pub(in crate::http::admin) async fn show_new(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    if let Some(preset) = presets::find(&asked.preset) {
        return choose::show_preset(&state, &signed_in, preset).await;
    }
    if !asked.copy.is_empty() {
        return show_copy(&state, signed_in, asked.into_inner().copy).await;
    }
    let Some(kind) = Kind::parse(&asked.kind) else {
        return choose::show(&state, &signed_in).await;
    };
    let mut typed = Typed::of_definition(&empty(kind)?);
    typed.set("project", asked.project.clone());
    form_page(&state, &signed_in, View::new(kind, typed)).await
}

/// A definition of this kind that leaves everything needed empty.
fn empty(kind: Kind) -> Result<Definition, Problem> {
    let blank = serde_json::json!({
        "kind": kind.as_str(), "url": "", "host": "", "port": 0, "name": "", "endpoint": "", "bucket": "",
        "access_key": "", "secret_key": "", "path": "",
    });
    let known: BTreeSet<&str> = inputs(kind).iter().map(Input::member).collect();
    let mut blank = blank;
    if let Some(members) = blank.as_object_mut() {
        let default_port = matches!(kind, Kind::Tls | Kind::Smtp);
        members.retain(|name, _| {
            let is_known = name == "kind" || known.contains(name.as_str());
            let is_default = matches!((kind, name.as_str()), (Kind::Disk, "path") | (Kind::Process, "name"))
                || (default_port && name == "port");
            is_known && !is_default
        });
    }
    let target = serde_json::from_value(blank).map_err(|error| Problem::internal(&error))?;
    Ok(Definition::of(target))
}

async fn show_copy(state: &AppState, signed_in: SignedIn, key: String) -> Result<HttpResponse, Problem> {
    let visible = signed_in.session.actor().visible();
    let (probe, parents) = state.store.read(move |tx| with_parents(tx, &visible, &key)).await?;
    let mut typed = Typed::of_probe(&probe, &parents, BTreeSet::new());
    typed.set("key", "");
    typed.set("name", format!("{} (copy)", probe.name));
    form_page(state, &signed_in, View::new(probe.definition.kind(), typed)).await
}

fn with_parents(tx: &ReadTx<'_>, visible: &Visible, key: &str) -> Result<(Probe, Vec<String>), Problem> {
    let probe = find(tx, visible, key)?;
    let parents = queries::parent_keys(tx, visible, &probe)?;
    Ok((probe, parents))
}

/// `GET /probes/{key}/edit`
pub(in crate::http::admin) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (caller, key) = (signed_in.caller(), key.into_inner());
    let ((probe, parents), file) = state
        .store
        .read(move |tx| {
            find_to(tx, &caller, Act::Change, &key)?;
            let found = with_parents(tx, &caller.visible(), &key)?;
            let file = from_file::told(tx, found.0.owner == Owner::File, "probes", &found.0.key)?;
            Ok::<_, Problem>((found, file))
        })
        .await?;
    let view = View { file, ..View::of(&state, &probe, &parents)? };
    form_page(&state, &signed_in, view).await
}

/// `POST /probes/new/check`: how a condition reads; the field `condition` of a form of `kind`.
pub(in crate::http::admin) async fn check(form: Form) -> Result<HttpResponse, Problem> {
    page(&SaidPart { said: said(kind_of(&form)?, form.text("condition")) })
}

/// `POST /probes/new/words`: when trouble is known with the intervals that are typed.
pub(in crate::http::admin) async fn words(form: Form) -> Result<HttpResponse, Problem> {
    let kind = kind_of(&form).unwrap_or(Kind::Http);
    let typed = Typed::of_form(kind, &form.fields, BTreeSet::new());
    let mut wrongs = Wrongs::default();
    let policy = policy(kind, &typed, &mut wrongs);
    let text = match (wrongs.first(), policy.check()) {
        (Some(wrong), _) => wrong.to_owned(),
        (None, Err(refused)) => sentence(&refused.to_string()),
        (None, Ok(())) => detects(&policy),
    };
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(text))
}

/// `POST /probes/new/secrets`: inputs for the secrets that the typed target names and the form does not ask for yet.
pub(in crate::http::admin) async fn secrets(
    state: web::Data<AppState>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let kind = kind_of(&form)?;
    let kept = match probe_of(&state, &form).await? {
        Some((probe, _)) => kept(&state, &probe)?,
        None => BTreeSet::new(),
    };
    let typed = Typed::of_form(kind, &form.fields, kept);
    let present = form.fields.beginning("secret.").map(|(name, _)| name.to_owned()).collect();
    page(&SecretsPart { secrets: secret_lines(kind, &typed, &present) })
}

fn kind_of(form: &Form) -> Result<Kind, Problem> {
    Kind::parse(form.text("kind")).ok_or_else(|| Problem::bad_request("Say in `kind` what it looks at."))
}

/// The stored probe that a form is about, for which it was shown; `None` for a new one.
async fn probe_of(state: &AppState, form: &Form) -> Result<Option<(Probe, Vec<String>)>, Problem> {
    let key = form.text("probe").to_owned();
    if key.is_empty() {
        return Ok(None);
    }
    let visible = form.caller().visible();
    state.store.read(move |tx| with_parents(tx, &visible, &key)).await.map(Some)
}

/// The project that the form names; `None` where there is no such one for the caller.
pub(super) async fn project_of(state: &AppState, form: &Form) -> Result<Option<ProjectId>, Problem> {
    let (named, visible) = (form.text("project").to_owned(), form.caller().visible());
    state
        .store
        .read(move |tx| Ok::<_, Problem>(find_project(tx, &visible, &named).ok().map(|it| it.id)))
        .await
}

/// `POST /probes/new`: saves, or tries where `act` says so.
pub(in crate::http::admin) async fn create(
    state: web::Data<AppState>,
    request: HttpRequest,
    form: Form,
) -> Result<HttpResponse, Problem> {
    if form.text("act") == "try" {
        // Tried again is asked again, however soon.
        return make(state, request, form).await;
    }
    form.once(state, "/probes/new", move |state, form| Box::pin(make(state, request, form))).await
}

async fn make(state: web::Data<AppState>, request: HttpRequest, form: Form) -> Result<HttpResponse, Problem> {
    match presets::find(form.text("preset")) {
        Some(preset) => choose::take(&state, &request, &form, preset).await,
        None => take(&state, &request, &form, None).await,
    }
}

/// `POST /probes/{key}/edit`: as [`create`], for a probe that is there.
pub(in crate::http::admin) async fn update(
    state: web::Data<AppState>,
    request: HttpRequest,
    key: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let (caller, named) = (form.caller(), key.into_inner());
    let read = move |tx: &ReadTx<'_>| {
        find_to(tx, &caller, Act::Change, &named)?;
        with_parents(tx, &caller.visible(), &named)
    };
    let found = state.store.read(read).await?;
    if found.0.owner == Owner::File {
        return Err(Error::OwnedByFile(found.0.key).into());
    }
    take(&state, &request, &form, Some(found)).await
}

async fn take(
    state: &AppState,
    request: &HttpRequest,
    form: &Form,
    found: Option<(Probe, Vec<String>)>,
) -> Result<HttpResponse, Problem> {
    let kind = match &found {
        Some((probe, _)) => probe.definition.kind(),
        None => kind_of(form)?,
    };
    let kept = found.as_ref().map_or(Ok(BTreeSet::new()), |(probe, _)| kept(state, probe))?;
    let mut typed = Typed::of_form(kind, &form.fields, kept);
    take_password(kind, &mut typed);
    let view = |wrongs: Wrongs, tried: Option<Tried>, typed: Typed| View {
        key: found.as_ref().map(|(probe, _)| probe.key.clone()),
        seen: found.as_ref().map_or(0, |(probe, _)| probe.version),
        wrongs,
        tried,
        ..View::new(kind, typed)
    };
    let project = project_of(state, form).await?;
    let probe = found.as_ref().map(|(probe, _)| probe);
    let done = match read(kind, &typed, project) {
        Ok(draft) => act(state, form, probe, draft).await?,
        Err(wrongs) => Done::Refused(wrongs),
    };
    let is_part = request.headers().contains_key("hx-request");
    match done {
        Done::Saved(saved) if probe.is_none() => made(state, form, saved).await,
        Done::Saved(saved) => Ok(crate::http::admin::see_other(&format!("/probes/{}", saved.key))),
        Done::Overtaken(seen) => {
            let overtaken = View { seen, ..view(Wrongs::overtaken("probe"), None, typed) };
            page_with(StatusCode::CONFLICT, &build(state, &form.signed_in, overtaken).await?)
        }
        Done::Tried(tried) if is_part => page(&*tried),
        Done::Refused(wrongs) if is_part => page(&SaidPart { said: refusal(&wrongs) }),
        Done::Tried(tried) => {
            form_page(state, &form.signed_in, view(Wrongs::default(), Some(*tried), typed)).await
        }
        Done::Refused(wrongs) => form_page(state, &form.signed_in, view(wrongs, None, typed)).await,
    }
}

/// What was to be tried and cannot be.
fn refusal(wrongs: &Wrongs) -> Said {
    Said {
        reason: wrongs.first().unwrap_or("Something is wrong with the form.").to_owned(),
        ..Said::default()
    }
}

/// A password that stands in the address of a database is kept apart from it.
fn take_password(kind: Kind, typed: &mut Typed) {
    if !matches!(kind, Kind::Postgres | Kind::Redis) {
        return;
    }
    let (url, password) = take_from_url(typed.text("target.url").trim());
    if let Some(password) = password {
        typed.set("target.url", url);
        typed.secrets.0.insert("password".to_owned(), password);
    }
}

/// What came of a form.
enum Done {
    Saved(Saved),
    Tried(Box<Tried>),
    Refused(Wrongs),
    /// Somebody changed the probe since the form was shown; its version now.
    Overtaken(i64),
}

async fn act(state: &AppState, form: &Form, probe: Option<&Probe>, draft: Draft) -> Result<Done, Problem> {
    let kind = draft.definition.kind();
    let done = if form.text("act") == "try" {
        attempt(state, form, probe, draft).await
    } else {
        store(state, form, probe, draft).await.map(Done::Saved)
    };
    match (done, probe) {
        (Ok(done), _) => Ok(done),
        (Err(Refused::Draft(error)), _) => told(kind, error).map(Done::Refused),
        (Err(Refused::Stale(_)), Some(probe)) => {
            let (visible, key) = (form.caller().visible(), probe.key.clone());
            let now_is = state.store.read(move |tx| find(tx, &visible, &key)).await?;
            Ok(Done::Overtaken(now_is.version))
        }
        (Err(refused), _) => Err(refused.into()),
    }
}

async fn store(
    state: &AppState,
    form: &Form,
    probe: Option<&Probe>,
    mut draft: Draft,
) -> Result<Saved, Refused<Error>> {
    let aim = match probe {
        Some(probe) => {
            draft.key.clone_from(&probe.key);
            Aim::Known { seen: form.seen() }
        }
        None if form.text("key").is_empty() => Aim::NewUnderFreeKey,
        None => Aim::New,
    };
    save(state, form.caller(), draft, aim).await
}

async fn attempt(
    state: &AppState,
    form: &Form,
    probe: Option<&Probe>,
    draft: Draft,
) -> Result<Done, Refused<Error>> {
    if acts::is_pushed(draft.definition.kind()) {
        return Ok(Done::Refused(Wrongs::one("form", "Nothing is asked here: it is reported to.")));
    }
    let trial = draft_trial(&probes_of(state), &form.caller(), probe, draft)?;
    Ok(Done::Tried(Box::new(ask(state, trial).await?)))
}
