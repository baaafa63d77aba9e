//! Which issue an event belongs to, and why.
//!
//! The strongest evidence that an event carries decides: its chain of exceptions with their frames, else the stack
//! of its crashed or current thread, else type and value, else the message, else where it came from. A client's
//! own fingerprint goes before all of it or refines it.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::head::EventHead;

mod evidence;
mod fingerprint;
mod reason;

use evidence::Evidence;
use fingerprint::Fingerprint;
pub use reason::{ChainLink, GroupingReason};

/// The algorithm that groups today. A later one stands beside it under its own name; keys of both may lead to one
/// issue.
pub const CURRENT: &str = "chain:1";

/// The key under which an event's issue is found, and the reason for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    pub key: [u8; 16],
    pub algorithm: &'static str,
    pub reason: GroupingReason,
}

/// Groups an event by [`CURRENT`].
pub fn group(head: &EventHead<'_>) -> Grouping {
    let basis = Basis::of(head);
    Grouping { key: basis.key(), algorithm: CURRENT, reason: basis.reason() }
}

/// What a key is made of.
enum Basis<'a> {
    Evidence(Evidence<'a>),
    Fingerprint(Fingerprint<'a>),
}

impl<'a> Basis<'a> {
    fn of(head: &'a EventHead<'a>) -> Self {
        match Fingerprint::of(head) {
            Some(fingerprint) => Self::Fingerprint(fingerprint),
            None => Self::Evidence(Evidence::of(head)),
        }
    }

    fn key(&self) -> [u8; 16] {
        let mut writer = KeyWriter::default();
        match self {
            Self::Evidence(evidence) => evidence.write(&mut writer),
            Self::Fingerprint(fingerprint) => fingerprint.write(&mut writer),
        }
        writer.finish()
    }

    fn reason(&self) -> GroupingReason {
        match self {
            Self::Evidence(evidence) => evidence.reason(),
            Self::Fingerprint(fingerprint) => fingerprint.reason(),
        }
    }
}

/// Encodes a key's parts so that no two lists of parts give the same bytes: tag, length, text.
struct KeyWriter {
    bytes: Vec<u8>,
}

/// What a part of a key is. The numbers are stored in every key and never change.
#[derive(Clone, Copy)]
enum Part {
    Algorithm = 0,
    Type = 1,
    Place = 2,
    Function = 3,
    Context = 4,
    Value = 5,
    Message = 6,
    Logger = 7,
    Transaction = 8,
    Custom = 9,
    Default = 10,
    Stack = 11,
}

impl Default for KeyWriter {
    fn default() -> Self {
        /// A chain of three exceptions of five frames fits.
        const CAPACITY: usize = 1024;
        let mut writer = Self { bytes: Vec::with_capacity(CAPACITY) };
        writer.part(Part::Algorithm, CURRENT);
        writer
    }
}

impl KeyWriter {
    fn part(&mut self, part: Part, text: &str) {
        self.bytes.push(part as u8);
        self.bytes.extend_from_slice(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// The first half of a SHA-256: as good as a whole one against accidents, and 16 bytes an index entry.
    fn finish(self) -> [u8; 16] {
        let digest: [u8; 32] = Sha256::digest(&self.bytes).into();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        key
    }
}

/// What of a message counts: its first two lines that are not blank, without their values.
fn pattern(text: &str) -> Cow<'_, str> {
    const LINES_MAX: usize = 2;
    let text = text.trim();
    let mut end = 0;
    let mut lines = 0;
    for line in text.split_inclusive('\n') {
        lines += usize::from(!line.trim().is_empty());
        end += line.len();
        if lines == LINES_MAX {
            break;
        }
    }
    super::parameterize::parameterize(text[..end].trim_end())
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod tests;
