//! The addresses of sources and their destinations. No source and no destination has the key `new`.

use actix_web::web::{self, get, post};

use super::{acts, destination, destination_edit, list, source, source_edit};
use crate::http::admin::routes::act;

pub(in crate::http::admin) fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/webhooks", get().to(list::show))
        .service(
            web::resource("/webhooks/new")
                .route(get().to(source_edit::show_new))
                .route(post().to(source_edit::create)),
        )
        .route("/webhooks/{key}", get().to(source::show))
        .route("/webhooks/{key}/plot", get().to(source::plot))
        .service(
            web::resource("/webhooks/{key}/edit")
                .route(get().to(source_edit::show))
                .route(post().to(source_edit::update)),
        )
        .service(act("/webhooks/{key}/secrets", 1, post().to(acts::add_secret)))
        .service(act("/webhooks/{key}/secrets/{place}/remove", 3, post().to(acts::remove_secret)))
        .service(act("/webhooks/{key}/remove", 1, post().to(acts::remove_source)));
    destinations(cfg);
}

fn destinations(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/webhooks/{key}/destinations/new")
            .route(get().to(destination_edit::show_new))
            .route(post().to(destination_edit::create)),
    )
    .route("/webhooks/{key}/destinations/{to}", get().to(destination::show))
    .route("/webhooks/{key}/destinations/{to}/plot/{what}", get().to(destination::plot))
    .service(
        web::resource("/webhooks/{key}/destinations/{to}/edit")
            .route(get().to(destination_edit::show))
            .route(post().to(destination_edit::update)),
    )
    .service(act("/webhooks/{key}/destinations/{to}/{act}", 1, post().to(acts::on_destination)));
}
