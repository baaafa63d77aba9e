//! The list of probes: the worst first, paged by the server, kept fresh line by line.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::asked::Asked;
use super::spark::{SINCE, Spark};
use super::words::{due, kind_name, latency, status_badge};
use crate::accounts::projects;
use crate::base::Timestamp;
use crate::http::admin::frame::{Frame, Place, page};
use crate::http::admin::incident_words::Badge;
use crate::http::admin::wording::{When, count};
use crate::http::auth::SignedIn;
use crate::http::{AppState, Problem};
use crate::probes::points::points_of;
use crate::probes::queries::{self, Counts, ListLine};
use crate::probes::{Board, Kind, ProbeId, Status};
use crate::store::ReadTx;

#[derive(Template)]
#[template(path = "probes.html", config = "src/http/admin/askama.toml")]
struct ListPage {
    frame: Frame,
    asked: Asked,
    headline: String,
    tabs: Vec<Tab>,
    projects: Vec<Choice>,
    kinds: Vec<Choice>,
    lines: Vec<Line>,
    next: Option<String>,
    /// There is no probe at all.
    is_empty: bool,
}

/// The lines that changed since they were shown, each to be put in the place of the old one.
#[derive(Template)]
#[template(path = "probe_rows.html", config = "src/http/admin/askama.toml")]
struct Changed {
    frame: Frame,
    /// Whether lines name their project.
    many: bool,
    tabs: Vec<Tab>,
    lines: Vec<Line>,
}

struct Choice {
    value: String,
    name: String,
    is_chosen: bool,
}

struct Tab {
    name: &'static str,
    count: String,
    place: String,
    is_here: bool,
}

/// A probe as the list shows it.
struct Line {
    id: i64,
    key: String,
    name: String,
    kind: &'static str,
    target: String,
    project: String,
    badge: Badge,
    reason: String,
    flapping: bool,
    since: When,
    latency: String,
    spark: Spark,
    next: Option<Next>,
    labels: Vec<Label>,
    /// Changes with whatever the line shows, but not with the time that passes.
    mark: String,
}

/// When it is asked again.
struct Next {
    exact: String,
    due: String,
}

struct Label {
    name: String,
    value: String,
    place: String,
}

/// What a page that is open asks for again.
#[derive(Debug, Deserialize)]
pub(in crate::http::admin) struct AskedAgain {
    /// `id:mark` of each line that is shown, joined by commas.
    #[serde(default)]
    shown: String,
    #[serde(flatten)]
    asked: Asked,
}

/// Lines that one question may name; a page shows 50.
const SHOWN_MAX: usize = 100;
/// Labels of a line; its page shows all.
const LABELS_SHOWN: usize = 4;

/// `GET /probes`.
pub(in crate::http::admin) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    let (now, asked, board) = (state.clock.now(), asked.into_inner(), state.prober.board.clone());
    let found = state.store.read(move |tx| load(tx, &signed_in, (now, &board), asked)).await?;
    page(&found)
}

fn load(
    tx: &ReadTx<'_>,
    signed_in: &SignedIn,
    (now, board): (Timestamp, &Board),
    asked: Asked,
) -> Result<ListPage, Problem> {
    let visible = signed_in.session.actor().visible();
    let listed = projects::list(tx, &visible)?;
    let filter = asked.filter(tx, signed_in)?;
    let counts = queries::counts(tx, &visible, filter.project)?;
    let found = queries::list(tx, &filter)?;
    let total = if asked.is_plain() { of_tab(&counts, &asked.status) } else { queries::count(tx, &filter)? };
    Ok(ListPage {
        frame: Frame::load(tx, signed_in, Place::Probes)?,
        headline: headline(total, &asked.status),
        tabs: tabs(&asked, &counts),
        is_empty: counts.total() == 0 && asked.project.is_empty(),
        next: found.next.map(|next| asked.address(|asked| asked.after = next.to_string())),
        lines: lines_of(tx, &found.items, board, now)?,
        projects: listed
            .iter()
            .map(|project| Choice {
                value: project.slug.to_string(),
                name: project.name.clone(),
                is_chosen: project.slug.to_string() == asked.project,
            })
            .collect(),
        kinds: Kind::ALL
            .into_iter()
            .map(|kind| Choice {
                value: kind.as_str().to_owned(),
                name: kind_name(kind).to_owned(),
                is_chosen: kind.as_str() == asked.kind,
            })
            .collect(),
        asked,
    })
}

/// `GET /probes/new/rows?shown=7:mark,9:mark`: those of the shown lines that are not any more as they were.
pub(in crate::http::admin) async fn rows(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    again: web::Query<AskedAgain>,
) -> Result<HttpResponse, Problem> {
    let AskedAgain { shown, asked } = again.into_inner();
    let (now, board) = (state.clock.now(), state.prober.board.clone());
    let changed = state
        .store
        .read(move |tx| {
            let visible = signed_in.session.actor().visible();
            let project = asked.filter(tx, &signed_in)?.project;
            let counts = queries::counts(tx, &visible, project)?;
            let shown = read_shown(&shown);
            let ids: Vec<ProbeId> = shown.keys().copied().collect();
            let lines = queries::lines(tx, &visible, &ids)?;
            let mut lines = lines_of(tx, &lines, &board, now)?;
            lines.retain(|line| shown.get(&ProbeId(line.id)) != Some(&line.mark));
            let frame = Frame::load(tx, &signed_in, Place::Probes)?;
            let many = projects::list(tx, &visible)?.len() > 1;
            Ok::<_, Problem>(Changed { frame, many, tabs: tabs(&asked, &counts), lines })
        })
        .await?;
    page(&changed)
}

fn read_shown(shown: &str) -> BTreeMap<ProbeId, String> {
    shown
        .split(',')
        .filter_map(|pair| pair.split_once(':'))
        .filter_map(|(id, mark)| Some((ProbeId(id.parse().ok()?), mark.to_owned())))
        .take(SHOWN_MAX)
        .collect()
}

/// The curves of all lines are one question.
fn lines_of(
    tx: &ReadTx<'_>,
    found: &[ListLine],
    board: &Board,
    now: Timestamp,
) -> Result<Vec<Line>, Problem> {
    let is_timed =
        |line: &&ListLine| line.definition.as_ref().is_some_and(|known| known.kind().needs_uplink());
    let timed: Vec<ProbeId> = found.iter().filter(is_timed).map(|line| line.id).collect();
    let points = points_of(tx, &timed, now - SINCE, now)?;
    let spark = |id| points.get(&id).map(|points| Spark::new(points, now)).unwrap_or_default();
    Ok(found.iter().map(|line| line_of(line, spark(line.id), board, now)).collect())
}

fn line_of(line: &ListLine, spark: Spark, board: &Board, now: Timestamp) -> Line {
    let live = board.get(line.id);
    let last = live.as_ref().and_then(|live| live.last.as_ref());
    let stored = line.latency_us.and_then(|micros| u64::try_from(micros).ok()).map(Duration::from_micros);
    let took = last.map(|last| last.phases.total).or(stored);
    // What is reported took no time, and how long a look at this machine took says nothing.
    let (kind, target) =
        line.definition.as_ref().map(|known| (known.kind(), known.target.describe())).unzip();
    let target = target.unwrap_or_default();
    let is_told = |took: &Duration| !took.is_zero() && !kind.is_some_and(Kind::reads_this_machine);
    let latency = took.filter(is_told).map(latency).unwrap_or_default();
    let next = live.as_ref().and_then(|live| live.next_at);
    let mut hasher = DefaultHasher::new();
    (&line.name, line.status, line.since.as_micros(), &line.reason, line.flapping).hash(&mut hasher);
    (&latency, next.map(Timestamp::as_micros), &target).hash(&mut hasher);
    Line {
        id: line.id.0,
        key: line.key.clone(),
        name: line.name.clone(),
        kind: kind.map_or("cannot be read", kind_name),
        target,
        project: line.project_slug.clone(),
        badge: status_badge(line.status),
        reason: line.reason.clone(),
        flapping: line.flapping,
        since: When::new(line.since, now),
        latency,
        spark,
        next: next.map(|at| Next { exact: at.to_rfc3339(), due: due(at, now) }),
        labels: line
            .definition
            .iter()
            .flat_map(|known| &known.labels)
            .take(LABELS_SHOWN)
            .map(label)
            .collect(),
        mark: format!("{:x}", hasher.finish()),
    }
}

fn label((name, value): (&String, &String)) -> Label {
    let asked = Asked { label: format!("{name}={value}"), ..Asked::default() };
    Label { name: name.clone(), value: value.clone(), place: asked.here() }
}

/// All, what wants somebody, and each status that some probe has.
fn tabs(asked: &Asked, counts: &Counts) -> Vec<Tab> {
    let tab = |name: &'static str, word: &str| Tab {
        name,
        count: count(of_tab(counts, word).into()),
        place: asked.tab_address(word),
        is_here: asked.status == word,
    };
    let mut tabs = vec![tab("All", ""), tab("Need a look", "trouble")];
    tabs.extend(
        Status::ALL
            .into_iter()
            .filter(|status| of_tab(counts, status.as_str()) > 0 || asked.status == status.as_str())
            .map(|status| tab(tab_name(status), status.as_str())),
    );
    tabs
}

const fn tab_name(status: Status) -> &'static str {
    match status {
        Status::Unknown => "Unknown",
        Status::Healthy => "Healthy",
        Status::Degraded => "Degraded",
        Status::Unhealthy => "Unhealthy",
        Status::Unreachable => "Unreachable",
        Status::Maintenance => "Maintenance",
        Status::Paused => "Paused",
    }
}

fn of_tab(counts: &Counts, tab: &str) -> u32 {
    let Counts { unhealthy, degraded, unreachable, unknown, maintenance, healthy, paused } = *counts;
    match (Status::parse(tab), tab) {
        (Some(Status::Unhealthy), _) => unhealthy,
        (Some(Status::Degraded), _) => degraded,
        (Some(Status::Unreachable), _) => unreachable,
        (Some(Status::Unknown), _) => unknown,
        (Some(Status::Maintenance), _) => maintenance,
        (Some(Status::Healthy), _) => healthy,
        (Some(Status::Paused), _) => paused,
        (None, "trouble") => unhealthy + degraded + unreachable + unknown,
        (None, _) => counts.total(),
    }
}

fn headline(total: u32, tab: &str) -> String {
    let (verb, verbs) = match (Status::parse(tab), tab) {
        (Some(Status::Maintenance), _) => (" in maintenance".to_owned(), " in maintenance".to_owned()),
        (Some(status), _) => (format!(" is {}", status.as_str()), format!(" are {}", status.as_str())),
        (None, "trouble") => (" needs a look".to_owned(), " need a look".to_owned()),
        (None, _) => (String::new(), String::new()),
    };
    match total {
        0 if verb.is_empty() => "No probes".to_owned(),
        0 => format!("No probe{verb}"),
        1 => format!("1 probe{verb}"),
        total => format!("{} probes{verbs}", count(total.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headline_says_how_many_are_how() {
        assert_eq!(headline(0, ""), "No probes");
        assert_eq!(headline(1, "unhealthy"), "1 probe is unhealthy");
        assert_eq!(headline(5_000, ""), "5,000 probes");
        assert_eq!(headline(2, "trouble"), "2 probes need a look");
        assert_eq!(headline(0, "trouble"), "No probe needs a look");
    }

    #[test]
    fn what_a_page_shows_is_read_with_its_marks_and_bounded() {
        let shown = read_shown("7:ab,x:1,9:cd,");
        assert_eq!(
            shown.into_iter().collect::<Vec<_>>(),
            [(ProbeId(7), "ab".to_owned()), (ProbeId(9), "cd".to_owned())]
        );
        let many: Vec<String> = (0..500).map(|id| format!("{id}:x")).collect();
        assert_eq!(read_shown(&many.join(",")).len(), SHOWN_MAX);
    }

    #[test]
    fn tabs_name_every_status_that_there_is() {
        let counts = Counts { unhealthy: 1, degraded: 2, healthy: 1_200, paused: 1, ..Counts::default() };
        let shown: Vec<_> =
            tabs(&Asked::default(), &counts).into_iter().map(|tab| (tab.name, tab.count)).collect();
        let expected = [
            ("All", "1,204"),
            ("Need a look", "3"),
            ("Unhealthy", "1"),
            ("Degraded", "2"),
            ("Healthy", "1,200"),
            ("Paused", "1"),
        ];
        assert_eq!(shown, expected.map(|(name, count)| (name, count.to_owned())));
    }
}
