//! Webhooks as the API shows them: by their keys and outside ids, without secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::base::{Owner, Timestamp, Uid};
use crate::config::BaseUrl;
use crate::store::{Error, ReadTx};
use crate::webhooks::destination::{self, Held, Sign};
use crate::webhooks::queries::{
    AttemptLine, Counters, DeliveryLine, DeskLine, DestinationLine, Figures, Health, Names, Request,
    RequestLine, SourceLine, State,
};
use crate::webhooks::secrets::{SIGNING, names};
use crate::webhooks::{DeliveryStatus, Payload, Webhooks, source};

/// A source, without what its secrets are.
#[derive(Serialize)]
pub(super) struct SourceView {
    key: String,
    name: String,
    /// The project's slug.
    project: String,
    /// What the provider calls.
    url: String,
    definition: source::Definition,
    needs_secret: bool,
    /// The newest first; null where they cannot be opened.
    secrets: Option<Vec<SecretView>>,
    owner: Owner,
    counters: Counters,
    health: Health,
    created_at: Timestamp,
    updated_at: Timestamp,
    version: i64,
    /// Of a secret that was given now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct SecretView {
    place: usize,
    added_at: Timestamp,
}

/// A destination with how it is.
#[derive(Serialize)]
pub(super) struct DestinationView {
    key: String,
    name: String,
    source: Option<String>,
    project: Option<String>,
    definition: destination::Definition,
    /// The names of its secrets.
    secrets: Vec<String>,
    owner: Owner,
    held: Option<Held>,
    #[serde(flatten)]
    state: State,
    waiting: u32,
    dead: u32,
    oldest_due_at: Option<Timestamp>,
    /// Of the last 24 hours.
    last_day: Figures,
    created_at: Timestamp,
    updated_at: Timestamp,
    version: i64,
}

/// A line of a list of requests.
#[derive(Serialize)]
pub(super) struct RequestLineView {
    id: Uid,
    source: Option<String>,
    received_at: Timestamp,
    event_id: String,
    event_type: String,
    body_bytes: i64,
    repeats: i64,
    /// It was sent again after it had died.
    again: bool,
    deliveries: Vec<EndView>,
}

#[derive(Serialize)]
struct EndView {
    destination: Option<String>,
    status: DeliveryStatus,
    attempts: i64,
    last_status: Option<u16>,
    due_at: Option<Timestamp>,
    settled: bool,
}

/// A request in full.
#[derive(Serialize)]
pub(super) struct RequestView {
    id: Uid,
    source: Option<String>,
    project: Option<String>,
    received_at: Timestamp,
    event_id: String,
    event_type: String,
    order_key: Option<String>,
    content_type: String,
    body_bytes: i64,
    address: String,
    verified: VerifiedView,
    repeats: i64,
    /// The requests by which the event was taken before, and died.
    after: Vec<Uid>,
    deliveries: Vec<DeliveryView>,
    /// Only where it was asked for; null: it is no longer kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Option<PayloadView>>,
}

/// How it was believed.
#[derive(Serialize)]
struct VerifiedView {
    /// Which of the secrets it was then, 0 the newest; null: the scheme asks for none.
    secret: Option<u32>,
    signed_at: Option<Timestamp>,
}

#[derive(Serialize)]
pub(super) struct DeliveryView {
    id: Uid,
    destination: Option<String>,
    status: DeliveryStatus,
    due_at: Option<Timestamp>,
    began_at: Timestamp,
    attempts: i64,
    last_attempt_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    last_status: Option<u16>,
    error: Option<String>,
    settled_at: Option<Timestamp>,
    settled_by: Option<String>,
    /// The newest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<Vec<AttemptLine>>,
}

/// A delivery with what it brings.
#[derive(Serialize)]
pub(super) struct DeskView {
    #[serde(flatten)]
    delivery: DeliveryView,
    source: Option<String>,
    request: Uid,
    event_id: String,
    event_type: String,
    received_at: Timestamp,
}

/// What a request brought.
#[derive(Serialize)]
pub(super) struct PayloadView {
    method: String,
    query: String,
    headers: Vec<HeaderView>,
    body_base64: String,
}

/// A value that is no text stands in base64.
#[derive(Serialize)]
struct HeaderView {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

impl SourceView {
    pub(super) fn new(webhooks: &Webhooks, base_url: &BaseUrl, line: SourceLine) -> Self {
        let SourceLine { source, counters, health } = line;
        let secrets = webhooks.open_source(&source).ok().map(|secrets| {
            let dated = secrets.0.into_iter().enumerate();
            dated.map(|(place, dated)| SecretView { place, added_at: dated.added_at }).collect()
        });
        let own = || format!("{}/hooks/{}", base_url.as_str().trim_end_matches('/'), source.key);
        Self {
            url: source.definition.url.clone().unwrap_or_else(own),
            needs_secret: source.definition.needs_secret(),
            secrets,
            key: source.key,
            name: source.name,
            project: source.project_slug,
            definition: source.definition,
            owner: source.owner,
            counters,
            health,
            created_at: source.created_at,
            updated_at: source.updated_at,
            version: source.version,
            warnings: Vec::new(),
        }
    }

    pub(super) fn warned(self, warnings: Vec<String>) -> Self {
        Self { warnings, ..self }
    }
}

impl DestinationView {
    pub(super) fn new(
        line: DestinationLine,
        (source, project): (Option<String>, Option<String>),
        last_day: Figures,
        oldest_due_at: Option<Timestamp>,
    ) -> Self {
        let DestinationLine { destination, state, waiting, dead } = line;
        let definition = destination.definition;
        let mut secrets: Vec<String> = definition.headers.values().flat_map(|value| names(value)).collect();
        if definition.sign == Sign::Own {
            secrets.push(SIGNING.to_owned());
        }
        secrets.sort();
        secrets.dedup();
        Self {
            key: destination.key,
            name: destination.name,
            source,
            project,
            definition,
            secrets,
            owner: destination.owner,
            held: destination.held,
            state,
            waiting,
            dead,
            oldest_due_at,
            last_day,
            created_at: destination.created_at,
            updated_at: destination.updated_at,
            version: destination.version,
        }
    }
}

impl RequestLineView {
    pub(super) fn new(tx: &ReadTx<'_>, names: &mut Names, line: RequestLine) -> Result<Self, Error> {
        let ends = line.ends.iter().map(|end| {
            Ok(EndView {
                destination: names.destination(tx, end.destination)?,
                status: end.status,
                attempts: end.attempts,
                last_status: end.last_status,
                due_at: end.due_at,
                settled: end.is_settled,
            })
        });
        let deliveries = ends.collect::<Result<_, Error>>()?;
        Ok(Self {
            id: line.uid,
            source: names.source(tx, line.source)?,
            received_at: line.received_at,
            event_id: line.event_id,
            event_type: line.event_type,
            body_bytes: line.body_bytes,
            repeats: line.repeats,
            again: line.is_again,
            deliveries,
        })
    }
}

impl RequestView {
    pub(super) fn new(
        request: Request,
        (source, project): (Option<String>, Option<String>),
        after: Vec<Uid>,
        deliveries: Vec<DeliveryView>,
        payload: Option<Option<PayloadView>>,
    ) -> Self {
        Self {
            id: request.uid,
            source,
            project,
            received_at: request.received_at,
            event_id: request.event_id,
            event_type: request.event_type,
            order_key: request.order_key,
            content_type: request.content_type,
            body_bytes: request.body_bytes,
            address: request.address,
            verified: VerifiedView { secret: request.secret, signed_at: request.signed_at },
            repeats: request.repeats,
            after,
            deliveries,
            payload,
        }
    }
}

impl DeliveryView {
    pub(super) fn new(
        delivery: DeliveryLine,
        destination: Option<String>,
        log: Option<Vec<AttemptLine>>,
    ) -> Self {
        Self {
            id: delivery.uid,
            destination,
            status: delivery.status,
            due_at: delivery.due_at,
            began_at: delivery.began_at,
            attempts: delivery.attempts,
            last_attempt_at: delivery.last_attempt_at,
            completed_at: delivery.completed_at,
            last_status: delivery.last_status,
            error: delivery.error,
            settled_at: delivery.settled_at,
            settled_by: delivery.settled_by,
            log,
        }
    }
}

impl DeskView {
    pub(super) fn new(line: DeskLine, log: Option<Vec<AttemptLine>>) -> Self {
        Self {
            delivery: DeliveryView::new(line.delivery, line.destination, log),
            source: line.source,
            request: line.request,
            event_id: line.event_id,
            event_type: line.event_type,
            received_at: line.received_at,
        }
    }
}

impl PayloadView {
    pub(super) fn new(payload: Payload) -> Self {
        let header = |(name, value): (String, Vec<u8>)| match String::from_utf8(value) {
            Ok(value) => HeaderView { name, value: Some(value), value_base64: None },
            Err(bytes) => {
                HeaderView { name, value: None, value_base64: Some(STANDARD.encode(bytes.as_bytes())) }
            }
        };
        Self {
            method: payload.method,
            query: payload.query,
            headers: payload.headers.into_iter().map(header).collect(),
            body_base64: STANDARD.encode(&payload.body),
        }
    }
}
