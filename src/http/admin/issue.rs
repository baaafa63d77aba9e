//! One issue and one of its events.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::super::acts;
use super::super::auth::SignedIn;
use super::super::{AppState, Problem};
use super::event_blocks::EventBlocks;
use super::form::Form;
use super::frame::{Frame, Place, page, see_other};
use super::issues::users;
use super::plot::{self, DayPlot};
use super::wording::{When, count, counted, severity_class};
use crate::base::{EventId, Timestamp, Uid};
use crate::incidents;
use crate::issues::evaluate::key_of;
use crate::issues::ids::RecentIds;
use crate::issues::queries::{self, Found, IssueView, Neighbours};
use crate::issues::{EventView, GroupingReason, Status};
use crate::store::ReadTx;

#[derive(Template)]
#[template(path = "issue.html", config = "src/http/admin/askama.toml")]
struct IssuePage {
    frame: Frame,
    issue: IssueFacts,
    shown: Shown,
    older: Option<String>,
    newer: Option<String>,
    incident: Option<IncidentLink>,
    plot: DayPlot,
    hours: Vec<(String, i64)>,
}

/// The issue's own facts, in words.
struct IssueFacts {
    id: String,
    short_id: String,
    project: String,
    title: String,
    culprit: String,
    severity: String,
    severity_class: &'static str,
    class: String,
    status: String,
    counts: String,
    stored: String,
    first_seen: When,
    first_release: Option<String>,
    last_seen: When,
    last_release: Option<String>,
    regressed: Option<When>,
    environments: Vec<String>,
    reason: String,
    algorithm: String,
}

/// Which event the page shows.
enum Shown {
    Event(Box<EventBlocks>),
    /// It was counted; its payload was not kept.
    Sampled(String),
    Unknown(String),
    /// No payload of this issue is kept any more.
    Nothing,
}

struct IncidentLink {
    id: String,
    number: i64,
    state: String,
    began: When,
}

#[derive(Deserialize)]
pub(super) struct EventQuery {
    event: Option<String>,
}

/// `GET /issues/{id}`, with `?event=` for another event than the newest.
pub(super) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    id: web::Path<String>,
    query: web::Query<EventQuery>,
) -> Result<HttpResponse, Problem> {
    let id: Uid = id.parse().map_err(|_| Problem::not_found("issue"))?;
    let (now, recent) = (state.clock.now(), state.recent.clone());
    let event = query.into_inner().event;
    let page_of = state
        .store
        .read(move |tx| {
            let issue = queries::find_issue(tx, &signed_in.session.actor().visible(), id)?;
            let issue = issue.ok_or_else(|| Problem::not_found("issue"))?;
            let (shown, neighbours) = find_shown(tx, &recent, &issue, event, now)?;
            let hours = queries::hourly(tx, now, std::slice::from_ref(&issue))?;
            let hours = hours.into_values().next().unwrap_or_default();
            let address = |event: EventId| format!("/issues/{id}?event={event}");
            Ok::<_, Problem>(IssuePage {
                frame: Frame::load(tx, &signed_in, Place::Issues)?,
                shown,
                older: neighbours.older.map(address),
                newer: neighbours.newer.map(address),
                incident: find_incident(tx, &issue, now)?,
                plot: DayPlot::new(&hours),
                hours: plot::table(&hours, now),
                issue: facts(issue, now),
            })
        })
        .await?;
    page(&page_of)
}

/// `POST /issues/{id}/status`.
pub(super) async fn set_status(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let issue: Uid = id.parse().map_err(|_| Problem::not_found("issue"))?;
    let wrong = || Problem::bad_request("The status is one of unresolved, resolved, ignored.");
    let status = Status::parse(form.text("status")).ok_or_else(wrong)?;
    let (caller, incidents) = (form.caller(), state.incidents.clone());
    let now = state.clock.now();
    state
        .store
        .write("issue.set_status", move |tx| {
            acts::issue::set_status(tx, &incidents, &caller, now, (issue, status))
        })
        .await?;
    Ok(see_other(&format!("/issues/{issue}")))
}

fn find_shown(
    tx: &ReadTx<'_>,
    recent: &RecentIds,
    issue: &IssueView,
    asked: Option<String>,
    now: Timestamp,
) -> Result<(Shown, Neighbours), Problem> {
    let event = match &asked {
        Some(text) => EventId::parse(text),
        None => queries::list_events(tx, issue, None, 1)?.first().map(|event| event.event_id),
    };
    let Some(event) = event else {
        let shown = asked.map_or(Shown::Nothing, Shown::Unknown);
        return Ok((shown, Neighbours::default()));
    };
    let scope = crate::accounts::Visible::Only(vec![issue.project_id]);
    let found = queries::find_event(tx, recent, &scope, Some(issue.project_id), event)?;
    let view: EventView = match found {
        Found::Event(view) if view.issue_id == issue.id => *view,
        Found::Event(_) | Found::Unknown => {
            return Ok((Shown::Unknown(event.to_string()), Neighbours::default()));
        }
        Found::Sampled => return Ok((Shown::Sampled(event.to_string()), Neighbours::default())),
    };
    let neighbours = match crate::issues::ids::find(tx, recent, issue.project_id, event)? {
        Some(crate::issues::ids::Place::Stored(seq)) => queries::neighbours(tx, issue, seq)?,
        Some(crate::issues::ids::Place::Sampled) | None => Neighbours::default(),
    };
    Ok((Shown::Event(Box::new(EventBlocks::new(view, now))), neighbours))
}

fn find_incident(
    tx: &ReadTx<'_>,
    issue: &IssueView,
    now: Timestamp,
) -> Result<Option<IncidentLink>, Problem> {
    let key = key_of(issue.project_id, issue.id);
    let Some(number) = incidents::queries::find_live(tx, &key)? else { return Ok(None) };
    let found = incidents::queries::find_by_number(tx, number)?;
    Ok(found.map(|incident| IncidentLink {
        id: incident.id.to_string(),
        number: incident.number,
        state: incident.state,
        began: When::new(incident.impact_started_at, now),
    }))
}

fn facts(issue: IssueView, now: Timestamp) -> IssueFacts {
    let users = match issue.users {
        0 => String::new(),
        1 => " · 1 user".to_owned(),
        _ => format!(" · {} users", users(&issue)),
    };
    let reason = serde_json::from_value::<GroupingReason>(issue.grouping.reason).ok();
    IssueFacts {
        counts: format!("{}{users}", counted(issue.count, "event")),
        stored: format!("{} of {}", count(issue.stored), counted(issue.count, "event")),
        severity_class: severity_class(&issue.severity),
        severity: issue.severity,
        class: issue.class.replace('_', " "),
        first_seen: When::new(issue.first_seen, now),
        last_seen: When::new(issue.last_seen, now),
        regressed: issue.regressed_at.map(|at| When::new(at, now)),
        reason: reason.map_or_else(String::new, |reason| reason.sentence()),
        id: issue.id.to_string(),
        short_id: issue.short_id,
        project: issue.project,
        title: issue.title,
        culprit: issue.culprit,
        status: issue.status,
        first_release: issue.first_release,
        last_release: issue.last_release,
        environments: issue.environments,
        algorithm: issue.grouping.algorithm,
    }
}
