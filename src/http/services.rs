//! `/api/health`: how the watched services are, from memory. Strangers see the status alone.

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, AUTHORIZATION};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::auth::Reader;
use super::own::uncached;
use super::request::request_id;
use super::{AppState, Problem};
use crate::accounts::Visible;
use crate::health::services::{ServiceStatus, Snapshot, shape};

const OUR_JSON: &str = "application/json";
/// draft-inadarei-api-health-check.
const HEALTH_JSON: &str = "application/health+json";

/// `GET /api/health`: every service in a few words, and the numbers.
pub async fn overview(
    request: HttpRequest,
    state: web::Data<AppState>,
    reader: Result<Reader, Problem>,
) -> HttpResponse {
    whole(&request, &state, reader, |snapshot, visible| match visible {
        // As it lies in memory: most who ask see everything.
        Visible::All => snapshot.overview.clone(),
        Visible::Only(_) => shape::overview(snapshot, visible).to_string(),
    })
}

/// `GET /api/health/detailed`: every service with what is known of it, and tocsin itself.
pub async fn detailed(
    request: HttpRequest,
    state: web::Data<AppState>,
    reader: Result<Reader, Problem>,
) -> HttpResponse {
    whole(&request, &state, reader, |snapshot, visible| {
        shape::detailed(snapshot, visible, own(&state)).to_string()
    })
}

/// All that the reader may see, as `body` says it, or in the standard's words where those are asked for.
fn whole(
    request: &HttpRequest,
    state: &AppState,
    reader: Result<Reader, Problem>,
    body: impl FnOnce(&Snapshot, &Visible) -> String,
) -> HttpResponse {
    let snapshot = state.watched.get();
    let reader = match reader {
        Ok(reader) => reader,
        Err(problem) => return without_reader(request, &problem, snapshot.status),
    };
    let visible = reader.visible();
    let status = shape::status_for(&snapshot, &visible);
    if wants_standard(request) {
        return answer(status, HEALTH_JSON, shape::health_json(&snapshot, &visible).to_string());
    }
    answer(status, OUR_JSON, body(&snapshot, &visible))
}

/// `GET /api/health/{service}`.
pub async fn one(
    request: HttpRequest,
    state: web::Data<AppState>,
    key: web::Path<String>,
    reader: Result<Reader, Problem>,
) -> HttpResponse {
    let snapshot = state.watched.get();
    let not_found = || Problem::not_found("service").response(Some(&request_id(&request)));
    let Some(seen) = snapshot.find(&key) else { return not_found() };
    let status = seen.service.status;
    let reader = match reader {
        Ok(reader) => reader,
        Err(problem) => return without_reader(&request, &problem, status),
    };
    if !reader.visible().contains(seen.service.project) {
        return not_found();
    }
    if wants_standard(&request) {
        return answer(status, HEALTH_JSON, shape::health_json_of(&snapshot, seen).to_string());
    }
    let mut body = shape::long(seen);
    body["timestamp"] = json!(snapshot.at);
    answer(status, OUR_JSON, body.to_string())
}

/// Whoever shows a token wants more than strangers see, and hears why that is not so.
fn without_reader(request: &HttpRequest, problem: &Problem, status: ServiceStatus) -> HttpResponse {
    if request.headers().contains_key(AUTHORIZATION) && problem.status.is_client_error() {
        return problem.response(Some(&request_id(request)));
    }
    to_stranger(request, status)
}

fn to_stranger(request: &HttpRequest, status: ServiceStatus) -> HttpResponse {
    if wants_standard(request) {
        return answer(status, HEALTH_JSON, json!({ "status": shape::word(status) }).to_string());
    }
    answer(status, OUR_JSON, json!({ "status": status }).to_string())
}

fn wants_standard(request: &HttpRequest) -> bool {
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains(HEALTH_JSON))
}

fn answer(status: ServiceStatus, content_type: &'static str, body: String) -> HttpResponse {
    let code = match status {
        ServiceStatus::Healthy
        | ServiceStatus::Unknown
        | ServiceStatus::Degraded
        | ServiceStatus::Maintenance => StatusCode::OK,
        ServiceStatus::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    };
    uncached(HttpResponse::build(code).content_type(content_type).body(body))
}

/// tocsin's own numbers, as `/health` and `/metrics` know them.
fn own(state: &AppState) -> Value {
    let stats = state.store.stats().snapshot();
    let outbox = state.own.known().look.and_then(|look| look.outbox);
    let cached =
        |counts: crate::accounts::cache::Counts| json!({ "hits": counts.hits, "misses": counts.misses });
    json!({
        "parts": state.own_parts(None),
        "uptime_s": state.clock.now().since(state.started_at).as_secs(),
        "store": {
            "disk_bytes": state.store.disk_bytes(),
            "log_pages": stats.wal_pages,
            "waiting": stats.queued,
            "commits": stats.commits,
            "failed_commits": stats.failed_commits,
        },
        "cache": {
            "keys": cached(state.cache.keys.counts()),
            "sessions": cached(state.cache.sessions.counts()),
            "tokens": cached(state.cache.tokens.counts()),
        },
        "queues": {
            "messages_under_way": outbox.as_ref().map(|outbox| outbox.pending),
            "messages_without_channel": outbox.as_ref().map(|outbox| outbox.waiting),
        },
    })
}
