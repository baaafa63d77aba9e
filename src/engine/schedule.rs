//! When a task is due. The only file that names the `cron` crate: it drives tocsin's own schedule, in UTC, with
//! names for days (the crate counts Sunday as 1, which nobody expects).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::base::Timestamp;

/// A period, or a cron expression with a seconds field, in UTC.
#[derive(Clone, Debug)]
pub enum Schedule {
    Every(Duration),
    Cron(Box<cron::Schedule>),
}

impl Schedule {
    /// Reads a cron expression such as `0 0 4 * * *` (04:00:00 UTC daily).
    pub fn cron(expression: &str) -> Result<Self, cron::error::Error> {
        cron::Schedule::from_str(expression).map(|schedule| Self::Cron(Box::new(schedule)))
    }

    /// The first moment after `now` at which a task that last ran at `now` is due.
    pub fn next_after(&self, now: Timestamp) -> Timestamp {
        match self {
            Self::Every(period) => now + *period,
            Self::Cron(schedule) => schedule
                .after(&now.to_chrono())
                .next()
                .map_or(Timestamp::MAX, |at| Timestamp::from_micros(at.timestamp_micros())),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(period) if period.as_secs() >= 60 => write!(f, "every {} min", period.as_secs() / 60),
            Self::Every(period) => write!(f, "every {} s", period.as_secs()),
            Self::Cron(schedule) => write!(f, "{schedule} UTC"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daily_task_is_due_at_its_hour_in_utc() {
        let schedule = Schedule::cron("0 0 4 * * *").unwrap();
        let now = Timestamp::parse_rfc3339("2026-03-29T04:00:00Z").unwrap();
        assert_eq!(schedule.next_after(now).to_rfc3339(), "2026-03-30T04:00:00.000000Z");
        assert_eq!(schedule.to_string(), "0 0 4 * * * UTC");
    }

    #[test]
    fn days_are_named_so_that_sunday_is_sunday() {
        let schedule = Schedule::cron("0 0 6 * * SUN").unwrap();
        let saturday = Timestamp::parse_rfc3339("2026-11-21T12:00:00Z").unwrap();
        assert_eq!(schedule.next_after(saturday).to_rfc3339(), "2026-11-22T06:00:00.000000Z");
    }

    #[test]
    fn a_wrong_expression_is_an_error() {
        assert!(Schedule::cron("* * *").is_err());
    }
}
