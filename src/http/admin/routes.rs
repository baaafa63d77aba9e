//! Every page's address, grouped by what people come for.

use actix_web::{
    middleware,
    web::{self, get, post},
};

use super::{
    ack, audit, channel, channels, frame, incident, incident_acts, incidents, issue, issues, ledger, link,
    live, outbox, overview, people, person, project, project_channels, projects, rules, sessions, sign_in,
    silences, statics, tasks, tokens, welcome,
};

pub fn routes(cfg: &mut web::ServiceConfig) {
    everywhere(cfg);
    one_self(cfg);
    issue_pages(cfg);
    project_pages(cfg);
    alarm_pages(cfg);
    ringing_pages(cfg);
    running_pages(cfg);
    team_pages(cfg);
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
    .route("/projects/{slug}/keys/{key}", post().to(project::change_key))
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

/// Who is rung, and by what.
fn ringing_pages(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/channels").route(get().to(channels::list)).route(post().to(channel::create)))
        .route("/channels/new", get().to(channel::show_new))
        .service(
            web::resource("/channels/{id}").route(get().to(channel::show)).route(post().to(channel::update)),
        )
        .route("/channels/{id}/{act}", post().to(channels::act))
        .route("/rules", get().to(rules::show_default))
        .route("/rules/{kind}", post().to(rules::change_default))
        .route("/projects/{slug}/rules", get().to(rules::show_of_project))
        .route("/projects/{slug}/rules/{kind}", post().to(rules::change_of_project))
        .service(
            web::resource("/projects/{slug}/channels")
                .route(get().to(project_channels::show))
                .route(post().to(project_channels::choose)),
        );
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

/// Who comes in, as a person or as a machine, and what they changed.
fn team_pages(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/people").route(get().to(people::show)).route(post().to(people::invite)))
        .route("/people/{id}", get().to(person::show))
        .route("/people/{id}/role", post().to(person::set_role))
        .route("/people/{id}/disable", post().to(person::disable))
        .route("/people/{id}/remove", post().to(person::remove))
        .route("/people/{id}/link", post().to(person::make_link))
        .route("/people/{id}/sessions/end", post().to(person::end_sessions))
        .service(web::resource("/tokens").route(get().to(tokens::show)).route(post().to(tokens::create)))
        .route("/tokens/{id}/revoke", post().to(tokens::revoke))
        .route("/audit", get().to(audit::show));
}
