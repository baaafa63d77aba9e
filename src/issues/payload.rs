//! How event payloads lie on disk: the scrubbed JSON with what scrubbing cut, compressed with zstd.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io;

use crate::scrub::Scrubbed;

/// The level with the best bytes per microsecond for payloads of a few kilobytes (ARCHITECTURE.md, decision 5).
const LEVEL: i32 = 3;
/// No stored payload is larger: the scrubber bounds events to 1 MiB.
const PLAIN_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The top-level key under which the scrubber's warnings stand in a stored payload, beside the client's own keys. A
/// client that sends it itself can only warn about its own event.
pub(super) const WARNINGS_KEY: &str = "tocsin.warnings";

thread_local! {
    // A context is half a megabyte of tables: one per thread, not one per event.
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// A compressed payload as it stands in `events.payload`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload(pub Vec<u8>);

impl Payload {
    /// Compresses a scrubbed event with its warnings. Fails only where zstd cannot get memory.
    pub fn of(scrubbed: &Scrubbed) -> io::Result<Self> {
        Self::compress(&with_warnings(scrubbed)?)
    }

    /// Compresses scrubbed JSON. Fails only where zstd cannot get memory.
    fn compress(json: &[u8]) -> io::Result<Self> {
        COMPRESSOR.with_borrow_mut(|slot| {
            let compressor = match slot {
                Some(compressor) => compressor,
                None => slot.insert(zstd::bulk::Compressor::new(LEVEL)?),
            };
            compressor.compress(json).map(Self)
        })
    }

    /// The scrubbed JSON again.
    ///
    /// # Errors
    /// Where the bytes are damaged or claim to be larger than any payload that was stored.
    pub fn decompress(bytes: &[u8]) -> io::Result<Vec<u8>> {
        // zstd takes no bytes at all for nothing compressed.
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        DECOMPRESSOR.with_borrow_mut(|slot| {
            let decompressor = match slot {
                Some(decompressor) => decompressor,
                None => slot.insert(zstd::bulk::Decompressor::new()?),
            };
            let capacity = zstd::bulk::Decompressor::upper_bound(bytes).unwrap_or(PLAIN_BYTES_MAX);
            decompressor.decompress(bytes, capacity.min(PLAIN_BYTES_MAX))
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrub::{ScrubRules, Scrubber};

    #[test]
    fn what_was_cut_lies_beside_what_was_sent() {
        let stored = |raw: &str| {
            let scrubbed = Scrubber::new(&ScrubRules::default()).event(raw.as_bytes()).unwrap();
            let json = Payload::decompress(&Payload::of(&scrubbed).unwrap().0).unwrap();
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
        let json = br#"{"message":"boom"}"#.repeat(500);
        let payload = Payload::compress(&json).unwrap();
        assert!(payload.0.len() < json.len() / 10);
        assert_eq!(Payload::decompress(&payload.0).unwrap(), json);
    }

    #[test]
    fn damage_is_an_error() {
        let mut bytes = Payload::compress(b"{}").unwrap().0;
        bytes.truncate(4);
        assert!(Payload::decompress(&bytes).is_err());
        assert!(Payload::decompress(b"").is_err());
    }
}
