//! Things that are known by their shape alone. Each function takes where it begins and gives where it ends.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Step, replace};

/// A run of ASCII letters and digits and what it is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) digits: usize,
    pub(super) digit_groups: usize,
    pub(super) has_lower: bool,
    pub(super) has_upper: bool,
    pub(super) all_hex: bool,
}

impl Word {
    pub(super) fn at(bytes: &[u8], start: usize) -> Self {
        let mut word = Self {
            start,
            end: start,
            digits: 0,
            digit_groups: 0,
            has_lower: false,
            has_upper: false,
            all_hex: true,
        };
        let mut in_digits = false;
        while let Some(byte) = bytes.get(word.end).filter(|byte| byte.is_ascii_alphanumeric()) {
            let digit = byte.is_ascii_digit();
            word.digits += usize::from(digit);
            word.digit_groups += usize::from(digit && !in_digits);
            in_digits = digit;
            word.has_lower |= byte.is_ascii_lowercase();
            word.has_upper |= byte.is_ascii_uppercase();
            word.all_hex &= byte.is_ascii_hexdigit();
            word.end += 1;
        }
        word
    }

    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(super) fn all_digits(&self) -> bool {
        self.digits == self.len()
    }
}

fn run(bytes: &[u8], start: usize, is_part: fn(&u8) -> bool) -> usize {
    bytes[start..].iter().position(|byte| !is_part(byte)).map_or(bytes.len(), |length| start + length)
}

/// Takes back what ends a sentence rather than a token.
fn trim_end(bytes: &[u8], start: usize, end: usize, tail: &[u8]) -> usize {
    let kept = bytes[start..end].iter().rposition(|byte| !tail.contains(byte));
    kept.map_or(start, |last| start + last + 1)
}

/// `scheme://…` up to white space, a quote or a bracket.
pub(super) fn url(bytes: &[u8], word: Word) -> Option<usize> {
    /// The longest registered scheme that carries `://` is shorter.
    const SCHEME_BYTES_MAX: usize = 32;
    if !bytes[word.start].is_ascii_alphabetic() || !matches!(bytes.get(word.end), Some(b':' | b'+' | b'-')) {
        return None;
    }
    let limit = bytes.len().min(word.start + SCHEME_BYTES_MAX);
    let scheme_end =
        run(&bytes[..limit], word.start, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-'));
    let rest = bytes[scheme_end..].strip_prefix(b"://")?;
    let start = bytes.len() - rest.len();
    let end = run(bytes, start, |byte| {
        !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>' | b'{' | b'}' | b'|')
    });
    let end = trim_end(bytes, start, end, b".,;:!?)]");
    (end > start).then_some(end)
}

/// The end of everything that could be the local part of an address, a host name, or both.
pub(super) fn address_run_end(bytes: &[u8], start: usize) -> usize {
    run(bytes, start, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-' | b'@')
    })
}

pub(super) fn email(bytes: &[u8], start: usize, run_end: usize) -> Option<usize> {
    let sign = start + bytes[start..run_end].iter().position(|byte| *byte == b'@')?;
    let domain_end = run(bytes, sign + 1, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    let end = trim_end(bytes, sign + 1, domain_end, b".-");
    let last_label = bytes[sign + 1..end].rsplit(|byte| *byte == b'.').next()?;
    let dotted = last_label.len() < end - sign - 1;
    (dotted && last_label.len() >= 2 && last_label.iter().all(u8::is_ascii_alphabetic)).then_some(end)
}

/// Last labels that mean a host wherever they stand.
const DOMAINS: [&[u8]; 40] = [
    b"com",
    b"net",
    b"org",
    b"edu",
    b"gov",
    b"mil",
    b"io",
    b"dev",
    b"cloud",
    b"biz",
    b"uk",
    b"de",
    b"fr",
    b"nl",
    b"eu",
    b"ru",
    b"cn",
    b"jp",
    b"br",
    b"ca",
    b"au",
    b"pl",
    b"us",
    b"ai",
    b"local",
    b"internal",
    b"lan",
    b"svc",
    b"corp",
    b"arpa",
    b"intranet",
    b"localdomain",
    b"online",
    b"site",
    b"xyz",
    b"tech",
    b"consul",
    b"cz",
    b"kr",
    b"swiss",
];

/// Last labels that are also words of programs: a host only from the third label on.
const WORD_DOMAINS: [&[u8]; 27] = [
    b"info", b"app", b"in", b"it", b"at", b"be", b"me", b"no", b"se", b"fi", b"ch", b"tv", b"co", b"so",
    b"sh", b"es", b"dk", b"is", b"to", b"home", b"test", b"example", b"invalid", b"shop", b"store", b"page",
    b"pt",
];

pub(super) fn is_localhost(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"localhost")
}

/// A dotted name whose last label is a known domain, or `localhost`.
pub(super) fn hostname(bytes: &[u8], start: usize) -> Option<usize> {
    let run_end = run(bytes, start, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    let end = trim_end(bytes, start, run_end, b".-");
    if matches!(bytes.get(run_end), Some(b'(' | b'_' | b'@')) {
        return None;
    }
    let name = &bytes[start..end];
    if is_localhost(name) {
        return Some(end);
    }
    let last = name.rsplit(|byte| *byte == b'.').next()?;
    let labels = name.split(|byte| *byte == b'.').count();
    let known = labels >= 2 && DOMAINS.contains(&last) || labels >= 3 && WORD_DOMAINS.contains(&last);
    (known && !name.windows(2).any(|pair| pair == b"..")).then_some(end)
}

pub(super) fn ipv4(bytes: &[u8], start: usize) -> Option<usize> {
    let run_end = run(bytes, start, |byte| byte.is_ascii_digit() || *byte == b'.');
    let end = trim_end(bytes, start, run_end, b".");
    let text = str::from_utf8(&bytes[start..end]).ok()?;
    text.parse::<Ipv4Addr>().ok()?;
    (!bytes.get(end).is_some_and(u8::is_ascii_alphanumeric)).then_some(end)
}

/// An address with at least one digit, so that `A::b` of C++ stays.
pub(super) fn ipv6(bytes: &[u8], start: usize) -> Option<usize> {
    /// Eight groups, seven colons; an embedded IPv4 is shorter still.
    const ADDRESS_BYTES_MAX: usize = 45;
    let limit = bytes.len().min(start + ADDRESS_BYTES_MAX + 1);
    let run_end = run(&bytes[..limit], start, |byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
    let mut end = trim_end(bytes, start, run_end, b".");
    if bytes[start..end].ends_with(b":") && !bytes[start..end].ends_with(b"::") {
        end -= 1;
    }
    let run = &bytes[start..end];
    if run.split(|byte| *byte == b':').count() < 3 || !run.iter().any(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(run).ok()?.parse::<Ipv6Addr>().ok()?;
    (!bytes.get(end).is_some_and(u8::is_ascii_alphanumeric)).then_some(end)
}

/// Groups of hex digits of the given lengths between `separator`s, and no letter or digit behind.
fn hex_groups(bytes: &[u8], start: usize, lengths: &[usize], separator: u8) -> Option<usize> {
    let mut at = start;
    for (nth, length) in lengths.iter().enumerate() {
        if nth > 0 {
            at += usize::from(*bytes.get(at)? == separator);
            if bytes[at - 1] != separator {
                return None;
            }
        }
        if !bytes.get(at..at + length)?.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        at += length;
    }
    (!bytes.get(at).is_some_and(u8::is_ascii_alphanumeric)).then_some(at)
}

/// W3C trace context, or the root of an AWS trace header.
pub(super) fn traceparent(bytes: &[u8], start: usize) -> Option<usize> {
    hex_groups(bytes, start, &[2, 32, 16, 2], b'-').or_else(|| hex_groups(bytes, start, &[1, 8, 24], b'-'))
}

pub(super) fn uuid(bytes: &[u8], start: usize) -> Option<usize> {
    hex_groups(bytes, start, &[8, 4, 4, 4, 12], b'-')
}

pub(super) fn mac(bytes: &[u8], start: usize) -> Option<usize> {
    hex_groups(bytes, start, &[2; 6], b':').or_else(|| hex_groups(bytes, start, &[2; 6], b'-'))
}

/// `="…"`, `='…'`, `=true`: values that a program printed.
pub(super) fn after_equals(bytes: &[u8], at: usize) -> Step {
    /// A longer quotation is prose, not a value.
    const QUOTED_BYTES_MAX: usize = 1024;
    let from = at + 1;
    let rest = &bytes[from.min(bytes.len())..];
    match rest.first() {
        Some(quote @ (b'"' | b'\'')) => {
            let body = &rest[1..rest.len().min(QUOTED_BYTES_MAX)];
            match body.iter().position(|byte| byte == quote || *byte == b'\n') {
                Some(length) if body[length] == *quote => replace(from, from + length + 2, "<quoted_str>"),
                Some(_) | None => Step::Keep { until: from },
            }
        }
        Some(b't' | b'T' | b'f' | b'F') => {
            let word = Word::at(bytes, from);
            let text = &bytes[from..word.end];
            let is_bool = text.eq_ignore_ascii_case(b"true") || text.eq_ignore_ascii_case(b"false");
            if is_bool { replace(from, word.end, "<bool>") } else { Step::Keep { until: from } }
        }
        _ => Step::Keep { until: from },
    }
}
