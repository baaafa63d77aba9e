//! Every page's address, grouped by what people come for.

use actix_web::{
    middleware,
    web::{self, get, post},
};

use super::{
    ack, frame, incident, incident_acts, incidents, issue, issues, ledger, link, live, outbox, overview,
    project, projects, sessions, sign_in, silences, statics, tasks, welcome,
};

pub fn routes(cfg: &mut web::ServiceConfig) {
    everywhere(cfg);
    one_self(cfg);
    issue_pages(cfg);
    project_pages(cfg);
    alarm_pages(cfg);
    running_pages(cfg);
}

/// What every page loads.
fn everywhere(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/static/{path:.*}")
            .wrap(middleware::Compress::default())
            .route(get().to(statics::file)),
    )
    .route("/", get().to(overview::show))
    .route("/nav", get().to(frame::nav))
    .route("/live", get().to(live::live));
}

/// Strangers, and those who are signed in about themselves.
fn one_self(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/sign-in").route(get().to(sign_in::show)).route(post().to(sign_in::sign_in)))
        .service(
            web::resource("/sign-in/{token}").route(get().to(link::show)).route(post().to(link::consume)),
        )
        .route("/sign-out", post().to(sign_in::sign_out))
        .route("/account", get().to(sessions::show))
        .route("/account/password", post().to(sessions::set_password))
        .route("/account/sessions/end-others", post().to(sessions::end_others))
        .route("/account/sessions/{id}/end", post().to(sessions::end));
}

fn issue_pages(cfg: &mut web::ServiceConfig) {
    cfg.route("/issues", get().to(issues::show))
        .route("/issues/status", post().to(issues::set_status))
        .route("/issues/{id}", get().to(issue::show))
        .route("/issues/{id}/status", post().to(issue::set_status));
}

fn project_pages(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/projects").route(get().to(projects::show)).route(post().to(projects::create)),
    )
    .route("/projects/{slug}", get().to(project::show))
    .route("/projects/{slug}/welcome", get().to(welcome::show))
    .route("/projects/{slug}/monitoring.{end}", get().to(welcome::download))
    .route("/projects/{slug}/keys", post().to(project::create_key))
    .route("/projects/{slug}/keys/{key}/revoke", post().to(project::revoke_key))
    .route("/projects/{slug}/name", post().to(project::rename))
    .route("/projects/{slug}/members", post().to(project::change_members))
    .route("/projects/{slug}/archive", post().to(project::archive));
}

/// What rings, and who takes care of it.
fn alarm_pages(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/ack/{signed}").route(get().to(ack::show)).route(post().to(ack::acknowledge)))
        .route("/incidents", get().to(incidents::list))
        .route("/incidents/{id}", get().to(incident::show))
        .route("/incidents/{id}/acknowledge", post().to(incident_acts::acknowledge))
        .route("/incidents/{id}/unacknowledge", post().to(incident_acts::unacknowledge))
        .route("/incidents/{id}/resolve", post().to(incident_acts::resolve))
        .route("/incidents/{id}/split", post().to(incident_acts::split))
        .route("/incidents/{id}/silence", post().to(incident_acts::silence))
        .service(
            web::resource("/silences").route(get().to(silences::list)).route(post().to(silences::create)),
        )
        .route("/silences/{id}/end", post().to(silences::end));
}

/// Messages, what was not kept, background work.
fn running_pages(cfg: &mut web::ServiceConfig) {
    cfg.route("/outbox", get().to(outbox::list))
        .route("/outbox/{id}", get().to(outbox::show))
        .route("/outbox/{id}/again", post().to(outbox::send_again))
        .route("/ledger", get().to(ledger::show))
        .route("/tasks", get().to(tasks::list))
        .route("/tasks/{name}/run", post().to(tasks::run));
}
