//! `[webhooks]`: what is taken of providers, how long it is kept, and how much of it is sent at once.

use std::time::Duration;

use serde::Deserialize;

use super::key::{Key, Kind};
use super::layers::Values;
use super::problem::Problem;

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "webhooks.payload_hours",
        Kind::Whole { min: 1, max: 8760 },
        Some("24"),
        "What webhooks brought is kept for so many hours after it was delivered; of what is not delivered or died, until somebody deals with it.",
    ),
    Key::new(
        "webhooks.log_days",
        Kind::Whole { min: 1, max: 3650 },
        Some("7"),
        "Requests, deliveries and attempts older than this are removed, but for dead letters.",
    ),
    Key::new(
        "webhooks.key_days",
        Kind::Whole { min: 1, max: 3650 },
        Some("30"),
        "An event that a provider sends again is known for so many days.",
    ),
    Key::new(
        "webhooks.body_bytes_max",
        Kind::Whole { min: 1024, max: 26_214_400 },
        Some("5242880"),
        "Larger bodies are refused with 413, where their source does not say how large they may be.",
    ),
    Key::new(
        "webhooks.concurrency",
        Kind::Whole { min: 1, max: 4096 },
        Some("256"),
        "Deliveries under way at once, of all destinations together; the rest waits its turn. Each takes a connection.",
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Webhooks {
    pub payload_age: Duration,
    pub log_age: Duration,
    pub key_age: Duration,
    pub body_bytes_max: usize,
    pub concurrency: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    payload_hours: u64,
    log_days: u64,
    key_days: u64,
    body_bytes_max: usize,
    concurrency: u32,
}

pub(super) fn check(values: &Values, problems: &mut Vec<Problem>) -> Option<Webhooks> {
    let raw: Raw = values.section("webhooks", problems)?;
    let days = |days: u64| Duration::from_hours(24 * days);
    Some(Webhooks {
        payload_age: Duration::from_hours(raw.payload_hours),
        log_age: days(raw.log_days),
        key_age: days(raw.key_days),
        body_bytes_max: raw.body_bytes_max,
        concurrency: raw.concurrency,
    })
}
