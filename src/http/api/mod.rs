//! The JSON API under `/api/v1`: a file per domain, one table of routes, one document that describes them
//! (`openapi.json`).
//!
//! Lists are `{"items":[…],"next_cursor":…}`, 50 items unless `limit` says otherwise, 100 at most; refusals are
//! [`Problem`]s, also of keys in a query that the document does not describe. Every question is scoped to the projects that the caller may see.

mod list;
mod query_keys;

mod deliveries;
mod events;
mod heartbeats;
mod incidents;
mod issues;
mod maintenances;
mod merge;
mod new_probe;
mod openapi;
mod outcomes;
mod probe_views;
mod probes;
mod projects;
mod services;
mod silences;
mod status_page;
mod tasks;
mod webhooks;

use std::pin::Pin;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::{Next, from_fn};
use actix_web::{Error, FromRequest, HttpRequest, HttpResponse, Route, web};
use serde::de::DeserializeOwned;

use super::Problem;
use super::auth::state_of;
use super::body::{Whole, read_small};
use super::request::request_id;
use crate::base::Uid;
use crate::base::owned::Change;

/// Where every path of [`table`] begins.
const PREFIX: &str = "/api/v1";

/// Adds every route of the API. Must come after the intake routes below the same prefix.
pub fn routes(config: &mut web::ServiceConfig) {
    let mut scope = web::scope(PREFIX)
        .app_data(web::QueryConfig::default().error_handler(|error, _| refuse(&error)))
        .default_service(web::to(unknown))
        .wrap(from_fn(name_the_request));
    for (path, methods) in table() {
        let resource = web::resource(path).default_service(web::to(wrong_method));
        let route = |(method, route)| if method == "get" { query_keys::checked(path, route) } else { route };
        let resource = methods.into_iter().map(route).fold(resource, actix_web::Resource::route);
        scope = scope.service(resource);
    }
    config.service(scope);
}

/// Every path with what it answers to; `openapi.json` describes exactly these.
fn table() -> Vec<(&'static str, Vec<(&'static str, Route)>)> {
    let get = |route: Route| vec![("get", route)];
    let post = |route: Route| vec![("post", route)];
    vec![
        ("/openapi.json", get(web::get().to(openapi::document))),
        ("/projects", get(web::get().to(projects::list))),
        ("/issues", get(web::get().to(issues::list))),
        (
            "/issues/{id}",
            vec![("get", web::get().to(issues::show)), ("patch", web::patch().to(issues::change))],
        ),
        ("/issues/{id}/events", get(web::get().to(events::list))),
        ("/events/{event_id}", get(web::get().to(events::show))),
        ("/incidents", get(web::get().to(incidents::list))),
        ("/incidents/{id}", get(web::get().to(incidents::show))),
        ("/incidents/{id}/acknowledge", post(web::post().to(incidents::acknowledge))),
        ("/incidents/{id}/unacknowledge", post(web::post().to(incidents::unacknowledge))),
        ("/incidents/{id}/silence", post(web::post().to(incidents::silence))),
        ("/incidents/{id}/resolve", post(web::post().to(incidents::resolve))),
        ("/deliveries", get(web::get().to(deliveries::list))),
        ("/deliveries/{id}", get(web::get().to(deliveries::show))),
        ("/outcomes", get(web::get().to(outcomes::list))),
        (
            "/silences",
            vec![("get", web::get().to(silences::list)), ("post", web::post().to(silences::begin))],
        ),
        ("/silences/{id}/end", post(web::post().to(silences::end))),
        ("/tasks", get(web::get().to(tasks::list))),
    ]
    .into_iter()
    .chain(of_probes())
    .chain(of_heartbeats())
    .chain(of_services())
    .chain(webhooks::routes())
    .collect()
}

fn of_probes() -> Vec<(&'static str, Vec<(&'static str, Route)>)> {
    let post = |route: Route| vec![("post", route)];
    vec![
        ("/probes", vec![("get", web::get().to(probes::list)), ("post", web::post().to(probes::create))]),
        (
            "/probes/{key}",
            vec![
                ("get", web::get().to(probes::show)),
                ("patch", web::patch().to(probes::change)),
                ("delete", web::delete().to(probes::remove)),
            ],
        ),
        ("/probes/{key}/try", post(web::post().to(probes::try_stored))),
        ("/probes/{key}/pause", post(web::post().to(probes::pause))),
        ("/probes/{key}/resume", post(web::post().to(probes::resume))),
        ("/probes/{key}/token", post(web::post().to(probes::renew_token))),
        ("/probe-trials", post(web::post().to(probes::try_draft))),
    ]
}

fn of_services() -> Vec<(&'static str, Vec<(&'static str, Route)>)> {
    vec![
        ("/services", vec![("get", web::get().to(services::list)), ("post", web::post().to(services::save))]),
        (
            "/services/{key}",
            vec![("get", web::get().to(services::show)), ("delete", web::delete().to(services::remove))],
        ),
        (
            "/maintenances",
            vec![("get", web::get().to(maintenances::list)), ("post", web::post().to(maintenances::save))],
        ),
        ("/maintenances/{id}", vec![("delete", web::delete().to(maintenances::remove))]),
        ("/maintenances/{id}/end", vec![("post", web::post().to(maintenances::end))]),
        (
            "/status-page",
            vec![("get", web::get().to(status_page::show)), ("put", web::put().to(status_page::save))],
        ),
        (
            "/status-page/posts",
            vec![("get", web::get().to(status_page::list)), ("post", web::post().to(status_page::create))],
        ),
        (
            "/status-page/posts/{id}",
            vec![
                ("patch", web::patch().to(status_page::change)),
                ("delete", web::delete().to(status_page::remove)),
            ],
        ),
    ]
}

fn of_heartbeats() -> Vec<(&'static str, Vec<(&'static str, Route)>)> {
    vec![
        (
            "/heartbeats",
            vec![("get", web::get().to(heartbeats::list)), ("post", web::post().to(heartbeats::begin))],
        ),
        (
            "/heartbeats/{id}",
            vec![
                ("get", web::get().to(heartbeats::show)),
                ("patch", web::patch().to(heartbeats::change)),
                ("delete", web::delete().to(heartbeats::remove)),
            ],
        ),
        ("/heartbeats/{id}/pause", vec![("post", web::post().to(heartbeats::pause))]),
        ("/heartbeats/{id}/resume", vec![("post", web::post().to(heartbeats::resume))]),
        ("/heartbeats/{id}/renew-address", vec![("post", web::post().to(heartbeats::renew_address))]),
        ("/heartbeats/{id}/runs", vec![("get", web::get().to(heartbeats::list_runs))]),
        // Behind the four above, whose last part no slug of these is reached by.
        (
            "/heartbeats/{project}/{slug}",
            vec![
                ("get", web::get().to(heartbeats::show_by_slug)),
                ("patch", web::patch().to(heartbeats::change_by_slug)),
                ("delete", web::delete().to(heartbeats::remove_by_slug)),
            ],
        ),
        (
            "/projects/{project}/ping-key",
            vec![
                ("get", web::get().to(heartbeats::show_key)),
                ("post", web::post().to(heartbeats::renew_key)),
            ],
        ),
    ]
}

/// A JSON body, whatever its media type says.
struct Json<T>(T);

impl<T: DeserializeOwned> FromRequest for Json<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = body_of(request, payload);
        Box::pin(async move { read(&body.await?).map(Self) })
    }
}

/// As [`Json`], where no body at all means that everything is as usual.
struct OrDefault<T>(T);

impl<T: DeserializeOwned + Default> FromRequest for OrDefault<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = body_of(request, payload);
        Box::pin(async move {
            let body = body.await?;
            if body.trim_ascii().is_empty() { Ok(Self(T::default())) } else { read(&body).map(Self) }
        })
    }
}

fn body_of(
    request: &HttpRequest,
    payload: &mut Payload,
) -> impl Future<Output = Result<Whole, Problem>> + use<> {
    let (request, payload) = (request.clone(), payload.take());
    async move {
        let bytes_max = state_of(&request)?.config.limits.api_body_bytes_max;
        read_small(&request, payload, bytes_max).await
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| misfit(&error))
}

/// What became of a thing that is made, or changed where it exists.
const fn status_of(change: Change) -> StatusCode {
    match change {
        Change::Created => StatusCode::CREATED,
        Change::Updated | Change::Unchanged => StatusCode::OK,
    }
}

/// An outside id of a path; what is no id names nothing.
fn uid(text: &str, what: &'static str) -> Result<Uid, Problem> {
    text.parse().map_err(|_| Problem::not_found(what))
}

fn misfit(error: &serde_json::Error) -> Problem {
    let error = in_our_words(&error.to_string());
    Problem::bad_request(format!("The body does not fit: {error}. /api/v1/openapi.json describes it."))
}

fn refuse(error: &dyn std::fmt::Display) -> Error {
    Problem::bad_request(format!("{}.", in_our_words(&error.to_string()))).into()
}

/// What the parser says, without the names of our types.
fn in_our_words(error: &str) -> String {
    let error = in_numbers(&error.replace("Json deserialize error: ", "The body cannot be taken: "));
    match error.split_once("expected struct ") {
        Some((before, rest)) => {
            let rest = rest.trim_start_matches(|letter: char| letter.is_alphanumeric() || letter == '_');
            format!("{before}expected a JSON object{rest}")
        }
        None => error,
    }
}

/// `error` with the type of number that was expected as a range.
fn in_numbers(error: &str) -> String {
    let range = |(before, rest): (&str, &str)| {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        Some(format!("{before}expected {} {after}", integer_range(word)?).trim_end().to_owned())
    };
    error.rsplit_once("expected ").and_then(range).unwrap_or_else(|| error.to_owned())
}

/// A type of numbers, as people say it.
fn integer_range(name: &str) -> Option<&'static str> {
    Some(match name {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0 on",
        "i64" => "a whole number",
        "f64" => "a number",
        _ => return None,
    })
}

async fn unknown() -> Result<HttpResponse, Problem> {
    Err(Problem::new(StatusCode::NOT_FOUND, "There is no such path. /api/v1/openapi.json lists all."))
}

async fn wrong_method(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let detail = format!("{} is not possible here. /api/v1/openapi.json lists what is.", request.method());
    Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail))
}

/// A refusal is made where the request's id is not known; here it gets it.
async fn name_the_request(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let answered = next.call(request).await?.map_into_boxed_body();
    let (request, response) = answered.into_parts();
    let id = request_id(&request);
    let named: Option<HttpResponse> = response
        .error()
        .and_then(|error| error.as_error::<Problem>())
        .map(|problem| problem.response(Some(&id)));
    Ok(ServiceResponse::new(request, named.unwrap_or(response)))
}

#[cfg(test)]
mod tests;
