//! One planned work: the form that plans it, and the buttons that end it.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use chrono_tz::Tz;
use serde::Deserialize;

use super::chooser::{self, Among, Choice};
use super::configurable::{configurable, project_choices};
use super::form::{Form, Wrongs};
use super::frame::{Frame, Place, form_page, page, page_with, see_other};
use super::from_file;
use super::incident_words::Badge;
use super::maintenance_form::{Draft, Kept, coming, from_to, read, told};
use super::moments::{clock, span, until};
use super::schedule_words::{Coming, Preview, PreviewAlone, words, zones};
use crate::accounts::Visible;
use crate::accounts::access::Decision;
use crate::base::crontab::parse_zone;
use crate::base::owned::Owner;
use crate::base::{Timestamp, Uid};
use crate::heartbeats::Slug;
use crate::http::acts::maintenance::{Aim, sees};
use crate::http::acts::rights::{Act, Thing, decide};
use crate::http::acts::{self, Refused};
use crate::http::auth::{Caller, SignedIn, find_project};
use crate::http::visible::Slugs;
use crate::http::{AppState, Problem};
use crate::incidents::Error;
use crate::incidents::maintenance::{self, Called, Maintenance};
use crate::store::ReadTx;

#[derive(Template)]
#[template(path = "maintenance_edit.html", config = "src/http/admin/askama.toml")]
struct EditPage {
    frame: Frame,
    /// Of the one that is changed; empty for a new one.
    id: String,
    title: String,
    standing: String,
    badge: Badge,
    /// Where a file names it; empty where the page changes it.
    file: String,
    is_current: bool,
    is_over: bool,
    may_change: bool,
    /// For those who may not change it, or where a file says how it is.
    facts: Vec<(&'static str, String)>,
    next: Vec<Coming>,
    form: FormView,
}

/// The fields as the template asks for them.
#[expect(clippy::struct_excessive_bools, reason = "what a template asks is yes or no")]
struct FormView {
    draft: Draft,
    wrongs: Wrongs,
    preview: Preview,
    choices: Vec<Choice>,
    is_cut: bool,
    projects: Vec<(String, String)>,
    may_cover_all: bool,
    zones: Vec<&'static str>,
    is_new: bool,
    is_fresh: bool,
    /// Whoever saves it later than somebody else is told.
    seen: String,
}

#[derive(Default, Deserialize)]
pub(super) struct Asked {
    subject: Option<String>,
}

/// Its times, in its zone.
pub(super) fn when(known: &Maintenance) -> String {
    let draft = &known.draft;
    let zone = parse_zone(&draft.time_zone).unwrap_or(Tz::UTC);
    let lasts = std::time::Duration::from_secs(draft.duration_s.into());
    match draft.plan().ok().and_then(|plan| plan.repeats) {
        Some(crontab) => format!("{}, for {}", words(&crontab), span(lasts)),
        None => from_to(draft.starts_at, draft.starts_at + lasts, zone),
    }
}

pub(super) fn standing(known: &Maintenance, now: Timestamp) -> String {
    match (known.current, known.next_at, known.ended_at) {
        (Some(current), _, _) => {
            format!(
                "in progress since {}, ends {}",
                clock(current.begins_at, now),
                until(current.ends_at, now)
            )
        }
        (None, _, Some(ended)) => format!("over since {}", clock(ended, now)),
        (None, Some(next), None) => format!("begins {}", until(next, now)),
        (None, None, None) => "begins in a moment".to_owned(),
    }
}

fn badge(known: &Maintenance) -> Badge {
    match (known.current, known.ended_at) {
        (Some(_), _) => Badge { class: "work", word: "in progress" },
        (None, None) => Badge { class: "unknown", word: "planned" },
        (None, Some(_)) => Badge { class: "ok", word: "over" },
    }
}

/// `GET /maintenance/new?subject=heartbeat:7`
pub(super) async fn show_new(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    let subjects = asked.into_inner().subject.into_iter().collect();
    let shown = new_page(&state, signed_in, Draft { subjects, ..Draft::new() }, Wrongs::default()).await?;
    page(&shown)
}

async fn new_page(
    state: &AppState,
    signed_in: SignedIn,
    mut draft: Draft,
    wrongs: Wrongs,
) -> Result<EditPage, Problem> {
    let now = state.clock.now();
    state
        .store
        .read(move |tx| {
            let projects = configurable(tx, &signed_in)?;
            if projects.is_empty() {
                return Err(Problem::forbidden("Members of a project plan its maintenance: ask an owner."));
            }
            let is_fresh = wrongs.is_empty();
            if is_fresh && let Some(first) = projects.first() {
                draft.project = first.slug.to_string();
            }
            let form = form_view(tx, &signed_in, (draft, wrongs), (true, is_fresh), now)?;
            Ok(EditPage {
                frame: Frame::load(tx, &signed_in, Place::Maintenance)?,
                id: String::new(),
                title: String::new(),
                standing: String::new(),
                badge: Badge { class: "unknown", word: "" },
                file: String::new(),
                is_current: false,
                is_over: false,
                may_change: true,
                facts: Vec::new(),
                next: Vec::new(),
                form,
            })
        })
        .await
}

fn form_view(
    tx: &ReadTx<'_>,
    signed_in: &SignedIn,
    (draft, wrongs): (Draft, Wrongs),
    (is_new, is_fresh): (bool, bool),
    now: Timestamp,
) -> Result<FormView, Problem> {
    let visible = signed_in.session.actor().visible();
    let project = match draft.project.as_str() {
        "" => None,
        slug => Some(find_project(tx, &visible, slug)?.id),
    };
    let among = Among { visible: visible.clone(), project, with_services: true };
    let (choices, is_cut) = chooser::load(tx, &among, &draft.subjects, "")?;
    Ok(FormView {
        preview: draft.preview(now),
        choices,
        is_cut,
        projects: project_choices(configurable(tx, signed_in)?),
        may_cover_all: visible == Visible::All,
        zones: zones(),
        is_new,
        is_fresh,
        seen: String::new(),
        draft,
        wrongs,
    })
}

/// `GET /maintenance/{id}`
pub(super) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let shown = edit_page(&state, signed_in, &id, (None, Wrongs::default())).await?;
    page(&shown)
}

fn find(tx: &ReadTx<'_>, visible: &Visible, id: &str, now: Timestamp) -> Result<Maintenance, Problem> {
    let missing = || Problem::not_found("maintenance");
    let uid: Uid = id.parse().map_err(|_| missing())?;
    maintenance::find(tx, now, uid)?.filter(|known| sees(visible, known)).ok_or_else(missing)
}

async fn edit_page(
    state: &AppState,
    signed_in: SignedIn,
    id: &str,
    (typed, wrongs): (Option<Draft>, Wrongs),
) -> Result<EditPage, Problem> {
    let (now, id) = (state.clock.now(), id.to_owned());
    state
        .store
        .read(move |tx| {
            let actor = signed_in.session.actor();
            let known = find(tx, &actor.visible(), &id, now)?;
            let project = Slugs::default().of(tx, known.draft.project)?.unwrap_or_default();
            let draft = typed.unwrap_or_else(|| Draft::of(&known, project.clone()));
            let form = form_view(tx, &signed_in, (draft, wrongs), (false, false), now)?;
            let may =
                decide(&actor, Act::Change, Thing::Maintenance, known.draft.project) == Decision::Allowed;
            let zone = parse_zone(&known.draft.time_zone).unwrap_or(Tz::UTC);
            let next = known.draft.plan().map(|plan| coming(&plan, zone, now)).unwrap_or_default();
            Ok(EditPage {
                frame: Frame::load(tx, &signed_in, Place::Maintenance)?,
                id: known.uid.to_string(),
                standing: standing(&known, now),
                badge: badge(&known),
                file: from_file::told(tx, known.draft.owner == Owner::File, "maintenance", &known.draft.key)?,
                is_current: known.current.is_some(),
                is_over: known.ended_at.is_some(),
                may_change: may,
                facts: facts(&known, &project, covers(tx, &actor.visible(), &known)?),
                next: if known.ended_at.is_some() { Vec::new() } else { next },
                form: FormView { seen: known.version.to_string(), ..form },
                title: known.draft.title,
            })
        })
        .await
}

/// What it covers, by the names that people know.
fn covers(tx: &ReadTx<'_>, visible: &Visible, known: &Maintenance) -> Result<String, Problem> {
    let names = known.draft.subjects.iter().map(|key| chooser::name(tx, visible, key));
    let names: Vec<String> = names.collect::<Result<_, _>>()?;
    Ok(if names.is_empty() { "everything".to_owned() } else { names.join(", ") })
}

fn facts(known: &Maintenance, project: &str, covers: String) -> Vec<(&'static str, String)> {
    let draft = &known.draft;
    let mut facts = vec![
        ("When", when(known)),
        ("Project", if project.is_empty() { "every project".to_owned() } else { project.to_owned() }),
        ("Covers", covers),
        ("On the status page", if draft.is_public { "yes" } else { "no" }.to_owned()),
        ("Planned by", known.created_by.clone()),
    ];
    if !draft.message.is_empty() {
        facts.insert(4, ("Message", draft.message.clone()));
    }
    facts
}

/// `POST /maintenance`
pub(super) async fn create(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    form.once(state, "/maintenance", make).await
}

async fn make(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    let draft = Draft::typed(&form.fields);
    match save(&state, form.caller(), &draft, (None, Aim::NewUnderFreeKey)).await? {
        Ok(uid) => Ok(see_other(&format!("/maintenance#{uid}"))),
        Err(wrongs) => form_page(true, &new_page(&state, form.signed_in, draft, wrongs).await?),
    }
}

/// `POST /maintenance/{id}`
pub(super) async fn update(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let (visible, named, now) = (form.caller().visible(), id.clone(), state.clock.now());
    let known = state.store.read(move |tx| find(tx, &visible, &named, now)).await?;
    let (draft, aim) = (Draft::typed(&form.fields), Aim::Known { seen: form.seen() });
    match save(&state, form.caller(), &draft, (Some(known), aim)).await {
        Ok(Ok(uid)) => Ok(see_other(&format!("/maintenance/{uid}"))),
        Ok(Err(wrongs)) => {
            form_page(true, &edit_page(&state, form.signed_in, &id, (Some(draft), wrongs)).await?)
        }
        Err(Refused::Stale(what)) => {
            let typed = (Some(draft), Wrongs::overtaken(what));
            page_with(StatusCode::CONFLICT, &edit_page(&state, form.signed_in, &id, typed).await?)
        }
        Err(refused) => Err(refused.into()),
    }
}

/// Plans what a form says, or changes what is known; the wrongs are what a person can mend.
async fn save(
    state: &AppState,
    caller: Caller,
    draft: &Draft,
    (known, aim): (Option<Maintenance>, Aim),
) -> Result<Result<Uid, Wrongs>, Refused<Error>> {
    let key = known.as_ref().map_or_else(|| key_of(&draft.title), |known| known.draft.key.clone());
    let scheduled = known.filter(|known| known.draft.schedule.is_some());
    let kept = Kept { starts_at: scheduled.map(|known| known.draft.starts_at) };
    // Which project it is of, and what it covers there, is seen to where it is saved.
    let wanted = match read(draft, (key, None), kept, state.clock.now()) {
        Ok(wanted) => wanted,
        Err(wrongs) => return Ok(Err(wrongs)),
    };
    let project = Some(draft.project.clone()).filter(|slug| !slug.is_empty());
    if project.is_none() && caller.visible() != Visible::All {
        return Ok(Err(Wrongs::one("project", "Choose a project: only owners cover them all.")));
    }
    match acts::maintenance::save(state, caller, project, (wanted, aim)).await {
        Ok((saved, _)) => Ok(Ok(saved.uid)),
        Err(Refused::Stale(what)) => Err(Refused::Stale(what)),
        Err(refused) => {
            let told = |detail: String| Err(told(&detail, draft.repeats()));
            Problem::from(refused).to_mend().map(told).map_err(Refused::from)
        }
    }
}

/// A key made of the title: files can name it.
fn key_of(title: &str) -> String {
    const STEM_CHARS_MAX: usize = 50;
    let slug = Slug::derive(title).map_or_else(|| "maintenance".to_owned(), |slug| slug.to_string());
    let stem: String = slug.trim_start_matches(['-', '_']).chars().take(STEM_CHARS_MAX).collect();
    if stem.is_empty() { "maintenance".to_owned() } else { stem }
}

/// `POST /maintenance/{id}/{act}`
pub(super) async fn act(
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let (id, word) = path.into_inner();
    let id: Uid = id.parse().map_err(|_| Problem::not_found("maintenance"))?;
    match word.as_str() {
        "end" => drop(acts::maintenance::call_off(&state, form.caller(), id, Called::ThisTime).await?),
        "call-off" => drop(acts::maintenance::call_off(&state, form.caller(), id, Called::ForGood).await?),
        "remove" => acts::maintenance::remove(&state, form.caller(), id).await?,
        _ => return Err(Problem::not_found("page")),
    }
    Ok(see_other("/maintenance"))
}

/// `GET /maintenance/preview`: what the times mean, while they are typed.
pub(super) async fn preview(
    state: web::Data<AppState>,
    _: SignedIn,
    query: web::Query<Vec<(String, String)>>,
) -> Result<HttpResponse, Problem> {
    let draft = Draft::typed(&query.into_inner().into());
    page(&PreviewAlone { preview: draft.preview(state.clock.now()) })
}
