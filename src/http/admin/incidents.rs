//! The list of incidents: does anything need somebody?

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::frame::{Frame, Place, page};
use super::incident_words::{Badge, headline, source_label, state_badge};
use super::moments::{between, detected};
use super::wording::{When, severity_class};
use crate::accounts::{Visible, projects};
use crate::base::Timestamp;
use crate::http::auth::{SignedIn, find_project};
use crate::http::visible::{Slugs, scope};
use crate::http::{AppState, Problem};
use crate::incidents::IncidentState;
use crate::incidents::queries::{self, PageOf, StateFilter};
use crate::incidents::views::IncidentView;

#[derive(Template)]
#[template(path = "incidents.html", config = "src/http/admin/askama.toml")]
struct IncidentsPage {
    frame: Frame,
    headline: String,
    sub: String,
    show: &'static str,
    project: String,
    projects: Vec<(String, String)>,
    lines: Vec<IncidentLine>,
    next: Option<i64>,
    is_first: bool,
}

/// An incident as lists show it.
pub(super) struct IncidentLine {
    pub(super) id: String,
    pub(super) number: i64,
    pub(super) summary: String,
    pub(super) project: String,
    pub(super) severity: &'static str,
    pub(super) severity_class: &'static str,
    pub(super) state: Badge,
    pub(super) began: When,
    pub(super) lasted: String,
    pub(super) seen_by: String,
    pub(super) detected: String,
    pub(super) acknowledged_by: String,
    pub(super) is_open: bool,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    show: Option<String>,
    project: Option<String>,
    before: Option<i64>,
}

/// Incidents of a page.
const LINES: u32 = 50;

/// `GET /incidents`
pub(super) async fn list(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    let (asked, now) = (asked.into_inner(), state.clock.now());
    let (show, filter) = match asked.show.as_deref() {
        Some("over") => ("over", StateFilter::Only(IncidentState::Resolved)),
        Some("all") => ("all", StateFilter::Any),
        Some(_) | None => ("open", StateFilter::Unresolved),
    };
    let rendered = state
        .store
        .read(move |tx| {
            let all = signed_in.session.actor().visible();
            let counts = queries::count(tx, scope(&all))?;
            let named = asked.project.filter(|slug| !slug.is_empty());
            let visible = match &named {
                Some(slug) => Visible::Only(vec![find_project(tx, &all, slug)?.id]),
                None => all.clone(),
            };
            let of = PageOf { before: asked.before, limit: LINES };
            let mut found = queries::list(tx, scope(&visible), filter, of)?;
            let mut slugs = Slugs::default();
            found.items.iter_mut().try_for_each(|incident| slugs.name_incident(tx, incident))?;
            let (headline, sub) = headline(counts.open, counts.acknowledged);
            Ok::<_, Problem>(IncidentsPage {
                frame: Frame::load(tx, &signed_in, Place::Incidents)?,
                headline,
                sub,
                show,
                project: named.unwrap_or_default(),
                projects: projects::list(tx, &all)?
                    .into_iter()
                    .map(|project| (project.slug.to_string(), project.name))
                    .collect(),
                lines: found.items.into_iter().map(|incident| line(incident, now)).collect(),
                next: found.next,
                is_first: asked.before.is_none(),
            })
        })
        .await?;
    page(&rendered)
}

impl IncidentsPage {
    /// The same list with another choice.
    fn link(&self, show: &str, before: Option<&i64>) -> String {
        let project =
            if self.project.is_empty() { String::new() } else { format!("&project={}", self.project) };
        let before = before.map(|before| format!("&before={before}")).unwrap_or_default();
        format!("/incidents?show={show}{project}{before}")
    }
}

pub(super) fn line(incident: IncidentView, now: Timestamp) -> IncidentLine {
    let end = incident.recovered_at.or(incident.resolved_at).unwrap_or(now);
    let mut sources: Vec<&str> = Vec::new();
    for witness in &incident.witnesses {
        let label = source_label(&witness.source);
        if !sources.contains(&label) {
            sources.push(label);
        }
    }
    let seen_by = match incident.witness_count {
        0 | 1 => sources.join(", "),
        many => format!("{many} witnesses: {}", sources.join(", ")),
    };
    IncidentLine {
        id: incident.id.to_string(),
        number: incident.number,
        project: incident.project.clone().unwrap_or_else(|| "tocsin itself".to_owned()),
        severity: incident.severity.as_str(),
        severity_class: severity_class(incident.severity.as_str()),
        state: state_badge(&incident),
        began: When::new(incident.impact_started_at, now),
        lasted: between(incident.impact_started_at, end),
        seen_by,
        detected: detected(incident.impact_started_at, incident.detected_at),
        acknowledged_by: incident.acknowledged_by.clone().unwrap_or_default(),
        is_open: incident.state == IncidentState::Open.as_str(),
        summary: incident.summary,
    }
}
