//! Intake for apps without an SDK: `POST /api/v1/errors`, `/metrics`, `/deploys`.
//!
//! Key: a DSN public key or an ingest token as bearer, or `?sentry_key=`.

use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::auth::{bearer, find_project, token_actor};
use super::super::body::{Reading, Whole};
use super::super::request::request_id;
use super::super::{AppState, Problem};
use super::admit::{
    Allowance, OverQuota, Refusal, admit, admit_rest, api_limits, find_grant, grant_of, on_right_thread,
};
use super::envelope::refuse_event;
use super::reported::ReportedError;
use super::sentry::{with_cors, wrong_method_text};
use crate::accounts::access::{Decision, Permission, Subject, decide};
use crate::accounts::keys::Grant;
use crate::accounts::{KeyKind, PublicKey, Visible, projects};
use crate::base::{EventId, ProjectId, Severity, Uid};
use crate::issues::incoming::{Incoming, Origin};
use crate::issues::record::Recorded;
use crate::ledger::{Category, Reason};
use crate::metrics::parse_points;
use crate::releases::{self, NewDeploy};
use crate::sentry::answer::CORS_HEADERS;
use crate::store::ReadTx;

/// Whose door a request came through.
struct Sender {
    project: ProjectId,
    /// `None`: a token, which has no quota of its own.
    grant: Option<Arc<Grant>>,
}

/// A request whose body is still to be read.
pub struct Call {
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<AppState>,
}

#[derive(Deserialize)]
struct ProjectQuery {
    project: Option<String>,
}

#[derive(Serialize)]
struct ErrorTaken {
    event_id: EventId,
    issue_id: Option<Uid>,
}

/// Takes one error.
pub async fn errors(mut call: Call) -> HttpResponse {
    let taken = take_error(&mut call).await;
    call.answer(taken)
}

/// Takes one metric point or an array of them.
pub async fn metrics(mut call: Call) -> HttpResponse {
    let taken = take_metrics(&mut call).await;
    call.answer(taken)
}

/// Takes the news of a deploy.
pub async fn deploys(mut call: Call) -> HttpResponse {
    let taken = take_deploy(&mut call).await;
    call.answer(taken)
}

/// Answers every method but those that the path takes.
pub async fn wrong_method(request: HttpRequest) -> HttpResponse {
    refused(&request, &Problem::new(StatusCode::METHOD_NOT_ALLOWED, wrong_method_text(&request)))
}

impl FromRequest for Call {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), web::Payload::from_request(request, payload));
        Box::pin(async move {
            let state = web::Data::<AppState>::extract(&request).await?;
            Ok(Self { payload: payload.await?, state, request })
        })
    }
}

impl Call {
    async fn body(&mut self) -> Result<Whole, Refusal> {
        let limits = api_limits(&self.state);
        Ok(Reading::new(&self.request, &self.state, &mut self.payload, limits)?.whole().await?)
    }

    fn answer(&self, taken: Result<HttpResponse, Refusal>) -> HttpResponse {
        taken.unwrap_or_else(|refusal| {
            refusal.count(&self.state.refusals);
            refused(&self.request, &refusal.problem)
        })
    }
}

/// A browser sees the reason only beside the CORS headers.
fn refused(request: &HttpRequest, problem: &Problem) -> HttpResponse {
    let mut response = problem.response(Some(&request_id(request)));
    for (name, value) in CORS_HEADERS {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

async fn take_error(call: &mut Call) -> Result<HttpResponse, Refusal> {
    let sender = Arc::new(find_sender(call).await?);
    let lost = |refusal: Refusal| refusal.of(sender.project, Category::Error);
    sender.admit(&call.state, Allowance::Errors).map_err(lost)?;
    let body = call.body().await.map_err(lost)?;
    let (state, of_work) = (call.state.clone(), Arc::clone(&sender));
    let event = on_right_thread(body.len(), move || read_error(&state, &of_work, &body)).await?;
    let event_id = event.event;
    let recorded = call.state.take_event(event).await.map_err(Refusal::busy).map_err(lost)?;
    let issue_id = match recorded {
        Recorded::Stored(issue) | Recorded::Sampled(issue) => Some(issue),
        Recorded::Duplicate => None,
    };
    Ok(with_cors(StatusCode::CREATED).json(ErrorTaken { event_id, issue_id }))
}

fn read_error(state: &AppState, sender: &Sender, body: &[u8]) -> Result<Incoming, Refusal> {
    let reported = ReportedError::parse(body, &state.tools.scrubber)
        .map_err(|error| Refusal::invalid(&error).of(sender.project, Category::Error))?;
    let origin = Origin {
        project: sender.project,
        received_at: state.clock.now(),
        event: None,
        fallback_event: EventId(state.entropy.bytes()),
        severity_max: sender.grant.as_ref().map_or(Severity::Critical, |grant| grant.cap(Severity::Critical)),
    };
    let (event, warnings) = reported.into_event();
    Incoming::prepare_warned(&origin, &state.tools, event.to_string().as_bytes(), warnings)
        .map_err(|error| refuse_event(&error, sender.project))
}

async fn take_metrics(call: &mut Call) -> Result<HttpResponse, Refusal> {
    let sender = find_sender(call).await?;
    let lost = |refusal: Refusal| refusal.of(sender.project, Category::Metric);
    sender.admit(&call.state, Allowance::Others).map_err(lost)?;
    let body = call.body().await.map_err(lost)?;
    let (state, project, bytes) = (call.state.clone(), sender.project, body.len());
    let read = move || {
        parse_points(&body, &state.tools.scrubber, project, state.clock.now())
            .map_err(|error| Refusal::invalid(&error))
    };
    let points = on_right_thread(bytes, read).await.map_err(lost)?;
    let count = points.len() as u64;
    let lost = |refusal: Refusal| refusal.of_all(project, vec![(Category::Metric, count)]);
    sender.admit_rest(&call.state, Allowance::Others, count).map_err(lost)?;
    let taken = call.state.take_points(points).await.map_err(Refusal::busy).map_err(lost)?;
    Ok(with_cors(StatusCode::CREATED).json(json!({ "accepted": taken })))
}

async fn take_deploy(call: &mut Call) -> Result<HttpResponse, Refusal> {
    let sender = find_sender(call).await?;
    let lost = |refusal: Refusal| refusal.of(sender.project, Category::Deploy);
    if sender.grant.as_ref().is_some_and(|grant| grant.kind == KeyKind::Browser) {
        let detail = "Anybody can read a browser key: report deploys with a server key or an ingest token.";
        return Err(lost(Refusal::new(StatusCode::FORBIDDEN, detail, Reason::UnknownKey)));
    }
    sender.admit(&call.state, Allowance::Others).map_err(lost)?;
    let body = call.body().await.map_err(lost)?;
    let (state, bytes) = (call.state.clone(), body.len());
    let read =
        move || NewDeploy::parse(&body, &state.tools.scrubber).map_err(|error| Refusal::invalid(&error));
    let new = on_right_thread(bytes, read).await.map_err(lost)?;
    let state = &call.state;
    state.may_store().map_err(Refusal::busy).map_err(lost)?;
    let (entropy, now, project) = (state.entropy.clone(), state.clock.now(), sender.project);
    let deploy = state
        .store
        .write("deploy.record", move |tx| releases::record(tx, &entropy, now, project, &new))
        .await
        .map_err(Refusal::busy)
        .map_err(lost)?;
    Ok(with_cors(StatusCode::CREATED).json(deploy))
}

/// An ingest token for one project (or with `?project=`), else a DSN key in any of its forms.
async fn find_sender(call: &Call) -> Result<Sender, Refusal> {
    let (request, state) = (&call.request, &call.state);
    let Some(token) = bearer(request) else { return by_key(request, state).await };
    if let Ok(key) = token.expose().parse::<PublicKey>() {
        let grant = grant_of(request, state, None, key).await?;
        return Ok(Sender { project: grant.project, grant: Some(grant) });
    }
    let refuse = |problem: Problem| Refusal::because(problem, Reason::UnknownKey);
    let actor = token_actor(state, &token).await.map_err(refuse)?;
    let named = web::Query::<ProjectQuery>::from_query(request.query_string())
        .ok()
        .and_then(|query| query.into_inner().project);
    let visible = actor.visible();
    let project = state
        .store
        .read_reserved(move |tx| open_project(tx, &visible, named.as_deref()))
        .await
        .map_err(refuse)?;
    match decide(&actor, Permission::Ingest, Subject::Project(project)) {
        Decision::Allowed => Ok(Sender { project, grant: None }),
        Decision::Denied(denial) => Err(refuse(denial.into())),
    }
}

/// The project that a token's request is for.
fn open_project(tx: &ReadTx<'_>, visible: &Visible, named: Option<&str>) -> Result<ProjectId, Problem> {
    let project = match (visible, named) {
        (_, Some(named)) => find_project(tx, visible, named)?,
        (Visible::Only(only), None) if only.len() == 1 => {
            projects::find(tx, only[0])?.ok_or_else(|| Problem::not_found("project"))?
        }
        _ => return Err(Problem::bad_request("This token is for every project: add `?project=`.")),
    };
    if project.archived_at.is_some() {
        return Err(Problem::forbidden("This project is archived: restore it on its page, or stop sending."));
    }
    Ok(project.id)
}

async fn by_key(request: &HttpRequest, state: &AppState) -> Result<Sender, Refusal> {
    let grant = find_grant(request, state, None).await?;
    Ok(Sender { project: grant.project, grant: Some(grant) })
}

impl Sender {
    /// Holds a request against the quota before its body is read.
    fn admit(&self, state: &AppState, allowance: Allowance) -> Result<(), Refusal> {
        let Some(grant) = &self.grant else { return Ok(()) };
        admit(state, grant, allowance, 1).map_err(refuse_quota)
    }

    /// The same for what it brings, `count` with the one that it was admitted with.
    fn admit_rest(&self, state: &AppState, allowance: Allowance, count: u64) -> Result<(), Refusal> {
        let Some(grant) = &self.grant else { return Ok(()) };
        admit_rest(state, grant, allowance, count).map_err(refuse_quota)
    }
}

fn refuse_quota(over: OverQuota) -> Refusal {
    match over {
        OverQuota::Wait { seconds } => {
            let detail = "The key's quota is used up for the moment.";
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail);
            Refusal::because(problem.retry_after(seconds.into()), Reason::OverLimit)
        }
        OverQuota::Never { at_once } => {
            let detail =
                format!("The key's quota lets {at_once} through at once: send fewer in one request.");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, detail, Reason::OverLimit)
        }
    }
}
