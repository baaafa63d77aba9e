//! `GET /api/v1/outcomes`: the ledger, what was not kept.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::list::Asked;
use crate::base::Timestamp;
use crate::http::visible::ledger_projects;
use crate::http::{AppState, Problem};
use crate::ledger;

#[derive(Deserialize)]
pub(super) struct Filter {
    since: Option<String>,
}

/// The sums by reason and category since the hour of `since`; without it, of all that the ledger remembers.
pub(super) async fn list(
    state: web::Data<AppState>,
    asked: Asked,
    filter: web::Query<Filter>,
) -> Result<HttpResponse, Problem> {
    let since = match filter.since.as_deref() {
        None | Some("") => Timestamp::EPOCH,
        Some(text) => Timestamp::parse_rfc3339(text)
            .ok_or_else(|| Problem::bad_request("`since` is a time such as 2026-01-31T09:00:00Z."))?,
    };
    let limit = usize::try_from(asked.limit).unwrap_or(usize::MAX);
    let page = state
        .store
        .read(move |tx| {
            let projects = ledger_projects(tx, &asked.visible(tx)?)?;
            Ok::<_, Problem>(ledger::list(tx, &projects, since, asked.cursor.as_deref(), limit)?)
        })
        .await?;
    Ok(HttpResponse::Ok().json(page))
}
