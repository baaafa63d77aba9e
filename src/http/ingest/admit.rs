//! The door of intake: whose key, which project, how much.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::ORIGIN;
use actix_web::{HttpRequest, web};

use super::super::AppState;
use super::super::body::Unread;
use super::super::problem::Problem;
use super::Refusals;
use crate::accounts::cache::Lookup;
use crate::accounts::keys::{self, Grant};
use crate::accounts::{OriginDecision, PublicKey};
use crate::base::{ProjectId, Timestamp};
use crate::ledger::{Category, Reason};
use crate::resilience::Admission;
use crate::sentry::auth::{self, AuthError, AuthSources, Credentials};
use crate::sentry::body::BodyLimits;

/// Up to here a body is decoded and parsed on the HTTP worker; larger ones would hold up its other requests.
const INLINE_BYTES_MAX: usize = 64 * 1024;

/// Why something was turned away at the door: the answer and the ledger's lines.
#[derive(Debug)]
pub struct Refusal {
    pub problem: Problem,
    pub reason: Reason,
    /// What was lost by it.
    pub lost: Vec<(Category, u64)>,
    /// `None` for a stranger: anybody may write any number into the address.
    pub project: Option<ProjectId>,
}

impl Refusal {
    pub fn new(status: StatusCode, detail: impl Into<String>, reason: Reason) -> Self {
        Self::because(Problem::new(status, detail), reason)
    }

    /// With an answer that is made already.
    pub fn because(problem: Problem, reason: Reason) -> Self {
        Self { problem, reason, lost: vec![(Category::Default, 1)], project: None }
    }

    /// For something that cannot be read as what it should be.
    pub fn invalid(error: &dyn std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.to_string(), Reason::Invalid)
    }

    /// For something that the store does not take.
    pub fn busy(error: impl Into<Problem>) -> Self {
        Self::because(error.into(), Reason::Busy)
    }

    #[must_use]
    pub fn of(self, project: ProjectId, category: Category) -> Self {
        self.of_all(project, vec![(category, 1)])
    }

    #[must_use]
    pub fn of_all(mut self, project: ProjectId, lost: Vec<(Category, u64)>) -> Self {
        (self.project, self.lost) = (Some(project), lost);
        self
    }

    /// Writes it down for the ledger.
    pub fn count(&self, refusals: &Refusals) {
        for (category, quantity) in &self.lost {
            refusals.count(self.project, self.reason, *category, *quantity);
        }
    }
}

impl From<Unread> for Refusal {
    fn from(unread: Unread) -> Self {
        let reason = match &unread {
            Unread::Refused(error) if error.is_too_large() => Reason::TooLarge,
            Unread::Late | Unread::BrokenOff(_) | Unread::Refused(_) => Reason::Invalid,
            Unread::Crowded => Reason::Busy,
        };
        Self::because(unread.into(), reason)
    }
}

/// What one request of an SDK may bring.
pub fn envelope_limits(state: &AppState) -> BodyLimits {
    let limits = &state.config.ingest;
    BodyLimits { compressed_bytes: limits.body_bytes_max, decompressed_bytes: limits.decompressed_bytes_max }
}

/// What one request to the plain endpoints may bring: its JSON becomes a tree, which takes many times its bytes.
pub fn api_limits(state: &AppState) -> BodyLimits {
    let bytes = state.config.limits.api_body_bytes_max;
    BodyLimits { compressed_bytes: bytes, decompressed_bytes: bytes }
}

/// What a request names a key with, before its body is read.
pub fn claimed(request: &HttpRequest) -> Result<Credentials, AuthError> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    auth::credentials(&AuthSources {
        x_sentry_auth: header("x-sentry-auth"),
        authorization: header("authorization"),
        query: Some(request.query_string()).filter(|query| !query.is_empty()),
    })
}

/// The grant of the key that a request names outside its body, for the project in its path.
pub async fn find_grant(
    request: &HttpRequest,
    state: &AppState,
    project: Option<ProjectId>,
) -> Result<Arc<Grant>, Refusal> {
    let claimed = claimed(request).map_err(refuse_auth)?;
    grant_of(request, state, project, PublicKey(claimed.public_key)).await
}

/// The grant of a key, where it is for this project and this origin.
pub async fn grant_of(
    request: &HttpRequest,
    state: &AppState,
    project: Option<ProjectId>,
    key: PublicKey,
) -> Result<Arc<Grant>, Refusal> {
    let grant = look_up(state, key, state.clock.now()).await?;
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

async fn look_up(state: &AppState, key: PublicKey, now: Timestamp) -> Result<Option<Arc<Grant>>, Refusal> {
    let ticket = match state.cache.keys.look_up(&key, now) {
        Lookup::Present(grant) => return Ok(Some(grant)),
        Lookup::Absent => return Ok(None),
        Lookup::Unknown(ticket) => ticket,
    };
    let found = state.store.read_reserved(move |tx| keys::find_grant(tx, key)).await;
    let found = found.map_err(Refusal::busy)?;
    Ok(state.cache.keys.remember(ticket, &key, found, now))
}

/// What is counted against a key's quota: each kind has the whole quota to itself, so that no flood of numbers or
/// sessions keeps an error out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Allowance {
    Errors,
    /// Metric points, deploys and every other item of an envelope.
    Others,
}

/// Why a key's quota does not take something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverQuota {
    /// It is used up; so many whole seconds later it would be taken.
    Wait { seconds: u32 },
    /// It is more than the quota lets through at once.
    Never { at_once: u32 },
}

impl OverQuota {
    /// What `Retry-After` says.
    pub const fn seconds(self) -> u32 {
        match self {
            Self::Wait { seconds } => seconds,
            Self::Never { .. } => 60,
        }
    }
}

/// Counts `cost` against the key's quota. Nothing may be written before it.
pub fn admit(state: &AppState, grant: &Grant, allowance: Allowance, cost: u64) -> Result<(), OverQuota> {
    let quota = grant.quota(state.config.ingest.events_per_minute);
    let at_once = quota.limit.min(quota.burst);
    let cost = u32::try_from(cost).ok().filter(|cost| *cost <= at_once);
    let cost = cost.ok_or(OverQuota::Never { at_once })?;
    match state.key_limits.admit(&(grant.key, allowance), quota, state.clock.now(), cost) {
        Admission::Admitted { .. } => Ok(()),
        Admission::Refused { retry_after } => Err(OverQuota::Wait { seconds: whole_seconds(retry_after) }),
    }
}

/// As [`admit`], for what a request brings beyond the one that it was admitted with before anybody had read it. Where
/// that does not fit, the answer is when all of it would: it will come again as a whole.
pub fn admit_rest(
    state: &AppState,
    grant: &Grant,
    allowance: Allowance,
    count: u64,
) -> Result<(), OverQuota> {
    let all_at_once = count <= u64::from(grant.quota(state.config.ingest.events_per_minute).limit);
    if all_at_once && admit(state, grant, allowance, count.saturating_sub(1)).is_ok() {
        return Ok(());
    }
    admit(state, grant, allowance, count)
}

fn whole_seconds(wait: Duration) -> u32 {
    let started = u64::from(wait.subsec_nanos() > 0);
    u32::try_from(wait.as_secs() + started).unwrap_or(u32::MAX).max(1)
}

/// Runs `work` over a body of so many bytes: here where it is small, on the blocking pool where it is large.
pub async fn on_right_thread<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    if bytes <= INLINE_BYTES_MAX {
        return work();
    }
    let span = tracing::Span::current();
    web::block(move || span.in_scope(work)).await.unwrap_or_else(|_| {
        Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "tocsin is restarting", Reason::Busy))
    })
}

pub fn refuse_auth(error: AuthError) -> Refusal {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::UNAUTHORIZED);
    Refusal::new(status, error.to_string(), Reason::UnknownKey)
}

fn refuse_key(project: Option<ProjectId>, detail: &str) -> Refusal {
    let mut refusal = Refusal::new(StatusCode::FORBIDDEN, detail, Reason::UnknownKey);
    refusal.project = project;
    refusal
}
