//! The services: how each is and why, and what `/api/health` says of it.

use actix_web::{HttpResponse, web};
use askama::Template;

use super::configurable::configurable;
use super::form::Form;
use super::frame::{Frame, Place, page, see_other};
use super::from_file;
use super::incident_words::Badge;
use super::incidents::{IncidentLine, line as incident_line};
use super::moments::clock;
use super::probes::words::status_badge;
use super::service_words::{headline, needs, service_badge};
use super::wording::When;
use crate::accounts::Visible;
use crate::accounts::access::Decision;
use crate::base::Timestamp;
use crate::base::owned::Owner;
use crate::health::services::order::Direction;
use crate::health::services::{Service, ServiceStatus, Snapshot, queries, shape};
use crate::heartbeats::{self, HeartbeatId};
use crate::http::acts;
use crate::http::acts::rights::{Act, Thing, decide};
use crate::http::auth::SignedIn;
use crate::http::visible::scope;
use crate::http::{AppState, Problem};
use crate::incidents::queries::list_of_key;
use crate::store::{Error, ReadTx};

#[derive(Template)]
#[template(path = "services.html", config = "src/http/admin/askama.toml")]
struct ListPage {
    frame: Frame,
    headline: String,
    sub: String,
    lines: Vec<Line>,
    may_make: bool,
}

/// A service with its members, as pages show it.
#[expect(clippy::struct_excessive_bools, reason = "what a template asks is yes or no")]
struct Line {
    key: String,
    name: String,
    project: String,
    badge: Badge,
    reason: String,
    since: Option<When>,
    needs: String,
    is_critical: bool,
    /// Where a file names it; empty where the page changes it.
    file: String,
    may_change: bool,
    is_first: bool,
    is_last: bool,
    members: Vec<MemberLine>,
}

struct MemberLine {
    name: String,
    kind: String,
    badge: Badge,
    reason: String,
    /// Its own page.
    place: String,
}

#[derive(Template)]
#[template(path = "service.html", config = "src/http/admin/askama.toml")]
struct ServicePage {
    frame: Frame,
    line: Line,
    severity: String,
    rings: &'static str,
    runbook: String,
    /// What `/api/health` says of it, as JSON.
    says: String,
    turns: Vec<TurnLine>,
    incidents: Vec<IncidentLine>,
}

struct TurnLine {
    class: &'static str,
    text: String,
    at: String,
}

const INCIDENTS: u32 = 10;
const TURNS: usize = 30;
/// Changes of a page reach back as far as its bars on the status page.
const TURNS_FOR: std::time::Duration = std::time::Duration::from_hours(24 * 90);

/// `GET /services`
pub(super) async fn list(state: web::Data<AppState>, signed_in: SignedIn) -> Result<HttpResponse, Problem> {
    let (now, snapshot) = (state.clock.now(), state.watched.get());
    let rendered = state
        .store
        .read(move |tx| {
            let actor = signed_in.session.actor();
            let visible = actor.visible();
            let services = services_now(tx, &visible, &snapshot)?;
            let overall = crate::health::services::overall(
                services.iter().map(|service| (service.status, service.critical)),
            );
            let (headline, sub) = headline(&services, overall);
            let last = services.len().saturating_sub(1);
            let mut lines = Vec::with_capacity(services.len());
            for (at, service) in services.into_iter().enumerate() {
                let may = decide(&actor, Act::Change, Thing::Service, Some(service.project));
                let line = line(tx, service, may == Decision::Allowed, now)?;
                lines.push(Line { is_first: at == 0, is_last: at == last, ..line });
            }
            Ok::<_, Problem>(ListPage {
                headline,
                sub,
                lines,
                may_make: !configurable(tx, &signed_in)?.is_empty(),
                frame: Frame::load(tx, &signed_in, Place::Services)?,
            })
        })
        .await?;
    page(&rendered)
}

/// All services that may be seen, as they are now.
pub(super) fn services_now(
    tx: &ReadTx<'_>,
    visible: &Visible,
    snapshot: &Snapshot,
) -> Result<Vec<Service>, Error> {
    let mut services = queries::list(tx, visible)?;
    for service in &mut services {
        as_now(service, snapshot);
    }
    Ok(services)
}

/// What is in memory is newer than what is stored; a service that was just made is in the store alone.
fn as_now(service: &mut Service, snapshot: &Snapshot) {
    let seen = snapshot.find(&service.key).filter(|seen| {
        let known = &seen.service;
        known.needs == service.needs
            && known
                .members
                .iter()
                .map(|member| &member.member)
                .eq(service.members.iter().map(|member| &member.member))
    });
    if let Some(seen) = seen {
        (service.status, service.since) = (seen.service.status, seen.service.since);
        service.reason.clone_from(&seen.service.reason);
        service.members.clone_from(&seen.service.members);
    }
}

fn line(tx: &ReadTx<'_>, service: Service, may_change: bool, now: Timestamp) -> Result<Line, Problem> {
    let needs = needs(service.needs, service.members.len());
    let mut members = Vec::with_capacity(service.members.len());
    for member in service.members {
        members.push(MemberLine {
            place: place_of(tx, &member.member, &member.key)?,
            badge: status_badge(member.status),
            name: member.name,
            kind: member.kind,
            reason: member.reason,
        });
    }
    Ok(Line {
        project: service.project_slug,
        badge: service_badge(service.status),
        reason: service.reason,
        since: service.since.map(|at| When::new(at, now)),
        is_critical: service.critical,
        file: from_file::told(tx, service.owner == Owner::File, "services", &service.key)?,
        may_change,
        is_first: true,
        is_last: true,
        name: service.name,
        key: service.key,
        needs,
        members,
    })
}

/// The page of a member.
fn place_of(tx: &ReadTx<'_>, member: &str, key: &str) -> Result<String, Problem> {
    let Some(id) = HeartbeatId::of_signal_key(member) else { return Ok(format!("/probes/{key}")) };
    let found = heartbeats::queries::find(tx, id)?;
    Ok(found.map_or_else(|| "/heartbeats".to_owned(), |heartbeat| format!("/heartbeats/{}", heartbeat.uid)))
}

/// A service that the asker may see.
pub(super) fn find(tx: &ReadTx<'_>, visible: &Visible, key: &str) -> Result<Service, Problem> {
    queries::find(tx, visible, key)?.ok_or_else(|| Problem::not_found("service"))
}

/// `GET /services/{key}`
pub(super) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (now, snapshot) = (state.clock.now(), state.watched.get());
    let rendered = state
        .store
        .read(move |tx| {
            let actor = signed_in.session.actor();
            let visible = actor.visible();
            let mut service = find(tx, &visible, &key)?;
            as_now(&mut service, &snapshot);
            let turns = queries::changes(tx, service.id, now - TURNS_FOR)?;
            let incidents = list_of_key(tx, scope(&visible), &service.id.signal_key(), INCIDENTS)?;
            let may = decide(&actor, Act::Change, Thing::Service, Some(service.project));
            Ok::<_, Problem>(ServicePage {
                frame: Frame::load(tx, &signed_in, Place::Services)?,
                severity: service.severity().to_string(),
                rings: match service.needs.least() {
                    None => "Its members ring, each for itself.",
                    Some(_) => "It rings for its members, when too few are well.",
                },
                runbook: service.settings.runbook.clone().unwrap_or_default(),
                says: says(&snapshot, &service.key),
                turns: turns.iter().rev().take(TURNS).map(|turn| turn_line(turn, now)).collect(),
                incidents: incidents.into_iter().map(|incident| incident_line(incident, now)).collect(),
                line: line(tx, service, may == Decision::Allowed, now)?,
            })
        })
        .await?;
    page(&rendered)
}

/// What `/api/health` says of a service; empty until it was judged.
fn says(snapshot: &Snapshot, key: &str) -> String {
    let Some(seen) = snapshot.find(key) else { return String::new() };
    serde_json::to_string_pretty(&serde_json::json!({ key: shape::short(seen) })).unwrap_or_default()
}

fn turn_line(turn: &queries::ChangeLine, now: Timestamp) -> TurnLine {
    let class = match turn.status {
        ServiceStatus::Healthy => "ok",
        ServiceStatus::Unhealthy => "bad",
        ServiceStatus::Degraded | ServiceStatus::Unknown | ServiceStatus::Maintenance => "",
    };
    let mut text = service_badge(turn.status).word.to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    if !turn.reason.is_empty() {
        text = format!("{text}: {}", turn.reason);
    }
    TurnLine { class, text, at: clock(turn.at, now) }
}

/// `POST /services/{key}/{act}`
pub(super) async fn act(
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let (key, word) = path.into_inner();
    let direction = match word.as_str() {
        "up" => Direction::Earlier,
        "down" => Direction::Later,
        "delete" => {
            acts::service::remove(&state, form.caller(), key).await?;
            return Ok(see_other("/services"));
        }
        _ => return Err(Problem::not_found("page")),
    };
    acts::service::shift(&state, form.caller(), key, direction).await?;
    Ok(see_other("/services"))
}
