//! Where in a JSON body a value stands.

use std::fmt;

use serde::{Deserialize, Serialize};

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

    /// The names on the way, unescaped.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.0.split('/').skip(1).map(|name| name.replace("~1", "/").replace("~0", "~"))
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
    use super::*;

    #[test]
    fn names_on_the_way_are_unescaped() {
        let names: Vec<String> = Pointer::parse("/a~1b/~01//c").unwrap().names().collect();
        assert_eq!(names, ["a/b", "~1", "", "c"]);
    }

    #[test]
    fn what_is_no_pointer_is_refused_with_a_cure() {
        assert_eq!(Pointer::parse("data.id"), Err(BadPointer::NoSlash("data.id".to_owned())));
        assert_eq!(Pointer::parse("/a~2"), Err(BadPointer::BadTilde("/a~2".to_owned())));
        assert_eq!(Pointer::parse(&format!("/{}", "a".repeat(200))), Err(BadPointer::TooLong));
        assert_eq!(Pointer::parse(""), Err(BadPointer::NoSlash(String::new())));
    }
}
