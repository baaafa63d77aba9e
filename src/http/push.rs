//! Reports to probes: `/api/push/{token}`, as Uptime Kuma takes them by GET, or with a JSON body.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::read_small;
use super::own::uncached;
use super::strangers::TooMany;
use super::{AppState, Problem};
use crate::accounts::TokenHash;
use crate::probes::pushed::{BODY_BYTES_MAX, Report, Stored, Word};
use crate::probes::{Probe, find_by_token};
use crate::resilience::{Admission, Quota};

/// What may stand in the address.
#[derive(Default, Deserialize)]
pub(super) struct Words {
    status: Option<String>,
    message: Option<String>,
    /// Kuma's word for it.
    msg: Option<String>,
    value: Option<String>,
    /// Kuma's word for a number, milliseconds there.
    ping: Option<String>,
    latency: Option<String>,
}

/// By which a body may name the number that is kept.
const VALUES: [&str; 3] = ["value", "ping", "latency"];

/// `GET /api/push/{token}`
pub(super) async fn by_address(
    state: web::Data<AppState>,
    token: web::Path<String>,
    words: web::Query<Words>,
    request: HttpRequest,
) -> HttpResponse {
    take(&state, (&request, &token), &words, None).await
}

/// `POST /api/push/{token}`: what a JSON body says goes before what stands in the address.
pub(super) async fn by_body(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<AppState>,
    token: web::Path<String>,
    words: web::Query<Words>,
) -> HttpResponse {
    match read_small(&request, payload.into_inner(), BODY_BYTES_MAX).await {
        Ok(body) => take(&state, (&request, &token), &words, Some(&body)).await,
        Err(problem) => refuse(&problem),
    }
}

pub(super) async fn wrong_method() -> HttpResponse {
    refuse(&Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Report by GET or POST."))
}

type Named<'a> = (&'a HttpRequest, &'a str);

async fn take(state: &AppState, named: Named<'_>, words: &Words, body: Option<&[u8]>) -> HttpResponse {
    match accept(state, named, words, body).await {
        Ok(()) => uncached(HttpResponse::Ok().json(json!({"ok": true}))),
        Err(problem) => refuse(&problem),
    }
}

async fn accept(
    state: &AppState,
    (request, token): Named<'_>,
    words: &Words,
    body: Option<&[u8]>,
) -> Result<(), Problem> {
    let probe = find(state, request, token).await?;
    admit(state, token)?;
    let report = read(words, body)?;
    state.may_store()?;
    let stored = Stored { id: probe.id, at: state.clock.now(), report };
    Ok(state.prober.report(stored).await?)
}

async fn find(state: &AppState, request: &HttpRequest, token: &str) -> Result<Probe, Problem> {
    let question = state.strangers.ask(request, state).map_err(|TooMany { retry_after_s }| {
        let detail = "Too many wrong addresses came from you. Report to the one on the page of the probe.";
        Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(retry_after_s)
    })?;
    let wanted = token.to_owned();
    let found = state.store.read(move |tx| find_by_token(tx, &wanted)).await;
    if !matches!(found, Ok(None)) {
        state.strangers.forgive(question);
    }
    if matches!(&found, Err(error) if error.is_of_one_row()) {
        let detail = "A newer version of tocsin wrote this probe, and this one cannot judge its reports: upgrade again.";
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    found?.ok_or_else(|| {
        let detail = "No probe takes reports here. Make a new address on the page of the probe.";
        Problem::new(StatusCode::NOT_FOUND, detail)
    })
}

/// A probe that is reported to every second is often enough.
fn admit(state: &AppState, token: &str) -> Result<(), Problem> {
    let quota = Quota::new(60, Duration::from_mins(1));
    match state.push_limits.admit(&TokenHash::of(token), quota, state.clock.now(), 1) {
        Admission::Admitted { .. } => Ok(()),
        Admission::Refused { retry_after } => {
            let detail = "At most 60 reports a minute. Report less often.";
            let seconds = retry_after.as_secs().max(1);
            Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(seconds))
        }
    }
}

fn read(words: &Words, body: Option<&[u8]>) -> Result<Report, Problem> {
    let mut report = Report { status: word(words.status.as_deref())?, ..Report::default() };
    report.message = words.message.as_ref().or(words.msg.as_ref()).cloned().unwrap_or_default();
    for told in [&words.value, &words.ping, &words.latency].into_iter().flatten() {
        report.value = report.value.or(number(told)?);
    }
    if let Some(body) = body.filter(|body| !body.trim_ascii().is_empty()) {
        let text = |body: &Value, names: &[&str]| {
            names.iter().find_map(|name| Some(body.get(name)?.as_str()?.to_owned()))
        };
        let tree: Value = serde_json::from_slice(body)
            .map_err(|error| Problem::bad_request(format!("The body is no JSON: {error}.")))?;
        match tree.get("status") {
            None | Some(Value::Null) => {}
            Some(Value::String(status)) => report.status = word(Some(status))?,
            Some(_) => return Err(unknown_word()),
        }
        report.message = text(&tree, &["message", "msg"]).unwrap_or(report.message);
        let told = VALUES.iter().find_map(|name| tree.get(name).filter(|value| !value.is_null()));
        report.value = match told {
            None => report.value,
            Some(Value::String(text)) => number(text)?.or(report.value),
            Some(told) => Some(told.as_f64().ok_or_else(no_number)?),
        };
        report.body = Some(tree);
    }
    Ok(report)
}

fn word(text: Option<&str>) -> Result<Word, Problem> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(Word::Up) };
    Word::parse(text).ok_or_else(unknown_word)
}

fn unknown_word() -> Problem {
    Problem::bad_request("`status` is up, degraded or down.")
}

/// Kuma's senders leave it empty where they measured nothing.
fn number(text: &str) -> Result<Option<f64>, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.map(Some).ok_or_else(no_number)
}

fn no_number() -> Problem {
    Problem::bad_request(
        "`value` (also `ping`, `latency`) is a number such as 12.5, without a unit: leave it out where there is none.",
    )
}

/// In the shape that senders of reports know.
fn refuse(problem: &Problem) -> HttpResponse {
    let mut answer = HttpResponse::build(problem.status);
    for (name, value) in &problem.headers {
        answer.insert_header((name.clone(), value.clone()));
    }
    uncached(answer.json(json!({"ok": false, "msg": problem.detail})))
}
