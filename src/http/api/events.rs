//! `/api/v1/events` and the events of an issue.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::list::{Items, before, limit};
use super::uid;
use crate::base::EventId;
use crate::http::auth::{Caller, find_project};
use crate::http::visible::may_read;
use crate::http::{AppState, Problem};
use crate::issues::queries::{Found, find_event, find_issue, list_events};

#[derive(Deserialize)]
pub(super) struct Asked {
    limit: Option<String>,
    cursor: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Where {
    project: Option<String>,
}

/// `GET /issues/{id}/events`: the stored ones, newest first.
pub(super) async fn list(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    may_read(&caller)?;
    let (visible, id) = (caller.visible(), uid(&id, "issue")?);
    let (limit, before) = (limit(asked.limit.as_deref())?, before(asked.cursor.as_deref())?);
    let mut items = state
        .store
        .read(move |tx| {
            let issue = find_issue(tx, &visible, id)?.ok_or_else(|| Problem::not_found("issue"))?;
            Ok::<_, Problem>(list_events(tx, &issue, before, limit + 1)?)
        })
        .await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| more).map(|event| event.seq.to_string());
    Ok(HttpResponse::Ok().json(Items { items, next_cursor }))
}

/// `GET /events/{event_id}`, with `?project=` where an id exists twice.
pub(super) async fn show(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
    asked: web::Query<Where>,
) -> Result<HttpResponse, Problem> {
    may_read(&caller)?;
    let event = EventId::parse(&id).ok_or_else(|| Problem::not_found("event"))?;
    let (visible, named, recent) = (caller.visible(), asked.into_inner().project, state.recent.clone());
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
