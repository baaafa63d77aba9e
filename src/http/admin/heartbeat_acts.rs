//! The buttons of a heartbeat's page: pausing, resuming, deleting it, renewing its address; making the ping key of its
//! project.

use actix_web::{HttpResponse, web};

use super::form::Form;
use super::frame::see_other;
use crate::base::Uid;
use crate::http::acts::heartbeat::{self as acts, Step};
use crate::http::{AppState, Problem};

/// `POST /heartbeats/{id}/{act}`
pub(super) async fn act(
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let (id, word) = path.into_inner();
    let (step, back) = match word.as_str() {
        "pause" => (Step::Pause, format!("/heartbeats/{id}")),
        "resume" => (Step::Resume, format!("/heartbeats/{id}")),
        "renew-address" => (Step::RenewAddress, format!("/heartbeats/{id}#ping")),
        "delete" => (Step::Remove, "/heartbeats".to_owned()),
        _ => return Err(Problem::not_found("page")),
    };
    acts::act(&state, form.caller(), vec![id], step).await?;
    Ok(see_other(&back))
}

/// `POST /heartbeats/ping-key`: the ping key of a project that has none yet.
pub(super) async fn make_key(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    acts::ping_key(&state, form.caller(), form.text("project").to_owned(), false).await?;
    Ok(see_other(&match form.text("to").parse::<Uid>() {
        Ok(heartbeat) => format!("/heartbeats/{heartbeat}#ping"),
        Err(_) => "/heartbeats".to_owned(),
    }))
}
