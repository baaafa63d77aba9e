//! How often is asked, and how many answers prove something.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::span;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    #[serde(with = "span")]
    pub interval: Duration,
    /// Between readings while something is suspected; at most the interval.
    #[serde(with = "span")]
    pub retry_interval: Duration,
    #[serde(with = "span")]
    pub timeout: Duration,
    /// So many bad readings …
    pub bad: u8,
    /// … among so many of the last ones confirm trouble. 1 ≤ `bad` ≤ `of` ≤ [`READINGS_MAX`].
    pub of: u8,
    /// Good readings in a row that end confirmed trouble; 1 to [`READINGS_MAX`].
    pub good: u8,
}

/// Readings that are remembered.
pub const READINGS_MAX: u8 = 64;

/// Why a policy cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the interval is between 5 seconds and one day")]
    Interval,
    #[error("the interval while something is suspected is between 1 second and the interval")]
    RetryInterval,
    #[error("the time limit is between 100 milliseconds and 60 seconds, and no longer than the interval")]
    Timeout,
    #[error("“bad of last” wants 1 to 64 readings, and no more bad ones than readings")]
    Confirmation,
    #[error("1 to 64 good readings in a row end the trouble")]
    Recovery,
}

const INTERVAL_MIN: Duration = Duration::from_secs(5);
const INTERVAL_MAX: Duration = Duration::from_hours(24);
const RETRY_MIN: Duration = Duration::from_secs(1);
const TIMEOUT_MIN: Duration = Duration::from_millis(100);
const TIMEOUT_MAX: Duration = Duration::from_mins(1);

/// What it is asked with where nothing is said: two bad readings of the last three, asked again after ten seconds; known
/// within about two minutes.
impl Default for Policy {
    fn default() -> Self {
        Self {
            interval: Duration::from_mins(1),
            retry_interval: Duration::from_secs(10),
            timeout: Duration::from_secs(10),
            bad: 2,
            of: 3,
            good: 2,
        }
    }
}

/// As much of a policy as somebody says; what is left out is [as usual](Self::over).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SaidPolicy {
    #[serde(with = "span::option")]
    pub interval: Option<Duration>,
    #[serde(with = "span::option")]
    pub retry_interval: Option<Duration>,
    #[serde(with = "span::option")]
    pub timeout: Option<Duration>,
    pub bad: Option<u8>,
    pub of: Option<u8>,
    pub good: Option<u8>,
}

impl SaidPolicy {
    /// What is said, over what is usual. Whoever asks often need not say it three times: what is left out is no longer
    /// than the interval. Of a kind that judges each reading, more are named by how many must be bad alone.
    pub fn over(self, usual: Policy) -> Policy {
        let interval = self.interval.unwrap_or(usual.interval);
        Policy {
            interval,
            retry_interval: self.retry_interval.unwrap_or(usual.retry_interval.min(interval)),
            timeout: self.timeout.unwrap_or(usual.timeout.min(interval)),
            bad: self.bad.unwrap_or(usual.bad),
            of: self.of.unwrap_or_else(|| usual.of.max(self.bad.unwrap_or(0))),
            good: self.good.unwrap_or(usual.good),
        }
    }
}

impl Policy {
    /// Of what is only reported: each report counts. Whoever reports once a night would be rung a night late, and
    /// would stay down for another.
    pub fn of_reports() -> Self {
        Self { bad: 1, of: 1, good: 1, ..Self::default() }
    }

    /// # Errors
    /// The first bound that does not hold.
    pub fn check(&self) -> Result<(), Refused> {
        let within = |value, least, most| (least..=most).contains(&value);
        if !within(self.interval, INTERVAL_MIN, INTERVAL_MAX) {
            Err(Refused::Interval)
        } else if !within(self.retry_interval, RETRY_MIN, self.interval) {
            Err(Refused::RetryInterval)
        } else if !within(self.timeout, TIMEOUT_MIN, TIMEOUT_MAX.min(self.interval)) {
            Err(Refused::Timeout)
        } else if self.bad == 0 || self.bad > self.of || self.of > READINGS_MAX {
            Err(Refused::Confirmation)
        } else if self.good == 0 || self.good > READINGS_MAX {
            Err(Refused::Recovery)
        } else {
            Ok(())
        }
    }

    /// How long trouble that stays can go unconfirmed: it begins right after a good reading, every bad one takes its
    /// whole time limit.
    pub fn detects_within(&self) -> Duration {
        self.interval
            + self.timeout
            + (self.retry_interval + self.timeout) * u32::from(self.bad - self.bad.min(1))
    }

    /// How many of the readings that count have their bit set.
    pub(super) fn counted(&self, bits: u64) -> u8 {
        let mask = u64::MAX >> (READINGS_MAX - self.of.clamp(1, READINGS_MAX));
        // At most 64.
        u8::try_from((bits & mask).count_ones()).unwrap_or(READINGS_MAX)
    }
}
