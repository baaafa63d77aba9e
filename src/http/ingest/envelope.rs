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

/// What a request holds, ready for the store.
#[derive(Default)]
struct Unpacked {
    events: Vec<Incoming>,
    ledger: Vec<Outcome>,
    /// Kinds that were counted and let go.
    unsupported: Vec<ItemKind>,
    /// The id to answer with.
    id: Option<EventId>,
}

impl Unpacked {
    /// Adds an event, or counts what only stands where events stand.
    fn add_event(
        &mut self,
        state: &AppState,
        grant: &Grant,
        id: Option<EventId>,
        json: &[u8],
    ) -> Result<(), Refusal> {
        match prepare(state, grant, id, json)? {
            Prepared::Event(event) => {
                self.id = self.id.or(Some(event.event));
                self.events.push(*event);
            }
            Prepared::Other(kind) => self.count_unsupported(grant.project, kind, 1),
        }
        Ok(())
    }

    fn count_unsupported(&mut self, project: ProjectId, kind: ItemKind, quantity: u64) {
        let category = Category::known_or_default(kind.category().as_str());
        self.ledger.push(Outcome {
            project: Some(project),
            reason: Reason::NotSupportedYet,
            category,
            quantity,
        });
        self.unsupported.push(kind);
    }
}

enum Prepared {
    Event(Box<Incoming>),
    /// By its own word no error: a feedback, a transaction.
    Other(ItemKind),
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
        Ok(answer) if answer.status().is_success() => {
            sentry::with_cors(StatusCode::OK).content_type("image/gif").body(PIXEL_GIF)
        }
        Ok(answer) => answer,
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
    let grant = if let Some(grant) = early {
        grant
    } else {
        let dsn = envelope_dsn(&body);
        find_grant(request, state, Some(project), dsn.as_deref()).await?
    };
    let unpacked = on_right_thread(state, &grant, body, unpack).await?;
    take(state, &grant, unpacked).await
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
    let unpacked = on_right_thread(state, &grant, body, |state, grant, body| {
        let max = state.config.ingest.decompressed_bytes_max;
        let json = store::event_json(body, max)
            .map_err(|error| invalid(&error).of(grant.project, Category::Error))?;
        unpack_event(state, grant, &json)
    });
    take(state, &grant, unpacked.await?).await
}

async fn take_query(
    request: &HttpRequest,
    project: ProjectId,
    state: &web::Data<AppState>,
) -> Result<HttpResponse, Refusal> {
    let grant = find_grant(request, state, Some(project), None).await?;
    let query = request.query_string().as_bytes().to_vec();
    let unpacked = on_right_thread(state, &grant, query, |state, grant, query| {
        let max = state.config.ingest.decompressed_bytes_max;
        let query = String::from_utf8_lossy(query);
        let json = store::event_json_of_query(&query, max)
            .map_err(|error| invalid(&error).of(grant.project, Category::Error))?;
        unpack_event(state, grant, &json)
    });
    take(state, &grant, unpacked.await?).await
}

/// Holds what was unpacked against the key's quota, commits it and answers.
async fn take(state: &AppState, grant: &Grant, unpacked: Unpacked) -> Result<HttpResponse, Refusal> {
    let events = u32::try_from(unpacked.events.len()).unwrap_or(u32::MAX);
    if events > 0
        && let Err(seconds) = admit(state, grant, events)
    {
        state.refusals.count(Some(grant.project), Reason::OverLimit, Category::Error, events.into());
        return Ok(sentry::limited(&RateLimit::events(seconds, LimitScope::Key, "key_quota")));
    }
    let hint = RateLimit::unsupported(&unpacked.unsupported);
    record(state, unpacked.events, unpacked.ledger, grant.project).await?;
    Ok(sentry::accepted(unpacked.id, hint.as_ref()))
}

/// Runs `work` here for small bodies and on the blocking pool for large ones.
async fn on_right_thread<T: Send + 'static>(
    state: &web::Data<AppState>,
    grant: &Arc<Grant>,
    body: Vec<u8>,
    work: fn(&AppState, &Grant, &[u8]) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    if body.len() <= INLINE_BYTES_MAX {
        return work(state, grant, &body);
    }
    let (state, grant) = (state.clone(), Arc::clone(grant));
    web::block(move || work(&state, &grant, &body)).await.unwrap_or_else(|_| {
        Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "tocsin is restarting", Reason::Busy))
    })
}

fn unpack(state: &AppState, grant: &Grant, body: &[u8]) -> Result<Unpacked, Refusal> {
    let envelope = Envelope::parse(body).map_err(|error| {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
        Refusal::new(status, error.to_string(), Reason::Invalid).of(grant.project, Category::Default)
    })?;
    let id = envelope.header.event_id;
    let mut unpacked = Unpacked::default();
    for item in &envelope.items {
        match &item.kind {
            ItemKind::Event => unpacked.add_event(state, grant, id, item.payload)?,
            ItemKind::ClientReport => unpacked.ledger.extend(client_losses(grant.project, item.payload)),
            other => {
                unpacked.count_unsupported(grant.project, other.clone(), item.item_count.unwrap_or(1));
            }
        }
    }
    unpacked.id = unpacked.id.or(id);
    Ok(unpacked)
}

fn unpack_event(state: &AppState, grant: &Grant, json: &[u8]) -> Result<Unpacked, Refusal> {
    let mut unpacked = Unpacked::default();
    unpacked.add_event(state, grant, None, json)?;
    Ok(unpacked)
}

fn prepare(state: &AppState, grant: &Grant, id: Option<EventId>, json: &[u8]) -> Result<Prepared, Refusal> {
    let origin = Origin {
        project: grant.project,
        received_at: state.clock.now(),
        event: id,
        fallback_event: EventId(state.entropy.bytes()),
        severity_max: grant.cap(Severity::Critical),
    };
    match Incoming::prepare(&origin, &state.tools, json) {
        Ok(event) => Ok(Prepared::Event(Box::new(event))),
        Err(PrepareError::OtherType(name)) => Ok(Prepared::Other(kind_of_type(name))),
        Err(error) => Err(refuse_event(&error, grant.project)),
    }
}

/// The answer to an event that could not be taken.
pub(super) fn refuse_event(error: &PrepareError, project: ProjectId) -> Refusal {
    let refusal = match error {
        PrepareError::Event(_) | PrepareError::OtherType(_) => invalid(error),
        PrepareError::TooLarge(_) => {
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string(), Reason::TooLarge)
        }
        PrepareError::Compress(_) => {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "out of memory", Reason::Busy)
        }
    };
    refusal.of(project, Category::Error)
}

/// The kind of item as which newer SDKs send what a payload's own `type` names.
fn kind_of_type(name: &str) -> ItemKind {
    match name {
        "csp" | "hpkp" | "expectct" | "expectstaple" => ItemKind::RawSecurity,
        "user_report_v2" => ItemKind::Feedback,
        name => ItemKind::named(name),
    }
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
    let (events, ledger) = together(events, ledger);
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

/// Ledger lines go with the last event, where there is one; the rest is for a write of their own.
fn together(mut events: Vec<Incoming>, mut ledger: Vec<Outcome>) -> (Vec<Incoming>, Vec<Outcome>) {
    if let Some(last) = events.last_mut() {
        last.beside = std::mem::take(&mut ledger);
    }
    (events, ledger)
}

fn envelope_dsn(body: &[u8]) -> Option<String> {
    let envelope = Envelope::parse(body).ok()?;
    envelope.header.dsn.map(std::borrow::Cow::into_owned)
}

fn invalid(error: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, error.to_string(), Reason::Invalid)
}
