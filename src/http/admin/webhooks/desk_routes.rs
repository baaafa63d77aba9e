//! The addresses of what came and of what died. They stand before those of sources: no source has the key `requests`
//! or `dead`.

use actix_web::web::{self, get, post};

use super::{dead, request, requests};
use crate::http::admin::routes::act;

pub(in crate::http::admin) fn desk_routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/webhooks/requests", get().to(requests::show))
        .route("/webhooks/requests/{id}", get().to(request::show))
        .route("/webhooks/requests/{id}/body", get().to(request::body))
        .service(act("/webhooks/requests/{id}/{delivery}/{act}", 2, post().to(request::act)))
        .route("/webhooks/dead", get().to(dead::show))
        .service(act("/webhooks/dead/act", 1, post().to(dead::act)));
}
