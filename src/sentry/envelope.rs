//! Cuts an envelope into its items.
//!
//! ```text
//! envelope = header-json { "\n" item } [ "\n" ]      item = header-json "\n" payload
//! ```
//! Only `\n` ends a line. Framing is strict, because a wrong border would invent items; everything optional in the
//! headers is lenient, because a bad `sent_at` is no reason to lose an error.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::kind::ItemKind;
use crate::base::EventId;
use crate::ledger::Category;

/// One request's content, borrowed from its decoded body.
#[derive(Clone, Debug)]
pub struct Envelope<'a> {
    pub header: EnvelopeHeader<'a>,
    pub items: Vec<Item<'a>>,
}

/// What is read of the first line. A field of a wrong type counts as absent; of repeated keys the first usable value counts.
#[derive(Clone, Debug, Default)]
pub struct EnvelopeHeader<'a> {
    /// Beats the `event_id` inside the payload.
    pub event_id: Option<EventId>,
    pub dsn: Option<Cow<'a, str>>,
}

/// One item with what is read of its header.
#[derive(Clone, Debug)]
pub struct Item<'a> {
    pub kind: ItemKind,
    /// How many entries a container (`log`, `span`, `trace_metric`) says it holds.
    pub item_count: Option<u64>,
    pub payload: &'a [u8],
}

impl Item<'_> {
    /// What it stands for in the ledger: its entries where it says how many, else itself. An entry takes a byte at least,
    /// so that nobody claims more than they sent.
    pub fn lost(&self) -> (Category, u64) {
        let entries_max = u64::try_from(self.payload.len()).unwrap_or(u64::MAX);
        (self.kind.category(), self.item_count.map_or(1, |count| count.min(entries_max)))
    }
}

/// Why an envelope has no items. All answer 400, except [`EnvelopeError::TooManyItems`] (413).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error("the body is empty where an envelope header was expected")]
    Empty,
    #[error("the envelope header (byte 0) is not a JSON object: {reason}")]
    BadHeader { reason: String },
    #[error("the item header at byte {at} is not a JSON object: {reason}")]
    BadItemHeader { at: usize, reason: String },
    #[error("the header at byte {at} is longer than {max} bytes")]
    HeaderTooLong { at: usize, max: usize },
    #[error("the item at byte {at} states a length that is no whole number")]
    BadLength { at: usize },
    #[error("the item at byte {at} states {stated} payload bytes, but only {left} are left")]
    TooShort { at: usize, stated: u64, left: usize },
    #[error("the payload of the item at byte {at} is not followed by a line break at byte {end}")]
    NoLineBreak { at: usize, end: usize },
    #[error("more than {0} items in one envelope")]
    TooManyItems(usize),
}

impl EnvelopeError {
    /// The HTTP status that goes with the error.
    pub const fn status(&self) -> u16 {
        match self {
            Self::TooManyItems(_) => 413,
            Self::Empty
            | Self::BadHeader { .. }
            | Self::BadItemHeader { .. }
            | Self::HeaderTooLong { .. }
            | Self::BadLength { .. }
            | Self::TooShort { .. }
            | Self::NoLineBreak { .. } => 400,
        }
    }
}

/// SDKs send one event and its attachments, or one container: far below this. More is a broken or hostile client.
pub const ITEMS_MAX: usize = 1000;
/// The trace header carries baggage, of which browsers and proxies let through up to 8 KiB; peers stop there.
pub const HEADER_BYTES_MAX: usize = 32 * 1024;
/// Item headers hold a type, a length and a file name.
pub const ITEM_HEADER_BYTES_MAX: usize = 8 * 1024;

impl<'a> Envelope<'a> {
    /// Cuts a decoded body into items; nothing is copied but header texts with escapes.
    pub fn parse(body: &'a [u8]) -> Result<Self, EnvelopeError> {
        let mut lines = Lines { body, at: 0 };
        let header = lines.header()?;
        let mut items = Vec::new();
        while lines.skip_blank_lines() {
            if items.len() == ITEMS_MAX {
                return Err(EnvelopeError::TooManyItems(ITEMS_MAX));
            }
            items.push(lines.item()?);
        }
        Ok(Self { header, items })
    }
}

impl<'a> EnvelopeHeader<'a> {
    /// Reads the first line of a body of which more may be to come.
    pub fn parse(body: &'a [u8]) -> Result<Self, EnvelopeError> {
        Lines { body, at: 0 }.header()
    }
}

/// `serde_json`'s account without its own line and column, which would contradict our byte.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

/// A place in the body.
struct Lines<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    fn rest(&self) -> &'a [u8] {
        self.body.get(self.at..).unwrap_or_default()
    }

    /// Takes the envelope's own header.
    fn header(&mut self) -> Result<EnvelopeHeader<'a>, EnvelopeError> {
        let line = self.header_line(HEADER_BYTES_MAX)?;
        if line.trim_ascii().is_empty() {
            return Err(EnvelopeError::Empty);
        }
        serde_json::from_slice(line).map_err(|e| EnvelopeError::BadHeader { reason: reason(&e) })
    }

    /// Takes a header line and its line break.
    fn header_line(&mut self, bytes_max: usize) -> Result<&'a [u8], EnvelopeError> {
        let rest = self.rest();
        let searched = rest.get(..=bytes_max).unwrap_or(rest);
        let end = match searched.iter().position(|byte| *byte == b'\n') {
            Some(end) => end,
            None if rest.len() <= bytes_max => rest.len(),
            None => return Err(EnvelopeError::HeaderTooLong { at: self.at, max: bytes_max }),
        };
        self.at += (end + 1).min(rest.len());
        Ok(rest.get(..end).unwrap_or_default())
    }

    /// Whether anything but line breaks is left.
    fn skip_blank_lines(&mut self) -> bool {
        let blank = self.rest().iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        self.at += blank;
        self.at < self.body.len()
    }

    fn item(&mut self) -> Result<Item<'a>, EnvelopeError> {
        let at = self.at;
        let line = self.header_line(ITEM_HEADER_BYTES_MAX)?;
        let header: ItemHeader<'a> = serde_json::from_slice(line)
            .map_err(|e| EnvelopeError::BadItemHeader { at, reason: reason(&e) })?;
        let payload = self.payload(at, header.length)?;
        Ok(Item {
            kind: ItemKind::named(header.kind.as_deref().unwrap_or_default()),
            item_count: header.item_count,
            payload,
        })
    }

    fn payload(&mut self, item_at: usize, length: Length) -> Result<&'a [u8], EnvelopeError> {
        let rest = self.rest();
        let end = match length {
            Length::Absent => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
            Length::Invalid => return Err(EnvelopeError::BadLength { at: item_at }),
            Length::Stated(stated) => {
                let end = usize::try_from(stated).ok().filter(|end| *end <= rest.len());
                end.ok_or(EnvelopeError::TooShort { at: item_at, stated, left: rest.len() })?
            }
        };
        match rest.get(end) {
            None => self.at += end,
            Some(b'\n') => self.at += end + 1,
            Some(_) => return Err(EnvelopeError::NoLineBreak { at: item_at, end: self.at + end }),
        }
        Ok(rest.get(..end).unwrap_or_default())
    }
}

/// How many payload bytes an item header promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Length {
    #[default]
    Absent,
    Stated(u64),
    Invalid,
}

#[derive(Default)]
struct ItemHeader<'a> {
    kind: Option<Cow<'a, str>>,
    length: Length,
    item_count: Option<u64>,
}

/// A raw value read as text; `None` where it is something else.
fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let json = raw.get();
    match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        None => None,
        Some(plain) if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
        Some(_) => serde_json::from_str(json).ok().map(Cow::Owned),
    }
}

fn length(raw: &RawValue) -> Length {
    match raw.get() {
        "null" => Length::Absent,
        json => json.parse().map_or(Length::Invalid, Length::Stated),
    }
}

/// Keeps the first usable value of a key.
fn keep<T>(slot: &mut Option<T>, value: Option<T>) {
    if slot.is_none() {
        *slot = value;
    }
}

impl<'de> Deserialize<'de> for EnvelopeHeader<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = EnvelopeHeader<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an envelope header")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut header = EnvelopeHeader::default();
        while let Some(key) = map.next_key::<&RawValue>()? {
            let value = map.next_value::<&RawValue>()?;
            match key.get() {
                "\"event_id\"" => keep(&mut header.event_id, text(value).and_then(|id| EventId::parse(&id))),
                "\"dsn\"" => keep(&mut header.dsn, text(value)),
                _ => {}
            }
        }
        Ok(header)
    }
}

impl<'de> Deserialize<'de> for ItemHeader<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ItemHeaderVisitor)
    }
}

struct ItemHeaderVisitor;

impl<'de> Visitor<'de> for ItemHeaderVisitor {
    type Value = ItemHeader<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an item header")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut header = ItemHeader::default();
        while let Some(key) = map.next_key::<&RawValue>()? {
            let value = map.next_value::<&RawValue>()?;
            match key.get() {
                "\"type\"" => keep(&mut header.kind, text(value)),
                "\"length\"" if header.length == Length::Absent => header.length = length(value),
                "\"item_count\"" => keep(&mut header.item_count, value.get().parse().ok()),
                _ => {}
            }
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn payloads(body: &[u8]) -> Result<Vec<(String, Vec<u8>)>, EnvelopeError> {
        let envelope = Envelope::parse(body)?;
        Ok(envelope.items.iter().map(|item| (item.kind.as_str().to_owned(), item.payload.to_vec())).collect())
    }

    fn kinds_and_payloads(body: &str) -> Vec<(String, String)> {
        let found = payloads(body.as_bytes()).unwrap();
        found.into_iter().map(|(kind, payload)| (kind, String::from_utf8(payload).unwrap())).collect()
    }

    #[test]
    fn items_are_cut_at_their_length_or_their_line() {
        for (body, expected) in [
            ("{}", vec![]),
            ("{}\n", vec![]),
            ("{}\n\n", vec![]),
            ("{}\n{\"type\":\"event\"}\n{\"a\":1}", vec![("event", "{\"a\":1}")]),
            ("{}\n{\"type\":\"event\"}\n{\"a\":1}\n", vec![("event", "{\"a\":1}")]),
            ("{}\n{\"type\":\"event\"}", vec![("event", "")]),
            ("{}\n{\"type\":\"attachment\",\"length\":3}\na\nb", vec![("attachment", "a\nb")]),
            ("{}\n{\"type\":\"attachment\",\"length\":0}\n\n", vec![("attachment", "")]),
            ("{}\n{\"type\":\"attachment\",\"length\":0}", vec![("attachment", "")]),
            ("{}\r\n{\"type\":\"event\"}\r\nx\r\n", vec![("event", "x\r")]),
            (
                "{}\n{\"type\":\"event\",\"length\":null}\nx\n{\"length\":2,\"type\":\"nonsense\"}\n\r\n\n{}\ny",
                vec![("event", "x"), ("nonsense", "\r\n"), ("", "y")],
            ),
        ] {
            let expected: Vec<_> = expected.iter().map(|(k, p)| ((*k).to_owned(), (*p).to_owned())).collect();
            assert_eq!(kinds_and_payloads(body), expected, "{body:?}");
        }
    }

    #[test]
    fn wrong_framing_is_refused_with_its_place() {
        let error = |body: &str| payloads(body.as_bytes()).unwrap_err();
        assert_eq!(error(""), EnvelopeError::Empty);
        assert_eq!(error("\n{}"), EnvelopeError::Empty);
        assert!(matches!(error("hello"), EnvelopeError::BadHeader { .. }));
        assert!(matches!(error("[1]\n"), EnvelopeError::BadHeader { .. }));
        let text = error("{}\n{\"type\":\"event\",\n").to_string();
        assert_eq!(text, "the item header at byte 3 is not a JSON object: EOF while parsing a value");
        assert_eq!(error("{}\n{\"length\":9}\nabc"), EnvelopeError::TooShort { at: 3, stated: 9, left: 3 });
        assert_eq!(error("{}\n{\"length\":2}\nabc"), EnvelopeError::NoLineBreak { at: 3, end: 18 });
        for length in ["-1", "1.5", "\"3\"", "99999999999999999999"] {
            assert_eq!(
                error(&format!("{{}}\n{{\"length\":{length}}}\nabc")),
                EnvelopeError::BadLength { at: 3 }
            );
        }
        let many = format!("{{}}\n{}", "{\"type\":\"event\"}\n{}\n".repeat(ITEMS_MAX + 1));
        assert_eq!(error(&many), EnvelopeError::TooManyItems(ITEMS_MAX));
        let long = format!("{{\"a\":\"{}\"}}\n", "x".repeat(HEADER_BYTES_MAX));
        assert_eq!(error(&long), EnvelopeError::HeaderTooLong { at: 0, max: HEADER_BYTES_MAX });
        let long_item = format!("{{}}\n{{\"a\":\"{}\"}}\n", "x".repeat(ITEM_HEADER_BYTES_MAX));
        assert_eq!(error(&long_item), EnvelopeError::HeaderTooLong { at: 3, max: ITEM_HEADER_BYTES_MAX });
    }

    #[test]
    fn headers_are_read_and_bad_optional_values_are_passed_over() {
        let body = br#"{"event_id":"5066081e-73e4-44c1-870e-f13faa7234ac","event_id":"x","dsn":"https://\u006b@h/1","sent_at":"2026-11-21T02:38:40.560146+00:00","sdk":{"name":"sentry.python"},"trace":{"trace_id":"\ud83d"}}"#;
        let header = Envelope::parse(body).unwrap().header;
        assert_eq!(header.event_id, EventId::parse("5066081e73e444c1870ef13faa7234ac"));
        assert_eq!(header.dsn.as_deref(), Some("https://k@h/1"));

        let bad = br#"{"event_id":7,"dsn":{},"sent_at":"yesterday","sdk":"x","trace":null,"dsn":"d"}"#;
        let header = Envelope::parse(bad).unwrap().header;
        assert_eq!((header.event_id, header.dsn.as_deref()), (None, Some("d")));
    }

    #[test]
    fn item_headers_are_read_and_what_nobody_reads_may_be_anything() {
        let body = br#"{}
{"type":"profile_ch\u0075nk","item_count":3,"platform":[],"content_type":7,"filename":"a\"b","attachment_type":{},"length":2}
{}"#;
        let envelope = Envelope::parse(body).unwrap();
        let item = &envelope.items[0];
        assert_eq!((item.kind.as_str(), item.item_count), ("profile_chunk", Some(3)));
        assert_eq!(item.payload, b"{}");
        assert_eq!(item.lost().1, 2, "three entries do not fit into two bytes");
    }

    proptest! {
        #[test]
        fn written_items_are_read_back(items in prop::collection::vec(("[a-z_]{1,10}", prop::collection::vec(any::<u8>(), 0..60)), 0..8)) {
            let mut body = b"{}".to_vec();
            for (kind, payload) in &items {
                body.extend(format!("\n{{\"type\":\"{kind}\",\"length\":{}}}\n", payload.len()).bytes());
                body.extend(payload);
            }
            let expected: Vec<_> = items.iter().map(|(kind, payload)| (ItemKind::named(kind), payload.clone())).collect();
            let envelope = Envelope::parse(&body).unwrap();
            let found: Vec<_> = envelope.items.iter().map(|item| (item.kind.clone(), item.payload.to_vec())).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn no_body_makes_it_panic(body in "[{}\\n\"a-z:0-9,]{0,200}") {
            if let Ok(envelope) = Envelope::parse(body.as_bytes()) {
                prop_assert!(envelope.items.len() <= ITEMS_MAX);
            }
        }
    }
}
