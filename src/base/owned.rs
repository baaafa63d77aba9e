//! Things that a page or a file may define: whose they are, what saving them did, by which key files name them.

use std::str::FromStr;

use serde::Serialize;

/// Who says how a thing is. What a file says is read-only everywhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    Page,
    File,
}

/// The text is neither `page` nor `file`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one of page, file")]
pub struct UnknownOwner;

/// What saving a thing did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Created,
    Updated,
    /// It was so already; nothing was written.
    Unchanged,
}

/// Why a text is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    #[error(
        "“{0}” is no key: a key has 1 to {KEY_CHARS_MAX} characters of a-z, 0-9, _ and -, and begins with a letter or a digit"
    )]
    Shape(String),
    #[error("“{0}” stands for something else in addresses: choose another key")]
    Reserved(String),
}

pub const KEY_CHARS_MAX: usize = 60;

impl Owner {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::File => "file",
        }
    }

    /// Whether what this one says may be changed by `other`: a file takes over what the page made, and gives nothing back.
    pub const fn yields_to(self, other: Self) -> bool {
        match (self, other) {
            (Self::File, Self::Page) => false,
            (Self::File, Self::File) | (Self::Page, Self::Page | Self::File) => true,
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Page, Self::File].into_iter().find(|owner| owner.as_str() == word)
    }
}

impl FromStr for Owner {
    type Err = UnknownOwner;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).ok_or(UnknownOwner)
    }
}

/// Words that stand in the place of a key in addresses: `/probes/new`, `/api/health/detailed`.
const RESERVED: [&str; 2] = ["new", "detailed"];

/// Checks that `key` can name a thing in a file and in an address.
///
/// # Errors
/// [`BadKey`], with what a key may be.
pub fn check_key(key: &str) -> Result<(), BadKey> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let shaped = (1..=KEY_CHARS_MAX).contains(&key.len())
        && key.bytes().all(|b| plain(b) || b == b'_' || b == b'-')
        && key.bytes().next().is_some_and(plain);
    if !shaped {
        Err(BadKey::Shape(key.chars().take(KEY_CHARS_MAX + 1).collect()))
    } else if RESERVED.contains(&key) {
        Err(BadKey::Reserved(key.to_owned()))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_fits_a_file_and_an_address() {
        for key in ["api", "0", "ai_providers", "db-1"] {
            check_key(key).unwrap();
        }
        for key in ["", "_a", "-a", "API", "a b", "a/b", "ä", "a.b", "new", "detailed", &"x".repeat(61)] {
            assert!(check_key(key).is_err(), "{key}");
        }
    }
}
