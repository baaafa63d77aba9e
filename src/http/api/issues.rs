//! `/api/v1/issues`: lists, one issue, its status.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::list::{Items, limit, unknown_cursor};
use super::uid;
use crate::http::auth::{Caller, find_project};
use crate::http::decisions::set_issue_status;
use crate::http::visible::may_read;
use crate::http::{AppState, Problem};
use crate::issues::Status;
use crate::issues::queries::{Cursor, IssueFilter, Search, Sort, find_issue, list_issues};

#[derive(Deserialize)]
pub(super) struct Asked {
    project: Option<String>,
    query: Option<String>,
    status: Option<String>,
    sort: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
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
    caller: Caller,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    may_read(&caller)?;
    let asked = asked.into_inner();
    let mut filter = IssueFilter {
        visible: caller.visible(),
        project: None,
        search: Search::parse(asked.query.as_deref().unwrap_or("")),
        sort: sort(asked.sort.as_deref())?,
        after: cursor(asked.cursor.as_deref())?,
        limit: limit(asked.limit.as_deref())?,
    };
    if let Some(word) = asked.status.as_deref().filter(|word| !word.is_empty()) {
        let status = Status::parse(word)
            .ok_or_else(|| Problem::bad_request("`status` is one of unresolved, resolved, ignored."))?;
        filter.search.status = Some(status);
    }
    let page = state
        .store
        .read(move |tx| {
            if let Some(named) = &asked.project {
                filter.project = Some(find_project(tx, &filter.visible, named)?.id);
            }
            Ok::<_, Problem>(list_issues(tx, &filter)?)
        })
        .await?;
    let next_cursor = page.next.map(|cursor| cursor.to_string());
    Ok(HttpResponse::Ok().json(Items { items: page.items, next_cursor }))
}

/// `GET /issues/{id}`
pub(super) async fn show(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    may_read(&caller)?;
    let (visible, id) = (caller.visible(), uid(&id, "issue")?);
    let found = state.store.read(move |tx| find_issue(tx, &visible, id)).await?;
    Ok(HttpResponse::Ok().json(found.ok_or_else(|| Problem::not_found("issue"))?))
}

/// `PATCH /issues/{id}`
pub(super) async fn change(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
    patch: web::Json<Patch>,
) -> Result<HttpResponse, Problem> {
    let (id, status, now) = (uid(&id, "issue")?, patch.status, state.clock.now());
    let incidents = Arc::clone(&state.incidents);
    let changed = state
        .store
        .write("issue.set_status", move |tx| {
            set_issue_status(tx, &incidents, &caller, now, (id, status))?;
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
