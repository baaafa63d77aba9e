//! `/api/v1/events` and the events of an issue.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::list::{Asked, Items};
use super::uid;
use crate::base::EventId;
use crate::http::auth::{Reader, find_project};
use crate::http::{AppState, Problem};
use crate::issues::queries::{Found, find_event, find_issue, list_events};

#[derive(Deserialize)]
pub(super) struct Where {
    project: Option<String>,
}

/// `GET /issues/{id}/events`: the stored ones, newest first.
pub(super) async fn list(
    state: web::Data<AppState>,
    asked: Asked,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (id, page) = (uid(&id, "issue")?, asked.page()?);
    let items = state
        .store
        .read(move |tx| {
            let issue =
                find_issue(tx, &asked.visible(tx)?, id)?.ok_or_else(|| Problem::not_found("issue"))?;
            Ok::<_, Problem>(list_events(tx, &issue, page.before, page.limit + 1)?)
        })
        .await?;
    Ok(HttpResponse::Ok().json(Items::first(items, page.limit, |event| event.seq.to_string())))
}

/// `GET /events/{event_id}`, with `?project=` where an id exists twice.
pub(super) async fn show(
    state: web::Data<AppState>,
    reader: Reader,
    id: web::Path<String>,
    asked: web::Query<Where>,
) -> Result<HttpResponse, Problem> {
    let event = EventId::parse(&id).ok_or_else(|| Problem::not_found("event"))?;
    let (visible, named, recent) = (reader.visible(), asked.into_inner().project, state.recent.clone());
    let found = state
        .store
        .read(move |tx| {
            let project = named.map(|named| find_project(tx, &visible, &named)).transpose()?;
            Ok::<_, Problem>(find_event(tx, &recent, &visible, project.map(|project| project.id), event)?)
        })
        .await?;
    match found {
        Found::Event(event) => Ok(HttpResponse::Ok().json(event)),
        Found::Sampled => {
            let mut problem = Problem::not_found("event");
            "This event was counted in its issue, but its payload was not kept: the issue has enough of them. \
             The ledger counts it as sampled."
                .clone_into(&mut problem.detail);
            Err(problem)
        }
        Found::Unknown => Err(Problem::not_found("event")),
    }
}
