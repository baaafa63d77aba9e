//! tocsin about itself: probes and /metrics. Answers come from memory or one short read.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::auth::{Caller, Reader};
use super::request::{is_local, request_id};
use super::{AppState, Problem, exposition};
use crate::accounts::access::{Permission, Subject};
use crate::health::Health;
use crate::store::Error;
use crate::telemetry::Registry;

/// `GET /api/ping`: somebody is here.
pub async fn ping(state: web::Data<AppState>) -> HttpResponse {
    uncached(HttpResponse::Ok().json(json!({ "status": "ok", "timestamp": state.clock.now() })))
}

/// `GET /health/live`: fails only when the loop hangs, and then by not answering.
pub async fn live() -> HttpResponse {
    uncached(HttpResponse::Ok().json(json!({ "status": "healthy" })))
}

/// `GET /health/ready`: requests can be answered. A full disk leaves reading, so it stays 200.
pub async fn ready(state: web::Data<AppState>) -> HttpResponse {
    match read_something(&state).await {
        Ok(()) => uncached(HttpResponse::Ok().json(json!({ "status": state.own_status() }))),
        Err(error) => {
            tracing::warn!(%error, "not ready: nothing can be read");
            uncached(HttpResponse::ServiceUnavailable().json(json!({ "status": Health::Unhealthy })))
        }
    }
}

/// `GET /health`: the parts, for those who may look inside; the status alone for strangers.
pub async fn health(state: web::Data<AppState>, reader: Result<Reader, Problem>) -> HttpResponse {
    let broken = read_something(&state).await.err().map(|error| format!("nothing can be read: {error}"));
    let parts = state.own_parts(broken);
    let status = Health::of(&parts);
    let body = if reader.is_ok() {
        let now = state.clock.now();
        json!({
            "status": status,
            "timestamp": now,
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_s": now.since(state.started_at).as_secs(),
            "parts": parts,
        })
    } else {
        json!({ "status": status })
    };
    let mut answer = match status {
        Health::Healthy | Health::Unknown | Health::Degraded => HttpResponse::Ok(),
        Health::Unhealthy => HttpResponse::ServiceUnavailable(),
    };
    uncached(answer.json(body))
}

/// `GET /metrics`: Prometheus text 0.0.4, for tokens with the scope `metrics`, and for loopback where nobody else reaches it.
pub async fn metrics(
    request: HttpRequest,
    state: web::Data<AppState>,
    caller: Result<Caller, Problem>,
) -> HttpResponse {
    let shown = show_metrics(&request, &state, caller).await;
    shown.unwrap_or_else(|problem| problem.response(Some(&request_id(&request))))
}

async fn show_metrics(
    request: &HttpRequest,
    state: &web::Data<AppState>,
    caller: Result<Caller, Problem>,
) -> Result<HttpResponse, Problem> {
    if !is_local(request, state) {
        caller.map_err(say_how)?.may(Permission::SeeMetrics, Subject::Instance)?;
    }
    let mut text = state.registry.render().map_err(|error| Problem::internal(&error))?;
    text.push_str(&exposition::render(state).await.map_err(|error| Problem::internal(&error))?);
    Ok(uncached(HttpResponse::Ok().content_type(Registry::CONTENT_TYPE).body(text)))
}

/// To a stranger; what was wrong with a token says itself.
fn say_how(problem: Problem) -> Problem {
    if problem.status != StatusCode::UNAUTHORIZED {
        return problem;
    }
    let detail = format!(
        "{} Metrics need a token with the scope metrics (`tocsin token create --scope metrics`); without one only this \
         machine sees them, and only while base_url is an address of this machine.",
        problem.detail
    );
    Problem { detail, ..problem }
}

async fn read_something(state: &AppState) -> Result<(), Error> {
    state.store.read_reserved(|tx| tx.one("SELECT 1", [], |_| Ok(()))).await
}

/// Health is of the moment.
pub fn uncached(mut response: HttpResponse) -> HttpResponse {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
