//! Values, their units, and how they are written for people.

use std::cmp::Ordering;
use std::fmt;

use crate::base::figures::size;
use crate::base::text::clip;

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nothing in particular: a status code, rows, load.
    Plain,
    Seconds,
    Bytes,
    Percent,
}

/// A literal of a condition, or what a probe saw.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Finite: a literal is refused where it is too large, and [`Facts::set`](super::Facts::set) leaves out the rest.
    Number(f64, Unit),
    Text(String),
    Flag(bool),
    Null,
}

/// Units as they may be typed, with what one of them is.
const UNITS: &[(&str, f64, Unit)] = &[
    ("ms", 0.001, Unit::Seconds),
    ("s", 1.0, Unit::Seconds),
    ("m", 60.0, Unit::Seconds),
    ("h", 3600.0, Unit::Seconds),
    ("d", 86_400.0, Unit::Seconds),
    ("w", 604_800.0, Unit::Seconds),
    ("%", 1.0, Unit::Percent),
    ("B", 1.0, Unit::Bytes),
    ("kB", 1e3, Unit::Bytes),
    ("MB", 1e6, Unit::Bytes),
    ("GB", 1e9, Unit::Bytes),
    ("TB", 1e12, Unit::Bytes),
    ("KiB", 1024.0, Unit::Bytes),
    ("MiB", 1_048_576.0, Unit::Bytes),
    ("GiB", 1_073_741_824.0, Unit::Bytes),
    ("TiB", 1_099_511_627_776.0, Unit::Bytes),
];

impl Unit {
    /// The unit that `name` belongs to, and how many of its base unit one is.
    pub(super) fn parse(name: &str) -> Option<(f64, Self)> {
        UNITS.iter().find(|(known, _, _)| *known == name).map(|&(_, factor, unit)| (factor, unit))
    }

    /// What a number in this unit is, and how one writes it.
    pub(super) const fn says(self) -> &'static str {
        match self {
            Self::Plain => "a plain number, like 200",
            Self::Seconds => "a duration, like 500ms, 30s, 15m, 12h or 14d",
            Self::Bytes => "a size, like 100MB or 2GiB",
            Self::Percent => "a percentage, like 90%",
        }
    }
}

impl Value {
    pub const fn seconds(seconds: f64) -> Self {
        Self::Number(seconds, Unit::Seconds)
    }

    pub const fn plain(number: f64) -> Self {
        Self::Number(number, Unit::Plain)
    }

    /// How this value stands to `literal`; `None` where they cannot be compared. What a body says is taken as it is
    /// meant: `"12"` is a number where a number is asked for, `"true"` a flag where one is, and so the other way.
    pub(super) fn compare(&self, literal: &Self) -> Option<Ordering> {
        match (self, literal) {
            (Self::Number(a, _), Self::Number(b, _)) => a.partial_cmp(b),
            (Self::Text(text), Self::Number(b, _)) => text.trim().parse::<f64>().ok()?.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) => Some(a.as_str().cmp(b)),
            (Self::Number(a, Unit::Plain), Self::Text(b)) => a.partial_cmp(&b.trim().parse().ok()?),
            (Self::Flag(a), Self::Flag(b)) => Some(a.cmp(b)),
            (Self::Text(text), Self::Flag(b)) => Some(text.trim().parse::<bool>().ok()?.cmp(b)),
            (Self::Flag(a), Self::Text(b)) => Some(a.cmp(&b.trim().parse().ok()?)),
            (Self::Null, Self::Null) => Some(Ordering::Equal),
            _ => None,
        }
    }
}

/// Longest text shown of a value, in characters.
pub(super) const SHOWN_CHARS_MAX: usize = 60;

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number, Unit::Plain) => write!(f, "{}", rounded(*number)),
            Self::Number(number, Unit::Percent) => write!(f, "{}%", rounded(*number)),
            Self::Number(seconds, Unit::Seconds) => write_duration(f, *seconds),
            Self::Number(bytes, Unit::Bytes) => f.write_str(&size(*bytes)),
            Self::Text(text) => write!(f, "{:?}", clip(text, SHOWN_CHARS_MAX)),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Null => f.write_str("null"),
        }
    }
}

/// Three decimals at most; more helps nobody.
fn rounded(number: f64) -> f64 {
    if number.abs() < 1e12 { (number * 1000.0).round() / 1000.0 } else { number }
}

/// The two largest parts: `13d 4h`, `1m 30s`, `1.5s`, `320ms`.
fn write_duration(f: &mut fmt::Formatter<'_>, seconds: f64) -> fmt::Result {
    const PARTS: [(f64, &str); 4] = [(86_400.0, "d"), (3600.0, "h"), (60.0, "m"), (1.0, "s")];
    let sign = if seconds < 0.0 { "-" } else { "" };
    let seconds = seconds.abs();
    if seconds < 1.0 {
        return write!(f, "{sign}{}ms", rounded(seconds * 1000.0));
    }
    if seconds < 60.0 {
        return write!(f, "{sign}{}s", rounded(seconds));
    }
    let largest = PARTS.iter().position(|(length, _)| seconds >= *length).unwrap_or(PARTS.len() - 1);
    let (length, name) = PARTS[largest];
    write!(f, "{sign}{}{name}", (seconds / length).floor())?;
    match PARTS.get(largest + 1) {
        Some((smaller, name)) if seconds % length >= *smaller => {
            write!(f, " {}{name}", (seconds % length / smaller).floor())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_for_people() {
        let cases = [
            (Value::plain(503.0), "503"),
            (Value::plain(0.1 + 0.2), "0.3"),
            (Value::seconds(0.32), "320ms"),
            (Value::seconds(1.5), "1.5s"),
            (Value::seconds(90.0), "1m 30s"),
            (Value::seconds(3600.0), "1h"),
            (Value::seconds(86_400.0 * 13.0 + 4.0 * 3600.0 + 59.0), "13d 4h"),
            (Value::seconds(-86_400.0 * 3.0), "-3d"),
            (Value::Number(104_857_600.0, Unit::Bytes), "104.8 MB"),
            (Value::Number(12.0, Unit::Bytes), "12 B"),
            (Value::Number(93.24, Unit::Percent), "93.24%"),
            (Value::Text("a \"b\"".to_owned()), r#""a \"b\"""#),
            (Value::Flag(true), "true"),
            (Value::Null, "null"),
        ];
        for (value, says) in cases {
            assert_eq!(value.to_string(), says);
        }
    }
}
