//! A change that names only what is to be different (JSON Merge Patch, RFC 7396).

use serde_json::{Map, Value};

/// `stored` with what `patch` says: `null` takes a member away, a list replaces the whole list.
pub(super) fn merged(stored: Value, patch: Map<String, Value>) -> Value {
    let mut members = match stored {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (name, change) in patch {
        match change {
            Value::Null => drop(members.remove(&name)),
            Value::Object(change) => {
                let inner = members.remove(&name).unwrap_or_default();
                members.insert(name, merged(inner, change));
            }
            plain => drop(members.insert(name, plain)),
        }
    }
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_goes_by_the_examples_of_its_standard() {
        for (stored, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let Value::Object(patch) = patch else { panic!() };
            assert_eq!(merged(stored, patch), expected);
        }
    }
}
