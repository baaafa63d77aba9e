//! The one pass over an event: reads tokens, knows where it is, writes what may stay.

use std::borrow::Cow;
use std::ops::Range;

use super::digits::card_length;
use super::names::{Names, Sensitivity};
use super::output;
use super::place::{Child, ListBound, Place, Rule};
use super::reader::{Plain, Quoted, Reader, Repairs, Shape, decode};
use super::secrets::{self, Style};
use super::warning::{Step, WarningKind, Warnings};
use super::{FILTERED, ScrubError, section};

/// One event's way from raw to scrubbed JSON.
pub(super) struct Pass<'a> {
    pub(super) reader: Reader<'a>,
    names: &'a Names,
    pub(super) out: Vec<u8>,
    pub(super) warnings: Warnings,
    pub(super) filtered: u32,
    /// Where each entry of the root lies in `out`, its comma not counted.
    pub(super) parts: Vec<Part<'a>>,
    path: Vec<Step<'a>>,
    /// The protocol's keys met so far in the objects that are open, to find those that come twice.
    known_keys: Vec<&'a str>,
    unnamed_bytes_left: usize,
    // Kept from text to text for their memory.
    decoded: String,
    secrets: Vec<Range<usize>>,
}

/// A top-level entry of the event.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) key: &'a str,
    pub(super) at: Range<usize>,
}

/// Nothing readable nests deeper; serde_json, which reads the result, stops at 128.
const DEPTH_MAX: usize = 64;
/// Longer keys are data put in the wrong place.
const KEY_BYTES_MAX: usize = 200;
/// A double needs 25 characters at most, a 128-bit integer 40.
const NUMBER_BYTES_MAX: usize = 64;
/// A pair has two.
const PAIR_ELEMENTS_MAX: usize = 2;
/// What the parts together may take that the protocol does not name.
const UNNAMED_BYTES_MAX: usize = 64 * 1024;

impl<'a> Pass<'a> {
    pub(super) fn new(text: &'a str, names: &'a Names) -> Self {
        Self {
            reader: Reader::new(text),
            names,
            out: Vec::with_capacity(text.len() + 64),
            warnings: Warnings::default(),
            filtered: 0,
            parts: Vec::new(),
            path: Vec::new(),
            known_keys: Vec::new(),
            unnamed_bytes_left: UNNAMED_BYTES_MAX,
            decoded: String::new(),
            secrets: Vec::new(),
        }
    }

    /// Copies the next value. `limit` is the length of `out` at which objects and lists take no more entries.
    pub(super) fn value(&mut self, place: Place, limit: usize) -> Result<(), ScrubError> {
        match self.reader.shape()? {
            Shape::Object | Shape::Array if self.path.len() >= DEPTH_MAX => {
                self.reader.skip()?;
                self.warn(WarningKind::TooDeep, format!("deeper than {DEPTH_MAX} levels"));
                output::text("… deeper", &mut self.out);
                Ok(())
            }
            Shape::Object => self.object(place, limit),
            Shape::Array if place.list_bound().is_some() => self.bounded_list(place),
            Shape::Array => self.list(place, limit),
            Shape::Text => {
                let quoted = self.reader.quoted()?;
                self.text(quoted, place);
                Ok(())
            }
            Shape::Plain => self.plain(place),
        }
    }

    fn object(&mut self, place: Place, limit: usize) -> Result<(), ScrubError> {
        self.reader.open();
        self.out.push(b'{');
        let limit = limit.min(self.out.len().saturating_add(place.tree_bytes_max()));
        let known_from = self.known_keys.len();
        let (mut first, mut entries, mut left_out) = (true, 0, 0_usize);
        while let Some(key) = self.reader.next_key(first)? {
            first = false;
            if entries >= place.entries_max() || self.out.len() >= limit {
                self.reader.skip()?;
                left_out += 1;
                continue;
            }
            let name = key_text(key);
            let child = place.child(&name);
            if matches!(child, Child::Known(_)) && place.is_typed() && self.is_repeated(key, known_from) {
                self.reader.skip()?;
                continue;
            }
            if entries > 0 {
                self.out.push(b',');
            }
            entries += 1;
            self.entry(key, &name, child, limit)?;
        }
        self.known_keys.truncate(known_from);
        if left_out > 0 {
            self.warn(WarningKind::LeftOut, format!("{left_out} of {} entries left out", entries + left_out));
            if place != Place::Event {
                let comma = if entries > 0 { "," } else { "" };
                self.out.extend_from_slice(format!("{comma}\"…\":\"{left_out} more\"").as_bytes());
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    fn is_repeated(&mut self, key: Quoted<'a>, known_from: usize) -> bool {
        let repeated = self.known_keys.get(known_from..).is_some_and(|keys| keys.contains(&key.raw));
        if repeated {
            self.path.push(Step::Key(key.raw));
            self.warn(WarningKind::DuplicateKey, "came twice, the first was kept".to_owned());
            self.path.pop();
        } else {
            self.known_keys.push(key.raw);
        }
        repeated
    }

    /// Copies a key and its value.
    fn entry(&mut self, key: Quoted<'a>, name: &str, child: Child, limit: usize) -> Result<(), ScrubError> {
        let at_root = self.path.is_empty();
        let from = self.out.len();
        if key.coded || key.raw.len() > KEY_BYTES_MAX {
            output::clipped(name, KEY_BYTES_MAX, &mut self.out);
        } else {
            output::raw(key.raw, &mut self.out);
        }
        self.out.push(b':');
        let unnamed = at_root && matches!(child, Child::Chosen(_));
        let limit = if unnamed { limit.min(self.out.len() + self.unnamed_bytes_left) } else { limit };
        self.path.push(Step::Key(key.raw));
        match child {
            Child::Known(place) => self.value(place, limit)?,
            Child::Chosen(place) => self.judged(self.names.judge(name), place, limit)?,
        }
        self.path.pop();
        if unnamed {
            self.unnamed_bytes_left = self.unnamed_bytes_left.saturating_sub(self.out.len() - from);
        }
        if at_root {
            self.parts.push(Part { key: key.raw, at: from..self.out.len() });
        }
        Ok(())
    }

    /// Copies or hides the next value by what its name says.
    fn judged(&mut self, name: Sensitivity, place: Place, limit: usize) -> Result<(), ScrubError> {
        let shape = self.reader.shape()?;
        let hidden = match (name, shape) {
            (Sensitivity::Clear, _) => false,
            (Sensitivity::Safe, _) => return self.value(Place::Fixed, limit),
            (Sensitivity::Text, shape) => shape == Shape::Text,
            (Sensitivity::Uncounted, shape) => shape != Shape::Plain,
            (Sensitivity::Secret, _) => true,
        };
        if hidden { self.hide(shape) } else { self.value(place, limit) }
    }

    /// Writes `[Filtered]` for the next value, unless there is nothing to hide: nothing, a yes or no, emptiness.
    fn hide(&mut self, shape: Shape) -> Result<(), ScrubError> {
        match shape {
            Shape::Text => {
                let quoted = self.reader.quoted()?;
                self.hide_text(quoted);
            }
            Shape::Plain => match self.reader.plain()? {
                Plain::Null => self.out.extend_from_slice(b"null"),
                Plain::Bool(flag) => self.out.extend_from_slice(if flag { b"true" } else { b"false" }),
                Plain::Number(_) | Plain::NotANumber(_) => self.write_filtered(),
            },
            Shape::Object | Shape::Array => match self.reader.skip_if_empty()? {
                Some(empty) => self.out.extend_from_slice(empty.as_bytes()),
                None => self.write_filtered(),
            },
        }
        Ok(())
    }

    fn hide_text(&mut self, quoted: Quoted<'a>) {
        if secrets::is_hidden_already(quoted.raw) {
            output::raw(quoted.raw, &mut self.out);
        } else {
            self.write_filtered();
        }
    }

    fn write_filtered(&mut self) {
        self.filtered = self.filtered.saturating_add(1);
        output::raw(FILTERED, &mut self.out);
    }

    /// Copies a list that ends at its limit.
    fn list(&mut self, place: Place, limit: usize) -> Result<(), ScrubError> {
        self.reader.open();
        self.out.push(b'[');
        let limit = limit.min(self.out.len().saturating_add(place.tree_bytes_max()));
        let (mut first, mut index, mut left_out) = (true, 0, 0_usize);
        let mut name_before = Sensitivity::Clear;
        while self.reader.next_element(first)? {
            first = false;
            if index >= place.entries_max() || self.out.len() >= limit {
                self.reader.skip()?;
                left_out += 1;
                continue;
            }
            if index > 0 {
                self.out.push(b',');
            }
            self.path.push(Step::Index(index));
            match self.reader.shape()? {
                Shape::Array if place.holds_pairs() => self.pair(place, limit)?,
                Shape::Text if place == Place::Headers => {
                    name_before = self.flat_header(index, name_before, limit)?;
                }
                Shape::Array | Shape::Object | Shape::Text | Shape::Plain => {
                    self.value(place.element(), limit)?
                }
            }
            self.path.pop();
            index += 1;
        }
        if left_out > 0 {
            self.warn(WarningKind::LeftOut, format!("{left_out} of {} entries left out", index + left_out));
            if !place.holds_pairs() {
                let comma = if index > 0 { "," } else { "" };
                self.out.extend_from_slice(format!("{comma}\"… {left_out} more\"").as_bytes());
            }
        }
        self.out.push(b']');
        Ok(())
    }

    /// Copies one text of a list that holds names and values by turns, as Node's `rawHeaders`.
    fn flat_header(
        &mut self,
        index: usize,
        name: Sensitivity,
        limit: usize,
    ) -> Result<Sensitivity, ScrubError> {
        if !index.is_multiple_of(2) {
            self.judged(name, Place::Free, limit)?;
            return Ok(Sensitivity::Clear);
        }
        let quoted = self.reader.quoted()?;
        self.text(quoted, Place::Free);
        Ok(self.names.judge(&key_text(quoted)))
    }

    /// Copies a `[name, value]` pair of a list that stands for an object.
    fn pair(&mut self, place: Place, limit: usize) -> Result<(), ScrubError> {
        self.reader.open();
        self.out.push(b'[');
        let mut named = (Sensitivity::Clear, place);
        let mut index = 0;
        while self.reader.next_element(index == 0)? {
            if index >= PAIR_ELEMENTS_MAX {
                self.reader.skip()?;
                continue;
            }
            if index > 0 {
                self.out.push(b',');
            }
            self.path.push(Step::Index(index));
            if index == 0 && self.reader.shape()? == Shape::Text {
                let quoted = self.reader.quoted()?;
                let name = key_text(quoted);
                named = match place.child(&name) {
                    Child::Known(place) => (Sensitivity::Clear, place),
                    Child::Chosen(place) => (self.names.judge(&name), place),
                };
                self.text(quoted, Place::Fixed);
            } else {
                self.judged(named.0, named.1, limit)?;
            }
            self.path.pop();
            index += 1;
        }
        self.out.push(b']');
        Ok(())
    }

    /// Copies a list of which the first and the last stay when it is too long.
    fn bounded_list(&mut self, place: Place) -> Result<(), ScrubError> {
        self.reader.open();
        self.out.push(b'[');
        let Some(bound) = place.list_bound() else { return self.list(place, self.out.len()) };
        let from = self.out.len();
        let element = place.element();
        let mut starts = Vec::new();
        while self.reader.next_element(starts.is_empty())? {
            if !starts.is_empty() {
                self.out.push(b',');
            }
            self.path.push(Step::Index(starts.len()));
            starts.push(self.out.len());
            self.value(element, self.out.len().saturating_add(element.tree_bytes_max()))?;
            self.path.pop();
        }
        if let Some((kept_head, kept_tail)) = bound.cut(&starts, from, self.out.len()) {
            let tail_from = starts.len() - kept_tail;
            self.out.drain(starts[kept_head]..starts[tail_from]);
            let detail = format!("entries {kept_head} to {} of {} left out", tail_from - 1, starts.len());
            self.warn(WarningKind::LeftOut, detail);
        }
        self.out.push(b']');
        Ok(())
    }

    fn text(&mut self, quoted: Quoted<'a>, place: Place) {
        let style = match place.rule() {
            Rule::Hide => return self.hide_text(quoted),
            Rule::Keep => None,
            Rule::Replace(style) => Some(style),
        };
        let mut decoded = std::mem::take(&mut self.decoded);
        let mut secrets = std::mem::take(&mut self.secrets);
        secrets.clear();
        let mut repaired = false;
        let text = if quoted.coded {
            repaired = self.warn_of_repairs(decode(quoted.raw, &mut decoded));
            decoded.as_str()
        } else {
            quoted.raw
        };
        if let Some(style) = style {
            secrets::find(text, style, self.names, &mut secrets);
        }
        if secrets.is_empty() && !repaired && text.len() <= place.text_bytes_max() {
            output::raw(quoted.raw, &mut self.out);
        } else {
            self.changed_text(text, &secrets, place.text_bytes_max());
        }
        (self.decoded, self.secrets) = (decoded, secrets);
    }

    fn changed_text(&mut self, text: &str, secrets: &[Range<usize>], bytes_max: usize) {
        self.filtered = self.filtered.saturating_add(u32::try_from(secrets.len()).unwrap_or(u32::MAX));
        let shown = secrets::replaced(text, secrets);
        if output::clipped(&shown, bytes_max, &mut self.out) {
            self.warn(WarningKind::Clipped, format!("{} bytes cut to {bytes_max}", text.len()));
        }
    }

    fn warn_of_repairs(&mut self, repairs: Repairs) -> bool {
        let kinds = [
            (repairs.lone_surrogates, WarningKind::LoneSurrogate, "half surrogate pairs replaced"),
            (repairs.control_characters, WarningKind::ControlCharacter, "unescaped control characters"),
            (repairs.bad_escapes, WarningKind::BadEscape, "backslashes that escape nothing"),
        ];
        for (count, kind, what) in kinds.into_iter().filter(|(count, ..)| *count > 0) {
            self.warn(kind, format!("{count} {what}"));
        }
        repairs != Repairs::default()
    }

    fn plain(&mut self, place: Place) -> Result<(), ScrubError> {
        match self.reader.plain()? {
            Plain::Null => self.out.extend_from_slice(b"null"),
            Plain::Bool(flag) => self.out.extend_from_slice(if flag { b"true" } else { b"false" }),
            Plain::Number(number) if is_hidden_number(number, place.rule()) => self.write_filtered(),
            Plain::Number(number) if number.len() <= NUMBER_BYTES_MAX => {
                self.out.extend_from_slice(number.as_bytes())
            }
            Plain::Number(number) => {
                self.warn(WarningKind::Clipped, format!("a number of {} digits was rounded", number.len()));
                let rounded = number.parse::<f64>().unwrap_or_default();
                self.out.extend_from_slice(format!("{rounded:e}").as_bytes());
            }
            Plain::NotANumber(word) => {
                self.warn(WarningKind::NotANumber, format!("{word:.40} became null"));
                self.out.extend_from_slice(b"null");
            }
        }
        Ok(())
    }

    /// Leaves out parts of the event, the most dispensable first, until it takes no more than `bytes_max`.
    pub(super) fn shrink(&mut self, bytes_max: usize) -> Result<(), ScrubError> {
        if self.out.len() <= bytes_max {
            return Ok(());
        }
        let too_large = ScrubError::TooLarge { bytes: self.out.len(), max: bytes_max };
        let turn = |part: &Part<'_>| section::turn_to_go(part.key);
        let mut turns: Vec<u8> = self.parts.iter().filter_map(turn).collect();
        turns.sort_unstable();
        turns.dedup();
        let (mut bytes, mut last_turn) = (self.out.len(), None);
        for due in turns {
            if bytes <= bytes_max {
                break;
            }
            let gone = self.parts.iter().filter(|part| turn(part) == Some(due)).map(|part| part.at.len() + 1);
            bytes = bytes.saturating_sub(gone.sum());
            last_turn = Some(due);
        }
        let Some(last_turn) = last_turn.filter(|_| bytes <= bytes_max) else { return Err(too_large) };
        let mut kept = vec![b'{'];
        for part in std::mem::take(&mut self.parts) {
            if turn(&part).is_some_and(|turn| turn <= last_turn) {
                self.path = vec![Step::Key(part.key)];
                self.warn(WarningKind::LeftOut, format!("{} bytes, to keep the event small", part.at.len()));
                continue;
            }
            if kept.len() > 1 {
                kept.push(b',');
            }
            kept.extend_from_slice(self.out.get(part.at).unwrap_or_default());
        }
        self.path.clear();
        kept.push(b'}');
        self.out = kept;
        Ok(())
    }

    pub(super) fn warn(&mut self, kind: WarningKind, detail: String) {
        self.warnings.add(&self.path, kind, detail);
    }
}

/// A card number may come as a JSON number too.
fn is_hidden_number(number: &str, rule: Rule) -> bool {
    match rule {
        Rule::Hide => true,
        Rule::Replace(Style::Text) => {
            number.len() >= 13 && card_length(number.as_bytes()) == Some(number.len())
        }
        Rule::Keep | Rule::Replace(Style::Code | Style::Location) => false,
    }
}

fn key_text<'a>(key: Quoted<'a>) -> Cow<'a, str> {
    if !key.coded {
        return Cow::Borrowed(key.raw);
    }
    let mut text = String::new();
    decode(key.raw, &mut text);
    Cow::Owned(text)
}

impl ListBound {
    /// How many elements stay at the head and at the tail; `None` where all do. `starts` are the elements' places
    /// in a list whose content lies from `from` to `end`.
    fn cut(self, starts: &[usize], from: usize, end: usize) -> Option<(usize, usize)> {
        let count = starts.len();
        if count <= self.head + self.tail && end - from <= self.bytes_max {
            return None;
        }
        let tail_bytes_max = if self.head == 0 { self.bytes_max } else { self.bytes_max / 2 };
        let fits = |start: &&usize| end - **start <= tail_bytes_max;
        let tail = starts.iter().rev().take(self.tail).take_while(fits).count().clamp(1, count.max(1));
        let head_bytes_max = self.bytes_max.saturating_sub(end - starts.get(count.checked_sub(tail)?)?);
        let ends = starts.iter().skip(1).map(|next| next - from);
        let head =
            ends.take(self.head.min(count - tail)).take_while(|bytes| *bytes <= head_bytes_max).count();
        (head + tail < count).then_some((head, tail))
    }
}
