//! How to connect an app: the DSN, ready snippets, and what was heard.

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use askama::Template;

use super::super::auth::{SignedIn, find_project};
use super::super::{AppState, Problem};
use super::frame::{Frame, Place, page};
use super::statics;
use super::wording::{When, severity_class};
use crate::accounts::access::{Decision, Permission, Subject, decide};
use crate::accounts::keys::{self, Key};
use crate::accounts::{KeyKind, Visible};
use crate::base::ProjectId;
use crate::issues::queries::{self, IssueFilter, IssueView, Search, Sort};
use crate::store::ReadTx;

#[derive(Template)]
#[template(path = "welcome.html", config = "src/http/admin/askama.toml")]
struct WelcomePage {
    frame: Frame,
    slug: String,
    name: String,
    base: String,
    /// Only this machine can reach the address that apps are given.
    is_loopback: bool,
    server: Option<GivenKey>,
    browser: Option<GivenKey>,
    may_configure: bool,
    heard: Vec<HeardLine>,
}

struct GivenKey {
    dsn: String,
    public_key: String,
}

struct HeardLine {
    id: String,
    title: String,
    severity: String,
    severity_class: &'static str,
    seen: When,
}

/// The newest issues that prove the connection.
const HEARD_MAX: u32 = 5;
/// What stands for the DSN in the files of `static/snippets`.
const DSN_MARK: &str = "__TOCSIN_DSN__";

/// `GET /projects/{slug}/welcome`.
pub(super) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    slug: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (now, base_url) = (state.clock.now(), state.base_url.clone());
    let found = state
        .store
        .read(move |tx| {
            let actor = signed_in.session.actor();
            let project = find_project(tx, &actor.visible(), &slug)?;
            let listed = keys::list(tx, project.id)?;
            let given = |kind| find_key(&listed, kind).map(|key| give(key, base_url.as_str()));
            let heard = newest(tx, project.id)?;
            Ok::<_, Problem>(WelcomePage {
                frame: Frame::load(tx, &signed_in, Place::Projects)?,
                server: given(KeyKind::Server),
                browser: given(KeyKind::Browser),
                may_configure: decide(&actor, Permission::Configure, Subject::Project(project.id))
                    == Decision::Allowed,
                is_loopback: base_url.is_loopback(),
                base: base_url.as_str().to_owned(),
                slug: project.slug.to_string(),
                name: project.name,
                heard: heard
                    .into_iter()
                    .map(|issue| HeardLine {
                        id: issue.id.to_string(),
                        title: issue.title,
                        severity_class: severity_class(&issue.severity),
                        severity: issue.severity,
                        seen: When::new(issue.last_seen, now),
                    })
                    .collect(),
            })
        })
        .await?;
    page(&found)
}

/// `GET /projects/{slug}/monitoring.ts` and `.py`: the one-file reporter with this project's DSN in it.
pub(super) async fn download(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (slug, end) = path.into_inner();
    let name = match end.as_str() {
        "ts" => "monitoring.ts",
        "py" => "monitoring.py",
        _ => return Err(Problem::not_found("file")),
    };
    let base = state.base_url.as_str().to_owned();
    let given = state
        .store
        .read(move |tx| {
            let project = find_project(tx, &signed_in.session.actor().visible(), &slug)?;
            let listed = keys::list(tx, project.id)?;
            Ok::<_, Problem>(find_key(&listed, KeyKind::Server).map(|key| give(key, &base)))
        })
        .await?;
    let given =
        given.ok_or_else(|| Problem::bad_request("This project has no server key: make one first."))?;
    let text = statics::text(&format!("snippets/{name}")).replace(DSN_MARK, &given.dsn);
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .body(text))
}

fn newest(tx: &ReadTx<'_>, project: ProjectId) -> Result<Vec<IssueView>, Problem> {
    let filter = IssueFilter {
        visible: Visible::Only(vec![project]),
        project: Some(project),
        search: Search::default(),
        sort: Sort::LastSeen,
        after: None,
        limit: HEARD_MAX,
    };
    Ok(queries::list_issues(tx, &filter)?.items)
}

/// The newest key of this kind that works.
fn find_key(keys: &[Key], kind: KeyKind) -> Option<&Key> {
    keys.iter().find(|key| key.settings.kind == kind && key.revoked_at.is_none())
}

fn give(key: &Key, base: &str) -> GivenKey {
    GivenKey { dsn: keys::dsn(base, key.public_key, key.project), public_key: key.public_key.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reporters_are_short_and_take_a_dsn() {
        for name in ["snippets/monitoring.ts", "snippets/monitoring.py"] {
            let text = statics::text(name);
            assert_eq!(text.matches(DSN_MARK).count(), 1, "{name}");
            assert!(text.lines().count() <= 60, "{name}: {}", text.lines().count());
        }
    }
}
