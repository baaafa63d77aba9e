//! Choosing probes, heartbeats and services: what is chosen stays, what matches is offered. A project may have
//! thousands, so a page never shows them all.

use actix_web::{HttpResponse, web};
use askama::Template;

use super::frame::page;
use super::heartbeat_words;
use super::incident_words::Badge;
use super::probes::words::status_badge;
use super::service_words::service_badge;
use crate::accounts::Visible;
use crate::base::ProjectId;
use crate::base::text::fold;
use crate::health::services;
use crate::heartbeats::{self, HeartbeatId};
use crate::http::auth::{SignedIn, find_project};
use crate::http::{AppState, Problem};
use crate::probes::{self, ProbeId, Status};
use crate::store::ReadTx;

/// Something that can be a member or a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// The key of its signals.
    pub(super) key: String,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) badge: Badge,
    /// As a member of a service.
    pub(super) status: Status,
    pub(super) is_chosen: bool,
}

/// What may be chosen, and from where.
#[derive(Clone, Debug)]
pub(super) struct Among {
    pub(super) visible: Visible,
    /// `None`: every project that may be seen.
    pub(super) project: Option<ProjectId>,
    /// Services have no services as members.
    pub(super) with_services: bool,
}

#[derive(Template)]
#[template(path = "chooser_alone.html", config = "src/http/admin/askama.toml")]
struct Alone {
    choices: Vec<Choice>,
    is_cut: bool,
}

/// Offered of each kind.
const OFFERED: u32 = 12;
/// Chosen ones that are shown; a service and a maintenance have at most 50.
const CHOSEN_MAX: usize = 60;

/// What was chosen, in its order, and then what matches `text`; and whether there is more that matches.
pub(super) fn load(
    tx: &ReadTx<'_>,
    among: &Among,
    chosen: &[String],
    text: &str,
) -> Result<(Vec<Choice>, bool), Problem> {
    let mut choices = Vec::new();
    for key in chosen.iter().take(CHOSEN_MAX) {
        choices.push(find(tx, among, key)?);
    }
    let (offered, is_cut) = offer(tx, among, text)?;
    let known: Vec<String> = choices.iter().map(|choice| choice.key.clone()).collect();
    choices.extend(offered.into_iter().filter(|choice| !known.contains(&choice.key)));
    Ok((choices, is_cut))
}

fn offer(tx: &ReadTx<'_>, among: &Among, text: &str) -> Result<(Vec<Choice>, bool), Problem> {
    let text = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let (mut offered, mut is_cut) =
        if among.with_services { offer_services(tx, among, text.as_deref())? } else { (Vec::new(), false) };
    let filter = probes::queries::Filter {
        project: among.project,
        text: text.clone(),
        limit: OFFERED,
        ..probes::queries::Filter::all(among.visible.clone())
    };
    let found = probes::queries::list(tx, &filter)?;
    is_cut |= found.next.is_some();
    offered.extend(found.items.into_iter().map(|line| Choice {
        key: line.id.signal_key(),
        kind: line.definition.map(|known| known.kind().as_str().to_owned()).unwrap_or_default(),
        badge: status_badge(line.status),
        status: line.status,
        name: line.name,
        is_chosen: false,
    }));
    let filter = heartbeats::queries::Filter {
        project: among.project,
        text,
        ..heartbeats::queries::Filter::default()
    };
    let found = heartbeats::queries::list(tx, &among.visible, &filter, None, OFFERED as usize)?;
    is_cut |= found.next_cursor.is_some();
    offered.extend(found.items.iter().map(|heartbeat| of_heartbeat(heartbeat, false)));
    Ok((offered, is_cut))
}

fn offer_services(
    tx: &ReadTx<'_>,
    among: &Among,
    text: Option<&str>,
) -> Result<(Vec<Choice>, bool), Problem> {
    let matches = |service: &services::Service| {
        let is_named =
            |text: &str| fold(&service.name).contains(&fold(text)) || service.key.contains(&fold(text));
        among.project.is_none_or(|project| project == service.project) && text.is_none_or(is_named)
    };
    let found = services::queries::list(tx, &among.visible)?;
    let mut found: Vec<Choice> =
        found.iter().filter(|service| matches(service)).map(|service| of_service(service, false)).collect();
    let is_cut = found.len() > OFFERED as usize;
    found.truncate(OFFERED as usize);
    Ok((found, is_cut))
}

/// What a key names, in the words of people; a key that names nothing stands for itself.
pub(super) fn name(tx: &ReadTx<'_>, visible: &Visible, key: &str) -> Result<String, Problem> {
    let among = Among { visible: visible.clone(), project: None, with_services: true };
    Ok(find(tx, &among, key)?.name)
}

/// What a key names; what is gone, or not to be seen, is shown by its key, so that it is not lost by looking at it.
fn find(tx: &ReadTx<'_>, among: &Among, key: &str) -> Result<Choice, Problem> {
    let found = if let Some(id) = ProbeId::of_signal_key(key) {
        let probe = probes::outline::find_by_id(tx, &among.visible, id)?;
        let status = probes::queries::state(tx, id)?.map_or(Status::Unknown, |state| state.status);
        probe.map(|probe| Choice {
            key: key.to_owned(),
            kind: probe.kind_word,
            badge: status_badge(status),
            status,
            name: probe.name,
            is_chosen: true,
        })
    } else if let Some(id) = HeartbeatId::of_signal_key(key) {
        let found = heartbeats::queries::find(tx, id)?;
        found.filter(|found| among.visible.contains(found.project)).map(|found| of_heartbeat(&found, true))
    } else if key.starts_with("service:") {
        let all = services::queries::list(tx, &among.visible)?;
        all.iter().find(|service| service.id.signal_key() == key).map(|service| of_service(service, true))
    } else {
        None
    };
    let by_key = || Choice {
        key: key.to_owned(),
        name: key.to_owned(),
        kind: "key".to_owned(),
        badge: Badge { class: "unknown", word: "" },
        status: Status::Unknown,
        is_chosen: true,
    };
    Ok(found.unwrap_or_else(by_key))
}

fn of_heartbeat(heartbeat: &heartbeats::Heartbeat, is_chosen: bool) -> Choice {
    Choice {
        key: heartbeat.id.signal_key(),
        name: heartbeat.name.clone(),
        kind: "heartbeat".to_owned(),
        badge: heartbeat_words::status_badge(heartbeat.state.status),
        status: heartbeat.state.status.into(),
        is_chosen,
    }
}

fn of_service(service: &services::Service, is_chosen: bool) -> Choice {
    Choice {
        key: service.id.signal_key(),
        name: service.name.clone(),
        kind: "service".to_owned(),
        badge: service_badge(service.status),
        status: Status::Unknown,
        is_chosen,
    }
}

/// `GET /choose?project=&find=&member=&services=1`: the choices again, while somebody searches.
pub(super) async fn choose(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    query: web::Query<Vec<(String, String)>>,
) -> Result<HttpResponse, Problem> {
    let asked = query.into_inner();
    let rendered = state
        .store
        .read(move |tx| {
            let text = |name: &str| {
                asked
                    .iter()
                    .find(|(field, _)| field == name)
                    .map(|(_, value)| value.as_str())
                    .unwrap_or_default()
            };
            let chosen: Vec<String> =
                asked.iter().filter(|(field, _)| field == "member").map(|(_, value)| value.clone()).collect();
            let visible = signed_in.session.actor().visible();
            let project = match text("project") {
                "" => None,
                slug => Some(find_project(tx, &visible, slug)?.id),
            };
            let among = Among { visible, project, with_services: text("services") == "1" };
            let (choices, is_cut) = load(tx, &among, &chosen, text("find"))?;
            Ok::<_, Problem>(Alone { choices, is_cut })
        })
        .await?;
    page(&rendered)
}
