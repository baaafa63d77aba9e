//! How Sentry paths answer: CORS on everything, `X-Sentry-Error` on refusals, limits where they help.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};

use super::super::problem::Unavailable;
use super::super::{AppState, Problem};
use super::admit::Refusal;
use crate::base::EventId;
use crate::ledger::Reason;
use crate::sentry::answer::{Accepted, CORS_HEADERS, Refused, header_text};
use crate::sentry::category::RateLimit;

const X_SENTRY_ERROR: HeaderName = HeaderName::from_static("x-sentry-error");
const X_SENTRY_RATE_LIMITS: HeaderName = HeaderName::from_static("x-sentry-rate-limits");

/// The answer to something that was taken, with a hint where a category is better not sent.
pub fn accepted(id: Option<EventId>, hint: Option<&RateLimit>) -> HttpResponse {
    let mut response = with_cors(StatusCode::OK);
    if let Some(hint) = hint {
        response.insert_header((X_SENTRY_RATE_LIMITS, hint.to_string()));
    }
    response.json(Accepted { id })
}

/// The answer to a refusal; counts it for the ledger.
pub fn refused(state: &AppState, refusal: &Refusal) -> HttpResponse {
    refusal.count(&state.refusals);
    let problem = &refusal.problem;
    // SDKs back off on 429; a 503 they drop. A busy store is a limit in their language.
    let status = if problem.status == StatusCode::SERVICE_UNAVAILABLE && !is_disk_full(refusal) {
        StatusCode::TOO_MANY_REQUESTS
    } else {
        problem.status
    };
    let mut response = with_cors(status);
    for (name, value) in &problem.headers {
        response.insert_header((name.clone(), value.clone()));
    }
    if let Ok(text) = HeaderValue::from_str(&header_text(&problem.detail)) {
        response.insert_header((X_SENTRY_ERROR, text));
    }
    response.json(Refused { detail: problem.detail.clone() })
}

/// 429 with what SDKs need to wait for the right thing.
pub fn limited(limit: &RateLimit) -> Refusal {
    let mut problem =
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "the key's quota is used up for the moment")
            .retry_after(limit.retry_after_s.into());
    if let Ok(limit) = HeaderValue::from_str(&limit.to_string()) {
        problem.headers.push((X_SENTRY_RATE_LIMITS, limit));
    }
    Refusal::because(problem, Reason::OverLimit)
}

/// The answer to a browser's question before a request.
pub async fn preflight() -> HttpResponse {
    with_cors(StatusCode::OK).finish()
}

/// What is no report stands in no ledger.
pub async fn wrong_method(request: HttpRequest) -> HttpResponse {
    let detail = wrong_method_text(&request);
    with_cors(StatusCode::METHOD_NOT_ALLOWED).json(Refused { detail })
}

pub fn wrong_method_text(request: &HttpRequest) -> String {
    format!("{} is not possible here: send POST.", request.method())
}

pub fn with_cors(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    for (name, value) in CORS_HEADERS {
        response.insert_header((name, value));
    }
    response
}

fn is_disk_full(refusal: &Refusal) -> bool {
    refusal.problem.unavailable == Some(Unavailable::DiskFull)
}
