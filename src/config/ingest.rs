//! `[ingest]`: how much one key and one request may bring.

use serde::Deserialize;

use super::key::{Key, Kind};
use super::layers::Values;
use super::problem::Problem;

const MIB: i64 = 1024 * 1024;

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "ingest.events_per_minute",
        Kind::Whole { min: 1, max: 100_000_000 },
        Some("600"),
        "Events that one DSN key may send in any 60 seconds, where the key has no quota of its own. Beyond it SDKs are told to wait.",
    ),
    Key::new(
        "ingest.body_bytes_max",
        Kind::Whole { min: 64 * 1024, max: 100 * MIB },
        Some("10485760"),
        "The largest request body as it comes over the wire; larger ones get 413.",
    ),
    Key::new(
        "ingest.decompressed_bytes_max",
        Kind::Whole { min: 64 * 1024, max: 200 * MIB },
        Some("41943040"),
        "The largest request body after decompression; larger ones get 413.",
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ingest {
    pub events_per_minute: u32,
    pub body_bytes_max: usize,
    pub decompressed_bytes_max: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    events_per_minute: u32,
    body_bytes_max: usize,
    decompressed_bytes_max: usize,
}

pub(super) fn check(values: &Values, problems: &mut Vec<Problem>) -> Option<Ingest> {
    let Raw { events_per_minute, body_bytes_max, decompressed_bytes_max } =
        values.section("ingest", problems)?;
    if decompressed_bytes_max < body_bytes_max {
        let why = "must not be smaller than ingest.body_bytes_max";
        problems.push(values.problem("ingest.decompressed_bytes_max", why));
    }
    Some(Ingest { events_per_minute, body_bytes_max, decompressed_bytes_max })
}
