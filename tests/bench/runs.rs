//! One run of either side, and both sides in turn.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::body::requests;
use crate::load::{self, Load, Offer};
use crate::product::{Product, Settings, Visible, database_bytes};
use crate::report::{Report, say};
use crate::server::Server;
use crate::small::{SmallMachine, command};
use crate::wire::{Target, free_address};

/// What is offered and how the product is set up for it.
pub(crate) struct Traffic<'a> {
    pub(crate) offer: Offer,
    pub(crate) issues: usize,
    pub(crate) settings: Settings,
    /// Where the server runs, when not on the whole machine.
    pub(crate) machine: Option<&'a SmallMachine>,
    /// A page that is read again and again meanwhile.
    pub(crate) page: Option<&'static str>,
}

/// What a run of the product showed.
pub(crate) struct ProductRun {
    pub(crate) load: Load,
    pub(crate) visible: Visible,
    pub(crate) resident_mb: f64,
    pub(crate) peak_mb: f64,
    pub(crate) database_bytes: u64,
    pub(crate) page_times: Vec<Duration>,
}

const PAGE_EVERY: Duration = Duration::from_millis(100);

/// Runs bare, product, bare, product…, so that both sides meet the same weather. The product's first failure
/// is reported and ends its part; the bare limit goes on.
pub(crate) async fn interleave(
    report: &mut Report,
    row: &str,
    rounds: usize,
    traffic: &Traffic<'_>,
) -> Result<(Vec<Load>, Vec<ProductRun>)> {
    let (mut bare, mut product, mut failed) = (Vec::new(), Vec::new(), false);
    for round in 1..=rounds {
        say(&format!("{row}: round {round} of {rounds}"));
        bare.push(run_bare(traffic).await.context("the bare limit")?);
        if !failed {
            match run_product(traffic).await {
                Ok(run) => product.push(run),
                Err(error) => {
                    report.trouble(row, &error);
                    failed = true;
                }
            }
        }
    }
    Ok((bare, product))
}

/// A folder under `target`, so that both sides write to the disk that the repository is on.
pub(crate) fn fresh_folder() -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("bench-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

async fn run_bare(traffic: &Traffic<'_>) -> Result<Load> {
    let folder = fresh_folder()?;
    let server = serve_bare(folder.path(), traffic.machine).await?;
    let address = server.address;
    let target = Target { address, project: 1, public_key: "0123456789abcdef0123456789abcdef".to_owned() };
    let offered = Arc::new(requests(&target, traffic.issues)?);
    load::run(address, offered, traffic.offer).await
}

/// The bare limit on a folder of its own, until it is dropped.
pub(crate) async fn serve_bare(folder: &Path, machine: Option<&SmallMachine>) -> Result<Server> {
    let mut command = command(&std::env::current_exe()?, machine);
    let address = free_address()?;
    command.args(["--bench", "--serve-bare", &address.to_string(), "--folder"]).arg(folder);
    Server::start(command, address, folder.join("log")).await
}

async fn run_product(traffic: &Traffic<'_>) -> Result<ProductRun> {
    let temporary = fresh_folder()?;
    let folder = temporary.path().join("data");
    let product = Product::start(&folder, traffic.settings, traffic.machine).await?;
    let resident_mb = product.server.process.memory_mb("VmRSS")?;
    let target = product.create_project("bench")?;
    let token = product.create_token("read")?;
    let offered = Arc::new(requests(&target, traffic.issues)?);
    let load = load::run(target.address, offered, traffic.offer);
    let (load, page_times) = match traffic.page {
        None => (load.await?, Vec::new()),
        Some(page) => read_meanwhile(load, &product, page).await?,
    };
    let visible = product.visible(target.project, &token).await?;
    let peak_mb = product.server.process.memory_mb("VmHWM")?;
    product.stop().await?;
    let database_bytes = database_bytes(&folder)?;
    Ok(ProductRun { load, visible, resident_mb, peak_mb, database_bytes, page_times })
}

/// Reads a page every [`PAGE_EVERY`] until `load` is over.
async fn read_meanwhile(
    load: impl Future<Output = Result<Load>>,
    product: &Product,
    page: &str,
) -> Result<(Load, Vec<Duration>)> {
    let session = product.sign_in().await?;
    let (mut load, mut times) = (pin!(load), Vec::new());
    loop {
        tokio::select! {
            done = &mut load => return Ok((done?, times)),
            () = tokio::time::sleep(PAGE_EVERY) => times.push(product.page_time(page, &session).await?),
        }
    }
}
