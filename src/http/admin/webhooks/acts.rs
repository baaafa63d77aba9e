//! The buttons of sources and destinations: secrets added and removed, holding, resuming, deleting.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::source::show_with;
use super::source_form::wrongs_of;
use super::{place, place_of};
use crate::http::acts::Refused;
use crate::http::acts::rights::Act;
use crate::http::acts::webhook::{Saver, Step, act, find_destination, find_source, find_source_to};
use crate::http::admin::form::{Form, Wrongs};
use crate::http::admin::frame::see_other;
use crate::http::{AppState, Problem};
use crate::store::{ReadTx, WriteTx};
use crate::webhooks::Error;

/// `POST /webhooks/{key}/secrets`: the newest from now on.
pub(in crate::http::admin) async fn add_secret(
    state: web::Data<AppState>,
    key: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let (key, secret, seen) = (key.into_inner(), form.fields.secret("secret"), form.seen());
    let (saver, named) = (Saver::new(&state, form.caller()), key.clone());
    let write = move |tx: &WriteTx<'_>| saver.add_secret(tx, (&named, seen), &secret);
    let done = state.store.write("webhook_source.secrets", write).await;
    answer(&state, form, &key, done).await
}

/// `POST /webhooks/{key}/secrets/{place}/remove`: what it signed is refused from now on.
pub(in crate::http::admin) async fn remove_secret(
    state: web::Data<AppState>,
    path: web::Path<(String, usize)>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let ((key, at), seen) = (path.into_inner(), form.seen());
    let (saver, named) = (Saver::new(&state, form.caller()), key.clone());
    let write = move |tx: &WriteTx<'_>| saver.remove_secret(tx, (&named, seen), at);
    let done = state.store.write("webhook_source.secrets", write).await;
    answer(&state, form, &key, done).await
}

async fn answer(
    state: &AppState,
    form: Form,
    key: &str,
    done: Result<(), Refused<Error>>,
) -> Result<HttpResponse, Problem> {
    let wrong = match done {
        Ok(()) => return Ok(see_other(&format!("{}#secrets", place(key)))),
        Err(Refused::Stale(_)) => (StatusCode::CONFLICT, Wrongs::stale("source")),
        Err(refused) => (StatusCode::BAD_REQUEST, wrongs_of(refused)?),
    };
    show_with(state, form.signed_in, key, wrong).await
}

/// `POST /webhooks/{key}/remove`: with its name in `name`, so that nobody deletes another one by mistake.
pub(in crate::http::admin) async fn remove_source(
    state: web::Data<AppState>,
    key: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let (key, caller) = (key.into_inner(), form.caller());
    let find = {
        let key = key.clone();
        move |tx: &ReadTx<'_>| find_source_to(tx, &caller, Act::Remove, &key)
    };
    let source = state.store.read(find).await?;
    if form.text("name") != source.name {
        let text = format!("Write {} here to delete it. Nothing was deleted.", source.name);
        let wrong = (StatusCode::BAD_REQUEST, Wrongs::one("remove", text));
        return show_with(&state, form.signed_in, &key, wrong).await;
    }
    let saver = Saver::new(&state, form.caller());
    state.store.write("webhook_source.remove", move |tx| saver.remove_source(tx, &key)).await?;
    Ok(see_other("/webhooks"))
}

/// `POST /webhooks/{key}/destinations/{to}/{act}`
pub(in crate::http::admin) async fn on_destination(
    state: web::Data<AppState>,
    path: web::Path<(String, String, String)>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let (key, to, word) = path.into_inner();
    let (step, back) = match word.as_str() {
        "hold" => (Step::Hold, place_of(&key, &to)),
        "resume" => (Step::Resume, place_of(&key, &to)),
        "remove" => (Step::Remove, place(&key)),
        _ => return Err(Problem::not_found("page")),
    };
    let (caller, named) = (form.caller(), to.clone());
    let belongs = move |tx: &ReadTx<'_>| of_source(tx, &caller.visible(), (&key, &named)).map(drop);
    state.store.read(belongs).await?;
    act(&state, form.caller(), vec![to], step).await?;
    Ok(see_other(&back))
}

/// A source and one of its destinations; that of another one is none.
pub(super) fn of_source(
    tx: &ReadTx<'_>,
    visible: &crate::accounts::Visible,
    (key, to): (&str, &str),
) -> Result<(crate::webhooks::Source, crate::webhooks::queries::DestinationLine), Problem> {
    let source = find_source(tx, visible, key)?.source;
    let line = find_destination(tx, visible, to)?;
    if line.destination.source != source.id {
        return Err(Problem::not_found("destination of webhooks"));
    }
    Ok((source, line))
}
