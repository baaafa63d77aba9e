//! A store with very many events, made once by real ingest and kept under `target`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::body::requests;
use crate::load::{self, End, Offer, Pace};
use crate::product::{Product, Settings};
use crate::report::say;

const CONNECTIONS: usize = 64;
const ISSUES: usize = 50;

/// Written beside the folder when it is complete; without it the folder is made anew.
#[derive(Serialize, Deserialize)]
pub(crate) struct Made {
    project: u64,
    token: String,
}

/// Starts the product on a store with `events` events so many times; returns each time to ready in ms.
pub(crate) async fn ready_times_ms(events: u32, starts: usize) -> Result<Vec<f64>> {
    let folder = data_folder()?.join(format!("{events}-events"));
    let note = folder.with_extension("json");
    if !note.exists() {
        let made = fill(&folder, events).await.context("fill the store")?;
        fs::write(&note, serde_json::to_vec(&made)?)?;
    }
    let made: Made = serde_json::from_slice(&fs::read(&note)?)?;
    let mut times = Vec::with_capacity(starts);
    for _ in 0..starts {
        let product = Product::start(&folder, Settings::EVERY_PAYLOAD, None).await?;
        times.push(product.server.ready_after.as_secs_f64() * 1000.0);
        let stored = product.visible(made.project, &made.token).await?.stored;
        ensure!(stored == events, "{stored} of {events} events are there; remove {}", note.display());
        product.stop().await?;
    }
    Ok(times)
}

/// Serves `folder`, which is made anew, until it holds so many events.
pub(crate) async fn fill(folder: &Path, events: u32) -> Result<Made> {
    say(&format!("  filling {} once", folder.display()));
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let product = Product::start(folder, Settings::EVERY_PAYLOAD, None).await?;
    let target = product.create_project("bench")?;
    let token = product.create_token("read")?;
    let offer = Offer {
        connections: CONNECTIONS,
        pace: Pace::AsAnswered,
        warm_up: Duration::ZERO,
        end: End::Requests(events),
    };
    let load = load::run(target.address, Arc::new(requests(&target, ISSUES)?), offer).await?;
    ensure!(load.accepted == events, "{} of {events} events were accepted", load.accepted);
    product.stop().await?;
    Ok(Made { project: target.project, token })
}

fn data_folder() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench-data");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
