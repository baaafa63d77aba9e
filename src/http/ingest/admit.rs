//! The door of intake: whose key, which project, how much, and the decoded body.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_ENCODING, ORIGIN};
use actix_web::{HttpRequest, web};
use futures_util::StreamExt as _;

use super::super::AppState;
use super::super::problem::Problem;
use crate::accounts::cache::Lookup;
use crate::accounts::keys::{self, Grant};
use crate::accounts::{OriginDecision, PublicKey};
use crate::base::{ProjectId, Timestamp};
use crate::ledger::{Category, Reason};
use crate::resilience::Admission;
use crate::sentry::auth::{AuthError, AuthSources, credentials};
use crate::sentry::body::{Body, BodyError, BodyLimits, Encoding};

/// Up to here a body is decoded and parsed on the HTTP worker; larger ones would hold up its other requests.
pub const INLINE_BYTES_MAX: usize = 64 * 1024;

/// Why something was turned away at the door: the answer and the ledger's line.
#[derive(Debug)]
pub struct Refusal {
    pub problem: Problem,
    pub reason: Reason,
    pub category: Category,
    pub project: Option<ProjectId>,
}

impl Refusal {
    pub fn new(status: StatusCode, detail: impl Into<String>, reason: Reason) -> Self {
        Self { problem: Problem::new(status, detail), reason, category: Category::Default, project: None }
    }

    #[must_use]
    pub fn of(mut self, project: ProjectId, category: Category) -> Self {
        (self.project, self.category) = (Some(project), category);
        self
    }
}

/// Reads and decodes a body, bounded before and after decompression while it comes in.
pub async fn read_body(
    request: &HttpRequest,
    payload: &mut web::Payload,
    state: &AppState,
) -> Result<Vec<u8>, Refusal> {
    let encoding = request.headers().get(CONTENT_ENCODING).map_or("", |value| value.to_str().unwrap_or("?"));
    let limits = BodyLimits {
        compressed_bytes: state.config.ingest.body_bytes_max,
        decompressed_bytes: state.config.ingest.decompressed_bytes_max,
    };
    let mut body = Body::new(Encoding::parse(encoding).map_err(|error| refuse_body(&error))?, limits)
        .map_err(|error| refuse_body(&error))?;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            Refusal::new(StatusCode::BAD_REQUEST, format!("The body broke off: {error}"), Reason::Invalid)
        })?;
        body.push(&chunk).map_err(|error| refuse_body(&error))?;
    }
    body.finish().map_err(|error| refuse_body(&error))
}

fn refuse_body(error: &BodyError) -> Refusal {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let reason = if status == StatusCode::PAYLOAD_TOO_LARGE { Reason::TooLarge } else { Reason::Invalid };
    Refusal::new(status, error.to_string(), reason)
}

/// Finds the grant of the key that a request claims, for the project in its path.
pub async fn find_grant(
    request: &HttpRequest,
    state: &AppState,
    project: Option<ProjectId>,
    envelope_dsn: Option<&str>,
) -> Result<Arc<Grant>, Refusal> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let sources = AuthSources {
        x_sentry_auth: header("x-sentry-auth"),
        authorization: header("authorization"),
        query: Some(request.query_string()).filter(|query| !query.is_empty()),
        envelope_dsn,
    };
    let credentials = credentials(&sources).map_err(refuse_auth)?;
    grant_of(request, state, project, PublicKey(credentials.public_key)).await
}

/// The grant of a key, where it is for this project and this origin.
pub async fn grant_of(
    request: &HttpRequest,
    state: &AppState,
    project: Option<ProjectId>,
    key: PublicKey,
) -> Result<Arc<Grant>, Refusal> {
    let grant = look_up(state, key, state.clock.now()).await?;
    // Counted without a project: a stranger may write any number into the address.
    let unknown = "this key is unknown or revoked: take the DSN from the project's page";
    let grant = grant.ok_or_else(|| refuse_key(None, unknown))?;
    if project.is_some_and(|project| project != grant.project) {
        let other = "this key belongs to another project than the one in the address";
        return Err(refuse_key(Some(grant.project), other));
    }
    let origin = request.headers().get(ORIGIN).and_then(|value| value.to_str().ok());
    match grant.origin(origin) {
        OriginDecision::Allowed | OriginDecision::AllowedEverywhere => Ok(grant),
        OriginDecision::NoOrigin | OriginDecision::NotListed => Err(refuse_key(
            Some(grant.project),
            "this key is not for requests from this origin: add the origin to the key",
        )),
    }
}

/// Whether a request names a key before its body is read.
pub fn has_credentials(request: &HttpRequest) -> bool {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let query = request.query_string();
    let sources = AuthSources {
        x_sentry_auth: header("x-sentry-auth"),
        authorization: header("authorization"),
        query: Some(query).filter(|query| !query.is_empty()),
        envelope_dsn: None,
    };
    credentials(&sources).is_ok()
}

async fn look_up(state: &AppState, key: PublicKey, now: Timestamp) -> Result<Option<Arc<Grant>>, Refusal> {
    let ticket = match state.cache.keys.look_up(&key, now) {
        Lookup::Present(grant) => return Ok(Some(grant)),
        Lookup::Absent => return Ok(None),
        Lookup::Unknown(ticket) => ticket,
    };
    let found = state.store.read(move |tx| keys::find_grant(tx, key)).await.map_err(|error| Refusal {
        problem: error.into(),
        reason: Reason::Busy,
        category: Category::Default,
        project: None,
    })?;
    Ok(state.cache.keys.remember(ticket, &key, found, now))
}

/// Counts `events` against the key's quota; the error is the whole seconds to wait.
pub fn admit(state: &AppState, grant: &Grant, events: u32) -> Result<(), u32> {
    let quota = grant.quota(state.config.ingest.events_per_minute);
    match state.key_limits.admit(&grant.key, quota, state.clock.now(), events) {
        Admission::Admitted { .. } => Ok(()),
        Admission::Refused { retry_after } => Err(whole_seconds(retry_after)),
    }
}

fn whole_seconds(wait: Duration) -> u32 {
    let started = u64::from(wait.subsec_nanos() > 0);
    u32::try_from(wait.as_secs() + started).unwrap_or(u32::MAX).max(1)
}

fn refuse_auth(error: AuthError) -> Refusal {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::UNAUTHORIZED);
    Refusal::new(status, error.to_string(), Reason::UnknownKey)
}

fn refuse_key(project: Option<ProjectId>, detail: &str) -> Refusal {
    let mut refusal = Refusal::new(StatusCode::FORBIDDEN, detail, Reason::UnknownKey);
    refusal.project = project;
    refusal
}
