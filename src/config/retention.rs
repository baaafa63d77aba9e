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
        "Events older than this are removed, at twice this age also the part of one event against which others of its issue are compressed. The counts of an issue stay until it was not seen for as long.",
    ),
    Key::new(
        "retention.max_gb",
        Kind::Number { min: 0.25, max: 100_000.0 },
        Some("5"),
        "The database uses at most this much disk (GB of 1,000,000,000 bytes), 0.14 of it for its write-ahead log: what there is most of goes first, the rare and the new last.",
    ),
    Key::new(
        "retention.audit_days",
        Kind::Whole { min: 1, max: 36_500 },
        Some("365"),
        "Lines of the audit log older than this are removed.",
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    pub age: Duration,
    pub audit_age: Duration,
    pub bytes_max: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    days: u64,
    max_gb: f64,
    audit_days: u64,
}

pub(super) fn check(values: &Values, problems: &mut Vec<Problem>) -> Option<Retention> {
    let raw: Raw = values.section("retention", problems)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0.25 to 100,000 GB")]
    let bytes_max = (raw.max_gb * 1e9) as u64;
    let days = |days: u64| Duration::from_hours(24 * days);
    Some(Retention { age: days(raw.days), audit_age: days(raw.audit_days), bytes_max })
}
