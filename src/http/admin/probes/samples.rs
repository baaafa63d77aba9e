//! The last good answer beside the last bad one, with what differs marked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;

use super::tries::{PhaseBar, bars};
use super::words::latency;
use crate::base::Timestamp;
use crate::http::admin::wording::When;
use crate::probes::queries::SampleView;
use crate::probes::seen::Sample;

/// Both answers, line by line.
#[derive(Default)]
pub(super) struct Compared {
    pub(super) good: Option<Answer>,
    pub(super) bad: Option<Answer>,
    pub(super) lines: Vec<Line>,
}

/// One of the two.
pub(super) struct Answer {
    pub(super) at: When,
    pub(super) reason: String,
    pub(super) body: Vec<BodyLine>,
}

/// One thing that was seen in both, or in one of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) good: String,
    pub(super) bad: String,
    pub(super) differs: bool,
}

/// A line of what was answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BodyLine {
    pub(super) text: String,
    /// The other answer has no such line.
    pub(super) differs: bool,
}

/// What is stored of an answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Stored {
    reason: String,
    phases_us: BTreeMap<String, Option<u64>>,
    facts: BTreeMap<String, String>,
    sample: Sample,
}

/// Phases in their order, as they are stored and called.
const PHASES: [(&str, &str); 6] = [
    ("dns", "name lookup"),
    ("connect", "connection"),
    ("tls", "TLS"),
    ("answer", "answer"),
    ("transfer", "transfer"),
    ("total", "took in all"),
];
/// Lines of a body that a page shows; it has 4,000 characters at most.
const BODY_LINES_MAX: usize = 200;

/// Lays the two beside each other. Times are never marked: they always differ.
pub(super) fn compare((good, bad): (Option<&SampleView>, Option<&SampleView>), now: Timestamp) -> Compared {
    let read = |view: &SampleView| Stored::deserialize(&view.sample).unwrap_or_default();
    let (good_read, bad_read) = (good.map(read), bad.map(read));
    let is_both = good.is_some() && bad.is_some();
    let (told_good, told_bad) = (told(good_read.as_ref()), told(bad_read.as_ref()));
    let mut names: Vec<&(bool, String)> = told_good.iter().map(|(name, _)| name).collect();
    let known: BTreeSet<&(bool, String)> = names.iter().copied().collect();
    names.extend(told_bad.iter().map(|(name, _)| name).filter(|name| !known.contains(name)));
    let of = |told: &[((bool, String), String)], name: &(bool, String)| {
        told.iter().find(|(known, _)| known == name).map(|(_, text)| text.clone()).unwrap_or_default()
    };
    let lines = names.into_iter().map(|name| {
        let (good, bad) = (of(&told_good, name), of(&told_bad, name));
        let (is_time, text) = name;
        Line { name: text.clone(), differs: is_both && !is_time && good != bad, good, bad }
    });
    let answer = |view: Option<&SampleView>, this: Option<&Stored>, other: Option<&Stored>| {
        view.zip(this).map(|(view, this)| Answer {
            at: When::new(view.at, now),
            reason: this.reason.clone(),
            body: marked(&this.sample.body, other.map_or("", |other| other.sample.body.as_str()), is_both),
        })
    };
    Compared {
        good: answer(good, good_read.as_ref(), bad_read.as_ref()),
        bad: answer(bad, bad_read.as_ref(), good_read.as_ref()),
        lines: lines.collect(),
    }
}

/// The phases of an answer as one bar, and how long it took in all; `None` where none came about.
pub(in crate::http::admin) fn phases_of(view: &SampleView) -> Option<(Vec<PhaseBar>, String)> {
    let stored = Stored::deserialize(&view.sample).ok()?;
    let took = |key: &str| stored.phases_us.get(key).copied().flatten().map(Duration::from_micros);
    let phases: Vec<_> = PHASES[..5].iter().filter_map(|(key, name)| Some((*name, took(key)?))).collect();
    let total = took("total")?;
    (!phases.is_empty()).then(|| (bars(&phases, total), latency(total)))
}

/// Everything but the body, by its name; `true` marks times.
fn told(stored: Option<&Stored>) -> Vec<((bool, String), String)> {
    let Some(stored) = stored else { return Vec::new() };
    let mut told = Vec::new();
    if !stored.sample.head.is_empty() {
        told.push(((false, "answer".to_owned()), stored.sample.head.clone()));
    }
    if let Some(address) = stored.sample.address {
        told.push(((false, "address".to_owned()), address.to_string()));
    }
    let phases = PHASES.iter().filter_map(|(key, name)| Some((*name, (*stored.phases_us.get(*key)?)?)));
    told.extend(
        phases.map(|(name, micros)| ((true, name.to_owned()), latency(Duration::from_micros(micros)))),
    );
    let is_time = |name: &str| name.starts_with("time.") || name.rsplit('.').next() == Some("age");
    let lines = &stored.sample.lines;
    // A line of the same name says more: how a number was found.
    let is_line = |name: &str| lines.iter().any(|(line, _)| line == name);
    let facts = stored.facts.iter().filter(|(name, _)| !name.starts_with("time.") && !is_line(name));
    told.extend(facts.map(|(name, value)| ((is_time(name), name.clone()), value.clone())));
    told.extend(
        lines.iter().map(|(name, value)| ((name == "date" || is_time(name), name.clone()), value.clone())),
    );
    told
}

fn marked(body: &str, other: &str, is_both: bool) -> Vec<BodyLine> {
    let known: BTreeSet<&str> = other.lines().map(str::trim_end).collect();
    let line = |text: &str| BodyLine {
        text: text.to_owned(),
        differs: is_both && !text.trim().is_empty() && !known.contains(text.trim_end()),
    };
    body.lines().take(BODY_LINES_MAX).map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn view(status: &str, body: &str) -> SampleView {
        SampleView {
            at: Timestamp::from_secs(1_000),
            sample: json!({
                "reason": "", "phases_us": {"dns": 1200, "tls": null, "total": 20_000},
                "facts": {"status": status, "time.total": "20ms", "table.rows": "12"},
                "sample": {"address": "192.0.2.7", "head": format!("HTTP/1.1 {status}"),
                           "lines": [["server", "nginx"], ["table.rows", "12, counted"]], "body": body},
            }),
        }
    }

    #[test]
    fn what_differs_is_marked_and_times_are_not() {
        let (good, bad) = (view("200", "{\"ok\":true}\nsame"), view("503", "oops\nsame"));
        let compared = compare((Some(&good), Some(&bad)), Timestamp::from_secs(2_000));
        let lines: Vec<_> = compared
            .lines
            .iter()
            .map(|line| (line.name.as_str(), line.good.as_str(), line.differs))
            .collect();
        assert_eq!(
            lines,
            [
                ("answer", "HTTP/1.1 200", true),
                ("address", "192.0.2.7", false),
                ("name lookup", "1.2 ms", false),
                ("took in all", "20 ms", false),
                ("status", "200", true),
                ("server", "nginx", false),
                ("table.rows", "12, counted", false),
            ]
        );
        let differs = |answer: &Option<Answer>| -> Vec<bool> {
            answer.as_ref().unwrap().body.iter().map(|line| line.differs).collect()
        };
        assert_eq!((differs(&compared.good), differs(&compared.bad)), (vec![true, false], vec![true, false]));
    }

    #[test]
    fn one_alone_marks_nothing_and_nonsense_shows_nothing() {
        let good = view("200", "x");
        let compared = compare((Some(&good), None), Timestamp::from_secs(2_000));
        assert!(compared.lines.iter().all(|line| !line.differs) && compared.bad.is_none());
        let strange = SampleView { at: Timestamp::EPOCH, sample: json!([1, 2]) };
        assert!(compare((Some(&strange), None), Timestamp::EPOCH).lines.is_empty());
    }
}
