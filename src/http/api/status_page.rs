//! `/api/v1/status-page`: the page that strangers see, and its posts.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::list::{Asked, Items};
use super::{Json, uid};
use crate::accounts::access::{Permission, Subject};
use crate::base::Timestamp;
use crate::http::acts::status_page as acts;
use crate::http::auth::{Caller, Reader};
use crate::http::{AppState, Problem};
use crate::status_page::Draft;
use crate::status_page::posts::{Impact, NewPost, PostChange, Stage};

/// Posts that began longer ago are kept, and no longer listed.
const LISTED_FOR: Duration = Duration::from_hours(24 * 400);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedPost {
    title: String,
    #[serde(default = "minor")]
    impact: Impact,
    #[serde(default)]
    services: Vec<String>,
    began_at: Option<Timestamp>,
    #[serde(default)]
    published: bool,
    #[serde(default = "investigating")]
    stage: Stage,
    text: String,
}

const fn minor() -> Impact {
    Impact::Minor
}

const fn investigating() -> Stage {
    Stage::Investigating
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedChange {
    title: Option<String>,
    impact: Option<Impact>,
    published: Option<bool>,
    stage: Option<Stage>,
    text: Option<String>,
}

/// `GET /status-page`: as it is written, with the ids of its badges.
pub(super) async fn show(state: web::Data<AppState>, reader: Reader) -> Result<HttpResponse, Problem> {
    reader.0.may(Permission::Read, Subject::Instance)?;
    let visible = reader.visible();
    let found = state.store.read(move |tx| acts::find(tx, &visible).map_err(Problem::from)).await?;
    let found = found.ok_or_else(|| Problem::not_found("status page"))?;
    Ok(HttpResponse::Ok().json(found))
}

/// `PUT /status-page`: the whole page.
pub(super) async fn save(
    state: web::Data<AppState>,
    caller: Caller,
    Json(draft): Json<Draft>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(acts::save(&state, caller, (draft, None)).await?))
}

/// `GET /status-page/posts`, the newest first.
pub(super) async fn list(
    state: web::Data<AppState>,
    caller: Caller,
    asked: Asked,
) -> Result<HttpResponse, Problem> {
    caller.may(Permission::Read, Subject::Instance)?;
    let from = state.clock.now() - LISTED_FOR;
    let visible = caller.visible();
    let all = state.store.read(move |tx| acts::posts(tx, &visible, from).map_err(Problem::from)).await?;
    Ok(HttpResponse::Ok().json(Items::part(all, &asked, |post| post.id.to_string())?))
}

/// `POST /status-page/posts`
pub(super) async fn create(
    state: web::Data<AppState>,
    caller: Caller,
    Json(wanted): Json<WantedPost>,
) -> Result<HttpResponse, Problem> {
    let WantedPost { title, impact, services, began_at, published, stage, text } = wanted;
    let began_at = began_at.unwrap_or_else(|| state.clock.now());
    let new = NewPost { incident: None, title, impact, services, began_at, published, stage, text };
    Ok(HttpResponse::Created().json(acts::create_post(&state, caller, new).await?))
}

/// `PATCH /status-page/posts/{id}`
pub(super) async fn change(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
    Json(wanted): Json<WantedChange>,
) -> Result<HttpResponse, Problem> {
    let WantedChange { title, impact, published, stage, text } = wanted;
    let update = match (stage, text) {
        (Some(stage), Some(text)) => Some((stage, text)),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(Problem::bad_request("An update has a `stage` and a `text`: send both, or neither."));
        }
    };
    let change = PostChange { title, impact, published, update };
    Ok(HttpResponse::Ok().json(acts::change_post(&state, caller, uid(&id, "post")?, change).await?))
}

/// `DELETE /status-page/posts/{id}`
pub(super) async fn remove(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    acts::remove_post(&state, caller, uid(&id, "post")?).await?;
    Ok(HttpResponse::NoContent().finish())
}
