//! How event payloads lie on disk: the scrubbed JSON, compressed with zstd.

use std::cell::RefCell;
use std::io;

/// The level with the best bytes per microsecond for payloads of a few kilobytes (ARCHITECTURE.md, decision 5).
const LEVEL: i32 = 3;
/// No stored payload is larger: the scrubber bounds events to 1 MiB.
const PLAIN_BYTES_MAX: usize = 2 * 1024 * 1024;

thread_local! {
    // A context is half a megabyte of tables: one per thread, not one per event.
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// A compressed payload as it stands in `events.payload`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload(pub Vec<u8>);

impl Payload {
    /// Compresses scrubbed JSON. Fails only where zstd cannot get memory.
    pub fn compress(json: &[u8]) -> io::Result<Self> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
