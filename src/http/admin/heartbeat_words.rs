//! What pages say of heartbeats: pure functions from rows to sentences.

use std::time::Duration;

use chrono_tz::Tz;

use super::incident_words::Badge;
use super::moments::{between, clock, span};
use super::schedule_words::{self, Coming};
use super::wording::counted;
use crate::base::Timestamp;
use crate::heartbeats::queries::Counts;
use crate::heartbeats::rules::RunKind;
use crate::heartbeats::{Heartbeat, Owner, Schedule, Status};
use crate::http::problem::sentence;

/// A status by its word and its shape.
pub(super) const fn status_badge(status: Status) -> Badge {
    match status {
        Status::Down => Badge { class: "bad", word: "down" },
        Status::Late => Badge { class: "warn", word: "late" },
        Status::New => Badge { class: "unknown", word: "new" },
        Status::Up => Badge { class: "ok", word: "up" },
        Status::Paused => Badge { class: "paused", word: "paused" },
    }
}

/// How a run ended.
pub(super) const fn outcome(kind: RunKind, exit_status: Option<u8>) -> Badge {
    match (kind, exit_status) {
        (RunKind::Running, _) => Badge { class: "unknown", word: "under way" },
        (RunKind::Success, _) => Badge { class: "ok", word: "good" },
        (RunKind::Fail, _) => Badge { class: "bad", word: "failed" },
        (RunKind::Missed, _) => Badge { class: "warn", word: "missed" },
        (RunKind::Log, _) => Badge { class: "paused", word: "log" },
        (RunKind::Ignored, _) => Badge { class: "paused", word: "ignored" },
    }
}

/// Whether any job needs somebody, at the head of the list.
pub(super) fn headline(counts: Counts) -> (String, String) {
    let total = counts.new + counts.up + counts.late + counts.down + counts.paused;
    let first = match (counts.down, counts.late) {
        _ if total == 0 => "No heartbeat yet".to_owned(),
        (0, 0) if counts.up == 0 => "Nothing was heard yet".to_owned(),
        (0, 0) if counts.up == total => match total {
            1 => "The one job runs as it should".to_owned(),
            _ => format!("All {total} jobs run as they should"),
        },
        (0, 0) => "Every job that was heard from runs as it should".to_owned(),
        (0, 1) => "Nothing is down, one job is late".to_owned(),
        (0, late) => format!("Nothing is down, {late} jobs are late"),
        (1, _) => "One job is down".to_owned(),
        (down, _) => format!("{down} jobs are down"),
    };
    let parts = [(counts.late, "late"), (counts.up, "up"), (counts.new, "new"), (counts.paused, "paused")];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    let second = match total {
        0 => "A heartbeat rings when a job that should run does not.".to_owned(),
        _ if parts.is_empty() => String::new(),
        _ => format!("{}.", parts.join(", ")),
    };
    (first, second)
}

/// When it should be heard from, in words.
pub(super) fn schedule(schedule: &Schedule) -> String {
    match schedule {
        Schedule::Every(period) => schedule_words::every(*period),
        Schedule::Cron(crontab) => schedule_words::words(crontab),
    }
}

/// In which zone its times are told.
pub(super) const fn zone(schedule: &Schedule) -> Tz {
    match schedule {
        Schedule::Every(_) => Tz::UTC,
        Schedule::Cron(crontab) => crontab.zone(),
    }
}

/// When the next run is expected, where one is.
pub(super) fn expected(heartbeat: &Heartbeat, now: Timestamp) -> Option<Coming> {
    let at = heartbeat.state.expected_at.filter(|_| heartbeat.state.status != Status::Paused)?;
    let zone = zone(&heartbeat.definition.schedule);
    let soon = if at < now {
        format!("{} ago", between(at, now))
    } else {
        schedule_words::coming(at, zone, now).soon
    };
    Some(Coming { local: schedule_words::local(at, zone), soon })
}

/// Where it stands, in a sentence or three.
pub(super) fn standing(heartbeat: &Heartbeat, now: Timestamp) -> String {
    let state = &heartbeat.state;
    let lasted = between(state.since, now);
    let said = match state.status {
        Status::New => "Never heard from. The first ping starts the clock.".to_owned(),
        Status::Up if state.bad_now > 0 => format!(
            "The last run {}. It counts as down after {} in a row; this is the {}.",
            state.reason,
            heartbeat.definition.failures,
            nth(state.bad_now)
        ),
        Status::Up => format!("Up for {lasted}.{}", next(heartbeat, now)),
        Status::Late => {
            let until = state.due_at.map_or_else(String::new, |due| {
                format!(" It is down at {} if nothing comes.", clock(due, now))
            });
            format!("Expected {} ago.{until}", between(state.expected_at.unwrap_or(state.since), now))
        }
        Status::Down => {
            let missed = match state.missed_now {
                ..=1 => String::new(),
                many => format!(" {} in a row never came.", counted(many, "run")),
            };
            format!("{} Down for {lasted}.{missed}", sentence(&format!("it {}", state.reason)))
        }
        Status::Paused => {
            let by = heartbeat.paused_by.as_deref().unwrap_or("somebody");
            let how = if heartbeat.definition.resume_by_hand {
                "It is resumed by hand."
            } else {
                "Its next ping resumes it."
            };
            format!("Paused by {by} for {lasted}: nothing is expected. {how}")
        }
    };
    match state.last_start_at {
        Some(began) if state.status != Status::Paused => {
            format!("{said} A run is under way for {}.", between(began, now))
        }
        Some(_) | None => said,
    }
}

fn next(heartbeat: &Heartbeat, now: Timestamp) -> String {
    expected(heartbeat, now).map_or_else(String::new, |coming| {
        let grace = span(heartbeat.definition.grace);
        format!(" Next expected {} ({}), with {grace} of grace.", coming.local, coming.soon)
    })
}

fn nth(number: i64) -> String {
    match number {
        1 => "first".to_owned(),
        2 => "second".to_owned(),
        3 => "third".to_owned(),
        more => format!("{more}th"),
    }
}

/// Who made it, where that was no page; empty else.
pub(super) const fn made_by(owner: Owner) -> &'static str {
    match owner {
        Owner::Page => "",
        Owner::File => "from a file",
        Owner::Ping => "made by its first ping",
        Owner::Sentry => "made by a check-in of a Sentry SDK",
    }
}

/// `2 min 5 s` below an hour, where seconds matter; else as [`span`].
pub(super) fn took(time: Duration) -> String {
    match time.as_secs() {
        0..60 if time.subsec_millis() > 0 && time.as_secs() > 0 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 if !time.as_secs().is_multiple_of(60) => {
            format!("{} min {} s", time.as_secs() / 60, time.as_secs() % 60)
        }
        _ => span(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headline_names_the_worst_first() {
        let of = |new, up, late, down, paused| Counts { new, up, late, down, paused };
        let table = [
            (of(0, 0, 0, 0, 0), "No heartbeat yet"),
            (of(2, 0, 0, 0, 0), "Nothing was heard yet"),
            (of(0, 1, 0, 0, 0), "The one job runs as it should"),
            (of(0, 12, 0, 0, 0), "All 12 jobs run as they should"),
            (of(1, 12, 0, 0, 0), "Every job that was heard from runs as it should"),
            (of(0, 12, 2, 0, 0), "Nothing is down, 2 jobs are late"),
            (of(0, 12, 2, 1, 0), "One job is down"),
        ];
        for (counts, first) in table {
            assert_eq!(headline(counts).0, first);
        }
        assert_eq!(headline(of(1, 3, 2, 1, 0)).1, "2 late, 3 up, 1 new.");
    }

    #[test]
    fn times_of_runs_keep_the_seconds_that_matter() {
        let table =
            [(340, "340 ms"), (1500, "1.5 s"), (60_000, "60 s"), (125_000, "2 min 5 s"), (7_200_000, "2 h")];
        for (millis, expected) in table {
            assert_eq!(took(Duration::from_millis(millis)), expected, "{millis}");
        }
    }
}
