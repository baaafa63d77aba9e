//! `/api/v1/silences`: lists, begins and ends them.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::list::{Asked, Items};
use super::{Json, uid};
use crate::base::{Timestamp, Uid};
use crate::http::acts::silence::{self, Lasting, Wanted};
use crate::http::auth::Caller;
use crate::http::visible::{Slugs, sees_silence};
use crate::http::{AppState, Problem};
use crate::incidents::silences::{self, Silence};

/// A silence. `project` null: every project; `key` null: every key; `incident` not null: that incident alone.
#[derive(Serialize)]
struct SilenceView {
    id: Uid,
    project: Option<String>,
    key: Option<String>,
    incident: Option<Uid>,
    reason: String,
    created_by: String,
    starts_at: Timestamp,
    ends_at: Timestamp,
    ended_at: Option<Timestamp>,
}

/// What a caller wants silent, from now on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSilence {
    project: Option<String>,
    key: Option<String>,
    /// Anything at first: what is no number of hours is told as one that is too large.
    hours: Option<Value>,
    reason: Option<String>,
}

/// `GET /silences`: those that have not ended first, then the newest.
pub(super) async fn list(state: web::Data<AppState>, asked: Asked) -> Result<HttpResponse, Problem> {
    let (all, asked) = state
        .store
        .read(move |tx| {
            let visible = asked.visible(tx)?;
            let mut slugs = Slugs::default();
            let seen = silences::list(tx)?.into_iter().filter(|silence| sees_silence(&visible, silence));
            let named = seen.map(|silence| {
                let project = slugs.of(tx, silence.project)?;
                Ok::<_, Problem>(SilenceView::new(silence, project))
            });
            Ok::<_, Problem>((named.collect::<Result<Vec<_>, _>>()?, asked))
        })
        .await?;
    Ok(HttpResponse::Ok().json(Items::part(all, &asked, |silence| silence.id.to_string())?))
}

/// `POST /silences`
pub(super) async fn begin(
    state: web::Data<AppState>,
    caller: Caller,
    Json(wanted): Json<NewSilence>,
) -> Result<HttpResponse, Problem> {
    let NewSilence { project, key, hours, reason } = wanted;
    let lasting =
        Lasting::new(hours.as_ref().and_then(Value::as_u64), reason.as_deref().unwrap_or_default())?;
    let begun = silence::begin(&state, caller, Wanted { project, key, lasting }).await?;
    answer(&state, begun, StatusCode::CREATED).await
}

/// `POST /silences/{id}/end`
pub(super) async fn end(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let ended = silence::end(&state, caller, uid(&id, "silence")?).await?;
    answer(&state, ended, StatusCode::OK).await
}

async fn answer(state: &AppState, silence: Silence, status: StatusCode) -> Result<HttpResponse, Problem> {
    let of = silence.project;
    let project = state.store.read(move |tx| Slugs::default().of(tx, of)).await?;
    Ok(HttpResponse::build(status).json(SilenceView::new(silence, project)))
}

impl SilenceView {
    fn new(silence: Silence, project: Option<String>) -> Self {
        let Silence { uid, key, incident, reason, created_by, starts_at, ends_at, ended_at, .. } = silence;
        let incident = incident.map(|(_, incident)| incident);
        Self { id: uid, project, key, incident, reason, created_by, starts_at, ends_at, ended_at }
    }
}
