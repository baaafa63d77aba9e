//! What /metrics shows of webhooks: some series for each source and each destination, of the first 500 by key.

use crate::telemetry::{Exposition, RegistryError};
use crate::webhooks::queries::{DestinationGauge, Gauges, SourceGauge};

pub(super) fn webhooks(out: &Exposition, gauges: &Gauges) -> Result<(), RegistryError> {
    sources(out, &gauges.sources)?;
    destinations(out, &gauges.destinations)
}

fn sources<'s>(out: &Exposition, sources: &'s [SourceGauge]) -> Result<(), RegistryError> {
    let outcomes: [(&str, fn(&SourceGauge) -> u64); 3] = [
        ("accepted", |source| source.accepted),
        ("duplicate", |source| source.duplicates),
        ("refused", |source| source.refused),
    ];
    let rows: Vec<_> = sources
        .iter()
        .flat_map(|source| outcomes.map(|(name, count)| ([source.key.as_str(), name], number(count(source)))))
        .collect();
    out.counters(
        "tocsin_webhook_requests_total",
        "What came to a source of webhooks.",
        &["source", "outcome"],
        &series(&rows),
    )?;
    let of_source = |source: &'s SourceGauge| {
        let counted = source.deliveries.iter();
        counted.map(|(status, count)| ([source.key.as_str(), status.as_str()], number(*count)))
    };
    let rows: Vec<_> = sources.iter().flat_map(of_source).collect();
    out.gauges(
        "tocsin_webhook_deliveries",
        "Deliveries that are not completed, at most 10000 of each; of dead letters those that nobody has dealt with.",
        &["source", "status"],
        &series(&rows),
    )
}

fn destinations<'d>(out: &Exposition, destinations: &'d [DestinationGauge]) -> Result<(), RegistryError> {
    let shown = |value: fn(&DestinationGauge) -> f64| -> Vec<([&str; 1], f64)> {
        destinations.iter().map(|destination| ([destination.key.as_str()], value(destination))).collect()
    };
    let gauge = |name, help, value| out.gauges(name, help, &["destination"], &series(&shown(value)));
    gauge(
        "tocsin_webhook_breaker_state",
        "Of a destination's breaker: 0 closed, 1 half open, 2 open.",
        breaker,
    )?;
    gauge("tocsin_webhook_held", "Whether somebody, or tocsin, holds a destination.", |destination| {
        f64::from(u8::from(destination.is_held))
    })?;
    gauge(
        "tocsin_webhook_backlog_age_seconds",
        "How long what is due the longest waits already; 0 without any.",
        |destination| destination.backlog.as_secs_f64(),
    )?;
    let of_destination = |destination: &'d DestinationGauge| {
        let completed = destination.attempts.saturating_sub(destination.failures);
        [("completed", completed), ("failed", destination.failures)]
            .map(|(outcome, count)| ([destination.key.as_str(), outcome], number(count)))
    };
    let rows: Vec<_> = destinations.iter().flat_map(of_destination).collect();
    out.gauges(
        "tocsin_webhook_attempts_last_hour",
        "Attempts to deliver in the last hour.",
        &["destination", "outcome"],
        &series(&rows),
    )
}

fn breaker(destination: &DestinationGauge) -> f64 {
    match destination.breaker.as_str() {
        "open" => 2.0,
        "half_open" => 1.0,
        _ => 0.0,
    }
}

fn series<'a, const N: usize>(rows: &'a [([&'a str; N], f64)]) -> Vec<(&'a [&'a str], f64)> {
    rows.iter().map(|(labels, value)| (labels.as_slice(), *value)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows floating point only")]
fn number(count: u64) -> f64 {
    count as f64
}
