//! `GET /api/v1/tasks`: the background tasks of this process.

use actix_web::{HttpResponse, web};

use super::list::Items;
use crate::accounts::access::{Permission, Subject};
use crate::http::auth::Caller;
use crate::http::{AppState, Problem};

/// All of them; the table is one page.
pub(super) async fn list(state: web::Data<AppState>, caller: Caller) -> Result<HttpResponse, Problem> {
    caller.may(Permission::ManageInstance, Subject::Instance)?;
    Ok(HttpResponse::Ok().json(Items { items: state.engine.status(), next_cursor: None }))
}
