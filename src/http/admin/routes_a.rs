//! Signing in, one's account, projects, issues, and what every page loads.

use actix_web::{middleware, web};

use super::{frame, issue, issues, link, live, project, projects, sessions, sign_in, statics, welcome};

pub fn routes(cfg: &mut web::ServiceConfig) {
    everywhere(cfg);
    people(cfg);
    issue_pages(cfg);
    project_pages(cfg);
}

/// What every page loads.
fn everywhere(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/static/{path:.*}")
            .wrap(middleware::Compress::default())
            .route(web::get().to(statics::file)),
    )
    .route("/", web::get().to(welcome::start))
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

fn project_pages(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/projects")
            .route(web::get().to(projects::show))
            .route(web::post().to(projects::create)),
    )
    .route("/projects/{slug}", web::get().to(project::show))
    .route("/projects/{slug}/welcome", web::get().to(welcome::show))
    .route("/projects/{slug}/monitoring.{end}", web::get().to(welcome::download))
    .route("/projects/{slug}/keys", web::post().to(project::create_key))
    .route("/projects/{slug}/keys/{key}/revoke", web::post().to(project::revoke_key))
    .route("/projects/{slug}/name", web::post().to(project::rename))
    .route("/projects/{slug}/members", web::post().to(project::change_members))
    .route("/projects/{slug}/archive", web::post().to(project::archive));
}
