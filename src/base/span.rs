//! Lengths of time as people write them: `30s`, `1h30m`, `500ms`.

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize as _, Deserializer, Serializer};

/// Units from the longest; a number without one is not understood.
const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
/// More than any interval, retention or lifetime.
const MAX: Duration = Duration::from_hours(24 * 36_500);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("“{0}” is no length of time; it looks like 30s, 5m, 1h30m or 500ms")]
pub struct BadSpan(String);

/// Reads one or more whole numbers with their units, up to a hundred years.
///
/// # Errors
/// [`BadSpan`].
pub fn parse(text: &str) -> Result<Duration, BadSpan> {
    let bad = || BadSpan(text.chars().take(50).collect());
    let (mut rest, mut total) = (text.trim(), Duration::ZERO);
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
        let after = &rest[digits..];
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let unit = UNITS.iter().find(|(unit, _)| *unit == &after[..letters]).ok_or_else(bad)?;
        let part = number.checked_mul(unit.1).map(Duration::from_millis).ok_or_else(bad)?;
        total = total.checked_add(part).filter(|total| *total <= MAX).ok_or_else(bad)?;
        rest = after[letters..].trim_start();
    }
    Ok(total)
}

/// As [`parse`] reads it back, to the millisecond: `1h30m`.
pub fn format(span: Duration) -> String {
    let mut left = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, millis) in UNITS {
        let count = left / millis;
        if count > 0 {
            // Writing to a String cannot fail.
            write!(text, "{count}{unit}").ok();
            left %= millis;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// For `#[serde(with = "span")]`.
pub fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*span))
}

/// For `#[serde(with = "span")]`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(serde::de::Error::custom)
}

/// For `#[serde(with = "span::option")]`.
pub mod option {
    use super::{Deserializer, Duration, Serializer, parse};
    use serde::Deserialize as _;

    pub fn serialize<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match span {
            Some(span) => super::serialize(span, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| parse(&text).map_err(serde::de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        for (text, millis) in
            [("30s", 30_000), ("1h30m", 5_400_000), ("500ms", 500), ("2d", 172_800_000), ("1m 5s", 65_000)]
        {
            assert_eq!(parse(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        assert_eq!(format(Duration::from_millis(5_400_500)), "1h30m500ms");
        assert_eq!(format(Duration::ZERO), "0s");
        for text in ["", "5", "m", "5 minutes", "-5s", "1.5h", "99999999999999w", "5s!"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(millis in 0_u64..3_000_000_000_000) {
            let span = Duration::from_millis(millis);
            proptest::prop_assert_eq!(parse(&format(span)).unwrap(), span);
        }

        #[test]
        fn nothing_panics(text in ".{0,30}") {
            parse(&text).ok();
        }
    }
}
