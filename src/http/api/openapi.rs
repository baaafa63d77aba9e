//! `GET /api/v1/openapi.json`: the API described for machines. Written by hand, held true by a test.

use actix_web::HttpResponse;

pub(super) const DOCUMENT: &str = include_str!("openapi.json");

/// For anybody: it says nothing about this installation.
pub(super) async fn document() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(DOCUMENT)
}
