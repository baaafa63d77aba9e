//! What pages say of probes: pure functions from what is stored to words.

use std::time::Duration;

use crate::base::Timestamp;
use crate::http::admin::incident_words::Badge;
use crate::http::admin::moments::span;
use crate::probes::judge::Policy;
use crate::probes::seen::Phases;
use crate::probes::{Definition, Kind, Status};

/// How a status looks: a word and a shape, never colour alone.
pub(in crate::http::admin) const fn status_badge(status: Status) -> Badge {
    let class = match status {
        Status::Unhealthy => "bad",
        Status::Degraded => "warn",
        Status::Unreachable => "away",
        Status::Unknown => "unknown",
        Status::Maintenance => "work",
        Status::Healthy => "ok",
        Status::Paused => "paused",
    };
    Badge { class, word: status.as_str() }
}

/// What a status means, for who sees the word for the first time.
pub(super) const fn status_says(status: Status) -> &'static str {
    match status {
        Status::Unhealthy => "It is down.",
        Status::Degraded => "It answers, but too slowly.",
        Status::Unreachable => {
            "What it depends on is down: nobody can say how it is, and nobody is rung for it."
        }
        Status::Unknown => "Nothing is proved yet, or tocsin cannot see it now.",
        Status::Maintenance => "Planned work: whatever is seen is not charged and not told.",
        Status::Healthy => "It answers as it should.",
        Status::Paused => "It is not asked and rings nobody.",
    }
}

/// What a kind is called.
pub(super) const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Http => "HTTP",
        Kind::Tcp => "TCP",
        Kind::Tls => "TLS certificate",
        Kind::Dns => "DNS",
        Kind::Smtp => "Mail server",
        Kind::S3 => "S3 bucket",
        Kind::Postgres => "PostgreSQL",
        Kind::Redis => "Redis",
        Kind::Disk => "Disk",
        Kind::Machine => "Machine",
        Kind::Process => "Process",
        Kind::File => "File",
        Kind::Push => "Pushed results",
    }
}

/// What a kind looks at, on the card where it is chosen.
pub(super) const fn kind_says(kind: Kind) -> &'static str {
    match kind {
        Kind::Http => "A website or an API: status, headers, text or JSON of the answer, time, certificate.",
        Kind::Tcp => "A port: that it accepts connections, and what it says to what.",
        Kind::Tls => "A server's certificates: trusted, of the right name, not about to expire.",
        Kind::Dns => "What a name resolves to.",
        Kind::Smtp => "A mail server: greeting, encryption, sign-in.",
        Kind::S3 => "A bucket behind the S3 protocol, and how new its objects are.",
        Kind::Postgres => "A database: connect, query, a table's rows and how new they are.",
        Kind::Redis => "A Redis: ping, memory, a key.",
        Kind::Disk => "Space and inodes of a disk of this machine.",
        Kind::Machine => "Memory, swap and load of this machine.",
        Kind::Process => "A process of this machine: that it runs, and its memory.",
        Kind::File => "A file of this machine: that it is there, its age and size.",
        Kind::Push => "Nothing is asked: your own script reports how it is.",
    }
}

/// How long something took: `3.2 ms`, `340 ms`, `1.25 s`.
pub(super) fn latency(took: Duration) -> String {
    let millis = took.as_secs_f64() * 1000.0;
    match millis {
        ..10.0 => format!("{millis:.1} ms"),
        10.0..1000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.2} s", millis / 1000.0),
    }
}

/// The phases that came about, in their order, with their names.
pub(super) fn phases(phases: &Phases) -> Vec<(&'static str, Duration)> {
    let named = [
        ("name lookup", phases.dns),
        ("connection", phases.connect),
        ("TLS", phases.tls),
        ("answer", phases.answer),
        ("transfer", phases.transfer),
    ];
    named.into_iter().filter_map(|(name, took)| took.map(|took| (name, took))).collect()
}

/// A span as sentences name it, exact to the second: `1 min 20 s`.
pub(super) fn exact(length: Duration) -> String {
    let secs = length.as_secs();
    match (secs / 60, secs % 60) {
        _ if length < Duration::from_secs(1) => span(length),
        (0, secs) => format!("{secs} s"),
        (mins @ 1..60, 0) => format!("{mins} min"),
        (mins @ 1..60, secs) => format!("{mins} min {secs} s"),
        _ => span(length),
    }
}

/// When trouble is known at the latest.
pub(super) fn detects(policy: &Policy) -> String {
    format!("Trouble that stays is known within at most {}.", exact(policy.detects_within()))
}

/// What a definition does, in sentences.
pub(super) fn definition(definition: &Definition) -> Vec<String> {
    let policy = &definition.policy;
    let mut said = vec![if definition.kind() == Kind::Push {
        format!("A report is expected every {}.", exact(policy.interval))
    } else {
        format!(
            "{} is asked every {}, with a time limit of {}.",
            definition.target.describe(),
            exact(policy.interval),
            exact(policy.timeout)
        )
    }];
    said.push(match (policy.bad, policy.of) {
        (1, _) if definition.kind() == Kind::Push => {
            "The first bad report, or the first that does not come, counts as trouble.".to_owned()
        }
        (1, _) => "The first bad answer counts as trouble.".to_owned(),
        (bad, of) => format!(
            "{bad} bad answers of the last {of} confirm trouble; while it is suspected it is asked every {}.",
            exact(policy.retry_interval)
        ),
    });
    said.push(match policy.good {
        1 if definition.kind() == Kind::Push => "One good report ends it.".to_owned(),
        1 => "One good answer ends it.".to_owned(),
        good => format!("{good} good answers in a row end it."),
    });
    said.push(detects(policy));
    if let Some(slow) = definition.slow_after {
        said.push(format!("An answer that takes longer than {} makes it degraded.", latency(slow)));
    }
    said
}

/// How soon something is due: `now`, `in 12 s`, `in 4 min`; `static/app.js` keeps it true with the same rule.
pub(super) fn due(at: Timestamp, now: Timestamp) -> String {
    match at.since(now).as_secs() {
        0 => "now".to_owned(),
        secs @ 1..120 => format!("in {secs} s"),
        secs @ 120..7200 => format!("in {} min", secs / 60),
        secs => format!("in {} h", secs / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_read_them() {
        let table = [(900, "0.9 ms"), (3_200, "3.2 ms"), (340_400, "340 ms"), (1_250_000, "1.25 s")];
        for (micros, expected) in table {
            assert_eq!(latency(Duration::from_micros(micros)), expected);
        }
        let table = [(80, "1 min 20 s"), (60, "1 min"), (9, "9 s"), (3_600, "1 h"), (5_400, "1 h 30 min")];
        for (secs, expected) in table {
            assert_eq!(exact(Duration::from_secs(secs)), expected);
        }
        let now = Timestamp::from_secs(1_000);
        assert_eq!(
            (due(now, now).as_str(), due(Timestamp::from_secs(1_031), now).as_str()),
            ("now", "in 31 s")
        );
    }

    #[test]
    fn every_status_has_a_shape_of_its_own() {
        let mut shapes: Vec<_> = Status::ALL.into_iter().map(|status| status_badge(status).class).collect();
        shapes.sort_unstable();
        shapes.dedup();
        assert_eq!(shapes.len(), Status::ALL.len());
        assert!(Status::ALL.into_iter().all(|status| status_says(status).ends_with('.')));
    }

    #[test]
    fn a_definition_says_when_trouble_is_known() {
        let target = serde_json::json!({"kind": "http", "url": "https://shop.example/health"});
        let said = definition(&Definition::of(serde_json::from_value(target).unwrap()));
        assert_eq!(
            said,
            [
                "GET https://shop.example/health is asked every 1 min, with a time limit of 10 s.",
                "2 bad answers of the last 3 confirm trouble; while it is suspected it is asked every 10 s.",
                "2 good answers in a row end it.",
                "Trouble that stays is known within at most 1 min 30 s.",
            ]
        );
        let target = serde_json::json!({"kind": "push"});
        let said = definition(&Definition::of(serde_json::from_value(target).unwrap()));
        assert_eq!(said[1], "The first bad report, or the first that does not come, counts as trouble.");
        assert_eq!(said[2], "One good report ends it.");
    }
}
