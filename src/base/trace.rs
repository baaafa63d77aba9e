//! Ids of traces that lead back to what tocsin sent: whoever reports an error with one says which call it came of.
//!
//! Half of such an id is the number of what was sent, half proves that tocsin made it: a stranger's id finds nothing.
//! Written as the W3C recommendation *Trace Context* (`traceparent`) and as Sentry's SDKs do (`sentry-trace`).

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Makes ids of traces, and knows its own.
#[derive(Clone)]
pub struct TraceKey([u8; 32]);

/// Of a trace: 16 bytes, written as 32 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId(pub u128);

/// One call of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub trace: TraceId,
    /// Never zero, which would mean none.
    pub id: u64,
}

impl TraceKey {
    /// `key` is for this alone; see how the process derives it from the key that seals.
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The trace of what is numbered `id`.
    pub fn trace(&self, id: i64) -> TraceId {
        let [number, proof] = [id.cast_unsigned(), self.mac(&[id.cast_unsigned(), 0])];
        TraceId((u128::from(number) << 64) | u128::from(proof))
    }

    /// The attempt `number`, counted from 1, within the trace of `id`.
    pub fn span(&self, id: i64, number: u32) -> Span {
        let attempt = u64::from(number).max(1);
        Span { trace: self.trace(id), id: self.mac(&[id.cast_unsigned(), attempt]) }
    }

    /// The number of what `trace` belongs to; `None` where tocsin did not make it.
    pub fn find(&self, trace: TraceId) -> Option<i64> {
        let [number, _] = halves(trace.0);
        let id = number.cast_signed();
        (self.trace(id) == trace).then_some(id)
    }

    fn mac(&self, words: &[u64]) -> u64 {
        // HMAC takes keys of every length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return 1 };
        for word in words {
            mac.update(&word.to_be_bytes());
        }
        let bytes: [u8; 32] = mac.finalize().into_bytes().into();
        let [head, ..] = bytes.as_chunks::<8>().0 else { return 1 };
        u64::from_be_bytes(*head).max(1)
    }
}

impl TraceId {
    /// Reads 32 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        is_hex.then(|| u128::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

impl Span {
    /// Version 0, and the wish that the trace is recorded.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{:016x}-01", self.trace, self.id)
    }

    /// Whether it is sampled is left to the receiver.
    pub fn sentry_trace(&self) -> String {
        format!("{}-{:016x}", self.trace, self.id)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TraceKey")
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is wanted")]
const fn halves(bits: u128) -> [u64; 2] {
    [(bits >> 64) as u64, bits as u64]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn headers_have_the_shape_that_receivers_read() {
        let span = TraceKey::new([7; 32]).span(7, 1);
        let parent = span.traceparent();
        let parts: Vec<&str> = parent.split('-').collect();
        assert_eq!((parts[0], parts[1].len(), parts[2].len(), parts[3]), ("00", 32, 16, "01"));
        assert!(parts[1].starts_with("0000000000000007") && parts[2] != "0000000000000000");
        assert_eq!(span.sentry_trace(), format!("{}-{}", parts[1], parts[2]));
        assert_ne!(span, TraceKey::new([7; 32]).span(7, 2));
        assert_eq!(span.trace, TraceKey::new([7; 32]).span(7, 2).trace);
    }

    #[test]
    fn what_is_no_id_is_not_read() {
        for text in ["", "7", "+0000000000000000000000000000007", &"g".repeat(32), &"0".repeat(33)] {
            assert_eq!(TraceId::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_id_leads_back_and_no_other_does(id in 1i64.., flipped in 0u32..128) {
            let key = TraceKey::new([7; 32]);
            let trace = key.trace(id);
            prop_assert_eq!(TraceId::parse(&trace.to_string()), Some(trace));
            prop_assert_eq!(key.find(trace), Some(id));
            prop_assert_eq!(key.find(TraceId(trace.0 ^ (1 << flipped))), None);
            prop_assert_eq!(TraceKey::new([8; 32]).find(trace), None);
        }
    }
}
