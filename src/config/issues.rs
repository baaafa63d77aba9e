//! `[issues]`: what is kept of a hot issue and when an incident of errors is over.

use std::time::Duration;

use serde::Deserialize;

use super::key::{Key, Kind};
use super::layers::Values;
use super::problem::Problem;

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "issues.sample_floor",
        Kind::Whole { min: 1, max: 1_000_000_000 },
        Some("100"),
        "Events of an issue that are always stored per UTC day; beyond it a bounded sample is stored and all are counted.",
    ),
    Key::new(
        "issues.new_per_hour_max",
        Kind::Whole { min: 10, max: 1_000_000 },
        Some("1000"),
        "New issues that a project may get in an hour; what is new beyond is counted in one issue, and that rings.",
    ),
    Key::new(
        "issues.quiet_minutes",
        Kind::Whole { min: 1, max: 1440 },
        Some("30"),
        "An incident of errors is over after this many minutes without one.",
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issues {
    pub sample_floor: u32,
    pub new_per_hour_max: u32,
    pub quiet: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    sample_floor: u32,
    new_per_hour_max: u32,
    quiet_minutes: u64,
}

pub(super) fn check(values: &Values, problems: &mut Vec<Problem>) -> Option<Issues> {
    let raw: Raw = values.section("issues", problems)?;
    Some(Issues {
        sample_floor: raw.sample_floor,
        new_per_hour_max: raw.new_per_hour_max,
        quiet: Duration::from_mins(raw.quiet_minutes),
    })
}
