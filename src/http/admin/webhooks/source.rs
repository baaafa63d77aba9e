//! One source: its address, how it is set up, its secrets, its destinations, what came and what was turned away.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::list::{has_secret, provider_name};
use super::plot::{HourLine, Span, of_source, source_hours, today};
use super::source_edit::told;
use super::words::{breaker_badge, breaker_says, refusal_says, source_badge, takes, up_to};
use super::{place, place_of};
use crate::accounts::access::Decision;
use crate::base::Timestamp;
use crate::http::acts::rights::{Act, Thing, decide};
use crate::http::acts::webhook::{find_source, webhooks_of};
use crate::http::admin::form::Wrongs;
use crate::http::admin::frame::{Frame, Place, page_with};
use crate::http::admin::incident_words::Badge;
use crate::http::admin::moments::between;
use crate::http::admin::wording::{When, count};
use crate::http::auth::SignedIn;
use crate::http::{AppState, Problem};
use crate::store::ReadTx;
use crate::webhooks::providers::{self, Provider};
use crate::webhooks::queries::{self, DestinationLine, RefusalLine, SourceLine};
use crate::webhooks::secrets::SOURCE_SECRETS_MAX;
use crate::webhooks::{Source, Webhooks};

#[derive(Template)]
#[template(path = "webhook_source.html", config = "src/http/admin/askama.toml")]
#[expect(clippy::struct_excessive_bools, reason = "what a template asks is yes or no")]
struct SourcePage {
    frame: Frame,
    place: String,
    name: String,
    project: String,
    provider: String,
    documented_at: String,
    badge: Badge,
    address: String,
    /// What the provider is to be told, line by line.
    steps: Vec<String>,
    is_loopback: bool,
    /// Nothing was accepted yet.
    is_waiting: bool,
    /// Something was turned away, and nothing was ever accepted.
    is_only_refused: bool,
    may_change: bool,
    may_hold: bool,
    file: String,
    seen: i64,
    needs_secret: bool,
    has_secret: bool,
    secrets: Secrets,
    secret_label: String,
    may_add_secret: bool,
    figures: Vec<Figure>,
    ends: Vec<End>,
    hours: Vec<HourLine>,
    refusals: Vec<Refused>,
    /// What fails where it is delivered late; empty where nothing does.
    late: Vec<String>,
    settings: Vec<(&'static str, String)>,
    wrongs: Wrongs,
}

/// The secrets of a source, never themselves.
enum Secrets {
    Known(Vec<SecretLine>),
    /// Sealed with another key.
    Unreadable,
}

struct SecretLine {
    place: usize,
    age: String,
    since: When,
    is_newest: bool,
}

struct Figure {
    name: &'static str,
    value: String,
    note: String,
}

/// A destination as the page of its source shows it.
struct End {
    place: String,
    name: String,
    badge: Badge,
    says: String,
    url: String,
    takes: String,
    waiting: String,
    dead: u32,
    dead_text: String,
    last_error: String,
    last_failed: Option<When>,
    last_ok: Option<When>,
    is_held: bool,
}

/// A call that was turned away.
struct Refused {
    when: When,
    says: String,
    word: String,
    address: String,
    count: i64,
    headers: Vec<(String, String)>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::http::admin) struct PlotAsked {
    span: Span,
}

impl PlotAsked {
    pub(super) const fn span(&self) -> Span {
        self.span
    }
}

impl Secrets {
    fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unreadable)
    }

    fn lines(&self) -> &[SecretLine] {
        match self {
            Self::Known(lines) => lines,
            Self::Unreadable => &[],
        }
    }
}

/// `GET /webhooks/{key}`
pub(in crate::http::admin) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    show_with(&state, signed_in, &key, (StatusCode::OK, Wrongs::default())).await
}

/// The page with what is wrong with a form that was sent from it.
pub(super) async fn show_with(
    state: &AppState,
    signed_in: SignedIn,
    key: &str,
    (status, wrongs): (StatusCode, Wrongs),
) -> Result<HttpResponse, Problem> {
    let (now, key, webhooks) = (state.clock.now(), key.to_owned(), webhooks_of(state));
    let base = (state.base_url.as_str().trim_end_matches('/').to_owned(), state.base_url.is_loopback());
    let shown = state.store.read(move |tx| {
        let line = find_source(tx, &signed_in.session.actor().visible(), &key)?;
        let page = load(tx, (&signed_in, &webhooks), &line, (&base.0, now))?;
        Ok::<_, Problem>(SourcePage { is_loopback: base.1, wrongs, ..page })
    });
    page_with(status, &shown.await?)
}

/// `GET /webhooks/{key}/plot?span=`: what came, as numbers.
pub(in crate::http::admin) async fn plot(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    key: web::Path<String>,
    asked: web::Query<PlotAsked>,
) -> Result<HttpResponse, Problem> {
    let (now, visible, span) = (state.clock.now(), signed_in.session.actor().visible(), asked.span);
    let read = move |tx: &ReadTx<'_>| {
        let found = find_source(tx, &visible, &key)?;
        Ok::<_, Problem>(of_source(tx, found.source.id, span, now)?)
    };
    Ok(HttpResponse::Ok().json(state.store.read(read).await?))
}

fn load(
    tx: &ReadTx<'_>,
    (signed_in, webhooks): (&SignedIn, &Webhooks),
    line: &SourceLine,
    (base, now): (&str, Timestamp),
) -> Result<SourcePage, Problem> {
    let actor = signed_in.session.actor();
    let source = &line.source;
    let may = |act| decide(&actor, act, Thing::Webhook, Some(source.project)) == Decision::Allowed;
    let provider = providers::find(&source.definition.provider);
    let address = format!("{base}/hooks/{}", source.key);
    let called = source.definition.url.clone().unwrap_or_else(|| address.clone());
    let ends = queries::destinations(tx, source.id)?;
    let secrets = secrets(webhooks, source, now);
    let file = told(tx, source)?;
    let count_of = secrets.lines().len();
    Ok(SourcePage {
        frame: Frame::load(tx, signed_in, Place::Webhooks)?,
        place: place(&source.key),
        provider: provider_name(&source.definition.provider),
        documented_at: provider.map(|provider| provider.documented_at.clone()).unwrap_or_default(),
        badge: source_badge(line, has_secret(line)),
        steps: steps(provider, &called),
        address,
        is_loopback: false,
        is_waiting: line.counters.last_at.is_none(),
        is_only_refused: line.counters.last_at.is_none() && line.counters.refused > 0,
        may_change: may(Act::Change),
        may_hold: may(Act::Pause),
        may_add_secret: may(Act::Change)
            && file.is_empty()
            && source.definition.needs_secret()
            && count_of < SOURCE_SECRETS_MAX,
        file,
        seen: source.version,
        needs_secret: source.definition.needs_secret(),
        has_secret: has_secret(line),
        secrets,
        secret_label: provider
            .and_then(|provider| provider.secret.as_ref())
            .map_or_else(|| "Secret".to_owned(), |secret| secret.label.clone()),
        figures: figures(tx, line, now)?,
        ends: ends.iter().map(|end| end_line(source, end, now)).collect(),
        hours: source_hours(tx, source.id, now)?,
        refusals: queries::refusals(tx, source.id)?.into_iter().map(|it| refused(it, now)).collect(),
        late: late(provider, source),
        settings: settings(source),
        wrongs: Wrongs::default(),
        name: source.name.clone(),
        project: source.project_slug.clone(),
    })
}

fn steps(provider: Option<&Provider>, called: &str) -> Vec<String> {
    let steps = provider.map(|provider| provider.steps.as_slice()).unwrap_or_default();
    steps.iter().map(|step| step.replace("{url}", called)).collect()
}

fn secrets(webhooks: &Webhooks, source: &Source, now: Timestamp) -> Secrets {
    let Ok(opened) = webhooks.open_source(source) else { return Secrets::Unreadable };
    let line = |(place, dated): (usize, &crate::webhooks::secrets::Dated)| SecretLine {
        place,
        age: between(dated.added_at, now),
        since: When::new(dated.added_at, now),
        is_newest: place == 0,
    };
    Secrets::Known(opened.0.iter().enumerate().map(line).collect())
}

fn figures(tx: &ReadTx<'_>, line: &SourceLine, now: Timestamp) -> Result<Vec<Figure>, Problem> {
    let came = today(tx, line.source.id, now)?;
    let all = &line.counters;
    let ago = |at: Option<Timestamp>| at.map(|at| When::new(at, now).ago);
    Ok(vec![
        Figure {
            name: "Accepted today",
            value: count(came.accepted),
            note: format!(
                "{} in all{}",
                count(all.accepted),
                ago(all.last_at).map(|ago| format!(", the last {ago}")).unwrap_or_default()
            ),
        },
        Figure {
            name: "Sent again today",
            value: count(came.duplicates),
            note: format!("{} in all; each was taken once", count(all.duplicates)),
        },
        Figure {
            name: "Refused today",
            value: count(came.refused),
            note: format!(
                "{} in all{}",
                count(all.refused),
                ago(all.refused_at).map(|ago| format!(", the last {ago}")).unwrap_or_default()
            ),
        },
        Figure {
            name: "Dead letters",
            value: up_to(line.health.dead),
            note: format!("{} wait to be sent", up_to(line.health.waiting)),
        },
    ])
}

fn end_line(source: &Source, line: &DestinationLine, now: Timestamp) -> End {
    let destination = &line.destination;
    let when = |at: Option<Timestamp>| at.map(|at| When::new(at, now));
    End {
        place: place_of(&source.key, &destination.key),
        name: destination.name.clone(),
        badge: breaker_badge(line, now),
        says: breaker_says(line, now),
        url: destination.definition.url.clone(),
        takes: takes(&destination.definition),
        waiting: up_to(line.waiting),
        dead: line.dead,
        dead_text: up_to(line.dead),
        last_error: line.state.last_error.clone(),
        last_failed: when(line.state.last_failed_at),
        last_ok: when(line.state.last_ok_at),
        is_held: destination.held.is_some(),
    }
}

fn refused(line: RefusalLine, now: Timestamp) -> Refused {
    Refused {
        when: When::new(line.at, now),
        says: refusal_says(&line.reason),
        word: line.reason,
        address: line.address,
        count: line.count,
        headers: line.headers,
    }
}

/// What a late delivery meets at the app: by the scheme, and by what its provider is.
fn late(provider: Option<&Provider>, source: &Source) -> Vec<String> {
    let scheme = source.definition.scheme();
    let by_scheme = scheme.map(|scheme| scheme.late()).filter(|late| !late.is_accepted());
    let by_scheme = by_scheme.map(|late| crate::http::problem::sentence(&late.to_string()));
    by_scheme.into_iter().chain(provider.and_then(|provider| provider.late.clone())).collect()
}

fn settings(source: &Source) -> Vec<(&'static str, String)> {
    let definition = &source.definition;
    let mut settings = vec![
        ("Key", source.key.clone()),
        ("Project", source.project_slug.clone()),
        ("Severity", definition.severity.to_string()),
    ];
    let silent = definition.silent_after.map(crate::http::admin::moments::span);
    let labels: Vec<String> =
        definition.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let labels = (!labels.is_empty()).then(|| labels.join(", "));
    let places = (!definition.event_id.is_empty()).then(|| definition.event_id.join(" + "));
    let more = [
        ("Called at", definition.url.clone()),
        ("Event id", places),
        ("Event type", definition.event_type.clone()),
        ("Order by", definition.order_key.clone()),
        ("Silent after", silent),
        ("Runbook", definition.runbook.clone()),
        ("Environment", definition.environment.clone()),
        ("Labels", labels),
    ];
    settings.extend(more.into_iter().filter_map(|(name, value)| Some((name, value?))));
    settings
}
