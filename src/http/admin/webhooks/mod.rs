//! Webhooks: what came, what became of it, and what died.

mod attempts;
mod body;
mod dead;
mod desk_routes;
mod ends;
mod request;
mod requests;

pub(super) use desk_routes::desk_routes;
