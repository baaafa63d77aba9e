//! Intake while retention lets go of old events, beside the same intake on a copy of the same store that keeps them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use rusqlite::{Connection, OpenFlags};

use crate::body::requests;
use crate::filled::fill;
use crate::load::{self, Load, Offer};
use crate::product::{Product, Settings};
use crate::report::say;
use crate::runs::fresh_folder;

/// The longest that can be set: nothing is too old.
const KEEPING: Settings = Settings { retention_days: 3650, ..Settings::EVERY_PAYLOAD };
const DELETING: Settings = Settings::EVERY_PAYLOAD;
/// Makes every event two hundred days old.
const AGE: &str = "UPDATE events SET received_at = received_at - 200 * 86400 * 1000000";
const OLD: &str = "SELECT count(*) FROM events WHERE received_at < (unixepoch() - 100 * 86400) * 1000000";

/// One run of load on a store full of old events.
pub(crate) struct Run {
    pub(crate) load: Load,
    /// Old events that went meanwhile.
    gone: u32,
}

impl Run {
    pub(crate) fn gone_per_s(&self) -> f64 {
        f64::from(self.gone) / self.load.elapsed.as_secs_f64()
    }
}

/// Runs keeping, deleting, keeping, deleting…, so that both meet the same weather.
pub(crate) async fn runs(
    rounds: usize,
    old_events: u32,
    offer: Offer,
    issues: usize,
) -> Result<(Vec<Run>, Vec<Run>)> {
    let temporary = fresh_folder()?;
    let filled = temporary.path().join("filled");
    fill(&filled, old_events).await?;
    Connection::open(filled.join("tocsin.db"))?.execute_batch(AGE)?;
    let (mut keeping, mut deleting) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        say(&format!("retention: round {round} of {rounds}"));
        let (kept, _) = run(&filled, KEEPING, offer, issues).await?;
        ensure!(kept.gone == 0, "{} events went that are to stay", kept.gone);
        keeping.push(kept);
        let (deleted, left) = run(&filled, DELETING, offer, issues).await?;
        ensure!(deleted.gone > 0 && left > 0, "{} old events went and {left} are left", deleted.gone);
        deleting.push(deleted);
    }
    Ok((keeping, deleting))
}

/// Offers the load to a copy of `filled`; returns how many old events are left too.
async fn run(filled: &Path, settings: Settings, offer: Offer, issues: usize) -> Result<(Run, u32)> {
    let temporary = fresh_folder()?;
    let folder = temporary.path().join("data");
    copy(filled, &folder)?;
    // Every task runs once at the start, and retention goes on while there is more.
    let product = Product::start(&folder, settings, None).await?;
    let target = product.create_project("load")?;
    let offered = Arc::new(requests(&target, issues)?);
    let before = count_old(&folder)?;
    let load = load::run(target.address, offered, offer).await?;
    let left = count_old(&folder)?;
    product.stop().await?;
    Ok((Run { load, gone: before.saturating_sub(left) }, left))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn count_old(folder: &Path) -> Result<u32> {
    let database = Connection::open_with_flags(folder.join("tocsin.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    Ok(database.query_row(OLD, [], |row| row.get(0))?)
}
