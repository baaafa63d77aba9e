//! Many probes against one local server, whose own work is not counted.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::answers::Answers;
use super::asking::Asking;
use crate::process::Process;
use crate::product::{Product, Settings};
use crate::report::say;
use crate::runs::fresh_folder;

/// What is wanted of the prober, and how long it is watched.
#[derive(Clone, Copy)]
pub(crate) struct Watching {
    pub(crate) probes: u32,
    pub(crate) interval: Duration,
    /// Before anything is read: every probe is asked once, in its place.
    pub(crate) settle: Duration,
    pub(crate) run: Duration,
}

/// What asking takes.
pub(crate) struct Asked {
    /// How far two questions of one probe were from its interval, of 99 in 100.
    pub(crate) lag_p99_ms: f64,
    pub(crate) per_s: f64,
    /// Of one core.
    pub(crate) cpu_percent: f64,
    pub(crate) peak_mb: f64,
}

/// One run of the prober.
pub(crate) struct Watched {
    pub(crate) asked: Asked,
    /// Of 19 in 20 readings.
    pub(crate) list_ms: f64,
    pub(crate) overview_ms: f64,
}

/// Readings of a page.
const READINGS: usize = 20;

pub(super) async fn product(wanted: Watching) -> Result<Watched> {
    let folder = fresh_folder()?;
    let product = Product::start(&folder.path().join("data"), Settings::WATCHING, None).await?;
    let answers = Answers::start().await?;
    Asking::new(&product)?.make_probes(wanted, answers.address).await?;
    say(&format!("  {} probes made", wanted.probes));
    let asked = watch(&product.server.process, &answers, wanted).await?;
    let session = product.sign_in().await?;
    let list_ms = page_ms(&product, "/probes", &session).await?;
    let overview_ms = page_ms(&product, "/", &session).await?;
    let peak_mb = product.server.process.memory_mb("VmHWM")?;
    product.stop().await?;
    Ok(Watched { asked: Asked { peak_mb, ..asked }, list_ms, overview_ms })
}

pub(super) async fn bare(wanted: Watching) -> Result<Asked> {
    let answers = Answers::start().await?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--bench", "--ask-bare", &answers.address.to_string()])
        .args(["--probes", &wanted.probes.to_string()])
        .args(["--interval", &wanted.interval.as_secs().to_string()])
        .stdin(Stdio::null());
    watch(&Process::start(command)?, &answers, wanted).await
}

async fn watch(asker: &Process, answers: &Answers, wanted: Watching) -> Result<Asked> {
    tokio::time::sleep(wanted.settle).await;
    let asked_of = answers.paths();
    ensure!(asked_of == wanted.probes as usize, "only {asked_of} of {} probes were asked", wanted.probes);
    answers.forget();
    let (began, cpu) = (Instant::now(), asker.cpu_time()?);
    tokio::time::sleep(wanted.run).await;
    let (passed, used) = (began.elapsed(), asker.cpu_time()?.saturating_sub(cpu));
    let lags = answers.lags(wanted.interval);
    ensure!(!lags.is_empty(), "nothing was asked twice");
    Ok(Asked {
        lag_p99_ms: of_99(&lags).as_secs_f64() * 1000.0,
        per_s: f64::from(answers.count()) / passed.as_secs_f64(),
        cpu_percent: 100.0 * used.as_secs_f64() / passed.as_secs_f64(),
        peak_mb: asker.memory_mb("VmHWM")?,
    })
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
