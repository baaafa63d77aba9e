//! Pages of webhooks: who calls, where it goes, and how both fare.

mod acts;
mod choose;
mod destination;
mod destination_edit;
mod destination_form;
mod fields;
mod list;
mod plot;
mod routes;
mod scheme_form;
mod source;
mod source_edit;
mod source_form;
mod words;

pub(super) use routes::routes;

/// The address of a source's page.
fn place(key: &str) -> String {
    format!("/webhooks/{key}")
}

/// The address of a destination's page.
fn place_of(source: &str, key: &str) -> String {
    format!("/webhooks/{source}/destinations/{key}")
}
