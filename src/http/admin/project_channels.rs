//! Which channels a project rings: all, or those that it chose.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde_json::json;

use super::channel_words::{kind_name, state_badge};
use super::form::Form;
use super::frame::{Frame, Place, page, see_other};
use super::from_file;
use super::incident_words::Badge;
use crate::accounts;
use crate::accounts::access::{Decision, Permission, Subject, decide};
use crate::accounts::audit::{self, Change};
use crate::base::Owner;
use crate::http::auth::{SignedIn, find_project};
use crate::http::{AppState, Problem};
use crate::incidents::channels::{self, ChannelState};
use crate::incidents::{ChannelId, routes};

#[derive(Template)]
#[template(path = "project_channels.html", config = "src/http/admin/askama.toml")]
struct ProjectChannelsPage {
    frame: Frame,
    slug: String,
    name: String,
    headline: String,
    rings_all: bool,
    lines: Vec<Line>,
    may_change: bool,
    /// Where they are chosen; empty: here.
    file: String,
}

struct Line {
    id: String,
    name: String,
    kind: &'static str,
    badge: Badge,
    is_chosen: bool,
}

/// `GET /projects/{slug}/channels`
pub(super) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    slug: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let now = state.clock.now();
    let rendered = state
        .store
        .read(move |tx| {
            let actor = signed_in.session.actor();
            let project = find_project(tx, &actor.visible(), &slug)?;
            let chosen = routes::find_chosen(tx, project.id)?;
            let known = channels::list(tx)?;
            let is_chosen = |id: &ChannelId| chosen.as_ref().is_some_and(|chosen| chosen.contains(id));
            let rung = |id: &ChannelId| chosen.is_none() || is_chosen(id);
            let ready = known
                .iter()
                .filter(|channel| channel.state == ChannelState::Ready && rung(&channel.id))
                .count();
            let subject = Subject::Project(project.id);
            Ok::<_, Problem>(ProjectChannelsPage {
                headline: headline(ready, known.is_empty(), &project.name),
                rings_all: chosen.is_none(),
                lines: known
                    .iter()
                    .map(|channel| Line {
                        id: channel.uid.to_string(),
                        name: channel.name.clone(),
                        kind: kind_name(channel.kind),
                        badge: state_badge(channel, now),
                        is_chosen: is_chosen(&channel.id),
                    })
                    .collect(),
                may_change: project.owner == Owner::Page
                    && decide(&actor, Permission::Configure, subject) == Decision::Allowed,
                file: from_file::told(tx, project.owner == Owner::File, "projects", project.slug.as_str())?,
                slug: project.slug.to_string(),
                name: project.name,
                frame: Frame::load(tx, &signed_in, Place::Projects)?,
            })
        })
        .await?;
    page(&rendered)
}

fn headline(ready: usize, is_nobody: bool, name: &str) -> String {
    match ready {
        _ if is_nobody => "Nobody can be rung yet".to_owned(),
        0 => format!("None of the channels of {name} can ring"),
        1 => format!("{name} rings one channel"),
        many => format!("{name} rings {many} channels"),
    }
}

/// `POST /projects/{slug}/channels`: `which` is `all`, or `some` with the ids in `channel`.
pub(super) async fn choose(
    state: web::Data<AppState>,
    slug: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let caller = form.caller();
    let names: Vec<String> = form.fields.all("channel").map(str::to_owned).collect();
    let wants_all = form.text("which") == "all";
    if !wants_all && names.is_empty() {
        return Err(Problem::bad_request(
            "Choose at least one channel, or all of them: an alarm must reach somebody.",
        ));
    }
    let (now, slug) = (state.clock.now(), slug.into_inner());
    let named = slug.clone();
    state
        .store
        .write("project.channels", move |tx| {
            let project = find_project(tx, &caller.visible(), &named)?;
            caller.may(Permission::Configure, Subject::Project(project.id))?;
            if project.owner == Owner::File {
                return Err(accounts::Error::OwnedByFile.into());
            }
            let mut chosen = Vec::new();
            for name in names.iter().filter(|_| !wants_all) {
                chosen.push(super::channels::find(tx, name)?);
            }
            let ids: Vec<ChannelId> = chosen.iter().map(|channel| channel.id).collect();
            routes::choose(tx, project.id, &ids)?;
            let names: Vec<&str> = chosen.iter().map(|channel| channel.name.as_str()).collect();
            let detail = if wants_all { json!({ "channels": "all" }) } else { json!({ "channels": names }) };
            let (by, project_id) = (caller.by(now), Some(project.id));
            let subject = project.slug.to_string();
            let change =
                Change { action: "project.channels", subject: &subject, project: project_id, detail };
            Ok::<_, Problem>(audit::append(tx, &by, &change)?)
        })
        .await?;
    Ok(see_other(&format!("/projects/{slug}/channels")))
}
