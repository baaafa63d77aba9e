//! One heartbeat: how it stands, where it is pinged, its runs, what became of it.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::frame::{Frame, Place, page};
use super::from_file;
use super::heartbeat_words::{expected, made_by, outcome, schedule, standing, status_badge, took, zone};
use super::incident_words::Badge;
use super::incidents::{IncidentLine, line as incident_line};
use super::moments::{clock, span};
use super::run_bars::{Bar, draw};
use super::schedule_words::{Coming, next_five};
use super::service_words::{ServiceLink, services_of};
use super::wording::{When, count, counted};
use crate::accounts::access::Decision;
use crate::base::Timestamp;
use crate::base::figures::bytes;
use crate::heartbeats::outline::{self, Outline};
use crate::heartbeats::queries::{self, Turn};
use crate::heartbeats::runs::{self, Run};
use crate::heartbeats::{Definition, Heartbeat, Owner, Schedule, Status, keys};
use crate::http::acts::rights::{Act, Thing, decide};
use crate::http::auth::SignedIn;
use crate::http::visible::{Slugs, scope};
use crate::http::{AppState, Problem};
use crate::incidents::queries::list_of_key;
use crate::store::ReadTx;

#[derive(Template)]
#[template(path = "heartbeat.html", config = "src/http/admin/askama.toml")]
#[expect(clippy::struct_excessive_bools, reason = "what a template asks is yes or no")]
struct HeartbeatPage {
    frame: Frame,
    id: String,
    key: String,
    name: String,
    slug: String,
    project: String,
    badge: Badge,
    standing: String,
    /// Why nobody can be rung by it alone; empty where its trouble rings.
    silent: &'static str,
    is_down: bool,
    is_paused: bool,
    may_change: bool,
    /// Where a file names it; empty where the page changes it.
    file: String,
    made_by: &'static str,
    figures: Vec<Figure>,
    pings: Option<Pings>,
    bars: Vec<Bar>,
    bars_width: u32,
    plot: Vec<Point>,
    usual_secs: String,
    runs: Vec<RunLine>,
    older: Option<i64>,
    is_first: bool,
    turns: Vec<TurnLine>,
    services: Vec<ServiceLink>,
    incidents: Vec<IncidentLine>,
    facts: Vec<(&'static str, String)>,
    next: Vec<Coming>,
}

/// A number with what it means beside it.
struct Figure {
    name: &'static str,
    value: String,
    note: String,
}

/// Where it is pinged, for those who may.
struct Pings {
    by_id: String,
    /// Without a ping key there is no address by name.
    by_name: Option<String>,
    /// The schedule as a crontab wants it.
    crontab: String,
    /// Of a crontab that is not of UTC.
    crontab_zone: Option<String>,
    is_loopback: bool,
}

/// A measured run for the plot.
struct Point {
    at: i64,
    secs: String,
    when: String,
    took: String,
    outcome: &'static str,
}

pub(super) struct RunLine {
    pub(super) id: i64,
    pub(super) badge: Badge,
    pub(super) exit: Option<u8>,
    pub(super) when: When,
    pub(super) at: String,
    pub(super) took: String,
    pub(super) source: String,
    pub(super) agent: String,
    pub(super) note: String,
    /// Of its output, as it was sent; empty where there was none.
    pub(super) size: String,
}

struct TurnLine {
    class: &'static str,
    text: String,
    at: String,
}

#[derive(Default, Deserialize)]
pub(super) struct Asked {
    before: Option<i64>,
}

/// Runs of the table, and of the bars above it.
const RUNS: usize = 15;
const BARS: u32 = 100;
const INCIDENTS: u32 = 10;
const TURNS: usize = 30;

/// `GET /heartbeats/{id}`
pub(super) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    id: web::Path<String>,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    let (now, base) = (state.clock.now(), state.base_url.clone());
    let rendered = state
        .store
        .read(move |tx| {
            let found = find(tx, &signed_in, &id)?;
            let frame = Frame::load(tx, &signed_in, Place::Heartbeats)?;
            let actor = signed_in.session.actor();
            let may = |act| decide(&actor, act, Thing::Heartbeat, Some(found.project)) == Decision::Allowed;
            let sees = may(Act::SeeAddress);
            let pings = if sees { Some(pings(tx, &found, base.as_str(), base.is_loopback())?) } else { None };
            let may_change = may(Act::Change);
            let shown = load(tx, (frame, &signed_in), (found, pings), asked.before, now)?;
            Ok::<_, Problem>(HeartbeatPage { may_change, ..shown })
        })
        .await?;
    page(&rendered)
}

/// The heartbeat that an address names, if the asker may see it.
pub(super) fn find(tx: &ReadTx<'_>, signed_in: &SignedIn, id: &str) -> Result<Heartbeat, Problem> {
    let visible = signed_in.session.actor().visible();
    queries::find_named(tx, &visible, id)?.ok_or_else(|| Problem::not_found("heartbeat"))
}

fn load(
    tx: &ReadTx<'_>,
    (frame, signed_in): (Frame, &SignedIn),
    (heartbeat, pings): (Heartbeat, Option<Pings>),
    before: Option<i64>,
    now: Timestamp,
) -> Result<HeartbeatPage, Problem> {
    let visible = signed_in.session.actor().visible();
    let outlines = outline::list(tx, heartbeat.id, BARS)?;
    let found = runs::list(tx, heartbeat.id, before, RUNS)?;
    let turns = queries::turns(tx, heartbeat.id, heartbeat.created_at)?;
    let incidents = list_of_key(tx, scope(&visible), &heartbeat.id.signal_key(), INCIDENTS)?;
    let definition = &heartbeat.definition;
    let project = Slugs::default().of(tx, Some(heartbeat.project))?.unwrap_or_default();
    Ok(HeartbeatPage {
        id: heartbeat.uid.to_string(),
        key: heartbeat.id.signal_key(),
        badge: status_badge(heartbeat.state.status),
        standing: standing(&heartbeat, now),
        silent: silent(&heartbeat),
        is_down: heartbeat.state.status == Status::Down,
        is_paused: heartbeat.state.status == Status::Paused,
        may_change: false,
        file: told(tx, &heartbeat, &project)?,
        project,
        services: services_of(tx, &visible, &heartbeat.id.signal_key())?,
        made_by: made_by(heartbeat.owner),
        figures: figures(&heartbeat, now),
        bars: draw(&outlines, BARS.min(bars_shown(&outlines)), now),
        bars_width: bars_shown(&outlines) * 4,
        plot: outlines.iter().rev().filter_map(|run| point(run, now)).collect(),
        usual_secs: heartbeat
            .state
            .usual_duration(1)
            .map_or_else(String::new, |usual| secs(usual.as_secs_f64())),
        runs: found.items.iter().map(|run| run_line(run, now)).collect(),
        older: found.next,
        is_first: before.is_none(),
        turns: turns.iter().rev().take(TURNS).map(|turn| turn_line(turn, now)).collect(),
        incidents: incidents.into_iter().map(|incident| incident_line(incident, now)).collect(),
        facts: facts(definition),
        next: match &definition.schedule {
            Schedule::Cron(crontab) => next_five(crontab, now),
            Schedule::Every(_) => expected(&heartbeat, now).into_iter().collect(),
        },
        slug: heartbeat.slug,
        name: heartbeat.name,
        frame,
        pings,
    })
}

/// Where a file names it; empty where the page changes it.
pub(super) fn told(tx: &ReadTx<'_>, heartbeat: &Heartbeat, project: &str) -> Result<String, Problem> {
    let key = format!("{project}/{}", heartbeat.slug);
    from_file::told(tx, heartbeat.owner == Owner::File, "heartbeats", &key)
}

/// Few runs are drawn as wide as forty.
fn bars_shown(runs: &[Outline]) -> u32 {
    u32::try_from(runs.len()).unwrap_or(BARS).clamp(40, BARS)
}

fn pings(tx: &ReadTx<'_>, heartbeat: &Heartbeat, base: &str, is_loopback: bool) -> Result<Pings, Problem> {
    let key = keys::find(tx, heartbeat.project)?;
    let zone = zone(&heartbeat.definition.schedule);
    let crontab = match &heartbeat.definition.schedule {
        Schedule::Cron(crontab) => crontab.to_string(),
        Schedule::Every(period) if period.as_secs() < 3600 => {
            format!("*/{} * * * *", (period.as_secs() / 60).clamp(1, 59))
        }
        Schedule::Every(period) if period.as_secs() < 86_400 => {
            format!("0 */{} * * *", (period.as_secs() / 3600).clamp(1, 23))
        }
        Schedule::Every(_) => "0 3 * * *".to_owned(),
    };
    Ok(Pings {
        by_id: format!("{base}/ping/{}", heartbeat.ping_id),
        by_name: key.map(|key| format!("{base}/ping/{key}/{}", heartbeat.slug)),
        crontab,
        crontab_zone: Some(zone.name().to_owned()).filter(|name| name != "UTC"),
        is_loopback,
    })
}

fn silent(heartbeat: &Heartbeat) -> &'static str {
    match (heartbeat.rings(), heartbeat.definition.rings) {
        (true, _) => "",
        (false, Some(_)) => "It is set not to ring: its trouble is shown and told to nobody.",
        (false, None) => {
            "It does not ring by itself: a service that needs only some of its kind rings for it."
        }
    }
}

fn figures(heartbeat: &Heartbeat, now: Timestamp) -> Vec<Figure> {
    let state = &heartbeat.state;
    let figure = |name, value, note| Figure { name, value, note };
    let none = || "–".to_owned();
    let last = state.last_ping_at.map(|at| When::new(at, now));
    let next = expected(heartbeat, now);
    vec![
        figure(
            "Last ping",
            last.as_ref().map_or_else(|| "never".to_owned(), |last| last.ago.clone()),
            last.map_or_else(|| "nothing was heard yet".to_owned(), |last| last.full),
        ),
        figure(
            "Next expected",
            next.as_ref().map_or_else(none, |next| next.soon.clone()),
            next.map_or_else(|| "not before its first ping".to_owned(), |next| next.local),
        ),
        figure(
            "A run usually takes",
            state.usual_duration(1).map_or_else(none, took),
            match state.durations.len() {
                0 => "send a start ping, too, and it is measured".to_owned(),
                number => {
                    format!("median of the last {}", counted(i64::try_from(number).unwrap_or(0), "good run"))
                }
            },
        ),
        figure(
            "Runs that never came",
            count(state.missed),
            match state.missed_now {
                0 => "none since the last ping".to_owned(),
                number => format!("{} in a row until now", count(number)),
            },
        ),
    ]
}

fn point(run: &Outline, now: Timestamp) -> Option<Point> {
    let time = run.took?;
    Some(Point {
        at: run.at.as_secs(),
        secs: secs(time.as_secs_f64()),
        when: clock(run.at, now),
        took: took(time),
        outcome: outcome(run.kind, run.exit_status).word,
    })
}

fn secs(secs: f64) -> String {
    format!("{secs:.3}")
}

pub(super) fn run_line(run: &Run, now: Timestamp) -> RunLine {
    RunLine {
        id: run.id,
        badge: outcome(run.kind, run.exit_status),
        exit: run.exit_status,
        when: When::new(run.at, now),
        at: clock(run.at, now),
        took: run.took.map_or_else(String::new, took),
        source: match (run.source.as_str(), run.address.as_str()) {
            (source, "") => source.to_owned(),
            ("http", address) => address.to_owned(),
            (source, address) => format!("{source} {address}"),
        },
        agent: run.agent.clone(),
        note: run.note.clone(),
        size: if run.body.as_deref().is_some_and(|body| !body.is_empty()) {
            bytes(run.body_bytes)
        } else {
            String::new()
        },
    }
}

fn turn_line(turn: &Turn, now: Timestamp) -> TurnLine {
    let (class, what) = match turn.status {
        Status::Down => ("bad", "Down"),
        Status::Late => ("", "Late"),
        Status::New => ("", "Made"),
        Status::Up => ("ok", "Up"),
        Status::Paused => ("", "Paused"),
    };
    let why = if turn.reason.is_empty() { String::new() } else { format!(": {}", turn.reason) };
    TurnLine { class, text: format!("{what}{why}"), at: clock(turn.at, now) }
}

/// The definition in words.
fn facts(definition: &Definition) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Schedule", schedule(&definition.schedule)),
        ("Grace", span(definition.grace)),
        ("Too long after", span(definition.run_time_max())),
        ("Severity", definition.severity.to_string()),
    ];
    if let Schedule::Cron(crontab) = &definition.schedule {
        facts.insert(1, ("Crontab line", crontab.to_string()));
    }
    if definition.failures > 1 {
        facts.push(("Down after", format!("{} failures in a row", definition.failures)));
    }
    if definition.recoveries > 1 {
        facts.push(("Up after", format!("{} good runs in a row", definition.recoveries)));
    }
    if definition.post_only {
        facts.push(("Counts", "POST only".to_owned()));
    }
    for (name, value) in [("Environment", &definition.environment), ("Runbook", &definition.runbook)] {
        facts.extend(value.clone().map(|value| (name, value)));
    }
    if !definition.labels.is_empty() {
        let labels: Vec<String> =
            definition.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        facts.push(("Labels", labels.join(", ")));
    }
    facts
}
