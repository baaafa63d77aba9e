//! `[log]`: how much is said and in which form.

use serde::Deserialize;

use super::key::{Key, Kind};
use super::layers::Values;
use super::problem::Problem;
use crate::telemetry;

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "log.level",
        Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
        Some("info"),
        "The least important line that is written. Libraries never say more than warnings, which keeps secrets out.",
    ),
    Key::new(
        "log.format",
        Kind::Choice(&["auto", "json", "text"]),
        Some("auto"),
        "`auto` is short text on a terminal and JSON lines everywhere else.",
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    pub level: telemetry::Level,
    /// `None`: text on a terminal, else JSON.
    pub format: Option<telemetry::Format>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    level: String,
    format: String,
}

pub(super) fn check(values: &Values, problems: &mut Vec<Problem>) -> Option<Log> {
    let raw: Raw = values.section("log", problems)?;
    let Ok(level) = raw.level.parse() else {
        problems.push(values.problem("log.level", "is not a level"));
        return None;
    };
    let format = match raw.format.as_str() {
        "json" => Some(telemetry::Format::Json),
        "text" => Some(telemetry::Format::Text),
        _ => None,
    };
    Some(Log { level, format })
}
