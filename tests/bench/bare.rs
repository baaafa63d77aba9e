//! The bare limit: what this machine gives with the same crates and none of the product. Each event is
//! unpacked, parsed, given a group key, compressed and committed with full sync, together with what else is
//! waiting; only then it is answered. A ping is committed the same way. The health of everything is a text that never
//! changes.

use std::borrow::Cow;
use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context as _, Result};
use flate2::read::GzDecoder;
use rusqlite::{Connection, params};
use serde::Deserialize;
use tokio::sync::oneshot;

/// Both cores of the machine that the figures of the README come from.
const WORKERS: usize = 2;
/// A commit closes at this many rows or this age, whichever is first.
const COMMIT_ROWS_MAX: usize = 256;
const COMMIT_AGE_MAX: Duration = Duration::from_millis(5);
const BODY_BYTES_MAX: usize = 1 << 20;
const ZSTD_LEVEL: i32 = 3;
/// As long as the answer of six services.
const HEALTH: &str = include_str!("health/answer.json");

const SCHEMA: &str = "
    PRAGMA journal_mode = wal;
    PRAGMA synchronous = full;
    PRAGMA cache_size = -65536;
    PRAGMA wal_autocheckpoint = 4000;
    CREATE TABLE event (
        seq INTEGER PRIMARY KEY, id BLOB NOT NULL, issue INTEGER NOT NULL, at INTEGER NOT NULL, payload BLOB NOT NULL
    );
    CREATE UNIQUE INDEX event_by_id ON event (id);
    CREATE INDEX event_by_issue ON event (issue, at);
    CREATE TABLE issue (id INTEGER PRIMARY KEY, count INTEGER NOT NULL, last INTEGER NOT NULL);
";

/// Serves until it is killed.
pub(crate) fn serve(address: SocketAddr, folder: &Path) -> Result<()> {
    let database = Connection::open(folder.join("bare.db"))?;
    database.execute_batch(SCHEMA)?;
    let (rows, waiting) = channel();
    std::thread::Builder::new().name("writer".to_owned()).spawn(move || write(&database, &waiting))?;
    actix_web::rt::System::new().block_on(async move {
        let app = move || {
            App::new()
                .app_data(web::Data::new(rows.clone()))
                .route("/health/ready", web::get().to(async || HttpResponse::Ok()))
                .route("/api/{project}/envelope/", web::post().to(envelope))
                .route("/ping/{heartbeat}", web::get().to(ping))
                .route("/api/health", web::get().to(health))
        };
        HttpServer::new(app).workers(WORKERS).bind(address)?.run().await
    })?;
    Ok(())
}

struct Row {
    id: [u8; 16],
    issue: i64,
    payload: Vec<u8>,
    committed: oneshot::Sender<()>,
}

/// What grouping needs of an event.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    event_id: Cow<'a, str>,
    #[serde(borrow)]
    exception: List<Exception<'a>>,
}

#[derive(Deserialize)]
struct List<T> {
    values: Vec<T>,
}

#[derive(Deserialize)]
struct Exception<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    stacktrace: Stacktrace<'a>,
}

#[derive(Deserialize)]
struct Stacktrace<'a> {
    #[serde(borrow)]
    frames: Vec<Frame<'a>>,
}

#[derive(Deserialize, Hash)]
struct Frame<'a> {
    #[serde(borrow)]
    module: Option<Cow<'a, str>>,
    #[serde(borrow)]
    function: Option<Cow<'a, str>>,
}

/// What a worker thread uses again for each body.
struct Worker {
    compressor: zstd::bulk::Compressor<'static>,
    plain: Vec<u8>,
}

thread_local! {
    static WORKER: RefCell<Option<Worker>> = const { RefCell::new(None) };
}

async fn envelope(body: web::Payload, rows: web::Data<Sender<Row>>) -> HttpResponse {
    // `web::Bytes` would unpack the body by itself, in pieces and on another thread.
    let Ok(Ok(body)) = body.to_bytes_limited(BODY_BYTES_MAX).await else {
        return HttpResponse::BadRequest().finish();
    };
    let (committed, answer) = oneshot::channel();
    let row = WORKER.with_borrow_mut(|worker| prepare(worker, &body, committed));
    let Ok(row) = row else { return HttpResponse::BadRequest().finish() };
    if rows.send(row).is_err() || answer.await.is_err() {
        return HttpResponse::ServiceUnavailable().finish();
    }
    HttpResponse::Ok().content_type("application/json").body("{}")
}

async fn ping(heartbeat: web::Path<uuid::Uuid>, rows: web::Data<Sender<Row>>) -> HttpResponse {
    let (committed, answer) = oneshot::channel();
    let (low, high) = heartbeat.as_u64_pair();
    let row = Row {
        id: fastrand::u128(..).to_ne_bytes(),
        issue: i64::from_ne_bytes((low ^ high).to_ne_bytes()),
        payload: Vec::new(),
        committed,
    };
    if rows.send(row).is_err() || answer.await.is_err() {
        return HttpResponse::ServiceUnavailable().finish();
    }
    HttpResponse::Ok().content_type("text/plain").body("OK")
}

async fn health() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(HEALTH)
}

fn prepare(worker: &mut Option<Worker>, body: &[u8], committed: oneshot::Sender<()>) -> Result<Row> {
    let worker = match worker {
        Some(worker) => worker,
        None => worker.insert(Worker {
            compressor: zstd::bulk::Compressor::new(ZSTD_LEVEL)?,
            plain: Vec::with_capacity(BODY_BYTES_MAX),
        }),
    };
    worker.plain.clear();
    GzDecoder::new(body).read_to_end(&mut worker.plain)?;
    let payload = worker.plain.splitn(3, |&byte| byte == b'\n').nth(2).context("no item")?;
    let event: Event<'_> = serde_json::from_slice(payload)?;
    let id = uuid::Uuid::try_parse(&event.event_id)?.into_bytes();
    let mut hasher = DefaultHasher::new();
    for exception in &event.exception.values {
        exception.r#type.hash(&mut hasher);
        exception.stacktrace.frames.hash(&mut hasher);
    }
    let issue = i64::from_ne_bytes(hasher.finish().to_ne_bytes());
    Ok(Row { id, issue, payload: worker.compressor.compress(payload)?, committed })
}

fn write(database: &Connection, waiting: &Receiver<Row>) -> Result<()> {
    let mut committed = Vec::with_capacity(COMMIT_ROWS_MAX);
    while let Ok(first) = waiting.recv() {
        let close_at = Instant::now() + COMMIT_AGE_MAX;
        database.execute_batch("BEGIN IMMEDIATE")?;
        let mut next = Some(first);
        while let Some(row) = next {
            insert(database, &row)?;
            committed.push(row.committed);
            let goes_on = committed.len() < COMMIT_ROWS_MAX && Instant::now() < close_at;
            next = if goes_on { waiting.try_recv().ok() } else { None };
        }
        database.execute_batch("COMMIT")?;
        for answer in committed.drain(..) {
            // A client that is gone needs no answer.
            answer.send(()).unwrap_or(());
        }
    }
    Ok(())
}

fn insert(database: &Connection, row: &Row) -> Result<()> {
    database
        .prepare_cached("INSERT INTO event (id, issue, at, payload) VALUES (?1, ?2, 0, ?3)")?
        .execute(params![row.id, row.issue, row.payload])?;
    database
        .prepare_cached(
            "INSERT INTO issue (id, count, last) VALUES (?1, 1, 0) ON CONFLICT (id) DO UPDATE SET count = count + 1",
        )?
        .execute([row.issue])?;
    Ok(())
}
