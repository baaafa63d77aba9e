//! `/api/v1/maintenances`: lists, plans, calls off and removes planned work.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::list::{Asked, Items};
use super::{Json, OrDefault, status_of, uid};
use crate::base::owned::Owner;
use crate::base::{Timestamp, Uid, span};
use crate::http::acts::maintenance::{self as acts, Aim, sees};
use crate::http::auth::Caller;
use crate::http::visible::Slugs;
use crate::http::{AppState, Problem};
use crate::incidents::maintenance::{self, Called, Draft, Maintenance};

/// Occurrences to come that an answer names.
const NEXT_MAX: usize = 5;

#[derive(Serialize)]
struct MaintenanceView {
    id: Uid,
    key: String,
    /// Null: every project.
    project: Option<String>,
    /// Keys of signals; empty: everything of its project.
    subjects: Vec<String>,
    title: String,
    message: String,
    is_public: bool,
    starts_at: Timestamp,
    ends_at: Option<Timestamp>,
    #[serde(with = "span")]
    duration: Duration,
    schedule: Option<String>,
    time_zone: String,
    owner: Owner,
    created_by: String,
    /// What takes place now.
    current: Option<Span>,
    next: Vec<Span>,
    ended_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct Span {
    begins_at: Timestamp,
    ends_at: Timestamp,
}

/// Planned work as a caller wants it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMaintenance {
    key: Option<String>,
    project: Option<String>,
    #[serde(default)]
    subjects: Vec<String>,
    title: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    is_public: bool,
    /// From now on, where it is left out.
    starts_at: Option<Timestamp>,
    ends_at: Option<Timestamp>,
    #[serde(with = "span")]
    duration: Duration,
    schedule: Option<String>,
    #[serde(default = "utc")]
    time_zone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Ending {
    for_good: bool,
}

/// `GET /maintenances`: what is not over first.
pub(super) async fn list(state: web::Data<AppState>, asked: Asked) -> Result<HttpResponse, Problem> {
    let now = state.clock.now();
    let (all, asked) = state
        .store
        .read(move |tx| {
            let visible = asked.visible(tx)?;
            let mut slugs = Slugs::default();
            let seen = maintenance::list(tx, now)?.into_iter().filter(|work| sees(&visible, work));
            let views = seen.map(|work| {
                let project = slugs.of(tx, work.draft.project)?;
                Ok::<_, Problem>(MaintenanceView::new(work, project, now))
            });
            Ok::<_, Problem>((views.collect::<Result<Vec<_>, _>>()?, asked))
        })
        .await?;
    Ok(HttpResponse::Ok().json(Items::part(all, &asked, |work| work.id.to_string())?))
}

/// `POST /maintenances`: the same key again changes it.
pub(super) async fn save(
    state: web::Data<AppState>,
    caller: Caller,
    Json(new): Json<NewMaintenance>,
) -> Result<HttpResponse, Problem> {
    let now = state.clock.now();
    let draft = Draft {
        key: new.key.unwrap_or_else(|| format!("work-{}", state.entropy.uid(now))),
        project: None,
        subjects: new.subjects,
        title: new.title,
        message: new.message,
        is_public: new.is_public,
        starts_at: new.starts_at.unwrap_or(now),
        ends_at: new.ends_at,
        duration_s: u32::try_from(new.duration.as_secs()).unwrap_or(u32::MAX),
        schedule: new.schedule,
        time_zone: new.time_zone,
        owner: Owner::Page,
    };
    let (saved, change) = acts::save(&state, caller, new.project, (draft, Aim::NewOrKnown)).await?;
    answer(&state, saved, &mut HttpResponse::build(status_of(change))).await
}

/// `POST /maintenances/{id}/end`
pub(super) async fn end(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
    OrDefault(ending): OrDefault<Ending>,
) -> Result<HttpResponse, Problem> {
    let called = if ending.for_good { Called::ForGood } else { Called::ThisTime };
    let ended = acts::call_off(&state, caller, uid(&id, "maintenance")?, called).await?;
    answer(&state, ended, &mut HttpResponse::Ok()).await
}

/// `DELETE /maintenances/{id}`
pub(super) async fn remove(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    acts::remove(&state, caller, uid(&id, "maintenance")?).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn answer(
    state: &AppState,
    work: Maintenance,
    response: &mut actix_web::HttpResponseBuilder,
) -> Result<HttpResponse, Problem> {
    let (of, now) = (work.draft.project, state.clock.now());
    let project = state.store.read(move |tx| Slugs::default().of(tx, of)).await?;
    Ok(response.json(MaintenanceView::new(work, project, now)))
}

impl MaintenanceView {
    fn new(work: Maintenance, project: Option<String>, now: Timestamp) -> Self {
        let is_over = work.ended_at.is_some();
        let plan = work.draft.plan().ok().filter(|_| !is_over);
        let show = |one: maintenance::Occurrence| Span { begins_at: one.begins_at, ends_at: one.ends_at };
        let next = plan.iter().flat_map(|plan| plan.upcoming(now).take(NEXT_MAX)).map(show).collect();
        let Draft { key, subjects, title, message, is_public, starts_at, ends_at, .. } = work.draft;
        Self {
            id: work.uid,
            key,
            project,
            subjects,
            title,
            message,
            is_public,
            starts_at,
            ends_at,
            duration: Duration::from_secs(work.draft.duration_s.into()),
            schedule: work.draft.schedule,
            time_zone: work.draft.time_zone,
            owner: work.draft.owner,
            created_by: work.created_by,
            current: work.current.map(show),
            next,
            ended_at: work.ended_at,
        }
    }
}
