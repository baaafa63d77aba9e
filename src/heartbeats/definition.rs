//! What a heartbeat is: everything that a person, or a file, says of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::annotations::{LABELS_MAX, RUNBOOK_CHARS_MAX, WORD_CHARS_MAX, are_labels, is_runbook};
use crate::base::crontab::BadCrontab;
use crate::base::text::{BadLine, line};
use crate::base::{Crontab, Severity, Timestamp, span};

/// A definition that is right. Read and written as [`Written`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Definition {
    pub schedule: Schedule,
    /// How long after it was expected it may still come; 60 s to 365 days.
    pub grace: Duration,
    /// How long a run may take once it began; where the grace is longer, or nothing is said, the grace.
    pub too_long: Option<Duration>,
    pub too_early: Telling,
    /// A good run that took three times as long as usual.
    pub slower: Telling,
    /// Failures in a row, runs that never came included, that make it down.
    pub failures: u8,
    /// Good runs in a row that make it well again.
    pub recoveries: u8,
    /// Of its incident.
    pub severity: Severity,
    /// Whether it rings by itself; nothing: unless a service needs only some of its kind.
    pub rings: Option<bool>,
    /// Pings that are no POST are noted and ignored: link previews and scanners send GET.
    pub post_only: bool,
    /// Where it is paused, a ping does not resume it.
    pub resume_by_hand: bool,
    pub runbook: Option<String>,
    pub environment: Option<String>,
    pub labels: BTreeMap<String, String>,
}

/// When it should be heard from.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// At most this long after the last time; 10 s to 365 days.
    Every(Duration),
    Cron(Box<Crontab>),
}

/// What becomes of something that is odd but no failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Telling {
    Off,
    /// It stands beside the run.
    Note,
    /// It also opens an incident that closes by itself when it is quiet: at most medium of what came too early, low of
    /// what was slow.
    Alarm,
}

/// A definition as it stands in a file, in the JSON API and in the store. What is not said is as by default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Written {
    /// `every` or `cron`, not both; neither: every day.
    #[serde(with = "span::option", skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// IANA time zone of `cron`; UTC by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    #[serde(with = "span::option", skip_serializing_if = "Option::is_none")]
    pub grace: Option<Duration>,
    #[serde(with = "span::option", skip_serializing_if = "Option::is_none")]
    pub too_long: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub too_early: Option<Telling>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slower: Option<Telling>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recoveries: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rings: Option<bool>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub post_only: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub resume_by_hand: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Why a definition cannot be. Each names its field as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("say every or cron, not both")]
    TwoSchedules,
    #[error("zone goes with cron: a period has no time zone")]
    ZoneWithoutCron,
    #[error("every: between 10 seconds and 365 days")]
    Every,
    #[error("cron: {0}")]
    Cron(#[from] BadCrontab),
    #[error("grace: between 60 seconds and 365 days")]
    Grace,
    #[error("too_long: between 60 seconds and 72 hours, which is as long as runs are measured")]
    TooLong,
    #[error("{0}: between 1 and 20")]
    InARow(&'static str),
    #[error(
        "runbook: an address that begins with http:// or https://, at most {RUNBOOK_CHARS_MAX} characters"
    )]
    Runbook,
    #[error(
        "labels: at most {LABELS_MAX}, each with a name and a value of at most {WORD_CHARS_MAX} characters that can be seen"
    )]
    Labels,
    #[error(transparent)]
    Line(#[from] BadLine),
}

const YEAR: Duration = Duration::from_hours(24 * 365);
const DAY: Duration = Duration::from_hours(24);
const EVERY_MIN: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_mins(1);
/// A run that takes longer is not measured.
pub const RUN_TIME_MAX: Duration = Duration::from_hours(72);
const IN_A_ROW_MAX: u8 = 20;
/// A run begins before its time by this at most, the grace, and this share of the time to the run after it.
const AHEAD_MAX: Duration = Duration::from_mins(5);
const AHEAD_SHARE: u32 = 10;

impl Default for Definition {
    /// Once a day, an hour of grace: what healthchecks.io gives a new check.
    fn default() -> Self {
        Self {
            schedule: Schedule::Every(DAY),
            grace: Duration::from_hours(1),
            too_long: None,
            too_early: Telling::Note,
            slower: Telling::Alarm,
            failures: 1,
            recoveries: 1,
            severity: Severity::High,
            rings: None,
            post_only: false,
            resume_by_hand: false,
            runbook: None,
            environment: None,
            labels: BTreeMap::new(),
        }
    }
}

impl Definition {
    /// When the next run is expected after one that began at `began` and was heard from at `at`. Where it began a moment
    /// before a time of the schedule it was the run of that time: clocks differ.
    pub fn next_run(&self, began: Timestamp, at: Timestamp) -> Option<Timestamp> {
        let next = self.schedule.next_after(at)?;
        let Schedule::Cron(crontab) = &self.schedule else { return Some(next) };
        let ahead_max = self.grace.min(AHEAD_MAX);
        if next.since(began) > ahead_max {
            return Some(next);
        }
        match crontab.next_after(next) {
            Some(after) if next.since(began) <= ahead_max.min(after.since(next) / AHEAD_SHARE) => Some(after),
            Some(_) | None => Some(next),
        }
    }

    /// How long a run may take.
    pub fn run_time_max(&self) -> Duration {
        self.too_long.unwrap_or_default().max(self.grace)
    }
}

impl Schedule {
    /// When the next run is expected after one at `at`; `None` where none ever is.
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every(period) => Some(at + *period),
            Self::Cron(crontab) => crontab.next_after(at),
        }
    }

    /// In words: `every 5m`, `0 3 * * * Europe/Berlin`.
    pub fn describe(&self) -> String {
        match self {
            Self::Every(period) => format!("every {}", span::format(*period)),
            Self::Cron(crontab) => format!("{crontab} {}", crontab.zone()),
        }
    }
}

impl TryFrom<Written> for Definition {
    type Error = Invalid;

    fn try_from(written: Written) -> Result<Self, Invalid> {
        let by_default = Self::default();
        let schedule = schedule(&written)?;
        let grace = written.grace.unwrap_or(by_default.grace);
        if !(MINUTE..=YEAR).contains(&grace) {
            return Err(Invalid::Grace);
        }
        if written.too_long.is_some_and(|too_long| !(MINUTE..=RUN_TIME_MAX).contains(&too_long)) {
            return Err(Invalid::TooLong);
        }
        if !are_labels(&written.labels) {
            return Err(Invalid::Labels);
        }
        if written.runbook.as_ref().is_some_and(|runbook| !is_runbook(runbook)) {
            return Err(Invalid::Runbook);
        }
        let environment =
            written.environment.as_deref().map(|text| line("environment", text, WORD_CHARS_MAX));
        Ok(Self {
            schedule,
            grace,
            too_long: written.too_long,
            too_early: written.too_early.unwrap_or(by_default.too_early),
            slower: written.slower.unwrap_or(by_default.slower),
            failures: in_a_row("failures", written.failures)?,
            recoveries: in_a_row("recoveries", written.recoveries)?,
            severity: written.severity.unwrap_or(by_default.severity),
            rings: written.rings,
            post_only: written.post_only,
            resume_by_hand: written.resume_by_hand,
            runbook: written.runbook,
            environment: environment.transpose()?.map(str::to_owned),
            labels: written.labels,
        })
    }
}

impl From<Definition> for Written {
    fn from(definition: Definition) -> Self {
        let by_default = Definition::default();
        let other = |telling, usual| (telling != usual).then_some(telling);
        let (every, cron, zone) = match definition.schedule {
            Schedule::Every(period) => (Some(period), None, None),
            Schedule::Cron(crontab) => {
                (None, Some(crontab.as_str().to_owned()), Some(crontab.zone().name().to_owned()))
            }
        };
        Self {
            every,
            cron,
            zone,
            grace: Some(definition.grace),
            too_long: definition.too_long,
            too_early: other(definition.too_early, by_default.too_early),
            slower: other(definition.slower, by_default.slower),
            failures: (definition.failures > 1).then_some(definition.failures),
            recoveries: (definition.recoveries > 1).then_some(definition.recoveries),
            severity: (definition.severity != by_default.severity).then_some(definition.severity),
            rings: definition.rings,
            post_only: definition.post_only,
            resume_by_hand: definition.resume_by_hand,
            runbook: definition.runbook,
            environment: definition.environment,
            labels: definition.labels,
        }
    }
}

fn schedule(written: &Written) -> Result<Schedule, Invalid> {
    match (written.every, &written.cron) {
        (Some(_), Some(_)) => Err(Invalid::TwoSchedules),
        (None, Some(cron)) => {
            let crontab = Crontab::parse(cron, written.zone.as_deref().unwrap_or("UTC"))?;
            Ok(Schedule::Cron(Box::new(crontab)))
        }
        (Some(_) | None, None) if written.zone.is_some() => Err(Invalid::ZoneWithoutCron),
        (None, None) => Ok(Schedule::Every(DAY)),
        (Some(every), None) if (EVERY_MIN..=YEAR).contains(&every) => Ok(Schedule::Every(every)),
        (Some(_), None) => Err(Invalid::Every),
    }
}

fn in_a_row(field: &'static str, count: Option<u8>) -> Result<u8, Invalid> {
    let count = count.unwrap_or(1);
    if (1..=IN_A_ROW_MAX).contains(&count) { Ok(count) } else { Err(Invalid::InARow(field)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Definition, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_is_as_by_default() {
        assert_eq!(read("{}"), Ok(Definition::default()));
        let nightly = read(r#"{"cron":"0 3 * * *","zone":"Europe/Berlin","grace":"2h"}"#).unwrap();
        assert_eq!(nightly.schedule.describe(), "0 3 * * * Europe/Berlin");
        assert_eq!(nightly.run_time_max(), Duration::from_hours(2));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, says) in [
            (r#"{"every":"1m","cron":"* * * * *"}"#, "not both"),
            (r#"{"zone":"UTC"}"#, "zone goes with cron"),
            (r#"{"every":"5s"}"#, "every: between"),
            (r#"{"every":"5"}"#, "no length of time"),
            (r#"{"cron":"61 * * * *"}"#, "cron: the minute"),
            (r#"{"cron":"* * * * *","zone":"Mars"}"#, "time zone"),
            (r#"{"grace":"59s"}"#, "grace: between"),
            (r#"{"grace":"366d"}"#, "grace: between"),
            (r#"{"too_long":"100h"}"#, "too_long: between"),
            (r#"{"failures":0}"#, "failures: between"),
            (r#"{"recoveries":21}"#, "recoveries: between"),
            (r#"{"runbook":"javascript:alert(1)"}"#, "runbook"),
            (r#"{"labels":{"team":" "}}"#, "labels: at most 20"),
            (r#"{"environment":" "}"#, "environment is empty"),
            (r#"{"period":"1m"}"#, "unknown field"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(says), "{json}: {error}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for json in [
            "{}",
            r#"{"cron":"*/5 * * * *","zone":"America/New_York","too_long":"3h","too_early":"alarm","slower":"off"}"#,
            r#"{"every":"90s","failures":3,"recoveries":2,"severity":"low","rings":false,"post_only":true,
               "resume_by_hand":true,"runbook":"https://wiki/x","environment":"prod","labels":{"team":"data"}}"#,
        ] {
            let definition = read(json).unwrap();
            let written = serde_json::to_string(&definition).unwrap();
            assert_eq!(read(&written), Ok(definition), "{written}");
        }
    }
}
