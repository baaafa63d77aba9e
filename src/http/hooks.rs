//! `POST /hooks/{key}`: what providers call. Their 200 means: stored, once, and on its way.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::AppState;
use super::body::{Reading, Unread, Whole};
use super::problem::Problem;
use super::request::{client_address, request_id};
use super::strangers::TooMany;
use crate::courier::arrival::{Came, Heard, Means, NotHeard, hear, shown_headers};
use crate::store::Error;
use crate::webhooks::accept::Accepted;
use crate::webhooks::door::Door;
use crate::webhooks::providers::Answer;
use crate::webhooks::refused::Refused;
use crate::webhooks::scheme::{Call, Refusal};

/// Up to here a body is verified and sealed on the HTTP worker; larger ones would hold up its other requests.
const INLINE_BYTES_MAX: usize = 64 * 1024;
/// What a store that cannot write asks a provider to wait.
const RETRY_S: u64 = 30;

/// Takes a call.
pub(super) async fn take(
    request: HttpRequest,
    mut payload: web::Payload,
    state: web::Data<AppState>,
    key: web::Path<String>,
) -> HttpResponse {
    let taken = called(&request, &mut payload, &state, &key).await;
    let answered = taken.unwrap_or_else(|problem| problem.response(Some(&request_id(&request))));
    uncached(answered)
}

/// Answers every method but POST.
pub(super) async fn wrong_method(request: HttpRequest) -> HttpResponse {
    let mut problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Webhooks are taken by POST.");
    problem.headers.push((ALLOW, HeaderValue::from_static("POST")));
    uncached(problem.response(Some(&request_id(&request))))
}

fn uncached(mut answer: HttpResponse) -> HttpResponse {
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

async fn called(
    request: &HttpRequest,
    payload: &mut web::Payload,
    state: &web::Data<AppState>,
    key: &str,
) -> Result<HttpResponse, Problem> {
    let door = find(request, state, key).await?;
    // Before the body: what cannot be stored need not be read.
    state.may_store().map_err(not_stored)?;
    let heard = Listener::new(request, state, &door);
    let body = match read(request, payload, state, &door).await {
        Ok(body) => body,
        Err(unread) => return Err(heard.unread(unread)),
    };
    match heard.judge(body).await? {
        Heard::Asked(answer) => Ok(answered(&answer)),
        Heard::Event(event) => {
            let accepted = state.take_webhook(*event).await.map_err(not_stored)?;
            outcome(&door, accepted)
        }
    }
}

/// The source at an address; who guesses gets only so many tries.
async fn find(request: &HttpRequest, state: &AppState, key: &str) -> Result<Arc<Door>, Problem> {
    let found = state.doors.find(&state.store, state.clock.now(), key).await.map_err(not_stored)?;
    if let Some(door) = found {
        return Ok(door);
    }
    state.strangers.ask(request, state).map_err(|TooMany { retry_after_s }| {
        let detail = "Too many wrong addresses came from you. Call the one on the page of the source.";
        Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(retry_after_s)
    })?;
    Err(Problem::new(StatusCode::NOT_FOUND, "No source takes webhooks here. Its address stands on its page."))
}

async fn read(
    request: &HttpRequest,
    payload: &mut web::Payload,
    state: &AppState,
    door: &Door,
) -> Result<Whole, Unread> {
    let bytes_max = door.body_bytes_max(state.config.webhooks.body_bytes_max);
    Reading::raw(request, state, payload, bytes_max)?.whole().await
}

/// What is known of a call besides its body; owned, because a large body is judged on another thread.
struct Listener {
    state: web::Data<AppState>,
    door: Arc<Door>,
    method: String,
    url: String,
    query: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    address: String,
}

impl Listener {
    fn new(request: &HttpRequest, state: &web::Data<AppState>, door: &Arc<Door>) -> Self {
        let query = request.query_string();
        let headers = request.headers().iter().map(|(name, value)| (name.clone(), value.clone()));
        Self {
            method: request.method().to_string(),
            url: public_url(state, door, query),
            query: query.to_owned(),
            headers: headers.collect(),
            address: client_address(request, state).map(|address| address.to_string()).unwrap_or_default(),
            state: state.clone(),
            door: Arc::clone(door),
        }
    }

    async fn judge(self, body: Whole) -> Result<Heard, Problem> {
        if body.len() <= INLINE_BYTES_MAX {
            return self.judge_here(&body);
        }
        let span = tracing::Span::current();
        let judged = web::block(move || span.in_scope(|| self.judge_here(&body))).await;
        judged.unwrap_or_else(|_| Err(not_stored(Error::Stopped)))
    }

    fn judge_here(&self, body: &[u8]) -> Result<Heard, Problem> {
        let (state, headers) = (&self.state, self.plain_headers());
        let call = Call { method: &self.method, url: &self.url, headers: &headers, body };
        let came = Came { call, query: &self.query, address: &self.address, at: state.clock.now() };
        let means = Means { sealer: state.sealer.clone(), entropy: state.entropy.clone() };
        hear(&self.door, &means, &state.tools.scrubber, &came).map_err(|not_heard| match not_heard {
            NotHeard::Refused(refusal) => {
                self.count(refusal.as_str());
                unbelieved(&refusal)
            }
            NotHeard::Unsealed(error) => {
                tracing::error!(webhook.source = self.door.key, %error, "a webhook was not taken");
                not_stored(Error::Busy)
            }
        })
    }

    /// Counts and answers a body that did not come as it should.
    fn unread(&self, unread: Unread) -> Problem {
        match &unread {
            Unread::Late => self.count("late"),
            Unread::BrokenOff(_) => self.count("broken_off"),
            Unread::Refused(error) if error.is_too_large() => self.count("too_large"),
            Unread::Refused(_) => self.count("unreadable"),
            // Not the caller's fault.
            Unread::Crowded => {}
        }
        unread.into()
    }

    fn count(&self, reason: &'static str) {
        let refused = Refused {
            at: self.state.clock.now(),
            reason,
            address: self.address.clone(),
            headers: shown_headers(&self.door.scheme, &self.state.tools.scrubber, &self.plain_headers()),
        };
        self.state.doors.refusals.count(self.door.id, refused);
    }

    fn plain_headers(&self) -> Vec<(&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
    }
}

/// The address as the provider called it: some schemes sign it.
fn public_url(state: &AppState, door: &Door, query: &str) -> String {
    let base = match &door.definition.url {
        Some(url) => url.clone(),
        None => format!("{}/hooks/{}", state.base_url.as_str().trim_end_matches('/'), door.key),
    };
    if query.is_empty() { base } else { format!("{base}?{query}") }
}

/// A caller is told what is wrong with its call, and nothing of what is missing here.
fn unbelieved(refusal: &Refusal) -> Problem {
    let detail = match refusal {
        Refusal::NoSecret => "This source takes no calls yet.".to_owned(),
        other => super::problem::sentence(&other.to_string()),
    };
    Problem::new(StatusCode::UNAUTHORIZED, detail)
}

/// Whatever kept it from being stored, the provider shall send it again.
fn not_stored(error: Error) -> Problem {
    let problem = Problem::from(error);
    if problem.status == StatusCode::SERVICE_UNAVAILABLE {
        return problem;
    }
    let detail = "This could not be stored. Send it again.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(RETRY_S)
}

fn outcome(door: &Door, accepted: Accepted) -> Result<HttpResponse, Problem> {
    match accepted {
        Accepted::New | Accepted::Again => Ok(answered(&door.answer())),
        // A provider that wants to hear certain words takes any others for a failure.
        Accepted::Duplicate if door.has_own_answer() => Ok(answered(&door.answer())),
        Accepted::Duplicate => Ok(HttpResponse::Ok().json(json!({"duplicate": true}))),
        Accepted::Gone => {
            Err(Problem::new(StatusCode::NOT_FOUND, "No source takes webhooks here. It was removed."))
        }
    }
}

fn answered(answer: &Answer) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::build(status);
    if !answer.content_type.is_empty() {
        response.content_type(answer.content_type.as_str());
    }
    response.body(answer.body.clone())
}
