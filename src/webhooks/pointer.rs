//! Where in a JSON body a value stands.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A JSON pointer (RFC 6901) to something below the root, such as `/data/object/id`; `~1` stands for a slash in a
/// name and `~0` for a tilde.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pointer(String);

/// Why a text is no [`Pointer`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPointer {
    #[error("“{0}” is no JSON pointer: begin with a slash, as in /data/id")]
    NoSlash(String),
    #[error("“{0}” is no JSON pointer: write ~0 for a tilde and ~1 for a slash within a name")]
    BadTilde(String),
    #[error("a JSON pointer holds at most {CHARS_MAX} characters")]
    TooLong,
}

const CHARS_MAX: usize = 200;

impl Pointer {
    pub fn parse(text: &str) -> Result<Self, BadPointer> {
        if text.chars().count() > CHARS_MAX {
            return Err(BadPointer::TooLong);
        }
        if !text.starts_with('/') {
            return Err(BadPointer::NoSlash(text.to_owned()));
        }
        if text.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1'])) {
            return Err(BadPointer::BadTilde(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn find<'v>(&self, json: &'v Value) -> Option<&'v Value> {
        json.pointer(&self.0)
    }

    /// The value as text: of a text that is not empty, a number or a flag. `None` for everything else.
    pub fn text(&self, json: &Value) -> Option<String> {
        self.find(json).and_then(plain)
    }
}

/// A single value as text; `None` for nothing, an empty text, a list and an object.
pub fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

impl TryFrom<String> for Pointer {
    type Error = BadPointer;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Pointer> for String {
    fn from(pointer: Pointer) -> Self {
        pointer.0
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pointer_finds_single_values_as_text() {
        let body = json!({"a": {"b/c": 7, "": true}, "t": "x", "none": null, "list": ["y"], "empty": ""});
        for (pointer, wanted) in [
            ("/a/b~1c", Some("7")),
            ("/a/", Some("true")),
            ("/t", Some("x")),
            ("/list/0", Some("y")),
            ("/list", None),
            ("/none", None),
            ("/empty", None),
            ("/nowhere", None),
        ] {
            assert_eq!(Pointer::parse(pointer).unwrap().text(&body).as_deref(), wanted, "{pointer}");
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused_with_a_cure() {
        assert_eq!(Pointer::parse("data.id"), Err(BadPointer::NoSlash("data.id".to_owned())));
        assert_eq!(Pointer::parse("/a~2"), Err(BadPointer::BadTilde("/a~2".to_owned())));
        assert_eq!(Pointer::parse(&format!("/{}", "a".repeat(200))), Err(BadPointer::TooLong));
        assert_eq!(Pointer::parse(""), Err(BadPointer::NoSlash(String::new())));
    }
}
