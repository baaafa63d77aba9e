//! How event payloads lie on disk: the scrubbed JSON with what scrubbing cut, compressed with zstd.
//!
//! The events of an issue resemble each other, so from its fifth one on an issue has a [`Dictionary`]: one of its
//! own payloads, against which later ones are compressed to a fraction.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io;
use std::sync::Arc;

use zstd::zstd_safe::{CCtx, CDict, DCtx, get_error_name};

use crate::scrub::Scrubbed;

/// The level with the best bytes per microsecond for payloads of a few kilobytes (ARCHITECTURE.md, decision 5).
const LEVEL: i32 = 3;
/// No stored payload is larger: the scrubber bounds events to 1 MiB.
const PLAIN_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Larger payloads repeat what their first part holds; the encoder's tables grow with the dictionary.
const DICTIONARY_BYTES_MAX: usize = 32 * 1024;

/// The top-level key under which the scrubber's warnings stand in a stored payload, beside the client's own keys. A
/// client that sends it itself can only warn about its own event.
pub(super) const WARNINGS_KEY: &str = "tocsin.warnings";

thread_local! {
    // A context is half a megabyte of tables: one per thread, not one per event.
    static ENCODER: RefCell<CCtx<'static>> = RefCell::new(CCtx::create());
    static DECODER: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
}

/// A compressed payload as it stands in `events.payload`.
#[derive(Clone, Debug)]
pub struct Payload {
    pub bytes: Vec<u8>,
    /// What it was compressed against; needed to read it again.
    pub dictionary: Option<Arc<Dictionary>>,
}

/// What the payloads of one issue have in common. About 200 kB of tables.
pub struct Dictionary {
    /// `payload_dictionaries.id`
    pub id: i64,
    pub content: Vec<u8>,
    encoder: CDict<'static>,
}

impl Dictionary {
    pub fn new(id: i64, content: Vec<u8>) -> Self {
        let encoder = CDict::create(&content, LEVEL);
        Self { id, content, encoder }
    }

    /// The part of a plain payload that serves as a dictionary.
    pub fn content_of(json: &[u8]) -> &[u8] {
        json.get(..DICTIONARY_BYTES_MAX).unwrap_or(json)
    }
}

impl std::fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dictionary({})", self.id)
    }
}

impl Payload {
    /// Compresses a scrubbed event with its warnings. Fails only where zstd cannot get memory.
    pub fn of(scrubbed: &Scrubbed, dictionary: Option<Arc<Dictionary>>) -> io::Result<Self> {
        Self::compress(&with_warnings(scrubbed)?, dictionary)
    }

    /// Compresses scrubbed JSON. Fails only where zstd cannot get memory.
    pub fn compress(json: &[u8], dictionary: Option<Arc<Dictionary>>) -> io::Result<Self> {
        let mut bytes = Vec::with_capacity(zstd::zstd_safe::compress_bound(json.len()));
        let written = ENCODER.with_borrow_mut(|encoder| match &dictionary {
            Some(dictionary) => encoder.compress_using_cdict(&mut bytes, json, &dictionary.encoder),
            None => encoder.compress(&mut bytes, json, LEVEL),
        });
        written.map_err(failure)?;
        bytes.shrink_to_fit();
        Ok(Self { bytes, dictionary })
    }

    /// The scrubbed JSON again.
    pub fn json(&self) -> io::Result<Vec<u8>> {
        decompress(&self.bytes, self.dictionary.as_ref().map(|dictionary| dictionary.content.as_slice()))
    }
}

/// Reads a stored payload; `dictionary` is the content of the one it was compressed against.
///
/// # Errors
/// Where the bytes are damaged or claim to be larger than any payload that was stored.
pub fn decompress(bytes: &[u8], dictionary: Option<&[u8]>) -> io::Result<Vec<u8>> {
    let size = zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten();
    let size = size.and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= PLAIN_BYTES_MAX);
    let size = size.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a payload"))?;
    let mut json = Vec::with_capacity(size);
    let written = DECODER.with_borrow_mut(|decoder| match dictionary {
        Some(content) => decoder.decompress_using_dict(&mut json, bytes, content),
        None => decoder.decompress(&mut json, bytes),
    });
    written.map_err(failure)?;
    Ok(json)
}

/// The event's JSON with its warnings as the first member; as it is where there are none.
fn with_warnings(scrubbed: &Scrubbed) -> io::Result<Cow<'_, [u8]>> {
    let members = scrubbed.json.trim_ascii_start().strip_prefix(b"{");
    let Some(members) = members.filter(|_| !scrubbed.warnings.is_empty()) else {
        return Ok(Cow::Borrowed(&scrubbed.json));
    };
    let warnings = serde_json::to_vec(&scrubbed.warnings)?;
    let comma: &[u8] = if members.trim_ascii_start().starts_with(b"}") { b"" } else { b"," };
    let key = format!("{{\"{WARNINGS_KEY}\":");
    Ok(Cow::Owned([key.as_bytes(), &warnings, comma, members].concat()))
}

fn failure(code: usize) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, get_error_name(code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrub::{ScrubRules, Scrubber};

    fn event(n: usize) -> Vec<u8> {
        let frame = |line: usize| {
            let (file, lineno) = (line * 7919 % 97, line * 31);
            format!(r#"{{"function":"f{line}","filename":"shop/views_{file}.py","lineno":{lineno}}},"#)
        };
        let frames = (0..40).map(frame).collect::<Vec<_>>().concat();
        format!(r#"{{"event_id":"{n:032x}","message":"order {n} failed","frames":[{frames}null]}}"#)
            .into_bytes()
    }

    #[test]
    fn what_was_cut_lies_beside_what_was_sent() {
        let stored = |raw: &str| {
            let scrubbed = Scrubber::new(&ScrubRules::default()).event(raw.as_bytes()).unwrap();
            let json = Payload::of(&scrubbed, None).unwrap().json().unwrap();
            serde_json::from_slice::<serde_json::Value>(&json).unwrap()
        };
        assert_eq!(stored(r#" {"message":"m"}"#), serde_json::json!({"message": "m"}));
        let event = stored(r#" {"message":"m","extra":{"rate":NaN}}"#);
        assert_eq!((&event["message"], &event["extra"]["rate"]), (&"m".into(), &serde_json::Value::Null));
        assert_eq!(event[WARNINGS_KEY][0]["path"], "extra.rate");
        assert_eq!(stored("{} trailing")[WARNINGS_KEY][0]["kind"], "trailing_bytes");
    }

    #[test]
    fn a_payload_comes_back_as_it_was() {
        let json = event(1);
        let payload = Payload::compress(&json, None).unwrap();
        assert!(payload.bytes.len() < json.len() / 2);
        assert_eq!(payload.json().unwrap(), json);
    }

    #[test]
    fn a_dictionary_of_the_same_issue_makes_payloads_small() {
        let content = Dictionary::content_of(&event(1)).to_vec();
        let dictionary = Arc::new(Dictionary::new(1, content));
        let plain = Payload::compress(&event(2), None).unwrap();
        let small = Payload::compress(&event(2), Some(Arc::clone(&dictionary))).unwrap();
        assert!(small.bytes.len() * 4 < plain.bytes.len(), "{} {}", small.bytes.len(), plain.bytes.len());
        assert_eq!(small.json().unwrap(), event(2));
        assert!(decompress(&small.bytes, None).is_err());
    }

    #[test]
    fn damage_is_an_error() {
        let mut bytes = Payload::compress(b"{}", None).unwrap().bytes;
        bytes.truncate(4);
        assert!(decompress(&bytes, None).is_err());
        assert!(decompress(b"", None).is_err());
        assert!(decompress(&[0x28, 0xb5, 0x2f, 0xfd, 0xff, 0xff, 0xff], None).is_err());
    }
}
