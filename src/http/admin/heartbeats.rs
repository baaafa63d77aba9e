//! The list of heartbeats: which jobs run, which do not, and when the next ones are expected.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use serde_json::json;

use super::address;
use super::form::Form;
use super::frame::{Frame, Place, page, see_other};
use super::heartbeat_words::{expected, headline, schedule, standing, status_badge};
use super::incident_words::Badge;
use super::run_bars::{IN_LIST, RunBars};
use super::schedule_words::Coming;
use super::wording::{When, count, counted};
use crate::accounts::Visible;
use crate::accounts::projects;
use crate::base::Timestamp;
use crate::heartbeats::queries::{self, Counts, Filter};
use crate::heartbeats::{Heartbeat, Status, keys, outline};
use crate::http::acts::heartbeat::{self as acts, Step};
use crate::http::auth::{SignedIn, find_project};
use crate::http::visible::Slugs;
use crate::http::{AppState, Problem};
use crate::store::ReadTx;

#[derive(Template)]
#[template(path = "heartbeats.html", config = "src/http/admin/askama.toml")]
struct HeartbeatsPage {
    frame: Frame,
    headline: String,
    sub: String,
    tabs: Vec<Tab>,
    asked: Asked,
    projects: Vec<(String, String)>,
    lines: Vec<Line>,
    next: Option<String>,
    /// There is none at all.
    is_empty: bool,
    start: Start,
}

/// What an empty page shows: the three lines that matter, ready to be used.
struct Start {
    base: String,
    /// Of the project that is looked at; a placeholder where it has none or the reader may not know it.
    ping_key: String,
    project: String,
    has_key: bool,
}

struct Tab {
    name: &'static str,
    count: String,
    address: String,
    is_here: bool,
}

/// A heartbeat as lists show it.
struct Line {
    id: String,
    name: String,
    project: String,
    badge: Badge,
    standing: String,
    schedule: String,
    last: Option<When>,
    next: Option<Coming>,
    bars: RunBars,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    project: String,
    query: String,
    status: String,
    after: String,
}

/// Heartbeats of a page.
const LINES: usize = 50;
/// Selected lines of one form: a page of them and some to spare.
const SELECTED_MAX: usize = 100;

/// `GET /heartbeats`
pub(super) async fn list(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    let (asked, now, base) = (asked.into_inner(), state.clock.now(), state.base_url.as_str().to_owned());
    let rendered = state.store.read(move |tx| load(tx, &signed_in, asked, now, base)).await?;
    page(&rendered)
}

fn load(
    tx: &ReadTx<'_>,
    signed_in: &SignedIn,
    asked: Asked,
    now: Timestamp,
    base: String,
) -> Result<HeartbeatsPage, Problem> {
    let visible = signed_in.session.actor().visible();
    let frame = Frame::load(tx, signed_in, Place::Heartbeats)?;
    let chosen = match asked.project.as_str() {
        "" => None,
        slug => Some(find_project(tx, &visible, slug)?),
    };
    let filter = Filter {
        project: chosen.as_ref().map(|project| project.id),
        status: Status::parse(&asked.status),
        text: Some(asked.query.trim().to_owned()).filter(|text| !text.is_empty()),
        label: None,
    };
    let counts = queries::counts(tx, &visible, filter.project)?;
    let after = Some(asked.after.as_str()).filter(|after| !after.is_empty());
    let found = queries::list(tx, &visible, &filter, after, LINES)?;
    let mut slugs = Slugs::default();
    let lines = found.items.into_iter().map(|heartbeat| line(tx, heartbeat, &mut slugs, now));
    let (headline, sub) = headline(counts);
    Ok(HeartbeatsPage {
        headline,
        sub,
        tabs: tabs(&asked, counts),
        lines: lines.collect::<Result<_, _>>()?,
        next: found.next_cursor.map(|next| asked.address(|asked| asked.after = next)),
        is_empty: total(counts) == 0,
        start: start(tx, &frame, &visible, base)?,
        projects: projects::list(tx, &visible)?
            .into_iter()
            .map(|project| (project.slug.to_string(), project.name))
            .collect(),
        asked,
        frame,
    })
}

fn line(tx: &ReadTx<'_>, heartbeat: Heartbeat, slugs: &mut Slugs, now: Timestamp) -> Result<Line, Problem> {
    let runs = outline::list(tx, heartbeat.id, IN_LIST)?;
    Ok(Line {
        id: heartbeat.uid.to_string(),
        project: slugs.of(tx, Some(heartbeat.project))?.unwrap_or_default(),
        badge: status_badge(heartbeat.state.status),
        standing: standing(&heartbeat, now),
        schedule: schedule(&heartbeat.definition.schedule),
        last: heartbeat.state.last_ping_at.map(|at| When::new(at, now)),
        next: expected(&heartbeat, now),
        bars: RunBars::new(&runs, now),
        name: heartbeat.name,
    })
}

fn start(tx: &ReadTx<'_>, frame: &Frame, visible: &Visible, base: String) -> Result<Start, Problem> {
    let first = projects::list(tx, visible)?.into_iter().next();
    let key = match &first {
        Some(project) if frame.is_member => keys::find(tx, project.id)?,
        Some(_) | None => None,
    };
    Ok(Start {
        base,
        has_key: key.is_some(),
        ping_key: key.unwrap_or_else(|| "PING_KEY".to_owned()),
        project: first.map_or_else(String::new, |project| project.slug.to_string()),
    })
}

const fn total(counts: Counts) -> i64 {
    counts.new + counts.up + counts.late + counts.down + counts.paused
}

fn tabs(asked: &Asked, counts: Counts) -> Vec<Tab> {
    let chosen = Status::parse(&asked.status);
    let tab = |status: Option<Status>, number: i64| Tab {
        name: match status {
            None => "All",
            Some(Status::New) => "New",
            Some(Status::Up) => "Up",
            Some(Status::Late) => "Late",
            Some(Status::Down) => "Down",
            Some(Status::Paused) => "Paused",
        },
        count: count(number),
        address: asked.address(|asked| {
            status.map_or("", Status::as_str).clone_into(&mut asked.status);
            asked.after.clear();
        }),
        is_here: status == chosen,
    };
    let number = |status| match status {
        Status::New => counts.new,
        Status::Up => counts.up,
        Status::Late => counts.late,
        Status::Down => counts.down,
        Status::Paused => counts.paused,
    };
    let each = Status::ALL.into_iter().map(|status| tab(Some(status), number(status)));
    std::iter::once(tab(None, total(counts))).chain(each).collect()
}

impl Asked {
    fn here(&self) -> String {
        self.address(|_| {})
    }

    fn first_page(&self) -> String {
        self.address(|asked| asked.after.clear())
    }

    /// This list's address with a change; what is not asked for does not stand in it.
    fn address(&self, change: impl FnOnce(&mut Self)) -> String {
        let mut asked = self.clone();
        change(&mut asked);
        let fields = [
            ("project", asked.project.as_str()),
            ("query", asked.query.as_str()),
            ("status", asked.status.as_str()),
            ("after", asked.after.as_str()),
        ];
        address::of_list("/heartbeats", &fields)
    }
}

/// `POST /heartbeats/act`: pauses or resumes every `id`.
pub(super) async fn act(
    state: web::Data<AppState>,
    request: HttpRequest,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let is_pause = match form.text("act") {
        "pause" => true,
        "resume" => false,
        _ => return Err(Problem::bad_request("Choose whether they are paused or resumed.")),
    };
    let ids: Vec<String> = form.fields.all("id").map(str::to_owned).collect();
    if ids.is_empty() || ids.len() > SELECTED_MAX {
        return Err(Problem::bad_request(format!("Select 1 to {SELECTED_MAX} heartbeats.")));
    }
    let step = if is_pause { Step::Pause } else { Step::Resume };
    acts::act(&state, form.caller(), ids.clone(), step).await?;
    if !request.headers().contains_key("hx-request") {
        return Ok(see_other("/heartbeats"));
    }
    told(&ids, is_pause)
}

/// What a script shows: how many, and the way back.
fn told(ids: &[String], is_pause: bool) -> Result<HttpResponse, Problem> {
    let (done, back) = if is_pause { ("paused", "resume") } else { ("resumed", "pause") };
    let number = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    let fields: Vec<(&str, &str)> =
        std::iter::once(("act", back)).chain(ids.iter().map(|id| ("id", id.as_str()))).collect();
    let undo = json!({ "url": "/heartbeats/act", "fields": fields, "live": "live:heartbeats" });
    let events = json!({
        "toast": { "text": format!("{} {done}.", counted(number, "heartbeat")), "undo": undo },
        "live:heartbeats": null,
    });
    let value = HeaderValue::from_str(&events.to_string()).map_err(|error| Problem::internal(&error))?;
    Ok(HttpResponse::NoContent().insert_header((HeaderName::from_static("hx-trigger"), value)).finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tab_keeps_what_was_asked_and_begins_at_the_first_page() {
        let asked = Asked { query: "a b".to_owned(), after: "1.7".to_owned(), ..Asked::default() };
        let tabs = tabs(&asked, Counts { down: 2, up: 1200, ..Counts::default() });
        let words: Vec<&str> = tabs.iter().map(|tab| tab.name).collect();
        assert_eq!(words, ["All", "Down", "Late", "New", "Up", "Paused"]);
        assert_eq!(
            (tabs[0].count.as_str(), tabs[1].address.as_str()),
            ("1,202", "/heartbeats?query=a%20b&status=down")
        );
        assert!(tabs[0].is_here && !tabs[1].is_here);
    }
}
