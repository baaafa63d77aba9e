//! Crontab lines as people type them: five fields, a time zone, Vixie's rules.
//!
//! tocsin's own schedule is another thing (`engine`). Where a clock is set forward, what would have run in the hour that
//! is missing runs after it; where it is set back, it runs once (as cronie does).

use std::fmt;
use std::str::FromStr as _;
use std::time::Duration;

use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use super::Timestamp;

/// When a job should run.
#[derive(Clone, Debug)]
pub struct Crontab {
    source: String,
    cron: Cron,
    zone: Tz,
}

/// Why a text is no schedule; names the field, says what it may be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCrontab {
    #[error("a schedule has five fields (minute hour day month weekday), this has {0}")]
    Fields(usize),
    #[error("the {field} “{text}” is not understood: {reason}")]
    Field { field: &'static str, text: String, reason: String },
    #[error("this never comes: {0}")]
    Never(String),
    #[error("there is no time zone “{0}”; they are named like Europe/Berlin, or UTC")]
    Zone(String),
    #[error("a schedule has at most {CHARS_MAX} characters")]
    TooLong,
}

pub const CHARS_MAX: usize = 200;
/// What each field is called, and what it may be.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31, or L for the last"),
    ("month", "1 to 12, or JAN to DEC"),
    ("day of the week", "0 to 7, where 0 and 7 are Sunday, or SUN to SAT"),
];

impl Crontab {
    /// Reads five fields, or a word such as `@daily`, in an IANA time zone.
    ///
    /// # Errors
    /// [`BadCrontab`], naming the field that is wrong.
    pub fn parse(source: &str, zone: &str) -> Result<Self, BadCrontab> {
        let source = source.trim();
        if source.chars().count() > CHARS_MAX {
            return Err(BadCrontab::TooLong);
        }
        let zone = parse_zone(zone)?;
        let fields: Vec<&str> = source.split_ascii_whitespace().collect();
        if fields.len() != FIELDS.len() && !(fields.len() == 1 && source.starts_with('@')) {
            return Err(BadCrontab::Fields(fields.len()));
        }
        // The library takes these, and leaves out what is not there.
        let is_gapped = |field: &str| field.split(',').any(str::is_empty);
        if let Some(n) = fields.iter().position(|field| is_gapped(field)) {
            let (field, may_be) = FIELDS[n];
            let text = fields[n].to_owned();
            return Err(BadCrontab::Field { field, reason: wrong_with(&text, may_be), text });
        }
        let cron =
            parser(both_days(&fields)).parse(source).map_err(|error| blame(&fields, &error.to_string()))?;
        let crontab = Self { source: fields.join(" "), cron, zone };
        match crontab.next_after(Timestamp::from_secs(1_767_225_600)) {
            Some(_) => Ok(crontab),
            None => Err(BadCrontab::Never(crontab.source)),
        }
    }

    /// The first time after `at`; `None` where none comes in a lifetime.
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        let local = at.to_chrono().with_timezone(&self.zone);
        let next = self.cron.find_next_occurrence(&local, false).ok()?;
        let next = Timestamp::from_micros(next.timestamp_micros());
        // A schedule must go on: without this a fault of the library would hold up whoever walks along it.
        (next > at).then_some(next)
    }

    /// The times after `at`, soonest first.
    pub fn after(&self, at: Timestamp) -> impl Iterator<Item = Timestamp> {
        std::iter::successors(self.next_after(at), |last| self.next_after(*last))
    }

    /// The shortest pause among the next ten.
    pub fn shortest_pause(&self, at: Timestamp) -> Duration {
        let times: Vec<Timestamp> = self.after(at).take(11).collect();
        times.windows(2).map(|pair| pair[1].since(pair[0])).min().unwrap_or(Duration::MAX)
    }

    /// In plain words.
    pub fn describe(&self) -> String {
        self.cron.describe()
    }

    pub fn as_str(&self) -> &str {
        &self.source
    }

    pub const fn zone(&self) -> Tz {
        self.zone
    }
}

impl fmt::Display for Crontab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl PartialEq for Crontab {
    fn eq(&self, other: &Self) -> bool {
        (&self.source, self.zone) == (&other.source, other.zone)
    }
}

/// An IANA time zone by its name.
///
/// # Errors
/// [`BadCrontab::Zone`].
pub fn parse_zone(name: &str) -> Result<Tz, BadCrontab> {
    Tz::from_str(name.trim()).map_err(|_| BadCrontab::Zone(name.chars().take(50).collect()))
}

fn parser(both_days: bool) -> CronParser {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).dom_and_dow(both_days).build()
}

/// Of a day of the month and one of the week either is enough, unless one of them begins with a star: then both must
/// fit. So `0 3 1-7 * */7` is the first Sunday of a month (crontab(5)).
fn both_days(fields: &[&str]) -> bool {
    [2, 4].iter().any(|day| fields.get(*day).is_some_and(|field| field.starts_with('*')))
}

/// The library says what is wrong, not where: each field is tried by itself.
fn blame(fields: &[&str], whole: &str) -> BadCrontab {
    for (n, (field, may_be)) in FIELDS.into_iter().enumerate() {
        let Some(text) = fields.get(n) else { break };
        let alone: Vec<&str> = (0..FIELDS.len()).map(|m| if m == n { *text } else { "*" }).collect();
        if parser(false).parse(&alone.join(" ")).is_err() {
            return BadCrontab::Field { field, text: (*text).to_owned(), reason: wrong_with(text, may_be) };
        }
    }
    BadCrontab::Never(whole.to_owned())
}

/// The first of a field's parts that cannot be, in words.
fn wrong_with(text: &str, may_be: &str) -> String {
    for (n, part) in text.split(',').enumerate() {
        if part.is_empty() {
            return format!("nothing stands in place {} of the list: take a comma out", n + 1);
        }
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        if step.parse() == Ok(0) {
            return format!("a step is 1 or more, as in {range}/5");
        }
        let ends = range.split_once('-').map(|(from, to)| (from.parse::<u8>(), to.parse::<u8>()));
        if let Some((Ok(from), Ok(to))) = ends
            && from > to
        {
            return format!("a range goes upwards, as in {to}-{from}; it may be {may_be}");
        }
    }
    format!("it may be {may_be}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn next(source: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let crontab = Crontab::parse(source, zone).unwrap();
        crontab.after(at(after)).take(count).map(|t| t.to_rfc3339()[..16].to_owned()).collect()
    }

    #[test]
    fn fields_mean_what_vixie_said() {
        // 2026-11-02 is a Monday; the day of the month or of the week is enough.
        assert_eq!(next("0 9 * * 1", "UTC", "2026-11-01T00:00:00Z", 1), ["2026-11-02T09:00"]);
        assert_eq!(
            next("0 0 13 * FRI", "UTC", "2026-11-01T00:00:00Z", 3),
            ["2026-11-06T00:00", "2026-11-13T00:00", "2026-11-20T00:00"]
        );
        assert_eq!(next("@daily", "UTC", "2026-11-01T00:00:00Z", 1), ["2026-11-02T00:00"]);
        // Unless one of the two begins with a star: odd days that are Mondays, and first Sundays.
        assert_eq!(
            next("0 0 */2 * MON", "UTC", "2026-11-01T00:00:00Z", 3),
            ["2026-11-09T00:00", "2026-11-23T00:00", "2026-12-07T00:00"]
        );
        assert_eq!(
            next("0 3 1-7 * */7", "UTC", "2026-11-02T00:00:00Z", 2),
            ["2026-12-06T03:00", "2027-01-03T03:00"]
        );
    }

    #[test]
    fn an_hour_that_is_missing_is_made_up_for_and_one_that_comes_twice_counts_once() {
        let zone = "America/New_York";
        assert_eq!(
            next("30 2 * * *", zone, "2026-03-07T12:00:00Z", 2),
            ["2026-03-08T07:00", "2026-03-09T06:30"],
            "after the gap"
        );
        assert_eq!(
            next("30 1 * * *", zone, "2026-10-31T12:00:00Z", 2),
            ["2026-11-01T05:30", "2026-11-02T06:30"],
            "once in the overlap"
        );
    }

    #[test]
    fn more_than_five_plain_fields_is_understood() {
        assert_eq!(next("0 0 L * *", "UTC", "2026-02-01T00:00:00Z", 1), ["2026-02-28T00:00"]);
        assert_eq!(next("0 0 * * sun#2", "UTC", "2026-11-01T00:00:00Z", 1), ["2026-11-08T00:00"]);
        for word in ["@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@annually"] {
            assert!(Crontab::parse(word, "UTC").is_ok(), "{word}");
        }
        assert_eq!(
            next("*/30 * * * *", "America/New_York", "2026-03-08T06:20:00Z", 3),
            ["2026-03-08T06:30", "2026-03-08T07:00", "2026-03-08T07:30"],
            "steps go on after the gap"
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (source, zone, says) in [
            ("", "UTC", "five fields"),
            ("* * * *", "UTC", "has 4"),
            ("0 0 * * * *", "UTC", "has 6"),
            ("61 * * * *", "UTC", "minute “61”"),
            ("0 25 * * *", "UTC", "hour “25”"),
            ("0 0 0 * *", "UTC", "day of the month"),
            ("0 0 * BAD *", "UTC", "month “BAD”"),
            ("0 0 * * 8", "UTC", "day of the week “8”"),
            ("0 0 30 2 *", "UTC", "never"),
            ("@never", "UTC", "@never"),
            ("0 5-1 * * *", "UTC", "hour “5-1” is not understood: a range goes upwards, as in 1-5"),
            ("*/0 * * * *", "UTC", "minute “*/0” is not understood: a step is 1 or more"),
            ("1,2,,3 * * * *", "UTC", "minute “1,2,,3” is not understood: nothing stands in place 3"),
            ("0 0 1, * *", "UTC", "day of the month “1,” is not understood: nothing stands in place 2"),
            ("* * * * *", "Mars/Olympus", "Mars/Olympus"),
        ] {
            let error = Crontab::parse(source, zone).unwrap_err().to_string();
            assert!(error.contains(says), "{source}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_is_typed_panics(source in ".{0,60}", zone in "UTC|Europe/Berlin|.{0,10}") {
            if let Ok(crontab) = Crontab::parse(&source, &zone) {
                let times: Vec<_> = crontab.after(Timestamp::from_secs(1_800_000_000)).take(3).collect();
                proptest::prop_assert!(times.is_sorted());
            }
        }
    }
}
