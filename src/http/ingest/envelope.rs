//! `POST /api/{project}/envelope/` and the legacy `/store/`.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};

use super::super::AppState;
use super::super::body::{Reading, Unread};
use super::admit::{
    Allowance, OverQuota, Refusal, admit, claimed, envelope_limits, find_grant, grant_of, on_right_thread,
    refuse_auth,
};
use super::check_in::{self, Caller};
use super::sentry;
use crate::accounts::keys::Grant;
use crate::accounts::{KeyKind, PublicKey};
use crate::base::{EventId, ProjectId, Severity};
use crate::issues::incoming::{Incoming, Origin, PrepareError};
use crate::ledger::{self, Category, ClientReason, Outcome, Reason};
use crate::sentry::answer::PIXEL_GIF;
use crate::sentry::category::{LimitScope, RateLimit};
use crate::sentry::check_in::{self as reading, CheckIn};
use crate::sentry::envelope::{Envelope, EnvelopeHeader, Item};
use crate::sentry::kind::ItemKind;
use crate::sentry::{auth, client_report, store};

/// What a request holds, ready for the store.
#[derive(Default)]
struct Unpacked {
    events: Vec<Incoming>,
    ledger: Vec<Outcome>,
    /// Kinds that were counted and let go.
    unsupported: Vec<ItemKind>,
    check_ins: Vec<CheckIn>,
    /// What is lost where the store does not take it.
    lost: Vec<(Category, u64)>,
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

    /// Adds a check-in; one that cannot be read is counted.
    fn add_check_in(&mut self, project: ProjectId, item: &Item<'_>) {
        match reading::parse(item.payload) {
            Ok(check_in) => self.check_ins.push(check_in),
            Err(error) => {
                tracing::debug!(%error, "a check-in was let go");
                let (category, quantity) = item.lost();
                let reason = Reason::Invalid;
                self.ledger.push(Outcome { project: Some(project), reason, category, quantity });
            }
        }
    }

    fn count_unsupported(&mut self, project: ProjectId, kind: ItemKind, quantity: u64) {
        let category = kind.category();
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
    path: web::Path<String>,
    state: web::Data<AppState>,
) -> HttpResponse {
    let taken = match project_of(&path) {
        Ok(project) => take_envelope(&request, &mut payload, project, &state).await,
        Err(refusal) => Err(refusal),
    };
    taken.unwrap_or_else(|refusal| sentry::refused(&state, &refusal))
}

/// Takes one event in the form of old SDKs, or an envelope sent to the old address.
pub async fn store_event(
    request: HttpRequest,
    mut payload: web::Payload,
    path: web::Path<String>,
    state: web::Data<AppState>,
) -> HttpResponse {
    let content_type =
        request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let taken = match project_of(&path) {
        Ok(project) if store::is_envelope(content_type) => {
            take_envelope(&request, &mut payload, project, &state).await
        }
        Ok(project) => take_event(&request, &mut payload, project, &state).await,
        Err(refusal) => Err(refusal),
    };
    taken.unwrap_or_else(|refusal| sentry::refused(&state, &refusal))
}

/// The GET form of `/store/`: the event stands in the query, the answer is an image.
pub async fn store_pixel(
    request: HttpRequest,
    path: web::Path<String>,
    state: web::Data<AppState>,
) -> HttpResponse {
    let taken = match project_of(&path) {
        Ok(project) => take_query(&request, project, &state).await,
        Err(refusal) => Err(refusal),
    };
    match taken {
        Ok(answer) if answer.status().is_success() => {
            sentry::with_cors(StatusCode::OK).content_type("image/gif").body(PIXEL_GIF)
        }
        Ok(answer) => answer,
        Err(refusal) => sentry::refused(&state, &refusal),
    }
}

/// The project in the address: a DSN names it by its number.
pub(super) fn project_of(path: &str) -> Result<ProjectId, Refusal> {
    let detail = "the address names its project by no number: take the DSN from the project's page";
    let refuse = |_| Refusal::new(StatusCode::NOT_FOUND, detail, Reason::UnknownKey);
    path.parse().map(ProjectId).map_err(refuse)
}

async fn take_envelope(
    request: &HttpRequest,
    payload: &mut web::Payload,
    project: ProjectId,
    state: &web::Data<AppState>,
) -> Result<HttpResponse, Refusal> {
    let (grant, reading) = open_envelope(request, payload, project, state).await?;
    let lost = |unread: Unread| Refusal::from(unread).of(grant.project, Category::Default);
    let body = reading.whole().await.map_err(lost)?;
    take(state, &grant, body, (unpack, Caller::of(request, state))).await
}

/// The sender's grant, before more of the body is read than is needed for it.
async fn open_envelope<'p>(
    request: &HttpRequest,
    payload: &'p mut web::Payload,
    project: ProjectId,
    state: &AppState,
) -> Result<(Arc<Grant>, Reading<'p>), Refusal> {
    let limits = envelope_limits(state);
    let fault = match claimed(request) {
        Ok(claimed) => {
            let grant = grant_of(request, state, Some(project), PublicKey(claimed.public_key)).await?;
            let lost = |unread: Unread| Refusal::from(unread).of(grant.project, Category::Default);
            let reading = Reading::new(request, state, payload, limits).map_err(lost)?;
            return Ok((grant, reading));
        }
        Err(fault) => fault,
    };
    let mut reading = Reading::new(request, state, payload, limits)?;
    let header = EnvelopeHeader::parse(reading.first_line().await?).unwrap_or_default();
    let named = auth::of_dsn(header.dsn.as_deref(), fault).map_err(refuse_auth)?;
    let grant = grant_of(request, state, Some(project), PublicKey(named.public_key)).await?;
    Ok((grant, reading))
}

async fn take_event(
    request: &HttpRequest,
    payload: &mut web::Payload,
    project: ProjectId,
    state: &web::Data<AppState>,
) -> Result<HttpResponse, Refusal> {
    let grant = find_grant(request, state, Some(project)).await?;
    let lost = |unread: Unread| Refusal::from(unread).of(grant.project, Category::Error);
    let reading = Reading::new(request, state, payload, envelope_limits(state)).map_err(lost)?;
    let body = reading.whole().await.map_err(lost)?;
    take(state, &grant, body, (unpack_event, Caller::default())).await
}

async fn take_query(
    request: &HttpRequest,
    project: ProjectId,
    state: &web::Data<AppState>,
) -> Result<HttpResponse, Refusal> {
    let grant = find_grant(request, state, Some(project)).await?;
    let query = request.query_string().as_bytes().to_vec();
    take(state, &grant, query, (unpack_query, Caller::default())).await
}

type Unpack = fn(&AppState, &Grant, &[u8]) -> Result<Unpacked, Refusal>;

/// Unpacks a body on the right thread, commits what it holds and answers.
async fn take(
    state: &web::Data<AppState>,
    grant: &Arc<Grant>,
    body: impl Deref<Target = [u8]> + Send + 'static,
    (unpack, caller): (Unpack, Caller),
) -> Result<HttpResponse, Refusal> {
    let (of_work, of_grant) = (state.clone(), Arc::clone(grant));
    let mut unpacked = on_right_thread(body.len(), move || unpack(&of_work, &of_grant, &body)).await?;
    let hint = RateLimit::unsupported(&unpacked.unsupported);
    let id = unpacked.id;
    let check_ins = std::mem::take(&mut unpacked.check_ins);
    record(state, unpacked, grant.project).await?;
    let pings = check_ins.into_iter().map(|it| check_in::ping(state, grant.project, it, &caller)).collect();
    if let Err(refusal) = check_in::record(state, grant.project, pings).await {
        return Ok(check_in::refused(state, &refusal));
    }
    Ok(sentry::accepted(id, hint.as_ref()))
}

fn unpack(state: &AppState, grant: &Grant, body: &[u8]) -> Result<Unpacked, Refusal> {
    let envelope = Envelope::parse(body).map_err(|error| {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
        Refusal::new(status, error.to_string(), Reason::Invalid).of(grant.project, Category::Default)
    })?;
    let id = envelope.header.event_id;
    let mut unpacked = Unpacked::default();
    let takes_others = admit_items(state, grant, &envelope.items)?;
    for item in &envelope.items {
        let (category, quantity) = item.lost();
        if matches!(item.kind, ItemKind::Event | ItemKind::CheckIn) || takes_others {
            unpacked.lost.push((category, quantity));
        } else {
            state.refusals.count(Some(grant.project), Reason::OverLimit, category, quantity);
        }
    }
    for item in &envelope.items {
        match &item.kind {
            // One unreadable event and nothing of its envelope is taken.
            ItemKind::Event => unpacked
                .add_event(state, grant, id, item.payload)
                .map_err(|refusal| refusal.of_all(grant.project, unpacked.lost.clone()))?,
            // Anybody can read the key: what it says of a job is nobody's word.
            ItemKind::CheckIn if grant.kind == KeyKind::Browser => {
                let (category, quantity) = item.lost();
                state.refusals.count(Some(grant.project), Reason::UnknownKey, category, quantity);
            }
            ItemKind::CheckIn => unpacked.add_check_in(grant.project, item),
            other if !takes_others => unpacked.unsupported.push(other.clone()),
            ItemKind::ClientReport => unpacked.ledger.extend(client_losses(grant.project, item.payload)),
            other => {
                unpacked.count_unsupported(grant.project, other.clone(), item.lost().1);
            }
        }
    }
    unpacked.id = unpacked.id.or(id);
    Ok(unpacked)
}

/// Holds an envelope's items against the key's quota, before anything is done with them; check-ins are not counted, as
/// there is nothing that a late one could wait for. `false`: only its errors
/// may be taken.
fn admit_items(state: &AppState, grant: &Grant, items: &[Item<'_>]) -> Result<bool, Refusal> {
    let refuse = |limit: &RateLimit| {
        let lost = items.iter().map(Item::lost).collect();
        sentry::limited(limit).of_all(grant.project, lost)
    };
    let errors = items.iter().filter(|item| item.kind == ItemKind::Event).count();
    if errors > 0 {
        admit(state, grant, Allowance::Errors, errors as u64)
            .map_err(|over| refuse(&RateLimit::events(over.seconds(), LimitScope::Key, QUOTA)))?;
    }
    // An envelope that holds nothing is a request all the same.
    let check_ins = items.iter().filter(|item| item.kind == ItemKind::CheckIn).count();
    let others = if items.is_empty() { 1 } else { items.len() - errors - check_ins };
    match admit(state, grant, Allowance::Others, others as u64) {
        Ok(()) => Ok(true),
        Err(_) if errors > 0 => Ok(false),
        Err(over) => {
            let kinds = items.iter().map(|item| &item.kind);
            Err(refuse(&RateLimit::others(over.seconds(), kinds, LimitScope::Key, QUOTA)))
        }
    }
}

/// What `X-Sentry-Rate-Limits` names as the reason.
const QUOTA: &str = "key_quota";

/// As [`admit_items`], for the one event of an old SDK.
fn admit_event(state: &AppState, grant: &Grant) -> Result<(), Refusal> {
    admit(state, grant, Allowance::Errors, 1).map_err(|over: OverQuota| {
        let limit = RateLimit::events(over.seconds(), LimitScope::Key, QUOTA);
        sentry::limited(&limit).of(grant.project, Category::Error)
    })
}

fn unpack_event(state: &AppState, grant: &Grant, body: &[u8]) -> Result<Unpacked, Refusal> {
    admit_event(state, grant)?;
    let json = store::event_json(body, state.config.ingest.decompressed_bytes_max);
    unpack_json(state, grant, json)
}

fn unpack_query(state: &AppState, grant: &Grant, query: &[u8]) -> Result<Unpacked, Refusal> {
    admit_event(state, grant)?;
    let query = String::from_utf8_lossy(query);
    let json = store::event_json_of_query(&query, state.config.ingest.decompressed_bytes_max);
    unpack_json(state, grant, json)
}

fn unpack_json(
    state: &AppState,
    grant: &Grant,
    json: Result<Cow<'_, [u8]>, store::StoreError>,
) -> Result<Unpacked, Refusal> {
    let json = json.map_err(|error| {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
        Refusal::new(status, error.to_string(), Reason::Invalid).of(grant.project, Category::Error)
    })?;
    let mut unpacked = Unpacked { lost: vec![(Category::Error, 1)], ..Unpacked::default() };
    unpacked.add_event(state, grant, None, &json)?;
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
        PrepareError::Event(_) | PrepareError::OtherType(_) => Refusal::invalid(error),
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
async fn record(state: &AppState, unpacked: Unpacked, project: ProjectId) -> Result<(), Refusal> {
    let Unpacked { events, ledger, mut lost, .. } = unpacked;
    let (events, ledger) = together(events, ledger);
    let busy = |error: crate::store::Error, lost: &[(Category, u64)]| {
        Refusal::busy(error).of_all(project, lost.to_vec())
    };
    for event in events {
        state.take_event(event).await.map_err(|error| busy(error, &lost))?;
        // What is stored is not lost with a later one.
        if let Some(stored) = lost.iter().position(|(category, _)| *category == Category::Error) {
            lost.swap_remove(stored);
        }
    }
    if !ledger.is_empty() {
        let now = state.clock.now();
        let added = state.store.write("ledger.add", move |tx| ledger::add(tx, now, &ledger)).await;
        added.map_err(|error| busy(error, &lost))?;
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
