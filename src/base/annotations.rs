//! What people write beside a thing that is watched, to find it by and to act on: labels, and the address of a runbook.

use std::collections::BTreeMap;

use super::text::line;

pub const LABELS_MAX: usize = 20;
/// Of a label's name, of its value, and of an environment.
pub const WORD_CHARS_MAX: usize = 100;
pub const RUNBOOK_CHARS_MAX: usize = 500;

/// Whether these can be labels: at most [`LABELS_MAX`], each with a name and a value of 1 to [`WORD_CHARS_MAX`] characters
/// that can be seen.
pub fn are_labels(labels: &BTreeMap<String, String>) -> bool {
    let fits = |text: &str| line("label", text, WORD_CHARS_MAX).is_ok();
    labels.len() <= LABELS_MAX && labels.iter().all(|(name, value)| fits(name) && fits(value))
}

/// Whether this can be the address of a runbook: one of the web, as it becomes a link, of at most [`RUNBOOK_CHARS_MAX`]
/// characters that can be seen.
pub fn is_runbook(text: &str) -> bool {
    let is_web = text.starts_with("https://") || text.starts_with("http://");
    is_web && line("runbook", text, RUNBOOK_CHARS_MAX) == Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_few_short_and_can_be_read() {
        let labels = |count: usize, name: &str, value: &str| {
            (0..count).map(|number| (format!("{name}{number}"), value.to_owned())).collect()
        };
        assert!(are_labels(&BTreeMap::new()) && are_labels(&labels(LABELS_MAX, "team", "Zahlungen ☕")));
        for wrong in [
            labels(LABELS_MAX + 1, "team", "pay"),
            labels(1, "team", " "),
            labels(1, "team", &"ä".repeat(WORD_CHARS_MAX + 1)),
            labels(1, &"n".repeat(WORD_CHARS_MAX), "pay"),
            labels(1, "team", "pay\u{202e}"),
        ] {
            assert!(!are_labels(&wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_runbook_is_an_address_of_the_web() {
        assert!(is_runbook("https://wiki.example/a") && is_runbook("http://wiki.example/a"));
        let long = format!("https://wiki.example/{}", "a".repeat(RUNBOOK_CHARS_MAX));
        for wrong in
            ["javascript:alert(1)", "wiki.example", "https://a.example/\n", "https://a\u{202e}b", "", &long]
        {
            assert!(!is_runbook(wrong), "{wrong}");
        }
    }
}
