//! `/api/health`: how the watched services are. Strangers see the status alone.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::auth::Reader;
use super::own::uncached;
use super::request::request_id;
use super::{AppState, Problem};
use crate::health::Health;
use crate::health::services::{Overview, unwatched};

/// `GET /api/health`: every service's status in one word, and the numbers.
pub async fn overview(state: web::Data<AppState>, reader: Result<Reader, Problem>) -> HttpResponse {
    let overview = unwatched(state.clock.now());
    if reader.is_err() {
        return answer(overview.status, &json!({ "status": overview.status }));
    }
    let mut body = json!(overview);
    body["services"] =
        overview.services.iter().map(|(name, service)| (name.clone(), json!(service.status))).collect();
    answer(overview.status, &body)
}

/// `GET /api/health/detailed`: every service with what is known of it.
pub async fn detailed(state: web::Data<AppState>, reader: Result<Reader, Problem>) -> HttpResponse {
    let overview = unwatched(state.clock.now());
    if reader.is_err() {
        return answer(overview.status, &json!({ "status": overview.status }));
    }
    answer(overview.status, &json!(overview))
}

/// `GET /api/health/{service}`.
pub async fn one(
    request: HttpRequest,
    state: web::Data<AppState>,
    name: web::Path<String>,
    reader: Result<Reader, Problem>,
) -> HttpResponse {
    let Overview { services, timestamp, .. } = unwatched(state.clock.now());
    let Some(service) = services.get(name.as_str()) else {
        return Problem::not_found("service").response(Some(&request_id(&request)));
    };
    if reader.is_err() {
        return answer(service.status, &json!({ "status": service.status }));
    }
    let mut body = json!(service);
    body["timestamp"] = json!(timestamp);
    answer(service.status, &body)
}

fn answer(status: Health, body: &serde_json::Value) -> HttpResponse {
    let mut answer = match status {
        Health::Healthy | Health::Unknown | Health::Degraded => HttpResponse::Ok(),
        Health::Unhealthy => HttpResponse::ServiceUnavailable(),
    };
    uncached(answer.json(body))
}
