//! `/api/v1/deliveries`: the outbox, and one message with its proof.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::list::{Asked, Items};
use super::uid;
use crate::http::auth::Reader;
use crate::http::visible::{Slugs, scope};
use crate::http::{AppState, Problem};
use crate::incidents::{DeliveryState, messages};

#[derive(Deserialize)]
pub(super) struct Filter {
    state: Option<String>,
}

/// `GET /deliveries`: newest first.
pub(super) async fn list(
    state: web::Data<AppState>,
    asked: Asked,
    filter: web::Query<Filter>,
) -> Result<HttpResponse, Problem> {
    let wanted = filter.into_inner().state.filter(|word| !word.is_empty());
    let wanted = wanted.map(|word| DeliveryState::parse(&word).ok_or_else(not_a_state)).transpose()?;
    let page = asked.page()?;
    let page = state
        .store
        .read(move |tx| {
            let mut page = messages::list(tx, scope(&asked.visible(tx)?), wanted.as_slice(), page)?;
            let mut slugs = Slugs::default();
            page.items.iter_mut().try_for_each(|message| slugs.name_delivery(tx, message))?;
            Ok::<_, Problem>(page)
        })
        .await?;
    Ok(HttpResponse::Ok().json(Items::of(page.items, page.next)))
}

fn not_a_state() -> Problem {
    let words = DeliveryState::ALL.map(DeliveryState::as_str).join(", ");
    Problem::bad_request(format!("`state` is one of {words}."))
}

/// `GET /deliveries/{id}`
pub(super) async fn show(
    state: web::Data<AppState>,
    reader: Reader,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (visible, id) = (reader.visible(), uid(&id, "delivery")?);
    let message = state
        .store
        .read(move |tx| {
            let found = messages::find(tx, scope(&visible), id)?;
            let mut message = found.ok_or_else(|| Problem::not_found("delivery"))?;
            Slugs::default().name_delivery(tx, &mut message.delivery)?;
            Ok::<_, Problem>(message)
        })
        .await?;
    Ok(HttpResponse::Ok().json(message))
}
