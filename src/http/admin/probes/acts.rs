//! What is done with probes: paused, resumed, removed, given a new token.

use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpResponse, web};
use askama::Template;

use super::words::exact;
use crate::base::{Secret, Timestamp, span};
use crate::http::acts::probe::{Step, act, renew_token as renew_token_of};
use crate::http::admin::frame::{Place, page};
use crate::http::admin::{Form, Frame, see_other};
use crate::http::{AppState, Problem};
use crate::probes::{Kind, Probe};

/// Where results are reported to, shown once.
#[derive(Template)]
#[template(path = "probe_token.html", config = "src/http/admin/askama.toml")]
struct TokenPage {
    frame: Frame,
    address: String,
    every: String,
    name: String,
    key: String,
}

/// What a page can select, twice over.
const KEYS_MAX: usize = 100;
/// A pause that was forgotten ends by itself.
const PAUSE_MAX: Duration = Duration::from_hours(24 * 366);

/// `POST /probes`: `act` is `pause` or `resume`, for every probe whose key stands in `id`.
pub(in crate::http::admin) async fn many(
    state: web::Data<AppState>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let keys: Vec<String> = form.fields.all("id").map(str::to_owned).collect();
    let step = match form.text("act") {
        "pause" => Step::PauseRest,
        "resume" => Step::Resume,
        _ => return Err(Problem::bad_request("Say in `act` what is done: pause or resume.")),
    };
    if keys.is_empty() || keys.len() > KEYS_MAX {
        return Err(Problem::bad_request(format!("Select 1 to {KEYS_MAX} probes.")));
    }
    act(&state, form.caller(), keys, step).await?;
    Ok(see_other("/probes"))
}

/// `POST /probes/{key}/pause`: `lasts` is a span, or empty: until somebody resumes it.
pub(in crate::http::admin) async fn pause(
    state: web::Data<AppState>,
    key: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let until = lasting(form.text("lasts"), state.clock.now())?;
    act(&state, form.caller(), vec![key.clone()], Step::Pause(until)).await?;
    Ok(see_other(&format!("/probes/{key}")))
}

fn lasting(text: &str, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let lasts = span::parse(text).map_err(|bad| Problem::bad_request(format!("{bad}.")))?;
    if lasts.is_zero() || lasts > PAUSE_MAX {
        return Err(Problem::bad_request(format!("A pause lasts at most {}.", exact(PAUSE_MAX))));
    }
    Ok(Some(now + lasts))
}

/// `POST /probes/{key}/resume`
pub(in crate::http::admin) async fn resume(
    state: web::Data<AppState>,
    key: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    act(&state, form.caller(), vec![key.clone()], Step::Resume).await?;
    Ok(see_other(&format!("/probes/{key}")))
}

/// `POST /probes/{key}/remove`
pub(in crate::http::admin) async fn remove(
    state: web::Data<AppState>,
    key: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    act(&state, form.caller(), vec![key.into_inner()], Step::Remove).await?;
    Ok(see_other("/probes"))
}

/// `POST /probes/{key}/token`: a new address to report to, shown once; the one before is over.
pub(in crate::http::admin) async fn renew_token(
    state: web::Data<AppState>,
    key: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let place = format!("/probes/{key}/token");
    let key = key.into_inner();
    let renew = move |state: web::Data<AppState>, form: Form| async move {
        let (probe, token) = renew_token_of(&state, form.caller(), key).await?;
        show_token(&state, &form, (probe, &token)).await
    };
    form.once(state, &place, renew).await
}

/// Shows where to report to.
pub(super) async fn show_token(
    state: &AppState,
    form: &Form,
    (probe, token): (Probe, &Secret),
) -> Result<HttpResponse, Problem> {
    let mut shown = page(&TokenPage {
        frame: Frame::read(state, &form.signed_in, Place::Probes).await?,
        address: format!("{}/api/push/{}", state.base_url, token.expose()),
        every: exact(probe.definition.policy.interval),
        name: probe.name,
        key: probe.key,
    })?;
    shown.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(shown)
}

/// Whether results are reported to it.
pub(super) const fn is_pushed(kind: Kind) -> bool {
    matches!(kind, Kind::Push)
}
