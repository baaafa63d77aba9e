//! The buttons of a heartbeat's page: pausing, resuming, deleting it; making the ping key of its project.

use std::sync::Arc;

use actix_web::{HttpResponse, web};

use super::form::Form;
use super::frame::see_other;
use super::heartbeat::find;
use super::heartbeat_edit::project_of;
use crate::accounts::access::{Permission, Subject};
use crate::base::Uid;
use crate::heartbeats::{Owner, keys, save};
use crate::http::{AppState, Problem};

/// What a button of the heartbeat's page does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Pause,
    Resume,
    Delete,
}

/// `POST /heartbeats/{id}/{act}`
pub(super) async fn act(
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let (id, word) = path.into_inner();
    let act = match word.as_str() {
        "pause" => Act::Pause,
        "resume" => Act::Resume,
        "delete" => Act::Delete,
        _ => return Err(Problem::not_found("page")),
    };
    let (signed_in, named) = (form.signed_in.clone(), id.clone());
    let (incidents, now) = (Arc::clone(&state.incidents), state.clock.now());
    state
        .store
        .write("heartbeat.act", move |tx| {
            let found = find(tx, &signed_in, &named)?;
            let caller = signed_in.caller();
            caller.may(Permission::Configure, Subject::Project(found.project))?;
            let by = caller.by(now);
            match act {
                Act::Pause => save::pause(tx, &by, &incidents, found.id)?,
                Act::Resume => save::resume(tx, &by, &incidents, found.id)?,
                Act::Delete => save::remove(tx, &by, &incidents, found.id, Owner::Page)?,
            }
            Ok::<_, Problem>(())
        })
        .await?;
    Ok(see_other(&match act {
        Act::Pause | Act::Resume => format!("/heartbeats/{id}"),
        Act::Delete => "/heartbeats".to_owned(),
    }))
}

/// `POST /heartbeats/ping-key`: the ping key of a project that has none yet.
pub(super) async fn make_key(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    let (caller, named) = (form.caller(), form.text("project").to_owned());
    let (entropy, now) = (state.entropy.clone(), state.clock.now());
    state
        .store
        .write("ping_key.create", move |tx| {
            let project = project_of(tx, &caller, &named)?;
            keys::ensure(tx, &caller.by(now), &entropy, project)?;
            Ok::<_, Problem>(())
        })
        .await?;
    Ok(see_other(&match form.text("to").parse::<Uid>() {
        Ok(heartbeat) => format!("/heartbeats/{heartbeat}#ping"),
        Err(_) => "/heartbeats".to_owned(),
    }))
}
