//! What arrived: every request that was believed, with what became of it.

use std::collections::HashMap;

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::super::address;
use super::super::frame::{Frame, Place, page};
use super::super::incident_words::Badge;
use super::super::wording::{When, count};
use super::body::visible;
use super::dead::waiting;
use super::ends;
use crate::base::Timestamp;
use crate::base::figures::bytes;
use crate::base::text::clip;
use crate::http::auth::SignedIn;
use crate::http::{AppState, Problem, acts};
use crate::store::ReadTx;
use crate::webhooks::queries::{self, Filter, RequestLine};
use crate::webhooks::{DeliveryStatus, Source, SourceId};

#[derive(Template)]
#[template(path = "webhook_requests.html", config = "src/http/admin/askama.toml")]
struct RequestsPage {
    frame: Frame,
    asked: Asked,
    headline: String,
    sub: String,
    /// Dead letters that nobody has dealt with: leads to the desk. Empty where there is none.
    dead: String,
    sources: Vec<SourceChoice>,
    tabs: Vec<Tab>,
    lines: Vec<Line>,
    next: Option<String>,
}

struct SourceChoice {
    key: String,
    name: String,
    chosen: bool,
}

struct Tab {
    name: &'static str,
    address: String,
    is_here: bool,
}

struct Line {
    id: String,
    badge: Badge,
    /// How far it is, where it goes to more than one place.
    share: String,
    event_type: String,
    event_id: String,
    source: String,
    received: When,
    attempts: String,
    size: String,
    note: String,
}

/// What the address asks for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// A source's key.
    source: String,
    /// A status of deliveries; empty: all.
    status: String,
    /// The whole type.
    #[serde(rename = "type")]
    event_type: String,
    /// How the event's id begins.
    query: String,
    before: String,
}

const LINES: u32 = 50;
/// Longer ones are cut in lists.
const NAME_CHARS_MAX: usize = 120;
const PATH: &str = "/webhooks/requests";
/// The tabs: their word in addresses, and their name.
const TABS: [(&str, &str); 6] = [
    ("", "All"),
    ("pending", "Waiting"),
    ("processing", "Under way"),
    ("failed", "Trying again"),
    ("dead_letter", "Dead"),
    ("completed", "Delivered"),
];

/// `GET /webhooks/requests`
pub(super) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    let (now, asked) = (state.clock.now(), asked.into_inner());
    let rendered = state.store.read(move |tx| load(tx, &signed_in, asked, now)).await?;
    page(&rendered)
}

fn load(
    tx: &ReadTx<'_>,
    signed_in: &SignedIn,
    asked: Asked,
    now: Timestamp,
) -> Result<RequestsPage, Problem> {
    let visible = signed_in.session.actor().visible();
    let mut sources = queries::all_sources(tx)?;
    sources.retain(|source| visible.contains(source.project));
    sources.sort_by_key(|source| source.name.to_lowercase());
    let chosen = match asked.source.as_str() {
        "" => None,
        key => Some(acts::webhook::find_source(tx, &visible, key)?.source),
    };
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let filter = Filter {
        source: chosen.as_ref().map(|source| source.id),
        event_type: given(&asked.event_type),
        status: DeliveryStatus::parse(&asked.status),
        event_id: given(&asked.query),
        before: asked.before.parse().ok(),
        limit: LINES,
        ..Filter::all(visible.clone())
    };
    let found = queries::requests(tx, &filter)?;
    let names: HashMap<SourceId, &str> =
        sources.iter().map(|source| (source.id, source.name.as_str())).collect();
    let lines: Vec<Line> = found.items.iter().map(|request| line(request, &names, now)).collect();
    let (headline, sub) = headline(&asked, chosen.as_ref(), found.items.first(), now);
    Ok(RequestsPage {
        frame: Frame::load(tx, signed_in, Place::Webhooks)?,
        headline,
        sub,
        dead: waiting(tx, &visible)?,
        tabs: tabs(&asked),
        next: found.next.map(|next| asked.address(|asked| asked.before = next.to_string())),
        lines,
        sources: sources
            .iter()
            .map(|source| SourceChoice {
                chosen: chosen.as_ref().is_some_and(|chosen| chosen.id == source.id),
                key: source.key.clone(),
                name: source.name.clone(),
            })
            .collect(),
        asked,
    })
}

fn line(request: &RequestLine, names: &HashMap<SourceId, &str>, now: Timestamp) -> Line {
    let attempts: i64 = request.ends.iter().map(|end| end.attempts).sum();
    let repeats = match request.repeats {
        0 => String::new(),
        1 => "sent twice, taken once".to_owned(),
        more => format!("sent {} times, taken once", count(more.saturating_add(1))),
    };
    let again = if request.is_again { "sent anew after it died" } else { "" };
    let note: Vec<&str> = [again, &repeats].into_iter().filter(|part| !part.is_empty()).collect();
    Line {
        id: request.uid.to_string(),
        badge: ends::worst(&request.ends),
        share: ends::share(&request.ends),
        event_type: name(&request.event_type),
        event_id: name(&request.event_id),
        source: names.get(&request.source).copied().unwrap_or("a source of an archived project").to_owned(),
        received: When::new(request.received_at, now),
        attempts: count(attempts),
        size: bytes(u64::try_from(request.body_bytes).unwrap_or(0)),
        note: note.join(" · "),
    }
}

/// What a provider calls something, for a line of a list.
pub(super) fn name(text: &str) -> String {
    clip(&visible(text.as_bytes()).replace(['\n', '\t'], " "), NAME_CHARS_MAX).into_owned()
}

fn tabs(asked: &Asked) -> Vec<Tab> {
    let tab = |(status, name): (&'static str, &'static str)| Tab {
        name,
        address: asked.address(|asked| {
            status.clone_into(&mut asked.status);
            asked.before.clear();
        }),
        is_here: asked.status == status,
    };
    TABS.into_iter().map(tab).collect()
}

fn headline(
    asked: &Asked,
    source: Option<&Source>,
    newest: Option<&RequestLine>,
    now: Timestamp,
) -> (String, String) {
    let of = source.map_or_else(String::new, |source| format!(" of {}", source.name));
    let Some(newest) = newest.filter(|_| asked.before.is_empty()) else {
        let headline = if asked.before.is_empty() { "No webhooks" } else { "Older webhooks" };
        return (format!("{headline}{of}"), String::new());
    };
    let ago = When::new(newest.received_at, now).ago;
    let sub = "Each was verified, stored, and only then answered.";
    let headline = if asked.is_narrowed() {
        format!("Webhooks{of} that fit: the newest came {ago}")
    } else {
        format!("The last webhook{of} came {ago}")
    };
    (headline, sub.to_owned())
}

impl Asked {
    /// Not everything of a source, or of all, is asked for.
    fn is_narrowed(&self) -> bool {
        [&self.status, &self.event_type, &self.query].iter().any(|part| !part.is_empty())
    }

    fn here(&self) -> String {
        self.address(|_| {})
    }

    fn first_page(&self) -> String {
        self.address(|asked| asked.before.clear())
    }

    fn without_filters(&self) -> String {
        address::of_list(PATH, &[("source", &self.source)])
    }

    /// This list's address with a change.
    fn address(&self, change: impl FnOnce(&mut Self)) -> String {
        let mut asked = self.clone();
        change(&mut asked);
        let fields = [
            ("source", asked.source.as_str()),
            ("status", asked.status.as_str()),
            ("type", asked.event_type.as_str()),
            ("query", asked.query.as_str()),
            ("before", asked.before.as_str()),
        ];
        address::of_list(PATH, &fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_what_was_asked_and_begins_anew_with_another_tab() {
        let asked = Asked {
            source: "stripe".to_owned(),
            event_type: "a&b".to_owned(),
            before: "7".to_owned(),
            ..Asked::default()
        };
        assert_eq!(asked.here(), "/webhooks/requests?source=stripe&type=a%26b&before=7");
        assert_eq!(tabs(&asked)[1].address, "/webhooks/requests?source=stripe&status=pending&type=a%26b");
        assert_eq!(asked.without_filters(), "/webhooks/requests?source=stripe");
    }

    #[test]
    fn what_a_provider_calls_something_stays_on_its_line() {
        assert_eq!(name("a\nb\u{202e}c"), "a b\\u{202e}c");
        assert_eq!(name(&"x".repeat(500)).chars().count(), NAME_CHARS_MAX);
    }
}
