//! `[heartbeats]`: what is kept of what jobs send.

use serde::Deserialize;

use super::key::{Key, Kind};
use super::layers::Values;
use super::problem::Problem;

pub(super) const KEYS: &[Key] = &[Key::new(
    "heartbeats.body_bytes_max",
    Kind::Whole { min: 0, max: 65_536 },
    Some("10000"),
    "Bytes kept of what a job sends with a ping; the header `Ping-Body-Limit` tells the job. What comes beyond is counted and let go.",
)];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeats {
    pub body_bytes_max: usize,
}

pub(super) fn check(values: &Values, problems: &mut Vec<Problem>) -> Option<Heartbeats> {
    values.section("heartbeats", problems)
}
