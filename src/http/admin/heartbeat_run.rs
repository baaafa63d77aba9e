//! One run of a heartbeat, with all that the job wrote.

use actix_web::{HttpResponse, web};
use askama::Template;

use super::frame::{Frame, Place, page, see_other};
use super::heartbeat::{RunLine, find, run_line};
use super::wording::When;
use crate::base::figures::bytes;
use crate::heartbeats::runs;
use crate::http::auth::SignedIn;
use crate::http::{AppState, Problem};

#[derive(Template)]
#[template(path = "heartbeat_run.html", config = "src/http/admin/askama.toml")]
struct RunPage {
    frame: Frame,
    heartbeat: String,
    name: String,
    line: RunLine,
    full: String,
    output: Option<String>,
    /// What is kept is less than was sent.
    cut: String,
}

/// `GET /heartbeats/{id}/runs/{run}`: one run with all that it wrote.
pub(super) async fn show_run(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    path: web::Path<(String, i64)>,
) -> Result<HttpResponse, Problem> {
    let (now, (id, run)) = (state.clock.now(), path.into_inner());
    let rendered = state
        .store
        .read(move |tx| {
            let heartbeat = find(tx, &signed_in, &id)?;
            let run = runs::find(tx, heartbeat.id, run)?.ok_or_else(|| Problem::not_found("run"))?;
            let kept = u64::try_from(run.body.as_ref().map_or(0, Vec::len)).unwrap_or(u64::MAX);
            Ok::<_, Problem>(RunPage {
                frame: Frame::load(tx, &signed_in, Place::Heartbeats)?,
                heartbeat: heartbeat.uid.to_string(),
                name: heartbeat.name,
                line: run_line(&run, now),
                full: When::new(run.at, now).full,
                output: run.text().map(std::borrow::Cow::into_owned),
                cut: if kept < run.body_bytes {
                    format!("{} were sent, {} of them are kept.", bytes(run.body_bytes), bytes(kept))
                } else {
                    String::new()
                },
            })
        })
        .await?;
    page(&rendered)
}

/// `GET /heartbeats/{id}/runs`: the runs stand on the heartbeat's page.
pub(super) async fn to_page(id: web::Path<String>) -> HttpResponse {
    see_other(&format!("/heartbeats/{id}"))
}
