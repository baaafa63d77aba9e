//! Points in time as the store and the wire know them.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: microseconds since 1970-01-01 UTC, the unit of every time column.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

const MICROS_PER_SECOND: i64 = 1_000_000;

impl Timestamp {
    pub const EPOCH: Self = Self(0);
    /// 9999-12-31T23:59:59Z, the last instant RFC 3339 can write.
    pub const MAX: Self = Self(253_402_300_799 * MICROS_PER_SECOND);

    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(MICROS_PER_SECOND))
    }

    /// Seconds since the epoch with a fraction, as Sentry SDKs send them. `None` outside year 1970 to 9999.
    pub fn from_secs_f64(secs: f64) -> Option<Self> {
        let micros = secs * 1e6;
        #[expect(clippy::cast_precision_loss, reason = "the bound needs no exact value")]
        let in_range = (0.0..=Self::MAX.0 as f64).contains(&micros);
        #[expect(clippy::cast_possible_truncation, reason = "checked to be inside 1970 to 9999")]
        in_range.then_some(Self(micros as i64))
    }

    /// Reads RFC 3339, with or without offset (none means UTC), `T` or a space. `None` outside year 1970 to 9999.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let parsed =
            DateTime::parse_from_rfc3339(text).map(|t| t.with_timezone(&Utc)).ok().or_else(|| {
                ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
                    .iter()
                    .find_map(|format| chrono::NaiveDateTime::parse_from_str(text, format).ok())
                    .map(|naive| naive.and_utc())
            })?;
        let at = Self(parsed.timestamp_micros());
        (Self::EPOCH..=Self::MAX).contains(&at).then_some(at)
    }

    pub const fn as_micros(self) -> i64 {
        self.0
    }

    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND)
    }

    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The start of the period of this length that contains the instant; periods count from the epoch.
    #[must_use]
    pub fn floor_to(self, period: Duration) -> Self {
        let period = micros(period).max(1);
        Self(self.0.div_euclid(period) * period)
    }

    /// Time passed since `earlier`, zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    pub fn to_rfc3339(self) -> String {
        self.to_chrono().to_rfc3339_opts(SecondsFormat::Micros, true)
    }

    pub fn to_chrono(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0.clamp(0, Self::MAX.0)).unwrap_or_default()
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(micros(rhs)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(micros(rhs)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_rfc3339())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse_rfc3339(&text).ok_or_else(|| serde::de::Error::custom("not an RFC 3339 time"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_round_trips_to_the_microsecond() {
        let at = Timestamp::from_micros(1_763_705_462_123_456);
        assert_eq!(Timestamp::parse_rfc3339(&at.to_rfc3339()), Some(at));
    }

    #[test]
    fn a_time_without_offset_is_utc() {
        let with = Timestamp::parse_rfc3339("2026-01-02T03:04:05.5Z");
        assert!(with.is_some());
        assert_eq!(Timestamp::parse_rfc3339("2026-01-02T03:04:05.5"), with);
        assert_eq!(Timestamp::parse_rfc3339("2026-01-02 03:04:05.500000"), with);
        assert_eq!(Timestamp::parse_rfc3339("2026-01-02T05:04:05.5+02:00"), with);
    }

    #[test]
    fn nonsense_and_far_away_times_are_refused() {
        for text in ["", "yesterday", "1969-12-31T23:59:59Z", "+10000-01-01T00:00:00Z"] {
            assert_eq!(Timestamp::parse_rfc3339(text), None, "{text}");
        }
        for secs in [f64::NAN, f64::INFINITY, -1.0, 1e20] {
            assert_eq!(Timestamp::from_secs_f64(secs), None, "{secs}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(
            Timestamp::from_micros(i64::MAX) + Duration::from_secs(1),
            Timestamp::from_micros(i64::MAX)
        );
        assert_eq!(Timestamp::EPOCH.since(Timestamp::from_secs(1)), Duration::ZERO);
        assert_eq!(Timestamp::from_secs(125).floor_to(Duration::from_mins(1)), Timestamp::from_secs(120));
    }
}
