//! Takes secrets and excess out of what clients send, before anything is written.
//!
//! One pass over the client's JSON, token by token: what may stay is copied as it stands (numbers keep their digits,
//! strings their escapes), what is secret becomes `[Filtered]`, what is too much is cut with a mark and a warning,
//! and what is not quite JSON is repaired on the way. No tree is built. Intake calls it for every event; nothing
//! reads a payload that has not been through here.

mod digits;
mod lists;
mod names;
mod output;
mod pass;
mod place;
mod reader;
mod secrets;
mod section;
mod shrink;
mod tokens;
mod trivial;
mod walk;
mod warning;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use names::{Names, Sensitivity};
use pass::Pass;
use place::Place;
use reader::Shape;
use trivial::is_trivial;
#[cfg(test)]
mod tests;

pub use warning::{WARNINGS_MAX, Warning, WarningKind};

/// What stands where a secret stood; the mark that Sentry's SDKs and server use.
pub const FILTERED: &str = "[Filtered]";
/// Sentry takes events up to 1 MiB; larger ones are cut to it here.
pub const EVENT_BYTES_MAX: usize = 1024 * 1024;
/// What is looked at at all. Above it an event is not a report of an error but a data transfer.
pub const RAW_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a project adds to the rules that hold for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubRules {
    /// Names whose values are hidden; found anywhere in a name, whatever its case and punctuation.
    pub extra_keys: Vec<String>,
    /// Names whose values are never touched; the whole name must be equal, whatever its case and punctuation.
    pub safe_keys: Vec<String>,
}

/// The rules of one project, made ready; cheap to keep, shareable between threads.
#[derive(Debug, Default)]
pub struct Scrubber {
    names: Names,
}

/// What may be written of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrubbed {
    /// Valid JSON, at most [`EVENT_BYTES_MAX`] bytes, nested at most 65 deep.
    pub json: Vec<u8>,
    /// At most [`WARNINGS_MAX`] and one that counts the rest.
    pub warnings: Vec<Warning>,
    /// How many values or parts of values became `[Filtered]`.
    pub filtered: u32,
}

/// Why nothing could be kept of an event; positions are bytes of what the client sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScrubError {
    #[error("the JSON ends at byte {at}, before it is complete")]
    Ended { at: usize },
    #[error("the JSON is broken at byte {at}")]
    Syntax { at: usize },
    #[error("the event is not a JSON object")]
    NotAnObject,
    #[error("{bytes} bytes are larger than {max} for one event")]
    TooLarge { bytes: usize, max: usize },
}

impl Scrubber {
    pub fn new(rules: &ScrubRules) -> Self {
        Self { names: Names::new(rules) }
    }

    /// Scrubs and bounds one event, of any SDK and age.
    pub fn event(&self, raw: &[u8]) -> Result<Scrubbed, ScrubError> {
        self.scrub(raw, Place::Event)
    }

    /// Scrubs, bounds and repairs an error that an app without an SDK reports.
    pub fn report(&self, raw: &[u8]) -> Result<Scrubbed, ScrubError> {
        self.scrub(raw, Place::Report)
    }

    /// Scrubs and bounds any other JSON value of a client: a context, metadata.
    pub fn json(&self, raw: &[u8]) -> Result<Scrubbed, ScrubError> {
        self.scrub(raw, Place::Free)
    }

    /// Replaces the secrets of a text by `[Filtered]`.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut found = Vec::new();
        secrets::find(text, secrets::Style::Text, &self.names, &mut found);
        secrets::replaced(text, &found)
    }

    /// Whether a value of this name is secret for its name alone.
    pub fn hides(&self, name: &str, value: &str) -> bool {
        let is_count = || value.bytes().all(|byte| byte.is_ascii_digit());
        let is_secret = match self.names.judge(name) {
            Sensitivity::Clear | Sensitivity::Safe => false,
            Sensitivity::Text | Sensitivity::Secret => true,
            Sensitivity::Uncounted => !is_count(),
        };
        is_secret && !is_trivial(value)
    }

    fn scrub(&self, raw: &[u8], root: Place) -> Result<Scrubbed, ScrubError> {
        if raw.len() > RAW_BYTES_MAX {
            return Err(ScrubError::TooLarge { bytes: raw.len(), max: RAW_BYTES_MAX });
        }
        // The plain check is ten times as fast as the lossy one.
        let text = str::from_utf8(raw).map_or_else(|_| String::from_utf8_lossy(raw), Cow::Borrowed);
        let mut pass = Pass::new(text.strip_prefix('\u{feff}').unwrap_or(&text), &self.names);
        if let Cow::Owned(_) = text {
            pass.warn(WarningKind::InvalidUtf8, "bytes that are no UTF-8 were replaced".to_owned());
        }
        if root != Place::Free && pass.reader.shape()? != Shape::Object {
            return Err(ScrubError::NotAnObject);
        }
        pass.value(root, usize::MAX)?;
        let left = pass.reader.left();
        if left > 0 {
            pass.warn(WarningKind::TrailingBytes, format!("{left} bytes behind the end were left out"));
        }
        pass.shrink(EVENT_BYTES_MAX)?;
        Ok(Scrubbed { json: pass.out, warnings: pass.warnings.finish(), filtered: pass.filtered })
    }
}
