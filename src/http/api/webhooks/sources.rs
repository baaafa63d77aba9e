//! `/api/v1/webhooks/sources`: lists, makes, changes and removes them, and tells who was turned away.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::changed;
use super::views::SourceView;
use crate::base::{Owner, Secret};
use crate::http::acts::rights::Act;
use crate::http::acts::webhook::{self as acts, Aim, Saver, find_source, find_source_to};
use crate::http::api::Json;
use crate::http::api::list::{Asked, Items};
use crate::http::auth::{Caller, Reader, find_project};
use crate::http::{AppState, Problem};
use crate::store::WriteTx;
use crate::webhooks::queries;
use crate::webhooks::source::Definition;
use crate::webhooks::{SourceDraft, providers};

/// A source as a caller wants it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    key: String,
    /// Nothing: its key.
    name: Option<String>,
    project: String,
    definition: Definition,
    /// The newest first.
    #[serde(default)]
    secrets: Vec<Secret>,
}

/// What a caller changes of a source; what is not named stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Patch {
    name: Option<String>,
    definition: Option<Map<String, Value>>,
    /// That the change was made of.
    version: Option<i64>,
}

/// `GET /webhooks/sources`
pub(super) async fn list(state: web::Data<AppState>, asked: Asked) -> Result<HttpResponse, Problem> {
    let (webhooks, base_url) = (acts::webhooks_of(&state), state.base_url.clone());
    let page = state.store.read(move |tx| {
        let all = queries::sources(tx, &asked.visible(tx)?, None)?;
        let page = Items::part(all, &asked, |line| line.source.key.clone())?;
        let views = page.items.into_iter().map(|line| SourceView::new(&webhooks, &base_url, line));
        Ok::<_, Problem>(Items { items: views.collect(), next_cursor: page.next_cursor })
    });
    Ok(HttpResponse::Ok().json(page.await?))
}

/// `GET /webhooks/sources/{key}`
pub(super) async fn show(
    state: web::Data<AppState>,
    reader: Reader,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(view(&state, &reader.0, key.into_inner()).await?))
}

/// `POST /webhooks/sources`
pub(super) async fn create(
    state: web::Data<AppState>,
    caller: Caller,
    Json(new): Json<New>,
) -> Result<HttpResponse, Problem> {
    let New { key, name, project, definition, secrets } = new;
    let warnings = warnings(&definition.provider, &secrets);
    let (saver, visible, named) = (Saver::new(&state, caller.clone()), caller.visible(), key.clone());
    let write = move |tx: &WriteTx<'_>| {
        let project = find_project(tx, &visible, &project)?.id;
        let name = name.unwrap_or_else(|| key.clone());
        let (secrets, owner) = (Some(secrets), Owner::Page);
        let draft = SourceDraft { key, name, project, definition, secrets, owner };
        saver.source(tx, &draft, Aim::New)?;
        Ok::<_, Problem>(())
    };
    state.store.write("webhook_source.create", write).await?;
    let view = view(&state, &caller, named).await?.warned(warnings);
    Ok(HttpResponse::Created().json(view))
}

/// `PATCH /webhooks/sources/{key}`
pub(super) async fn change(
    state: web::Data<AppState>,
    caller: Caller,
    key: web::Path<String>,
    Json(patch): Json<Patch>,
) -> Result<HttpResponse, Problem> {
    let (saver, asks, named) = (Saver::new(&state, caller.clone()), caller.clone(), key.clone());
    let write = move |tx: &WriteTx<'_>| {
        let Patch { name, definition, version } = patch;
        let known = find_source_to(tx, &asks, Act::Change, &named)?;
        let draft = SourceDraft {
            key: known.key,
            name: name.unwrap_or(known.name),
            project: known.project,
            definition: match definition {
                Some(change) => changed(&known.definition, change)?,
                None => known.definition,
            },
            secrets: None,
            owner: Owner::Page,
        };
        saver.source(tx, &draft, Aim::Known { seen: version })?;
        Ok::<_, Problem>(())
    };
    state.store.write("webhook_source.update", write).await?;
    Ok(HttpResponse::Ok().json(view(&state, &caller, key.into_inner()).await?))
}

/// `DELETE /webhooks/sources/{key}`: with its destinations, and what waits for them.
pub(super) async fn remove(
    state: web::Data<AppState>,
    caller: Caller,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let saver = Saver::new(&state, caller);
    state.store.write("webhook_source.remove", move |tx| saver.remove_source(tx, &key)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `GET /webhooks/sources/{key}/refusals`: the last calls that were turned away, as far as they are written, which takes
/// ten seconds.
pub(super) async fn refusals(
    state: web::Data<AppState>,
    reader: Reader,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let visible = reader.visible();
    let read = state.store.read(move |tx| {
        let source = find_source(tx, &visible, &key)?.source;
        Ok::<_, Problem>(queries::refusals(tx, source.id)?)
    });
    Ok(HttpResponse::Ok().json(Items::of(read.await?, None::<String>)))
}

/// What is told of the source of this key.
pub(super) async fn view(state: &AppState, caller: &Caller, key: String) -> Result<SourceView, Problem> {
    let (webhooks, base_url) = (acts::webhooks_of(state), state.base_url.clone());
    let visible = caller.visible();
    let read = state.store.read(move |tx| {
        let line = find_source(tx, &visible, &key)?;
        Ok::<_, Problem>(SourceView::new(&webhooks, &base_url, line))
    });
    read.await
}

/// Of secrets that are probably not the right ones.
pub(super) fn warnings(provider: &str, secrets: &[Secret]) -> Vec<String> {
    let Some(provider) = providers::find(provider) else { return Vec::new() };
    secrets.iter().filter_map(|secret| provider.secret_warning(secret)).collect()
}
