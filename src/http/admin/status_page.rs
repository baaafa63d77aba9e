//! The status page as its owners see it: whether it is on, what it shows under which names, its badges and its posts.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::form::{Fields, Form, Wrongs};
use super::frame::{Frame, Place, form_page, page, page_with, see_other};
use super::from_file;
use super::incident_words::Badge;
use super::service_words::service_badge;
use super::status_posts::{PostLine, post_lines};
use crate::accounts::Visible;
use crate::accounts::access::Decision;
use crate::base::owned::Owner;
use crate::health::services;
use crate::http::acts::rights::{Act, Thing, check, decide};
use crate::http::acts::{Refused, status_page as acts};
use crate::http::auth::SignedIn;
use crate::http::{AppState, Problem};
use crate::incidents::queries::{self as incidents, PageOf, Scope, StateFilter};
use crate::status_page::{self, Draft, Entry, Publish, Section, Settings};
use crate::store::ReadTx;

#[derive(Template)]
#[template(path = "status_page.html", config = "src/http/admin/askama.toml")]
struct StatusPage {
    frame: Frame,
    is_on: bool,
    /// Where a file names it; empty where the page changes it.
    file: String,
    may_change: bool,
    was_saved: bool,
    form: FormView,
    badges: Vec<BadgeLine>,
    posts: Vec<PostLine>,
    /// Open incidents of which nothing is said yet: outside id and summary.
    untold: Vec<(String, String)>,
    address: String,
}

/// The fields as the template asks for them.
struct FormView {
    title: String,
    description: String,
    support_url: String,
    is_automatic: bool,
    rows: Vec<Row>,
    sections: Vec<String>,
    wrongs: Wrongs,
    /// Whoever saves it later than somebody else is told.
    seen: i64,
}

/// A service, shown or not.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    key: String,
    name: String,
    /// How it is; `None` where there is no such service any more.
    badge: Option<Badge>,
    /// Empty: it is not shown.
    section: String,
    title: String,
    latency: bool,
    is_first: bool,
    is_last: bool,
}

struct BadgeLine {
    key: String,
    title: String,
    /// Below the base address.
    path: String,
    address: String,
}

#[derive(Default, Deserialize)]
pub(super) struct Asked {
    saved: Option<String>,
}

/// Open incidents that are offered to be told of.
const UNTOLD_MAX: u32 = 10;

/// `GET /status-page`
pub(super) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    let mut shown = load(&state, signed_in, None).await?;
    shown.was_saved = asked.saved.is_some();
    page(&shown)
}

async fn load(
    state: &AppState,
    signed_in: SignedIn,
    typed: Option<(Draft, Wrongs)>,
) -> Result<StatusPage, Problem> {
    let (now, base) = (state.clock.now(), state.base_url.as_str().to_owned());
    state
        .store
        .read(move |tx| {
            let actor = signed_in.session.actor();
            let visible = actor.visible();
            let known = acts::find(tx, &visible)?;
            let is_file = known.as_ref().is_some_and(|page| page.owner == Owner::File);
            let may = decide(&actor, Act::Change, Thing::StatusPage, None) == Decision::Allowed;
            let services = services::queries::list(tx, &visible)?;
            let stored = known.as_ref().map_or_else(Draft::empty, status_page::Page::draft);
            let (draft, wrongs) = typed.unwrap_or_else(|| (stored.clone(), Wrongs::default()));
            let posts = post_lines(tx, &visible, now)?;
            let badges = known.iter().flat_map(status_page::Page::entries).filter_map(|entry| {
                let service = services.iter().find(|service| service.key == entry.service)?;
                let path = format!("/badge/{}.svg", entry.badge);
                Some(BadgeLine {
                    key: entry.service.clone(),
                    title: entry.title.clone().unwrap_or_else(|| service.name.clone()),
                    address: format!("{base}{path}"),
                    path,
                })
            });
            Ok(StatusPage {
                is_on: stored.enabled,
                badges: badges.collect(),
                form: FormView {
                    seen: known.as_ref().map_or(0, |page| page.version),
                    ..form_view(draft, wrongs, &services)
                },
                untold: if may { untold(tx, &posts)? } else { Vec::new() },
                may_change: may && !is_file,
                file: from_file::told(tx, is_file, "status_page", "")?,
                was_saved: false,
                posts,
                address: format!("{base}/status"),
                frame: Frame::load(tx, &signed_in, Place::StatusPage)?,
            })
        })
        .await
}

fn form_view(draft: Draft, wrongs: Wrongs, services: &[services::Service]) -> FormView {
    let sections: Vec<String> = draft.sections.iter().map(|section| section.title.clone()).collect();
    FormView {
        rows: rows(&draft, services),
        sections,
        title: draft.title,
        description: draft.description,
        support_url: draft.settings.support_url.unwrap_or_default(),
        is_automatic: draft.settings.publish == Publish::Automatically,
        wrongs,
        seen: 0,
    }
}

/// What is shown in its order, then the services that are not.
fn rows(draft: &Draft, services: &[services::Service]) -> Vec<Row> {
    let find = |key: &str| services.iter().find(|service| service.key == key);
    let mut rows = Vec::new();
    let last_section = draft.sections.len().saturating_sub(1);
    for (at, section) in draft.sections.iter().enumerate() {
        let last = section.entries.len().saturating_sub(1);
        for (nth, entry) in section.entries.iter().enumerate() {
            let service = find(&entry.service);
            rows.push(Row {
                key: entry.service.clone(),
                name: service.map_or_else(|| entry.service.clone(), |service| service.name.clone()),
                badge: service.map(|service| service_badge(service.status)),
                section: section.title.clone(),
                title: entry.title.clone().unwrap_or_default(),
                latency: entry.latency,
                is_first: at == 0 && nth == 0,
                is_last: at == last_section && nth == last,
            });
        }
    }
    for service in services.iter().filter(|service| !rows_have(draft, &service.key)) {
        rows.push(Row {
            key: service.key.clone(),
            name: service.name.clone(),
            badge: Some(service_badge(service.status)),
            section: String::new(),
            title: String::new(),
            latency: false,
            is_first: true,
            is_last: true,
        });
    }
    rows
}

fn rows_have(draft: &Draft, key: &str) -> bool {
    draft.sections.iter().flat_map(|section| &section.entries).any(|entry| entry.service == key)
}

/// Open incidents of which no post tells.
fn untold(tx: &ReadTx<'_>, posts: &[PostLine]) -> Result<Vec<(String, String)>, Problem> {
    let of = PageOf { before: None, limit: UNTOLD_MAX };
    let open = incidents::list(tx, Scope::All, StateFilter::Unresolved, of)?.items.into_iter();
    let is_told = |id: &str| posts.iter().any(|post| post.incident.as_deref() == Some(id));
    let open = open.filter(|incident| incident.project_id.is_some());
    Ok(open
        .map(|incident| (incident.id.to_string(), incident.summary))
        .filter(|(id, _)| !is_told(id))
        .collect())
}

/// `POST /status-page`
pub(super) async fn update(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    form.once(state, "/status-page", write).await
}

async fn write(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    check(&form.caller(), Act::Change, Thing::StatusPage, None)?;
    let draft = read(&form.fields);
    match acts::save(&state, form.caller(), (draft.clone(), form.seen())).await {
        Ok(_) => Ok(see_other("/status-page?saved=1")),
        Err(Refused::Stale(what)) => {
            let shown = load(&state, form.signed_in, Some((draft, Wrongs::overtaken(what)))).await?;
            page_with(StatusCode::CONFLICT, &shown)
        }
        Err(refused) => {
            let wrongs = told(&Problem::from(refused).to_mend()?);
            form_page(true, &load(&state, form.signed_in, Some((draft, wrongs))).await?)
        }
    }
}

/// The page that a form describes: its rows in their order, each section where its first service stands.
fn read(fields: &Fields) -> Draft {
    let mut sections: Vec<Section> = Vec::new();
    let keys: Vec<&str> = fields.all("service").collect();
    for key in keys {
        let text = |name: &str| fields.text(&format!("{name}:{key}")).to_owned();
        let (section, title) = (text("section"), text("title"));
        if section.is_empty() {
            continue;
        }
        let entry = Entry {
            service: key.to_owned(),
            title: Some(title).filter(|title| !title.is_empty()),
            latency: fields.is_on(&format!("latency:{key}")),
        };
        match sections.iter_mut().find(|known| known.title == section) {
            Some(known) => known.entries.push(entry),
            None => sections.push(Section { title: section, entries: vec![entry] }),
        }
    }
    if let Some((direction, key)) = fields.text("move").split_once(':') {
        shift(&mut sections, key, direction == "up");
    }
    let publish =
        if fields.text("publish") == "automatically" { Publish::Automatically } else { Publish::ByHand };
    Draft {
        enabled: fields.is_on("enabled"),
        title: fields.text("title").to_owned(),
        description: fields.text("description").to_owned(),
        settings: Settings {
            publish,
            support_url: Some(fields.text("support_url").to_owned()).filter(|url| !url.is_empty()),
        },
        sections,
    }
}

/// An entry and its neighbour change places; at the end of its section, the sections do.
fn shift(sections: &mut [Section], key: &str, is_up: bool) {
    let at = sections.iter().enumerate().find_map(|(section, known)| {
        known.entries.iter().position(|entry| entry.service == key).map(|entry| (section, entry))
    });
    let Some((section, entry)) = at else { return };
    let last = sections[section].entries.len() - 1;
    match (is_up, section, entry) {
        (true, _, 1..) => sections[section].entries.swap(entry, entry - 1),
        (true, 1.., 0) => sections.swap(section, section - 1),
        (false, _, entry) if entry < last => sections[section].entries.swap(entry, entry + 1),
        (false, section, _) if section + 1 < sections.len() => sections.swap(section, section + 1),
        _ => {}
    }
}

/// The field of the form that an error of the domain names.
fn told(text: &str) -> Wrongs {
    const FIELDS: [(&str, &str); 4] = [
        ("The title", "title"),
        ("Description", "description"),
        ("Settings.support_url", "support_url"),
        ("The support_url", "support_url"),
    ];
    let field = FIELDS.iter().find(|(name, _)| text.starts_with(name)).map_or("form", |(_, field)| field);
    let text = text
        .split_once(": ")
        .filter(|(name, _)| FIELDS[1..3].iter().any(|(known, _)| known == name))
        .map_or(text, |(_, text)| text);
    Wrongs::one(field, crate::http::problem::sentence(text))
}

/// The services that a post can name.
pub(super) fn services_of(tx: &ReadTx<'_>) -> Result<Vec<(String, String)>, Problem> {
    let all = services::queries::list(tx, &Visible::All)?;
    Ok(all.into_iter().map(|service| (service.key, service.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(moved: &str) -> Fields {
        let mut fields = vec![("enabled", "1"), ("title", "Shop"), ("move", moved)];
        for key in ["web", "api", "db", "mail"] {
            fields.push(("service", key));
        }
        fields.extend([
            ("section:web", "Shop"),
            ("section:api", "Shop"),
            ("section:db", "Inside"),
            ("latency:db", "1"),
            ("title:api", "Checkout"),
        ]);
        let owned: Vec<(String, String)> =
            fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        owned.into()
    }

    fn order(draft: &Draft) -> Vec<String> {
        let of =
            |section: &Section| section.entries.iter().map(|entry| entry.service.clone()).collect::<Vec<_>>();
        draft.sections.iter().flat_map(of).collect()
    }

    #[test]
    fn a_form_becomes_sections_in_their_order() {
        let draft = read(&fields(""));
        assert_eq!(order(&draft), ["web", "api", "db"], "a service without a section is not shown");
        assert_eq!(draft.sections[0].entries[1].title.as_deref(), Some("Checkout"));
        assert!(draft.sections[1].entries[0].latency && draft.enabled);
    }

    #[test]
    fn a_step_swaps_neighbours_and_at_the_end_of_a_section_the_sections() {
        let table = [
            ("up:api", ["api", "web", "db"]),
            ("down:web", ["api", "web", "db"]),
            ("up:db", ["db", "web", "api"]),
            ("down:api", ["db", "web", "api"]),
            ("up:web", ["web", "api", "db"]),
            ("down:db", ["web", "api", "db"]),
            ("down:none", ["web", "api", "db"]),
        ];
        for (step, expected) in table {
            assert_eq!(order(&read(&fields(step))), expected, "{step}");
        }
    }
}
