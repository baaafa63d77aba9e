//! Silences: what is kept quiet, why and until when.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::form::Form;
use super::frame::{Frame, Place, page_with, see_other};
use super::incident_acts::lasting;
use super::moments::{clock, until};
use crate::accounts::{Visible, projects};
use crate::base::{Timestamp, Uid};
use crate::http::acts::silence::{self, Wanted};
use crate::http::auth::SignedIn;
use crate::http::visible::{Slugs, sees_silence};
use crate::http::{AppState, Problem};
use crate::incidents::silences::{self, Silence};

#[derive(Template)]
#[template(path = "silences.html", config = "src/http/admin/askama.toml")]
struct SilencesPage {
    frame: Frame,
    active: Vec<SilenceLine>,
    ended: Vec<SilenceLine>,
    projects: Vec<(String, String)>,
    may_silence_all: bool,
    typed: Typed,
}

/// A refused form.
#[derive(Default)]
struct Typed {
    /// Its slug; empty is every project, as far as that may be chosen.
    project: String,
    key: String,
    hours: String,
    reason: String,
    wrong: Option<String>,
}

struct SilenceLine {
    id: String,
    covers: String,
    key: String,
    /// The one incident that is silent: its outside id and its number.
    incident: Option<(String, i64)>,
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
    silences_page(&state, signed_in, None).await
}

async fn silences_page(
    state: &AppState,
    signed_in: SignedIn,
    refused: Option<Typed>,
) -> Result<HttpResponse, Problem> {
    let now = state.clock.now();
    let status = if refused.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
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
            let projects: Vec<(String, String)> = projects::list(tx, &visible)?
                .into_iter()
                .map(|project| (project.slug.to_string(), project.name))
                .collect();
            let first = projects.first().map(|(slug, _)| slug.clone()).unwrap_or_default();
            let typed = refused.unwrap_or_else(|| Typed { project: first, ..Typed::default() });
            Ok::<_, Problem>(SilencesPage {
                may_silence_all: visible == Visible::All,
                projects,
                frame,
                active,
                ended,
                typed,
            })
        })
        .await?;
    page_with(status, &rendered)
}

fn line(silence: Silence, project: Option<String>, now: Timestamp) -> SilenceLine {
    let covers = match (&silence.project, project) {
        (None, _) if silence.incident.is_some() => "tocsin itself".to_owned(),
        (None, _) => "every project".to_owned(),
        (Some(_), Some(slug)) => slug,
        (Some(_), None) => "a removed project".to_owned(),
    };
    let ends = silence.ended_at.unwrap_or(silence.ends_at).min(silence.ends_at);
    SilenceLine {
        id: silence.uid.to_string(),
        covers,
        key: silence.key.unwrap_or_default(),
        incident: silence.incident.map(|(number, id)| (id.to_string(), number.0)),
        reason: silence.reason,
        created_by: silence.created_by,
        ends: clock(ends, now),
        ends_in: until(ends, now),
        may_end: false,
    }
}

/// `POST /silences`
pub(super) async fn create(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    form.once(state, "/silences", begin).await
}

async fn begin(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    let filled = |name| Some(form.text(name).to_owned()).filter(|text| !text.is_empty());
    let begun = match lasting(&form) {
        Ok(lasting) => {
            let wanted = Wanted { project: filled("project"), key: filled("key"), lasting };
            silence::begin(&state, form.caller(), wanted).await.map(drop)
        }
        Err(problem) => Err(problem),
    };
    match begun {
        Ok(()) => Ok(see_other("/silences")),
        Err(problem) if problem.status == StatusCode::BAD_REQUEST => {
            let typed = Typed {
                project: form.text("project").to_owned(),
                key: form.text("key").to_owned(),
                hours: form.text("hours").to_owned(),
                reason: form.text("reason").to_owned(),
                wrong: Some(problem.detail),
            };
            silences_page(&state, form.signed_in, Some(typed)).await
        }
        Err(problem) => Err(problem),
    }
}

/// `POST /silences/{id}/end`
pub(super) async fn end(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let id: Uid = id.parse().map_err(|_| Problem::not_found("silence"))?;
    silence::end(&state, form.caller(), id).await?;
    Ok(see_other("/silences"))
}
