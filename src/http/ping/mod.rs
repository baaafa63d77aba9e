//! `/ping/…`: what jobs and healthchecks.io clients call, with the answers that healthchecks.io documents.

mod path;

use std::time::Duration;

use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ALLOW, CACHE_CONTROL, HeaderName,
    HeaderValue, USER_AGENT,
};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout_at};

use super::request::client_address;
use super::strangers::TooMany;
use super::{AppState, Problem};
use crate::base::Timestamp;
use crate::base::text::clip;
use crate::heartbeats::ping::AGENT_CHARS_MAX;
use crate::heartbeats::{Address, Known, Origin, Ping, Taken, Target};
use crate::scrub::Scrubber;
use crate::store::Error;
pub use path::{BadPing, Parsed, parse};

/// Sent beside each answer: how much of a body is kept.
const PING_BODY_LIMIT: HeaderName = HeaderName::from_static("ping-body-limit");
/// Beyond what is kept so much is still read, so that a job hears its answer; what sends more is cut off.
const READ_BYTES_MAX: u64 = 1024 * 1024;
/// Read beyond what is kept, so that a secret that the end would cut is seen whole.
const SEEN_BEYOND: usize = 256;
/// A job sends what it has; who says nothing for longer holds a connection for nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// Takes a ping.
pub async fn take(request: HttpRequest, payload: web::Payload, state: web::Data<AppState>) -> HttpResponse {
    let limit = state.config.heartbeats.body_bytes_max;
    let (status, text, retry_after) = match pinged(&request, payload, &state).await {
        Ok(Taken::Recorded) => (StatusCode::OK, "OK".to_owned(), None),
        Ok(Taken::Created) => (StatusCode::CREATED, "Created".to_owned(), None),
        Ok(Taken::Unknown) => (StatusCode::NOT_FOUND, "not found".to_owned(), None),
        Ok(Taken::Full) => (StatusCode::FORBIDDEN, "no more heartbeats can be made".to_owned(), None),
        Ok(Taken::TooFast) => {
            (StatusCode::TOO_MANY_REQUESTS, "rate limited".to_owned(), Some(HeaderValue::from_static("60")))
        }
        Err(NotTaken::Bad(bad)) => (StatusCode::BAD_REQUEST, bad.to_string(), None),
        Err(NotTaken::Method) => {
            let text = "send GET, HEAD or POST".to_owned();
            return answer(StatusCode::METHOD_NOT_ALLOWED, limit)
                .insert_header((ALLOW, "GET, HEAD, POST"))
                .body(text);
        }
        Err(NotTaken::Late) => {
            (StatusCode::REQUEST_TIMEOUT, "the body did not come in time".to_owned(), None)
        }
        Err(NotTaken::TooMany(TooMany { retry_after_s })) => {
            (StatusCode::TOO_MANY_REQUESTS, "rate limited".to_owned(), Some(retry_after_s.into()))
        }
        Err(NotTaken::Store(error)) => {
            let problem = Problem::from(error);
            let retry =
                problem.headers.into_iter().find(|(name, _)| name == "retry-after").map(|(_, value)| value);
            (problem.status, problem.detail, retry)
        }
    };
    let mut response = answer(status, limit);
    if let Some(seconds) = retry_after {
        response.insert_header(("retry-after", seconds));
    }
    response.body(text)
}

/// Why a ping was not taken.
enum NotTaken {
    Bad(BadPing),
    Method,
    Late,
    TooMany(TooMany),
    Store(Error),
}

impl From<Error> for NotTaken {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

fn answer(status: StatusCode, limit: usize) -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .content_type("text/plain; charset=utf-8")
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((ACCESS_CONTROL_EXPOSE_HEADERS, "Ping-Body-Limit"))
        .insert_header((PING_BODY_LIMIT, limit));
    response
}

async fn pinged(request: &HttpRequest, payload: web::Payload, state: &AppState) -> Result<Taken, NotTaken> {
    let method = match *request.method() {
        // HEAD comes as GET.
        Method::GET => "GET",
        Method::POST => "POST",
        _ => return Err(NotTaken::Method),
    };
    let parsed = parse(request.path(), request.query_string()).map_err(NotTaken::Bad)?;
    let now = state.clock.now();
    let target = match find(request, state, now, &parsed.address).await? {
        Known::Heartbeat(id) => Target::Known(id),
        Known::Project(project) => match parsed.created() {
            Some(slug) => Target::Create { project, slug: slug.clone() },
            None => return Ok(Taken::Unknown),
        },
        Known::Nothing => return Ok(Taken::Unknown),
    };
    let keep = state.config.heartbeats.body_bytes_max;
    let (body, body_bytes) = read(payload, keep).await?;
    let agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let scrubber = &state.tools.scrubber;
    let ping = Ping {
        target,
        at: state.clock.now(),
        action: parsed.action,
        rid: parsed.rid,
        method,
        source: Origin::Http,
        agent: clip(&scrubber.text(agent), AGENT_CHARS_MAX).into_owned(),
        address: client_address(request, state).map(|address| address.to_string()).unwrap_or_default(),
        body: kept(&body, keep, scrubber),
        body_bytes,
        took: None,
        note: String::new(),
    };
    Ok(state.take_ping(ping).await?)
}

/// What an address means; what is not remembered costs its sender a question.
async fn find(
    request: &HttpRequest,
    state: &AppState,
    now: Timestamp,
    address: &Address,
) -> Result<Known, NotTaken> {
    if let Some(id) = state.addresses.recall(now, address) {
        return Ok(Known::Heartbeat(id));
    }
    let question = state.strangers.ask(request, state).map_err(NotTaken::TooMany)?;
    let known = state.addresses.find(&state.store, now, address.clone()).await;
    if !matches!(known, Ok(Known::Nothing)) {
        state.strangers.forgive(question);
    }
    Ok(known?)
}

/// What came of the body as far as it is of use, and how many bytes came in all.
async fn read(mut payload: web::Payload, keep: usize) -> Result<(Vec<u8>, u64), NotTaken> {
    let (mut body, mut came) = (Vec::new(), 0_u64);
    let by = Instant::now() + PATIENCE;
    while let Some(piece) = timeout_at(by, payload.next()).await.map_err(|_| NotTaken::Late)? {
        // What broke off says as much as came: the ping itself is all there.
        let Ok(piece) = piece else { break };
        came += piece.len() as u64;
        let room = (keep + SEEN_BEYOND).saturating_sub(body.len());
        body.extend_from_slice(piece.get(..room.min(piece.len())).unwrap_or_default());
        if came > READ_BYTES_MAX {
            break;
        }
    }
    Ok((body, came))
}

/// What may be kept of a body: text, without obvious secrets.
fn kept(body: &[u8], keep: usize, scrubber: &Scrubber) -> Vec<u8> {
    if body.is_empty() || keep == 0 {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(body);
    let mut clean = scrubber.text(&text).into_owned().into_bytes();
    clean.truncate(keep);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_taken_out_though_the_end_would_cut_it() {
        let scrubber = Scrubber::default();
        let body = format!("{} password=hunter2-and-more", "x".repeat(80));
        assert_eq!(
            kept(body.as_bytes(), 95, &scrubber),
            format!("{} password=[Filt", "x".repeat(80)).as_bytes()[..95]
        );
        assert_eq!(kept(b"\xff\xfe ok", 100, &scrubber), "\u{fffd}\u{fffd} ok".as_bytes());
        assert!(kept(b"body", 0, &scrubber).is_empty());
    }
}
