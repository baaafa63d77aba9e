//! What a request brought, as it lies on disk: packed, compressed with zstd, and sealed.
//!
//! It is kept byte for byte and not scrubbed, because it must verify at the app; so it is sealed, with the context of
//! its request, and nobody reads it without the key beside the database.

use std::cell::RefCell;
use std::io;

use zstd::zstd_safe::{CCtx, compress_bound, get_error_name, get_frame_content_size};

use crate::base::Entropy;
use crate::base::Uid;
use crate::base::seal::{SealError, Sealer};

/// A call without what nobody may keep: as it came, but for headers that are secrets or of the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    pub method: String,
    /// What stood behind the `?`, as it came.
    pub query: String,
    /// In their order, doubled ones each by itself; names in lower case, values as they came.
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

/// Why a payload cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("it was sealed with another key: put the sealing.key back that lay beside this database")]
    Sealed(#[from] SealError),
    #[error("it is damaged: {0}")]
    Damaged(#[from] io::Error),
}

/// Of names and values together, as they are kept; what is beyond is left out.
pub const HEADERS_BYTES_MAX: usize = 16 * 1024;
/// As those of events (ARCHITECTURE.md, decision 5).
const LEVEL: i32 = 3;
/// A context keeps the tables of the largest that it compressed: larger ones get one of their own, for once.
const SHARED_BYTES_MAX: usize = 64 * 1024;
/// The largest body, with its headers and query.
const PLAIN_BYTES_MAX: usize = 26 * 1024 * 1024;
/// Of the layout below.
const VERSION: u8 = 1;

thread_local! {
    // A context is half a megabyte of tables: one per thread, not one per call.
    static ENCODER: RefCell<CCtx<'static>> = RefCell::new(CCtx::create());
}

/// With what the payload of a request is sealed.
pub fn context(request: Uid) -> String {
    format!("webhook:{request}")
}

impl Payload {
    /// As it is stored for this request.
    ///
    /// # Errors
    /// Where zstd cannot get memory, or the cipher refuses.
    pub fn seal(&self, sealer: &Sealer, entropy: &Entropy, request: Uid) -> Result<Vec<u8>, Unreadable> {
        Ok(sealer.seal_bytes(entropy, &compress(&self.pack())?, &context(request))?)
    }

    /// Reads what was stored for this request.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn open(sealer: &Sealer, request: Uid, stored: &[u8]) -> Result<Self, Unreadable> {
        let packed = decompress(&sealer.open_bytes(stored, &context(request))?)?;
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it is cut");
        Ok(Self::unpack(&packed).ok_or_else(damaged)?)
    }

    /// The first value of a header that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value).find_map(|value| std::str::from_utf8(value).ok())
    }

    /// A version, then the method, the query, how many headers, their names and values, each with its length before it;
    /// the rest is the body.
    fn pack(&self) -> Vec<u8> {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
        let mut packed =
            Vec::with_capacity(self.method.len() + self.query.len() + headers + self.body.len() + 13);
        packed.push(VERSION);
        put(&mut packed, self.method.as_bytes());
        put(&mut packed, self.query.as_bytes());
        packed.extend(length(self.headers.len()));
        for (name, value) in &self.headers {
            put(&mut packed, name.as_bytes());
            put(&mut packed, value);
        }
        packed.extend_from_slice(&self.body);
        packed
    }

    fn unpack(packed: &[u8]) -> Option<Self> {
        let mut rest = packed.strip_prefix(&[VERSION])?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let method = text(take(&mut rest)?)?;
        let query = text(take(&mut rest)?)?;
        let count = take_length(&mut rest)?;
        let mut headers = Vec::new();
        for _ in 0..count {
            headers.push((text(take(&mut rest)?)?, take(&mut rest)?.to_vec()));
        }
        Some(Self { method, query, headers, body: rest.to_vec() })
    }
}

fn length(count: usize) -> [u8; 4] {
    // Bodies are bounded far below it.
    u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes()
}

fn put(packed: &mut Vec<u8>, part: &[u8]) {
    packed.extend(length(part.len()));
    packed.extend_from_slice(part);
}

fn take_length(rest: &mut &[u8]) -> Option<usize> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    usize::try_from(u32::from_le_bytes(*length)).ok()
}

fn take<'r>(rest: &mut &'r [u8]) -> Option<&'r [u8]> {
    let length = take_length(rest)?;
    let (part, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(part)
}

fn compress(plain: &[u8]) -> io::Result<Vec<u8>> {
    if plain.len() > SHARED_BYTES_MAX {
        return zstd::bulk::compress(plain, LEVEL);
    }
    let mut bytes = Vec::with_capacity(compress_bound(plain.len()));
    let written = ENCODER.with_borrow_mut(|encoder| encoder.compress(&mut bytes, plain, LEVEL));
    written.map_err(|code| io::Error::new(io::ErrorKind::InvalidData, get_error_name(code)))?;
    Ok(bytes)
}

fn decompress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let size = get_frame_content_size(bytes).ok().flatten().and_then(|size| usize::try_from(size).ok());
    let size = size.filter(|size| *size <= PLAIN_BYTES_MAX);
    let size = size.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is no payload"))?;
    zstd::bulk::decompress(bytes, size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;

    fn kept() -> (Sealer, Entropy, Uid) {
        let entropy = Entropy::seeded(1);
        let uid = entropy.uid(Timestamp::from_secs(1_800_000_000));
        (Sealer::new(&[7; 32]), entropy, uid)
    }

    fn payload(body: Vec<u8>) -> Payload {
        Payload {
            method: "POST".to_owned(),
            query: "a=1&b=%ff".to_owned(),
            headers: vec![
                ("x-sig".to_owned(), b"one".to_vec()),
                ("x-sig".to_owned(), b"tw\xff".to_vec()),
                ("empty".to_owned(), Vec::new()),
            ],
            body,
        }
    }

    #[test]
    fn a_payload_comes_back_byte_for_byte_and_only_for_its_request() {
        let (sealer, entropy, uid) = kept();
        for body in [Vec::new(), b"\xff\0{}\r\n".to_vec(), vec![b'x'; 300_000]] {
            let payload = payload(body);
            let stored = payload.seal(&sealer, &entropy, uid).unwrap();
            assert_eq!(Payload::open(&sealer, uid, &stored).unwrap(), payload);
            let other = entropy.uid(Timestamp::from_secs(1_800_000_000));
            assert!(matches!(Payload::open(&sealer, other, &stored), Err(Unreadable::Sealed(_))));
        }
    }

    #[test]
    fn nothing_of_it_can_be_read_on_disk() {
        let (sealer, entropy, uid) = kept();
        let stored =
            payload(b"{\"card\":\"4242424242424242\"}".to_vec()).seal(&sealer, &entropy, uid).unwrap();
        let holds = |needle: &[u8]| stored.windows(needle.len()).any(|window| window == needle);
        assert!(!holds(b"4242") && !holds(b"x-sig"));
    }

    #[test]
    fn what_is_cut_is_an_error_and_no_panic() {
        let packed = payload(b"body".to_vec()).pack();
        for end in 0..packed.len() - 4 {
            assert!(Payload::unpack(&packed[..end]).is_none(), "{end}");
        }
        assert!(decompress(b"").is_err() && decompress(&[0x28, 0xb5, 0x2f, 0xfd, 0xff, 0xff]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn whatever_it_is_it_comes_back(
            method in "[A-Z]{0,7}", query in ".{0,40}", body: Vec<u8>,
            headers in proptest::collection::vec(("[a-z-]{1,9}", proptest::collection::vec(0_u8.., 0..20)), 0..5),
        ) {
            let payload = Payload { method, query, headers, body };
            proptest::prop_assert_eq!(Payload::unpack(&payload.pack()), Some(payload));
        }
    }
}
