//! The rows of the table: what is offered, and what is read off.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::filled::ready_times_ms;
use crate::health::Watching;
use crate::load::{End, Load, Offer, Pace};
use crate::pages;
use crate::product::{BINARY, Settings};
use crate::report::{Goal, Line, Report};
use crate::retention;
use crate::runs::{ProductRun, Traffic, fresh_folder, interleave};
use crate::small::{SYNC_DELAY, SmallMachine};

/// How much is measured: everything, or enough to see that it works.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) rounds: usize,
    pub(crate) run: Duration,
    /// Of the row that looks at latency alone.
    pub(crate) offered_run: Duration,
    /// Stored before the ready time is taken.
    pub(crate) filled_events: u32,
    /// Stored before retention lets go of them: more than it can in a run.
    pub(crate) old_events: u32,
    /// Webhooks that wait when the product starts.
    pub(crate) backlog: u32,
    pub(crate) watching: Watching,
}

const CONNECTIONS: usize = 64;
const ISSUES: usize = 50;
const OFFERED_PER_S: u32 = 1000;
/// Connections are made and caches are cold.
const WARM_UP: Duration = Duration::from_secs(1);
const SMALL_OFFERED_PER_S: u32 = 200;

/// Fifty issues, every payload stored, as fast as it goes.
pub(crate) async fn ingest(report: &mut Report, extent: Extent) -> Result<()> {
    let traffic = traffic(Pace::AsAnswered, extent);
    let (bare, product) = interleave(report, "ingest", extent.rounds, &traffic).await?;
    let both = |what, goal, read: fn(&Load) -> f64| line(what, goal, &bare, &product, read);
    let own = |what, goal, read: fn(&ProductRun) -> f64| product_line(what, goal, &product, read);
    report.add(vec![
        both("ingest: accepted/s", Goal::RatioAtLeast(0.60), Load::accepted_per_s),
        both("ingest: ack p50, ms", Goal::Shown, |load| load.latency_ms(500)),
        both("ingest: ack p95, ms", Goal::Shown, |load| load.latency_ms(950)),
        both("ingest: ack p99, ms", Goal::AtMost(20.0), |load| load.latency_ms(990)),
        both("ingest: slowest ack, ms", Goal::Shown, |load| load.latency_ms(1000)),
        both("ingest: refused or failed", Goal::AtMost(0.0), not_accepted),
        own("ingest: accepted, not counted", Goal::AtMost(0.0), not_counted),
        own("ingest: accepted, not stored", Goal::AtMost(0.0), |run| {
            f64::from(run.load.accepted.abs_diff(run.visible.stored))
        }),
        own("disk: bytes per stored event", Goal::AtMost(4000.0), bytes_per_event),
        own("memory: MB after start", Goal::AtMost(60.0), |run| run.resident_mb),
        own("memory: most MB under load", Goal::AtMost(150.0), |run| run.peak_mb),
    ]);
    Ok(())
}

/// One issue, its payloads sampled as shipped, as fast as it goes.
pub(crate) async fn storm(report: &mut Report, extent: Extent) -> Result<()> {
    let traffic = Traffic { issues: 1, settings: Settings::SHIPPED, ..traffic(Pace::AsAnswered, extent) };
    let (bare, product) = interleave(report, "storm", extent.rounds, &traffic).await?;
    let both = |what, goal, read: fn(&Load) -> f64| line(what, goal, &bare, &product, read);
    let own = |what, goal, read: fn(&ProductRun) -> f64| product_line(what, goal, &product, read);
    report.add(vec![
        both("storm: accepted/s", Goal::RatioAtLeast(1.0), Load::accepted_per_s),
        both("storm: ack p99, ms", Goal::Shown, |load| load.latency_ms(990)),
        both("storm: refused or failed", Goal::AtMost(0.0), not_accepted),
        own("storm: accepted, not counted", Goal::AtMost(0.0), not_counted),
        own("storm: stored", Goal::Shown, |run| f64::from(run.visible.stored)),
    ]);
    Ok(())
}

/// The load of [`ingest`] while retention lets go of old events, beside the same while it keeps them.
pub(crate) async fn retention(report: &mut Report, extent: Extent) -> Result<()> {
    let offer = traffic(Pace::AsAnswered, extent).offer;
    let (keeping, deleting) = retention::runs(extent.rounds, extent.old_events, offer, ISSUES).await?;
    let both = |what, goal, read: fn(&retention::Run) -> f64| Line {
        what,
        bare: keeping.iter().map(read).collect(),
        product: deleting.iter().map(read).collect(),
        goal,
    };
    report.add(vec![
        both("retention: accepted/s", Goal::Shown, |run| run.load.accepted_per_s()),
        both("retention: ack p99, ms", Goal::RatioAtMost(2.0), |run| run.load.latency_ms(990)),
        both("retention: slowest ack, ms", Goal::Shown, |run| run.load.latency_ms(1000)),
        both("retention: refused or failed", Goal::AtMost(0.0), |run| not_accepted(&run.load)),
        both("retention: let go of, events/s", Goal::Shown, retention::Run::gone_per_s),
    ]);
    Ok(())
}

/// A rate that leaves the machine mostly idle, where only the way of one event counts.
pub(crate) async fn offered(report: &mut Report, extent: Extent) -> Result<()> {
    let mut traffic = traffic(Pace::PerSecond(OFFERED_PER_S), extent);
    traffic.offer.warm_up = WARM_UP;
    traffic.offer.end = End::After(extent.offered_run);
    let (bare, product) = interleave(report, "offered", extent.rounds, &traffic).await?;
    let both = |what, goal, read: fn(&Load) -> f64| line(what, goal, &bare, &product, read);
    report.add(vec![
        both("1,000/s: ack p50, ms", Goal::Shown, |load| load.latency_ms(500)),
        both("1,000/s: ack p95, ms", Goal::Shown, |load| load.latency_ms(950)),
        both("1,000/s: ack p99, ms", Goal::AtMost(5.0), |load| load.latency_ms(990)),
        both("1,000/s: slowest ack, ms", Goal::Shown, |load| load.latency_ms(1000)),
        both("1,000/s: refused or failed", Goal::AtMost(0.0), not_accepted),
        product_line("1,000/s: accepted, not counted", Goal::AtMost(0.0), &product, not_counted),
    ]);
    Ok(())
}

/// One processor, 512 MB and a slow disk, with somebody reading the list of issues.
pub(crate) async fn small(report: &mut Report, extent: Extent) -> Result<()> {
    let folder = fresh_folder()?;
    let machine = SmallMachine::build(folder.path())?;
    let page = Some("/issues");
    let traffic =
        Traffic { machine: Some(&machine), page, ..traffic(Pace::PerSecond(SMALL_OFFERED_PER_S), extent) };
    let (bare, product) = interleave(report, "small", extent.rounds, &traffic).await?;
    for load in bare.iter().chain(product.iter().map(|run| &run.load)) {
        let slowed = load.fastest_ms() >= SYNC_DELAY.as_secs_f64() * 1000.0;
        ensure!(slowed, "an answer came before its sync was over: the slow disk is not in force");
    }
    let both = |what, goal, read: fn(&Load) -> f64| line(what, goal, &bare, &product, read);
    let own = |what, goal, read: fn(&ProductRun) -> f64| product_line(what, goal, &product, read);
    report.add(vec![
        both("small machine: accepted/s", Goal::Shown, Load::accepted_per_s),
        both("small machine: ack p99, ms", Goal::AtMost(60.0), |load| load.latency_ms(990)),
        both("small machine: refused or failed", Goal::AtMost(0.0), not_accepted),
        own("small machine: accepted, not counted", Goal::AtMost(0.0), not_counted),
        own("small machine: most MB", Goal::AtMost(512.0), |run| run.peak_mb),
        own("small machine: page p95, ms", Goal::AtMost(50.0), page_ms),
    ]);
    Ok(())
}

/// How long a start takes with very many events stored.
pub(crate) async fn ready(report: &mut Report, extent: Extent) -> Result<()> {
    match ready_times_ms(extent.filled_events, extent.rounds).await {
        Ok(product) => {
            let (what, goal) = ("ready: ms with a filled store", Goal::AtMost(150.0));
            report.add(vec![Line { what, bare: Vec::new(), product, goal }]);
        }
        Err(error) => report.trouble("ready", &error),
    }
    Ok(())
}

/// The pages that show lists, with ten thousand rows behind each.
pub(crate) async fn pages(report: &mut Report, extent: Extent) -> Result<()> {
    let times = pages::times(extent.rounds).await?;
    let line = |((what, _), rounds): (&(&'static str, _), &Vec<Vec<Duration>>)| Line {
        what,
        bare: Vec::new(),
        product: rounds.iter().map(|times| p95_ms(times)).collect(),
        goal: Goal::AtMost(50.0),
    };
    report.add(pages::PAGES.iter().zip(&times).map(line).collect());
    Ok(())
}

pub(crate) fn binary(report: &mut Report) -> Result<()> {
    let kilobytes = u32::try_from(Path::new(BINARY).metadata()?.len() / 1000)?;
    let (what, goal) = ("binary: MB", Goal::AtMost(30.0));
    report.add(vec![Line { what, bare: Vec::new(), product: vec![f64::from(kilobytes) / 1000.0], goal }]);
    Ok(())
}

fn traffic(pace: Pace, extent: Extent) -> Traffic<'static> {
    Traffic {
        offer: Offer { connections: CONNECTIONS, pace, warm_up: Duration::ZERO, end: End::After(extent.run) },
        issues: ISSUES,
        settings: Settings::EVERY_PAYLOAD,
        machine: None,
        page: None,
    }
}

fn line(
    what: &'static str,
    goal: Goal,
    bare: &[Load],
    product: &[ProductRun],
    read: fn(&Load) -> f64,
) -> Line {
    let product = product.iter().map(|run| read(&run.load)).collect();
    Line { what, bare: bare.iter().map(read).collect(), product, goal }
}

fn product_line(what: &'static str, goal: Goal, runs: &[ProductRun], read: fn(&ProductRun) -> f64) -> Line {
    Line { what, bare: Vec::new(), product: runs.iter().map(read).collect(), goal }
}

pub(crate) fn not_accepted(load: &Load) -> f64 {
    f64::from(load.refused.values().sum::<u32>() + load.failed)
}

fn not_counted(run: &ProductRun) -> f64 {
    f64::from(run.load.accepted.abs_diff(run.visible.count))
}

fn bytes_per_event(run: &ProductRun) -> f64 {
    let bytes = run.database_bytes.checked_div(u64::from(run.visible.stored));
    bytes.and_then(|bytes| u32::try_from(bytes).ok()).map_or(f64::NAN, f64::from)
}

fn page_ms(run: &ProductRun) -> f64 {
    p95_ms(&run.page_times)
}

/// The time that 19 of 20 readings of a page stayed within.
fn p95_ms(times: &[Duration]) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() * 19 / 20).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
}
