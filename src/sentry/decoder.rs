//! The decoders behind a body: each takes a chunk and writes what it completes into bounded room.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, InBuffer, Operation, OutBuffer};

use super::body::Encoding;

/// One body's decoder. A fault ends its use.
pub(super) enum Decoder {
    Identity,
    Gzip(Inflate),
    Deflate(Deflate),
    Brotli(Box<Brotli>),
    Zstd(Zstd),
}

impl Decoder {
    pub(super) fn new(encoding: Encoding) -> Result<Self, Fault> {
        Ok(match encoding {
            Encoding::Identity => Self::Identity,
            Encoding::Gzip => Self::Gzip(Inflate::gzip()),
            Encoding::Deflate => Self::Deflate(Deflate::Undecided { first: None }),
            Encoding::Brotli => Self::Brotli(Box::new(Brotli::new())),
            Encoding::Zstd => Self::Zstd(Zstd::new()?),
        })
    }

    /// Decodes one chunk, which is not empty.
    pub(super) fn push(&mut self, chunk: &[u8], room: &mut Room<'_>) -> Result<(), Fault> {
        match self {
            Self::Identity => room.append(chunk),
            Self::Gzip(inflate) => inflate.push_members(chunk, room),
            Self::Deflate(deflate) => deflate.push(chunk, room),
            Self::Brotli(brotli) => brotli.push(chunk, room),
            Self::Zstd(zstd) => zstd.push(chunk, room),
        }
    }

    /// Whether the stream, as far as it came, has reached its own end.
    pub(super) const fn ended(&self) -> bool {
        match self {
            Self::Identity => true,
            Self::Gzip(inflate) | Self::Deflate(Deflate::Decided(inflate)) => inflate.ended,
            Self::Deflate(Deflate::Undecided { .. }) => false,
            Self::Brotli(brotli) => brotli.ended,
            Self::Zstd(zstd) => zstd.at_frame_end,
        }
    }

    /// Of what came out the decoder keeps a copy of at most so many bytes.
    pub(super) const fn window_bytes_max(&self) -> usize {
        match self {
            Self::Identity => 0,
            Self::Gzip(_) | Self::Deflate(_) => 1 << GZIP_WINDOW_BITS,
            Self::Brotli(_) => 1 << BROTLI_WINDOW_BITS,
            Self::Zstd(_) => 1 << ZSTD_WINDOW_LOG_MAX,
        }
    }
}

/// What can go wrong inside a decoder, before the error is given its numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    TooLarge,
    Corrupt,
    Truncated,
}

/// Event JSON shrinks to a third or less; a guess of four saves most bodies a second allocation.
const EXPANSION_GUESS: usize = 4;
/// The least room given to a decompressor, so that tiny chunks do not make tiny steps.
const ROOM_BYTES_MIN: usize = 1024;
/// zstd windows above 8 MiB need levels that no SDK uses; a frame may otherwise ask for 128 MiB of memory.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// The step in which brotli hands out what it decoded.
const BROTLI_STEP_BYTES: usize = 8 * 1024;
/// The largest window of brotli (RFC 7932, section 9.1).
const BROTLI_WINDOW_BITS: u8 = 24;
/// zlib's largest window, which every gzip writer uses.
const GZIP_WINDOW_BITS: u8 = 15;

/// The output with its bound.
pub(super) struct Room<'a> {
    pub(super) bytes: &'a mut Vec<u8>,
    pub(super) bytes_max: usize,
}

impl Room<'_> {
    fn append(&mut self, chunk: &[u8]) -> Result<(), Fault> {
        if chunk.len() > self.bytes_max.saturating_sub(self.bytes.len()) {
            return Err(Fault::TooLarge);
        }
        if chunk.len() > self.bytes.capacity() - self.bytes.len() {
            self.grow(chunk.len());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// Makes room for `more` bytes at least. It doubles, but never to more than the bound asks for.
    fn grow(&mut self, more: usize) {
        let wanted = self.bytes.len() + more.max(self.bytes.len());
        let capacity = wanted.min(self.bytes_max.saturating_add(1));
        self.bytes.reserve_exact(capacity - self.bytes.len());
    }

    /// Makes room to write into; one byte above the bound is allowed, which tells "full" from "too large".
    fn reserve(&mut self, guess: usize) -> Result<(), Fault> {
        if self.bytes.len() > self.bytes_max {
            return Err(Fault::TooLarge);
        }
        if self.bytes.len() == self.bytes.capacity() {
            self.grow(guess.max(ROOM_BYTES_MIN));
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
pub(super) struct Inflate {
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
pub(super) enum Deflate {
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
pub(super) fn is_zlib_header(one: u8, two: u8) -> bool {
    one & 0x0f == 8 && one >> 4 <= 7 && u16::from_be_bytes([one, two]).is_multiple_of(31)
}

pub(super) struct Zstd {
    decoder: ZstdDecoder<'static>,
    at_frame_end: bool,
}

impl Zstd {
    fn new() -> Result<Self, Fault> {
        let mut decoder = ZstdDecoder::new().map_err(|_| Fault::Corrupt)?;
        let window = DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX);
        decoder.set_parameter(window).map_err(|_| Fault::Corrupt)?;
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

pub(super) struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    step: [u8; BROTLI_STEP_BYTES],
    written_bytes: usize,
    ended: bool,
}

impl Brotli {
    fn new() -> Self {
        // Strict: else a stream may ask for a window of 1 GiB, which `br` does not allow.
        let alloc = StandardAlloc::default;
        let state = BrotliState::new_strict(alloc(), alloc(), alloc());
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
