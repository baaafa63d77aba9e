//! API tokens: what lets scripts and machines in. Shown once, ended here.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::super::auth::{Caller, SignedIn, find_project};
use super::super::visible::Slugs;
use super::super::{AppState, Problem};
use super::form::Form;
use super::frame::{Frame, Place, form_page, see_other};
use super::once::{OncePage, show_once};
use super::wording::When;
use crate::accounts::access::{Decision, Denial, decide_to_give};
use crate::accounts::tokens::{self, ApiToken, NewToken};
use crate::accounts::{Actor, Error, Role, Scope, Scopes, Visible, projects};
use crate::base::{Secret, Timestamp, Uid};
use crate::store::{ReadTx, WriteTx};

#[derive(Template)]
#[template(path = "tokens.html", config = "src/http/admin/askama.toml")]
struct TokensPage {
    frame: Frame,
    headline: String,
    lines: Vec<TokenLine>,
    scopes: Vec<ScopeChoice>,
    /// Slug and name.
    projects: Vec<(String, String)>,
    may_give_all_projects: bool,
    typed: Typed,
    wrong: Option<String>,
}

struct TokenLine {
    id: String,
    name: String,
    hint: String,
    scopes: Vec<&'static str>,
    /// Empty: every project.
    project: String,
    created: When,
    created_by: String,
    used: Option<When>,
    may_revoke: bool,
}

struct ScopeChoice {
    name: &'static str,
    says: &'static str,
    is_chosen: bool,
}

/// The form as it was sent.
#[derive(Clone)]
struct Typed {
    name: String,
    scopes: Vec<String>,
    project: String,
}

/// `GET /tokens`.
pub(super) async fn show(state: web::Data<AppState>, signed_in: SignedIn) -> Result<HttpResponse, Problem> {
    tokens_page(&state, signed_in, Typed::first(), None).await
}

/// `POST /tokens`: makes a token. The answer shows it, once.
pub(super) async fn create(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    form.once(state, "/tokens", make).await
}

async fn make(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    let (caller, now, entropy) = (form.caller(), state.clock.now(), state.entropy.clone());
    refuse_onlookers(&form.signed_in)?;
    let typed = Typed {
        name: form.text("name").to_owned(),
        scopes: form.fields.all("scope").map(str::to_owned).collect(),
        project: form.text("project").to_owned(),
    };
    let asked = typed.clone();
    let frame = Frame::read(&state, &form.signed_in, Place::Tokens).await?;
    let made = state.store.write("token.create", move |tx| {
        let new = read_token(tx, &caller, &asked)?;
        Ok::<_, Problem>(tokens::create(tx, &caller.by(now), &entropy, &new)?)
    });
    match made.await {
        Ok((token, secret)) => show_once(&once(frame, &token, &secret, &typed.project)),
        Err(problem) => tokens_page(&state, form.signed_in, typed, Some(problem.to_mend()?)).await,
    }
}

/// `POST /tokens/{id}/revoke`: whoever could give it may take it away.
pub(super) async fn revoke(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let id: Uid = id.parse().map_err(|_| Error::UnknownToken)?;
    let (caller, now) = (form.caller(), state.clock.now());
    let revoked = state.store.write("token.revoke", move |tx| {
        let token = tokens::find(tx, id)?.filter(|token| is_seen(&caller.visible(), token));
        let token = token.ok_or(Error::UnknownToken)?;
        match decide_to_give(&caller.actor, &token.scopes, token.project) {
            Decision::Allowed => Ok::<_, Problem>(tokens::revoke(tx, &caller.by(now), id)?),
            Decision::Denied(denial) => Err(denial.into()),
        }
    });
    state.cache.tokens.forget(&revoked.await?);
    Ok(see_other("/tokens"))
}

fn read_token(tx: &WriteTx<'_>, caller: &Caller, asked: &Typed) -> Result<NewToken, Problem> {
    let scopes: Scopes = asked.scopes.join(",").parse()?;
    let project = match asked.project.as_str() {
        "" => None,
        slug => Some(find_project(tx, &caller.visible(), slug)?.id),
    };
    match decide_to_give(&caller.actor, &scopes, project) {
        Decision::Allowed => {}
        Decision::Denied(Denial::NeedsProject) => {
            return Err(Problem { status: StatusCode::BAD_REQUEST, ..Denial::NeedsProject.into() });
        }
        Decision::Denied(denial) => return Err(denial.into()),
    }
    let by = caller.actor.to_string();
    // Sent again by reloading the page, it would be a second token that nobody kept.
    let is_again = |token: &ApiToken| token.name == asked.name && token.created_by == by;
    if tokens::list(tx)?.iter().any(is_again) {
        let name = &asked.name;
        return Err(Problem::bad_request(format!(
            "You made a token {name} already: revoke that one, or choose another name."
        )));
    }
    Ok(NewToken { name: asked.name.clone(), scopes, project })
}

/// Viewers change nothing, and a token is a way to.
fn refuse_onlookers(signed_in: &SignedIn) -> Result<(), Problem> {
    if signed_in.session.role >= Role::Member {
        return Ok(());
    }
    Err(Denial::NeedsRole(Role::Member).into())
}

/// A token for every project is known to those who see every project.
fn is_seen(visible: &Visible, token: &ApiToken) -> bool {
    match token.project {
        Some(project) => visible.contains(project),
        None => *visible == Visible::All,
    }
}

async fn tokens_page(
    state: &AppState,
    signed_in: SignedIn,
    typed: Typed,
    wrong: Option<String>,
) -> Result<HttpResponse, Problem> {
    refuse_onlookers(&signed_in)?;
    let (now, was_refused) = (state.clock.now(), wrong.is_some());
    let page = state.store.read(move |tx| load(tx, &signed_in, typed, wrong, now)).await?;
    form_page(was_refused, &page)
}

fn load(
    tx: &ReadTx<'_>,
    signed_in: &SignedIn,
    typed: Typed,
    wrong: Option<String>,
    now: Timestamp,
) -> Result<TokensPage, Problem> {
    let actor = signed_in.session.actor();
    let visible = actor.visible();
    let mut slugs = Slugs::default();
    let mut lines = Vec::new();
    for token in tokens::list(tx)?.into_iter().filter(|token| is_seen(&visible, token)) {
        let project = slugs.of(tx, token.project)?.unwrap_or_default();
        lines.push(line_of(token, project, &actor, now));
    }
    let projects = projects::list(tx, &visible)?;
    // What may be given in one project; a narrower choice is refused with its reason.
    let somewhere = projects.first().map(|project| project.id);
    let scopes = SCOPES
        .into_iter()
        .filter(|(scope, _)| decide_to_give(&actor, &Scopes::only(*scope), somewhere) == Decision::Allowed)
        .map(|(scope, says)| ScopeChoice {
            name: scope.as_str(),
            says,
            is_chosen: typed.scopes.iter().any(|name| name == scope.as_str()),
        });
    Ok(TokensPage {
        headline: match lines.len() {
            0 => "No token lets a machine in".to_owned(),
            1 => "One token lets a machine in".to_owned(),
            many => format!("{many} tokens let machines in"),
        },
        scopes: scopes.collect(),
        may_give_all_projects: visible == Visible::All,
        projects: projects.into_iter().map(|it| (it.slug.to_string(), it.name)).collect(),
        frame: Frame::load(tx, signed_in, Place::Tokens)?,
        lines,
        typed,
        wrong,
    })
}

fn line_of(token: ApiToken, project: String, actor: &Actor, now: Timestamp) -> TokenLine {
    TokenLine {
        id: token.uid.to_string(),
        may_revoke: decide_to_give(actor, &token.scopes, token.project) == Decision::Allowed,
        scopes: token.scopes.iter().map(Scope::as_str).collect(),
        created: When::new(token.created_at, now),
        used: token.last_used_at.map(|at| When::new(at, now)),
        created_by: token.created_by,
        hint: token.hint,
        name: token.name,
        project,
    }
}

fn once(frame: Frame, token: &ApiToken, secret: &Secret, project: &str) -> OncePage {
    let reach = if project.is_empty() { "in every project".to_owned() } else { format!("in {project}") };
    OncePage {
        frame,
        title: format!("Token {}", token.name),
        what: "Token",
        secret: secret.expose().to_owned(),
        notes: vec![
            format!(
                "It may {}, {reach}, until somebody revokes it.",
                token.scopes.to_string().replace(',', ", ")
            ),
            "Send it as Authorization: Bearer …".to_owned(),
        ],
        back: "/tokens".to_owned(),
        back_label: "Back to tokens",
    }
}

/// The scopes in the order in which they are chosen, with what they allow.
const SCOPES: [(Scope, &str); 6] = [
    (Scope::Read, "See issues, events, incidents and messages."),
    (Scope::Write, "Also resolve, acknowledge, silence."),
    (Scope::Ingest, "Send errors, metrics and deploys."),
    (Scope::Metrics, "Read /metrics, for Prometheus."),
    (Scope::Gateway, "Not yet: it will call other services through tocsin."),
    (Scope::Admin, "Read and write, and see the background tasks and /metrics."),
];

impl Typed {
    /// What most tokens are for.
    fn first() -> Self {
        Self { name: String::new(), scopes: vec![Scope::Read.as_str().to_owned()], project: String::new() }
    }
}
