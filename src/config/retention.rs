//! `[retention]`: how long and how much is kept.

use std::time::Duration;

use serde::Deserialize;

use super::key::{Key, Kind};
use super::layers::Values;
use super::problem::Problem;

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "retention.days",
        Kind::Whole { min: 1, max: 3650 },
        Some("90"),
        "Events older than this are removed; counts stay.",
    ),
    Key::new(
        "retention.max_gb",
        Kind::Number { min: 0.01, max: 100_000.0 },
        Some("5"),
        "The database uses at most this much disk (GB of 1,000,000,000 bytes), its log included: the oldest payloads go first.",
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    pub age: Duration,
    pub bytes_max: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    days: u64,
    max_gb: f64,
}

pub(super) fn check(values: &Values, problems: &mut Vec<Problem>) -> Option<Retention> {
    let raw: Raw = values.section("retention", problems)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0.01 to 100,000 GB")]
    let bytes_max = (raw.max_gb * 1e9) as u64;
    Some(Retention { age: Duration::from_hours(24 * raw.days), bytes_max })
}
