//! The list of sources: who calls, how much came today, and how their destinations are.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::plot::today;
use super::words::{breaker_badge, breaker_says, headline, source_badge, up_to};
use super::{place, place_of};
use crate::accounts::projects;
use crate::base::{Owner, Timestamp};
use crate::http::admin::address;
use crate::http::admin::configurable::{configurable, project_choices};
use crate::http::admin::frame::{Frame, Place, page};
use crate::http::admin::incident_words::Badge;
use crate::http::admin::wording::{When, count};
use crate::http::auth::{SignedIn, find_project};
use crate::http::{AppState, Problem};
use crate::store::ReadTx;
use crate::webhooks::providers;
use crate::webhooks::queries::{self, SourceLine};

#[derive(Template)]
#[template(path = "webhooks.html", config = "src/http/admin/askama.toml")]
struct ListPage {
    frame: Frame,
    asked: Asked,
    headline: String,
    sub: String,
    projects: Vec<(String, String)>,
    lines: Vec<Line>,
    next: Option<String>,
    /// There is none at all.
    is_empty: bool,
    may_make: bool,
}

/// A source as the list shows it.
struct Line {
    key: String,
    place: String,
    name: String,
    provider: String,
    project: String,
    badge: Badge,
    is_of_file: bool,
    last: Option<When>,
    accepted: String,
    refused: String,
    dead: u32,
    dead_text: String,
    ends: Vec<End>,
}

/// A destination as a line shows it.
struct End {
    place: String,
    name: String,
    badge: Badge,
    says: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::http::admin) struct Asked {
    project: String,
    query: String,
    after: String,
}

/// Sources of a page.
const LINES: usize = 50;

/// `GET /webhooks`
pub(in crate::http::admin) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    let (now, asked) = (state.clock.now(), asked.into_inner());
    let shown = state.store.read(move |tx| load(tx, &signed_in, asked, now)).await?;
    page(&shown)
}

fn load(tx: &ReadTx<'_>, signed_in: &SignedIn, asked: Asked, now: Timestamp) -> Result<ListPage, Problem> {
    let visible = signed_in.session.actor().visible();
    let project = match asked.project.as_str() {
        "" => None,
        slug => Some(find_project(tx, &visible, slug)?.id),
    };
    let all = queries::sources(tx, &visible, project)?;
    let summed: Vec<(Badge, u32)> =
        all.iter().map(|line| (source_badge(line, has_secret(line)), line.health.dead)).collect();
    let (headline, sub) = headline(&summed);
    let is_empty = all.is_empty() && asked.project.is_empty();
    let from: usize = asked.after.parse().unwrap_or(0);
    let found: Vec<SourceLine> = all.into_iter().filter(|line| asked.names(line)).skip(from).collect();
    let next = (found.len() > LINES)
        .then(|| asked.address(|asked| asked.after = from.saturating_add(LINES).to_string()));
    let lines = found.into_iter().take(LINES).map(|line| line_of(tx, line, now));
    Ok(ListPage {
        frame: Frame::load(tx, signed_in, Place::Webhooks)?,
        headline,
        sub,
        projects: project_choices(projects::list(tx, &visible)?),
        lines: lines.collect::<Result<_, _>>()?,
        next,
        is_empty,
        may_make: !configurable(tx, signed_in)?.is_empty(),
        asked,
    })
}

fn line_of(tx: &ReadTx<'_>, line: SourceLine, now: Timestamp) -> Result<Line, Problem> {
    let came = today(tx, line.source.id, now)?;
    let badge = source_badge(&line, has_secret(&line));
    let source = line.source;
    let ends = queries::destinations(tx, source.id)?;
    let end = |end: &queries::DestinationLine| End {
        place: place_of(&source.key, &end.destination.key),
        name: end.destination.name.clone(),
        badge: breaker_badge(end, now),
        says: breaker_says(end, now),
    };
    Ok(Line {
        place: place(&source.key),
        provider: provider_name(&source.definition.provider),
        project: source.project_slug.clone(),
        badge,
        is_of_file: source.owner == Owner::File,
        last: line.counters.last_at.map(|at| When::new(at, now)),
        accepted: count(came.accepted),
        refused: if came.refused > 0 { count(came.refused) } else { String::new() },
        dead: line.health.dead,
        dead_text: up_to(line.health.dead),
        ends: ends.iter().map(end).collect(),
        name: source.name.clone(),
        key: source.key,
    })
}

/// Whether somebody can be believed.
pub(super) fn has_secret(line: &SourceLine) -> bool {
    line.source.sealed.is_some() || !line.source.definition.needs_secret()
}

/// A provider in the words of people.
pub(super) fn provider_name(id: &str) -> String {
    providers::find(id).map_or_else(|| id.to_owned(), |provider| provider.name.clone())
}

impl Asked {
    /// Whether a source is asked for, by a part of its name, key or provider.
    fn names(&self, line: &SourceLine) -> bool {
        let wanted = self.query.trim().to_lowercase();
        let source = &line.source;
        [&source.name, &source.key, &provider_name(&source.definition.provider)]
            .iter()
            .any(|text| text.to_lowercase().contains(&wanted))
    }

    fn here(&self) -> String {
        self.address(|_| {})
    }

    fn first_page(&self) -> String {
        self.address(|asked| asked.after.clear())
    }

    fn address(&self, change: impl FnOnce(&mut Self)) -> String {
        let mut asked = self.clone();
        change(&mut asked);
        let fields = [
            ("project", asked.project.as_str()),
            ("query", asked.query.as_str()),
            ("after", asked.after.as_str()),
        ];
        address::of_list("/webhooks", &fields)
    }
}
