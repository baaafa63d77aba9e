//! Crontab lines as people type them: five fields, a time zone, Vixie's rules.
//!
//! tocsin's own schedule is another thing (`engine`). Where a clock is set forward, what would have run in the hour that
//! is missing runs after it; where it is set back, it runs once. Lines whose minute or hour begins with `*` go by the
//! clock instead: nothing is made up for, and an hour that comes twice counts twice (all as cronie does).

use std::fmt;
use std::str::FromStr as _;
use std::time::Duration;

use chrono::{
    Datelike as _, Days, LocalResult, NaiveDate, NaiveDateTime, TimeDelta, TimeZone as _, Timelike as _,
};
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds, Year};
use croner::{Cron, Weekday};

use super::Timestamp;

/// When a job should run.
#[derive(Clone, Debug)]
pub struct Crontab {
    source: String,
    cron: Cron,
    zone: Tz,
    goes_by: GoesBy,
}

/// What decides when clocks change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GoesBy {
    /// Times of the day, each of which comes once: `30 1-5 * * *`.
    Times,
    /// The clock, whatever it shows: a minute or hour that begins with `*`.
    Clock,
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
/// What does not come in a lifetime never comes. The rarest that does, a weekday on 29 February, may take forty years.
const DAYS_MAX: u64 = 366 * 100;
/// So far clocks are set forward at most; a whole day that is missing is another thing.
const GAP_MAX: TimeDelta = TimeDelta::hours(3);
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
        let cron = parser(&fields).parse(source).map_err(|error| blame(&fields, &error.to_string()))?;
        let crontab = Self { source: fields.join(" "), cron, zone, goes_by: goes_by(&fields) };
        match crontab.next_after(Timestamp::from_secs(1_767_225_600)) {
            Some(_) => Ok(crontab),
            None => Err(BadCrontab::Never(crontab.source)),
        }
    }

    /// The first time after `at`; `None` where none comes in a lifetime.
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        let next = match self.goes_by {
            GoesBy::Times => self.next_time(at)?,
            GoesBy::Clock => {
                let local = at.to_chrono().with_timezone(&self.zone);
                let next = self.cron.find_next_occurrence(&local, false).ok()?;
                Timestamp::from_micros(next.timestamp_micros())
            }
        };
        // A schedule must go on: without this a fault of the library would hold up whoever walks along it.
        (next > at).then_some(next)
    }

    /// As [`Self::next_after`], of times of the day. The library knows this rule only for a single one.
    fn next_time(&self, at: Timestamp) -> Option<Timestamp> {
        let begins = at.to_chrono().with_timezone(&self.zone).naive_local();
        let last = begins.date().checked_add_days(Days::new(DAYS_MAX))?;
        let mut date = begins.date();
        while date < last {
            if !self.cron.pattern.month_match(date.month()).ok()? {
                date = (date + chrono::Months::new(1)).with_day(1)?;
                continue;
            }
            if self.comes_on(date)? {
                let from = if date == begins.date() { (begins.hour(), begins.minute()) } else { (0, 0) };
                let found =
                    self.times_of_day(from).filter_map(|(hour, minute)| date.and_hms_opt(hour, minute, 0));
                if let Some(next) = found.filter_map(|time| self.instant(time)).find(|next| *next > at) {
                    return Some(next);
                }
            }
            date = date.succ_opt()?;
        }
        None
    }

    fn comes_on(&self, date: NaiveDate) -> Option<bool> {
        let weekday = Weekday::from_days_from_sunday(date.weekday().num_days_from_sunday());
        self.cron.pattern.day_match(date.year(), date.month(), date.day(), weekday).ok()
    }

    fn times_of_day(&self, from: (u32, u32)) -> impl Iterator<Item = (u32, u32)> {
        let pattern = &self.cron.pattern;
        let hours = (from.0..24).filter(|hour| pattern.hour_match(*hour).unwrap_or(false));
        hours
            .flat_map(|hour| (0..60).map(move |minute| (hour, minute)))
            .filter(move |time| *time >= from && pattern.minute_match(time.1).unwrap_or(false))
    }

    /// When a clock shows this: the first time where it does so twice, the end of the gap where it never does.
    fn instant(&self, time: NaiveDateTime) -> Option<Timestamp> {
        let gap_end = time + GAP_MAX;
        let mut shown = time;
        while shown <= gap_end {
            match self.zone.from_local_datetime(&shown) {
                LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => {
                    return Some(Timestamp::from_micros(at.timestamp_micros()));
                }
                LocalResult::None => shown += TimeDelta::minutes(1),
            }
        }
        None
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

/// Either day is enough, but where one of the two begins with `*`, such as `*/2`, both must be right: so Vixie wrote it,
/// and the library takes only a `*` alone for one.
fn parser(fields: &[&str]) -> CronParser {
    let needs_both = begins_with_star(fields, 2) || begins_with_star(fields, 4);
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed);
    parser.dom_and_dow(needs_both).build()
}

fn goes_by(fields: &[&str]) -> GoesBy {
    let is_hourly = fields.first().is_some_and(|word| word.eq_ignore_ascii_case("@hourly"));
    let by_clock = is_hourly || begins_with_star(fields, 0) || begins_with_star(fields, 1);
    if by_clock { GoesBy::Clock } else { GoesBy::Times }
}

fn begins_with_star(fields: &[&str], n: usize) -> bool {
    fields.get(n).is_some_and(|field| field.starts_with(['*', '?']))
}

/// The library says what is wrong, not where: each field is tried by itself.
fn blame(fields: &[&str], whole: &str) -> BadCrontab {
    for (n, (field, may_be)) in FIELDS.into_iter().enumerate() {
        let Some(text) = fields.get(n) else { break };
        let alone: Vec<&str> = (0..FIELDS.len()).map(|m| if m == n { *text } else { "*" }).collect();
        if parser(&alone).parse(&alone.join(" ")).is_err() {
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
mod tests;
