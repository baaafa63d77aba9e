//! `GET /api/v1/projects`.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::list::{Items, limit};
use crate::accounts::projects;
use crate::http::auth::Caller;
use crate::http::visible::may_read;
use crate::http::{AppState, Problem};

#[derive(Deserialize)]
pub(super) struct Asked {
    limit: Option<String>,
    cursor: Option<String>,
}

/// The projects that the caller may see, by name; archived ones are left out.
pub(super) async fn list(
    state: web::Data<AppState>,
    caller: Caller,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    may_read(&caller)?;
    let limit = limit(asked.limit.as_deref())?;
    let visible = caller.visible();
    let all = state.store.read(move |tx| projects::list(tx, &visible)).await?;
    let page = Items::part(all, asked.cursor.as_deref(), limit, |project| project.id.to_string())?;
    Ok(HttpResponse::Ok().json(page))
}
