//! A body in every encoding: bounded, and the same however the network cuts it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tocsin::sentry::{Body, BodyError, BodyLimits, Encoding};

const ENCODINGS: [Encoding; 5] =
    [Encoding::Identity, Encoding::Gzip, Encoding::Deflate, Encoding::Brotli, Encoding::Zstd];
const LIMITS: BodyLimits = BodyLimits { compressed_bytes: 1 << 16, decompressed_bytes: 1 << 18 };

fn decode(encoding: Encoding, sent: &[u8], step: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Body::new(encoding, LIMITS)?;
    for chunk in sent.chunks(step) {
        body.push(chunk)?;
    }
    body.finish()
}

// The first byte chooses the encoding, the second the size of the chunks.
fuzz_target!(|data: &[u8]| {
    let [encoding, step, sent @ ..] = data else { return };
    let encoding = ENCODINGS[usize::from(*encoding) % ENCODINGS.len()];
    let whole = decode(encoding, sent, usize::MAX);
    let pieces = decode(encoding, sent, usize::from(*step).max(1));
    match (&whole, &pieces) {
        (Ok(one), Ok(other)) => assert_eq!(one, other),
        // Which bound or fault is met first may depend on the chunks; that one is met may not.
        (Err(_), Err(_)) => {}
        (one, other) => panic!("whole {:?}, in pieces {:?}", one.is_ok(), other.is_ok()),
    }
    assert!(whole.map_or(0, |decoded| decoded.len()) <= LIMITS.decompressed_bytes);
});
