//! Finds a secret in a text, whatever way it is written there.

use std::collections::BTreeSet;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// A shorter one stands everywhere by chance.
const BYTES_MIN: usize = 4;
/// So many characters of base64 do not stand anywhere by chance.
const ENCODED_BYTES_MIN: usize = 6;

/// What must not be repeated.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Needle {
    text: String,
    form: Form,
}

/// What a needle is of its secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Whole,
    /// The part of a text in base64 that is the same whatever stands around the secret; all of that text is hidden.
    Encoded,
}

/// How a text is written inside another.
#[derive(Clone, Copy)]
enum Writing {
    Plain,
    /// As in addresses and forms.
    Percent,
    /// As in JSON and in the texts of most languages.
    Backslash,
    /// As in pages.
    Entity,
}

const WRITINGS: [Writing; 4] = [Writing::Plain, Writing::Percent, Writing::Backslash, Writing::Entity];

/// Every form of `secret`; none of one that is too short.
pub(super) fn needles(secret: &str) -> BTreeSet<Needle> {
    let mut found = BTreeSet::new();
    if secret.len() < BYTES_MIN {
        return found;
    }
    found.insert(Needle { text: secret.to_owned(), form: Form::Whole });
    for before in 0..3 {
        for text in encoded(secret, before) {
            if text.len() >= ENCODED_BYTES_MIN {
                found.insert(Needle { text, form: Form::Encoded });
            }
        }
    }
    found
}

/// What base64 makes of `secret` behind so many other bytes, as far as these and what follows have no part in it: a
/// password behind its user's name.
fn encoded(secret: &str, before: usize) -> [String; 2] {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(secret.as_bytes());
    let (from, to) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
    [STANDARD.encode(&bytes), URL_SAFE.encode(&bytes)]
        .map(|text| text.get(from..to).unwrap_or_default().to_owned())
}

impl Needle {
    /// No writing of it is longer.
    pub(super) const fn written_bytes_max(&self) -> usize {
        self.text.len() * WRITTEN_BYTES_MAX
    }

    /// Appends where it stands in `text`.
    pub(super) fn find(&self, text: &str, found: &mut Vec<Range<usize>>) {
        let Some(first) = self.text.bytes().next() else { return };
        let bytes = text.as_bytes();
        let may_begin = |byte: u8| byte == first || matches!(byte, b'%' | b'\\' | b'&' | b'+');
        let mut at = 0;
        while let Some(step) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| may_begin(*byte)))
        {
            at += step;
            let end = WRITINGS.iter().find_map(|writing| self.end(bytes, at, *writing));
            if let Some(end) = end {
                let span = match self.form {
                    Form::Whole => at..end,
                    Form::Encoded => run_around(bytes, at..end),
                };
                at = span.end;
                found.push(span);
            } else {
                at += 1;
            }
        }
    }

    /// Where it ends, if it is written from `at` on.
    fn end(&self, bytes: &[u8], mut at: usize, writing: Writing) -> Option<usize> {
        let mut utf8 = [0; 4];
        for c in self.text.chars() {
            let plain = c.encode_utf8(&mut utf8).as_bytes();
            let rest = bytes.get(at..)?;
            let escaped = match writing {
                Writing::Plain => None,
                Writing::Percent => percent(rest, plain),
                Writing::Backslash => backslash(rest, c),
                Writing::Entity => entity(rest, c),
            };
            at += escaped.or_else(|| rest.starts_with(plain).then_some(plain.len()))?;
        }
        Some(at)
    }
}

/// `\u{10ffff}`, and two `\uXXXX`, per character; of base64 a character is one byte.
const WRITTEN_BYTES_MAX: usize = 12;

/// The length of a character that is written with percent signs, or of a blank as forms write it.
fn percent(rest: &[u8], plain: &[u8]) -> Option<usize> {
    if plain == b" " && rest.first() == Some(&b'+') {
        return Some(1);
    }
    let written = plain.iter().zip(rest.chunks(3)).filter(|(byte, written)| {
        matches!(written, [b'%', digits @ ..] if digits.len() == 2 && hex(digits) == Some(u32::from(**byte)))
    });
    (written.count() == plain.len()).then_some(plain.len() * 3)
}

/// The length of a character behind a backslash.
fn backslash(rest: &[u8], c: char) -> Option<usize> {
    let [b'\\', rest @ ..] = rest else { return None };
    let is_unit = |rest: &[u8], unit: u16| {
        rest.first() == Some(&b'u') && rest.get(1..5).and_then(hex) == Some(u32::from(unit))
    };
    match (rest, c) {
        ([b'n', ..], '\n') | ([b'r', ..], '\r') | ([b't', ..], '\t') | ([b'0', ..], '\0') => Some(2),
        ([mark, ..], c) if c.is_ascii_punctuation() && c == char::from(*mark) => Some(2),
        ([b'x', digits @ ..], c) if digits.get(..2).and_then(hex) == Some(u32::from(c)) => Some(4),
        ([b'u', b'{', digits @ ..], c) => {
            let length = digits.iter().take(7).position(|byte| *byte == b'}')?;
            (hex(&digits[..length]) == Some(u32::from(c))).then_some(length + 4)
        }
        (rest, c) => match c.encode_utf16(&mut [0; 2]) {
            [unit] => is_unit(rest, *unit).then_some(6),
            [high, low] => {
                let low_follows = matches!(rest.get(5..), Some([b'\\', rest @ ..]) if is_unit(rest, *low));
                (is_unit(rest, *high) && low_follows).then_some(12)
            }
            _ => None,
        },
    }
}

/// The length of a character as pages write it.
fn entity(rest: &[u8], c: char) -> Option<usize> {
    const NAMED: [(char, &str); 5] =
        [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&apos;")];
    let named = NAMED.iter().find(|(known, name)| *known == c && rest.starts_with(name.as_bytes()));
    if let Some((_, name)) = named {
        return Some(name.len());
    }
    let digits = rest.strip_prefix(b"&#")?;
    let length = digits.iter().take(8).position(|byte| *byte == b';')?;
    let code = match &digits[..length] {
        [b'x' | b'X', digits @ ..] => hex(digits),
        digits => std::str::from_utf8(digits).ok()?.parse().ok(),
    };
    (code == Some(u32::from(c))).then_some(length + 3)
}

fn hex(digits: &[u8]) -> Option<u32> {
    let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
    u32::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| is_hex)?, 16).ok()
}

/// All of the text in base64 that `part` belongs to.
fn run_around(bytes: &[u8], part: Range<usize>) -> Range<usize> {
    let belongs =
        |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=');
    let before = bytes[..part.start].iter().rev().take_while(belongs).count();
    let after = bytes[part.end..].iter().take_while(belongs).count();
    part.start - before..part.end + after
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stands(secret: &str, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        for needle in needles(secret) {
            needle.find(text, &mut found);
        }
        found.into_iter().map(|span| text[span].to_owned()).collect()
    }

    #[test]
    fn a_secret_is_found_however_it_is_written() {
        let secret = "p\"w/ &ü𝄞";
        for written in [
            secret,
            "p%22w%2F%20&%C3%BC%F0%9D%84%9E",
            "p%22w/+&%c3%bc𝄞",
            r#"p\"w\/ &ü𝄞"#,
            r"p\u0022w/ \u0026\u00fc\ud834\udd1e",
            r"p\x22w/ &\u{fc}\u{1d11e}",
            "p&quot;w/ &amp;&#252;&#x1d11e;",
        ] {
            assert_eq!(stands(secret, &format!("({written})")), [written], "{written}");
        }
        assert_eq!(stands(secret, "p\"w/ &u"), [""; 0]);
        assert_eq!(stands("a\\b\n", r"x a\\b\n x"), [r"a\\b\n"]);
    }

    #[test]
    fn a_sign_in_in_base64_is_found_whoever_signs_in() {
        for user in ["", "a", "ab", "shop@example.com", "\0user"] {
            for password in ["hunter2!", "sesam", "pass?ÿ>w"] {
                for coder in [STANDARD, URL_SAFE] {
                    let sent = coder.encode(format!("{user}:{password}"));
                    let said = format!("you said Basic {sent}, \"and\" more");
                    assert_eq!(stands(password, &said)[0], sent, "{user}:{password}");
                    assert_eq!(stands(password, &coder.encode(password))[0], coder.encode(password));
                }
            }
        }
        assert_eq!(stands("abc", "abc YWJj"), [""; 0], "too short");
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_found_lies_between_characters(secret in "\\PC{0,8}", text in "\\PC{0,40}") {
            let mut found = Vec::new();
            for needle in needles(&secret) {
                needle.find(&text, &mut found);
            }
            for span in found {
                proptest::prop_assert!(text.get(span).is_some_and(|part| !part.is_empty()));
            }
        }
    }
}
