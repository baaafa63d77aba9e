//! Acknowledge without an account: whoever holds the signed link of a message may do this one thing. Looking
//! changes nothing, because mail scanners follow links; only the button acts.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue, REFERRER_POLICY};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde_json::json;

use super::frame::{page_with, see_other};
use super::incident::affected;
use super::incident_words::source_label;
use super::moments::{between, clock};
use super::wording::severity_class;
use crate::accounts::audit::{self, Change};
use crate::accounts::{Actor, By};
use crate::base::Timestamp;
use crate::http::request::client_address;
use crate::http::visible::Slugs;
use crate::http::{AppState, Problem};
use crate::incidents::links::{self, Link, LinkError};
use crate::incidents::queries::{self, Scope};
use crate::incidents::views::IncidentView;
use crate::incidents::{self, IncidentId, IncidentState};
use crate::issues::queries::recount;

/// Who acknowledged, where nobody signed in.
const BY_LINK: &str = "signed link";

#[derive(Template)]
#[template(path = "ack.html", config = "src/http/admin/askama.toml")]
struct AckPage {
    view: View,
}

/// What the holder of a link sees.
enum View {
    Incident(Box<Shown>),
    Expired,
    Invalid,
}

struct Shown {
    id: String,
    number: i64,
    project: String,
    summary: String,
    severity: &'static str,
    severity_class: &'static str,
    since: String,
    lasts: String,
    affected: String,
    seen_by: String,
    standing: Standing,
}

enum Standing {
    Open,
    Acknowledged { by: String, at: String },
    Over { at: String },
}

/// `GET /ack/{signed}`
pub(super) async fn show(
    state: web::Data<AppState>,
    signed: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let now = state.clock.now();
    let link = match links::verify(&state.link_key, &signed, now) {
        Ok(link) => link,
        Err(error) => return answer(refused(error)),
    };
    let found = state
        .store
        .read(move |tx| {
            let found = queries::find(tx, Scope::All, link.incident)?;
            let Some(mut incident) = found else { return Ok(None) };
            Slugs::default().name_incident(tx, &mut incident)?;
            recount(tx, &mut incident)?;
            Ok::<_, Problem>(Some(incident))
        })
        .await?;
    // An incident that retention took is as good as a link that ran out.
    answer(found.map_or(View::Expired, |incident| View::Incident(Box::new(shown(incident, now)))))
}

/// `POST /ack/{signed}`. Where the form was sent from is not asked: the signature is the proof, and the page's own
/// `no-referrer` makes browsers send `Origin: null` (Fetch standard, §3.2).
pub(super) async fn acknowledge(
    state: web::Data<AppState>,
    request: HttpRequest,
    signed: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let now = state.clock.now();
    let link = match links::verify(&state.link_key, &signed, now) {
        Ok(link) => link,
        Err(error) => return answer(refused(error)),
    };
    let by = By { actor: Actor::Tocsin, now, address: client_address(&request, &state) };
    record(&state, link, by).await?;
    Ok(see_other(&format!("/ack/{signed}")))
}

async fn record(state: &AppState, link: Link, by: By) -> Result<(), Problem> {
    let incidents = Arc::clone(&state.incidents);
    state
        .store
        .write("ack", move |tx| {
            let Some(found) = queries::find(tx, Scope::All, link.incident)? else { return Ok(()) };
            match incidents.acknowledge(tx, by.now, IncidentId(found.number), BY_LINK) {
                Ok(incidents::Acknowledged::Now) => {}
                // The page that follows says who was first, or that it is over.
                Ok(incidents::Acknowledged::Already(_)) | Err(incidents::Error::Over) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            let subject = format!("#{}", found.number);
            let detail = json!({ "by": BY_LINK });
            let change = Change {
                action: "incident.acknowledge",
                subject: &subject,
                project: found.project_id,
                detail,
            };
            Ok::<_, Problem>(audit::append(tx, &by, &change)?)
        })
        .await
}

fn refused(error: LinkError) -> View {
    match error {
        LinkError::Invalid => View::Invalid,
        LinkError::Expired => View::Expired,
    }
}

fn shown(incident: IncidentView, now: Timestamp) -> Shown {
    let standing = match IncidentState::parse(&incident.state) {
        Some(IncidentState::Open) => Standing::Open,
        Some(IncidentState::Acknowledged) => Standing::Acknowledged {
            by: incident.acknowledged_by.clone().unwrap_or_default(),
            at: clock(incident.acknowledged_at.unwrap_or(now), now),
        },
        Some(IncidentState::Resolved) | None => {
            Standing::Over { at: clock(incident.resolved_at.unwrap_or(now), now) }
        }
    };
    let mut sources: Vec<&str> =
        incident.witnesses.iter().map(|witness| source_label(&witness.source)).collect();
    sources.dedup();
    Shown {
        id: incident.id.to_string(),
        number: incident.number,
        project: incident.project.clone().unwrap_or_else(|| "tocsin itself".to_owned()),
        severity: incident.severity.as_str(),
        severity_class: severity_class(incident.severity.as_str()),
        since: clock(incident.impact_started_at, now),
        lasts: between(
            incident.impact_started_at,
            incident.recovered_at.or(incident.resolved_at).unwrap_or(now),
        ),
        affected: affected(&incident),
        seen_by: sources.join(", "),
        summary: incident.summary,
        standing,
    }
}

impl Shown {
    fn is_by_link(by: &str) -> bool {
        by == BY_LINK
    }
}

/// The address is a key: no cache keeps it and no other site learns it.
fn answer(view: View) -> Result<HttpResponse, Problem> {
    let status = match &view {
        View::Incident(_) => StatusCode::OK,
        View::Expired => StatusCode::GONE,
        View::Invalid => StatusCode::NOT_FOUND,
    };
    let mut response = page_with(status, &AckPage { view })?;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}
