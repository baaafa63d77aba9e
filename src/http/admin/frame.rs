//! What every page stands in: navigation with its counts, who is signed in, the form token.

use actix_web::HttpResponse;
use askama::Template;

use super::super::Problem;
use super::super::auth::SignedIn;
use crate::accounts::{Role, Visible};
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
    pub open_incidents: i64,
    pub unresolved_issues: i64,
    pub version: &'static str,
}

/// An entry of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Incidents,
    Issues,
    Outbox,
    Ledger,
    Tasks,
    Projects,
    Channels,
    People,
    Elsewhere,
}

impl Frame {
    pub fn load(tx: &ReadTx<'_>, signed_in: &SignedIn, here: Place) -> Result<Self, Problem> {
        let session = &signed_in.session;
        let visible = session.actor().visible();
        let scope = match &visible {
            Visible::All => incidents::queries::Scope::All,
            Visible::Only(projects) => incidents::queries::Scope::Projects(projects),
        };
        Ok(Self {
            here,
            email: session.email.to_string(),
            is_owner: session.role == Role::Owner,
            is_member: session.role >= Role::Member,
            csrf: session.csrf().expose().to_owned(),
            open_incidents: incidents::queries::count(tx, scope)?.open,
            unresolved_issues: count_unresolved(tx, &visible)?,
            version: env!("CARGO_PKG_VERSION"),
        })
    }

    pub fn is(&self, place: &Place) -> bool {
        self.here == *place
    }
}

/// Renders a page.
pub fn page(template: &impl Template) -> Result<HttpResponse, Problem> {
    let html = template.render().map_err(|error| Problem::internal(&error))?;
    Ok(HttpResponse::Ok().content_type("text/html; charset=utf-8").body(html))
}
