//! `[incidents]`: which troubles are one trouble, and when it is over.

use std::time::Duration;

use serde::Deserialize;

use super::key::{Key, Kind};
use super::layers::Values;
use super::problem::Problem;

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "incidents.join_within_s",
        Kind::Whole { min: 0, max: 3600 },
        Some("300"),
        "Trouble of the same project or service that begins this near to an open incident's start joins it.",
    ),
    Key::new(
        "incidents.hold_s",
        Kind::Whole { min: 0, max: 3600 },
        Some("60"),
        "A recovered condition must stay well this long before its incident closes.",
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incidents {
    pub join_within: Duration,
    pub hold: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    join_within_s: u64,
    hold_s: u64,
}

pub(super) fn check(values: &Values, problems: &mut Vec<Problem>) -> Option<Incidents> {
    let raw: Raw = values.section("incidents", problems)?;
    Some(Incidents {
        join_within: Duration::from_secs(raw.join_within_s),
        hold: Duration::from_secs(raw.hold_s),
    })
}
