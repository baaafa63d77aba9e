//! `/api/v1/probes`: lists, makes, changes, tries, pauses and removes them.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use super::list::{Asked, Items, unknown_cursor};
use super::new_probe::NewProbe;
use super::probe_views::{LineView, ProbeView};
use super::{Json, OrDefault};
use crate::base::{Secret, Timestamp};
use crate::http::acts::probe::{may_ask, may_change};
use crate::http::auth::{Caller, Reader, find_project};
use crate::http::{AppState, Problem};
use crate::probes::queries::{self, Cursor, Filter, list as list_probes};
use crate::probes::{Checked, Definition, Draft, Kind, Owner, Probe, Secrets, Status};
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
    definition: Option<Definition>,
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
    let visible = reader.visible();
    answer(&state, move |tx| find(tx, &visible, &key), StatusCode::OK).await
}

/// `POST /probes`
pub(super) async fn create(
    state: web::Data<AppState>,
    caller: Caller,
    Json(mut new): Json<NewProbe>,
) -> Result<HttpResponse, Problem> {
    let definition = new.definition()?;
    let (probes, by) = (state.prober.probes.clone(), caller.by(state.clock.now()));
    let reachable = may_ask(&state, &definition.target);
    let write = move |tx: &WriteTx<'_>| {
        let project = find_project(tx, &caller.visible(), &new.project)?.id;
        may_change(&caller, project, definition.kind())?;
        reachable?;
        let NewProbe { key, name, secrets, depends_on, .. } = new;
        let (secrets, owner) = (Secrets(secrets), Owner::Page);
        let draft = Draft { key, name, project, definition, secrets, parents: depends_on, owner };
        let id = probes.create(tx, &by, &draft)?;
        let token = match draft.definition.kind() {
            Kind::Push => Some(probes.renew_token(tx, &by, id)?),
            _ => None,
        };
        Ok::<_, Problem>((draft.key, token))
    };
    let (key, token) = state.store.write("probe.create", write).await?;
    let mut view =
        view(&state, move |tx| Ok(queries::find(tx, &crate::accounts::Visible::All, &key)?)).await?;
    view.push_path = token.map(|token| push_path(&token));
    Ok(HttpResponse::Created().json(view))
}

/// `PATCH /probes/{key}`
pub(super) async fn change(
    state: web::Data<AppState>,
    caller: Caller,
    key: web::Path<String>,
    Json(patch): Json<Patch>,
) -> Result<HttpResponse, Problem> {
    let (probes, by, visible) = (state.prober.probes.clone(), caller.by(state.clock.now()), caller.visible());
    let (key, found_key) = (key.clone(), key.into_inner());
    let reachable = patch.definition.as_ref().map_or(Ok(()), |new| may_ask(&state, &new.target));
    let write = move |tx: &WriteTx<'_>| {
        let probe = find(tx, &caller.visible(), &key)?.ok_or_else(|| Problem::not_found("probe"))?;
        may_change(&caller, probe.project, probe.definition.kind())?;
        let draft = patched(tx, &caller, probe, patch)?;
        may_change(&caller, draft.project, draft.definition.kind())?;
        reachable?;
        probes.save(tx, &by, &draft)?;
        Ok::<_, Problem>(())
    };
    state.store.write("probe.update", write).await?;
    answer(&state, move |tx| find(tx, &visible, &found_key), StatusCode::OK).await
}

/// `DELETE /probes/{key}`
pub(super) async fn remove(
    state: web::Data<AppState>,
    caller: Caller,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let probes = state.prober.probes.clone();
    act(&state, caller, key.into_inner(), move |tx, by, probe| {
        Ok(probes.remove(tx, by, probe.id, Owner::Page)?)
    })
    .await?;
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
    let (probes, visible, key) = (state.prober.probes.clone(), caller.visible(), key.into_inner());
    act(&state, caller, key.clone(), move |tx, by, probe| {
        Ok(probes.pause(tx, by, probe.id, wanted.until)?)
    })
    .await?;
    answer(&state, move |tx| find(tx, &visible, &key), StatusCode::OK).await
}

/// `POST /probes/{key}/resume`
pub(super) async fn resume(
    state: web::Data<AppState>,
    caller: Caller,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (probes, visible, key) = (state.prober.probes.clone(), caller.visible(), key.into_inner());
    act(&state, caller, key.clone(), move |tx, by, probe| Ok(probes.resume(tx, by, probe.id)?)).await?;
    answer(&state, move |tx| find(tx, &visible, &key), StatusCode::OK).await
}

/// `POST /probes/{key}/token`: a new address for reports; the one before leads nowhere from now on.
pub(super) async fn renew_token(
    state: web::Data<AppState>,
    caller: Caller,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let probes = state.prober.probes.clone();
    let token =
        act(&state, caller, key.into_inner(), move |tx, by, probe| Ok(probes.renew_token(tx, by, probe.id)?))
            .await?;
    Ok(HttpResponse::Created().json(json!({"push_path": push_path(&token)})))
}

/// `POST /probes/{key}/try`: one run as it is, which counts nothing and stores nothing.
pub(super) async fn try_stored(
    state: web::Data<AppState>,
    caller: Caller,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let probes = state.prober.probes.clone();
    let read = move |tx: &ReadTx<'_>| {
        let probe = find(tx, &caller.visible(), &key)?.ok_or_else(|| Problem::not_found("probe"))?;
        may_change(&caller, probe.project, probe.definition.kind())?;
        let secrets = probes.open(&probe)?;
        let checked = probe.definition.clone().check(&secrets).map_err(crate::probes::Error::from)?;
        Ok::<_, Problem>((checked, secrets, probe.owner))
    };
    let (checked, secrets, owner) = state.store.read(read).await?;
    tried(&state, &checked, secrets, owner).await
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
        may_change(&caller, project, definition.kind())?;
        let found = match &key {
            Some(key) => find(tx, &caller.visible(), key)?,
            None => None,
        };
        if let Some(found) = &found {
            may_change(&caller, found.project, found.definition.kind())?;
        }
        let draft = Draft {
            key: key.unwrap_or_default(),
            name: String::new(),
            project,
            definition,
            secrets: Secrets(secrets),
            parents: Vec::new(),
            owner: Owner::Page,
        };
        let secrets = probes.secrets_of(found.as_ref(), &draft)?;
        let checked = draft.definition.check(&secrets).map_err(crate::probes::Error::from)?;
        Ok::<_, Problem>((checked, secrets))
    };
    let (checked, secrets) = state.store.read(read).await?;
    tried(&state, &checked, secrets, Owner::Page).await
}

async fn tried(
    state: &AppState,
    checked: &Checked,
    secrets: Secrets,
    owner: Owner,
) -> Result<HttpResponse, Problem> {
    if checked.definition.kind() == Kind::Push {
        return Err(Problem::bad_request("Results are reported to this probe: there is nothing to try."));
    }
    let tried = state.prober.try_now(checked, secrets, owner).await?;
    Ok(HttpResponse::Ok().json(tried.shown()))
}

/// Finds the probe of a path and does something to it, in one write.
async fn act<T: Send + 'static>(
    state: &AppState,
    caller: Caller,
    key: String,
    work: impl FnOnce(&WriteTx<'_>, &crate::accounts::By, &Probe) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let by = caller.by(state.clock.now());
    let write = move |tx: &WriteTx<'_>| {
        let probe = find(tx, &caller.visible(), &key)?.ok_or_else(|| Problem::not_found("probe"))?;
        may_change(&caller, probe.project, probe.definition.kind())?;
        work(tx, &by, &probe)
    };
    state.store.write("probe.act", write).await
}

fn patched(tx: &ReadTx<'_>, caller: &Caller, probe: Probe, patch: Patch) -> Result<Draft, Problem> {
    let Patch { name, project, definition, secrets, depends_on } = patch;
    let project = match project {
        Some(named) => find_project(tx, &caller.visible(), &named)?.id,
        None => probe.project,
    };
    let parents = match depends_on {
        Some(keys) => keys,
        None => queries::keys(tx, &probe.parents)?,
    };
    Ok(Draft {
        key: probe.key,
        name: name.unwrap_or(probe.name),
        project,
        definition: definition.unwrap_or(probe.definition),
        secrets: Secrets(secrets),
        parents,
        owner: Owner::Page,
    })
}

fn find(tx: &ReadTx<'_>, visible: &crate::accounts::Visible, key: &str) -> Result<Option<Probe>, Problem> {
    Ok(queries::find(tx, visible, key)?)
}

async fn answer(
    state: &AppState,
    find: impl FnOnce(&ReadTx<'_>) -> Result<Option<Probe>, Problem> + Send + 'static,
    status: StatusCode,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::build(status).json(view(state, find).await?))
}

async fn view(
    state: &AppState,
    find: impl FnOnce(&ReadTx<'_>) -> Result<Option<Probe>, Problem> + Send + 'static,
) -> Result<ProbeView, Problem> {
    let board = state.prober.board.clone();
    let read = state.store.read(move |tx| {
        let probe = find(tx)?.ok_or_else(|| Problem::not_found("probe"))?;
        let known = queries::state(tx, probe.id)?.ok_or_else(|| Problem::not_found("probe"))?;
        let parents = queries::keys(tx, &probe.parents)?;
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
