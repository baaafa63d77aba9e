//! What the public page says: calm, short, and of unseen time as such.

use std::time::Duration;

use super::facts::{Facts, ServiceFacts};
use crate::base::Timestamp;
use crate::base::figures::percent;
use crate::health::services::ServiceStatus;
use crate::status_page::history::{Day, Look, Times};
use crate::status_page::posts::{Impact, Stage};

/// The answer to why somebody came, and the class of its shape.
pub(super) fn headline(facts: &Facts) -> (&'static str, String) {
    let of = |status: ServiceStatus| -> Vec<&ServiceFacts> {
        facts.services().filter(|one| one.status == status).collect()
    };
    if facts.is_blind {
        return ("unknown", "We cannot see the services at the moment".to_owned());
    }
    for (status, class, one, several) in [
        (ServiceStatus::Unhealthy, "bad", "is not available", "are not available"),
        (ServiceStatus::Degraded, "warn", "is degraded", "are degraded"),
        (ServiceStatus::Maintenance, "plan", "is under maintenance", "are under maintenance"),
        (ServiceStatus::Unknown, "unknown", "cannot be seen at the moment", "cannot be seen at the moment"),
    ] {
        match of(status).as_slice() {
            [] => {}
            [only] => return (class, format!("{} {one}", only.title)),
            [first, second] => return (class, format!("{} and {} {several}", first.title, second.title)),
            more => return (class, format!("{} services {several}", more.len())),
        }
    }
    if facts.services().next().is_none() {
        return ("unknown", "No service is shown here yet".to_owned());
    }
    ("ok", "Everything works".to_owned())
}

/// A service's state: the class of its shape, and the word.
pub(super) const fn status(status: ServiceStatus) -> (&'static str, &'static str) {
    match status {
        ServiceStatus::Healthy => ("ok", "works"),
        ServiceStatus::Degraded => ("warn", "degraded"),
        ServiceStatus::Unhealthy => ("bad", "not available"),
        ServiceStatus::Maintenance => ("plan", "maintenance"),
        ServiceStatus::Unknown => ("unknown", "not seen"),
    }
}

/// `99.95%`, and how long nobody looked.
pub(super) fn uptime(times: &Times) -> String {
    let share = times.uptime().map_or_else(|| "no figure yet".to_owned(), percent);
    match unseen(times) {
        Some(unseen) => format!("{share}, {unseen}"),
        None => share,
    }
}

/// `not seen for 12 min`.
pub(super) fn unseen(times: &Times) -> Option<String> {
    (times.blind >= Duration::from_secs(1)).then(|| format!("not seen for {}", span(times.blind)))
}

/// One day in words: `12 Nov: not available for 12 min, not seen for 3 min`.
pub(super) fn day(day: &Day) -> String {
    let date = day.begins_at.to_chrono().format("%-d %b %Y");
    let Times { up, degraded, down, maintenance, blind, unknown, unwatched: _ } = day.times;
    let parts: Vec<String> = [
        (down, "not available for"),
        (degraded, "degraded for"),
        (maintenance, "maintenance for"),
        (blind, "not seen for"),
        (unknown, "nobody could say for"),
    ]
    .into_iter()
    .filter(|(span, _)| *span >= Duration::from_secs(1))
    .map(|(length, words)| format!("{words} {}", span(length)))
    .collect();
    match (parts.is_empty(), up.is_zero()) {
        (false, _) => format!("{date}: {}", parts.join(", ")),
        (true, false) => format!("{date}: worked"),
        (true, true) => format!("{date}: not watched yet"),
    }
}

/// Whether a day is told in the list below its bar.
pub(super) fn is_told(day: &Day) -> bool {
    match day.times.look() {
        Look::Down | Look::Degraded | Look::Maintenance | Look::Blind => true,
        Look::Up => unseen(&day.times).is_some(),
        Look::NoData => false,
    }
}

pub(super) const fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Investigating => "Investigating",
        Stage::Identified => "Identified",
        Stage::Monitoring => "Watching",
        Stage::Resolved => "Resolved",
    }
}

/// The class of a post's shape.
pub(super) const fn impact(impact: Impact) -> &'static str {
    match impact {
        Impact::None => "unknown",
        Impact::Minor => "warn",
        Impact::Major | Impact::Critical => "bad",
    }
}

/// `answers in 12 ms`.
pub(super) fn latency(ms: f64) -> String {
    if ms < 1.0 { "answers in under 1 ms".to_owned() } else { format!("answers in {ms:.0} ms") }
}

/// `29 Nov 2026, 02:00 to 04:00 UTC`: what both ends share is said once.
pub(super) fn between(begin: Timestamp, end: Timestamp) -> String {
    let (begin, end) = (begin.to_chrono(), end.to_chrono());
    if begin.date_naive() == end.date_naive() {
        return format!("{} to {}", begin.format("%-d %b %Y, %H:%M"), end.format("%H:%M UTC"));
    }
    let year = if begin.format("%Y").to_string() == end.format("%Y").to_string() { "" } else { " %Y" };
    let begin = begin.format(&format!("%-d %b{year}, %H:%M")).to_string();
    format!("{begin} to {}", end.format("%-d %b %Y, %H:%M UTC"))
}

/// A length of time in at most two units.
pub(super) fn span(span: Duration) -> String {
    let secs = span.as_secs();
    match secs {
        0..120 => format!("{secs} s"),
        120..7_200 => format!("{} min", secs / 60),
        7_200..172_800 => format!("{} h {} min", secs / 3_600, secs % 3_600 / 60),
        _ => format!("{} d {} h", secs / 86_400, secs % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_said_once() {
        let at = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
        for (begin, end, says) in [
            ("2026-11-29T02:00:00Z", "2026-11-29T04:00:00Z", "29 Nov 2026, 02:00 to 04:00 UTC"),
            ("2026-11-29T23:00:00Z", "2026-11-30T01:00:00Z", "29 Nov, 23:00 to 30 Nov 2026, 01:00 UTC"),
            ("2026-12-31T23:00:00Z", "2027-01-01T01:00:00Z", "31 Dec 2026, 23:00 to 1 Jan 2027, 01:00 UTC"),
        ] {
            assert_eq!(between(at(begin), at(end)), says);
        }
    }

    #[test]
    fn an_answer_takes_some_time() {
        assert_eq!(latency(0.4), "answers in under 1 ms");
        assert_eq!(latency(11.6), "answers in 12 ms");
    }
}
