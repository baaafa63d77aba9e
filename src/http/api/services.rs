//! `/api/v1/services`: lists, makes, changes and removes them.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::list::{Asked, Items};
use super::{Json, status_of};
use crate::health::services::{MemberView, Needs, Service, Settings, queries};
use crate::http::acts::service::{self, Aim, Wanted};
use crate::http::auth::{Caller, Reader};
use crate::http::{AppState, Problem};

/// A service as a caller wants it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewService {
    key: String,
    project: String,
    name: Option<String>,
    #[serde(default = "all")]
    needs: Needs,
    #[serde(default)]
    critical: bool,
    members: Vec<String>,
    #[serde(default)]
    settings: Settings,
    position: Option<u32>,
}

const fn all() -> Needs {
    Needs::All
}

#[derive(serde::Serialize)]
struct ServiceView {
    id: crate::base::Uid,
    key: String,
    project: String,
    name: String,
    needs: Needs,
    critical: bool,
    settings: Settings,
    position: u32,
    owner: crate::base::owned::Owner,
    status: crate::health::services::ServiceStatus,
    since: Option<crate::base::Timestamp>,
    reason: String,
    members: Vec<MemberView>,
}

/// `GET /services`, in their order.
pub(super) async fn list(state: web::Data<AppState>, asked: Asked) -> Result<HttpResponse, Problem> {
    let (all, asked) = state
        .store
        .read(move |tx| {
            let visible = asked.visible(tx)?;
            let all: Vec<_> = queries::list(tx, &visible)?.into_iter().map(ServiceView::new).collect();
            Ok::<_, Problem>((all, asked))
        })
        .await?;
    Ok(HttpResponse::Ok().json(Items::part(all, &asked, |service| service.key.clone())?))
}

/// `GET /services/{key}`
pub(super) async fn show(
    state: web::Data<AppState>,
    reader: Reader,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let visible = reader.visible();
    let found = state.store.read(move |tx| queries::find(tx, &visible, &key).map_err(Problem::from)).await?;
    let found = found.ok_or_else(|| Problem::not_found("service"))?;
    Ok(HttpResponse::Ok().json(ServiceView::new(found)))
}

/// `POST /services`: the same key again changes it.
pub(super) async fn save(
    state: web::Data<AppState>,
    caller: Caller,
    Json(new): Json<NewService>,
) -> Result<HttpResponse, Problem> {
    let NewService { key, project, name, needs, critical, members, settings, position } = new;
    let wanted = Wanted { key, project, name, needs, critical, members, settings, position };
    let (saved, change) = service::save(&state, caller, (wanted, Aim::NewOrKnown)).await?;
    Ok(HttpResponse::build(status_of(change)).json(ServiceView::new(saved)))
}

/// `DELETE /services/{key}`
pub(super) async fn remove(
    state: web::Data<AppState>,
    caller: Caller,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    service::remove(&state, caller, key.into_inner()).await?;
    Ok(HttpResponse::NoContent().finish())
}

impl ServiceView {
    fn new(service: Service) -> Self {
        let Service { uid, key, project_slug, name, needs, critical, settings, position, .. } = service;
        let Service { owner, status, since, reason, members, .. } = service;
        Self {
            id: uid,
            key,
            project: project_slug,
            name,
            needs,
            critical,
            settings,
            position,
            owner,
            status,
            since,
            reason,
            members,
        }
    }
}
