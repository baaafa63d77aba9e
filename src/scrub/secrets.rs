//! Finds secrets inside texts by their shape and by what stands before them.
//!
//! One look at every byte through a table of classes; only digits, `=`, `:` and the few letters and marks with which
//! a secret begins cost more. What is found is a span to replace: the text around it survives.

use std::borrow::Cow;
use std::ops::Range;

use super::FILTERED;
use super::digits::{SSN_BYTES, card_length, iban_length, starts_with_ssn};
use super::names::{Names, Sensitivity};
use super::tokens::{self, Tokens};
use super::trivial::{is_masked, is_trivial};
use super::walk::{count, run};

/// How much of a text is expected to be prose, code or address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Messages, values, addresses: every rule.
    Text,
    /// Source lines: assigned literals, and what stands bare behind `=` only with a digit in it, so that
    /// `password = ask()` stays readable.
    Code,
    /// Where code lies: a file or an URL, of which only credentials and parameters are secret.
    Location,
}

/// The text with each secret replaced; `found` as [`find`] left it.
pub(super) fn replaced<'t>(text: &'t str, found: &[Range<usize>]) -> Cow<'t, str> {
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    for secret in found {
        shown.push_str(text.get(at..secret.start).unwrap_or_default());
        shown.push_str(FILTERED);
        at = secret.end;
    }
    shown.push_str(text.get(at..).unwrap_or_default());
    Cow::Owned(shown)
}

/// Whether a whole value hides nothing: it is empty, or an SDK has redacted it.
pub(super) fn is_hidden_already(value: &str) -> bool {
    let marked = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let marked = marked.or_else(|| value.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')));
    let redacted = |mark: &str| ["filtered", "redacted"].iter().any(|word| word.eq_ignore_ascii_case(mark));
    marked.is_some_and(redacted) || is_masked(value)
}

/// What a byte may begin.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Class {
    Nothing,
    Digit,
    /// `:` or `=`: a name may stand before, a secret behind.
    Assign,
    /// A letter or mark inside the prefix of a well-known token, or the B of Bearer and Basic.
    Token,
}

const CLASSES: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut table = [Class::Nothing; 256];
    let mut digit = b'0';
    while digit <= b'9' {
        table[digit as usize] = Class::Digit;
        digit += 1;
    }
    table[b':' as usize] = Class::Assign;
    table[b'=' as usize] = Class::Assign;
    let triggers = tokens::TRIGGERS;
    let mut at = 0;
    while at < triggers.len() {
        table[triggers[at] as usize] = Class::Token;
        at += 1;
    }
    table
}

/// Appends the secrets of `text` to `found`, in order and apart from each other.
pub(super) fn find(text: &str, style: Style, names: &Names, found: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let mut tokens = Tokens::new(bytes);
    let mut at = 0;
    while let Some(step) =
        bytes.get(at..).and_then(|rest| rest.iter().position(|b| class(*b) != Class::Nothing))
    {
        at += step;
        let floor = found.last().map_or(0, |last| last.end);
        let secret = match (class(bytes[at]), style) {
            (Class::Nothing, _) | (Class::Digit | Class::Token, Style::Location) => None,
            (Class::Digit, Style::Text | Style::Code) => {
                let (secret, run_end) = number_at(bytes, at);
                at = run_end - 1;
                secret
            }
            (Class::Token, Style::Text | Style::Code) => tokens.at(at, floor),
            (Class::Assign, _) => assigned_at(text, at, style, names),
        };
        at += 1;
        if let Some(secret) = secret.filter(|secret| secret.start >= floor && !secret.is_empty()) {
            at = at.max(secret.end);
            found.push(secret);
        }
    }
}

const fn class(byte: u8) -> Class {
    CLASSES[byte as usize]
}

/// Judges the number whose first digit is at `at`; also tells where the run of digits ends.
fn number_at(bytes: &[u8], at: usize) -> (Option<Range<usize>>, usize) {
    let run = bytes.iter().skip(at).take_while(|byte| byte.is_ascii_digit()).count();
    let run_end = at + run;
    let before = |back: usize| at.checked_sub(back).and_then(|place| bytes.get(place)).copied();
    let rest = bytes.get(at..).unwrap_or_default();
    let word_before =
        before(1).is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
    // DE89…: two letters before the digits, and nothing before the letters.
    let after_country = before(1).is_some_and(|b| b.is_ascii_uppercase())
        && before(2).is_some_and(|b| b.is_ascii_uppercase())
        && !before(3).is_some_and(|b| b.is_ascii_alphanumeric());
    if after_country && run >= 2 {
        let iban = bytes.get(at - 2..).and_then(iban_length).map(|length| at - 2..at - 2 + length);
        return (iban, run_end);
    }
    if word_before {
        return (None, run_end);
    }
    let after_dash = before(1) == Some(b'-') && before(2).is_some_and(|b| b.is_ascii_digit());
    if run == 3 && !after_dash && starts_with_ssn(rest) {
        return (Some(at..at + SSN_BYTES), run_end);
    }
    let may_be_card = run >= 13 || (run == 4 && matches!(rest.get(4), Some(b' ' | b'-')));
    let card = if may_be_card && !after_dash { card_length(rest) } else { None };
    (card.map(|length| at..at + length), run_end)
}

/// Judges the `:` or `=` at `at` by the name before it, and returns the value behind it.
fn assigned_at(text: &str, at: usize, style: Style, names: &Names) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    if bytes.get(at) == Some(&b':') && bytes.get(at + 1..at + 3) == Some(b"//") {
        return url_password(bytes, at + 3).or_else(|| secret_path(bytes, at + 3));
    }
    let name = name_before(bytes, at)?;
    if style == Style::Location
        && !matches!(name.start.checked_sub(1).map(|b| bytes[b]), Some(b'?' | b'&' | b';' | b'#'))
    {
        return None;
    }
    let written = text.get(name.clone())?;
    let sensitivity = names.judge(written);
    if matches!(sensitivity, Sensitivity::Clear | Sensitivity::Safe) {
        return None;
    }
    let quoted_name = bytes.get(name.end).is_some_and(|byte| matches!(byte, b'"' | b'\'' | b'\\'));
    let value =
        value_behind(bytes, at, style, quoted_name || name.end < at && bytes[name.end] == b']', written)?;
    let text = text.get(value.clone())?;
    let counted = sensitivity == Sensitivity::Uncounted && text.bytes().all(|byte| byte.is_ascii_digit());
    (!counted && !is_trivial(text)).then_some(value)
}

/// The longest name that is looked at before `=` or `:`.
const NAME_BYTES_MAX: usize = 64;
/// Blanks that may stand around `=` and `:`; aligned assignments use a few.
const BLANKS_MAX: usize = 8;

/// The name that ends before `at`, its quotes and a closing bracket stepped over.
fn name_before(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let back = |from: usize, matching: fn(&u8) -> bool, max: usize| {
        from - bytes
            .get(..from)
            .unwrap_or_default()
            .iter()
            .rev()
            .take(max)
            .take_while(|byte| matching(byte))
            .count()
    };
    let mut end = back(at, |byte| *byte == b' ', BLANKS_MAX);
    // `!=`, `<=`, `>=`, `==` compare.
    if bytes.get(at) == Some(&b'=')
        && matches!(bytes.get(at.checked_sub(1)?), Some(b'!' | b'<' | b'>' | b'='))
    {
        return None;
    }
    end = back(end, |byte| matches!(byte, b']' | b':'), 1);
    end = back(end, |byte| matches!(byte, b'"' | b'\'' | b'`'), 1);
    end = back(end, |byte| *byte == b'\\', 3);
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let start = back(end, is_name, NAME_BYTES_MAX);
    (end - start >= 2).then_some(start..end)
}

/// The value behind the `:` or `=` at `at`, without its quotes; `None` where nothing there may be hidden.
fn value_behind(
    bytes: &[u8],
    at: usize,
    style: Style,
    quoted_name: bool,
    name: &str,
) -> Option<Range<usize>> {
    let is = |place: usize, wanted: u8| bytes.get(place) == Some(&wanted);
    let mut from = at + 1;
    // `==` compares.
    if is(at, b'=') && is(from, b'=') {
        return None;
    }
    // `=>` of Ruby and PHP, `:=` of Go and SQL.
    from += usize::from((is(at, b'=') && is(from, b'>')) || (is(at, b':') && is(from, b'=')));
    let blanks = bytes.iter().skip(from).take(BLANKS_MAX).take_while(|byte| **byte == b' ').count();
    from += blanks;
    if style == Style::Code
        && is(at, b':')
        && let Some(assign) = annotated(bytes, from)
    {
        return value_behind(bytes, assign, style, quoted_name, name);
    }
    let prefix = usize::from(matches!(bytes.get(from), Some(b'b' | b'u' | b'r' | b'f')));
    if let Some(content) = quoted_content(bytes, from).or_else(|| quoted_content(bytes, from + prefix)) {
        return Some(content);
    }
    match style {
        Style::Code if is(at, b'=') && blanks == 0 => code_value(bytes, from),
        Style::Code => None,
        Style::Text if is(at, b':') && blanks > 0 && !quoted_name => prose_value(bytes, from, name),
        Style::Text | Style::Location => bare_value(bytes, from),
    }
}

/// The `=` behind a type, as in `password: str = "…"`.
fn annotated(bytes: &[u8], from: usize) -> Option<usize> {
    let of_type =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'[' | b']' | b'|' | b' ');
    let rest = bytes.get(from..)?;
    let length = rest.iter().take(NAME_BYTES_MAX).take_while(|byte| of_type(byte)).count();
    (length > 0 && rest.get(length) == Some(&b'=')).then_some(from + length)
}

/// What stands between the quotes that open at `from`, plain (`"…"`) or escaped (`\"…\"`); to the end of the text
/// where they do not close.
fn quoted_content(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let slashes = bytes.iter().skip(from).take(3).take_while(|byte| **byte == b'\\').count();
    let quote = *bytes.get(from + slashes).filter(|byte| matches!(byte, b'"' | b'\'' | b'`'))?;
    let start = from + slashes + 1;
    let (mut escapes, mut place) = (0, start);
    while let Some(byte) = bytes.get(place) {
        let doubled = quote == b'\'' && place > start && bytes.get(place + 1) == Some(&quote);
        if *byte == b'\\' {
            escapes += 1;
        } else if *byte == quote && escapes == slashes && !doubled {
            count(place - start);
            return Some(start..place - slashes);
        } else {
            // SQL writes a quote inside as two.
            place += usize::from(*byte == quote && doubled);
            escapes = 0;
        }
        place += 1;
    }
    count(bytes.len() - start);
    Some(start..bytes.len())
}

/// An unquoted value: up to a blank or what separates values. A call or structure is not a value.
fn bare_value(bytes: &[u8], mut from: usize) -> Option<Range<usize>> {
    loop {
        if bytes.get(from) == Some(&b'[') || is_call(bytes, from) {
            return None;
        }
        let end = run(bytes, from, |byte| !ends_value(byte));
        let word = bytes.get(from..end)?;
        // The mark before a placeholder's brace.
        if matches!(word, b"$" | b"#" | b"%") && bytes.get(end) == Some(&b'{') {
            return None;
        }
        let scheme = SCHEMES.iter().any(|scheme| scheme.as_bytes().eq_ignore_ascii_case(word));
        let goes_on = bytes.get(end) == Some(&b' ') && bytes.get(end + 1).is_some_and(|b| !ends_value(*b));
        if !(scheme && goes_on) {
            return (end > from).then_some(from..end);
        }
        from = end + 1;
    }
}

const fn ends_value(byte: u8) -> bool {
    byte.is_ascii_whitespace()
        || matches!(
            byte,
            b'&' | b';' | b',' | b')' | b'}' | b']' | b'"' | b'\'' | b'<' | b'>' | b'|' | b'\\' | b'(' | b'{'
        )
}

/// Whether the name of something called stands at `from`: `Token(`, `auth::token(`, `%(`.
fn is_call(bytes: &[u8], from: usize) -> bool {
    let near = bytes.get(..bytes.len().min(from + NAME_BYTES_MAX)).unwrap_or_default();
    let end = run(near, from, |byte| {
        byte.is_ascii_alphanumeric() || !byte.is_ascii() || matches!(byte, b'_' | b'.' | b':' | b'$' | b'%')
    });
    bytes.get(end) == Some(&b'(')
}

/// Words that stand before the secret in an `Authorization` value.
const SCHEMES: [&str; 4] = ["bearer", "basic", "token", "digest"];

/// The unquoted value of `name=value` inside a literal of a source line, such as an address: a word with a digit in it.
/// An argument is a name or a path of names, and stays.
fn code_value(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    /// What follows a value that is none is looked at again: the look must be short.
    const JUDGED_BYTES_MAX: usize = 128;
    let near = bytes.get(..bytes.len().min(from + JUDGED_BYTES_MAX))?;
    let value = bare_value(near, from)?;
    let word = near.get(value.clone())?;
    let is_code = word[0].is_ascii_alphabetic() && word.iter().any(|byte| matches!(byte, b'.' | b'['));
    let end = || run(bytes, value.end, |byte| !ends_value(byte));
    (looks_secret(word) && !is_code).then(|| value.start..end())
}

/// Words of prose and code have no digits.
fn looks_secret(word: &[u8]) -> bool {
    const SECRET_BYTES_MIN: usize = 6;
    word.len() >= SECRET_BYTES_MIN && word.iter().any(u8::is_ascii_digit)
}

/// The value of `Name: value` in prose. Headers that hold nothing else lose the rest of their line; elsewhere a
/// word with a digit is taken for a secret, and `password: must be long` stays.
fn prose_value(bytes: &[u8], from: usize, name: &str) -> Option<Range<usize>> {
    const HEADERS: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "set-cookie"];
    if HEADERS.iter().any(|header| header.eq_ignore_ascii_case(name)) {
        return Some(from..run(bytes, from, |byte| !matches!(byte, b'\n' | b'\r' | b'"' | b'\'')));
    }
    let value = bare_value(bytes, from)?;
    looks_secret(bytes.get(value.clone())?).then_some(value)
}

/// Addresses whose path lets in whoever knows it: host and beginning of the path, and how many segments are the secret.
const SECRET_PATHS: [(&[u8], usize); 4] = [
    (b"hooks.slack.com/services/", 3),
    (b"api.telegram.org/bot", 1),
    (b"discord.com/api/webhooks/", 2),
    (b"discordapp.com/api/webhooks/", 2),
];

/// The secret part of the path of an address whose authority begins at `from`.
fn secret_path(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let address = bytes.get(from..)?;
    let (start, segments) = SECRET_PATHS.iter().find_map(|(known, segments)| {
        let head = address.get(..known.len())?;
        head.eq_ignore_ascii_case(known).then_some((from + known.len(), *segments))
    })?;
    let in_segment =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b':' | b'.' | b'%' | b'~');
    let mut end = run(bytes, start, in_segment);
    for _ in 1..segments {
        if bytes.get(end) != Some(&b'/') {
            break;
        }
        end = run(bytes, end + 1, in_segment);
    }
    (end > start).then_some(start..end)
}

/// The password of `user:password@` at the start of an URL's authority.
fn url_password(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let authority_end = run(bytes, from, |byte| {
        !byte.is_ascii_whitespace()
            && !matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b'`' | b'\\')
    });
    let authority = bytes.get(from..authority_end)?;
    let end = authority.iter().rposition(|byte| *byte == b'@')?;
    let start = authority.get(..end)?.iter().position(|byte| *byte == b':')? + 1;
    let password = str::from_utf8(authority.get(start..end)?).ok()?;
    (!is_trivial(password)).then_some(from + start..from + end)
}

#[cfg(test)]
mod tests;
