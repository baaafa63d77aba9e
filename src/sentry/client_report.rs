//! What SDKs say they threw away themselves, for the ledger.

use serde_json::Value;

use crate::base::text::clip;

/// A quantity of data that an SDK discarded, by its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discarded {
    /// `queue_overflow`, `sample_rate`, `before_send` …: `[a-z0-9_.-]`, at most 64 characters.
    pub reason: String,
    /// A rate-limit category, of the same form.
    pub category: String,
    /// At least 1, at most [`QUANTITY_MAX`].
    pub quantity: u64,
}

/// The payload is no client report.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientReportError {
    #[error("a client report of {0} bytes is larger than {PAYLOAD_BYTES_MAX}")]
    TooLarge(usize),
    #[error("the client report is not a JSON object")]
    NotAnObject,
}

/// Sentry documents 4 KiB; long-running SDKs with many reasons send a little more.
pub const PAYLOAD_BYTES_MAX: usize = 16 * 1024;
/// Eleven documented reasons times as many categories: more distinct pairs are noise.
pub const ENTRIES_MAX: usize = 128;
/// Keeps one absurd report from spoiling a project's sums for good.
pub const QUANTITY_MAX: u64 = 1_000_000_000;
const WORD_CHARS_MAX: usize = 64;
/// The lists of a report; what a relay in between adds stands beside the SDK's own.
const LISTS: [&str; 4] =
    ["discarded_events", "rate_limited_events", "filtered_events", "filtered_sampling_events"];

/// Reads a `client_report` item. Entries that say nothing usable are passed over, equal pairs are summed up.
pub fn parse(payload: &[u8]) -> Result<Vec<Discarded>, ClientReportError> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(ClientReportError::TooLarge(payload.len()));
    }
    let report: Value = serde_json::from_slice(payload).map_err(|_| ClientReportError::NotAnObject)?;
    let report = report.as_object().ok_or(ClientReportError::NotAnObject)?;
    let lists = LISTS.iter().filter_map(|name| report.get(*name)?.as_array());
    let mut found: Vec<Discarded> = Vec::new();
    for entry in lists.flatten().filter_map(discarded) {
        let same = |known: &Discarded| known.reason == entry.reason && known.category == entry.category;
        if let Some(known) = found.iter_mut().find(|known| same(known)) {
            known.quantity = (known.quantity + entry.quantity).min(QUANTITY_MAX);
        } else if found.len() < ENTRIES_MAX {
            found.push(entry);
        }
    }
    Ok(found)
}

fn discarded(entry: &Value) -> Option<Discarded> {
    let reason = word(entry.get("reason")?)?;
    let category = word(entry.get("category")?)?;
    let quantity = entry.get("quantity")?.as_u64().filter(|quantity| *quantity > 0)?.min(QUANTITY_MAX);
    Some(Discarded { reason, category, quantity })
}

/// A word that may become a key of the ledger; other characters turn into `_`.
fn word(value: &Value) -> Option<String> {
    let text = clip(value.as_str()?.trim(), WORD_CHARS_MAX).to_ascii_lowercase();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    (!text.is_empty()).then(|| text.chars().map(|c| if allowed(c) { c } else { '_' }).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(reason: &str, category: &str, quantity: u64) -> Discarded {
        Discarded { reason: reason.to_owned(), category: category.to_owned(), quantity }
    }

    #[test]
    fn reasons_are_summed_up_and_nonsense_is_passed_over() {
        let payload = br#"{"timestamp": 1795228726.5, "discarded_events": [
            {"reason": "sample_rate", "category": "transaction", "quantity": 3},
            {"reason": "sample_rate", "category": "transaction", "quantity": 4},
            {"reason": "Before Send", "category": "error", "quantity": 99999999999},
            {"reason": "queue_overflow", "category": "error", "quantity": 0},
            {"reason": "queue_overflow", "category": "error", "quantity": -1},
            {"reason": 4, "category": "error", "quantity": 1}, null, []],
            "rate_limited_events": [{"reason": "quota", "category": "error", "quantity": 2}]}"#;
        let expected = [
            entry("sample_rate", "transaction", 7),
            entry("before_send", "error", QUANTITY_MAX),
            entry("quota", "error", 2),
        ];
        assert_eq!(parse(payload).unwrap(), expected);
    }

    #[test]
    fn what_is_no_report_is_refused() {
        assert_eq!(parse(b"[]"), Err(ClientReportError::NotAnObject));
        assert_eq!(parse(b"{"), Err(ClientReportError::NotAnObject));
        assert_eq!(parse(b"{\"discarded_events\": 3}"), Ok(Vec::new()));
        assert_eq!(
            parse(&vec![b' '; PAYLOAD_BYTES_MAX + 1]),
            Err(ClientReportError::TooLarge(PAYLOAD_BYTES_MAX + 1))
        );
    }

    #[test]
    fn a_report_with_too_many_reasons_keeps_the_first() {
        let entries: Vec<Value> = (0..ENTRIES_MAX + 5)
            .map(|at| serde_json::json!({"reason": format!("r{at}"), "category": "error", "quantity": 1}))
            .collect();
        let found = parse(serde_json::json!({ "discarded_events": entries }).to_string().as_bytes()).unwrap();
        assert_eq!((found.len(), found[0].reason.as_str()), (ENTRIES_MAX, "r0"));
    }

    proptest! {
        #[test]
        fn any_entry_stays_within_its_bounds(reason in ".{0,100}", quantity in any::<u64>()) {
            let entry = serde_json::json!({"reason": reason, "category": "error", "quantity": quantity});
            let payload = serde_json::json!({ "discarded_events": [entry, entry] }).to_string();
            for entry in parse(payload.as_bytes()).unwrap() {
                prop_assert!((1..=QUANTITY_MAX).contains(&entry.quantity));
                prop_assert!(entry.reason.len() <= WORD_CHARS_MAX);
                prop_assert!(!entry.reason.contains([',', ':', '"', ' ', '\n']));
            }
        }
    }
}
