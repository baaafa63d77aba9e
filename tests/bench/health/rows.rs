//! The rows of watching: each round asks the bare limit first, then tocsin.

use anyhow::Result;

use super::probes::{Asked, Watched};
use super::{pings, probes, services};
use crate::load::Load;
use crate::report::{Goal, Line, Report, say};
use crate::rows::{Extent, not_accepted};

/// Very many probes against a local server.
pub(crate) async fn probes(report: &mut Report, extent: Extent) -> Result<()> {
    let (mut bare, mut product) = (Vec::new(), Vec::new());
    for round in 1..=extent.rounds {
        say(&format!("probes: round {round} of {}", extent.rounds));
        bare.push(probes::bare(extent.watching).await?);
        product.push(probes::product(extent.watching).await?);
    }
    let both = |what, goal, read: fn(&Asked) -> f64| Line {
        what,
        bare: bare.iter().map(read).collect(),
        product: product.iter().map(|run| read(&run.asked)).collect(),
        goal,
    };
    let own = |what, goal, read: fn(&Watched) -> f64| Line {
        what,
        bare: Vec::new(),
        product: product.iter().map(read).collect(),
        goal,
    };
    report.add(vec![
        both("probes: asked/s", Goal::Shown, |asked| asked.per_s),
        both("probes: off schedule p99, ms", Goal::AtMost(250.0), |asked| asked.lag_p99_ms),
        both("probes: of one core, %", Goal::AtMost(40.0), |asked| asked.cpu_percent),
        both("probes: most MB", Goal::AtMost(150.0), |asked| asked.peak_mb),
        own("probes: list p95, ms", Goal::AtMost(30.0), |run| run.list_ms),
        own("probes: overview p95, ms", Goal::AtMost(30.0), |run| run.overview_ms),
    ]);
    Ok(())
}

/// A burst of pings.
pub(crate) async fn pings(report: &mut Report, extent: Extent) -> Result<()> {
    let (mut bare, mut product, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=extent.rounds {
        say(&format!("pings: round {round} of {}", extent.rounds));
        bare.push(pings::bare(extent.run).await?);
        let (load, not_counted) = pings::product(extent.run).await?;
        product.push(load);
        missing.push(not_counted);
    }
    let what = "pings: accepted, not counted";
    let not_counted = Line { what, bare: Vec::new(), product: missing, goal: Goal::AtMost(0.0) };
    report.add(vec![
        line("pings: accepted/s", Goal::AtLeast(10_000.0), &bare, &product, Load::accepted_per_s),
        line("pings: ack p99, ms", Goal::Shown, &bare, &product, |load| load.latency_ms(990)),
        line("pings: refused or failed", Goal::AtMost(0.0), &bare, &product, not_accepted),
        not_counted,
    ]);
    Ok(())
}

/// The health of everything, asked a thousand times a second.
pub(crate) async fn health(report: &mut Report, extent: Extent) -> Result<()> {
    let (mut bare, mut product) = (Vec::new(), Vec::new());
    for round in 1..=extent.rounds {
        say(&format!("health: round {round} of {}", extent.rounds));
        bare.push(services::bare(extent.run).await?);
        product.push(services::product(extent.run).await?);
    }
    report.add(vec![
        line("/api/health 1,000/s: p50, ms", Goal::Shown, &bare, &product, |load| load.latency_ms(500)),
        line("/api/health 1,000/s: p99, ms", Goal::AtMost(5.0), &bare, &product, |load| load.latency_ms(990)),
        line("/api/health 1,000/s: failed", Goal::AtMost(0.0), &bare, &product, not_accepted),
    ]);
    Ok(())
}

fn line(what: &'static str, goal: Goal, bare: &[Load], product: &[Load], read: fn(&Load) -> f64) -> Line {
    Line { what, bare: bare.iter().map(read).collect(), product: product.iter().map(read).collect(), goal }
}
