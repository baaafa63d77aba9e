//! `POST /api/{project}/envelope/` and the legacy `/store/`.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};

use super::super::AppState;
use super::admit::{INLINE_BYTES_MAX, Refusal, admit, find_grant, has_credentials, read_body};
use super::sentry;
use crate::accounts::keys::Grant;
use crate::base::{EventId, ProjectId, Severity};
use crate::issues::incoming::{Incoming, Origin, PrepareError};
use crate::ledger::{self, Category, ClientReason, Outcome, Reason};
use crate::sentry::answer::PIXEL_GIF;
use crate::sentry::category::{LimitScope, RateLimit};
use crate::sentry::envelope::Envelope;
use crate::sentry::kind::ItemKind;
use crate::sentry::{client_report, store};

/// What an envelope holds, ready for the store.
struct Unpacked {
    events: Vec<Incoming>,
    ledger: Vec<Outcome>,
    hint: Option<RateLimit>,
    /// The id to answer with.
    id: Option<EventId>,
}

/// Takes an envelope.
pub async fn envelope(
    request: HttpRequest,
    mut payload: web::Payload,
    path: web::Path<i64>,
    state: web::Data<AppState>,
) -> HttpResponse {
    let project = ProjectId(path.into_inner());
    match take_envelope(&request, &mut payload, project, &state).await {
        Ok(response) => response,
        Err(refusal) => sentry::refused(&state, &refusal),
    }
}

/// Takes one event in the form of old SDKs, or an envelope sent to the old address.
pub async fn store_event(
    request: HttpRequest,
    mut payload: web::Payload,
    path: web::Path<i64>,
    state: web::Data<AppState>,
) -> HttpResponse {
    let project = ProjectId(path.into_inner());
    let content_type =
        request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let taken = if store::is_envelope(content_type) {
        take_envelope(&request, &mut payload, project, &state).await
    } else {
        take_event(&request, &mut payload, project, &state).await
    };
    taken.unwrap_or_else(|refusal| sentry::refused(&state, &refusal))
}

/// The GET form of `/store/`: the event stands in the query, the answer is an image.
pub async fn store_pixel(
    request: HttpRequest,
    path: web::Path<i64>,
    state: web::Data<AppState>,
) -> HttpResponse {
    let project = ProjectId(path.into_inner());
    match take_query(&request, project, &state).await {
        Ok(()) => sentry::with_cors(StatusCode::OK).content_type("image/gif").body(PIXEL_GIF),
        Err(refusal) => sentry::refused(&state, &refusal),
    }
}

async fn take_envelope(
    request: &HttpRequest,
    payload: &mut web::Payload,
    project: ProjectId,
    state: &web::Data<AppState>,
) -> Result<HttpResponse, Refusal> {
    // A request without any key is refused before its body is read, unless the envelope may name one.
    let early = if has_credentials(request) {
        Some(find_grant(request, state, Some(project), None).await?)
    } else {
        None
    };
    let body =
        read_body(request, payload, state).await.map_err(|refusal| refusal.of(project, Category::Default))?;
    let grant = match early {
        Some(grant) => grant,
        None => {
            let dsn = envelope_dsn(&body);
            find_grant(request, state, Some(project), dsn.as_deref()).await?
        }
    };
    let unpacked = on_right_thread(state, &grant, body, unpack).await?;
    let events = u32::try_from(unpacked.events.len()).unwrap_or(u32::MAX);
    if events > 0
        && let Err(seconds) = admit(state, &grant, events)
    {
        state.refusals.count(Some(project), Reason::OverLimit, Category::Error, events.into());
        return Ok(sentry::limited(&RateLimit::events(seconds, LimitScope::Key, "key_quota")));
    }
    record(state, unpacked.events, unpacked.ledger, project).await?;
    Ok(sentry::accepted(unpacked.id, unpacked.hint.as_ref()))
}

async fn take_event(
    request: &HttpRequest,
    payload: &mut web::Payload,
    project: ProjectId,
    state: &web::Data<AppState>,
) -> Result<HttpResponse, Refusal> {
    let grant = find_grant(request, state, Some(project), None).await?;
    let body =
        read_body(request, payload, state).await.map_err(|refusal| refusal.of(project, Category::Error))?;
    let id = take_json(state, &grant, body, |state, grant, body| {
        let json =
            store::event_json(&body, state.config.ingest.decompressed_bytes_max).map_err(|e| invalid(&e))?;
        prepare(state, grant, None, &json)
    });
    match id.await? {
        Ok(id) => Ok(sentry::accepted(Some(id), None)),
        Err(seconds) => Ok(sentry::limited(&RateLimit::events(seconds, LimitScope::Key, "key_quota"))),
    }
}

async fn take_query(
    request: &HttpRequest,
    project: ProjectId,
    state: &web::Data<AppState>,
) -> Result<(), Refusal> {
    let grant = find_grant(request, state, Some(project), None).await?;
    let query = request.query_string().as_bytes().to_vec();
    let taken = take_json(state, &grant, query, |state, grant, query| {
        let query = String::from_utf8_lossy(&query);
        let max = state.config.ingest.decompressed_bytes_max;
        let json = store::event_json_of_query(&query, max).map_err(|e| invalid(&e))?;
        prepare(state, grant, None, &json)
    });
    taken.await?.map(|_| ()).map_err(|_| {
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, "the key's quota is used up", Reason::OverLimit)
            .of(project, Category::Error)
    })
}

/// Prepares one event and records it; the inner error is how many seconds the key has to wait.
async fn take_json(
    state: &web::Data<AppState>,
    grant: &Arc<Grant>,
    body: Vec<u8>,
    read: fn(&AppState, &Grant, Vec<u8>) -> Result<Incoming, Refusal>,
) -> Result<Result<EventId, u32>, Refusal> {
    let project = grant.project;
    let event = on_right_thread(state, grant, body, read).await?;
    if let Err(seconds) = admit(state, grant, 1) {
        state.refusals.count(Some(project), Reason::OverLimit, Category::Error, 1);
        return Ok(Err(seconds));
    }
    let id = event.event;
    record(state, vec![event], Vec::new(), project).await?;
    Ok(Ok(id))
}

/// Runs `work` here for small bodies and on the blocking pool for large ones.
async fn on_right_thread<T: Send + 'static>(
    state: &web::Data<AppState>,
    grant: &Arc<Grant>,
    body: Vec<u8>,
    work: fn(&AppState, &Grant, Vec<u8>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    if body.len() <= INLINE_BYTES_MAX {
        return work(state, grant, body);
    }
    let (state, grant) = (state.clone(), Arc::clone(grant));
    web::block(move || work(&state, &grant, body)).await.unwrap_or_else(|_| {
        Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "tocsin is restarting", Reason::Busy))
    })
}

fn unpack(state: &AppState, grant: &Grant, body: Vec<u8>) -> Result<Unpacked, Refusal> {
    let envelope = Envelope::parse(&body).map_err(|error| {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
        Refusal::new(status, error.to_string(), Reason::Invalid).of(grant.project, Category::Default)
    })?;
    let mut events = Vec::new();
    let mut ledger = Vec::new();
    let mut unsupported = Vec::new();
    for item in &envelope.items {
        match &item.kind {
            ItemKind::Event => events.push(prepare(state, grant, envelope.header.event_id, item.payload)?),
            ItemKind::ClientReport => ledger.extend(client_losses(grant.project, item.payload)),
            other => {
                let quantity = item.item_count.unwrap_or(1);
                let (reason, category) =
                    (Reason::NotSupportedYet, Category::known_or_default(other.category().as_str()));
                ledger.push(Outcome { project: Some(grant.project), reason, category, quantity });
                unsupported.push(other.clone());
            }
        }
    }
    let id = events.first().map(|event| event.event).or(envelope.header.event_id);
    Ok(Unpacked { events, ledger, hint: RateLimit::unsupported(&unsupported), id })
}

fn prepare(state: &AppState, grant: &Grant, id: Option<EventId>, json: &[u8]) -> Result<Incoming, Refusal> {
    let origin = Origin {
        project: grant.project,
        received_at: state.clock.now(),
        event: id,
        fallback_event: EventId(state.entropy.bytes()),
        severity_max: grant.cap(Severity::Critical),
    };
    Incoming::prepare(&origin, &state.scrubber, json).map_err(|error| match error {
        PrepareError::Event(_) => invalid(&error).of(grant.project, Category::Error),
        PrepareError::Compress(_) => {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "out of memory", Reason::Busy)
                .of(grant.project, Category::Error)
        }
    })
}

/// What an SDK says it dropped itself.
fn client_losses(project: ProjectId, payload: &[u8]) -> Vec<Outcome> {
    let Ok(discarded) = client_report::parse(payload) else { return Vec::new() };
    discarded
        .into_iter()
        .map(|lost| Outcome {
            project: Some(project),
            reason: Reason::Client(ClientReason::known_or_other(&lost.reason)),
            category: Category::known_or_default(&lost.category),
            quantity: lost.quantity,
        })
        .collect()
}

/// Commits events and ledger lines; answers once both are on disk.
pub async fn record(
    state: &AppState,
    events: Vec<Incoming>,
    ledger: Vec<Outcome>,
    project: ProjectId,
) -> Result<(), Refusal> {
    let busy = |error: crate::store::Error| Refusal {
        problem: error.into(),
        reason: Reason::Busy,
        category: Category::Error,
        project: Some(project),
    };
    for event in events {
        state.take_event(event).await.map_err(busy)?;
    }
    if !ledger.is_empty() {
        let now = state.clock.now();
        state.store.write("ledger.add", move |tx| ledger::add(tx, now, &ledger)).await.map_err(busy)?;
    }
    Ok(())
}

fn envelope_dsn(body: &[u8]) -> Option<String> {
    let envelope = Envelope::parse(body).ok()?;
    envelope.header.dsn.map(std::borrow::Cow::into_owned)
}

fn invalid(error: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, error.to_string(), Reason::Invalid)
}
