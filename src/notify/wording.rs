//! How numbers, times and durations are said.

use std::time::Duration;

use crate::base::Timestamp;

/// `1 user`, `12 users`, `1,240 events`.
pub(super) fn count(quantity: u64, singular: &str, plural: &str) -> String {
    format!("{} {}", grouped(quantity), if quantity == 1 { singular } else { plural })
}

/// Digits in groups of three: `12,345`.
pub(super) fn grouped(quantity: u64) -> String {
    let digits = quantity.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A length of time in its two greatest units: `less than a minute`, `4 min`, `2 h 10 min`, `3 days 4 h`.
pub(super) fn lasting(duration: Duration) -> String {
    let minutes = duration.as_secs() / 60;
    let (days, hours, rest) = (minutes / 1440, minutes % 1440 / 60, minutes % 60);
    match (days, hours, rest) {
        (0, 0, 0) => "less than a minute".to_owned(),
        (0, 0, rest) => format!("{rest} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, rest) => format!("{hours} h {rest} min"),
        (days, 0, _) => count(days, "day", "days"),
        (days, hours, _) => format!("{} {hours} h", count(days, "day", "days")),
    }
}

/// `03:02 UTC` on the day of `now`, else `20 Nov 03:02 UTC`, in another year `20 Nov 2025 03:02 UTC`.
pub(super) fn clock_time(at: Timestamp, now: Timestamp) -> String {
    at.to_chrono().format(&format!("{}%H:%M UTC", day_format(at, now))).to_string()
}

/// `03:02 UTC, 4 min ago`.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{}, {} ago", clock_time(at, now), lasting(now.since(at)))
}

/// `03:02 to 03:16 UTC, 14 min`.
pub(super) fn span(from: Timestamp, to: Timestamp, now: Timestamp) -> String {
    let begin = from.to_chrono().format(&format!("{}%H:%M", day_format(from, now))).to_string();
    format!("{begin} to {}, {}", clock_time(to, now), lasting(to.since(from)))
}

fn day_format(at: Timestamp, now: Timestamp) -> &'static str {
    let (at, now) = (at.to_chrono(), now.to_chrono());
    if at.date_naive() == now.date_naive() {
        ""
    } else if at.format("%Y").to_string() == now.format("%Y").to_string() {
        "%-d %b "
    } else {
        "%-d %b %Y "
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn one_is_singular_and_thousands_are_grouped() {
        assert_eq!(count(0, "user", "users"), "0 users");
        assert_eq!(count(1, "user", "users"), "1 user");
        assert_eq!(count(1_234_567, "user", "users"), "1,234,567 users");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1,000");
    }

    #[test]
    fn durations_name_their_two_greatest_units() {
        for (secs, said) in [
            (0, "less than a minute"),
            (59, "less than a minute"),
            (60, "1 min"),
            (3599, "59 min"),
            (3600, "1 h"),
            (7800, "2 h 10 min"),
            (86_400, "1 day"),
            (86_400 * 3 + 3600 * 4 + 100, "3 days 4 h"),
        ] {
            assert_eq!(lasting(Duration::from_secs(secs)), said);
        }
    }

    #[test]
    fn times_name_the_day_only_where_it_is_another() {
        let now = at("2026-11-21T03:06:00Z");
        assert_eq!(ago(at("2026-11-21T03:02:10Z"), now), "03:02 UTC, 3 min ago");
        assert_eq!(ago(at("2026-11-20T23:30:00Z"), now), "20 Nov 23:30 UTC, 3 h 36 min ago");
        assert_eq!(clock_time(at("2025-01-02T23:30:00Z"), now), "2 Jan 2025 23:30 UTC");
        assert_eq!(ago(at("2026-11-21T03:07:00Z"), now), "03:07 UTC, less than a minute ago");
        assert_eq!(
            span(at("2026-11-20T23:50:00Z"), at("2026-11-21T00:10:00Z"), now),
            "20 Nov 23:50 to 00:10 UTC, 20 min"
        );
    }
}
