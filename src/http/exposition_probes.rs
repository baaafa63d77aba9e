//! What /metrics shows of probes: a series for each, from memory. Of more than [`PROBES_SHOWN_MAX`] the first by key.

use super::AppState;
use crate::base::Timestamp;
use crate::prober::CERT_EXPIRES_AT;
use crate::probes::board::Live;
use crate::telemetry::{Exposition, RegistryError};

/// Three series each: what a Prometheus takes from one target without a thought.
const PROBES_SHOWN_MAX: usize = 5_000;
const LABELS: [&str; 1] = ["probe"];

pub(super) fn probes(out: &Exposition, state: &AppState) -> Result<(), RegistryError> {
    let mut all = state.prober.board.all();
    all.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    all.truncate(PROBES_SHOWN_MAX);
    let shown = |value: fn(&Live) -> Option<f64>| -> Vec<([&str; 1], f64)> {
        all.iter().filter_map(|live| Some(([live.key.as_str()], value(live)?))).collect()
    };
    let rows = shown(|live| live.last.as_ref().map(|last| f64::from(u8::from(last.good))));
    out.gauges("tocsin_probe_success", "Whether the last run was good.", &LABELS, &series(&rows))?;
    let rows = shown(|live| live.last.as_ref().map(|last| last.phases.total.as_secs_f64()));
    out.gauges("tocsin_probe_duration_seconds", "How long the last run took.", &LABELS, &series(&rows))?;
    let rows = shown(expires_at);
    out.gauges(
        "tocsin_probe_certificate_expiry_timestamp_seconds",
        "When the certificate that the last run was shown expires, in Unix time.",
        &LABELS,
        &series(&rows),
    )
}

fn expires_at(live: &Live) -> Option<f64> {
    let facts = &live.last.as_ref()?.facts;
    let (_, at) = facts.iter().find(|(name, _)| *name == CERT_EXPIRES_AT)?;
    let seconds = Timestamp::parse_rfc3339(at)?.since(Timestamp::EPOCH);
    Some(seconds.as_secs_f64())
}

fn series<'a>(rows: &'a [([&'a str; 1], f64)]) -> Vec<(&'a [&'a str], f64)> {
    rows.iter().map(|(labels, value)| (labels.as_slice(), *value)).collect()
}
