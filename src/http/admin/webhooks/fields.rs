//! What both forms read alike: spans, numbers, labels, a key made of a name.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use crate::base::span;
use crate::http::admin::Wrongs;
use crate::http::problem::sentence;

/// Lines of a field; those that are empty are left out.
const LINES_MAX: usize = 100;

pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).take(LINES_MAX)
}

pub(super) fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// An empty field is what is usual.
pub(super) fn time(field: &'static str, text: &str, wrongs: &mut Wrongs) -> Option<Duration> {
    if text.is_empty() {
        return None;
    }
    span::parse(text).map_err(|bad| wrongs.add(field, sentence(&bad.to_string()))).ok()
}

/// An empty field is what is usual.
pub(super) fn number<N: FromStr>(field: &'static str, text: &str, wrongs: &mut Wrongs) -> Option<N> {
    if text.is_empty() {
        return None;
    }
    text.parse().map_err(|_| wrongs.add(field, "Write a whole number, such as 8.")).ok()
}

/// `name=value`, one to a line.
pub(super) fn labels(text: &str, wrongs: &mut Wrongs) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for line in lines(text) {
        match line.split_once('=') {
            Some((name, value)) => drop(labels.insert(name.trim().to_owned(), value.trim().to_owned())),
            None => wrongs.add("labels", format!("“{line}” is no label: write name=value, one to a line.")),
        }
    }
    labels
}

pub(super) fn joined(labels: &BTreeMap<String, String>) -> String {
    let lines: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    lines.join("\n")
}
