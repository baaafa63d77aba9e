//! `/api/v1/webhooks/destinations`: lists, makes, changes, holds and removes them.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::views::DestinationView;
use super::{changed, given};
use crate::base::{Owner, Secret, Timestamp};
use crate::http::acts::rights::Act;
use crate::http::acts::webhook::{
    self as acts, Aim, Saver, Step, find_destination, find_destination_to, find_source,
};
use crate::http::api::Json;
use crate::http::api::list::{Asked, Items};
use crate::http::auth::{Caller, Reader};
use crate::http::visible::Slugs;
use crate::http::{AppState, Problem};
use crate::store::{ReadTx, WriteTx};
use crate::webhooks::DestinationDraft;
use crate::webhooks::destination::Definition;
use crate::webhooks::queries::{self, DestinationLine, Names};
use crate::webhooks::secrets::Secrets;

/// Which destinations a list shows.
#[derive(Deserialize)]
pub(super) struct Words {
    source: Option<String>,
}

/// A destination as a caller wants it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    key: String,
    /// Nothing: its key.
    name: Option<String>,
    source: String,
    definition: Definition,
    #[serde(default)]
    secrets: BTreeMap<String, Secret>,
}

/// What a caller changes of a destination; what is not named stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Patch {
    name: Option<String>,
    definition: Option<Map<String, Value>>,
    #[serde(default)]
    secrets: BTreeMap<String, Secret>,
    /// That the change was made of.
    version: Option<i64>,
}

/// What the figures of a destination sum up.
const FIGURES_OF: Duration = Duration::from_hours(24);

/// `GET /webhooks/destinations`
pub(super) async fn list(
    state: web::Data<AppState>,
    asked: Asked,
    words: web::Query<Words>,
) -> Result<HttpResponse, Problem> {
    let (source, since) = (given(words.into_inner().source), state.clock.now() - FIGURES_OF);
    let read = move |tx: &ReadTx<'_>| {
        let visible = asked.visible(tx)?;
        let source = source.map(|key| find_source(tx, &visible, &key)).transpose()?;
        let source = source.map(|line| line.source.id);
        let keys = queries::destination_keys(tx, &visible, source)?;
        let page = Items::part(keys, &asked, Clone::clone)?;
        let mut looked_up = (Names::default(), Slugs::default());
        let lines = page.items.iter().map(|key| {
            let line = find_destination(tx, &visible, key)?;
            view_of(tx, &mut looked_up, line, since)
        });
        let items = lines.collect::<Result<Vec<_>, Problem>>()?;
        Ok::<_, Problem>(Items { items, next_cursor: page.next_cursor })
    };
    Ok(HttpResponse::Ok().json(state.store.read(read).await?))
}

/// `GET /webhooks/destinations/{key}`
pub(super) async fn show(
    state: web::Data<AppState>,
    reader: Reader,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(view(&state, &reader.0, key.into_inner()).await?))
}

/// `POST /webhooks/destinations`
pub(super) async fn create(
    state: web::Data<AppState>,
    caller: Caller,
    Json(new): Json<New>,
) -> Result<HttpResponse, Problem> {
    let New { key, name, source, definition, secrets } = new;
    let (saver, visible, named) = (Saver::new(&state, caller.clone()), caller.visible(), key.clone());
    let write = move |tx: &WriteTx<'_>| {
        let source = find_source(tx, &visible, &source)?.source;
        let name = name.unwrap_or_else(|| key.clone());
        let (secrets, owner) = (Secrets(secrets), Owner::Page);
        let draft = DestinationDraft { key, name, source: source.id, definition, secrets, owner };
        saver.destination(tx, (&draft, source.project), Aim::New)?;
        Ok::<_, Problem>(())
    };
    state.store.write("webhook_destination.create", write).await?;
    Ok(HttpResponse::Created().json(view(&state, &caller, named).await?))
}

/// `PATCH /webhooks/destinations/{key}`
pub(super) async fn change(
    state: web::Data<AppState>,
    caller: Caller,
    key: web::Path<String>,
    Json(patch): Json<Patch>,
) -> Result<HttpResponse, Problem> {
    let (saver, asks, named) = (Saver::new(&state, caller.clone()), caller.clone(), key.clone());
    let write = move |tx: &WriteTx<'_>| {
        let Patch { name, definition, secrets, version } = patch;
        let known = find_destination_to(tx, &asks, Act::Change, &named)?;
        let draft = DestinationDraft {
            key: known.key,
            name: name.unwrap_or(known.name),
            source: known.source,
            definition: match definition {
                Some(change) => changed(&known.definition, change)?,
                None => known.definition,
            },
            secrets: Secrets(secrets),
            owner: Owner::Page,
        };
        saver.destination(tx, (&draft, known.project), Aim::Known { seen: version })?;
        Ok::<_, Problem>(())
    };
    state.store.write("webhook_destination.update", write).await?;
    Ok(HttpResponse::Ok().json(view(&state, &caller, key.into_inner()).await?))
}

/// `DELETE /webhooks/destinations/{key}`: what waits for it is not sent.
pub(super) async fn remove(
    state: web::Data<AppState>,
    caller: Caller,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    acts::act(&state, caller, vec![key.into_inner()], Step::Remove).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /webhooks/destinations/{key}/hold`: nothing is sent, and everything waits.
pub(super) async fn hold(
    state: web::Data<AppState>,
    caller: Caller,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    step(&state, caller, key.into_inner(), Step::Hold).await
}

/// `POST /webhooks/destinations/{key}/resume`
pub(super) async fn resume(
    state: web::Data<AppState>,
    caller: Caller,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    step(&state, caller, key.into_inner(), Step::Resume).await
}

async fn step(state: &AppState, caller: Caller, key: String, step: Step) -> Result<HttpResponse, Problem> {
    acts::act(state, caller.clone(), vec![key.clone()], step).await?;
    Ok(HttpResponse::Ok().json(view(state, &caller, key).await?))
}

/// What is told of the destination of this key.
async fn view(state: &AppState, caller: &Caller, key: String) -> Result<DestinationView, Problem> {
    let (visible, since) = (caller.visible(), state.clock.now() - FIGURES_OF);
    let read = state.store.read(move |tx| {
        let line = find_destination(tx, &visible, &key)?;
        view_of(tx, &mut Default::default(), line, since)
    });
    read.await
}

fn view_of(
    tx: &ReadTx<'_>,
    (names, slugs): &mut (Names, Slugs),
    line: DestinationLine,
    since: Timestamp,
) -> Result<DestinationView, Problem> {
    let id = line.destination.id;
    let source = names.source(tx, line.destination.source)?;
    let project = slugs.of(tx, Some(line.destination.project))?;
    let (figures, oldest_due_at) = (queries::figures(tx, id, since)?, queries::oldest_due(tx, id)?);
    Ok(DestinationView::new(line, (source, project), figures, oldest_due_at))
}
