//! Intake for apps without an SDK: `POST /api/v1/errors`, `/metrics`, `/deploys`.
//!
//! Key: a DSN public key or an ingest token as bearer, or `?sentry_key=`.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::auth::{bearer, find_project, token_actor};
use super::super::request::request_id;
use super::super::{AppState, Problem};
use super::admit::{Refusal, admit, find_grant, grant_of, read_body};
use super::envelope::refuse_event;
use super::sentry::with_cors;
use crate::accounts::access::{Decision, Permission, Subject, decide};
use crate::accounts::keys::Grant;
use crate::accounts::{PublicKey, Visible};
use crate::base::{EventId, ProjectId, Severity, Uid};
use crate::issues::incoming::{Incoming, Origin};
use crate::issues::record::Recorded;
use crate::ledger::{Category, Reason};
use crate::metrics::parse_points;
use crate::releases::{self, NewDeploy};

/// Whose door a request came through.
struct Sender {
    project: ProjectId,
    /// `None`: a token, which has no quota of its own.
    grant: Option<Arc<Grant>>,
}

#[derive(Deserialize)]
struct ProjectQuery {
    project: Option<String>,
}

/// What `POST /api/v1/errors` takes. Only `message` or `error_type` must be there.
#[derive(Deserialize)]
struct ReportedError {
    error_type: Option<String>,
    message: Option<String>,
    context: Option<Value>,
    severity: Option<String>,
    user_id: Option<Value>,
    metadata: Option<Map<String, Value>>,
    stack_trace: Option<String>,
    class: Option<String>,
    code: Option<Value>,
    status: Option<Value>,
    retryable: Option<bool>,
    fingerprint: Option<Vec<Value>>,
    release: Option<String>,
    environment: Option<String>,
    timestamp: Option<Value>,
    event_id: Option<String>,
    platform: Option<String>,
}

#[derive(Serialize)]
struct ErrorTaken {
    event_id: EventId,
    issue_id: Option<Uid>,
}

/// Takes one error.
pub async fn errors(
    request: HttpRequest,
    mut payload: web::Payload,
    state: web::Data<AppState>,
) -> HttpResponse {
    answer(&request, &state, take_error(&request, &mut payload, &state).await)
}

/// Takes one metric point or an array of them.
pub async fn metrics(
    request: HttpRequest,
    mut payload: web::Payload,
    state: web::Data<AppState>,
) -> HttpResponse {
    answer(&request, &state, take_metrics(&request, &mut payload, &state).await)
}

/// Takes the news of a deploy.
pub async fn deploys(
    request: HttpRequest,
    mut payload: web::Payload,
    state: web::Data<AppState>,
) -> HttpResponse {
    answer(&request, &state, take_deploy(&request, &mut payload, &state).await)
}

async fn take_error(
    request: &HttpRequest,
    payload: &mut web::Payload,
    state: &web::Data<AppState>,
) -> Result<HttpResponse, Refusal> {
    let sender = find_sender(request, state).await?;
    let refuse = |detail: String| {
        Refusal::new(StatusCode::BAD_REQUEST, detail, Reason::Invalid).of(sender.project, Category::Error)
    };
    let body = read_body(request, payload, state).await?;
    let reported: ReportedError = serde_json::from_slice(&body)
        .map_err(|error| refuse(format!("The body is not such an error: {error}.")))?;
    if reported.message.is_none() && reported.error_type.is_none() {
        return Err(refuse("`message` or `error_type` must be there.".to_owned()));
    }
    if let Some(severity) = &reported.severity
        && severity.parse::<Severity>().is_err()
    {
        return Err(refuse("`severity` is one of low, medium, high, critical.".to_owned()));
    }
    admit_events(state, &sender, 1)?;
    let origin = Origin {
        project: sender.project,
        received_at: state.clock.now(),
        event: reported.event_id.as_deref().and_then(EventId::parse),
        fallback_event: EventId(state.entropy.bytes()),
        severity_max: sender.grant.as_ref().map_or(Severity::Critical, |grant| grant.cap(Severity::Critical)),
    };
    let json = as_event(reported).to_string();
    let event = Incoming::prepare(&origin, &state.tools, json.as_bytes())
        .map_err(|error| refuse_event(&error, sender.project))?;
    let event_id = event.event;
    let recorded = state.take_event(event).await.map_err(|error| busy(error, sender.project))?;
    let issue_id = match recorded {
        Recorded::Stored(issue) | Recorded::Sampled(issue) => Some(issue),
        Recorded::Duplicate => None,
    };
    Ok(with_cors(StatusCode::CREATED).json(ErrorTaken { event_id, issue_id }))
}

/// The error in the form that everything behind the door understands: a Sentry event.
fn as_event(reported: ReportedError) -> Value {
    let level = match reported.severity.as_deref() {
        Some("low") => "info",
        Some("medium") => "warning",
        Some("critical") => "fatal",
        _ => "error",
    };
    let mut extra = reported.metadata.unwrap_or_default();
    let hints = [
        ("class", reported.class.map(Value::from)),
        ("code", reported.code),
        ("status", reported.status),
        ("retryable", reported.retryable.map(Value::from)),
        ("severity", reported.severity.map(Value::from)),
        ("stack_trace", reported.stack_trace.map(Value::from)),
    ];
    extra.extend(hints.into_iter().filter_map(|(name, value)| value.map(|value| (name.to_owned(), value))));
    let context = match reported.context {
        Some(Value::Object(members)) => Value::Object(members),
        Some(Value::Null) | None => json!({}),
        Some(other) => json!({ "value": other }),
    };
    let mut event = json!({
        "level": level,
        "platform": reported.platform.unwrap_or_else(|| "other".to_owned()),
        "extra": extra,
        "contexts": { "context": context },
    });
    let members = [
        ("release", reported.release.map(Value::from)),
        ("environment", reported.environment.map(Value::from)),
        ("timestamp", reported.timestamp),
        ("fingerprint", reported.fingerprint.map(Value::from)),
        ("user", reported.user_id.map(|id| json!({ "id": id }))),
    ];
    for (name, value) in members {
        if let Some(value) = value {
            event[name] = value;
        }
    }
    match reported.error_type {
        Some(error_type) => {
            event["exception"] = json!({ "values": [{ "type": error_type, "value": reported.message }] });
        }
        None => event["message"] = reported.message.map_or(Value::Null, Value::from),
    }
    event
}

async fn take_metrics(
    request: &HttpRequest,
    payload: &mut web::Payload,
    state: &web::Data<AppState>,
) -> Result<HttpResponse, Refusal> {
    let sender = find_sender(request, state).await?;
    let body = read_body(request, payload, state).await?;
    let points = parse_points(&body, sender.project, state.clock.now()).map_err(|error| {
        Refusal::new(StatusCode::BAD_REQUEST, error.to_string(), Reason::Invalid)
            .of(sender.project, Category::TraceMetric)
    })?;
    let taken = state.take_points(points).await.map_err(|error| busy(error, sender.project))?;
    Ok(with_cors(StatusCode::CREATED).json(json!({ "accepted": taken })))
}

async fn take_deploy(
    request: &HttpRequest,
    payload: &mut web::Payload,
    state: &web::Data<AppState>,
) -> Result<HttpResponse, Refusal> {
    let sender = find_sender(request, state).await?;
    let body = read_body(request, payload, state).await?;
    let refuse = |detail: String| Refusal::new(StatusCode::BAD_REQUEST, detail, Reason::Invalid);
    let new: NewDeploy = serde_json::from_slice(&body)
        .map_err(|error| refuse(format!("The body is not such a deploy: {error}.")))?;
    new.validate().map_err(|error| refuse(error.to_string()))?;
    let (entropy, now, project) = (state.entropy.clone(), state.clock.now(), sender.project);
    let deploy = state
        .store
        .write("deploy.record", move |tx| releases::record(tx, &entropy, now, project, &new))
        .await
        .map_err(|error| busy(error, project))?;
    Ok(with_cors(StatusCode::CREATED).json(deploy))
}

/// An ingest token for one project (or with `?project=`), else a DSN key in any of its forms.
async fn find_sender(request: &HttpRequest, state: &web::Data<AppState>) -> Result<Sender, Refusal> {
    let Some(token) = bearer(request) else { return by_key(request, state).await };
    if let Ok(key) = token.expose().parse::<PublicKey>() {
        let grant = grant_of(request, state, None, key).await?;
        return Ok(Sender { project: grant.project, grant: Some(grant) });
    }
    let refuse = |problem: Problem| Refusal {
        problem,
        reason: Reason::UnknownKey,
        category: Category::Default,
        project: None,
    };
    let actor = token_actor(state, &token).await.map_err(refuse)?;
    let named = web::Query::<ProjectQuery>::from_query(request.query_string())
        .ok()
        .and_then(|query| query.into_inner().project);
    let visible = actor.visible();
    let project = match (&visible, named) {
        (_, Some(named)) => {
            let scope = visible.clone();
            state
                .store
                .read(move |tx| find_project(tx, &scope, &named).map(|project| project.id))
                .await
                .map_err(refuse)?
        }
        (Visible::Only(projects), None) if projects.len() == 1 => projects[0],
        _ => return Err(refuse(Problem::bad_request("This token is for every project: add `?project=`."))),
    };
    match decide(&actor, Permission::Ingest, Subject::Project(project)) {
        Decision::Allowed => Ok(Sender { project, grant: None }),
        Decision::Denied(denial) => Err(refuse(denial.into())),
    }
}

async fn by_key(request: &HttpRequest, state: &web::Data<AppState>) -> Result<Sender, Refusal> {
    let grant = find_grant(request, state, None, None).await?;
    Ok(Sender { project: grant.project, grant: Some(grant) })
}

fn admit_events(state: &AppState, sender: &Sender, events: u32) -> Result<(), Refusal> {
    let Some(grant) = &sender.grant else { return Ok(()) };
    admit(state, grant, events).map_err(|seconds| {
        let problem = Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "The key's quota of events is used up for the moment.",
        )
        .retry_after(seconds.into());
        Refusal {
            problem,
            reason: Reason::OverLimit,
            category: Category::Error,
            project: Some(sender.project),
        }
    })
}

fn busy(error: crate::store::Error, project: ProjectId) -> Refusal {
    Refusal { problem: error.into(), reason: Reason::Busy, category: Category::Error, project: Some(project) }
}

fn answer(request: &HttpRequest, state: &AppState, taken: Result<HttpResponse, Refusal>) -> HttpResponse {
    taken.unwrap_or_else(|refusal| {
        state.refusals.count(refusal.project, refusal.reason, refusal.category, 1);
        let mut response = refusal.problem.response(Some(&request_id(request)));
        for (name, value) in crate::sentry::answer::CORS_HEADERS {
            let name = actix_web::http::header::HeaderName::from_static(name);
            response.headers_mut().insert(name, actix_web::http::header::HeaderValue::from_static(value));
        }
        response
    })
}
