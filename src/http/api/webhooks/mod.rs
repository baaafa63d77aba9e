//! `/api/v1/webhooks`: who calls, where their events go, what came and what became of it.

mod deliveries;
mod destinations;
mod providers;
mod requests;
mod secrets;
mod sources;
mod views;

use actix_web::{Route, web};
use serde_json::{Map, Value};

use super::merge::merged;
use crate::base::Timestamp;
use crate::http::Problem;
use crate::webhooks::DeliveryStatus;

pub(super) fn routes() -> Vec<(&'static str, Vec<(&'static str, Route)>)> {
    let get = |route: Route| vec![("get", route)];
    let post = |route: Route| vec![("post", route)];
    vec![
        ("/webhooks/providers", get(web::get().to(providers::list))),
        (
            "/webhooks/sources",
            vec![("get", web::get().to(sources::list)), ("post", web::post().to(sources::create))],
        ),
        (
            "/webhooks/sources/{key}",
            vec![
                ("get", web::get().to(sources::show)),
                ("patch", web::patch().to(sources::change)),
                ("delete", web::delete().to(sources::remove)),
            ],
        ),
        ("/webhooks/sources/{key}/secrets", post(web::post().to(secrets::add))),
        ("/webhooks/sources/{key}/secrets/{place}", vec![("delete", web::delete().to(secrets::remove))]),
        ("/webhooks/sources/{key}/refusals", get(web::get().to(sources::refusals))),
        (
            "/webhooks/destinations",
            vec![("get", web::get().to(destinations::list)), ("post", web::post().to(destinations::create))],
        ),
        (
            "/webhooks/destinations/{key}",
            vec![
                ("get", web::get().to(destinations::show)),
                ("patch", web::patch().to(destinations::change)),
                ("delete", web::delete().to(destinations::remove)),
            ],
        ),
        ("/webhooks/destinations/{key}/hold", post(web::post().to(destinations::hold))),
        ("/webhooks/destinations/{key}/resume", post(web::post().to(destinations::resume))),
        ("/webhooks/requests", get(web::get().to(requests::list))),
        ("/webhooks/requests/{id}", get(web::get().to(requests::show))),
        ("/webhooks/deliveries", get(web::get().to(deliveries::list))),
        ("/webhooks/deliveries/{id}", get(web::get().to(deliveries::show))),
        ("/webhooks/deliveries/{id}/replay", post(web::post().to(deliveries::replay))),
        ("/webhooks/deliveries/{id}/settle", post(web::post().to(deliveries::settle))),
        ("/webhooks/deliveries/{id}/reopen", post(web::post().to(deliveries::reopen))),
    ]
}

/// A definition with what a patch says (RFC 7396). A scheme of another kind takes the place of the whole scheme: the two
/// have no key in common.
fn changed<T: serde::Serialize + serde::de::DeserializeOwned>(
    stored: &T,
    change: Map<String, Value>,
) -> Result<T, Problem> {
    let mut known = serde_json::to_value(stored).unwrap_or_default();
    let kind = |scheme: &Value| scheme.as_object().and_then(|scheme| scheme.keys().next().cloned());
    if let Some(scheme) = change.get("scheme").filter(|scheme| scheme.is_object())
        && kind(scheme) != kind(&known["scheme"])
    {
        known["scheme"] = Value::Null;
    }
    serde_json::from_value(merged(known, change))
        .map_err(|error| Problem::bad_request(format!("The definition does not fit: {error}.")))
}

fn status(word: &str) -> Result<DeliveryStatus, Problem> {
    DeliveryStatus::parse(word).ok_or_else(|| {
        let known = DeliveryStatus::ALL.map(DeliveryStatus::as_str).join(", ");
        Problem::bad_request(format!("`status` is one of {known}."))
    })
}

fn since(text: &str) -> Result<Timestamp, Problem> {
    Timestamp::parse_rfc3339(text)
        .ok_or_else(|| Problem::bad_request("`since` is a time such as 2027-01-03T04:00:00Z."))
}

/// A word of a query, where one was given.
fn given(word: Option<String>) -> Option<String> {
    word.filter(|word| !word.is_empty())
}
