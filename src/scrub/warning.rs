//! What was cut or repaired in an event, told to the people who read it.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::base::text::clip;

/// One departure of the stored event from what the client sent. Filtered secrets are not warnings: they show in
/// place as `[Filtered]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Keys and indices joined by dots, at most 200 characters; empty for the whole event.
    pub path: String,
    pub kind: WarningKind,
    /// A short sentence for people.
    pub detail: String,
}

/// Why an event departs from what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningKind {
    /// A text lost its end; it ends in `…`.
    Clipped,
    /// Entries of an object or list, or a whole part of the event, were left out.
    LeftOut,
    /// A value nested too deep was left out.
    TooDeep,
    /// A key came twice; the first was kept.
    DuplicateKey,
    /// Bytes that are no UTF-8 became U+FFFD.
    InvalidUtf8,
    /// Half a surrogate pair became U+FFFD.
    LoneSurrogate,
    /// NaN, an infinity or a number too large became null.
    NotANumber,
    /// A control character stood unescaped in a text.
    ControlCharacter,
    /// A backslash began no escape of JSON and was kept as a character.
    BadEscape,
    /// Bytes behind the end of the JSON document were left out.
    TrailingBytes,
    /// A value of another type or word than its field knows.
    NotUnderstood,
    /// There were more warnings than are kept.
    More,
}

/// Enough to see what is wrong; a broken client repeats itself.
pub const WARNINGS_MAX: usize = 25;
const PATH_CHARS_MAX: usize = 200;

/// A step on the way from the root to a value.
#[derive(Clone, Debug)]
pub(super) enum Step<'a> {
    /// A key without its secrets.
    Key(Cow<'a, str>),
    Index(usize),
}

/// The warnings of one pass, bounded.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    kept: Vec<Warning>,
    more: usize,
}

impl Warnings {
    pub(super) fn add(&mut self, path: &[Step<'_>], kind: WarningKind, detail: String) {
        if self.kept.len() == WARNINGS_MAX {
            self.more += 1;
            return;
        }
        self.kept.push(Warning { path: written(path), kind, detail });
    }

    /// Puts a warning before the others, of which the last gives way.
    pub(super) fn add_first(&mut self, path: &[Step<'_>], kind: WarningKind, detail: String) {
        if self.kept.len() == WARNINGS_MAX {
            self.kept.pop();
            self.more += 1;
        }
        self.kept.insert(0, Warning { path: written(path), kind, detail });
    }

    pub(super) fn finish(mut self) -> Vec<Warning> {
        if self.more > 0 {
            let detail = format!("{} more warnings", self.more);
            self.kept.push(Warning { path: String::new(), kind: WarningKind::More, detail });
        }
        self.kept
    }
}

fn written(path: &[Step<'_>]) -> String {
    let mut text = String::new();
    for step in path {
        if !text.is_empty() {
            text.push('.');
        }
        match step {
            Step::Key(key) => text.push_str(&clip(key, PATH_CHARS_MAX)),
            // Writing to a String cannot fail.
            Step::Index(index) => write!(text, "{index}").unwrap_or_default(),
        }
    }
    clip(&text, PATH_CHARS_MAX).into_owned()
}
