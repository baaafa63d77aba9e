//! tocsin about itself: probes and /metrics. Answers come from memory or one short read.

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::auth::Caller;
use super::request::client_address;
use super::{AppState, Problem};
use crate::accounts::access::{Permission, Subject};
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
    let read = state.store.read(|tx| tx.one("SELECT 1", [], |row| row.get::<_, i64>(0))).await;
    match read {
        Ok(_) => uncached(HttpResponse::Ok().json(json!({ "status": state.own_status() }))),
        Err(error) => {
            let error: Error = error;
            tracing::warn!(%error, "not ready: nothing can be read");
            uncached(HttpResponse::ServiceUnavailable().json(json!({ "status": "unhealthy" })))
        }
    }
}

/// `GET /health`: the parts, for those who may look inside; the status alone for strangers.
pub async fn health(state: web::Data<AppState>, caller: Result<Caller, Problem>) -> HttpResponse {
    let status = state.own_status();
    let body = match caller {
        Ok(_) => {
            let stats = state.store.stats().snapshot();
            json!({
                "status": status,
                "timestamp": state.clock.now(),
                "version": env!("CARGO_PKG_VERSION"),
                "uptime_s": state.clock.now().since(state.started_at).as_secs(),
                "store": {
                    "queued": stats.queued,
                    "commits": stats.commits,
                    "failed_commits": stats.failed_commits,
                    "disk_bytes": state.store.disk_bytes(),
                },
                "tasks": state.engine.status().iter().filter(|task| task.last_ok == Some(false)).map(|task| task.name).collect::<Vec<_>>(),
            })
        }
        Err(_) => json!({ "status": status }),
    };
    uncached(HttpResponse::Ok().json(body))
}

/// `GET /metrics`: Prometheus text 0.0.4, for loopback and for tokens with the scope `metrics`.
pub async fn metrics(
    request: HttpRequest,
    state: web::Data<AppState>,
    caller: Result<Caller, Problem>,
) -> Result<HttpResponse, Problem> {
    let is_local = client_address(&request, &state).is_some_and(|address| address.is_loopback());
    if !is_local {
        caller?.may(Permission::SeeMetrics, Subject::Instance)?;
    }
    let text = state.registry.render().map_err(|error| Problem::internal(&error))?;
    Ok(uncached(HttpResponse::Ok().content_type(Registry::CONTENT_TYPE).body(text)))
}

fn uncached(mut response: HttpResponse) -> HttpResponse {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
