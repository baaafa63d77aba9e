//! What strangers read of an outage: begun by hand or from an incident, continued, resolved.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::form::{Fields, Form, Wrongs};
use super::frame::{Frame, Place, form_page, page, see_other};
use super::incident_words::Badge;
use super::moments::clock;
use super::status_page::services_of;
use super::wording::When;
use crate::accounts::Visible;
use crate::base::{Timestamp, Uid};
use crate::http::acts::rights::{Act, Thing, check};
use crate::http::acts::status_page::{self as acts, change_post, create_post, remove_post};
use crate::http::auth::SignedIn;
use crate::http::{AppState, Problem};
use crate::incidents::queries::{self as incidents, Scope};
use crate::status_page::posts::{self, Impact, NewPost, Post, PostChange, Stage};
use crate::store::ReadTx;

/// A post as the admin's list shows it.
pub(super) struct PostLine {
    pub(super) id: String,
    pub(super) incident: Option<String>,
    pub(super) title: String,
    pub(super) badge: Badge,
    pub(super) is_published: bool,
    pub(super) began: When,
    pub(super) said: String,
}

#[derive(Template)]
#[template(path = "status_post.html", config = "src/http/admin/askama.toml")]
struct PostPage {
    frame: Frame,
    /// Empty: it is yet to be made.
    id: String,
    title: String,
    badge: Badge,
    is_published: bool,
    is_over: bool,
    incident: String,
    updates: Vec<UpdateLine>,
    services: Vec<(String, String, bool)>,
    typed: Typed,
    wrongs: Wrongs,
    stages: [&'static str; 4],
    impacts: [&'static str; 4],
}

/// The fields as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Typed {
    title: String,
    impact: String,
    stage: String,
    text: String,
    is_published: bool,
    services: Vec<String>,
    incident: String,
}

struct UpdateLine {
    class: &'static str,
    stage: &'static str,
    text: String,
    author: String,
    at: String,
}

#[derive(Default, Deserialize)]
pub(super) struct Asked {
    incident: Option<String>,
}

/// Posts of the list reach back as far as the page's bars.
const LISTED_FOR: std::time::Duration = std::time::Duration::from_hours(24 * 90);
const STAGES: [&str; 4] = [
    Stage::Investigating.as_str(),
    Stage::Identified.as_str(),
    Stage::Monitoring.as_str(),
    Stage::Resolved.as_str(),
];
const IMPACTS: [&str; 4] =
    [Impact::Minor.as_str(), Impact::Major.as_str(), Impact::Critical.as_str(), Impact::None.as_str()];

const fn badge(stage: Stage) -> Badge {
    match stage {
        Stage::Investigating => Badge { class: "bad", word: "investigating" },
        Stage::Identified => Badge { class: "warn", word: "identified" },
        Stage::Monitoring => Badge { class: "unknown", word: "monitoring" },
        Stage::Resolved => Badge { class: "ok", word: "resolved" },
    }
}

/// The posts of the last ninety days, and those that are not over.
pub(super) fn post_lines(
    tx: &ReadTx<'_>,
    visible: &Visible,
    now: Timestamp,
) -> Result<Vec<PostLine>, Problem> {
    let line = |post: Post| PostLine {
        id: post.id.to_string(),
        incident: post.incident.map(|incident| incident.to_string()),
        badge: badge(post.stage),
        is_published: post.published,
        began: When::new(post.began_at, now),
        said: post.updates.first().map(|update| update.text.clone()).unwrap_or_default(),
        title: post.title,
    };
    Ok(acts::posts(tx, visible, now - LISTED_FOR)?.into_iter().map(line).collect())
}

/// `GET /status-page/posts/new?incident=…`
pub(super) async fn show_new(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    check(&signed_in.caller(), Act::Change, Thing::StatusPage, None)?;
    let incident = asked.into_inner().incident.and_then(|id| id.parse::<Uid>().ok());
    let typed = match incident {
        Some(id) => {
            let find = move |tx: &ReadTx<'_>| incidents::find(tx, Scope::All, id);
            let found = state.store.read(find).await?;
            found.map(|incident| Typed { incident: id.to_string(), title: incident.summary, ..Typed::new() })
        }
        None => None,
    };
    let typed = typed.unwrap_or_else(Typed::new);
    page(&post_page(&state, signed_in, None, (typed, Wrongs::default())).await?)
}

/// `GET /status-page/posts/{id}`
pub(super) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    check(&signed_in.caller(), Act::Change, Thing::StatusPage, None)?;
    let post = find(&state, &id).await?;
    let typed = Typed::of(&post);
    page(&post_page(&state, signed_in, Some(post), (typed, Wrongs::default())).await?)
}

async fn find(state: &AppState, id: &str) -> Result<Post, Problem> {
    let missing = || Problem::not_found("post");
    let id: Uid = id.parse().map_err(|_| missing())?;
    let find = move |tx: &ReadTx<'_>| posts::find(tx, id);
    state.store.read(find).await?.ok_or_else(missing)
}

async fn post_page(
    state: &AppState,
    signed_in: SignedIn,
    post: Option<Post>,
    (typed, wrongs): (Typed, Wrongs),
) -> Result<PostPage, Problem> {
    let now = state.clock.now();
    state
        .store
        .read(move |tx| {
            let services = services_of(tx)?.into_iter().map(|(key, name)| {
                let is_named = typed.services.contains(&key);
                (key, name, is_named)
            });
            let update = |update: &posts::Update| UpdateLine {
                class: if update.stage == Stage::Resolved { "ok" } else { "" },
                stage: badge(update.stage).word,
                text: update.text.clone(),
                author: update.author.clone(),
                at: clock(update.at, now),
            };
            Ok(PostPage {
                frame: Frame::load(tx, &signed_in, Place::StatusPage)?,
                id: post.as_ref().map(|post| post.id.to_string()).unwrap_or_default(),
                title: post.as_ref().map(|post| post.title.clone()).unwrap_or_default(),
                badge: badge(post.as_ref().map_or(Stage::Investigating, |post| post.stage)),
                is_published: post.as_ref().is_some_and(|post| post.published),
                is_over: post.as_ref().is_some_and(|post| post.stage == Stage::Resolved),
                incident: typed.incident.clone(),
                updates: post.iter().flat_map(|post| &post.updates).map(update).collect(),
                services: services.collect(),
                typed,
                wrongs,
                stages: STAGES,
                impacts: IMPACTS,
            })
        })
        .await
}

/// `POST /status-page/posts`
pub(super) async fn create(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    form.once(state, "/status-page/posts", make).await
}

async fn make(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    let typed = Typed::read(&form.fields);
    let new = NewPost {
        incident: typed.incident.parse().ok(),
        title: typed.title.clone(),
        impact: Impact::parse(&typed.impact).unwrap_or(Impact::Minor),
        services: typed.services.clone(),
        began_at: began(&state, &typed.incident).await?,
        published: typed.is_published,
        stage: Stage::parse(&typed.stage).unwrap_or(Stage::Investigating),
        text: typed.text.clone(),
    };
    match create_post(&state, form.caller(), new).await {
        Ok(post) => Ok(see_other(&format!("/status-page/posts/{}", post.id))),
        Err(problem) => refuse(&state, form, None, typed, problem).await,
    }
}

/// When the trouble began that the post tells of.
async fn began(state: &AppState, incident: &str) -> Result<Timestamp, Problem> {
    let now = state.clock.now();
    let Ok(id) = incident.parse::<Uid>() else { return Ok(now) };
    let find = move |tx: &ReadTx<'_>| incidents::find(tx, Scope::All, id);
    Ok(state.store.read(find).await?.map_or(now, |incident| incident.impact_started_at))
}

/// `POST /status-page/posts/{id}`: title, impact and whether it is shown; and an update, where one was written.
pub(super) async fn update(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    check(&form.caller(), Act::Change, Thing::StatusPage, None)?;
    let place = format!("/status-page/posts/{id}");
    let post = find(&state, &id).await?;
    form.once(state, &place, move |state, form| change(state, form, post)).await
}

async fn change(state: web::Data<AppState>, form: Form, post: Post) -> Result<HttpResponse, Problem> {
    let typed = Typed::read(&form.fields);
    let is_update = form.text("form") == "update";
    let wanted = if is_update {
        let stage = Stage::parse(&typed.stage).unwrap_or(post.stage);
        PostChange { update: Some((stage, typed.text.clone())), ..PostChange::default() }
    } else {
        PostChange {
            title: Some(typed.title.clone()),
            impact: Impact::parse(&typed.impact),
            published: Some(typed.is_published),
            update: None,
        }
    };
    let id = post.id;
    match change_post(&state, form.caller(), id, wanted).await {
        Ok(_) => Ok(see_other(&format!("/status-page/posts/{id}"))),
        Err(problem) => {
            let kept = Typed::of(&post);
            let typed = if is_update {
                Typed { stage: typed.stage, text: typed.text, ..kept }
            } else {
                Typed { services: kept.services, incident: kept.incident, ..typed }
            };
            refuse(&state, form, Some(post), typed, problem).await
        }
    }
}

async fn refuse(
    state: &AppState,
    form: Form,
    post: Option<Post>,
    typed: Typed,
    problem: Problem,
) -> Result<HttpResponse, Problem> {
    if problem.status != StatusCode::BAD_REQUEST {
        return Err(problem);
    }
    let text = problem.detail;
    let wrongs = match text.strip_prefix("Text: ") {
        Some(text) => Wrongs::one("text", crate::http::problem::sentence(text)),
        None if text.starts_with("The title") => Wrongs::one("title", text),
        None => Wrongs::one("form", text),
    };
    form_page(true, &post_page(state, form.signed_in, post, (typed, wrongs)).await?)
}

/// `POST /status-page/posts/{id}/delete`
pub(super) async fn delete(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let id: Uid = id.parse().map_err(|_| Problem::not_found("post"))?;
    remove_post(&state, form.caller(), id).await?;
    Ok(see_other("/status-page"))
}

impl Typed {
    fn new() -> Self {
        Self {
            impact: Impact::Minor.as_str().to_owned(),
            stage: Stage::Investigating.as_str().to_owned(),
            is_published: true,
            ..Self::default()
        }
    }

    fn of(post: &Post) -> Self {
        Self {
            title: post.title.clone(),
            impact: post.impact.as_str().to_owned(),
            stage: post.stage.as_str().to_owned(),
            text: String::new(),
            is_published: post.published,
            services: post.services.clone(),
            incident: post.incident.map(|incident| incident.to_string()).unwrap_or_default(),
        }
    }

    fn read(fields: &Fields) -> Self {
        Self {
            title: fields.text("title").to_owned(),
            impact: fields.text("impact").to_owned(),
            stage: fields.text("stage").to_owned(),
            text: fields.text("text").to_owned(),
            is_published: fields.is_on("published"),
            services: fields.all("service").map(str::to_owned).collect(),
            incident: fields.text("incident").to_owned(),
        }
    }
}
