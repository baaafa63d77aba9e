//! One incident: what it is, its clocks, who saw it, what happened, and the proof of every message.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::frame::{Frame, Place, page};
use super::incident_probes::{OfProbe, of_witnesses};
use super::incident_words::{
    Badge, delivery_badge, happened, purpose_label, source_label, standing, state_badge, witness_badge,
};
use super::moments::{between, clock, span};
use super::wording::{When, counted, severity_class};
use crate::base::{Timestamp, Uid};
use crate::http::auth::SignedIn;
use crate::http::visible::{Slugs, scope};
use crate::http::{AppState, Problem};
use crate::incidents::silences::{self, Silence};
use crate::incidents::views::{DeliveryProof, EventView, IncidentPage as Found, IncidentView, WitnessView};
use crate::incidents::{IncidentId, queries};
use crate::issues::queries::recount;
use crate::notify::facts::Detail;
use crate::releases::{self, Deploy};
use crate::store::ReadTx;

#[derive(Template)]
#[template(path = "incident.html", config = "src/http/admin/askama.toml")]
#[expect(clippy::struct_excessive_bools, reason = "what a template asks is yes or no")]
struct IncidentPage {
    frame: Frame,
    id: String,
    number: i64,
    summary: String,
    project: String,
    is_project: bool,
    severity: &'static str,
    severity_class: &'static str,
    state: Badge,
    standing: String,
    affected: String,
    silence: Option<SilenceLine>,
    is_open: bool,
    is_acknowledged: bool,
    is_over: bool,
    figures: Vec<Figure>,
    clocks: Vec<ClockLine>,
    witnesses: Vec<WitnessLine>,
    more_witnesses: i64,
    may_split: bool,
    timeline: Vec<TimelineLine>,
    changes: Vec<ChangeLine>,
    messages: Vec<MessageLine>,
}

/// The silence of this incident that lasts longest.
struct SilenceLine {
    by: String,
    until: String,
    reason: String,
}

/// A number with what it means beside it.
struct Figure {
    name: &'static str,
    value: String,
    note: String,
}

/// One of the moments of an incident.
struct ClockLine {
    name: &'static str,
    at: Option<When>,
    /// Since the impact began.
    after: String,
    missing: &'static str,
}

struct WitnessLine {
    number: i64,
    source: String,
    summary: String,
    facts: String,
    /// Where what it saw has a page of its own.
    place: Option<String>,
    probe: OfProbe,
    queries: Vec<(String, String)>,
    severity: &'static str,
    severity_class: &'static str,
    state: Badge,
    detected_after: String,
    first_bad: When,
    signals: String,
    is_live: bool,
}

struct TimelineLine {
    class: &'static str,
    text: String,
    at: String,
    when: When,
}

struct ChangeLine {
    what: String,
    when: String,
}

/// A message with its attempts.
pub(super) struct MessageLine {
    pub(super) id: String,
    pub(super) purpose: String,
    pub(super) channel: String,
    pub(super) state: Badge,
    pub(super) written: When,
    pub(super) outcome: String,
    pub(super) attempts: Vec<AttemptLine>,
}

/// One try to send a message.
pub(super) struct AttemptLine {
    pub(super) number: i64,
    pub(super) outcome: String,
    pub(super) class: &'static str,
    pub(super) when: When,
    pub(super) took: String,
    pub(super) detail: String,
}

/// What witnesses put into their detail beside [`Detail`].
#[derive(Default, Deserialize)]
#[serde(default)]
struct About {
    issue: Option<Uid>,
    culprit: Option<String>,
    /// The key of a probe, and what it looks at.
    probe: Option<String>,
    target: Option<String>,
    last_good_at: Option<Timestamp>,
}

/// `GET /incidents/{id}`
pub(super) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let id: Uid = id.parse().map_err(|_| Problem::not_found("incident"))?;
    let now = state.clock.now();
    let rendered = state
        .store
        .read(move |tx| {
            let visible = signed_in.session.actor().visible();
            let found = queries::find_page(tx, scope(&visible), id)?;
            let mut found = found.ok_or_else(|| Problem::not_found("incident"))?;
            Slugs::default().name_incident(tx, &mut found.incident)?;
            recount(tx, &mut found.incident)?;
            let changes = changes(tx, &found.incident)?;
            let silence = silences::find_longest(tx, now, IncidentId(found.incident.number))?;
            let frame = Frame::load(tx, &signed_in, Place::Incidents)?;
            let probes = of_witnesses(tx, &visible, &found.incident)?;
            let mut page = IncidentPage::new(frame, found, &changes, now);
            for (line, probe) in page.witnesses.iter_mut().zip(probes) {
                line.probe = probe;
            }
            Ok::<_, Problem>(IncidentPage { silence: silence.map(|it| silence_line(it, now)), ..page })
        })
        .await?;
    page(&rendered)
}

impl IncidentPage {
    fn new(frame: Frame, found: Found, changes: &[Deploy], now: Timestamp) -> Self {
        let Found { incident, timeline, deliveries } = found;
        let live = incident.witnesses.iter().filter(|witness| witness.state != "ok").count();
        let is_over = incident.resolved_at.is_some();
        Self {
            id: incident.id.to_string(),
            number: incident.number,
            is_project: incident.project.is_some(),
            project: incident.project.clone().unwrap_or_else(|| "tocsin itself".to_owned()),
            severity: incident.severity.as_str(),
            severity_class: severity_class(incident.severity.as_str()),
            state: state_badge(&incident),
            standing: standing(&incident, now),
            affected: affected(&incident),
            silence: None,
            is_open: !is_over && incident.acknowledged_at.is_none(),
            is_acknowledged: !is_over && incident.acknowledged_at.is_some(),
            is_over,
            figures: figures(&incident, now),
            clocks: clocks(&incident, now),
            more_witnesses: incident.witness_count - i64::try_from(incident.witnesses.len()).unwrap_or(0),
            may_split: frame.is_member && !is_over && live > 0 && incident.witnesses.len() > 1,
            changes: changes.iter().map(|deploy| change(deploy, incident.impact_started_at)).collect(),
            witnesses: incident.witnesses.iter().map(|witness| witness_line(witness, now)).collect(),
            timeline: timeline.iter().map(|event| timeline_line(event, now)).collect(),
            messages: deliveries.into_iter().map(|message| message_line(message, now)).collect(),
            summary: incident.summary,
            frame,
        }
    }
}

fn silence_line(silence: Silence, now: Timestamp) -> SilenceLine {
    SilenceLine { by: silence.created_by, until: clock(silence.ends_at, now), reason: silence.reason }
}

/// Who and what is hit, from the witness that knows most; another may have counted more events.
pub(super) fn affected(incident: &IncidentView) -> String {
    let details: Vec<Detail> = incident.witnesses.iter().map(detail_of).collect();
    let events = details.iter().filter_map(|detail| detail.events).max();
    let most = details.into_iter().max_by_key(|detail| (detail.users, detail.events));
    most.map(|most| facts(&Detail { events, ..most })).unwrap_or_default()
}

fn detail_of(witness: &WitnessView) -> Detail {
    Detail::deserialize(&witness.detail).unwrap_or_default()
}

fn facts(detail: &Detail) -> String {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let about = if detail.users_estimated { "≈ " } else { "" };
    let parts = [
        detail.events.map(|events| counted(number(events), "event")),
        detail
            .users
            .filter(|users| *users > 0)
            .map(|users| format!("{about}{}", counted(number(users), "user"))),
        detail.release.clone(),
        detail.environment.clone(),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

fn changes(tx: &ReadTx<'_>, incident: &IncidentView) -> Result<Vec<Deploy>, Problem> {
    let Some(project) = incident.project_id else { return Ok(Vec::new()) };
    Ok(releases::list_leading_to(tx, project, incident.impact_started_at, incident.detected_at)?)
}

fn change(deploy: &Deploy, impact: Timestamp) -> ChangeLine {
    ChangeLine {
        what: format!("Deploy of {} to {}", deploy.release, deploy.environment),
        when: if deploy.at > impact {
            format!("{} after it began", between(impact, deploy.at))
        } else {
            format!("{} before", between(deploy.at, impact))
        },
    }
}

fn figures(incident: &IncidentView, now: Timestamp) -> Vec<Figure> {
    let began = incident.impact_started_at;
    let since = |at: Option<Timestamp>| at.map_or_else(|| "—".to_owned(), |at| between(began, at));
    let end = incident.recovered_at.or(incident.resolved_at);
    vec![
        Figure {
            name: "Time to detect",
            value: between(began, incident.detected_at),
            note: "from the first bad event".to_owned(),
        },
        Figure {
            name: "Told after",
            value: since(incident.first_delivered_at),
            note: match (incident.first_delivered_at, incident.first_sent_at) {
                (Some(_), _) => "first message delivered".to_owned(),
                (None, Some(_)) => "tried, not delivered yet".to_owned(),
                (None, None) => "nothing was sent yet".to_owned(),
            },
        },
        Figure {
            name: "Acknowledged after",
            value: since(incident.acknowledged_at),
            note: incident.acknowledged_by.as_ref().map_or("by nobody".to_owned(), |by| format!("by {by}")),
        },
        Figure {
            name: if end.is_some() { "Lasted" } else { "Lasts" },
            value: between(began, end.unwrap_or(now)),
            note: match (incident.recovered_at, end) {
                (Some(_), _) => "until it recovered".to_owned(),
                (None, Some(_)) => "until it was closed".to_owned(),
                (None, None) => "and is not over".to_owned(),
            },
        },
    ]
}

fn clocks(incident: &IncidentView, now: Timestamp) -> Vec<ClockLine> {
    let began = incident.impact_started_at;
    let line = |name, at: Option<Timestamp>, missing| ClockLine {
        name,
        at: at.map(|at| When::new(at, now)),
        after: at.filter(|at| *at > began).map(|at| between(began, at)).unwrap_or_default(),
        missing,
    };
    vec![
        line("Impact began", Some(began), ""),
        line("Detected", Some(incident.detected_at), ""),
        line("First message sent", incident.first_sent_at, "not yet"),
        line("Delivered", incident.first_delivered_at, "not yet"),
        line("Acknowledged", incident.acknowledged_at, "by nobody"),
        line("Recovered", incident.recovered_at, "not seen"),
        line("Closed", incident.resolved_at, "not yet"),
    ]
}

fn witness_line(witness: &WitnessView, now: Timestamp) -> WitnessLine {
    let detail = detail_of(witness);
    let about = About::deserialize(&witness.detail).unwrap_or_default();
    let place = match (&about.issue, &about.probe) {
        (Some(issue), _) => Some(format!("/issues/{issue}")),
        (None, Some(probe)) => Some(format!("/probes/{probe}")),
        (None, None) => None,
    };
    let facts = [
        about.culprit.or(about.target).filter(|text| !text.is_empty()),
        about.last_good_at.map(|at| format!("last good at {}", clock(at, now))),
        Some(facts(&detail)).filter(|it| !it.is_empty()),
    ];
    WitnessLine {
        number: witness.number,
        source: source_label(&witness.source).to_owned(),
        summary: witness.summary.clone(),
        facts: facts.into_iter().flatten().collect::<Vec<_>>().join(" · "),
        place,
        probe: OfProbe::default(),
        queries: detail
            .queries
            .iter()
            .map(|slow| (slow.query.clone(), format!("{:.0} ms", slow.duration_ms)))
            .collect(),
        severity: witness.severity.as_str(),
        severity_class: severity_class(witness.severity.as_str()),
        state: witness_badge(&witness.state),
        detected_after: between(witness.first_bad_at, witness.detected_at),
        first_bad: When::new(witness.first_bad_at, now),
        signals: counted(witness.signal_count, "signal"),
        is_live: witness.state != "ok",
    }
}

fn timeline_line(event: &EventView, now: Timestamp) -> TimelineLine {
    let (class, text) = happened(event);
    TimelineLine { class, text, at: clock(event.at, now), when: When::new(event.at, now) }
}

pub(super) fn message_line(message: DeliveryProof, now: Timestamp) -> MessageLine {
    let DeliveryProof { delivery, proof } = message;
    let to = delivery.recipient.as_deref().map(|to| format!(" to {to}")).unwrap_or_default();
    let channel = delivery.channel.as_deref().unwrap_or("no channel");
    let outcome = match (delivery.delivered_at, delivery.next_attempt_at, &delivery.last_error) {
        (Some(at), _, None) => format!("delivered {} after it was written", between(delivery.created_at, at)),
        (Some(at), _, Some(part)) => {
            format!("delivered {} after it was written; {part}", between(delivery.created_at, at))
        }
        (None, Some(at), Some(error)) => format!("{error}; next try at {}", clock(at, now)),
        (None, Some(at), None) => format!("due at {}", clock(at, now)),
        (None, None, Some(error)) => error.clone(),
        (None, None, None) => String::new(),
    };
    MessageLine {
        id: delivery.id.to_string(),
        purpose: purpose_label(&delivery.purpose).to_owned(),
        channel: format!("{channel}{to}"),
        state: delivery_badge(delivery.state),
        written: When::new(delivery.created_at, now),
        outcome,
        attempts: proof
            .into_iter()
            .map(|attempt| AttemptLine {
                number: attempt.number,
                class: if attempt.outcome == "delivered" { "ok" } else { "bad" },
                outcome: attempt.outcome,
                when: When::new(attempt.at, now),
                took: span(Duration::from_micros(u64::try_from(attempt.duration_us).unwrap_or(0))),
                detail: attempt.detail,
            })
            .collect(),
    }
}
