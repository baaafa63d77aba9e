//! `/api/v1/incidents`: lists, one incident with its proof, acknowledge, resolve.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::Value;

use super::list::{Items, before, limit};
use super::uid;
use crate::accounts::Visible;
use crate::accounts::access::Permission;
use crate::accounts::audit::{self, Change};
use crate::http::auth::{Caller, find_project};
use crate::http::visible::{Slugs, may_read, scope, subject};
use crate::http::{AppState, Problem};
use crate::incidents::queries::{self, PageOf, StateFilter};
use crate::incidents::views::IncidentView;
use crate::incidents::{IncidentId, IncidentState};

#[derive(Deserialize)]
pub(super) struct Asked {
    project: Option<String>,
    state: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /incidents`: newest first.
pub(super) async fn list(
    state: web::Data<AppState>,
    caller: Caller,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    may_read(&caller)?;
    let asked = asked.into_inner();
    let filter = state_filter(asked.state.as_deref())?;
    let page = PageOf { before: before(asked.cursor.as_deref())?, limit: limit(asked.limit.as_deref())? };
    let mut visible = caller.visible();
    let page = state
        .store
        .read(move |tx| {
            if let Some(named) = &asked.project {
                visible = Visible::Only(vec![find_project(tx, &visible, named)?.id]);
            }
            let mut page = queries::list(tx, scope(&visible), filter, page)?;
            let mut slugs = Slugs::default();
            page.items.iter_mut().try_for_each(|incident| slugs.name_incident(tx, incident))?;
            Ok::<_, Problem>(page)
        })
        .await?;
    let next_cursor = page.next.map(|next| next.to_string());
    Ok(HttpResponse::Ok().json(Items { items: page.items, next_cursor }))
}

/// `GET /incidents/{id}`: with its timeline, and every message with its proof.
pub(super) async fn show(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    may_read(&caller)?;
    let (visible, id) = (caller.visible(), uid(&id, "incident")?);
    let page = state
        .store
        .read(move |tx| {
            let found = queries::find_page(tx, scope(&visible), id)?;
            let mut page = found.ok_or_else(|| Problem::not_found("incident"))?;
            let mut slugs = Slugs::default();
            slugs.name_incident(tx, &mut page.incident)?;
            for message in &mut page.deliveries {
                slugs.name_delivery(tx, &mut message.delivery)?;
            }
            Ok::<_, Problem>(page)
        })
        .await?;
    Ok(HttpResponse::Ok().json(page))
}

/// What a person does to an incident.
#[derive(Clone, Copy)]
enum Act {
    Acknowledge,
    Resolve,
}

/// `POST /incidents/{id}/acknowledge`: who acknowledged first stays named.
pub(super) async fn acknowledge(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    act(&state, caller, &id, Act::Acknowledge).await
}

/// `POST /incidents/{id}/resolve`: by hand, whatever still fires.
pub(super) async fn resolve(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    act(&state, caller, &id, Act::Resolve).await
}

async fn act(state: &AppState, caller: Caller, id: &str, act: Act) -> Result<HttpResponse, Problem> {
    let (id, now) = (uid(id, "incident")?, state.clock.now());
    let incidents = Arc::clone(&state.incidents);
    let changed: IncidentView = state
        .store
        .write("incident.act", move |tx| {
            let visible = caller.visible();
            let missing = || Problem::not_found("incident");
            let before = queries::find(tx, scope(&visible), id)?.ok_or_else(missing)?;
            caller.may(Permission::Triage, subject(before.project_id))?;
            let (by, number) = (caller.by(now), IncidentId(before.number));
            let name = by.actor.to_string();
            let action = match act {
                Act::Acknowledge => {
                    incidents.acknowledge(tx, now, number, &name).map(|_| "incident.acknowledge")
                }
                Act::Resolve => incidents.resolve(tx, now, number, &name).map(|()| "incident.resolve"),
            }?;
            let subject = format!("#{}", before.number);
            let change =
                Change { action, subject: &subject, project: before.project_id, detail: Value::Null };
            audit::append(tx, &by, &change)?;
            let mut after = queries::find(tx, scope(&visible), id)?.ok_or_else(missing)?;
            Slugs::default().name_incident(tx, &mut after)?;
            Ok::<_, Problem>(after)
        })
        .await?;
    Ok(HttpResponse::Ok().json(changed))
}

fn state_filter(word: Option<&str>) -> Result<StateFilter, Problem> {
    match word {
        None | Some("") => Ok(StateFilter::Any),
        Some("unresolved") => Ok(StateFilter::Unresolved),
        Some(word) => IncidentState::parse(word).map(StateFilter::Only).ok_or_else(|| {
            Problem::bad_request("`state` is one of open, acknowledged, resolved, unresolved.")
        }),
    }
}
