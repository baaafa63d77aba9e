//! Check-ins of Sentry SDKs: items of envelopes, and `/api/{project}/cron/{slug}/`. Taken with 202, and never told to
//! wait for a quota: a job that is not heard from rings.

use actix_web::http::StatusCode;
use actix_web::http::header::USER_AGENT;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::join_all;
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::super::AppState;
use super::super::body::Reading;
use super::super::request::client_address;
use super::admit::{Refusal, envelope_limits, find_grant, grant_of};
use super::envelope::project_of;
use super::sentry;
use crate::accounts::keys::Grant;
use crate::accounts::{KeyKind, PublicKey};
use crate::base::text::clip;
use crate::base::{EventId, ProjectId};
use crate::heartbeats::ping::AGENT_CHARS_MAX;
use crate::heartbeats::{Origin, Ping, Taken, Target};
use crate::ledger::{Category, Reason};
use crate::sentry::check_in::{self, CheckIn};

/// Who sent a check-in, for the page.
#[derive(Clone, Debug, Default)]
pub(super) struct Caller {
    agent: String,
    address: String,
}

impl Caller {
    pub(super) fn of(request: &HttpRequest, state: &AppState) -> Self {
        let agent =
            request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Self {
            agent: clip(&state.tools.scrubber.text(agent), AGENT_CHARS_MAX).into_owned(),
            address: client_address(request, state).map(|address| address.to_string()).unwrap_or_default(),
        }
    }
}

/// `/api/{project}/cron/{slug}/{key}/`
pub async fn with_key(
    request: HttpRequest,
    payload: web::Payload,
    path: web::Path<(String, String, String)>,
    state: web::Data<AppState>,
) -> HttpResponse {
    let (project, slug, key) = path.into_inner();
    let taken = async {
        let unknown = "the key in the address is none: take the DSN from the project's page";
        let refuse = |_| Refusal::new(StatusCode::FORBIDDEN, unknown, Reason::UnknownKey);
        let key: PublicKey = key.parse().map_err(refuse)?;
        let grant = grant_of(&request, &state, Some(project_of(&project)?), key).await?;
        take(&request, payload, &slug, &grant, &state).await
    };
    taken.await.unwrap_or_else(|refusal| refused(&state, &refusal))
}

/// `/api/{project}/cron/{slug}/`, with the key in a header or in the query.
pub async fn without_key(
    request: HttpRequest,
    payload: web::Payload,
    path: web::Path<(String, String)>,
    state: web::Data<AppState>,
) -> HttpResponse {
    let (project, slug) = path.into_inner();
    let taken = async {
        let grant = find_grant(&request, &state, Some(project_of(&project)?)).await?;
        take(&request, payload, &slug, &grant, &state).await
    };
    taken.await.unwrap_or_else(|refusal| refused(&state, &refusal))
}

async fn take(
    request: &HttpRequest,
    mut payload: web::Payload,
    slug: &str,
    grant: &Grant,
    state: &AppState,
) -> Result<HttpResponse, Refusal> {
    let project = grant.project;
    let lost = |refusal: Refusal| refusal.of(project, Category::Monitor);
    if grant.kind == KeyKind::Browser {
        let detail = "Anybody can read a browser key: send check-ins with a server key.";
        return Err(lost(Refusal::new(StatusCode::FORBIDDEN, detail, Reason::UnknownKey)));
    }
    let reading = Reading::new(request, state, &mut payload, envelope_limits(state))
        .map_err(Refusal::from)
        .map_err(lost)?;
    let body = reading.whole().await.map_err(Refusal::from).map_err(lost)?;
    let read = check_in::parse_request(slug, &body, &pairs(request.query_string()));
    let check_in = read.map_err(|error| lost(Refusal::invalid(&error)))?;
    let id = check_in.id.unwrap_or_else(|| state.entropy.bytes());
    let ping = ping(state, project, check_in, &Caller::of(request, state));
    record(state, project, vec![ping]).await?;
    Ok(sentry::with_cors(StatusCode::ACCEPTED).json(json!({ "id": EventId(id) })))
}

/// A check-in as the heartbeats know it.
pub(super) fn ping(state: &AppState, project: ProjectId, check_in: CheckIn, caller: &Caller) -> Ping {
    let CheckIn { slug, action, id, took, environment, definition } = check_in;
    let environment = environment.map(|name| state.tools.scrubber.text(&name).into_owned());
    Ping {
        target: Target::Upsert { project, slug, definition },
        at: state.clock.now(),
        action,
        rid: id,
        method: "",
        source: Origin::Sentry,
        agent: caller.agent.clone(),
        address: caller.address.clone(),
        body: Vec::new(),
        body_bytes: 0,
        took,
        note: environment.map(|name| format!("environment {name}")).unwrap_or_default(),
    }
}

/// Records check-ins, in order; those that nobody knows are counted. All wait for the same commit.
pub(super) async fn record(state: &AppState, project: ProjectId, pings: Vec<Ping>) -> Result<(), Refusal> {
    let all = join_all(pings.into_iter().map(|ping| state.take_ping(ping))).await;
    let (mut refused, mut lost) = (None, 0);
    for taken in all {
        let reason = match taken {
            Ok(Taken::Recorded | Taken::Created) => continue,
            // Sentry takes it and lets it go, too: there is no such monitor.
            Ok(Taken::Unknown) => Reason::Invalid,
            Ok(Taken::Full | Taken::TooFast) => Reason::OverLimit,
            Err(error) => {
                (refused, lost) = (Some(error), lost + 1);
                continue;
            }
        };
        state.refusals.count(Some(project), reason, Category::Monitor, 1);
    }
    match refused {
        Some(error) => Err(Refusal::busy(error).of_all(project, vec![(Category::Monitor, lost)])),
        None => Ok(()),
    }
}

/// As everywhere on Sentry paths, but nobody is told 429: a 503 says to come again.
pub(super) fn refused(state: &AppState, refusal: &Refusal) -> HttpResponse {
    let mut response = sentry::refused(state, refusal);
    if response.status() == StatusCode::TOO_MANY_REQUESTS {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

/// The pairs of a query; more than a check-in has are left out.
fn pairs(query: &str) -> Vec<(String, String)> {
    const PAIRS_MAX: usize = 20;
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.take(PAIRS_MAX).map(|(name, value)| (decode(name), decode(value))).collect()
}
