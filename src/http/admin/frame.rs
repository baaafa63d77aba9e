//! What every page stands in: navigation with its counts, who is signed in, the form token.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::super::auth::SignedIn;
use super::super::{AppState, Problem};
use super::statics;
use super::wording::few;
use crate::accounts::Role;
use crate::http::visible::scope;
use crate::incidents;
use crate::issues::queries::count_unresolved;
use crate::store::ReadTx;

/// The frame around a page; templates reach it as `frame`.
#[derive(Clone, Debug)]
pub struct Frame {
    pub here: Place,
    pub email: String,
    /// Owners see what belongs to the whole installation.
    pub is_owner: bool,
    /// May change things, not only look.
    pub is_member: bool,
    /// Every form carries this as `csrf`; scripts send it as `X-CSRF-Token`.
    pub csrf: String,
    /// Both are counted to a thousand.
    pub open_incidents: i64,
    pub unresolved_issues: i64,
    pub version: &'static str,
}

/// An entry of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Overview,
    Incidents,
    Issues,
    Probes,
    Heartbeats,
    Webhooks,
    Services,
    Maintenance,
    StatusPage,
    Outbox,
    Ledger,
    Tasks,
    Projects,
    Channels,
    Rules,
    People,
    Tokens,
    Audit,
    /// One's own sessions and password.
    Account,
    Elsewhere,
}

impl Frame {
    pub fn load(tx: &ReadTx<'_>, signed_in: &SignedIn, here: Place) -> Result<Self, Problem> {
        let session = &signed_in.session;
        let visible = session.actor().visible();
        Ok(Self {
            here,
            email: session.email.to_string(),
            is_owner: session.role == Role::Owner,
            is_member: session.role >= Role::Member,
            csrf: session.csrf().expose().to_owned(),
            open_incidents: incidents::queries::count_open(tx, scope(&visible))?,
            unresolved_issues: count_unresolved(tx, &visible)?,
            version: env!("CARGO_PKG_VERSION"),
        })
    }

    /// The frame alone, for pages that ask nothing else.
    pub async fn read(state: &AppState, signed_in: &SignedIn, here: Place) -> Result<Self, Problem> {
        let signed_in = signed_in.clone();
        state.store.read(move |tx| Self::load(tx, &signed_in, here)).await
    }

    /// Whether this page stands at the entry of this name.
    pub fn is_at(&self, name: &str) -> bool {
        self.here.word() == name
    }

    pub fn open(&self) -> String {
        few(self.open_incidents)
    }

    pub fn unresolved(&self) -> String {
        few(self.unresolved_issues)
    }

    /// The place as its own navigation names it, so that the navigation alone can be loaded again.
    pub fn here_word(&self) -> &'static str {
        self.here.word()
    }

    /// The address of a file of `static/`.
    pub fn asset(&self, path: &str) -> String {
        statics::url(path)
    }
}

impl Place {
    const ALL: [Self; 20] = [
        Self::Overview,
        Self::Incidents,
        Self::Issues,
        Self::Probes,
        Self::Heartbeats,
        Self::Webhooks,
        Self::Services,
        Self::Maintenance,
        Self::StatusPage,
        Self::Outbox,
        Self::Ledger,
        Self::Tasks,
        Self::Projects,
        Self::Channels,
        Self::Rules,
        Self::People,
        Self::Tokens,
        Self::Audit,
        Self::Account,
        Self::Elsewhere,
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Incidents => "incidents",
            Self::Issues => "issues",
            Self::Probes => "probes",
            Self::Heartbeats => "heartbeats",
            Self::Webhooks => "webhooks",
            Self::Services => "services",
            Self::Maintenance => "maintenance",
            Self::StatusPage => "status-page",
            Self::Outbox => "outbox",
            Self::Ledger => "ledger",
            Self::Tasks => "tasks",
            Self::Projects => "projects",
            Self::Channels => "channels",
            Self::Rules => "rules",
            Self::People => "people",
            Self::Tokens => "tokens",
            Self::Audit => "audit",
            Self::Account => "account",
            Self::Elsewhere => "elsewhere",
        }
    }
}

#[derive(Template)]
#[template(path = "nav_alone.html", config = "src/http/admin/askama.toml")]
struct NavAlone {
    frame: Frame,
}

#[derive(Deserialize)]
pub(super) struct NavQuery {
    here: Option<String>,
}

/// `GET /nav`: the navigation alone, with fresh counts.
pub(super) async fn nav(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    query: web::Query<NavQuery>,
) -> Result<HttpResponse, Problem> {
    let named = query.into_inner().here.unwrap_or_default();
    let here = Place::ALL.into_iter().find(|place| place.word() == named).unwrap_or(Place::Elsewhere);
    page(&NavAlone { frame: Frame::read(&state, &signed_in, here).await? })
}

/// Renders a page.
pub fn page(template: &impl Template) -> Result<HttpResponse, Problem> {
    page_with(StatusCode::OK, template)
}

/// Renders a page with a form on it; one that was refused answers 400.
pub(super) fn form_page(was_refused: bool, template: &impl Template) -> Result<HttpResponse, Problem> {
    page_with(if was_refused { StatusCode::BAD_REQUEST } else { StatusCode::OK }, template)
}

/// Renders a page that answers with another status than 200.
pub fn page_with(status: StatusCode, template: &impl Template) -> Result<HttpResponse, Problem> {
    let html = template.render().map_err(|error| Problem::internal(&error))?;
    let mut response = HttpResponse::build(status);
    response.insert_header((CACHE_CONTROL, "no-store"));
    Ok(response.content_type("text/html; charset=utf-8").body(html))
}

/// After a change: the browser loads `place` anew.
pub fn see_other(place: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, place)).finish()
}
