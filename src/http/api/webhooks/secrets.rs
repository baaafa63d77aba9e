//! `/api/v1/webhooks/sources/{key}/secrets`: a source gets a new one and loses an old one. None is ever shown.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::sources::{view, warnings};
use crate::base::Secret;
use crate::http::acts::rights::Act;
use crate::http::acts::webhook::{Saver, find_source_to};
use crate::http::api::Json;
use crate::http::auth::Caller;
use crate::http::{AppState, Problem};
use crate::store::WriteTx;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    secret: Secret,
    /// Of the source, that the change was made of.
    version: Option<i64>,
}

#[derive(Deserialize)]
pub(super) struct Seen {
    version: Option<i64>,
}

/// `POST /webhooks/sources/{key}/secrets`: the newest from now on, which signs; those before it are still believed.
pub(super) async fn add(
    state: web::Data<AppState>,
    caller: Caller,
    key: web::Path<String>,
    Json(New { secret, version }): Json<New>,
) -> Result<HttpResponse, Problem> {
    let (saver, asks, named) = (Saver::new(&state, caller.clone()), caller.clone(), key.clone());
    let write = move |tx: &WriteTx<'_>| {
        let provider = find_source_to(tx, &asks, Act::Change, &named)?.definition.provider;
        saver.add_secret(tx, (&named, version), &secret)?;
        Ok::<_, Problem>(warnings(&provider, &[secret]))
    };
    let warnings = state.store.write("webhook_source.add_secret", write).await?;
    let view = view(&state, &caller, key.into_inner()).await?.warned(warnings);
    Ok(HttpResponse::Created().json(view))
}

/// `DELETE /webhooks/sources/{key}/secrets/{place}`: what it signed is refused from now on.
pub(super) async fn remove(
    state: web::Data<AppState>,
    caller: Caller,
    path: web::Path<(String, String)>,
    seen: web::Query<Seen>,
) -> Result<HttpResponse, Problem> {
    let (key, place) = path.into_inner();
    let no_secret = || Problem::not_found("secret of this source");
    let (saver, named) = (Saver::new(&state, caller.clone()), key.clone());
    let write = move |tx: &WriteTx<'_>| {
        let place = place.parse::<usize>().map_err(|_| no_secret())?;
        saver.remove_secret(tx, (&named, seen.version), place)?;
        Ok::<_, Problem>(())
    };
    state.store.write("webhook_source.remove_secret", write).await?;
    Ok(HttpResponse::Ok().json(view(&state, &caller, key).await?))
}
