//! `GET /api/v1/silences`.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::list::{Items, limit};
use crate::base::{Timestamp, Uid};
use crate::http::auth::Caller;
use crate::http::visible::{Slugs, may_read, sees_silence};
use crate::http::{AppState, Problem};
use crate::incidents::silences::{self, Silence};

#[derive(Deserialize)]
pub(super) struct Asked {
    limit: Option<String>,
    cursor: Option<String>,
}

/// A silence. `project` null: every project; `key` null: every key.
#[derive(Serialize)]
struct SilenceView {
    id: Uid,
    project: Option<String>,
    key: Option<String>,
    reason: String,
    created_by: String,
    starts_at: Timestamp,
    ends_at: Timestamp,
    ended_at: Option<Timestamp>,
}

/// Those that have not ended first, then the newest.
pub(super) async fn list(
    state: web::Data<AppState>,
    caller: Caller,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    may_read(&caller)?;
    let limit = limit(asked.limit.as_deref())?;
    let visible = caller.visible();
    let all = state
        .store
        .read(move |tx| {
            let mut slugs = Slugs::default();
            let seen = silences::list(tx)?.into_iter().filter(|silence| sees_silence(&visible, silence));
            seen.map(|silence| {
                let project = slugs.of(tx, silence.project)?;
                Ok::<_, Problem>(SilenceView::new(silence, project))
            })
            .collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let page = Items::part(all, asked.cursor.as_deref(), limit, |silence| silence.id.to_string())?;
    Ok(HttpResponse::Ok().json(page))
}

impl SilenceView {
    fn new(silence: Silence, project: Option<String>) -> Self {
        let Silence { uid, key, reason, created_by, starts_at, ends_at, ended_at, id: _, project: _ } =
            silence;
        Self { id: uid, project, key, reason, created_by, starts_at, ends_at, ended_at }
    }
}
