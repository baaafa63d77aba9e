//! Pages of webhooks: who calls, what came, where it goes, and what died.

mod acts;
mod attempts;
mod body;
mod choose;
mod dead;
mod desk_routes;
mod destination;
mod destination_edit;
mod destination_form;
mod ends;
mod fields;
mod list;
mod plot;
mod request;
mod requests;
mod routes;
mod scheme_form;
mod source;
mod source_edit;
mod source_form;
mod words;

pub(super) use desk_routes::desk_routes;
pub(super) use routes::routes;

/// The address of a source's page.
fn place(key: &str) -> String {
    format!("/webhooks/{key}")
}

/// The address of a destination's page.
fn place_of(source: &str, key: &str) -> String {
    format!("/webhooks/{source}/destinations/{key}")
}
