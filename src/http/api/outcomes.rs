//! `GET /api/v1/outcomes`: the ledger, what was not kept.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::list::limit;
use crate::accounts::Visible;
use crate::base::Timestamp;
use crate::http::auth::{Caller, find_project};
use crate::http::visible::{ledger_projects, may_read};
use crate::http::{AppState, Problem};
use crate::ledger;

#[derive(Deserialize)]
pub(super) struct Asked {
    project: Option<String>,
    since: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// The sums by reason and category since the hour of `since`; without it, of all that the ledger remembers.
pub(super) async fn list(
    state: web::Data<AppState>,
    caller: Caller,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    may_read(&caller)?;
    let asked = asked.into_inner();
    let since = match asked.since.as_deref() {
        None | Some("") => Timestamp::EPOCH,
        Some(text) => Timestamp::parse_rfc3339(text)
            .ok_or_else(|| Problem::bad_request("`since` is a time such as 2026-01-31T09:00:00Z."))?,
    };
    let limit = usize::try_from(limit(asked.limit.as_deref())?).unwrap_or(usize::MAX);
    let mut visible = caller.visible();
    let page = state
        .store
        .read(move |tx| {
            if let Some(named) = &asked.project {
                visible = Visible::Only(vec![find_project(tx, &visible, named)?.id]);
            }
            let projects = ledger_projects(tx, &visible)?;
            Ok::<_, Problem>(ledger::list(tx, &projects, since, asked.cursor.as_deref(), limit)?)
        })
        .await?;
    Ok(HttpResponse::Ok().json(page))
}
