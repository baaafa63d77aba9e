//! Planned work: what takes place, what is to come, what is over.

use actix_web::{HttpResponse, web};
use askama::Template;

use super::chooser;
use super::configurable::configurable;
use super::frame::{Frame, Place, page};
use super::maintenance::{standing, when};
use crate::accounts::access::Decision;
use crate::base::Timestamp;
use crate::base::owned::Owner;
use crate::http::acts::maintenance::sees;
use crate::http::acts::rights::{Act, Thing, decide};
use crate::http::auth::SignedIn;
use crate::http::visible::Slugs;
use crate::http::{AppState, Problem};
use crate::incidents::maintenance::{self, Maintenance};

#[derive(Template)]
#[template(path = "maintenance.html", config = "src/http/admin/askama.toml")]
struct ListPage {
    frame: Frame,
    headline: String,
    current: Vec<Line>,
    upcoming: Vec<Line>,
    over: Vec<Line>,
    may_plan: bool,
}

#[expect(clippy::struct_excessive_bools, reason = "what a template asks is yes or no")]
struct Line {
    id: String,
    title: String,
    project: String,
    covers: String,
    when: String,
    note: String,
    is_public: bool,
    is_file: bool,
    repeats: bool,
    may_change: bool,
}

/// What is over and still shown.
const OVER_SHOWN: usize = 50;

/// `GET /maintenance`
pub(super) async fn list(state: web::Data<AppState>, signed_in: SignedIn) -> Result<HttpResponse, Problem> {
    let now = state.clock.now();
    let rendered = state
        .store
        .read(move |tx| {
            let actor = signed_in.session.actor();
            let visible = actor.visible();
            let (mut current, mut upcoming, mut over) = (Vec::new(), Vec::new(), Vec::new());
            let mut slugs = Slugs::default();
            for known in maintenance::list(tx, now)?.into_iter().filter(|known| sees(&visible, known)) {
                let project = slugs.of(tx, known.draft.project)?;
                let may =
                    decide(&actor, Act::Change, Thing::Maintenance, known.draft.project) == Decision::Allowed;
                let covers = match known.draft.subjects.as_slice() {
                    [] => "everything".to_owned(),
                    [one] => chooser::name(tx, &visible, one)?,
                    many => format!("{} things", many.len()),
                };
                let line = Line { covers, ..line(&known, project, may, now) };
                match (known.current, known.ended_at) {
                    (Some(_), _) => current.push(line),
                    (None, None) => upcoming.push(line),
                    (None, Some(_)) => over.push(line),
                }
            }
            over.truncate(OVER_SHOWN);
            Ok::<_, Problem>(ListPage {
                headline: headline(current.len(), upcoming.len()),
                may_plan: !configurable(tx, &signed_in)?.is_empty(),
                frame: Frame::load(tx, &signed_in, Place::Maintenance)?,
                current,
                upcoming,
                over,
            })
        })
        .await?;
    page(&rendered)
}

fn headline(current: usize, upcoming: usize) -> String {
    match (current, upcoming) {
        (0, 0) => "Nothing is planned".to_owned(),
        (0, 1) => "One maintenance is planned".to_owned(),
        (0, more) => format!("{more} maintenances are planned"),
        (1, _) => "One maintenance is in progress".to_owned(),
        (more, _) => format!("{more} maintenances are in progress"),
    }
}

fn line(known: &Maintenance, project: Option<String>, may_change: bool, now: Timestamp) -> Line {
    let draft = &known.draft;
    Line {
        id: known.uid.to_string(),
        title: draft.title.clone(),
        project: match (draft.project, project) {
            (None, _) => "every project".to_owned(),
            (Some(_), Some(slug)) => slug,
            (Some(_), None) => "a removed project".to_owned(),
        },
        covers: String::new(),
        when: when(known),
        note: standing(known, now),
        is_public: draft.is_public,
        is_file: draft.owner == Owner::File,
        repeats: draft.schedule.is_some(),
        may_change,
    }
}
