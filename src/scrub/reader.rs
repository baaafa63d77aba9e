//! Reads JSON token by token from text, and forgives what real clients get wrong.
//!
//! Strict JSON passes untouched: a token is handed out as the slice it is in the text, so numbers keep all their
//! digits and strings their escapes. Beyond JSON it knows `NaN` and `Infinity`, raw control characters in strings,
//! lone surrogates and unknown escapes; it says so with every token, and the writer repairs them.

use super::ScrubError;

/// A place in a JSON text.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// A string as it stands between its quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted<'a> {
    pub(super) raw: &'a str,
    /// Holds a backslash or a control character: it must be decoded to be read.
    pub(super) coded: bool,
}

/// What a value begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Object,
    Array,
    Text,
    /// A number, `true`, `false`, `null` or a word that JSON lacks.
    Plain,
}

/// A value without structure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Plain<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    /// `NaN`, `Infinity`, `-Infinity`, or a number too large for any reader.
    NotANumber(&'a str),
}

/// How often a decoded string departed from JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Repairs {
    pub(super) lone_surrogates: u32,
    pub(super) control_characters: u32,
    pub(super) bad_escapes: u32,
}

/// Numbers with an exponent or this long may be too large for a double; shorter ones cannot.
const PLAIN_DIGITS_MAX: usize = 300;

impl<'a> Reader<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// What the next value begins with.
    pub(super) fn shape(&mut self) -> Result<Shape, ScrubError> {
        self.skip_space();
        match self.byte() {
            Some(b'{') => Ok(Shape::Object),
            Some(b'[') => Ok(Shape::Array),
            Some(b'"') => Ok(Shape::Text),
            Some(_) => Ok(Shape::Plain),
            None => Err(self.ended()),
        }
    }

    /// Steps over the `{` or `[` that [`Reader::shape`] saw.
    pub(super) const fn open(&mut self) {
        self.at += 1;
    }

    /// Steps to the next key and over its colon; `None` behind the closing brace. `first` is true right after
    /// [`Reader::open`].
    pub(super) fn next_key(&mut self, first: bool) -> Result<Option<Quoted<'a>>, ScrubError> {
        if !self.next_item(first, b'}')? {
            return Ok(None);
        }
        if self.byte() != Some(b'"') {
            return Err(self.unexpected());
        }
        let key = self.quoted()?;
        self.skip_space();
        if self.byte() != Some(b':') {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Steps to the next element; false behind the closing bracket.
    pub(super) fn next_element(&mut self, first: bool) -> Result<bool, ScrubError> {
        self.next_item(first, b']')
    }

    fn next_item(&mut self, first: bool, close: u8) -> Result<bool, ScrubError> {
        self.skip_space();
        match self.byte() {
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                self.skip_space();
                // A comma promises another item.
                if self.byte() == Some(close) { Err(self.unexpected()) } else { Ok(true) }
            }
            Some(_) if first => Ok(true),
            Some(_) => Err(self.unexpected()),
            None => Err(self.ended()),
        }
    }

    /// Reads the string that begins here.
    pub(super) fn quoted(&mut self) -> Result<Quoted<'a>, ScrubError> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let (mut end, mut coded) = (start, false);
        loop {
            end = next_special(bytes, end);
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => {
                    coded = true;
                    end += 2;
                }
                Some(_) => {
                    coded = true;
                    end += 1;
                }
                None => {
                    self.at = bytes.len();
                    return Err(self.ended());
                }
            }
        }
        self.at = end + 1;
        let raw = self.text.get(start..end).ok_or_else(|| self.unexpected())?;
        Ok(Quoted { raw, coded })
    }

    /// Reads the number or word that begins here.
    pub(super) fn plain(&mut self) -> Result<Plain<'a>, ScrubError> {
        const WORDS: [(&str, Plain<'static>); 6] = [
            ("null", Plain::Null),
            ("true", Plain::Bool(true)),
            ("false", Plain::Bool(false)),
            ("NaN", Plain::NotANumber("NaN")),
            ("Infinity", Plain::NotANumber("Infinity")),
            ("-Infinity", Plain::NotANumber("-Infinity")),
        ];
        let rest = self.text.get(self.at..).unwrap_or_default();
        let bytes = rest.as_bytes();
        let is_word = !matches!(bytes, [b'0'..=b'9', ..] | [b'-', b'0'..=b'9', ..]);
        if is_word && let Some((word, plain)) = WORDS.iter().find(|(word, _)| rest.starts_with(word)) {
            self.at += word.len();
            return Ok(*plain);
        }
        let Some(length) = number_length(bytes) else { return Err(self.unexpected()) };
        self.at += length;
        let number = rest.get(..length).unwrap_or_default();
        let may_overflow = length > PLAIN_DIGITS_MAX || number.contains(['e', 'E']);
        if may_overflow && !number.parse::<f64>().is_ok_and(f64::is_finite) {
            return Ok(Plain::NotANumber(number));
        }
        Ok(Plain::Number(number))
    }

    /// Steps over a whole value, however deep, without judging what is inside.
    pub(super) fn skip(&mut self) -> Result<(), ScrubError> {
        let mut depth = 0_usize;
        loop {
            self.skip_space();
            match self.byte() {
                None => return Err(self.ended()),
                Some(b'"') => {
                    self.quoted()?;
                }
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                Some(b'}' | b']') if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b',' | b':') if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                Some(_) => {
                    self.plain()?;
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// Steps over an object or list; tells how it is written where it is empty.
    pub(super) fn skip_if_empty(&mut self) -> Result<Option<&'static str>, ScrubError> {
        let start = self.at;
        let (empty, close) = if self.byte() == Some(b'{') { ("{}", b'}') } else { ("[]", b']') };
        self.at += 1;
        self.skip_space();
        if self.byte() == Some(close) {
            self.at += 1;
            return Ok(Some(empty));
        }
        self.at = start;
        self.skip().map(|()| None)
    }

    /// How many bytes are left behind the document, blanks not counted.
    pub(super) fn left(&mut self) -> usize {
        self.skip_space();
        self.text.len() - self.at.min(self.text.len())
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    const fn ended(&self) -> ScrubError {
        ScrubError::Ended { at: self.text.len() }
    }

    const fn unexpected(&self) -> ScrubError {
        ScrubError::Syntax { at: self.at }
    }
}

/// The next quote, backslash or control character at or behind `from`; eight bytes a step.
fn next_special(bytes: &[u8], from: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero_in = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let rest = bytes.get(from..).unwrap_or_default();
    let mut at = from;
    for step in rest.chunks_exact(8) {
        let word = step.try_into().map_or(0, u64::from_le_bytes);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let hit =
            zero_in(word ^ (ONES * u64::from(b'"'))) | zero_in(word ^ (ONES * u64::from(b'\\'))) | control;
        if hit != 0 {
            return at + (hit.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let tail = bytes.get(at..).unwrap_or_default();
    at + tail.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20)).unwrap_or(tail.len())
}

/// The length of the JSON number at the start of `bytes` (RFC 8259 §6).
fn number_length(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || (whole > 1 && bytes.get(at) == Some(&b'0')) {
        return None;
    }
    at += whole;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent == 0 {
            return None;
        }
        at += 1 + sign + exponent;
    }
    Some(at)
}

/// Decodes what stands between two quotes into `text`, which is emptied first.
pub(super) fn decode(raw: &str, text: &mut String) -> Repairs {
    let mut repairs = Repairs::default();
    text.clear();
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        push_counting_control(&rest[..at], text, &mut repairs);
        rest = decode_escape(&rest[at + 1..], text, &mut repairs);
    }
    push_counting_control(rest, text, &mut repairs);
    repairs
}

fn push_counting_control(piece: &str, text: &mut String, repairs: &mut Repairs) {
    let found = piece.bytes().filter(|byte| *byte < 0x20).count();
    repairs.control_characters =
        repairs.control_characters.saturating_add(u32::try_from(found).unwrap_or(u32::MAX));
    text.push_str(piece);
}

/// Decodes one escape, whose backslash is already taken, and returns what follows it.
fn decode_escape<'a>(escape: &'a str, text: &mut String, repairs: &mut Repairs) -> &'a str {
    let plain = match escape.as_bytes().first() {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return decode_unicode(escape, text, repairs),
        Some(_) | None => {
            // `\x41` or `\'`: not JSON, and the backslash was meant.
            repairs.bad_escapes += 1;
            text.push('\\');
            return escape;
        }
    };
    text.push(plain);
    &escape[1..]
}

/// Decodes `uXXXX`, with the second half of a pair where one follows.
fn decode_unicode<'a>(escape: &'a str, text: &mut String, repairs: &mut Repairs) -> &'a str {
    let unit = |from: &str| from.get(1..5).and_then(hex_unit);
    let Some(first) = unit(escape) else {
        repairs.bad_escapes += 1;
        text.push('\\');
        return escape;
    };
    let rest = &escape[5..];
    if let 0xd800..0xdc00 = first
        && let Some(second @ 0xdc00..0xe000) =
            rest.strip_prefix('\\').filter(|r| r.starts_with('u')).and_then(unit)
    {
        let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        return &rest[6..];
    }
    if let Some(character) = char::from_u32(first) {
        text.push(character);
    } else {
        repairs.lone_surrogates += 1;
        text.push(char::REPLACEMENT_CHARACTER);
    }
    rest
}

fn hex_unit(digits: &str) -> Option<u32> {
    // from_str_radix alone would take a sign.
    let all_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if all_hex { u32::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(raw: &str) -> (String, Repairs) {
        let mut text = String::new();
        let repairs = decode(raw, &mut text);
        (text, repairs)
    }

    #[test]
    fn escapes_are_decoded_and_broken_ones_repaired() {
        for (raw, expected) in
            [(r#"a\"b\\c\/d\b\f\n\r\t"#, "a\"b\\c/d\u{8}\u{c}\n\r\t"), (r"\u00fc\ud83d\ude00\u0000", "ü😀\0")]
        {
            assert_eq!(decoded(raw), (expected.to_owned(), Repairs::default()));
        }
        let lone = |lone_surrogates| Repairs { lone_surrogates, ..Repairs::default() };
        assert_eq!(decoded(r"a\ud83db"), ("a\u{fffd}b".to_owned(), lone(1)));
        assert_eq!(decoded(r"\ude00\ud83d"), ("\u{fffd}\u{fffd}".to_owned(), lone(2)));
        assert_eq!(decoded(r"\ud83d\ud83d\ude00"), ("\u{fffd}😀".to_owned(), lone(1)));
        assert_eq!(decoded(r"\ud83d\u0041"), ("\u{fffd}A".to_owned(), lone(1)));
        let bad = |bad_escapes| Repairs { bad_escapes, ..Repairs::default() };
        assert_eq!(decoded(r"\x41\u00g0\u+123"), (r"\x41\u00g0\u+123".to_owned(), bad(3)));
        assert_eq!(decoded("a\tb\n").1, Repairs { control_characters: 2, ..Repairs::default() });
    }

    #[test]
    fn numbers_follow_the_grammar() {
        for good in ["0", "-0", "10", "1.5", "-1.25e+10", "1E3", "123456789012345678901234567890"] {
            assert_eq!(number_length(good.as_bytes()), Some(good.len()), "{good}");
        }
        for bad in ["", "-", "01", ".5", "1.", "1e", "+1", "x"] {
            assert_eq!(number_length(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Reader::new("1e999").plain(), Ok(Plain::NotANumber("1e999")));
        assert_eq!(Reader::new("-Infinity").plain(), Ok(Plain::NotANumber("-Infinity")));
        assert_eq!(Reader::new("1e30,").plain(), Ok(Plain::Number("1e30")));
    }

    #[test]
    fn a_value_is_stepped_over_whole() {
        let deep = format!("{}{} 7", "[".repeat(10_000), "]".repeat(10_000));
        for (text, left) in
            [(r#"{"a":[1,{"b":"}\""}],"c":null} 7"#, 1), ("\"x\"7", 1), ("1.5 ,", 1), ("true", 0), (&deep, 1)]
        {
            let mut reader = Reader::new(text);
            reader.skip().unwrap();
            assert_eq!(reader.left(), left, "{text:.40}");
        }
        assert!(Reader::new("[1,").skip().is_err());
        assert!(Reader::new("]").skip().is_err());
    }

    proptest! {
        #[test]
        fn a_string_ends_where_serde_json_says(text in ".{0,60}") {
            let json = serde_json::to_string(&text).unwrap();
            let quoted = Reader::new(&json).quoted().unwrap();
            prop_assert_eq!(quoted.raw, &json[1..json.len() - 1]);
            prop_assert_eq!(quoted.coded, quoted.raw.contains('\\'));
            prop_assert_eq!(decoded(quoted.raw), (text, Repairs::default()));
        }

        #[test]
        fn the_next_special_byte_is_found(bytes in prop::collection::vec(prop_oneof![Just(b'a'), Just(0xfc), Just(b'"'), Just(b'\\'), Just(0x1f), Just(0x20)], 0..40)) {
            let expected = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20)).unwrap_or(bytes.len());
            prop_assert_eq!(next_special(&bytes, 0), expected);
        }
    }
}
