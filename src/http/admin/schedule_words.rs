//! Schedules as people read them: in words, and as the moments to which they lead, in the zone that was chosen.

use std::time::Duration;

use askama::Template;
use chrono_tz::Tz;

use super::moments::{span, until};
use crate::base::{self, Crontab, Timestamp};

/// A moment to come: `Sun 22 Nov, 03:00 CET`, `in 5 h`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Coming {
    pub(super) local: String,
    pub(super) soon: String,
}

/// What is shown beside a schedule while it is typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Preview {
    pub(super) words: String,
    pub(super) next: Vec<Coming>,
    /// What is wrong with it, where something is.
    pub(super) wrong: String,
}

/// The same as an answer of its own.
#[derive(Template)]
#[template(path = "schedule_preview_alone.html", config = "src/http/admin/askama.toml")]
pub(super) struct PreviewAlone {
    pub(super) preview: Preview,
}

/// What a person needs to see that a schedule is the one that was meant.
const SHOWN: usize = 5;

/// A crontab line in words: `at 03:00, Europe/Berlin`.
pub(super) fn words(crontab: &Crontab) -> String {
    let described = crontab.describe();
    let described = described.trim().trim_end_matches('.');
    // It says “At every 5 minutes”, though nothing happens at that time alone.
    let described =
        described.strip_prefix("At ").filter(|rest| rest.starts_with("every ")).unwrap_or(described);
    let mut chars = described.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_lowercase).collect();
    format!("{first}{}, {}", chars.as_str(), crontab.zone())
}

/// The next five times of a crontab line.
pub(super) fn next_five(crontab: &Crontab, now: Timestamp) -> Vec<Coming> {
    crontab.after(now).take(SHOWN).map(|at| coming(at, crontab.zone(), now)).collect()
}

pub(super) fn coming(at: Timestamp, zone: Tz, now: Timestamp) -> Coming {
    Coming { local: local(at, zone), soon: until(at, now) }
}

/// A moment in a zone: `Sun 22 Nov, 03:00 CET`.
pub(super) fn local(at: Timestamp, zone: Tz) -> String {
    at.to_chrono().with_timezone(&zone).format("%a %-d %b, %H:%M %Z").to_string()
}

/// `every 5 min`, `every day`.
pub(super) fn every(period: Duration) -> String {
    match period.as_secs() {
        60 => "every minute".to_owned(),
        3600 => "every hour".to_owned(),
        86_400 => "every day".to_owned(),
        604_800 => "every week".to_owned(),
        61..3600 if !period.as_secs().is_multiple_of(60) => format!("every {}", base::span::format(period)),
        _ => format!("every {}", span(period)),
    }
}

/// The zones that a person may choose by name. Old names are understood and not offered.
pub(super) fn zones() -> Vec<&'static str> {
    let offered = |name: &&str| name.contains('/') && !name.starts_with("Etc/") && !name.starts_with("US/");
    std::iter::once("UTC")
        .chain(chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()).filter(offered))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_told_in_words_and_in_the_time_of_its_zone() {
        let nightly = Crontab::parse("30 3 * * 1-5", "Europe/Berlin").unwrap();
        let now = Timestamp::parse_rfc3339("2026-10-23T12:00:00Z").unwrap();
        let told = words(&nightly);
        assert!(told.starts_with("at ") && told.ends_with(", Europe/Berlin"), "{told}");
        let next = next_five(&nightly, now);
        let local: Vec<&str> = next.iter().map(|coming| coming.local.as_str()).collect();
        assert_eq!(local[0], "Mon 26 Oct, 03:30 CET", "the clock was set back on the day before");
        assert_eq!((local.len(), next[0].soon.as_str()), (5, "in 2 d 14 h"));
        let often = Crontab::parse("*/5 * * * *", "UTC").unwrap();
        assert_eq!(words(&often), "every 5 minutes, UTC");
    }

    #[test]
    fn periods_are_told_as_people_say_them() {
        let table = [
            (10, "every 10 s"),
            (60, "every minute"),
            (90, "every 1m30s"),
            (300, "every 5 min"),
            (86_400, "every day"),
        ];
        for (seconds, expected) in table {
            assert_eq!(every(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn zones_are_offered_by_the_names_that_people_know() {
        let zones = zones();
        assert_eq!(zones[0], "UTC");
        assert!(zones.contains(&"Europe/Berlin") && zones.contains(&"Asia/Kolkata"));
        assert!(!zones.iter().any(|zone| zone.starts_with("Etc/")));
    }
}
