//! Times and numbers as pages write them.

use std::time::Duration;

use crate::base::Timestamp;

/// A point in time: exact for machines and on hovering, its age for reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// RFC 3339.
    pub exact: String,
    /// `12 Nov 2026, 03:02:11 UTC`.
    pub full: String,
    /// `2 min ago`.
    pub ago: String,
}

impl When {
    pub fn new(at: Timestamp, now: Timestamp) -> Self {
        let full = at.to_chrono().format("%-d %b %Y, %H:%M:%S UTC").to_string();
        Self { exact: at.to_rfc3339(), full, ago: ago(now.since(at)) }
    }
}

/// Age in the unit that matters; `static/app.js` keeps it true with the same rule.
fn ago(age: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let rounded = |unit: u64| (age.as_secs() + unit / 2) / unit;
    match age.as_secs() {
        ..MINUTE => "just now".to_owned(),
        MINUTE..5400 => format!("{} min ago", rounded(MINUTE)),
        5400..129_600 => format!("{} h ago", rounded(HOUR)),
        _ => format!("{} d ago", rounded(DAY)),
    }
}

/// A count with its thousands apart: `1,204`.
pub fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count of what was counted up to a thousand: `12`, `999+`. More is a number that nobody reads.
pub(super) fn few(number: i64) -> String {
    if number > 999 { "999+".to_owned() } else { number.to_string() }
}

/// `1 event`, `1,204 events`.
pub fn counted(number: i64, one: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{} {one}{end}", count(number))
}

/// The class of the shape in which a severity or level is shown.
pub fn severity_class(severity: &str) -> &'static str {
    match severity {
        "critical" | "high" => "bad",
        "medium" => "warn",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_the_unit_that_matters() {
        let table = [
            (0, "just now"),
            (59, "just now"),
            (60, "1 min ago"),
            (5399, "90 min ago"),
            (5400, "2 h ago"),
            (129_599, "36 h ago"),
            (129_600, "2 d ago"),
        ];
        for (seconds, expected) in table {
            assert_eq!(ago(Duration::from_secs(seconds)), expected, "{seconds}");
        }
    }

    #[test]
    fn numbers_keep_their_thousands_apart() {
        for (number, expected) in [(0, "0"), (999, "999"), (1204, "1,204"), (-1_000_000, "-1,000,000")] {
            assert_eq!(count(number), expected);
        }
        assert_eq!((counted(1, "event"), counted(2000, "event")), ("1 event".into(), "2,000 events".into()));
    }
}
