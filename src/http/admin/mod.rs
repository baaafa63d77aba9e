//! The web admin page: one file per page, its template beside it in `templates/`.

mod address;
mod configurable;
mod form;
mod frame;
mod from_file;
pub mod live;
mod passwords;
mod problems;
pub mod routes;
pub mod statics;
mod wording;

mod link;
mod sessions;
mod sign_in;

mod audit;
mod once;
mod people;
mod person;
mod sign_in_links;
mod tokens;

mod device;
mod event_blocks;
mod issue;
mod issues;
mod plot;
mod stack;
mod values;

mod project;
mod projects;
mod welcome;

mod incident_words;
mod moments;

mod channel;
mod channel_form;
mod channel_words;
mod channels;
mod project_channels;
mod rule_form;
mod rules;

mod probes;

mod webhooks;

mod heartbeat;
mod heartbeat_acts;
mod heartbeat_edit;
mod heartbeat_form;
mod heartbeat_run;
mod heartbeat_words;
mod heartbeats;
mod run_bars;
mod schedule_words;

mod chooser;
mod maintenance;
mod maintenance_form;
mod maintenances;
mod service_form;
mod service_words;
mod services;
mod status_page;
mod status_posts;

mod ack;
mod incident;
mod incident_acts;
mod incident_probes;
mod incidents;
mod ledger;
mod outbox;
mod overview;
mod overview_health;
mod silences;
mod tasks;

pub use form::{Fields, Form, StrangersForm, Wrongs};
pub use frame::{Frame, Place, page, page_with, see_other};
pub use problems::for_people;
pub use wording::{When, count, counted, severity_class};
