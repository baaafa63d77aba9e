//! Asking once, by hand: what was seen and how it is judged. Nothing of it is stored.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::words::{latency, phases, status_badge};
use crate::http::acts::probe::{Trial, stored_trial};
use crate::http::admin::frame::page;
use crate::http::admin::incident_words::Badge;
use crate::http::admin::{Form, see_other};
use crate::http::{AppState, Problem};
use crate::prober;
use crate::probes::board::Outcome;
use crate::probes::judge::Reading;
use crate::probes::{Kind, Status};

/// The answer to one question, as the form and the page of a probe show it.
#[derive(Template)]
#[template(path = "probe_tried.html", config = "src/http/admin/askama.toml")]
pub(super) struct Tried {
    badge: Badge,
    /// What was wrong; empty where nothing was.
    reason: String,
    total: String,
    phases: Vec<PhaseBar>,
    conditions: Vec<Outcome>,
    facts: Vec<(&'static str, String)>,
    address: String,
    head: String,
    lines: Vec<(String, String)>,
    body: String,
}

/// One phase, and how much of the whole it took.
pub(in crate::http::admin) struct PhaseBar {
    pub(in crate::http::admin) name: &'static str,
    pub(in crate::http::admin) took: String,
    /// Of a box that is 100 wide: where it begins and how long it is.
    pub(in crate::http::admin) x: String,
    pub(in crate::http::admin) width: String,
    pub(in crate::http::admin) class: &'static str,
}

/// Asks once.
///
/// # Errors
/// Where too many ask at once.
pub(super) async fn ask(state: &AppState, trial: Trial) -> Result<Tried, Problem> {
    let Trial { checked, secrets, owner } = trial;
    Ok(state.prober.try_now(&checked, secrets, owner).await?.into())
}

impl From<prober::Tried> for Tried {
    fn from(tried: prober::Tried) -> Self {
        let prober::Tried { reading, reason, phases: took, facts, sample, outcomes } = tried;
        Self {
            badge: match reading {
                Reading::Good => Badge { word: "good", ..status_badge(Status::Healthy) },
                Reading::Slow => Badge { word: "slow", ..status_badge(Status::Degraded) },
                Reading::Bad => Badge { word: "bad", ..status_badge(Status::Unhealthy) },
                Reading::Blind => Badge { word: "not seen", ..status_badge(Status::Unknown) },
            },
            reason,
            total: latency(took.total),
            phases: bars(&phases(&took), took.total),
            conditions: outcomes,
            facts,
            address: sample.address.map(|address| address.to_string()).unwrap_or_default(),
            head: sample.head,
            lines: sample.lines,
            body: sample.body,
        }
    }
}

/// Phases as pieces of one bar.
pub(super) fn bars(phases: &[(&'static str, Duration)], total: Duration) -> Vec<PhaseBar> {
    let sum: Duration = phases.iter().map(|(_, took)| *took).sum();
    let whole = total.max(sum).as_secs_f64().max(f64::EPSILON);
    let mut began = 0.0;
    let bars = phases.iter().map(|(name, took)| {
        let width = (took.as_secs_f64() / whole * 100.0).min(100.0 - began);
        let x = began;
        began += width;
        PhaseBar {
            name,
            took: latency(*took),
            x: format!("{x:.1}"),
            width: format!("{:.1}", width.max(0.4)),
            class: match *name {
                "name lookup" => "p1",
                "connection" => "p2",
                "TLS" => "p3",
                "answer" => "p4",
                _ => "p5",
            },
        }
    });
    bars.collect()
}

/// `POST /probes/{key}/try`: the probe as it is stored.
pub(in crate::http::admin) async fn again(
    state: web::Data<AppState>,
    request: HttpRequest,
    key: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let key = key.into_inner();
    let place = format!("/probes/{key}");
    let trial = stored_trial(&state, form.caller(), key).await?;
    if !request.headers().contains_key("hx-request") {
        return Ok(see_other(&place));
    }
    if trial.checked.definition.kind() == Kind::Push {
        return Err(Problem::bad_request("Nothing is asked here: it is reported to."));
    }
    page(&ask(&state, trial).await?)
}
