//! Decodes a request body while it arrives, and stops at its bounds before memory is spent.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, InBuffer, Operation, OutBuffer};

use crate::base::text::clip;

/// A body in the making: fed with chunks as the network brings them, asked for the whole at the end.
///
/// Memory is bounded by the decompressed limit plus one window of the encoding (at most 16 MiB, brotli). After an
/// error the body is of no further use.
pub struct Body {
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
}

/// Event JSON shrinks to a third or less; a guess of four saves most bodies a second allocation.
const EXPANSION_GUESS: usize = 4;
/// The least room given to a decompressor, so that tiny chunks do not make tiny steps.
const ROOM_BYTES_MIN: usize = 1024;
/// zstd windows above 8 MiB need levels that no SDK uses; a frame may otherwise ask for 128 MiB of memory.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// The step in which brotli hands out what it decoded.
const BROTLI_STEP_BYTES: usize = 8 * 1024;
/// zlib's largest window, which every gzip writer uses.
const GZIP_WINDOW_BITS: u8 = 15;
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
        let decoder = match encoding {
            Encoding::Identity => Decoder::Identity,
            Encoding::Gzip => Decoder::Gzip(Inflate::gzip()),
            Encoding::Deflate => Decoder::Deflate(Deflate::Undecided { first: None }),
            Encoding::Brotli => Decoder::Brotli(Box::new(Brotli::new())),
            Encoding::Zstd => Decoder::Zstd(Zstd::new()?),
        };
        Ok(Self { decoder, decoded: Vec::new(), limits, received_bytes: 0 })
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
        let step = match &mut self.decoder {
            Decoder::Identity => room.append(chunk),
            Decoder::Gzip(inflate) => inflate.push_members(chunk, &mut room),
            Decoder::Deflate(deflate) => deflate.push(chunk, &mut room),
            Decoder::Brotli(brotli) => brotli.push(chunk, &mut room),
            Decoder::Zstd(zstd) => zstd.push(chunk, &mut room),
        };
        self.received_bytes += chunk.len();
        step.map_err(|fault| self.explain(fault))
    }

    /// The whole decoded body. A stream that has not reached its own end is an error; no bytes at all are an
    /// empty body in every encoding.
    pub fn finish(self) -> Result<Vec<u8>, BodyError> {
        if self.received_bytes == 0 {
            return Ok(Vec::new());
        }
        let ended = match &self.decoder {
            Decoder::Identity => true,
            Decoder::Gzip(inflate) | Decoder::Deflate(Deflate::Decided(inflate)) => inflate.ended,
            Decoder::Deflate(Deflate::Undecided { .. }) => false,
            Decoder::Zstd(zstd) => zstd.at_frame_end,
            Decoder::Brotli(brotli) => brotli.ended,
        };
        if ended { Ok(self.decoded) } else { Err(self.explain(Fault::Truncated)) }
    }

    fn explain(&self, fault: Fault) -> BodyError {
        let (encoding, at) = (self.decoder.encoding().as_str(), self.received_bytes);
        match fault {
            Fault::TooLarge => BodyError::TooLarge(self.limits.decompressed_bytes),
            Fault::Corrupt => BodyError::Corrupt { encoding, at },
            Fault::Truncated => BodyError::Truncated { encoding, at },
        }
    }
}

/// What can go wrong inside a decoder, before the error is given its numbers.
#[derive(Clone, Copy, Debug)]
enum Fault {
    TooLarge,
    Corrupt,
    Truncated,
}

enum Decoder {
    Identity,
    Gzip(Inflate),
    Deflate(Deflate),
    Brotli(Box<Brotli>),
    Zstd(Zstd),
}

impl Decoder {
    const fn encoding(&self) -> Encoding {
        match self {
            Self::Identity => Encoding::Identity,
            Self::Gzip(_) => Encoding::Gzip,
            Self::Deflate(_) => Encoding::Deflate,
            Self::Brotli(_) => Encoding::Brotli,
            Self::Zstd(_) => Encoding::Zstd,
        }
    }
}

/// The output with its bound.
struct Room<'a> {
    bytes: &'a mut Vec<u8>,
    bytes_max: usize,
}

impl Room<'_> {
    fn append(&mut self, chunk: &[u8]) -> Result<(), Fault> {
        if chunk.len() > self.bytes_max.saturating_sub(self.bytes.len()) {
            return Err(Fault::TooLarge);
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// Makes room to write into; one byte above the bound is allowed, which tells "full" from "too large".
    fn reserve(&mut self, guess: usize) -> Result<(), Fault> {
        if self.bytes.len() > self.bytes_max {
            return Err(Fault::TooLarge);
        }
        if self.bytes.len() == self.bytes.capacity() {
            let wanted = self.bytes.len() + guess.max(self.bytes.len()).max(ROOM_BYTES_MIN);
            let capacity = wanted.min(self.bytes_max.saturating_add(1));
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        Ok(())
    }

    const fn check(&self) -> Result<(), Fault> {
        if self.bytes.len() > self.bytes_max { Err(Fault::TooLarge) } else { Ok(()) }
    }

    const fn is_full(&self) -> bool {
        self.bytes.len() == self.bytes.capacity()
    }
}

/// One inflate stream: a gzip member, a zlib stream or bare deflate.
struct Inflate {
    stream: Decompress,
    ended: bool,
}

impl Inflate {
    fn gzip() -> Self {
        Self { stream: Decompress::new_gzip(GZIP_WINDOW_BITS), ended: false }
    }

    fn deflate(zlib_header: bool) -> Self {
        Self { stream: Decompress::new(zlib_header), ended: false }
    }

    /// A gzip body may be several members behind each other; they decode to one text.
    fn push_members(&mut self, mut chunk: &[u8], room: &mut Room<'_>) -> Result<(), Fault> {
        while !chunk.is_empty() {
            if self.ended {
                *self = Self::gzip();
            }
            chunk = self.step(chunk, room)?;
        }
        Ok(())
    }

    /// Decodes `chunk` and returns what lies behind the stream's end.
    fn step<'a>(&mut self, mut chunk: &'a [u8], room: &mut Room<'_>) -> Result<&'a [u8], Fault> {
        loop {
            room.reserve(chunk.len().saturating_mul(EXPANSION_GUESS))?;
            let consumed_before = self.stream.total_in();
            let status = self
                .stream
                .decompress_vec(chunk, room.bytes, FlushDecompress::None)
                .map_err(|_| Fault::Corrupt)?;
            let consumed = self.stream.total_in() - consumed_before;
            chunk = usize::try_from(consumed).ok().and_then(|n| chunk.get(n..)).ok_or(Fault::Corrupt)?;
            room.check()?;
            match status {
                Status::StreamEnd => {
                    self.ended = true;
                    return Ok(chunk);
                }
                Status::Ok | Status::BufError if room.is_full() => {}
                Status::Ok | Status::BufError if chunk.is_empty() => return Ok(chunk),
                // Neither room nor input is short: the stream asks for something that cannot be given.
                Status::BufError => return Err(Fault::Corrupt),
                Status::Ok => {}
            }
        }
    }
}

/// `deflate` means zlib by the standard and bare deflate by habit; the first two bytes decide.
enum Deflate {
    Undecided { first: Option<u8> },
    Decided(Inflate),
}

impl Deflate {
    fn push(&mut self, mut chunk: &[u8], room: &mut Room<'_>) -> Result<(), Fault> {
        if let Self::Undecided { first } = self {
            let (one, rest) = match (*first, chunk) {
                (Some(one), rest) => (one, rest),
                (None, [one, rest @ ..]) => (*one, rest),
                (None, []) => return Ok(()),
            };
            let Some(two) = rest.first() else {
                *first = Some(one);
                return Ok(());
            };
            let mut inflate = Inflate::deflate(is_zlib_header(one, *two));
            inflate.step(&[one], room)?;
            chunk = rest;
            *self = Self::Decided(inflate);
        }
        match self {
            Self::Undecided { .. } => Ok(()),
            Self::Decided(inflate) if inflate.ended => Err(Fault::Corrupt),
            Self::Decided(inflate) => {
                let behind = inflate.step(chunk, room)?;
                if behind.is_empty() { Ok(()) } else { Err(Fault::Corrupt) }
            }
        }
    }
}

/// RFC 1950 §2.2: method 8, window at most 32 KiB, and the pair a multiple of 31.
fn is_zlib_header(one: u8, two: u8) -> bool {
    one & 0x0f == 8 && one >> 4 <= 7 && u16::from_be_bytes([one, two]).is_multiple_of(31)
}

struct Zstd {
    decoder: ZstdDecoder<'static>,
    at_frame_end: bool,
}

impl Zstd {
    fn new() -> Result<Self, BodyError> {
        let corrupt = |_| BodyError::Corrupt { encoding: Encoding::Zstd.as_str(), at: 0 };
        let mut decoder = ZstdDecoder::new().map_err(corrupt)?;
        decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX)).map_err(corrupt)?;
        Ok(Self { decoder, at_frame_end: false })
    }

    fn push(&mut self, chunk: &[u8], room: &mut Room<'_>) -> Result<(), Fault> {
        let mut input = InBuffer::around(chunk);
        loop {
            room.reserve(chunk.len().saturating_mul(EXPANSION_GUESS))?;
            let filled = room.bytes.len();
            let mut output = OutBuffer::around_pos(&mut *room.bytes, filled);
            let hint = self.decoder.run(&mut input, &mut output).map_err(|_| Fault::Corrupt)?;
            self.at_frame_end = hint == 0;
            room.check()?;
            let input_used = input.pos() == chunk.len();
            if input_used && (self.at_frame_end || !room.is_full()) {
                return Ok(());
            }
        }
    }
}

struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    step: [u8; BROTLI_STEP_BYTES],
    written_bytes: usize,
    ended: bool,
}

impl Brotli {
    fn new() -> Self {
        let state =
            BrotliState::new(StandardAlloc::default(), StandardAlloc::default(), StandardAlloc::default());
        Self { state, step: [0; BROTLI_STEP_BYTES], written_bytes: 0, ended: false }
    }

    fn push(&mut self, chunk: &[u8], room: &mut Room<'_>) -> Result<(), Fault> {
        if self.ended {
            return Err(Fault::Corrupt);
        }
        let (mut in_left, mut in_at) = (chunk.len(), 0);
        loop {
            let (mut out_left, mut out_at) = (self.step.len(), 0);
            let result = BrotliDecompressStream(
                &mut in_left,
                &mut in_at,
                chunk,
                &mut out_left,
                &mut out_at,
                &mut self.step,
                &mut self.written_bytes,
                &mut self.state,
            );
            room.append(self.step.get(..out_at).unwrap_or_default())?;
            match result {
                BrotliResult::NeedsMoreOutput => {}
                BrotliResult::NeedsMoreInput => return Ok(()),
                BrotliResult::ResultFailure => return Err(Fault::Corrupt),
                BrotliResult::ResultSuccess => {
                    self.ended = true;
                    return if in_left == 0 { Ok(()) } else { Err(Fault::Corrupt) };
                }
            }
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
    fn a_zstd_frame_may_not_ask_for_a_huge_window() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(b"small").unwrap();
        let sent = encoder.finish().unwrap();
        assert!(matches!(decode(Encoding::Zstd, WIDE, &[&sent]), Err(BodyError::Corrupt { .. })));
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
            if !is_zlib_header(sent[0], sent[1]) {
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
