//! One probe: how it is and why, its latency by phase, what it was, and its last good answer beside its last bad one.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::newer::{self, NewerPage};
use super::plot::{self, HourLine, Span};
use super::samples::{Compared, compare};
use super::timeline::{Event, Figure, QUARTER, Strip, events, figures, spells_of, strip};
use super::tries::{PhaseBar, bars};
use super::words::{definition, detects, due, kind_name, latency, phases, status_badge, status_says};
use super::{acts, find};
use crate::accounts::access::Decision;
use crate::base::Timestamp;
use crate::http::acts::probe::{Known, find_any};
use crate::http::acts::rights::{Act, Thing, decide};
use crate::http::admin::frame::{Frame, Place, page};
use crate::http::admin::from_file;
use crate::http::admin::incident_words::Badge;
use crate::http::admin::incidents::{IncidentLine, line};
use crate::http::admin::moments::{clock, until};
use crate::http::admin::service_words::{ServiceLink, services_of};
use crate::http::admin::wording::When;
use crate::http::auth::SignedIn;
use crate::http::visible::{Slugs, scope};
use crate::http::{AppState, Problem};
use crate::incidents::queries as incidents;
use crate::probes::board::Live;
use crate::probes::queries::{self, Related, State};
use crate::probes::{Owner, Paused, Probe};
use crate::store::ReadTx;
use crate::vigil::{self, Blind};

#[derive(Template)]
#[template(path = "probe.html", config = "src/http/admin/askama.toml")]
struct ProbePage {
    frame: Frame,
    key: String,
    name: String,
    kind: &'static str,
    target: String,
    project: String,
    badge: Badge,
    says: &'static str,
    since: When,
    reason: String,
    flapping: bool,
    /// Where a file names it; empty where the page changes it.
    file: String,
    is_pushed: bool,
    may_edit: bool,
    pause: Option<String>,
    next: Option<Next>,
    last: Option<LastRun>,
    last_good: Option<When>,
    figures: Vec<Figure>,
    strip: Strip,
    events: Vec<Event>,
    hours: Vec<HourLine>,
    compared: Compared,
    conditions: Vec<ConditionLine>,
    incidents: Vec<IncidentLine>,
    services: Vec<ServiceLink>,
    parents: Vec<RelatedLine>,
    children: Vec<RelatedLine>,
    words: Vec<String>,
    detects: String,
    /// Name and value of whatever else is set.
    settings: Vec<(&'static str, String)>,
    runbook: Option<String>,
    labels: Vec<(String, String)>,
}

struct Next {
    exact: String,
    due: String,
}

/// What was seen last.
struct LastRun {
    at: When,
    total: String,
    phases: Vec<PhaseBar>,
    facts: Vec<(&'static str, String)>,
    reason: String,
    is_good: bool,
}

/// What must hold, and how it came out last.
struct ConditionLine {
    condition: String,
    /// `None`: not seen yet, or not as it is now.
    fails: Option<String>,
}

pub(super) struct RelatedLine {
    pub(super) key: String,
    pub(super) name: String,
    pub(super) badge: Badge,
}

/// What a page lists of its incidents.
pub(super) const INCIDENTS: u32 = 10;

#[derive(Debug, Deserialize)]
pub(in crate::http::admin) struct PlotAsked {
    #[serde(default)]
    span: Span,
}

/// `GET /probes/{key}`
pub(in crate::http::admin) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (now, key, board) = (state.clock.now(), key.into_inner(), state.prober.board.clone());
    let read = move |tx: &ReadTx<'_>| {
        let visible = signed_in.session.actor().visible();
        Ok::<_, Problem>(match find_any(tx, &visible, &key)? {
            Known::Probe(probe) => {
                let live = board.get(probe.id);
                Shown::Probe(Box::new(load(tx, &signed_in, now, (&probe, live.as_ref()))?))
            }
            Known::Newer(outline) => Shown::Newer(Box::new(newer::load(tx, &signed_in, now, &outline)?)),
        })
    };
    match state.store.read(read).await? {
        Shown::Probe(shown) => page(&*shown),
        Shown::Newer(shown) => page(&*shown),
    }
}

enum Shown {
    Probe(Box<ProbePage>),
    Newer(Box<NewerPage>),
}

/// `GET /probes/{key}/plot?span=day`: latency by phase, as JSON for the plot.
pub(in crate::http::admin) async fn plot(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    key: web::Path<String>,
    asked: web::Query<PlotAsked>,
) -> Result<HttpResponse, Problem> {
    let (now, key, span) = (state.clock.now(), key.into_inner(), asked.span);
    let read = move |tx: &ReadTx<'_>| {
        let probe = find(tx, &signed_in.session.actor().visible(), &key)?;
        Ok::<_, Problem>(plot::read(tx, &probe, span, now)?)
    };
    Ok(HttpResponse::Ok().json(state.store.read(read).await?))
}

fn load(
    tx: &ReadTx<'_>,
    signed_in: &SignedIn,
    now: Timestamp,
    (probe, live): (&Probe, Option<&Live>),
) -> Result<ProbePage, Problem> {
    let visible = signed_in.session.actor().visible();
    let kind = probe.definition.kind();
    let state = queries::state(tx, probe.id)?.ok_or_else(|| Problem::not_found("probe"))?;
    let changes = queries::changes_since(tx, probe.id, now - QUARTER)?;
    let spells = spells_of(kind, vigil::between(tx, now - QUARTER, now)?);
    let since_made: Vec<_> = spells
        .iter()
        .filter(|spell| spell.ended_at.is_none_or(|ended| ended > probe.created_at))
        .cloned()
        .collect();
    let blind = Blind::of(&spells);
    let (good, bad) = queries::samples(tx, probe.id)?;
    let mut found = incidents::list_of_key(tx, scope(&visible), &probe.id.signal_key(), INCIDENTS)?;
    let mut slugs = Slugs::default();
    found.iter_mut().try_for_each(|incident| slugs.name_incident(tx, incident))?;
    let frame = Frame::load(tx, signed_in, Place::Probes)?;
    let page = ProbePage {
        file: from_file::told(tx, probe.owner == Owner::File, "probes", &probe.key)?,
        services: services_of(tx, &visible, &probe.id.signal_key())?,
        may_edit: decide(&signed_in.session.actor(), Act::Change, Thing::Probe(kind), Some(probe.project))
            == Decision::Allowed,
        figures: figures(&changes, &blind, now),
        strip: strip(&changes, &blind, now),
        events: events(&changes, &since_made, now),
        hours: plot::table(tx, probe, now)?,
        compared: compare((good.as_ref(), bad.as_ref()), now),
        incidents: found.into_iter().map(|incident| line(incident, now)).collect(),
        parents: queries::parents(tx, &visible, probe.id)?.into_iter().map(related).collect(),
        children: queries::children(tx, &visible, probe.id)?.into_iter().map(related).collect(),
        ..head(frame, probe, &state, now)
    };
    Ok(page.with_live(live, &state, now))
}

pub(super) fn related(related: Related) -> RelatedLine {
    RelatedLine { key: related.key, name: related.name, badge: status_badge(related.status) }
}

/// What the probe and its state say by themselves.
fn head(frame: Frame, probe: &Probe, state: &State, now: Timestamp) -> ProbePage {
    let definition_of = &probe.definition;
    let kind = definition_of.kind();
    let unknown = |condition: String| ConditionLine { condition, fails: None };
    let conditions = definition_of.asked().into_iter().map(unknown).collect();
    ProbePage {
        key: probe.key.clone(),
        name: probe.name.clone(),
        kind: kind_name(kind),
        target: definition_of.target.describe(),
        project: probe.project_slug.clone(),
        badge: status_badge(state.status),
        says: status_says(state.status),
        since: When::new(state.since, now),
        reason: state.reason.clone(),
        flapping: state.flapping,
        file: String::new(),
        is_pushed: acts::is_pushed(kind),
        may_edit: false,
        pause: probe.paused.as_ref().map(|paused| pause(paused, now)),
        next: None,
        last: None,
        last_good: None,
        figures: Vec::new(),
        strip: Strip::default(),
        events: Vec::new(),
        hours: Vec::new(),
        compared: Compared::default(),
        conditions,
        incidents: Vec::new(),
        services: Vec::new(),
        parents: Vec::new(),
        children: Vec::new(),
        words: definition(definition_of),
        detects: detects(&definition_of.policy),
        settings: settings(probe),
        runbook: definition_of.runbook.clone(),
        labels: definition_of.labels.clone().into_iter().collect(),
        frame,
    }
}

/// Who paused it, and until when.
pub(super) fn pause(paused: &Paused, now: Timestamp) -> String {
    match paused.until {
        Some(end) => format!("Paused by {} until {} ({}).", paused.by, clock(end, now), until(end, now)),
        None => format!("Paused by {} at {}, until somebody resumes it.", paused.by, clock(paused.at, now)),
    }
}

fn settings(probe: &Probe) -> Vec<(&'static str, String)> {
    let definition = &probe.definition;
    let rings = match (definition.rings, probe.grouped) {
        (Some(true), _) | (None, false) => "by itself",
        (Some(false), _) => "nobody",
        (None, true) => "through its service, which needs only some of its kind",
    };
    let mut settings = vec![
        ("Severity", definition.severity.as_str().to_owned()),
        ("Rings", rings.to_owned()),
        ("Key", probe.key.clone()),
    ];
    settings.extend(definition.environment.clone().map(|environment| ("Environment", environment)));
    settings.extend(definition.preset.clone().map(|preset| ("Made of", preset)));
    settings
}

impl ProbePage {
    /// With what was seen last, which stands in memory.
    fn with_live(self, live: Option<&Live>, state: &State, now: Timestamp) -> Self {
        let good = live.and_then(|live| live.last_good_at).or(state.memory.last_good_at);
        let run = live.and_then(|live| live.last.as_ref());
        let came_out = |line: ConditionLine| {
            let outcome = run.and_then(|run| run.outcomes.iter().find(|it| it.condition == line.condition));
            ConditionLine { fails: outcome.map(|outcome| outcome.fails.clone()), ..line }
        };
        Self {
            conditions: self.conditions.into_iter().map(came_out).collect(),
            next: live
                .and_then(|live| live.next_at)
                .map(|at| Next { exact: at.to_rfc3339(), due: due(at, now) }),
            last_good: good.map(|at| When::new(at, now)),
            last: run.map(|run| LastRun {
                at: When::new(run.at, now),
                total: latency(run.phases.total),
                phases: bars(&phases(&run.phases), run.phases.total),
                facts: run.facts.clone(),
                reason: run.reason.clone(),
                is_good: run.good,
            }),
            ..self
        }
    }
}
