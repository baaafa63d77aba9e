//! `/api/v1/probes`: lists, makes, changes, tries, pauses and removes them.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::list::{Asked, Items, unknown_cursor};
use super::merge::merged;
use super::new_probe::NewProbe;
use super::probe_views::{LineView, ProbeView};
use super::{Json, OrDefault};
use crate::accounts::Visible;
use crate::base::{Secret, Timestamp};
use crate::http::acts::probe::{self as acts, Aim, Known, Step};
use crate::http::acts::rights::Act;
use crate::http::auth::{Caller, Reader, find_project};
use crate::http::{AppState, Problem};
use crate::probes::queries::{self, Cursor, Filter, list as list_probes};
use crate::probes::{Definition, Draft, Kind, Owner, Probe, Secrets, Status};
use crate::store::{ReadTx, WriteTx};

/// Which probes a list shows.
#[derive(Deserialize)]
pub(super) struct Words {
    query: Option<String>,
    /// One or more, separated by commas.
    status: Option<String>,
    kind: Option<String>,
    /// `name:value`
    label: Option<String>,
}

/// What a caller changes of a probe; what is not named stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Patch {
    name: Option<String>,
    project: Option<String>,
    /// What is to be different of it.
    definition: Option<Map<String, Value>>,
    #[serde(default)]
    secrets: BTreeMap<String, Secret>,
    depends_on: Option<Vec<String>>,
}

/// What is to be tried before it is saved.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trial {
    /// Of the probe that is being changed, whose secrets are used where none are given.
    key: Option<String>,
    project: String,
    definition: Definition,
    #[serde(default)]
    secrets: BTreeMap<String, Secret>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PauseFor {
    until: Option<Timestamp>,
}

/// `GET /probes`
pub(super) async fn list(
    state: web::Data<AppState>,
    asked: Asked,
    words: web::Query<Words>,
) -> Result<HttpResponse, Problem> {
    let Words { query, status, kind, label } = words.into_inner();
    let status = status.as_deref().map_or(Ok(Vec::new()), statuses)?;
    let kind = kind.as_deref().filter(|word| !word.is_empty()).map(self::kind).transpose()?;
    let label = label.as_deref().map(self::label).transpose()?;
    let text = query.filter(|text| !text.trim().is_empty());
    let after = asked.cursor.as_deref().map(|text| Cursor::parse(text).ok_or_else(unknown_cursor));
    let after = after.transpose()?;
    let page = state
        .store
        .read(move |tx| {
            let visible = asked.visible(tx)?;
            let filter = Filter {
                visible,
                project: None,
                status,
                kind,
                text,
                label,
                behind: None,
                after,
                limit: asked.limit,
            };
            Ok::<_, Problem>(list_probes(tx, &filter)?)
        })
        .await?;
    let items = page.items.into_iter().map(|line| LineView::new(line, &state.prober.board));
    Ok(HttpResponse::Ok().json(Items::of(items.collect(), page.next)))
}

/// `GET /probes/{key}`
pub(super) async fn show(
    state: web::Data<AppState>,
    reader: Reader,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    answer(&state, &reader.0, key.into_inner()).await
}

/// `POST /probes`
pub(super) async fn create(
    state: web::Data<AppState>,
    caller: Caller,
    Json(mut new): Json<NewProbe>,
) -> Result<HttpResponse, Problem> {
    let definition = new.definition()?;
    let NewProbe { key, name, project, secrets, depends_on, .. } = new;
    let (saver, visible) = (acts::Saver::new(&state, caller.clone()), caller.visible());
    let write = move |tx: &WriteTx<'_>| {
        let project = find_project(tx, &visible, &project)?.id;
        let (secrets, owner) = (Secrets(secrets), Owner::Page);
        let draft = Draft { key, name, project, definition, secrets, parents: depends_on, owner };
        Ok::<_, Problem>(saver.save(tx, draft, Aim::New)?)
    };
    let made = state.store.write("probe.create", write).await?;
    let mut shown = view(&state, caller.visible(), made.key).await?;
    shown.push_path = made.token.map(|token| push_path(&token));
    Ok(HttpResponse::Created().json(shown))
}

/// `PATCH /probes/{key}`
pub(super) async fn change(
    state: web::Data<AppState>,
    caller: Caller,
    key: web::Path<String>,
    Json(patch): Json<Patch>,
) -> Result<HttpResponse, Problem> {
    let (saver, asks, named) = (acts::Saver::new(&state, caller.clone()), caller.clone(), key.clone());
    let write = move |tx: &WriteTx<'_>| {
        let probe = acts::find_to(tx, &asks, Act::Change, &named)?;
        let draft = patched(tx, &asks, probe, patch)?;
        saver.save(tx, draft, Aim::Known { seen: None })?;
        Ok::<_, Problem>(())
    };
    state.store.write("probe.update", write).await?;
    answer(&state, &caller, key.into_inner()).await
}

/// `DELETE /probes/{key}`
pub(super) async fn remove(
    state: web::Data<AppState>,
    caller: Caller,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    acts::act(&state, caller, vec![key.into_inner()], Step::Remove).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /probes/{key}/pause`
pub(super) async fn pause(
    state: web::Data<AppState>,
    caller: Caller,
    key: web::Path<String>,
    OrDefault(wanted): OrDefault<PauseFor>,
) -> Result<HttpResponse, Problem> {
    if wanted.until.is_some_and(|until| until <= state.clock.now()) {
        return Err(Problem::bad_request("`until` is over already: name a later time, or leave it out."));
    }
    acts::act(&state, caller.clone(), vec![key.clone()], Step::Pause(wanted.until)).await?;
    answer(&state, &caller, key.into_inner()).await
}

/// `POST /probes/{key}/resume`
pub(super) async fn resume(
    state: web::Data<AppState>,
    caller: Caller,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    acts::act(&state, caller.clone(), vec![key.clone()], Step::Resume).await?;
    answer(&state, &caller, key.into_inner()).await
}

/// `POST /probes/{key}/token`: a new address for reports; the one before leads nowhere from now on.
pub(super) async fn renew_token(
    state: web::Data<AppState>,
    caller: Caller,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (_, token) = acts::renew_token(&state, caller, key.into_inner()).await?;
    Ok(HttpResponse::Created().json(json!({"push_path": push_path(&token)})))
}

/// `POST /probes/{key}/try`: one run as it is, which counts nothing and stores nothing.
pub(super) async fn try_stored(
    state: web::Data<AppState>,
    caller: Caller,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let trial = acts::stored_trial(&state, caller, key.into_inner()).await?;
    tried(&state, trial).await
}

/// `POST /probe-trials`: one run of what is not saved yet.
pub(super) async fn try_draft(
    state: web::Data<AppState>,
    caller: Caller,
    Json(trial): Json<Trial>,
) -> Result<HttpResponse, Problem> {
    let probes = state.prober.probes.clone();
    let read = move |tx: &ReadTx<'_>| {
        let Trial { key, project, definition, secrets } = trial;
        let project = find_project(tx, &caller.visible(), &project)?.id;
        let found = match &key {
            Some(key) => queries::find(tx, &caller.visible(), key)?,
            None => None,
        };
        let draft = Draft {
            key: key.unwrap_or_default(),
            name: String::new(),
            project,
            definition,
            secrets: Secrets(secrets),
            parents: Vec::new(),
            owner: Owner::Page,
        };
        Ok::<_, Problem>(acts::draft_trial(&probes, &caller, found.as_ref(), draft)?)
    };
    let trial = state.store.read(read).await?;
    tried(&state, trial).await
}

async fn tried(state: &AppState, trial: acts::Trial) -> Result<HttpResponse, Problem> {
    let acts::Trial { checked, secrets, owner } = trial;
    if checked.definition.kind() == Kind::Push {
        return Err(Problem::bad_request("Results are reported to this probe: there is nothing to try."));
    }
    let tried = state.prober.try_now(&checked, secrets, owner).await?;
    Ok(HttpResponse::Ok().json(tried.shown()))
}

fn patched(tx: &ReadTx<'_>, caller: &Caller, probe: Probe, patch: Patch) -> Result<Draft, Problem> {
    let Patch { name, project, definition, secrets, depends_on } = patch;
    let project = match project {
        Some(named) => find_project(tx, &caller.visible(), &named)?.id,
        None => probe.project,
    };
    let parents = match depends_on {
        Some(keys) => keys,
        None => queries::parent_keys(tx, &caller.visible(), &probe)?,
    };
    Ok(Draft {
        key: probe.key,
        name: name.unwrap_or(probe.name),
        project,
        definition: match definition {
            Some(change) => changed(&probe.definition, change)?,
            None => probe.definition,
        },
        secrets: Secrets(secrets),
        parents,
        owner: Owner::Page,
    })
}

/// A target of another kind replaces the stored one: the two have hardly a key in common.
fn changed(stored: &Definition, change: Map<String, Value>) -> Result<Definition, Problem> {
    let mut known = serde_json::to_value(stored).unwrap_or_default();
    let kind = change.get("target").and_then(|target| target.get("kind"));
    if kind.is_some_and(|kind| *kind != known["target"]["kind"]) {
        known["target"] = Value::Null;
    }
    serde_json::from_value(merged(known, change))
        .map_err(|error| Problem::bad_request(format!("The definition does not fit: {error}.")))
}

async fn answer(state: &AppState, caller: &Caller, key: String) -> Result<HttpResponse, Problem> {
    let (board, visible, named) = (state.prober.board.clone(), caller.visible(), key.clone());
    let newer = state.store.read(move |tx| match acts::find_any(tx, &visible, &named)? {
        Known::Probe(_) => Ok(None),
        Known::Newer(outline) => Ok::<_, Problem>(queries::lines(tx, &visible, &[outline.id])?.pop()),
    });
    if let Some(line) = newer.await? {
        return Ok(HttpResponse::Ok().json(LineView::new(line, &board)));
    }
    Ok(HttpResponse::Ok().json(view(state, caller.visible(), key).await?))
}

/// What is told of the probe of this key.
async fn view(state: &AppState, visible: Visible, key: String) -> Result<ProbeView, Problem> {
    let board = state.prober.board.clone();
    let read = state.store.read(move |tx| {
        let probe = acts::find(tx, &visible, &key)?;
        let known = queries::state(tx, probe.id)?.ok_or_else(|| Problem::not_found("probe"))?;
        let parents = queries::parent_keys(tx, &visible, &probe)?;
        let live = board.get(probe.id);
        Ok::<_, Problem>(ProbeView::new(probe, &known, parents, live))
    });
    read.await
}

fn push_path(token: &Secret) -> String {
    format!("/api/push/{}", token.expose())
}

fn statuses(words: &str) -> Result<Vec<Status>, Problem> {
    let words = words.split(',').map(str::trim).filter(|word| !word.is_empty());
    words
        .map(|word| {
            Status::parse(word).ok_or_else(|| {
                let known: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
                Problem::bad_request(format!("`status` is one or more of {}.", known.join(", ")))
            })
        })
        .collect()
}

fn kind(word: &str) -> Result<Kind, Problem> {
    Kind::parse(word).ok_or_else(|| {
        let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        Problem::bad_request(format!("`kind` is one of {}.", known.join(", ")))
    })
}

fn label(text: &str) -> Result<(String, String), Problem> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| Problem::bad_request("`label` is a name and a value, such as team:payments."))?;
    Ok((name.to_owned(), value.to_owned()))
}
