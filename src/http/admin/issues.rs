//! The list of issues: search, sort, page, select, decide.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use serde_json::json;

use super::super::acts;
use super::super::auth::{SignedIn, find_project};
use super::super::{AppState, Problem};
use super::address;
use super::form::Form;
use super::frame::{Frame, Place, page, see_other};
use super::plot::DayPlot;
use super::wording::{When, count, counted, severity_class};
use crate::accounts::projects;
use crate::base::{Timestamp, Uid};
use crate::issues::Status;
use crate::issues::queries::{self, COUNTED_MAX, Cursor, IssueFilter, IssueView, Search, Sort};
use crate::store::ReadTx;

#[derive(Template)]
#[template(path = "issues.html", config = "src/http/admin/askama.toml")]
struct IssuesPage {
    frame: Frame,
    asked: Asked,
    headline: String,
    /// A word of the search line that looks like a filter and is none.
    unknown: Option<String>,
    projects: Vec<ProjectChoice>,
    lines: Vec<IssueLine>,
    next: Option<String>,
    /// Nothing was ever heard: the page says how to begin.
    is_silent: bool,
    /// Where a project says how to begin.
    welcome: Option<String>,
}

struct ProjectChoice {
    slug: String,
    name: String,
    chosen: bool,
}

struct IssueLine {
    id: String,
    title: String,
    culprit: String,
    project: String,
    severity: String,
    severity_class: &'static str,
    note: Option<String>,
    plot: DayPlot,
    count: String,
    users: String,
    last_seen: When,
}

/// What the address asks for.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    project: String,
    #[serde(default)]
    query: String,
    /// A tab: a status, or `all`. Empty: unresolved, unless the search line says otherwise.
    #[serde(default)]
    status: String,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    after: String,
}

const LINES: u32 = 50;
/// What can be selected on one page, twice over.
const CHANGES_MAX: usize = 100;

/// `GET /issues`.
pub(super) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    let (now, asked) = (state.clock.now(), asked.into_inner());
    let found = state.store.read(move |tx| load(tx, &signed_in, now, asked)).await?;
    page(&found)
}

fn load(tx: &ReadTx<'_>, signed_in: &SignedIn, now: Timestamp, asked: Asked) -> Result<IssuesPage, Problem> {
    let visible = signed_in.session.actor().visible();
    let listed = projects::list(tx, &visible)?;
    let chosen = match asked.project.as_str() {
        "" => None,
        named => Some(find_project(tx, &visible, named)?),
    };
    let filter = IssueFilter {
        visible,
        project: chosen.as_ref().map(|project| project.id),
        search: asked.search(),
        sort: Sort::parse(&asked.sort).unwrap_or_default(),
        after: Cursor::parse(&asked.after),
        limit: LINES,
    };
    let total = queries::count_issues(tx, &filter)?;
    let found = queries::list_issues(tx, &filter)?;
    let hours = queries::hourly(tx, now, &found.items)?;
    let lines = found.items.iter().map(|issue| {
        let plot = hours.get(&issue.row_id).map(|hours| DayPlot::new(hours)).unwrap_or_default();
        line_of(issue, plot, now)
    });
    let heard = chosen.iter().chain(&listed).any(|project| project.first_event_at.is_some());
    let first = chosen.as_ref().or(listed.first());
    Ok(IssuesPage {
        frame: Frame::load(tx, signed_in, Place::Issues)?,
        headline: headline(total, filter.search.status, chosen.as_ref().map(|project| project.name.as_str())),
        unknown: filter.search.unknown,
        lines: lines.collect(),
        next: found.next.map(|next| asked.address(|asked| asked.after = next.to_string())),
        is_silent: !heard,
        welcome: first.map(|project| format!("/projects/{}/welcome", project.slug)),
        projects: listed
            .iter()
            .map(|project| ProjectChoice {
                slug: project.slug.to_string(),
                name: project.name.clone(),
                chosen: chosen.as_ref().is_some_and(|chosen| chosen.id == project.id),
            })
            .collect(),
        asked,
    })
}

fn line_of(issue: &IssueView, plot: DayPlot, now: Timestamp) -> IssueLine {
    let release =
        |name: &Option<String>| name.as_ref().map_or_else(String::new, |name| format!(" in {name}"));
    let note = match (issue.status.as_str(), issue.regressed_at) {
        ("unresolved", Some(_)) => Some(format!("regressed{}", release(&issue.last_release))),
        ("unresolved", None) if now.since(issue.first_seen) < NEW => {
            Some(format!("new{}", release(&issue.first_release)))
        }
        ("unresolved", None) => None,
        (status, _) => Some(status.to_owned()),
    };
    IssueLine {
        id: issue.id.to_string(),
        title: issue.title.clone(),
        culprit: issue.culprit.clone(),
        project: issue.project.clone(),
        severity_class: severity_class(&issue.severity),
        severity: issue.severity.clone(),
        note,
        plot,
        count: count(issue.count),
        users: users(issue),
        last_seen: When::new(issue.last_seen, now),
    }
}

/// An issue is called new for this long.
const NEW: std::time::Duration = std::time::Duration::from_hours(24);

/// Exact, or marked as an estimate.
pub(super) fn users(issue: &IssueView) -> String {
    let mark = if issue.users_estimated { "≈ " } else { "" };
    format!("{mark}{}", count(issue.users))
}

fn headline(total: i64, status: Option<Status>, project: Option<&str>) -> String {
    let word = status.map_or("", |status| status.as_str());
    let place = project.map_or_else(String::new, |name| format!(" in {name}"));
    let number = match total {
        0 => return format!("No {word} issues{place}").replace("  ", " "),
        total if total > COUNTED_MAX => format!("{}+", count(COUNTED_MAX)),
        total => count(total),
    };
    let end = if total == 1 { "" } else { "s" };
    format!("{number} {word} issue{end}{place}").replace("  ", " ")
}

impl Asked {
    /// The search line; the tab decides about the status where the line does not.
    fn search(&self) -> Search {
        let mut search = Search::parse(&self.query);
        search.status = search.status.or(match self.status.as_str() {
            "all" => None,
            word => Some(Status::parse(word).unwrap_or(Status::Unresolved)),
        });
        search
    }

    /// The tab that is shown; `None` where the search line says `is:`.
    fn tab(&self) -> &str {
        match Search::parse(&self.query).status {
            Some(status) => status.as_str(),
            None if self.status == "all" => "all",
            None => Status::parse(&self.status).unwrap_or(Status::Unresolved).as_str(),
        }
    }

    fn is_tab(&self, name: &str) -> bool {
        self.tab() == name
    }

    fn tab_address(&self, status: &str) -> String {
        self.address(|asked| {
            status.clone_into(&mut asked.status);
            asked.after.clear();
        })
    }

    fn sort_address(&self, sort: &str) -> String {
        self.address(|asked| {
            sort.clone_into(&mut asked.sort);
            asked.after.clear();
        })
    }

    fn is_sort(&self, name: &str) -> bool {
        let chosen = if Sort::parse(&self.sort).is_some() { self.sort.as_str() } else { "last_seen" };
        chosen == name
    }

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
            ("sort", asked.sort.as_str()),
            ("after", asked.after.as_str()),
        ];
        address::of_list("/issues", &fields)
    }
}

/// `POST /issues/status`: one status for every `id`, or `restore=id:status` to take a decision back.
pub(super) async fn set_status(
    state: web::Data<AppState>,
    request: HttpRequest,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let changes = read_changes(&form)?;
    let (caller, incidents) = (form.caller(), state.incidents.clone());
    let now = state.clock.now();
    let before = state
        .store
        .write("issue.set_status", move |tx| {
            changes
                .into_iter()
                .map(|change| acts::issue::set_status(tx, &incidents, &caller, now, change))
                .collect::<Result<Vec<_>, _>>()
        })
        .await?;
    if !request.headers().contains_key("hx-request") {
        return Ok(see_other("/issues"));
    }
    let restore: Vec<(&str, String)> =
        before.iter().map(|issue| ("restore", format!("{}:{}", issue.id, issue.status))).collect();
    let number = i64::try_from(before.len()).unwrap_or(i64::MAX);
    let text = format!("{}: {}.", counted(number, "issue"), done_word(form.text("status")));
    let events = json!({
        "toast": { "text": text, "undo": { "url": "/issues/status", "fields": restore } },
        "live:issues": null,
    });
    let value = HeaderValue::from_str(&events.to_string()).map_err(|error| Problem::internal(&error))?;
    Ok(HttpResponse::NoContent().insert_header((HeaderName::from_static("hx-trigger"), value)).finish())
}

fn read_changes(form: &Form) -> Result<Vec<(Uid, Status)>, Problem> {
    let wrong = || Problem::bad_request("This needs issues and one of unresolved, resolved, ignored.");
    let read = |id: &str, status: &str| {
        let issue = id.parse().map_err(|_| wrong())?;
        Ok::<_, Problem>((issue, Status::parse(status).ok_or_else(wrong)?))
    };
    let restored = form.fields.all("restore").filter_map(|pair| pair.split_once(':'));
    let chosen = form.fields.all("id").map(|id| (id, form.text("status")));
    let changes: Vec<_> =
        restored.chain(chosen).map(|(id, status)| read(id, status)).collect::<Result<_, _>>()?;
    if changes.is_empty() || changes.len() > CHANGES_MAX {
        return Err(wrong());
    }
    Ok(changes)
}

fn done_word(status: &str) -> &'static str {
    match Status::parse(status) {
        Some(Status::Resolved) => "resolved",
        Some(Status::Ignored) => "ignored",
        Some(Status::Unresolved) => "open again",
        None => "as before",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tab_decides_about_the_status_unless_the_line_does() {
        let asked = |query: &str, status: &str| Asked {
            query: query.to_owned(),
            status: status.to_owned(),
            ..Asked::default()
        };
        let table = [
            ("", "", Some(Status::Unresolved), "unresolved"),
            ("", "ignored", Some(Status::Ignored), "ignored"),
            ("", "all", None, "all"),
            ("is:resolved", "ignored", Some(Status::Resolved), "resolved"),
            ("", "nonsense", Some(Status::Unresolved), "unresolved"),
        ];
        for (query, status, expected, tab) in table {
            let asked = asked(query, status);
            assert_eq!(asked.search().status, expected, "{query} {status}");
            assert_eq!(asked.tab(), tab, "{query} {status}");
        }
    }

    #[test]
    fn an_address_keeps_what_was_asked_and_escapes_it() {
        let asked = Asked { query: "a&b=c".to_owned(), after: "x".to_owned(), ..Asked::default() };
        assert_eq!(asked.tab_address("all"), "/issues?query=a%26b%3Dc&status=all");
        assert_eq!(Asked::default().here(), "/issues");
    }

    #[test]
    fn the_headline_says_how_many() {
        assert_eq!(headline(0, None, Some("shop")), "No issues in shop");
        assert_eq!(headline(1, Some(Status::Resolved), None), "1 resolved issue");
        assert_eq!(headline(10_001, Some(Status::Unresolved), None), "10,000+ unresolved issues");
    }
}
