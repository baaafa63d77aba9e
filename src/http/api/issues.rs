//! `/api/v1/issues`: lists, one issue, its status.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::list::{Asked, Items, unknown_cursor};
use super::{Json, uid};
use crate::http::acts::issue::set_status;
use crate::http::auth::{Caller, Reader};
use crate::http::{AppState, Problem};
use crate::issues::Status;
use crate::issues::queries::{Cursor, FILTERS_KNOWN, IssueFilter, Search, Sort, find_issue, list_issues};

#[derive(Deserialize)]
pub(super) struct Filter {
    query: Option<String>,
    status: Option<String>,
    sort: Option<String>,
}

/// What a caller may change of an issue.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Patch {
    status: Status,
}

/// `GET /issues`
pub(super) async fn list(
    state: web::Data<AppState>,
    asked: Asked,
    filter: web::Query<Filter>,
) -> Result<HttpResponse, Problem> {
    let mut search = Search::parse(filter.query.as_deref().unwrap_or(""));
    if let Some(unknown) = &search.unknown {
        let detail = format!("`query` does not know {unknown}. It knows {FILTERS_KNOWN}.");
        return Err(Problem::bad_request(detail));
    }
    if let Some(word) = filter.status.as_deref().filter(|word| !word.is_empty()) {
        let status = Status::parse(word)
            .ok_or_else(|| Problem::bad_request("`status` is one of unresolved, resolved, ignored."))?;
        search.status = Some(status);
    }
    let (sort, after) = (sort(filter.sort.as_deref())?, cursor(asked.cursor.as_deref())?);
    let page = state
        .store
        .read(move |tx| {
            let visible = asked.visible(tx)?;
            let filter = IssueFilter { visible, project: None, search, sort, after, limit: asked.limit };
            Ok::<_, Problem>(list_issues(tx, &filter)?)
        })
        .await?;
    Ok(HttpResponse::Ok().json(Items::of(page.items, page.next)))
}

/// `GET /issues/{id}`
pub(super) async fn show(
    state: web::Data<AppState>,
    reader: Reader,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (visible, id) = (reader.visible(), uid(&id, "issue")?);
    let found = state.store.read(move |tx| find_issue(tx, &visible, id)).await?;
    Ok(HttpResponse::Ok().json(found.ok_or_else(|| Problem::not_found("issue"))?))
}

/// `PATCH /issues/{id}`
pub(super) async fn change(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
    Json(patch): Json<Patch>,
) -> Result<HttpResponse, Problem> {
    let (id, status, now) = (uid(&id, "issue")?, patch.status, state.clock.now());
    let incidents = Arc::clone(&state.incidents);
    let changed = state
        .store
        .write("issue.set_status", move |tx| {
            set_status(tx, &incidents, &caller, now, (id, status))?;
            find_issue(tx, &caller.visible(), id)?.ok_or_else(|| Problem::not_found("issue"))
        })
        .await?;
    Ok(HttpResponse::Ok().json(changed))
}

fn sort(word: Option<&str>) -> Result<Sort, Problem> {
    word.map_or(Some(Sort::default()), Sort::parse)
        .ok_or_else(|| Problem::bad_request("`sort` is one of last_seen, first_seen, count, users."))
}

fn cursor(text: Option<&str>) -> Result<Option<Cursor>, Problem> {
    text.map(|text| Cursor::parse(text).ok_or_else(unknown_cursor)).transpose()
}
