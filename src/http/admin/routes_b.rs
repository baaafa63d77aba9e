//! Incidents and what follows from them, what is not kept, and what only owners see.

use actix_web::web::{self, get, post};

use super::{ack, incident, incident_acts, incidents, ledger, outbox, silences, tasks};

pub fn routes(cfg: &mut web::ServiceConfig) {
    alarms(cfg);
    running(cfg);
}

/// Messages, what was not kept, background work.
fn running(cfg: &mut web::ServiceConfig) {
    cfg.route("/outbox", get().to(outbox::list))
        .route("/outbox/{id}", get().to(outbox::show))
        .route("/outbox/{id}/again", post().to(outbox::send_again))
        .route("/ledger", get().to(ledger::show))
        .route("/tasks", get().to(tasks::list))
        .route("/tasks/{name}/run", post().to(tasks::run));
}

/// What rings, and who takes care of it.
fn alarms(cfg: &mut web::ServiceConfig) {
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
