//! `[limits]`: the bounds of the process itself.

use std::time::Duration;

use serde::Deserialize;

use super::key::{Key, Kind};
use super::layers::Values;
use super::problem::Problem;

const MIB: i64 = 1024 * 1024;

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "limits.http_threads",
        Kind::Whole { min: 0, max: 64 },
        Some("0"),
        "Threads that answer requests. 0: one per processor, at most 4.",
    ),
    Key::new(
        "limits.connections_max",
        Kind::Whole { min: 16, max: 100_000 },
        Some("4096"),
        "Open connections; more wait in the kernel.",
    ),
    Key::new(
        "limits.waiting_bytes_max",
        Kind::Whole { min: MIB, max: 4096 * MIB },
        Some("67108864"),
        "Memory that what waits to be written may hold together; beyond it senders are told to come back. Bodies that are being read hold of it too, beyond 16 KiB each and up to half.",
    ),
    Key::new(
        "limits.api_body_bytes_max",
        Kind::Whole { min: 1024, max: 64 * MIB },
        Some("1048576"),
        "The largest body of a request to the JSON API, of an error, metrics or a deploy sent without an SDK, and of a form (there never more than 262144).",
    ),
    Key::new(
        "limits.stop_timeout_s",
        Kind::Whole { min: 1, max: 600 },
        Some("40"),
        "How long a stop waits for what is under way; a message may take 30 s.",
    ),
];

/// 0 of `limits.http_threads` means the processors, but no more than this: the writer needs one too, and each
/// thread costs memory.
const HTTP_THREADS_AUTO_MAX: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub http_threads: usize,
    pub connections_max: usize,
    /// Of all lanes together, and of bodies that are being read.
    pub waiting_bytes_max: usize,
    pub api_body_bytes_max: usize,
    pub stop_timeout: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    http_threads: usize,
    connections_max: usize,
    waiting_bytes_max: usize,
    api_body_bytes_max: usize,
    stop_timeout_s: u64,
}

pub(super) fn check(values: &Values, problems: &mut Vec<Problem>) -> Option<Limits> {
    let raw: Raw = values.section("limits", problems)?;
    let http_threads = match raw.http_threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from).min(HTTP_THREADS_AUTO_MAX),
        chosen => chosen,
    };
    Some(Limits {
        http_threads,
        connections_max: raw.connections_max,
        waiting_bytes_max: raw.waiting_bytes_max,
        api_body_bytes_max: raw.api_body_bytes_max,
        stop_timeout: Duration::from_secs(raw.stop_timeout_s),
    })
}
