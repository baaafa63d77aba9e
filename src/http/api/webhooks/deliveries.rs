//! `/api/v1/webhooks/deliveries`: above all those that died, and what people do with one.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::views::DeskView;
use super::{given, status};
use crate::http::acts::webhook::{
    DeliveryStep, act_on_delivery, find_delivery, find_destination, find_source,
};
use crate::http::api::list::{Asked, Items};
use crate::http::api::uid;
use crate::http::auth::{Caller, Reader};
use crate::http::{AppState, Problem};
use crate::store::ReadTx;
use crate::webhooks::DeliveryStatus;
use crate::webhooks::queries::{self, DeskFilter, Which};

/// Which deliveries a list shows.
#[derive(Deserialize)]
pub(super) struct Words {
    source: Option<String>,
    destination: Option<String>,
    status: Option<String>,
    /// Of dead letters.
    settled: Option<bool>,
}

/// `GET /webhooks/deliveries`: the newest first.
pub(super) async fn list(
    state: web::Data<AppState>,
    asked: Asked,
    words: web::Query<Words>,
) -> Result<HttpResponse, Problem> {
    let Words { source, destination, status, settled } = words.into_inner();
    let which = which(given(status).as_deref().map(self::status).transpose()?, settled)?;
    let (source, destination, before) = (given(source), given(destination), asked.page()?.before);
    let read = move |tx: &ReadTx<'_>| {
        let visible = asked.visible(tx)?;
        let source = source.map(|key| find_source(tx, &visible, &key)).transpose()?;
        let destination = destination.map(|key| find_destination(tx, &visible, &key)).transpose()?;
        let filter = DeskFilter {
            visible,
            source: source.map(|line| line.source.id),
            destination: destination.map(|line| line.destination.id),
            which,
            before,
            limit: asked.limit,
        };
        Ok::<_, Problem>(queries::desk(tx, &filter)?)
    };
    let page = state.store.read(read).await?;
    let items = page.items.into_iter().map(|line| DeskView::new(line, None)).collect();
    Ok(HttpResponse::Ok().json(Items::of(items, page.next)))
}

fn which(status: Option<DeliveryStatus>, settled: Option<bool>) -> Result<Which, Problem> {
    match (status, settled) {
        (None, None) => Ok(Which::Any),
        (Some(DeliveryStatus::DeadLetter), settled) => Ok(Which::Dead { settled: settled.unwrap_or(false) }),
        (None, Some(settled)) => Ok(Which::Dead { settled }),
        (Some(status), None) => Ok(Which::Status(status)),
        (Some(_), Some(_)) => Err(Problem::bad_request(
            "`settled` is asked of dead letters alone: leave it out, or say `status=dead_letter`.",
        )),
    }
}

/// `GET /webhooks/deliveries/{id}`: with its attempts.
pub(super) async fn show(
    state: web::Data<AppState>,
    reader: Reader,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (visible, id) = (reader.visible(), uid(&id, "delivery of a webhook")?);
    let read = move |tx: &ReadTx<'_>| {
        let (found, line) = find_delivery(tx, &visible, id)?;
        let attempts = queries::attempts(tx, found.0)?;
        Ok::<_, Problem>(DeskView::new(line, Some(attempts)))
    };
    Ok(HttpResponse::Ok().json(state.store.read(read).await?))
}

/// `POST /webhooks/deliveries/{id}/replay`: sends it anew, whole deadline before it.
pub(super) async fn replay(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    step(&state, caller, &id, DeliveryStep::Replay).await
}

/// `POST /webhooks/deliveries/{id}/settle`: a dead letter is dealt with.
pub(super) async fn settle(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    step(&state, caller, &id, DeliveryStep::Settle).await
}

/// `POST /webhooks/deliveries/{id}/reopen`: it is not, after all.
pub(super) async fn reopen(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    step(&state, caller, &id, DeliveryStep::Reopen).await
}

async fn step(
    state: &AppState,
    caller: Caller,
    id: &str,
    step: DeliveryStep,
) -> Result<HttpResponse, Problem> {
    let line = act_on_delivery(state, caller, uid(id, "delivery of a webhook")?, step).await?;
    Ok(HttpResponse::Ok().json(DeskView::new(line, None)))
}
