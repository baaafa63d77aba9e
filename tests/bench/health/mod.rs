//! What watching costs: many probes, many pings, many questions for the health of everything.

mod answers;
mod asking;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::load::{self, End, Load, Offer, Pace, Requests};
use crate::product::{Product, Settings};
use crate::report::say;
use crate::runs::fresh_folder;
use crate::wire::Wire;
use answers::Answers;
use asking::Asking;

/// What is wanted of the prober, and how long it is watched.
#[derive(Clone, Copy)]
pub(crate) struct Watching {
    pub(crate) probes: u32,
    pub(crate) interval: Duration,
    /// Before anything is read: every probe is asked once, in its place.
    pub(crate) settle: Duration,
    pub(crate) run: Duration,
}

/// One run of the prober.
pub(crate) struct Watched {
    /// How far two questions of one probe were from its interval, of 99 in 100.
    pub(crate) lag_p99_ms: f64,
    pub(crate) asked_per_s: f64,
    /// Of one core.
    pub(crate) cpu_percent: f64,
    pub(crate) peak_mb: f64,
    /// Of 19 in 20 readings.
    pub(crate) list_ms: f64,
    pub(crate) overview_ms: f64,
}

/// Readings of a page.
const READINGS: usize = 20;
const HEARTBEATS: usize = 200;
const PING_CONNECTIONS: usize = 256;
/// As many connections as a few balancers and dashboards keep.
const ASKERS: usize = 32;
const ASKED_PER_S: u32 = 1_000;

/// Many probes against one local server, whose own work is not counted.
pub(crate) async fn watch(wanted: Watching) -> Result<Watched> {
    let folder = fresh_folder()?;
    let product = Product::start(&folder.path().join("data"), Settings::WATCHING, None).await?;
    let answers = Answers::start().await?;
    let asking = Asking::new(&product)?;
    asking.make_probes(wanted, answers.address).await?;
    say(&format!("  {} probes made", wanted.probes));
    tokio::time::sleep(wanted.settle).await;
    let asked_of = answers.paths();
    ensure!(asked_of == wanted.probes as usize, "only {asked_of} of {} probes were asked", wanted.probes);
    answers.forget();
    let (began, cpu) = (Instant::now(), product.server.cpu_time()?);
    tokio::time::sleep(wanted.run).await;
    let (passed, used) = (began.elapsed(), product.server.cpu_time()? - cpu);
    let lags = answers.lags(wanted.interval);
    ensure!(!lags.is_empty(), "nothing was asked twice");
    let session = product.sign_in().await?;
    let watched = Watched {
        lag_p99_ms: of_99(&lags).as_secs_f64() * 1000.0,
        asked_per_s: answers.count() as f64 / passed.as_secs_f64(),
        cpu_percent: 100.0 * used.as_secs_f64() / passed.as_secs_f64(),
        list_ms: page_ms(&product, "/probes", &session).await?,
        overview_ms: page_ms(&product, "/", &session).await?,
        peak_mb: product.server.memory_mb("VmHWM")?,
    };
    product.stop().await?;
    Ok(watched)
}

/// A burst of pings; the counts of all heartbeats must add up to what was accepted.
pub(crate) async fn pings(run: Duration) -> Result<(Load, f64)> {
    let folder = fresh_folder()?;
    let product = Product::start(&folder.path().join("data"), Settings::WATCHING, None).await?;
    let asking = Asking::new(&product)?;
    let uids = asking.make_heartbeats(HEARTBEATS).await?;
    let address = product.server.address;
    let request = |uid: &String| format!("GET /ping/{uid} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes();
    let requests = Arc::new(Requests::Fixed(uids.iter().map(request).collect()));
    let offer = Offer {
        connections: PING_CONNECTIONS,
        pace: Pace::AsAnswered,
        warm_up: Duration::ZERO,
        end: End::After(run),
    };
    let load = load::run(address, requests, offer).await?;
    let counted = asking.pings_counted().await?;
    product.stop().await?;
    let missing = f64::from(load.accepted) - counted;
    Ok((load, missing))
}

/// Questions for the health of services with members, at even intervals.
pub(crate) async fn health(run: Duration) -> Result<Load> {
    let folder = fresh_folder()?;
    let product = Product::start(&folder.path().join("data"), Settings::WATCHING, None).await?;
    let answers = Answers::start().await?;
    let asking = Asking::new(&product)?;
    let few = Watching { probes: 12, interval: Duration::from_secs(5), settle: Duration::from_secs(6), run };
    asking.make_probes(few, answers.address).await?;
    asking.make_services(6, 2).await?;
    tokio::time::sleep(few.settle).await;
    let (address, token) = (product.server.address, &asking.token);
    let request =
        format!("GET /api/health HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
    let shown = Wire::new(address).exchange(request.as_bytes()).await?.body.to_vec();
    let shown: Value = serde_json::from_slice(&shown)?;
    let services = shown["services"].as_object().context("no services")?;
    ensure!(services.len() == 6 && shown["status"] == json!("healthy"), "not healthy: {shown}");
    let offer = Offer {
        connections: ASKERS,
        pace: Pace::PerSecond(ASKED_PER_S),
        warm_up: Duration::from_secs(1),
        end: End::After(run),
    };
    let load = load::run(address, Arc::new(Requests::Fixed(vec![request.into_bytes()])), offer).await?;
    product.stop().await?;
    Ok(load)
}

async fn page_ms(product: &Product, path: &str, session: &str) -> Result<f64> {
    let mut times = Vec::with_capacity(READINGS);
    for _ in 0..READINGS {
        times.push(product.page_time(path, session).await?);
    }
    times.sort_unstable();
    Ok(times[READINGS * 19 / 20 - 1].as_secs_f64() * 1000.0)
}

fn of_99(sorted: &[Duration]) -> Duration {
    sorted[(sorted.len() * 99).div_ceil(100) - 1]
}
