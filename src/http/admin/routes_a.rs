//! Signing in, one's account, projects, issues, and what every page loads.

use actix_web::{middleware, web};

use super::{frame, issue, issues, link, live, sessions, sign_in, statics};

pub fn routes(cfg: &mut web::ServiceConfig) {
    everywhere(cfg);
    people(cfg);
    issue_pages(cfg);
}

/// What every page loads.
fn everywhere(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/static/{path:.*}")
            .wrap(middleware::Compress::default())
            .route(web::get().to(statics::file)),
    )
    .route("/nav", web::get().to(frame::nav))
    .route("/live", web::get().to(live::live));
}

/// Strangers, and those who are signed in about themselves.
fn people(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/sign-in").route(web::get().to(sign_in::show)).route(web::post().to(sign_in::sign_in)),
    )
    .service(
        web::resource("/sign-in/{token}")
            .route(web::get().to(link::show))
            .route(web::post().to(link::consume)),
    )
    .route("/sign-out", web::post().to(sign_in::sign_out))
    .route("/account", web::get().to(sessions::show))
    .route("/account/password", web::post().to(sessions::set_password))
    .route("/account/sessions/end-others", web::post().to(sessions::end_others))
    .route("/account/sessions/{id}/end", web::post().to(sessions::end));
}

fn issue_pages(cfg: &mut web::ServiceConfig) {
    cfg.route("/issues", web::get().to(issues::show))
        .route("/issues/status", web::post().to(issues::set_status))
        .route("/issues/{id}", web::get().to(issue::show))
        .route("/issues/{id}/status", web::post().to(issue::set_status));
}
