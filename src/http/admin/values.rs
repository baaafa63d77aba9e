//! JSON of strangers as lines of names and texts. Bounded: a page must open whatever an event carries.

use serde_json::{Map, Value};

use crate::base::text::clip;

/// A name and its value as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) name: String,
    pub(super) value: String,
}

/// Longer values stand in the raw event.
const VALUE_CHARS_MAX: usize = 4_000;
/// More lines are no reading.
const PAIRS_MAX: usize = 200;

/// The members of an object; texts as they are, everything else as JSON.
pub(super) fn pairs(object: Map<String, Value>) -> Vec<Pair> {
    let left_out = object.len().saturating_sub(PAIRS_MAX);
    let mut pairs: Vec<Pair> =
        object.into_iter().take(PAIRS_MAX).map(|(name, value)| Pair { name, value: text(&value) }).collect();
    if left_out > 0 {
        pairs.push(Pair { name: "…".to_owned(), value: format!("{left_out} more in the raw event") });
    }
    pairs
}

pub(super) fn text(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(_) | Value::Object(_) => {
            let small = value.to_string();
            if small.chars().count() <= LINE_CHARS { small } else { format!("{value:#}") }
        }
    };
    clip(&text, VALUE_CHARS_MAX).into_owned()
}

/// What fits on a line needs no indentation.
const LINE_CHARS: usize = 80;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_readable_and_bounded() {
        assert_eq!(text(&json!("a\nb")), "a\nb");
        assert_eq!(text(&json!({"a": [1, null]})), r#"{"a":[1,null]}"#);
        assert_eq!(text(&json!("x".repeat(10_000))).chars().count(), VALUE_CHARS_MAX);
        let many: Map<String, Value> = (0..300).map(|n| (n.to_string(), json!(n))).collect();
        let pairs = pairs(many);
        assert_eq!(pairs.len(), PAIRS_MAX + 1);
        assert_eq!(pairs.last().unwrap().value, "100 more in the raw event");
    }
}
