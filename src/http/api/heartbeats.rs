//! `/api/v1/heartbeats` and the ping key of a project.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Json;
use super::list::{Asked, Items, unknown_cursor};
use crate::accounts::access::Decision;
use crate::base::{Timestamp, Uid};
use crate::heartbeats::queries::{self, Filter};
use crate::heartbeats::rules::RunKind;
use crate::heartbeats::runs::{self, Run};
use crate::heartbeats::{Heartbeat, Owner, Schedule, Status, Written};
use crate::http::acts::heartbeat::{self as acts, Step, Wanted, changed, create, find, ping_key};
use crate::http::acts::rights::{Act, Thing, decide};
use crate::http::auth::{Caller, Reader};
use crate::http::visible::Slugs;
use crate::http::{AppState, Problem};
use crate::store::ReadTx;

/// Times that a crontab's next runs are told.
const NEXT_RUNS: usize = 5;

/// A heartbeat with its state. `definition` is as it can be sent back.
#[derive(Serialize)]
struct View {
    id: Uid,
    project: Option<String>,
    slug: String,
    name: String,
    owner: Owner,
    status: Status,
    since: Timestamp,
    reason: String,
    schedule: String,
    definition: Written,
    /// For those who may change it: whoever knows it speaks for the job.
    ping_url: Option<String>,
    last_ping_at: Option<Timestamp>,
    last_ok_at: Option<Timestamp>,
    last_start_at: Option<Timestamp>,
    expected_at: Option<Timestamp>,
    next_runs: Vec<Timestamp>,
    pings: i64,
    missed: i64,
    missed_now: i64,
    usual_duration_ms: Option<u64>,
    paused_at: Option<Timestamp>,
    paused_by: Option<String>,
    rings: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Serialize)]
struct RunView {
    id: i64,
    kind: &'static str,
    rid: Option<Uid>,
    at: Timestamp,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    duration_ms: Option<u64>,
    exit_status: Option<u8>,
    method: String,
    source: String,
    agent: String,
    address: String,
    note: String,
    body_bytes: u64,
    body: Option<String>,
}

/// Which heartbeats a list is asked for.
#[derive(Deserialize)]
pub(super) struct Words {
    status: Option<String>,
    query: Option<String>,
    /// `name:value`
    label: Option<String>,
}

/// A new heartbeat; what is not named here is of its definition.
#[derive(Deserialize)]
pub(super) struct New {
    project: String,
    slug: Option<String>,
    name: Option<String>,
    #[serde(flatten)]
    definition: Map<String, Value>,
}

/// `GET /heartbeats`: what needs somebody first, then by name.
pub(super) async fn list(
    state: web::Data<AppState>,
    asked: Asked,
    words: web::Query<Words>,
) -> Result<HttpResponse, Problem> {
    let filter = filter(words.into_inner())?;
    let limit = usize::try_from(asked.limit).unwrap_or(usize::MAX);
    let base = state.base_url.to_string();
    let items = state
        .store
        .read(move |tx| {
            let after = asked.cursor.as_deref();
            if after.is_some_and(|cursor| !queries::is_cursor(cursor)) {
                return Err(unknown_cursor());
            }
            let page = queries::list(tx, &asked.visible(tx)?, &filter, after, limit)?;
            let mut slugs = Slugs::default();
            let of = (base.as_str(), asked.caller());
            let views = page.items.into_iter().map(|heartbeat| view(tx, &mut slugs, heartbeat, of, None));
            Ok(Items::of(views.collect::<Result<Vec<_>, Problem>>()?, page.next_cursor))
        })
        .await?;
    Ok(HttpResponse::Ok().json(items))
}

/// `POST /heartbeats`
pub(super) async fn begin(
    state: web::Data<AppState>,
    caller: Caller,
    Json(new): Json<New>,
) -> Result<HttpResponse, Problem> {
    let New { project, slug, name, definition } = new;
    let definition =
        serde_json::from_value(Value::Object(definition)).map_err(|error| super::misfit(&error))?;
    let made = create(&state, caller.clone(), Wanted { project, slug, name, definition }).await?;
    Ok(HttpResponse::Created().json(shown(&state, caller, made).await?))
}

/// `GET /heartbeats/{id}`
pub(super) async fn show(
    state: web::Data<AppState>,
    reader: Reader,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    show_named(&state, reader, id.into_inner()).await
}

/// `GET /heartbeats/{project}/{slug}`
pub(super) async fn show_by_slug(
    state: web::Data<AppState>,
    reader: Reader,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    show_named(&state, reader, joined(path)).await
}

async fn show_named(state: &AppState, reader: Reader, named: String) -> Result<HttpResponse, Problem> {
    let asks = reader.0.clone();
    let found = state.store.read(move |tx| find(tx, &asks, &named)).await?;
    Ok(HttpResponse::Ok().json(shown(state, reader.0, found).await?))
}

/// `PATCH /heartbeats/{id}`
pub(super) async fn change(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
    Json(members): Json<Map<String, Value>>,
) -> Result<HttpResponse, Problem> {
    change_named(&state, caller, id.into_inner(), members).await
}

/// `PATCH /heartbeats/{project}/{slug}`
pub(super) async fn change_by_slug(
    state: web::Data<AppState>,
    caller: Caller,
    path: web::Path<(String, String)>,
    Json(members): Json<Map<String, Value>>,
) -> Result<HttpResponse, Problem> {
    change_named(&state, caller, joined(path), members).await
}

/// `DELETE /heartbeats/{id}`
pub(super) async fn remove(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    done(&state, caller, id.into_inner(), Step::Remove).await
}

/// `DELETE /heartbeats/{project}/{slug}`
pub(super) async fn remove_by_slug(
    state: web::Data<AppState>,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    done(&state, caller, joined(path), Step::Remove).await
}

/// `POST /heartbeats/{id}/pause`
pub(super) async fn pause(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    done(&state, caller, id.into_inner(), Step::Pause).await
}

/// `POST /heartbeats/{id}/resume`
pub(super) async fn resume(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    done(&state, caller, id.into_inner(), Step::Resume).await
}

/// `POST /heartbeats/{id}/renew-address`: a new `ping_url`; the one before leads nowhere from now on.
pub(super) async fn renew_address(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    done(&state, caller, id.into_inner(), Step::RenewAddress).await
}

/// `GET /heartbeats/{id}/runs`: the newest first.
pub(super) async fn list_runs(
    state: web::Data<AppState>,
    reader: Reader,
    asked: Asked,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let before = asked.page()?.before;
    let limit = usize::try_from(asked.limit).unwrap_or(usize::MAX);
    let page = state
        .store
        .read(move |tx| {
            let found = find(tx, &reader.0, &id)?;
            Ok::<_, Problem>(runs::list(tx, found.id, before, limit)?)
        })
        .await?;
    let items = page.items.into_iter().map(RunView::new).collect();
    Ok(HttpResponse::Ok().json(Items::of(items, page.next)))
}

/// `GET /projects/{project}/ping-key`: made where there is none.
pub(super) async fn show_key(
    state: web::Data<AppState>,
    caller: Caller,
    project: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let key = ping_key(&state, caller, project.into_inner(), false).await?;
    Ok(answer_key(&state, &key))
}

/// `POST /projects/{project}/ping-key`: a new one; the old one stops to work.
pub(super) async fn renew_key(
    state: web::Data<AppState>,
    caller: Caller,
    project: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let key = ping_key(&state, caller, project.into_inner(), true).await?;
    Ok(answer_key(&state, &key))
}

fn answer_key(state: &AppState, key: &str) -> HttpResponse {
    let url = format!("{}/ping/{key}", state.base_url.to_string().trim_end_matches('/'));
    HttpResponse::Ok().json(json!({ "key": key, "url": url }))
}

async fn change_named(
    state: &AppState,
    caller: Caller,
    named: String,
    members: Map<String, Value>,
) -> Result<HttpResponse, Problem> {
    let draft = move |known: &Heartbeat| changed(known, members);
    let heartbeat = acts::change(state, caller.clone(), (named, None), draft).await?;
    Ok(HttpResponse::Ok().json(shown(state, caller, heartbeat).await?))
}

async fn done(state: &AppState, caller: Caller, named: String, step: Step) -> Result<HttpResponse, Problem> {
    match acts::act(state, caller.clone(), vec![named], step).await?.pop() {
        Some(heartbeat) => Ok(HttpResponse::Ok().json(shown(state, caller, heartbeat).await?)),
        None => Ok(HttpResponse::NoContent().finish()),
    }
}

async fn shown(state: &AppState, reader: Caller, heartbeat: Heartbeat) -> Result<View, Problem> {
    let (now, base) = (state.clock.now(), state.base_url.to_string());
    let read = move |tx: &ReadTx<'_>| view(tx, &mut Slugs::default(), heartbeat, (&base, &reader), Some(now));
    state.store.read(read).await
}

fn joined(path: web::Path<(String, String)>) -> String {
    let (project, slug) = path.into_inner();
    format!("{project}/{slug}")
}

fn filter(words: Words) -> Result<Filter, Problem> {
    let wrong_status = || Problem::bad_request("`status` is one of down, late, new, up, paused.");
    let wrong_label = || Problem::bad_request("`label` is written name:value.");
    let status = words.status.filter(|word| !word.is_empty());
    let status = status.map(|word| Status::parse(&word).ok_or_else(wrong_status)).transpose()?;
    let label = words.label.filter(|label| !label.is_empty());
    let label = label.map(|label| {
        label.split_once(':').map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(wrong_label)
    });
    let text = words.query.filter(|text| !text.is_empty());
    Ok(Filter { project: None, status, text, label: label.transpose()? })
}

/// `now`: also tell when it runs next.
fn view(
    tx: &ReadTx<'_>,
    slugs: &mut Slugs,
    heartbeat: Heartbeat,
    (base, reader): (&str, &Caller),
    now: Option<Timestamp>,
) -> Result<View, Problem> {
    let sees_address = decide(&reader.actor, Act::SeeAddress, Thing::Heartbeat, Some(heartbeat.project))
        == Decision::Allowed;
    let next_runs = match (&heartbeat.definition.schedule, now) {
        (Schedule::Cron(crontab), Some(now)) => crontab.after(now).take(NEXT_RUNS).collect(),
        (Schedule::Cron(_) | Schedule::Every(_), _) => Vec::new(),
    };
    let usual = heartbeat.state.usual_duration(1);
    let rings = heartbeat.rings();
    let Heartbeat {
        uid, ping_id, project, slug, name, definition, owner, paused_at, paused_by, state, ..
    } = heartbeat;
    Ok(View {
        id: uid,
        project: slugs.of(tx, Some(project))?,
        slug,
        name,
        owner,
        status: state.status,
        since: state.since,
        reason: state.reason,
        schedule: definition.schedule.describe(),
        definition: definition.into(),
        ping_url: sees_address.then(|| format!("{}/ping/{ping_id}", base.trim_end_matches('/'))),
        last_ping_at: state.last_ping_at,
        last_ok_at: state.last_ok_at,
        last_start_at: state.last_start_at,
        expected_at: state.expected_at,
        next_runs,
        pings: state.pings,
        missed: state.missed,
        missed_now: state.missed_now,
        usual_duration_ms: usual.map(millis),
        paused_at,
        paused_by,
        rings,
        created_at: heartbeat.created_at,
        updated_at: heartbeat.updated_at,
    })
}

impl RunView {
    fn new(run: Run) -> Self {
        let body = run.text().map(std::borrow::Cow::into_owned);
        Self {
            id: run.id,
            kind: RunKind::as_str(run.kind),
            rid: run.rid.map(Uid::from_bytes),
            at: run.at,
            started_at: run.started_at,
            ended_at: run.ended_at,
            duration_ms: run.took.map(millis),
            exit_status: run.exit_status,
            method: run.method,
            source: run.source,
            agent: run.agent,
            address: run.address,
            note: run.note,
            body_bytes: run.body_bytes,
            body,
        }
    }
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
