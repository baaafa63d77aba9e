//! Every page's address, grouped by what people come for.

use actix_web::{
    HttpRequest, Resource, Route, middleware,
    web::{self, get, post},
};

use super::frame::see_other;
use super::{
    ack, audit, channel, channels, chooser, frame, heartbeat, heartbeat_acts, heartbeat_edit, heartbeat_run,
    heartbeats, incident, incident_acts, incidents, issue, issues, ledger, link, live, maintenance,
    maintenances, outbox, overview, people, person, probes, project, project_channels, projects, rules,
    service_form, services, sessions, sign_in, silences, statics, status_page, status_posts, tasks, tokens,
    webhooks, welcome,
};

pub fn routes(cfg: &mut web::ServiceConfig) {
    everywhere(cfg);
    one_self(cfg);
    issue_pages(cfg);
    probe_pages(cfg);
    project_pages(cfg);
    heartbeat_pages(cfg);
    webhooks::desk_routes(cfg);
    webhooks::routes(cfg);
    service_pages(cfg);
    maintenance_pages(cfg);
    alarm_pages(cfg);
    ringing_pages(cfg);
    running_pages(cfg);
    team_pages(cfg);
}

/// An address that only forms are sent to. A browser may come back to it, after a refused form or signing in: it is shown
/// the page `up` segments above, where the form stands.
pub(super) fn act(path: &str, up: usize, handler: Route) -> Resource {
    let to_its_page = move |request: HttpRequest| {
        let page = request.path().rsplitn(up + 1, '/').last().filter(|page| !page.is_empty()).unwrap_or("/");
        std::future::ready(see_other(page))
    };
    web::resource(path).route(handler).route(get().to(to_its_page))
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
        .service(act("/sign-out", 1, post().to(sign_in::sign_out)))
        .route("/account", get().to(sessions::show))
        .service(act("/account/password", 1, post().to(sessions::set_password)))
        .service(act("/account/sessions/end-others", 2, post().to(sessions::end_others)))
        .service(act("/account/sessions/{id}/end", 3, post().to(sessions::end)));
}

fn issue_pages(cfg: &mut web::ServiceConfig) {
    cfg.route("/issues", get().to(issues::show))
        .service(act("/issues/status", 1, post().to(issues::set_status)))
        .route("/issues/{id}", get().to(issue::show))
        .service(act("/issues/{id}/status", 1, post().to(issue::set_status)));
}

/// No probe has the key `new`.
fn probe_pages(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/probes").route(get().to(probes::list::show)).route(post().to(probes::acts::many)),
    )
    .service(
        web::resource("/probes/new")
            .route(get().to(probes::edit::show_new))
            .route(post().to(probes::edit::create)),
    )
    .route("/probes/new/rows", get().to(probes::list::rows))
    .service(act("/probes/new/check", 1, post().to(probes::edit::check)))
    .service(act("/probes/new/words", 1, post().to(probes::edit::words)))
    .service(act("/probes/new/secrets", 1, post().to(probes::edit::secrets)))
    .route("/probes/{key}", get().to(probes::page::show))
    .route("/probes/{key}/plot", get().to(probes::page::plot))
    .service(
        web::resource("/probes/{key}/edit")
            .route(get().to(probes::edit::show))
            .route(post().to(probes::edit::update)),
    )
    .service(act("/probes/{key}/try", 1, post().to(probes::tries::again)))
    .service(act("/probes/{key}/pause", 1, post().to(probes::acts::pause)))
    .service(act("/probes/{key}/resume", 1, post().to(probes::acts::resume)))
    .service(act("/probes/{key}/token", 1, post().to(probes::acts::renew_token)))
    .service(act("/probes/{key}/remove", 1, post().to(probes::acts::remove)));
}

fn project_pages(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/projects").route(get().to(projects::show)).route(post().to(projects::create)),
    )
    .route("/projects/{slug}", get().to(project::show))
    .route("/projects/{slug}/welcome", get().to(welcome::show))
    .route("/projects/{slug}/monitoring.{end}", get().to(welcome::download))
    .service(act("/projects/{slug}/keys", 1, post().to(project::create_key)))
    .service(act("/projects/{slug}/keys/{key}", 2, post().to(project::change_key)))
    .service(act("/projects/{slug}/keys/{key}/revoke", 3, post().to(project::revoke_key)))
    .service(act("/projects/{slug}/name", 1, post().to(project::rename)))
    .service(act("/projects/{slug}/members", 1, post().to(project::change_members)))
    .service(act("/projects/{slug}/archive", 1, post().to(project::archive)));
}

/// Jobs that should run.
fn heartbeat_pages(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/heartbeats")
            .route(get().to(heartbeats::list))
            .route(post().to(heartbeat_edit::create)),
    )
    .route("/heartbeats/new", get().to(heartbeat_edit::show_new))
    .route("/heartbeats/preview", get().to(heartbeat_edit::preview))
    .service(act("/heartbeats/act", 1, post().to(heartbeats::act)))
    .service(act("/heartbeats/ping-key", 1, post().to(heartbeat_acts::make_key)))
    .route("/heartbeats/{id}", get().to(heartbeat::show))
    .service(
        web::resource("/heartbeats/{id}/edit")
            .route(get().to(heartbeat_edit::show))
            .route(post().to(heartbeat_edit::update)),
    )
    .route("/heartbeats/{id}/runs", get().to(heartbeat_run::to_page))
    .route("/heartbeats/{id}/runs/{run}", get().to(heartbeat_run::show_run))
    .service(act("/heartbeats/{id}/{act}", 1, post().to(heartbeat_acts::act)));
}

/// What the team calls a service, and what strangers see of it.
fn service_pages(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/services").route(get().to(services::list)).route(post().to(service_form::create)),
    )
    .route("/services/new", get().to(service_form::show_new))
    .route("/services/preview", get().to(service_form::preview))
    .route("/services/{key}", get().to(services::show))
    .service(
        web::resource("/services/{key}/edit")
            .route(get().to(service_form::show))
            .route(post().to(service_form::update)),
    )
    .service(act("/services/{key}/{act}", 2, post().to(services::act)))
    .service(
        web::resource("/status-page")
            .route(get().to(status_page::show))
            .route(post().to(status_page::update)),
    )
    .service(act("/status-page/posts", 1, post().to(status_posts::create)))
    .route("/status-page/posts/new", get().to(status_posts::show_new))
    .service(
        web::resource("/status-page/posts/{id}")
            .route(get().to(status_posts::show))
            .route(post().to(status_posts::update)),
    )
    .service(act("/status-page/posts/{id}/delete", 1, post().to(status_posts::delete)));
}

/// Planned work.
fn maintenance_pages(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/maintenance")
            .route(get().to(maintenances::list))
            .route(post().to(maintenance::create)),
    )
    .route("/maintenance/new", get().to(maintenance::show_new))
    .route("/maintenance/preview", get().to(maintenance::preview))
    .service(
        web::resource("/maintenance/{id}")
            .route(get().to(maintenance::show))
            .route(post().to(maintenance::update)),
    )
    .service(act("/maintenance/{id}/{act}", 1, post().to(maintenance::act)))
    .route("/choose", get().to(chooser::choose));
}

/// What rings, and who takes care of it.
fn alarm_pages(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/ack/{signed}").route(get().to(ack::show)).route(post().to(ack::acknowledge)))
        .route("/incidents", get().to(incidents::list))
        .route("/incidents/{id}", get().to(incident::show))
        .service(act("/incidents/{id}/acknowledge", 1, post().to(incident_acts::acknowledge)))
        .service(act("/incidents/{id}/unacknowledge", 1, post().to(incident_acts::unacknowledge)))
        .service(act("/incidents/{id}/resolve", 1, post().to(incident_acts::resolve)))
        .service(act("/incidents/{id}/split", 1, post().to(incident_acts::split)))
        .service(act("/incidents/{id}/silence", 1, post().to(incident_acts::silence)))
        .service(
            web::resource("/silences").route(get().to(silences::list)).route(post().to(silences::create)),
        )
        .service(act("/silences/{id}/end", 2, post().to(silences::end)));
}

/// Who is rung, and by what.
fn ringing_pages(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/channels").route(get().to(channels::list)).route(post().to(channel::create)))
        .route("/channels/new", get().to(channel::show_new))
        .service(
            web::resource("/channels/{id}").route(get().to(channel::show)).route(post().to(channel::update)),
        )
        .service(act("/channels/{id}/{act}", 1, post().to(channels::act)))
        .route("/rules", get().to(rules::show_default))
        .service(act("/rules/{kind}", 1, post().to(rules::change_default)))
        .route("/projects/{slug}/rules", get().to(rules::show_of_project))
        .service(act("/projects/{slug}/rules/{kind}", 1, post().to(rules::change_of_project)))
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
        .service(act("/outbox/{id}/again", 1, post().to(outbox::send_again)))
        .route("/ledger", get().to(ledger::show))
        .route("/tasks", get().to(tasks::list))
        .service(act("/tasks/{name}/run", 2, post().to(tasks::run)));
}

/// Who comes in, as a person or as a machine, and what they changed.
fn team_pages(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/people").route(get().to(people::show)).route(post().to(people::invite)))
        .route("/people/{id}", get().to(person::show))
        .service(act("/people/{id}/role", 1, post().to(person::set_role)))
        .service(act("/people/{id}/disable", 1, post().to(person::disable)))
        .service(act("/people/{id}/remove", 1, post().to(person::remove)))
        .service(act("/people/{id}/link", 1, post().to(person::make_link)))
        .service(act("/people/{id}/sessions/end", 2, post().to(person::end_sessions)))
        .service(web::resource("/tokens").route(get().to(tokens::show)).route(post().to(tokens::create)))
        .service(act("/tokens/{id}/revoke", 2, post().to(tokens::revoke)))
        .route("/audit", get().to(audit::show));
}
