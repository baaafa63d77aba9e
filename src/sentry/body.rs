//! Decodes a request body while it arrives, and stops at its bounds before memory is spent.

use super::decoder::{Decoder, Fault, Room};
use crate::base::text::clip;

/// A body in the making: fed with chunks as the network brings them, asked for the whole at the end.
///
/// Memory is bounded by the decompressed limit plus one window of the encoding (at most 16 MiB, brotli). After an
/// error the body is of no further use.
pub struct Body {
    encoding: Encoding,
    decoder: Decoder,
    decoded: Vec<u8>,
    limits: BodyLimits,
    received_bytes: usize,
}

/// How much may arrive and how much may come out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    pub compressed_bytes: usize,
    pub decompressed_bytes: usize,
}

/// What `Content-Encoding` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Identity,
    Gzip,
    /// With or without the zlib frame: clients send both under this name.
    Deflate,
    Brotli,
    Zstd,
}

/// Why a body was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Answer 415.
    #[error("content encoding {0:?} is not supported: use gzip, deflate, br, zstd or none")]
    UnknownEncoding(String),
    /// Answer 415.
    #[error("more than one content encoding: only one can be undone")]
    StackedEncodings,
    /// Answer 413.
    #[error("the body is larger than {0} bytes as sent")]
    CompressedTooLarge(usize),
    /// Answer 413.
    #[error("the body is larger than {0} bytes when decompressed")]
    TooLarge(usize),
    /// Answer 400.
    #[error("the {encoding} stream is broken near byte {at} as sent")]
    Corrupt { encoding: &'static str, at: usize },
    /// Answer 400.
    #[error("the {encoding} stream ends after {at} bytes as sent, before its own end")]
    Truncated { encoding: &'static str, at: usize },
}

impl BodyError {
    /// The HTTP status that goes with the error.
    pub const fn status(&self) -> u16 {
        match self {
            Self::UnknownEncoding(_) | Self::StackedEncodings => 415,
            Self::CompressedTooLarge(_) | Self::TooLarge(_) => 413,
            Self::Corrupt { .. } | Self::Truncated { .. } => 400,
        }
    }

    /// Whether a smaller body would be taken.
    pub const fn is_too_large(&self) -> bool {
        matches!(self, Self::CompressedTooLarge(_) | Self::TooLarge(_))
    }
}

/// An unknown encoding is quoted in the error up to here.
const NAME_CHARS_MAX: usize = 32;

impl Encoding {
    /// Reads a `Content-Encoding` value. Empty (sentry-ruby 5) and `UTF-8` (old Android) mean none.
    pub fn parse(value: &str) -> Result<Self, BodyError> {
        let mut found = Self::Identity;
        for name in value.split(',').map(str::trim) {
            let encoding = Self::named(name)
                .ok_or_else(|| BodyError::UnknownEncoding(clip(name, NAME_CHARS_MAX).into_owned()))?;
            if found != Self::Identity && encoding != Self::Identity {
                return Err(BodyError::StackedEncodings);
            }
            if encoding != Self::Identity {
                found = encoding;
            }
        }
        Ok(found)
    }

    fn named(name: &str) -> Option<Self> {
        const NAMES: [(&str, Encoding); 8] = [
            ("", Encoding::Identity),
            ("identity", Encoding::Identity),
            ("utf-8", Encoding::Identity),
            ("gzip", Encoding::Gzip),
            ("x-gzip", Encoding::Gzip),
            ("deflate", Encoding::Deflate),
            ("br", Encoding::Brotli),
            ("zstd", Encoding::Zstd),
        ];
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, encoding)| *encoding)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

impl Body {
    pub fn new(encoding: Encoding, limits: BodyLimits) -> Result<Self, BodyError> {
        let name = encoding.as_str();
        let decoder = Decoder::new(encoding).map_err(|_| BodyError::Corrupt { encoding: name, at: 0 })?;
        Ok(Self { encoding, decoder, decoded: Vec::new(), limits, received_bytes: 0 })
    }

    /// Takes the next chunk and decodes what it completes.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        if chunk.is_empty() {
            return Ok(());
        }
        if chunk.len() > self.limits.compressed_bytes.saturating_sub(self.received_bytes) {
            return Err(BodyError::CompressedTooLarge(self.limits.compressed_bytes));
        }
        let mut room = Room { bytes: &mut self.decoded, bytes_max: self.limits.decompressed_bytes };
        let step = self.decoder.push(chunk, &mut room);
        self.received_bytes += chunk.len();
        step.map_err(|fault| self.explain(fault))
    }

    /// What came out so far.
    pub fn decoded(&self) -> &[u8] {
        &self.decoded
    }

    /// Memory it takes now: what came out so far, and the window that its encoding looks back into.
    pub fn held_bytes(&self) -> usize {
        self.decoded.capacity() + self.decoder.window_bytes_max().min(self.decoded.len())
    }

    /// The whole decoded body. A stream that has not reached its own end is an error; no bytes at all are an
    /// empty body in every encoding.
    pub fn finish(self) -> Result<Vec<u8>, BodyError> {
        if self.received_bytes == 0 {
            return Ok(Vec::new());
        }
        if self.decoder.ended() { Ok(self.decoded) } else { Err(self.explain(Fault::Truncated)) }
    }

    fn explain(&self, fault: Fault) -> BodyError {
        let (encoding, at) = (self.encoding.as_str(), self.received_bytes);
        match fault {
            Fault::TooLarge => BodyError::TooLarge(self.limits.decompressed_bytes),
            Fault::Corrupt => BodyError::Corrupt { encoding, at },
            Fault::Truncated => BodyError::Truncated { encoding, at },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    const WIDE: BodyLimits = BodyLimits { compressed_bytes: 1 << 20, decompressed_bytes: 1 << 20 };
    const ALL: [Encoding; 5] =
        [Encoding::Identity, Encoding::Gzip, Encoding::Deflate, Encoding::Brotli, Encoding::Zstd];

    fn decode(encoding: Encoding, limits: BodyLimits, chunks: &[&[u8]]) -> Result<Vec<u8>, BodyError> {
        let mut body = Body::new(encoding, limits)?;
        for chunk in chunks {
            body.push(chunk)?;
        }
        body.finish()
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(data: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn bare_deflate(data: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(data: &[u8]) -> Vec<u8> {
        zstd::encode_all(data, 3).unwrap()
    }

    /// Brotli as a client would write it that does not compress: RFC 7932 §9.2, uncompressed meta-blocks.
    fn brotli(data: &[u8]) -> Vec<u8> {
        let mut bits: Vec<bool> = vec![false]; // WBITS 16
        let mut out = Vec::new();
        let flush = |bits: &mut Vec<bool>, out: &mut Vec<u8>| {
            for byte in bits.chunks(8) {
                out.push(byte.iter().rev().fold(0, |acc, bit| (acc << 1) | u8::from(*bit)));
            }
            bits.clear();
        };
        for block in data.chunks(1 << 16) {
            bits.extend([false, false, false]); // not last, 4 nibbles
            bits.extend((0..16).map(|bit| (block.len() - 1) >> bit & 1 == 1));
            bits.push(true); // uncompressed
            flush(&mut bits, &mut out);
            out.extend_from_slice(block);
        }
        bits.extend([true, true]); // last, empty
        flush(&mut bits, &mut out);
        out
    }

    fn encode(encoding: Encoding, data: &[u8]) -> Vec<u8> {
        match encoding {
            Encoding::Identity => data.to_vec(),
            Encoding::Gzip => gzip(data),
            Encoding::Deflate => zlib(data),
            Encoding::Brotli => brotli(data),
            Encoding::Zstd => zstd(data),
        }
    }

    #[test]
    fn content_encodings_are_named_loosely_but_never_stacked() {
        for (value, expected) in [
            ("", Encoding::Identity),
            ("UTF-8", Encoding::Identity),
            ("identity", Encoding::Identity),
            ("GZIP", Encoding::Gzip),
            ("identity, x-gzip", Encoding::Gzip),
            ("deflate", Encoding::Deflate),
            (" br ", Encoding::Brotli),
            ("zstd", Encoding::Zstd),
        ] {
            assert_eq!(Encoding::parse(value), Ok(expected), "{value:?}");
        }
        assert_eq!(Encoding::parse("gzip, br"), Err(BodyError::StackedEncodings));
        assert_eq!(Encoding::parse("lzma"), Err(BodyError::UnknownEncoding("lzma".to_owned())));
        assert_eq!(Encoding::parse("lzma").unwrap_err().status(), 415);
    }

    #[test]
    fn bare_deflate_and_several_gzip_members_are_understood() {
        let data = b"tocsin ".repeat(100);
        assert_eq!(decode(Encoding::Deflate, WIDE, &[&bare_deflate(&data)]).unwrap(), data);
        let members = [gzip(&data), gzip(b""), gzip(b"end")].concat();
        assert_eq!(decode(Encoding::Gzip, WIDE, &[&members]).unwrap(), [&data[..], b"end"].concat());
    }

    #[test]
    fn a_body_exactly_at_its_bound_passes_and_one_byte_more_does_not() {
        let data = vec![b'x'; 100_000];
        for encoding in ALL {
            let sent = encode(encoding, &data);
            let limits = |bytes| BodyLimits { compressed_bytes: sent.len(), decompressed_bytes: bytes };
            assert_eq!(decode(encoding, limits(100_000), &[&sent]).unwrap(), data, "{encoding:?}");
            let refused = decode(encoding, limits(99_999), &[&sent]);
            assert_eq!(refused, Err(BodyError::TooLarge(99_999)), "{encoding:?}");
            let tight = BodyLimits { compressed_bytes: sent.len() - 1, decompressed_bytes: 1 << 20 };
            assert_eq!(decode(encoding, tight, &[&sent]), Err(BodyError::CompressedTooLarge(sent.len() - 1)));
        }
    }

    #[test]
    fn a_bomb_is_stopped_before_its_memory_is_spent() {
        let limits = BodyLimits { compressed_bytes: 1 << 20, decompressed_bytes: 64 * 1024 };
        for encoding in [Encoding::Gzip, Encoding::Deflate, Encoding::Zstd] {
            let bomb = encode(encoding, &vec![0; 50 << 20]);
            let mut body = Body::new(encoding, limits).unwrap();
            assert_eq!(body.push(&bomb), Err(BodyError::TooLarge(64 * 1024)), "{encoding:?}");
            assert!(body.decoded.capacity() <= 64 * 1024 + 1, "{encoding:?}");
        }
    }

    #[test]
    fn it_says_what_it_holds_while_it_is_read() {
        let data = vec![b'x'; 100_000];
        for (encoding, window) in [
            (Encoding::Identity, 0),
            (Encoding::Gzip, 32 * 1024),
            (Encoding::Deflate, 32 * 1024),
            (Encoding::Brotli, 100_000),
            (Encoding::Zstd, 100_000),
        ] {
            let mut body = Body::new(encoding, WIDE).unwrap();
            assert_eq!(body.held_bytes(), 0, "{encoding:?}");
            body.push(&encode(encoding, &data)).unwrap();
            assert_eq!(body.held_bytes(), body.decoded.capacity() + window, "{encoding:?}");
        }
    }

    #[test]
    fn a_zstd_frame_may_not_ask_for_a_huge_window() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(b"small").unwrap();
        let sent = encoder.finish().unwrap();
        assert!(matches!(decode(Encoding::Zstd, WIDE, &[&sent]), Err(BodyError::Corrupt { .. })));
    }

    #[test]
    fn a_brotli_stream_may_not_ask_for_more_than_the_standard_has() {
        // The header of "large window brotli" with 30 bits, and an empty last block.
        let refused = decode(Encoding::Brotli, WIDE, &[&[0x11, 0xde]]);
        assert!(matches!(refused, Err(BodyError::Corrupt { .. })), "{refused:?}");
    }

    #[test]
    fn a_broken_stream_says_where_and_a_cut_one_says_that() {
        let data = b"the quick brown fox ".repeat(50);
        for encoding in ALL.into_iter().filter(|encoding| *encoding != Encoding::Identity) {
            let sent = encode(encoding, &data);
            for cut in 1..sent.len() {
                let result = decode(encoding, WIDE, &[&sent[..cut]]);
                let expected = BodyError::Truncated { encoding: encoding.as_str(), at: cut };
                assert_eq!(result, Err(expected), "{encoding:?} cut at {cut}");
            }
            let trailing = decode(encoding, WIDE, &[&sent, b"trailing"]);
            assert!(matches!(trailing, Err(BodyError::Corrupt { .. })), "{encoding:?}");
        }
        let mut wrong_sum = gzip(&data);
        let at = wrong_sum.len() - 8;
        wrong_sum[at] ^= 1;
        assert!(matches!(decode(Encoding::Gzip, WIDE, &[&wrong_sum]), Err(BodyError::Corrupt { .. })));
    }

    #[test]
    fn no_bytes_are_an_empty_body_in_every_encoding() {
        for encoding in ALL {
            assert_eq!(decode(encoding, WIDE, &[]), Ok(Vec::new()));
        }
    }

    proptest! {
        #[test]
        fn chunk_borders_make_no_difference(data in prop::collection::vec(any::<u8>(), 1..3000), step in 1_usize..50) {
            for encoding in ALL {
                let sent = encode(encoding, &data);
                let chunks: Vec<&[u8]> = sent.chunks(step).collect();
                prop_assert_eq!(decode(encoding, WIDE, &chunks).unwrap(), data.clone());
            }
            let sent = bare_deflate(&data);
            let chunks: Vec<&[u8]> = sent.chunks(step).collect();
            if !crate::sentry::decoder::is_zlib_header(sent[0], sent[1]) {
                prop_assert_eq!(decode(Encoding::Deflate, WIDE, &chunks).unwrap(), data);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(data in prop::collection::vec(any::<u8>(), 0..300)) {
            for encoding in ALL {
                if let Ok(decoded) = decode(encoding, WIDE, &[&data]) {
                    prop_assert!(decoded.len() <= WIDE.decompressed_bytes);
                }
            }
        }
    }
}
