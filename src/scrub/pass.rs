//! The one pass over an event: reads tokens, knows where it is, writes what may stay.

use std::borrow::Cow;
use std::ops::Range;

use super::digits::card_length;
use super::names::{Names, Sensitivity};
use super::output;
use super::place::{Child, Place, Rule};
use super::reader::{Plain, Quoted, Reader, Repairs, Shape, decode};
use super::secrets::{self, Style};
use super::warning::{Step, WarningKind, Warnings};
use super::{FILTERED, ScrubError};

/// One event's way from raw to scrubbed JSON.
pub(super) struct Pass<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) names: &'a Names,
    pub(super) out: Vec<u8>,
    pub(super) warnings: Warnings,
    pub(super) filtered: u32,
    /// Where each entry of the root lies in `out`, its comma not counted.
    pub(super) parts: Vec<Part<'a>>,
    pub(super) path: Vec<Step<'a>>,
    /// The protocol's keys met so far in the objects that are open, to find those that come twice.
    known_keys: Vec<Cow<'a, str>>,
    unnamed_bytes_left: usize,
    // Kept from text to text for their memory.
    decoded: String,
    secrets: Vec<Range<usize>>,
}

/// A top-level entry of the event.
#[derive(Debug)]
pub(super) struct Part<'a> {
    /// As it is written, uncut.
    pub(super) key: Cow<'a, str>,
    pub(super) at: Range<usize>,
}

/// Nothing readable nests deeper; `serde_json`, which reads the result, stops at 128.
const DEPTH_MAX: usize = 64;
/// Longer keys are data put in the wrong place.
const KEY_BYTES_MAX: usize = 200;
/// A double needs 25 characters at most, a 128-bit integer 40.
const NUMBER_BYTES_MAX: usize = 64;
/// How keys begin that `serde_json` takes for orders of its own: it would read the text behind one as JSON.
const PARSERS_OWN: &str = "$serde_json::private::";
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
            let name = self.name(key);
            let child = place.child(&name);
            if matches!(child, Child::Known(_))
                && place.is_typed()
                && self.is_repeated(name.clone(), known_from)
            {
                self.reader.skip()?;
                continue;
            }
            if entries > 0 {
                self.out.push(b',');
            }
            entries += 1;
            self.entry(key, name, place, child, limit)?;
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

    fn is_repeated(&mut self, name: Cow<'a, str>, known_from: usize) -> bool {
        let repeated = self.known_keys.get(known_from..).is_some_and(|keys| keys.contains(&name));
        if repeated {
            self.path.push(Step::Key(name));
            self.warn(WarningKind::DuplicateKey, "came twice, the first was kept".to_owned());
            self.path.pop();
        } else {
            self.known_keys.push(name);
        }
        repeated
    }

    /// Copies a key and its value.
    fn entry(
        &mut self,
        key: Quoted<'a>,
        name: Cow<'a, str>,
        place: Place,
        child: Child,
        limit: usize,
    ) -> Result<(), ScrubError> {
        let at_root = self.path.is_empty();
        let from = self.out.len();
        let sensitivity = match child {
            Child::Known(_) => Sensitivity::Clear,
            Child::Chosen(_) => self.names.judge(&name),
        };
        let name = self.key(key, name, place, child);
        self.out.push(b':');
        let unnamed = at_root && matches!(child, Child::Chosen(_));
        let limit = if unnamed { limit.min(self.out.len() + self.unnamed_bytes_left) } else { limit };
        self.path.push(Step::Key(name.clone()));
        match child {
            Child::Known(place) => self.value(place, limit)?,
            Child::Chosen(place) => self.judged(sensitivity, place, limit)?,
        }
        self.path.pop();
        if unnamed {
            self.unnamed_bytes_left = self.unnamed_bytes_left.saturating_sub(self.out.len() - from);
        }
        if at_root {
            self.parts.push(Part { key: name, at: from..self.out.len() });
        }
        Ok(())
    }

    /// Writes a key without its secrets, and returns it so. Parsers of forms make one key of a whole JSON body.
    /// What the protocol names holds none.
    pub(super) fn key(
        &mut self,
        key: Quoted<'a>,
        name: Cow<'a, str>,
        place: Place,
        child: Child,
    ) -> Cow<'a, str> {
        let mut secrets = std::mem::take(&mut self.secrets);
        secrets.clear();
        if matches!(child, Child::Chosen(_)) || matches!(place, Place::Cookies | Place::Meta) {
            secrets::find(&name, Style::Text, self.names, &mut secrets);
        }
        self.filtered = self.filtered.saturating_add(u32::try_from(secrets.len()).unwrap_or(u32::MAX));
        let name =
            if secrets.is_empty() { name } else { secrets::replaced(&name, &secrets).into_owned().into() };
        self.secrets = secrets;
        let is_as_sent = matches!(name, Cow::Borrowed(_));
        if is_as_sent && name.len() <= KEY_BYTES_MAX {
            output::raw(key.raw, &mut self.out);
        } else if output::clipped(&name, KEY_BYTES_MAX, &mut self.out) {
            self.warn(WarningKind::Clipped, format!("a key of {} bytes cut to {KEY_BYTES_MAX}", name.len()));
        }
        name
    }

    /// Copies or hides the next value by what its name says.
    pub(super) fn judged(&mut self, name: Sensitivity, place: Place, limit: usize) -> Result<(), ScrubError> {
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

    pub(super) fn text(&mut self, quoted: Quoted<'a>, place: Place) {
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
                self.out.extend_from_slice(number.as_bytes());
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

    /// A key as it is meant, without escapes.
    pub(super) fn name(&mut self, key: Quoted<'a>) -> Cow<'a, str> {
        let name = if key.coded {
            let mut name = String::new();
            self.warn_of_repairs(decode(key.raw, &mut name));
            Cow::Owned(name)
        } else {
            Cow::Borrowed(key.raw)
        };
        let Some(rest) = name.strip_prefix(PARSERS_OWN) else { return name };
        let renamed = Cow::Owned(format!("…{rest}"));
        self.warn(
            WarningKind::NotUnderstood,
            "a key that means something to the parser was renamed".to_owned(),
        );
        renamed
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
