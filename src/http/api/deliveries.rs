//! `/api/v1/deliveries`: the outbox, and one message with its proof.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::list::{Items, before, limit};
use super::uid;
use crate::accounts::Visible;
use crate::http::auth::{Caller, find_project};
use crate::http::visible::{Slugs, may_read, scope};
use crate::http::{AppState, Problem};
use crate::incidents::messages;
use crate::incidents::queries::PageOf;

/// The words of `deliveries.state`.
const STATES: [&str; 7] = ["waiting", "pending", "sending", "delivered", "failed", "bundled", "cancelled"];

#[derive(Deserialize)]
pub(super) struct Asked {
    project: Option<String>,
    state: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /deliveries`: newest first.
pub(super) async fn list(
    state: web::Data<AppState>,
    caller: Caller,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    may_read(&caller)?;
    let asked = asked.into_inner();
    let wanted = asked.state.filter(|word| !word.is_empty());
    if wanted.as_deref().is_some_and(|word| !STATES.contains(&word)) {
        return Err(Problem::bad_request(format!("`state` is one of {}.", STATES.join(", "))));
    }
    let page = PageOf { before: before(asked.cursor.as_deref())?, limit: limit(asked.limit.as_deref())? };
    let mut visible = caller.visible();
    let page = state
        .store
        .read(move |tx| {
            if let Some(named) = &asked.project {
                visible = Visible::Only(vec![find_project(tx, &visible, named)?.id]);
            }
            let mut page = messages::list(tx, scope(&visible), wanted.as_deref(), page)?;
            let mut slugs = Slugs::default();
            page.items.iter_mut().try_for_each(|message| slugs.name_delivery(tx, message))?;
            Ok::<_, Problem>(page)
        })
        .await?;
    let next_cursor = page.next.map(|next| next.to_string());
    Ok(HttpResponse::Ok().json(Items { items: page.items, next_cursor }))
}

/// `GET /deliveries/{id}`
pub(super) async fn show(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    may_read(&caller)?;
    let (visible, id) = (caller.visible(), uid(&id, "delivery")?);
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
