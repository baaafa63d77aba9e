//! Measures tocsin beside the bare limit of the machine it runs on. README.md says how to read the table.

mod bare;
mod body;
mod filled;
mod health;
mod load;
mod pages;
mod process;
mod product;
mod report;
mod retention;
mod rows;
mod runs;
mod server;
mod small;
mod webhooks;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum as _};

use health::Watching;
use report::{Report, say};
use rows::Extent;

#[derive(Parser)]
struct Arguments {
    /// One short round: shows that everything works, its figures mean little.
    #[arg(long)]
    quick: bool,
    /// Measure only this row.
    #[arg(long, value_name = "ROW")]
    only: Option<Row>,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
    /// Be the bare limit on this address, for the bench that started it.
    #[arg(long, hide = true, requires = "folder")]
    serve_bare: Option<SocketAddr>,
    #[arg(long, hide = true)]
    folder: Option<PathBuf>,
    /// Be the bare limit of probing and ask this address, for the bench that started it.
    #[arg(long, hide = true, requires_all = ["probes", "interval"])]
    ask_bare: Option<SocketAddr>,
    #[arg(long, hide = true)]
    probes: Option<u32>,
    /// In seconds.
    #[arg(long, hide = true)]
    interval: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Row {
    Ingest,
    Storm,
    Offered,
    Retention,
    Small,
    Ready,
    Pages,
    Probes,
    Pings,
    Health,
    Webhooks,
    Binary,
}

const FULL: Extent = Extent {
    rounds: 3,
    run: Duration::from_secs(8),
    offered_run: Duration::from_secs(16),
    filled_events: 1_000_000,
    old_events: 400_000,
    backlog: 100_000,
    watching: Watching {
        probes: 5_000,
        interval: Duration::from_secs(30),
        settle: Duration::from_secs(45),
        run: Duration::from_secs(125),
    },
};
const QUICK: Extent = Extent {
    rounds: 1,
    run: Duration::from_secs(2),
    offered_run: Duration::from_secs(3),
    filled_events: 20_000,
    old_events: 100_000,
    backlog: 5_000,
    watching: Watching {
        probes: 500,
        interval: Duration::from_secs(5),
        settle: Duration::from_secs(10),
        run: Duration::from_secs(12),
    },
};

fn main() -> Result<ExitCode> {
    // Without it the caller runs every target as a test, with arguments of a test harness.
    if !std::env::args().any(|argument| argument == "--bench") {
        say("nothing measured; run `cargo bench --bench figures`");
        return Ok(ExitCode::SUCCESS);
    }
    let arguments = Arguments::parse();
    if let (Some(address), Some(folder)) = (arguments.serve_bare, &arguments.folder) {
        bare::serve(address, folder)?;
        return Ok(ExitCode::SUCCESS);
    }
    let extent = if arguments.quick { QUICK } else { FULL };
    if let (Some(address), Some(probes), Some(seconds)) =
        (arguments.ask_bare, arguments.probes, arguments.interval)
    {
        let interval = Duration::from_secs(seconds);
        health::bare::ask(address, Watching { probes, interval, ..extent.watching })?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Row> = arguments.only.map_or_else(|| Row::value_variants().to_vec(), |row| vec![row]);
    // One thread for the load: the servers under test have the other processors to themselves.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(measure(&rows, extent));
    report.show();
    Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures row after row. A row that cannot be measured is reported and the next one begins.
async fn measure(rows: &[Row], extent: Extent) -> Report {
    let mut report = Report::default();
    for row in rows {
        let (name, measured) = match row {
            Row::Ingest => ("ingest", rows::ingest(&mut report, extent).await),
            Row::Storm => ("storm", rows::storm(&mut report, extent).await),
            Row::Offered => ("offered", rows::offered(&mut report, extent).await),
            Row::Retention => ("retention", rows::retention(&mut report, extent).await),
            Row::Small => ("small", rows::small(&mut report, extent).await),
            Row::Ready => ("ready", rows::ready(&mut report, extent).await),
            Row::Pages => ("pages", rows::pages(&mut report, extent).await),
            Row::Probes => ("probes", health::rows::probes(&mut report, extent).await),
            Row::Pings => ("pings", health::rows::pings(&mut report, extent).await),
            Row::Health => ("health", health::rows::health(&mut report, extent).await),
            Row::Webhooks => ("webhooks", webhooks::webhooks(&mut report, extent).await),
            Row::Binary => ("binary", rows::binary(&mut report)),
        };
        if let Err(error) = measured {
            report.trouble(name, &error);
        }
    }
    report
}
