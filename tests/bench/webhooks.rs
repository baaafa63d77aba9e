//! A backlog of webhooks, laid into the stopped store, and how fast a start drains it into an app inside the bench.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rusqlite::{Connection, params};
use tocsin::base::seal::Sealer;
use tocsin::base::{Entropy, Timestamp};
use tocsin::resilience::{Breaker, CallOutcome};
use tocsin::webhooks::Payload;
use tocsin::webhooks::destination::BREAKER;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::product::{Product, Settings};
use crate::report::{Goal, Line, Report, say};
use crate::rows::Extent;
use crate::runs::fresh_folder;

/// As a payment provider sends it.
const BODY_BYTES: usize = 1_000;
const UNDER_WAY: u32 = 32;
const DRAINED_WITHIN: Duration = Duration::from_mins(10);
const DECISIONS: u32 = 200_000;

pub(crate) async fn webhooks(report: &mut Report, extent: Extent) -> Result<()> {
    let mut drained = Vec::new();
    for round in 1..=extent.rounds {
        say(&format!("webhooks: round {round} of {}", extent.rounds));
        drained.push(drain(extent.backlog).await?);
    }
    let own = |what, goal, product| Line { what, bare: Vec::new(), product, goal };
    report.add(vec![
        own("webhooks: backlog drained/s", Goal::AtLeast(2_000.0), drained),
        own("webhooks: a breaker's decision, ns", Goal::AtMost(1_000.0), vec![decision_ns()]),
    ]);
    Ok(())
}

/// How many a second arrive, from the first to the last.
async fn drain(backlog: u32) -> Result<f64> {
    let folder = fresh_folder()?;
    let data = folder.path().join("data");
    Product::start(&data, Settings::SHIPPED, None).await?.stop().await?;
    let (app, mut heard) = serve_app()?;
    lay(&data, app, backlog)?;
    let product = Product::start(&data, Settings::SHIPPED, None).await?;
    heard.wait_for(|count| *count > 0).await?;
    let start = Instant::now();
    let all = heard.wait_for(|count| *count >= backlog);
    tokio::time::timeout(DRAINED_WITHIN, all).await.context("the backlog does not drain")??;
    let took = start.elapsed();
    product.stop().await?;
    let completed: u32 = Connection::open(data.join("tocsin.db"))?.query_row(
        "SELECT count(*) FROM webhook_deliveries WHERE status = 'completed' AND attempts = 1",
        [],
        |row| row.get(0),
    )?;
    ensure!(completed == backlog, "{completed} of {backlog} were completed by their first attempt");
    Ok(f64::from(backlog) / took.as_secs_f64())
}

/// Rows as intake writes them: one source, one destination that a file names, and a delivery for each event.
fn lay(data: &Path, app: SocketAddr, backlog: u32) -> Result<()> {
    let key: [u8; 32] =
        std::fs::read(data.join("sealing.key"))?.try_into().ok().context("a key of 32 bytes")?;
    let (sealer, entropy) = (Sealer::new(&key), Entropy::seeded(1));
    let mut database = Connection::open(data.join("tocsin.db"))?;
    let tx = database.transaction()?;
    let project: i64 = tx.query_row("SELECT min(id) FROM projects", [], |row| row.get(0))?;
    let now = Timestamp::from_secs(1_800_000_000);
    let at = now.as_micros();
    tx.execute(
        "INSERT INTO webhook_sources (id, uid, project_id, key, name, provider, definition, owner, created_at, updated_at)
         VALUES (1, ?1, ?2, 'bench', 'bench', 'generic', '{\"provider\":\"generic\",\"scheme\":\"none\"}', 'file', ?3, ?3)",
        params![entropy.uid(now).as_bytes(), project, at],
    )?;
    let definition = format!(r#"{{"url":"http://{app}/hook","concurrency":{UNDER_WAY}}}"#);
    tx.execute(
        "INSERT INTO webhook_destinations
             (id, uid, source_id, project_id, key, name, definition, owner, created_at, updated_at)
         VALUES (1, ?1, 1, ?2, 'app', 'app', ?3, 'file', ?4, ?4)",
        params![entropy.uid(now).as_bytes(), project, definition, at],
    )?;
    let payload = Payload {
        method: "POST".to_owned(),
        query: String::new(),
        headers: vec![("content-type".to_owned(), b"application/json".to_vec())],
        body: vec![b'x'; BODY_BYTES],
    };
    for number in 1..=backlog {
        let uid = entropy.uid(now);
        tx.prepare_cached(
            "INSERT INTO webhook_requests (id, uid, source_id, project_id, received_at, event_id, body_bytes)
             VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            number,
            uid.as_bytes(),
            project,
            at,
            uid.to_string(),
            i64::try_from(BODY_BYTES)?
        ])?;
        tx.prepare_cached("INSERT INTO webhook_payloads (request_id, payload) VALUES (?1, ?2)")?
            .execute(params![number, payload.seal(&sealer, &entropy, uid)?])?;
        tx.prepare_cached(
            "INSERT INTO webhook_deliveries
                 (uid, request_id, destination_id, source_id, project_id, status, due_at, began_at)
             VALUES (?1, ?2, 1, 1, ?3, 'pending', 0, ?4)",
        )?
        .execute(params![entropy.uid(now).as_bytes(), number, project, at])?;
    }
    tx.commit()?;
    Ok(())
}

/// The team's app, on a thread of its own: answers 200 at once and counts.
fn serve_app() -> Result<(SocketAddr, watch::Receiver<u32>)> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let (count, heard) = watch::channel(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async move {
            let Ok(listener) = TcpListener::from_std(listener) else { return };
            while let Ok((stream, _)) = listener.accept().await {
                #[expect(clippy::disallowed_methods, reason = "it ends with the thread of this bench")]
                tokio::task::spawn(answer(stream, count.clone()));
            }
        });
    });
    Ok((address, heard))
}

async fn answer(mut stream: TcpStream, count: watch::Sender<u32>) {
    let mut received = Vec::new();
    while stream.read_buf(&mut received).await.is_ok_and(|bytes| bytes > 0) {
        let Some(head) = received.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
        if received.len() >= head + 4 + BODY_BYTES {
            received.clear();
            count.send_modify(|count| *count += 1);
            if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.is_err() {
                return;
            }
        }
    }
}

/// Asking a breaker for a call and telling it what came, with the rule over the last minute filled.
fn decision_ns() -> f64 {
    let mut breaker = Breaker::default();
    let start = Instant::now();
    for number in 0..DECISIONS {
        let now = Timestamp::from_micros(i64::from(number));
        if let Ok(call) = black_box(&mut breaker).permit(now, &BREAKER) {
            let outcome = if number % 4 == 0 { CallOutcome::Failure } else { CallOutcome::Success };
            black_box(breaker.record(call, outcome, now, &BREAKER));
        }
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(DECISIONS)
}
