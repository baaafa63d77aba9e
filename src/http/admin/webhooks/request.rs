//! One request: who sent it, what it brought, and every try to deliver it.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use actix_web::{HttpResponse, web};
use askama::Template;

use super::super::form::Form;
use super::super::frame::{Frame, Place, page, see_other};
use super::super::incident_words::Badge;
use super::super::moments::between;
use super::super::values::Pair;
use super::super::wording::{When, counted};
use super::attempts::{self, Attempt};
use super::body::{Readable, Shown, visible};
use super::ends;
use super::requests::name;
use crate::accounts::access::Decision;
use crate::base::figures::bytes;
use crate::base::{Timestamp, TraceKey, Uid};
use crate::config::Config;
use crate::courier::arrival::shown_headers;
use crate::http::acts::rights::{self, Act, Thing};
use crate::http::acts::webhook::{self as acts, DeliveryStep};
use crate::http::auth::SignedIn;
use crate::http::{AppState, Problem};
use crate::scrub::Scrubber;
use crate::store::ReadTx;
use crate::webhooks::queries::{self, DeliveryLine, DestinationLine, End, Names, Request};
use crate::webhooks::scheme::Scheme;
use crate::webhooks::{DeliveryStatus, DestinationId, Payload, Source};

#[derive(Template)]
#[template(path = "webhook_request.html", config = "src/http/admin/askama.toml")]
struct RequestPage {
    frame: Frame,
    id: String,
    title: String,
    badge: Badge,
    received: When,
    /// Key and name; `None`: it was removed, or its project archived.
    source: Option<(String, String)>,
    /// Where all of its type are listed; empty where it has none.
    alike: String,
    facts: Vec<Pair>,
    verified: String,
    repeats: String,
    /// The requests of the same event that died before this one.
    earlier: Vec<(String, When)>,
    brought: Brought,
    deliveries: Vec<Delivery>,
    may_act: bool,
}

/// What a request brought, as far as it can be shown.
enum Brought {
    Kept(Box<Kept>),
    /// Not to who looks.
    Hidden,
    /// Why it is no longer there, and since when.
    Gone(String),
    Unreadable(String),
}

struct Kept {
    /// `POST ?a=1`
    line: String,
    headers: Vec<Pair>,
    body: Shown,
    size: String,
}

struct Delivery {
    id: String,
    /// Its page and its name; `None`: it was removed.
    destination: Option<(String, String)>,
    badge: Badge,
    tried: String,
    next: String,
    error: String,
    settled: String,
    trace: String,
    replay: Replay,
    may_settle: bool,
    may_reopen: bool,
    attempts: Vec<Attempt>,
}

/// Whether a delivery can be sent anew.
enum Replay {
    /// With one click.
    Now,
    /// It has arrived: the app gets it a second time.
    Asks,
    /// Why not; empty where there is nothing to say.
    No(&'static str),
}

/// With what a request is read.
struct Means {
    state: web::Data<AppState>,
    now: Timestamp,
}

/// `GET /webhooks/requests/{id}`
pub(super) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = read_id(&id)?;
    let means = Means { now: state.clock.now(), state: state.clone() };
    page(&state.store.read(move |tx| load(tx, &means, &signed_in, id)).await?)
}

/// `GET /webhooks/requests/{id}/body`: the bytes as they came, to be saved and never to be shown.
pub(super) async fn body(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = read_id(&id)?;
    let sealer = state.sealer.clone();
    let read = move |tx: &ReadTx<'_>| {
        let request = find(tx, &signed_in, id)?;
        rights::check(&signed_in.caller(), Act::SeePayload, Thing::Webhook, Some(request.project))?;
        let gone = || {
            let cure = "What it brought is no longer kept: ask the provider to send it again.";
            Problem::new(StatusCode::GONE, cure)
        };
        let opened = queries::open_payload(tx, &sealer, &request)?.ok_or_else(gone)?;
        opened.map_err(|error| Problem::internal(&error))
    };
    let payload: Payload = state.store.read(read).await?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/octet-stream"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"webhook-{id}.bin\"")))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header(("content-security-policy", "default-src 'none'; sandbox"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(payload.body))
}

/// `POST /webhooks/requests/{id}/{delivery}/{act}`
pub(super) async fn act(
    state: web::Data<AppState>,
    path: web::Path<(String, String, String)>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let (request, delivery, word) = path.into_inner();
    let (request, delivery) = (read_id(&request)?, read_id(&delivery)?);
    let step = match word.as_str() {
        "replay" => DeliveryStep::Replay,
        "settle" => DeliveryStep::Settle,
        "reopen" => DeliveryStep::Reopen,
        _ => return Err(Problem::not_found("page")),
    };
    acts::act_on_delivery(&state, form.caller(), delivery, step).await?;
    Ok(see_other(&format!("/webhooks/requests/{request}#delivery-{delivery}")))
}

fn read_id(id: &str) -> Result<Uid, Problem> {
    id.parse().map_err(|_| Problem::not_found("webhook"))
}

fn find(tx: &ReadTx<'_>, signed_in: &SignedIn, id: Uid) -> Result<Request, Problem> {
    let visible = signed_in.session.actor().visible();
    queries::find_request(tx, &visible, id)?.ok_or_else(|| Problem::not_found("webhook"))
}

fn load(tx: &ReadTx<'_>, means: &Means, signed_in: &SignedIn, id: Uid) -> Result<RequestPage, Problem> {
    let now = means.now;
    let request = find(tx, signed_in, id)?;
    let visible = signed_in.session.actor().visible();
    let source = match Names::default().source(tx, request.source)? {
        Some(key) => queries::find_source(tx, &visible, &key)?.map(|line| line.source),
        None => None,
    };
    let there = queries::destinations(tx, request.source)?;
    let there: HashMap<DestinationId, DestinationLine> =
        there.into_iter().map(|line| (line.destination.id, line)).collect();
    let lines = queries::deliveries(tx, request.id)?;
    let brought = brought(tx, means, signed_in, (&request, source.as_ref()), &lines)?;
    // Who may not see it may not replay it either; were that so, the act would say what is gone.
    let is_kept = !matches!(brought, Brought::Gone(_));
    let ends: Vec<End> = lines.iter().map(end).collect();
    let mut deliveries = Vec::new();
    for line in &lines {
        let attempts = queries::attempts(tx, line.id)?;
        let attempts = attempts.into_iter().map(|attempt| attempts::shown(attempt, now)).collect();
        let place = there.get(&line.destination);
        deliveries.push(delivery(
            line,
            (source.as_ref(), place),
            (is_kept, attempts),
            (&means.state.trace, now),
        ));
    }
    let earlier = queries::requests_after(tx, &request)?;
    Ok(RequestPage {
        frame: Frame::load(tx, signed_in, Place::Webhooks)?,
        id: request.uid.to_string(),
        title: if request.event_type.is_empty() {
            "An event without a type".to_owned()
        } else {
            name(&request.event_type)
        },
        badge: ends::worst(&ends),
        received: When::new(request.received_at, now),
        alike: alike(&request, source.as_ref()),
        facts: facts(&request),
        verified: verified(&request),
        repeats: repeats(request.repeats),
        earlier: earlier.iter().map(|one| (one.uid.to_string(), When::new(one.received_at, now))).collect(),
        brought,
        deliveries,
        may_act: may(signed_in, Act::Replay, &request),
        source: source.map(|source| (source.key, source.name)),
    })
}

fn may(signed_in: &SignedIn, act: Act, request: &Request) -> bool {
    let project = Some(request.project);
    rights::decide(&signed_in.session.actor(), act, Thing::Webhook, project) == Decision::Allowed
}

fn end(line: &DeliveryLine) -> End {
    End {
        destination: line.destination,
        status: line.status,
        attempts: line.attempts,
        last_status: line.last_status,
        due_at: line.due_at,
        is_settled: line.settled_at.is_some(),
    }
}

fn alike(request: &Request, source: Option<&Source>) -> String {
    let key = source.map_or("", |source| source.key.as_str());
    if request.event_type.is_empty() {
        return String::new();
    }
    super::super::address::of_list("/webhooks/requests", &[("source", key), ("type", &request.event_type)])
}

fn facts(request: &Request) -> Vec<Pair> {
    let size = bytes(u64::try_from(request.body_bytes).unwrap_or(0));
    let facts = [
        ("Event id", name(&request.event_id)),
        ("Type", name(&request.event_type)),
        ("Order key", request.order_key.as_deref().map(name).unwrap_or_default()),
        ("Content type", name(&request.content_type)),
        ("Body", size),
        ("Called from", name(&request.address)),
    ];
    let told = facts.into_iter().filter(|(_, value)| !value.is_empty());
    told.map(|(name, value)| Pair { name: name.to_owned(), value }).collect()
}

/// By what it was believed, and how long it was on its way.
fn verified(request: &Request) -> String {
    let by = match request.secret {
        None => return "Nobody proved anything: its source takes calls without a signature.".to_owned(),
        Some(0) => "Verified with the newest secret of its source".to_owned(),
        Some(place) => format!(
            "Verified with an older secret of its source (number {} of them, the newest first): the provider still signs with it",
            place.saturating_add(1)
        ),
    };
    match request.signed_at {
        None => format!("{by}. It does not say when it was signed."),
        Some(at) if at > request.received_at => {
            format!(
                "{by}. Signed {} after it came, as the provider's clock has it.",
                between(request.received_at, at)
            )
        }
        Some(at) => format!("{by}. Signed {} before it came.", between(at, request.received_at)),
    }
}

fn repeats(repeats: i64) -> String {
    match repeats {
        0 => String::new(),
        1 => "The provider sent it once more; it was taken once.".to_owned(),
        more => format!("The provider sent it {} more; it was taken once.", counted(more, "time")),
    }
}

fn brought(
    tx: &ReadTx<'_>,
    means: &Means,
    signed_in: &SignedIn,
    (request, source): (&Request, Option<&Source>),
    lines: &[DeliveryLine],
) -> Result<Brought, Problem> {
    if !may(signed_in, Act::SeePayload, request) {
        return Ok(Brought::Hidden);
    }
    let state = &means.state;
    Ok(match queries::open_payload(tx, &state.sealer, request)? {
        None => Brought::Gone(gone(&state.config, lines, means.now)),
        Some(Err(error)) => Brought::Unreadable(format!("It cannot be read: {error}.")),
        Some(Ok(payload)) => Brought::Kept(Box::new(kept(request, source, &payload))),
    })
}

fn gone(config: &Config, lines: &[DeliveryLine], now: Timestamp) -> String {
    let hours = config.webhooks.payload_age.as_secs() / 3600;
    let kept = counted(i64::try_from(hours).unwrap_or(i64::MAX), "hour");
    let delivered = lines.iter().filter_map(|line| line.completed_at).max();
    let since = delivered.map(|at| at + config.webhooks.payload_age).filter(|at| *at <= now);
    let when = since.map_or_else(String::new, |at| format!(", since {}", When::new(at, now).full));
    format!(
        "What it brought is no longer kept{when}. It stays for {kept} after it was delivered (webhooks.payload_hours), \
         less where the disk runs full. To see it again, let the provider send it again."
    )
}

fn kept(request: &Request, source: Option<&Source>, payload: &Payload) -> Kept {
    let scheme = source.and_then(|source| source.definition.scheme()).unwrap_or(Scheme::None);
    let scrubber = Scrubber::default();
    let query = scrubber.text(&payload.query);
    let query = if query.is_empty() { String::new() } else { format!(" ?{query}") };
    // One by one, as the bound is for headers that are stored with a refusal.
    let headers = payload.headers.iter().flat_map(|(name, value)| {
        let shown = shown_headers(&scheme, &scrubber, &[(name.as_str(), value.as_slice())]);
        let is_long = shown.is_empty().then(|| (name.clone(), format!("{} long", bytes(value.len() as u64))));
        shown.into_iter().chain(is_long)
    });
    let pair = |(name, value): (String, String)| Pair { name, value: visible(value.as_bytes()) };
    Kept {
        line: visible(format!("{}{query}", payload.method).as_bytes()),
        headers: headers.map(pair).collect(),
        body: Shown::new(&payload.body, &request.content_type, payload.header("content-encoding")),
        size: bytes(payload.body.len() as u64),
    }
}

fn delivery(
    line: &DeliveryLine,
    (source, place): (Option<&Source>, Option<&DestinationLine>),
    (is_kept, attempts): (bool, Vec<Attempt>),
    (trace, now): (&TraceKey, Timestamp),
) -> Delivery {
    let is_dead = line.status == DeliveryStatus::DeadLetter;
    let settled = line.settled_at.map(|at| {
        let by = line.settled_by.as_deref().unwrap_or("somebody");
        format!("Settled by {by}, {}.", When::new(at, now).full)
    });
    let address = |place: &DestinationLine| {
        let source = source.map_or("", |source| source.key.as_str());
        let of = &place.destination;
        (format!("/webhooks/{source}/destinations/{}", of.key), of.name.clone())
    };
    Delivery {
        id: line.uid.to_string(),
        destination: place.map(address),
        badge: ends::badge(line.status, line.settled_at.is_some()),
        tried: ends::tried(line.attempts),
        next: ends::next((line.status, line.due_at), place, now),
        error: visible(line.error.as_deref().unwrap_or_default().as_bytes()),
        settled: settled.unwrap_or_default(),
        trace: trace.trace(line.id).to_string(),
        replay: replay(line.status, place.is_some(), is_kept),
        may_settle: is_dead && line.settled_at.is_none(),
        may_reopen: is_dead && line.settled_at.is_some(),
        attempts,
    }
}

const fn replay(status: DeliveryStatus, is_there: bool, is_kept: bool) -> Replay {
    match (status, is_there, is_kept) {
        (DeliveryStatus::Pending | DeliveryStatus::Processing, _, _) => Replay::No(""),
        (_, false, _) => Replay::No("It cannot be replayed: its destination was removed."),
        (_, _, false) => Replay::No("It cannot be replayed: what it brought is no longer kept."),
        (DeliveryStatus::Completed, true, true) => Replay::Asks,
        (DeliveryStatus::Failed | DeliveryStatus::DeadLetter, true, true) => Replay::Now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ProjectId;
    use crate::webhooks::SourceId;
    use crate::webhooks::accept::RequestId;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn request(secret: Option<u32>, signed_at: Option<Timestamp>) -> Request {
        Request {
            id: RequestId(1),
            uid: Uid::from_bytes([1; 16]),
            source: SourceId(1),
            project: ProjectId(1),
            received_at: NOW,
            event_id: "evt".to_owned(),
            event_type: String::new(),
            order_key: None,
            content_type: String::new(),
            body_bytes: 2,
            address: String::new(),
            secret,
            signed_at,
            repeats: 0,
            after: None,
        }
    }

    #[test]
    fn what_was_believed_says_why() {
        let second = std::time::Duration::from_secs(2);
        assert!(verified(&request(None, None)).starts_with("Nobody proved anything"));
        let newest = "Verified with the newest secret of its source. Signed 2 s before it came.";
        assert_eq!(verified(&request(Some(0), Some(NOW - second))), newest);
        assert!(verified(&request(Some(1), None)).contains("number 2"));
        assert!(verified(&request(Some(0), Some(NOW + second))).contains("Signed 2 s after it came"));
    }

    #[test]
    fn only_what_can_be_sent_is_sent_anew() {
        use DeliveryStatus::{Completed, DeadLetter, Failed, Pending};
        assert!(matches!(replay(Pending, true, true), Replay::No("")));
        assert!(matches!(replay(DeadLetter, false, true), Replay::No(why) if why.contains("removed")));
        assert!(matches!(replay(DeadLetter, true, false), Replay::No(why) if why.contains("no longer kept")));
        assert!(matches!(replay(Failed, true, true), Replay::Now));
        assert!(matches!(replay(Completed, true, true), Replay::Asks));
    }
}
