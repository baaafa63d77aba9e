//! `/api/v1/incidents`: lists, one incident with its proof, acknowledge, silence, resolve.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::Value;

use super::list::{Asked, Items};
use super::{Json, uid};
use crate::http::acts::incident::{Act, act};
use crate::http::acts::silence::Lasting;
use crate::http::auth::{Caller, Reader};
use crate::http::visible::{Slugs, scope};
use crate::http::{AppState, Problem};
use crate::incidents::IncidentState;
use crate::incidents::queries::{self, StateFilter};

#[derive(Deserialize)]
pub(super) struct Filter {
    state: Option<String>,
}

/// `GET /incidents`: newest first.
pub(super) async fn list(
    state: web::Data<AppState>,
    asked: Asked,
    filter: web::Query<Filter>,
) -> Result<HttpResponse, Problem> {
    let (filter, page) = (state_filter(filter.state.as_deref())?, asked.page()?);
    let page = state
        .store
        .read(move |tx| {
            let mut page = queries::list(tx, scope(&asked.visible(tx)?), filter, page)?;
            let mut slugs = Slugs::default();
            page.items.iter_mut().try_for_each(|incident| slugs.name_incident(tx, incident))?;
            Ok::<_, Problem>(page)
        })
        .await?;
    Ok(HttpResponse::Ok().json(Items::of(page.items, page.next)))
}

/// `GET /incidents/{id}`: with its timeline, and every message with its proof.
pub(super) async fn show(
    state: web::Data<AppState>,
    reader: Reader,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (visible, id) = (reader.visible(), uid(&id, "incident")?);
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

/// `POST /incidents/{id}/acknowledge`: who acknowledged first stays named.
pub(super) async fn acknowledge(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(act(&state, caller, uid(&id, "incident")?, Act::Acknowledge).await?))
}

/// `POST /incidents/{id}/unacknowledge`: it rings again.
pub(super) async fn unacknowledge(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(act(&state, caller, uid(&id, "incident")?, Act::Unacknowledge).await?))
}

/// `POST /incidents/{id}/resolve`: by hand, whatever still fires.
pub(super) async fn resolve(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(act(&state, caller, uid(&id, "incident")?, Act::Resolve).await?))
}

/// How long an incident is to be silent, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Silenced {
    /// Anything at first: what is no number of hours is told as one that is too large.
    hours: Option<Value>,
    reason: Option<String>,
}

/// `POST /incidents/{id}/silence`: the incident, with what joins it later, while it lasts.
pub(super) async fn silence(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
    Json(Silenced { hours, reason }): Json<Silenced>,
) -> Result<HttpResponse, Problem> {
    let lasting =
        Lasting::new(hours.as_ref().and_then(Value::as_u64), reason.as_deref().unwrap_or_default())?;
    let silence = Act::Silence(lasting);
    Ok(HttpResponse::Ok().json(act(&state, caller, uid(&id, "incident")?, silence).await?))
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
