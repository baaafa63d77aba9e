//! One destination: its breaker, who holds it, how long the app takes, how much arrives, what was sent last.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use askama::Template;

use super::acts::of_source;
use super::destination_edit::told;
use super::place_of;
use super::plot::{Fared, HourLine, What, below, destination_hours, of_destination, percent};
use super::source::PlotAsked;
use super::words::{breaker_badge, breaker_says, delivery_badge, signs, takes, up_to};
use crate::accounts::access::Decision;
use crate::base::Timestamp;
use crate::http::acts::rights::{Act, Thing, decide};
use crate::http::admin::frame::{Frame, Place, page};
use crate::http::admin::incident_words::Badge;
use crate::http::admin::moments::span;
use crate::http::admin::wording::{When, count};
use crate::http::auth::SignedIn;
use crate::http::{AppState, Problem};
use crate::store::ReadTx;
use crate::webhooks::Source;
use crate::webhooks::destination::Definition;
use crate::webhooks::queries::{self, DeskFilter, DeskLine, DestinationLine, Which};

#[derive(Template)]
#[template(path = "webhook_destination.html", config = "src/http/admin/askama.toml")]
struct DestinationPage {
    frame: Frame,
    source: String,
    source_name: String,
    place: String,
    name: String,
    url: String,
    badge: Badge,
    says: String,
    is_held: bool,
    may_change: bool,
    may_hold: bool,
    file: String,
    figures: Vec<Figure>,
    waiting: u32,
    waiting_text: String,
    last_error: String,
    last_failed: Option<When>,
    last_ok: Option<When>,
    hours: Vec<HourLine>,
    deliveries: Vec<Line>,
    settings: Vec<(&'static str, String)>,
}

struct Figure {
    name: &'static str,
    value: String,
    note: String,
}

/// A delivery as the page shows it.
struct Line {
    request: String,
    when: When,
    kind: String,
    event: String,
    badge: Badge,
    attempts: i64,
    said: String,
}

const DELIVERIES: u32 = 20;

/// `GET /webhooks/{key}/destinations/{to}`
pub(in crate::http::admin) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (now, (key, to)) = (state.clock.now(), path.into_inner());
    let read = move |tx: &ReadTx<'_>| {
        let (source, line) = of_source(tx, &signed_in.session.actor().visible(), (&key, &to))?;
        load(tx, &signed_in, (source, line), now)
    };
    page(&state.store.read(read).await?)
}

/// `GET /webhooks/{key}/destinations/{to}/plot/{what}?span=`: how it fared, as numbers.
pub(in crate::http::admin) async fn plot(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    path: web::Path<(String, String, What)>,
    asked: web::Query<PlotAsked>,
) -> Result<HttpResponse, Problem> {
    let (now, visible, span) = (state.clock.now(), signed_in.session.actor().visible(), asked.span());
    let (key, to, what) = path.into_inner();
    let read = move |tx: &ReadTx<'_>| {
        let (_, line) = of_source(tx, &visible, (&key, &to))?;
        Ok::<_, Problem>(of_destination(tx, line.destination.id, (what, span), now)?)
    };
    Ok(HttpResponse::Ok().json(state.store.read(read).await?))
}

fn load(
    tx: &ReadTx<'_>,
    signed_in: &SignedIn,
    (source, line): (Source, DestinationLine),
    now: Timestamp,
) -> Result<DestinationPage, Problem> {
    let actor = signed_in.session.actor();
    let destination = &line.destination;
    let may = |act| decide(&actor, act, Thing::Webhook, Some(destination.project)) == Decision::Allowed;
    let (hours, fared) = destination_hours(tx, destination.id, now)?;
    let under_way = queries::under_way(tx, destination.id)?;
    let filter = DeskFilter {
        visible: actor.visible(),
        source: Some(source.id),
        destination: Some(destination.id),
        which: Which::Any,
        before: None,
        limit: DELIVERIES,
    };
    let last = queries::desk(tx, &filter)?.items;
    let when = |at: Option<Timestamp>| at.map(|at| When::new(at, now));
    Ok(DestinationPage {
        frame: Frame::load(tx, signed_in, Place::Webhooks)?,
        place: place_of(&source.key, &destination.key),
        badge: breaker_badge(&line, now),
        says: breaker_says(&line, now),
        is_held: destination.held.is_some(),
        may_change: may(Act::Change),
        may_hold: may(Act::Pause),
        file: told(tx, &source.key, destination)?,
        figures: figures(&line, &fared, under_way),
        waiting: line.waiting,
        waiting_text: up_to(line.waiting),
        last_error: line.state.last_error.clone(),
        last_failed: when(line.state.last_failed_at),
        last_ok: when(line.state.last_ok_at),
        hours,
        deliveries: last.into_iter().map(|line| delivery(line, now)).collect(),
        settings: settings(&destination.definition, &destination.key),
        url: destination.definition.url.clone(),
        name: destination.name.clone(),
        source: source.key,
        source_name: source.name,
    })
}

fn figures(line: &DestinationLine, fared: &Fared, under_way: u32) -> Vec<Figure> {
    let sum = &fared.sum;
    let ended = sum.completed + sum.dead;
    let share =
        |part, whole| percent(part, whole).map_or_else(|| "–".to_owned(), |share| format!("{share} %"));
    let took = |took: Option<Duration>| took.map_or_else(|| "–".to_owned(), below);
    vec![
        Figure {
            name: "Arrived, 24 h",
            value: share(sum.completed, ended),
            note: format!("{} of {}; {} died", count(sum.completed.into()), count(ended.into()), sum.dead),
        },
        Figure {
            name: "At first try, 24 h",
            value: share(sum.at_first, ended),
            note: format!("{} attempts, {} failed", count(sum.attempts.into()), count(sum.failures.into())),
        },
        Figure {
            name: "Answers took, median",
            value: took(fared.median),
            note: format!("95% {}; {} later than 1 s", took(fared.most), count(sum.slow.into())),
        },
        Figure {
            name: "Waiting",
            value: up_to(line.waiting),
            note: format!("{under_way} under way, {} dead letters", up_to(line.dead)),
        },
    ]
}

fn delivery(line: DeskLine, now: Timestamp) -> Line {
    let delivery = line.delivery;
    let status = delivery.last_status.map(|status| status.to_string());
    let error = delivery.error.filter(|error| !error.is_empty());
    Line {
        request: line.request.to_string(),
        when: When::new(line.received_at, now),
        kind: line.event_type,
        event: line.event_id,
        badge: delivery_badge(delivery.status),
        attempts: delivery.attempts,
        said: error.or(status).unwrap_or_default(),
    }
}

fn settings(definition: &Definition, key: &str) -> Vec<(&'static str, String)> {
    let retry = &definition.retry;
    let headers: Vec<String> =
        definition.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let mut settings = vec![
        ("Key", key.to_owned()),
        ("Takes", takes(definition)),
        ("Signed", signs(definition.sign).to_owned()),
        (
            "Order",
            if definition.in_order { "kept, by the source's order key" } else { "as it comes" }.to_owned(),
        ),
        ("Time limit", span(definition.timeout)),
        ("At once", definition.concurrency.to_string()),
    ];
    let pace = definition.per_second.map(|pace| ("At most", format!("{pace} a second")));
    let signed_url = definition.signed_url.clone().map(|url| ("Signed for", url));
    let retries = format!(
        "after {}, doubling up to {}; a dead letter after {}",
        span(retry.first),
        span(retry.at_most),
        span(retry.give_up_after)
    );
    settings.extend(pace.into_iter().chain(signed_url));
    settings.push(("Tried again", retries));
    if !headers.is_empty() {
        settings.push(("Headers", headers.join("\n")));
    }
    settings
}
