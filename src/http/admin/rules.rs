//! The rules: what rings, from which bound on, and how loud. For every project, and for one.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde_json::json;

use super::form::{Form, Wrongs};
use super::frame::{Frame, Place, form_page, see_other};
use super::from_file;
use super::incident_words::Badge;
use super::rule_form::{RuleDraft, name, sentence};
use crate::accounts::access::{Decision, Permission, Subject, decide};
use crate::accounts::audit::{self, Change};
use crate::accounts::projects::Project;
use crate::base::{Owner, Severity};
use crate::http::auth::{SignedIn, find_project};
use crate::http::{AppState, Problem};
use crate::incidents::rules::{self, Rule, RuleKind, RuleScope};
use crate::store::{ReadTx, WriteTx};

#[derive(Template)]
#[template(path = "rules.html", config = "src/http/admin/askama.toml")]
struct RulesPage {
    frame: Frame,
    headline: String,
    /// Slug and name; empty on the page of every project.
    slug: String,
    project: String,
    /// Where the forms are sent, without the kind.
    action: String,
    lines: Vec<Line>,
    may_change: bool,
    severities: [&'static str; 4],
}

struct Line {
    kind: &'static str,
    name: &'static str,
    sentence: String,
    badge: Badge,
    /// Where the values come from, in words.
    source: &'static str,
    /// Stored for exactly what this page is about, so that it can be taken back.
    is_changed: bool,
    /// Where it is changed; empty: here.
    file: String,
    draft: RuleDraft,
    wrongs: Wrongs,
}

/// A form that was refused.
struct Refused {
    kind: RuleKind,
    draft: RuleDraft,
    wrongs: Wrongs,
}

/// `GET /rules`
pub(super) async fn show_default(
    state: web::Data<AppState>,
    signed_in: SignedIn,
) -> Result<HttpResponse, Problem> {
    signed_in.caller().may(Permission::Configure, Subject::Instance)?;
    show(&state, signed_in, None, None).await
}

/// `GET /projects/{slug}/rules`
pub(super) async fn show_of_project(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    slug: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    show(&state, signed_in, Some(slug.into_inner()), None).await
}

/// `POST /rules/{kind}`
pub(super) async fn change_default(
    state: web::Data<AppState>,
    kind: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    change(&state, form, None, &kind).await
}

/// `POST /projects/{slug}/rules/{kind}`
pub(super) async fn change_of_project(
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let (slug, kind) = path.into_inner();
    change(&state, form, Some(slug), &kind).await
}

async fn show(
    state: &AppState,
    signed_in: SignedIn,
    slug: Option<String>,
    refused: Option<Refused>,
) -> Result<HttpResponse, Problem> {
    let was_refused = refused.is_some();
    let rendered = state.store.read(move |tx| load(tx, &signed_in, slug.as_deref(), refused)).await?;
    form_page(was_refused, &rendered)
}

fn load(
    tx: &ReadTx<'_>,
    signed_in: &SignedIn,
    slug: Option<&str>,
    mut refused: Option<Refused>,
) -> Result<RulesPage, Problem> {
    let actor = signed_in.session.actor();
    let project = slug.map(|slug| find_project(tx, &actor.visible(), slug)).transpose()?;
    let (place, permission, subject) = match &project {
        Some(project) => (Place::Projects, Permission::Configure, Subject::Project(project.id)),
        None => (Place::Rules, Permission::ManageInstance, Subject::Instance),
    };
    let set = rules::effective(tx, project.as_ref().map(|project| project.id))?;
    let of_project = project.is_some();
    let shown = set.iter().filter(|rule| !of_project || rule.kind != RuleKind::SelfTrouble);
    let mut lines = Vec::new();
    for rule in shown {
        let wrong = refused.take_if(|refused| refused.kind == rule.kind);
        let is_here = (rule.scope == RuleScope::Project) == of_project;
        let kind = rule.kind.as_str();
        let key = project.as_ref().map_or(kind.to_owned(), |project| format!("{}/{kind}", project.slug));
        let file = from_file::told(tx, is_here && rule.owner == Owner::File, "rules", &key)?;
        lines.push(Line { file, ..line(rule, of_project, wrong) });
    }
    Ok(RulesPage {
        headline: headline(&lines),
        action: project
            .as_ref()
            .map_or("/rules".to_owned(), |project| format!("/projects/{}/rules", project.slug)),
        may_change: decide(&actor, permission, subject) == Decision::Allowed,
        severities: Severity::ALL.map(Severity::as_str),
        slug: project.as_ref().map(|project| project.slug.to_string()).unwrap_or_default(),
        project: project.map(|project| project.name).unwrap_or_default(),
        frame: Frame::load(tx, signed_in, place)?,
        lines,
    })
}

fn line(rule: &Rule, of_project: bool, refused: Option<Refused>) -> Line {
    let (source, is_changed) = match (rule.scope, of_project) {
        (RuleScope::BuiltIn, _) => ("as built in", false),
        (RuleScope::EveryProject, true) => ("as for every project", false),
        (RuleScope::EveryProject, false) => ("changed", true),
        (RuleScope::Project, _) => ("changed for this project", true),
    };
    let (draft, wrongs) = match refused {
        Some(refused) => (refused.draft, refused.wrongs),
        None => (RuleDraft::of(rule), Wrongs::default()),
    };
    Line {
        kind: rule.kind.as_str(),
        name: name(rule.kind),
        sentence: sentence(rule),
        badge: if rule.enabled {
            Badge { class: "ok", word: "on" }
        } else {
            Badge { class: "unknown", word: "off" }
        },
        source,
        is_changed,
        file: String::new(),
        draft,
        wrongs,
    }
}

fn headline(lines: &[Line]) -> String {
    let on = lines.iter().filter(|line| line.badge.word == "on").count();
    match (on, lines.len()) {
        (0, _) => "Nothing rings: every rule is off".to_owned(),
        (on, all) if on == all => format!("All {all} rules are on"),
        (1, all) => format!("One of {all} rules is on"),
        (on, all) => format!("{on} of {all} rules are on"),
    }
}

async fn change(
    state: &AppState,
    form: Form,
    slug: Option<String>,
    kind: &str,
) -> Result<HttpResponse, Problem> {
    let kind = RuleKind::parse(kind).ok_or_else(|| Problem::not_found("rule"))?;
    let caller = form.caller();
    if slug.is_none() {
        caller.may(Permission::ManageInstance, Subject::Instance)?;
    } else if kind == RuleKind::SelfTrouble {
        return Err(Problem::bad_request(
            "Trouble of tocsin itself belongs to no project: change it under Rules.",
        ));
    }
    let draft = RuleDraft::typed(kind, &form.fields);
    let change = match draft.read(kind) {
        _ if form.fields.is_on("reset") => None,
        Ok(change) => Some(change),
        Err(wrongs) => {
            return show(state, form.signed_in, slug, Some(Refused { kind, draft, wrongs })).await;
        }
    };
    let (now, named) = (state.clock.now(), slug.clone());
    let write = move |tx: &WriteTx<'_>| {
        let project = project_to_change(tx, &caller, named.as_deref())?.map(|project| project.id);
        let action = if let Some(change) = &change {
            rules::change(tx, now, project, kind, change)?;
            "rule.change"
        } else {
            rules::reset(tx, project, kind)?;
            "rule.reset"
        };
        let stored = rules::effective(tx, project)?;
        let by = caller.by(now);
        let change = Change { action, subject: kind.as_str(), project, detail: json!(stored.get(kind)) };
        Ok::<_, Problem>(audit::append(tx, &by, &change)?)
    };
    state.store.write("rule.change", write).await?;
    let place = slug.map_or("/rules".to_owned(), |slug| format!("/projects/{slug}/rules"));
    Ok(see_other(&format!("{place}#{}", kind.as_str())))
}

fn project_to_change(
    tx: &ReadTx<'_>,
    caller: &crate::http::auth::Caller,
    slug: Option<&str>,
) -> Result<Option<Project>, Problem> {
    let Some(slug) = slug else { return Ok(None) };
    let project = find_project(tx, &caller.visible(), slug)?;
    caller.may(Permission::Configure, Subject::Project(project.id))?;
    Ok(Some(project))
}
