//! Silences: what is kept quiet, why and until when.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use askama::Template;
use serde_json::json;

use super::form::Form;
use super::frame::{Frame, Place, page, see_other};
use super::incident_acts::silence_of;
use super::moments::{clock, until};
use crate::accounts::access::Permission;
use crate::accounts::audit::{self, Change};
use crate::accounts::{Visible, projects};
use crate::base::{Timestamp, Uid};
use crate::http::auth::{SignedIn, find_project};
use crate::http::visible::{Slugs, sees_silence, subject};
use crate::http::{AppState, Problem};
use crate::incidents::silences::{self, NewSilence, Silence};

#[derive(Template)]
#[template(path = "silences.html", config = "src/http/admin/askama.toml")]
struct SilencesPage {
    frame: Frame,
    active: Vec<SilenceLine>,
    ended: Vec<SilenceLine>,
    projects: Vec<(String, String)>,
    may_silence_all: bool,
}

struct SilenceLine {
    id: String,
    covers: String,
    key: String,
    reason: String,
    created_by: String,
    ends: String,
    ends_in: String,
    may_end: bool,
}

/// Silences that are over and still shown.
const ENDED_SHOWN: usize = 50;

/// `GET /silences`
pub(super) async fn list(state: web::Data<AppState>, signed_in: SignedIn) -> Result<HttpResponse, Problem> {
    let now = state.clock.now();
    let rendered = state
        .store
        .read(move |tx| {
            let visible = signed_in.session.actor().visible();
            let frame = Frame::load(tx, &signed_in, Place::Incidents)?;
            let mut slugs = Slugs::default();
            let (mut active, mut ended) = (Vec::new(), Vec::new());
            for silence in silences::list(tx)?.into_iter().filter(|silence| sees_silence(&visible, silence)) {
                let project = slugs.of(tx, silence.project)?;
                let is_over = silence.ended_at.is_some() || silence.ends_at <= now;
                let mut line = line(silence, project, now);
                line.may_end = frame.is_member && !is_over;
                if is_over { ended.push(line) } else { active.push(line) }
            }
            ended.truncate(ENDED_SHOWN);
            Ok::<_, Problem>(SilencesPage {
                may_silence_all: visible == Visible::All,
                projects: projects::list(tx, &visible)?
                    .into_iter()
                    .map(|project| (project.slug.to_string(), project.name))
                    .collect(),
                frame,
                active,
                ended,
            })
        })
        .await?;
    page(&rendered)
}

fn line(silence: Silence, project: Option<String>, now: Timestamp) -> SilenceLine {
    let covers = match (&silence.project, project) {
        (None, _) => "every project".to_owned(),
        (Some(_), Some(slug)) => slug,
        (Some(_), None) => "a removed project".to_owned(),
    };
    let ends = silence.ended_at.unwrap_or(silence.ends_at).min(silence.ends_at);
    SilenceLine {
        id: silence.uid.to_string(),
        covers,
        key: silence.key.unwrap_or_default(),
        reason: silence.reason,
        created_by: silence.created_by,
        ends: clock(ends, now),
        ends_in: until(ends, now),
        may_end: false,
    }
}

/// `POST /silences`
pub(super) async fn create(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    let now = state.clock.now();
    let (lasts, reason) = silence_of(&form)?;
    let key = Some(form.text("key").to_owned()).filter(|key| !key.is_empty());
    let named = Some(form.text("project").to_owned()).filter(|slug| !slug.is_empty());
    let (caller, incidents) = (form.caller(), Arc::clone(&state.incidents));
    state
        .store
        .write("silence.create", move |tx| {
            let visible = caller.visible();
            let project = match &named {
                Some(slug) => Some(find_project(tx, &visible, slug)?.id),
                // Somebody who does not see all may not silence all.
                None if visible != Visible::All => return Err(Problem::bad_request("Choose a project.")),
                None => None,
            };
            caller.may(Permission::Triage, subject(project))?;
            let by = caller.by(now);
            let hours = lasts.as_secs() / 3600;
            let silence = NewSilence {
                project,
                key,
                reason,
                created_by: by.actor.to_string(),
                starts_at: now,
                ends_at: now + lasts,
            };
            incidents.silence(tx, now, &silence)?;
            let subject = silence.key.as_deref().unwrap_or("everything");
            let detail = json!({ "hours": hours, "reason": silence.reason });
            Ok::<_, Problem>(audit::append(
                tx,
                &by,
                &Change { action: "silence.create", subject, project, detail },
            )?)
        })
        .await?;
    Ok(see_other("/silences"))
}

/// `POST /silences/{id}/end`
pub(super) async fn end(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let missing = || Problem::not_found("silence");
    let id: Uid = id.parse().map_err(|_| missing())?;
    let (now, caller, incidents) = (state.clock.now(), form.caller(), Arc::clone(&state.incidents));
    state
        .store
        .write("silence.end", move |tx| {
            let visible = caller.visible();
            let found = silences::list(tx)?.into_iter().find(|silence| silence.uid == id);
            let found = found.filter(|silence| sees_silence(&visible, silence)).ok_or_else(missing)?;
            caller.may(Permission::Triage, subject(found.project))?;
            incidents.end_silence(tx, now, found.id)?;
            let subject = found.key.as_deref().unwrap_or("everything");
            let (by, project) = (caller.by(now), found.project);
            let change =
                Change { action: "silence.end", subject, project, detail: json!({ "reason": found.reason }) };
            Ok::<_, Problem>(audit::append(tx, &by, &change)?)
        })
        .await?;
    Ok(see_other("/silences"))
}
