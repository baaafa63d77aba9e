//! Spans and times of day, as sentences need them.

use std::time::Duration;

use crate::base::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A span in at most two units, the larger one first: `340 ms`, `19 s`, `12 min`, `3 h 20 min`, `2 d 4 h`.
pub(super) fn span(span: Duration) -> String {
    let secs = span.as_secs();
    let two = |unit: u64, name: &str, rest_unit: u64, rest_name: &str| {
        let rest = secs % unit / rest_unit;
        let more = if rest > 0 { format!(" {rest} {rest_name}") } else { String::new() };
        format!("{} {name}{more}", secs / unit)
    };
    match secs {
        0 => format!("{} ms", span.as_millis()),
        1..120 => format!("{secs} s"),
        120..HOUR => format!("{} min", secs / MINUTE),
        HOUR..DAY => two(HOUR, "h", MINUTE, "min"),
        _ => two(DAY, "d", HOUR, "h"),
    }
}

/// How long after `from` something was: `19 s`; nothing takes less than no time.
pub(super) fn between(from: Timestamp, to: Timestamp) -> String {
    span(to.since(from))
}

/// How soon somebody saw what began at `from`: `detected after 19 s`.
pub(super) fn detected(from: Timestamp, to: Timestamp) -> String {
    match to.since(from) {
        Duration::ZERO => "detected at once".to_owned(),
        later => format!("detected after {}", span(later)),
    }
}

/// The time of day where it is of today, else with its date: `03:02 UTC`, `12 Nov, 03:02 UTC`.
pub(super) fn clock(at: Timestamp, now: Timestamp) -> String {
    let (day, moment) = (now.to_chrono().date_naive(), at.to_chrono());
    let format = if moment.date_naive() == day { "%H:%M UTC" } else { "%-d %b, %H:%M UTC" };
    moment.format(format).to_string()
}

/// `in 3 min`, or `now` for what is due.
pub(super) fn until(at: Timestamp, now: Timestamp) -> String {
    match at.since(now) {
        Duration::ZERO => "now".to_owned(),
        left => format!("in {}", span(left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_the_units_that_matter() {
        let table = [
            (0, "0 ms"),
            (340, "340 ms"),
            (19_400, "19 s"),
            (119_000, "119 s"),
            (120_000, "2 min"),
            (3_600_000, "1 h"),
            (12_000_000, "3 h 20 min"),
            (187_200_000, "2 d 4 h"),
        ];
        for (millis, expected) in table {
            assert_eq!(span(Duration::from_millis(millis)), expected, "{millis}");
        }
    }

    #[test]
    fn a_time_carries_its_date_only_where_it_is_not_today() {
        let now = Timestamp::parse_rfc3339("2026-11-21T07:00:00Z").unwrap();
        let today = Timestamp::parse_rfc3339("2026-11-21T03:02:11Z").unwrap();
        assert_eq!(clock(today, now), "03:02 UTC");
        assert_eq!(clock(today - Duration::from_hours(24), now), "20 Nov, 03:02 UTC");
        assert_eq!((until(now, today).as_str(), until(today, now).as_str()), ("in 3 h 57 min", "now"));
    }
}
