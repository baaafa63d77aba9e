//! Tokens that are known by their own shape: prefixes that providers give them, JWTs, PEM blocks, and what follows
//! `Bearer` and `Basic`.

use std::ops::Range;

use super::walk::run;

/// The bytes at which [`Tokens::at`] has something to look for.
pub(super) const TRIGGERS: [u8; 7] = [b'A', b'B', b'b', b'G', b'J', b'_', b'-'];

/// A provider's token: a prefix and a least number of letters, digits, `_` and `-` behind it.
struct Known {
    prefix: &'static [u8],
    rest_min: usize,
}

/// The tokens whose prefix ends in `_` or `-`, by that trigger and the two bytes before it.
const fn ending_in(before: [u8; 2], trigger: u8) -> &'static [Known] {
    match (&before, trigger) {
        (b"ve", b'_') => {
            &[Known { prefix: b"sk_live_", rest_min: 10 }, Known { prefix: b"rk_live_", rest_min: 10 }]
        }
        (b"st", b'_') => {
            &[Known { prefix: b"sk_test_", rest_min: 10 }, Known { prefix: b"rk_test_", rest_min: 10 }]
        }
        (b"ec", b'_') => &[Known { prefix: b"whsec_", rest_min: 16 }],
        (b"hp", b'_') => &[Known { prefix: b"ghp_", rest_min: 30 }],
        (b"ho", b'_') => &[Known { prefix: b"gho_", rest_min: 30 }],
        (b"hu", b'_') => &[Known { prefix: b"ghu_", rest_min: 30 }],
        (b"hs", b'_') => &[Known { prefix: b"ghs_", rest_min: 30 }],
        (b"hr", b'_') => &[Known { prefix: b"ghr_", rest_min: 30 }],
        (b"at", b'_') => &[Known { prefix: b"github_pat_", rest_min: 30 }],
        (b"pm", b'_') => &[Known { prefix: b"npm_", rest_min: 30 }],
        (b"ys", b'_') => &[Known { prefix: b"sntrys_", rest_min: 20 }],
        (b"yu", b'_') => &[Known { prefix: b"sntryu_", rest_min: 20 }],
        (b"at", b'-') => &[Known { prefix: b"glpat-", rest_min: 16 }],
        (b"xa", b'-') => &[Known { prefix: b"xoxa-", rest_min: 10 }],
        (b"xb", b'-') => &[Known { prefix: b"xoxb-", rest_min: 10 }],
        (b"xe", b'-') => &[Known { prefix: b"xoxe-", rest_min: 10 }],
        (b"xp", b'-') => &[Known { prefix: b"xoxp-", rest_min: 10 }],
        (b"xr", b'-') => &[Known { prefix: b"xoxr-", rest_min: 10 }],
        (b"xs", b'-') => &[Known { prefix: b"xoxs-", rest_min: 10 }],
        (b"pp", b'-') => &[Known { prefix: b"xapp-", rest_min: 10 }],
        ([_, b'k'], b'-') => &[Known { prefix: b"sk-", rest_min: 20 }],
        _ => &[],
    }
}

/// Prefixes that begin with their trigger, `A`.
const PREFIXES_A: [Known; 3] = [
    Known { prefix: b"AKIA", rest_min: 16 },
    Known { prefix: b"ASIA", rest_min: 16 },
    Known { prefix: b"AIza", rest_min: 35 },
];

/// The tokens of one text, asked for from its start to its end.
pub(super) struct Tokens<'t> {
    bytes: &'t [u8],
    /// Up to here it is known that no JWT begins: keeps the search linear.
    jwt_free_until: usize,
}

impl<'t> Tokens<'t> {
    pub(super) const fn new(bytes: &'t [u8]) -> Self {
        Self { bytes, jwt_free_until: 0 }
    }

    /// The secret that the trigger at `at` belongs to. Nothing before `floor` is looked at.
    pub(super) fn at(&mut self, at: usize, floor: usize) -> Option<Range<usize>> {
        let bytes = self.bytes;
        match bytes.get(at)? {
            b'B' | b'b' => credentials_at(bytes, at, floor),
            b'A' => {
                let rest = bytes.get(at..)?;
                let known = PREFIXES_A.iter().find(|known| rest.starts_with(known.prefix))?;
                known_token(bytes, at, floor, known)
            }
            b'G' => sendgrid_at(bytes, at, floor),
            b'J' => self.jwt_at(at, floor),
            b'-' if bytes.get(at..)?.starts_with(PEM_BEGIN) => pem_body(bytes, at),
            b'_' | b'-' => {
                let before = bytes.get(at.checked_sub(2)?..at)?.first_chunk()?;
                let head = bytes.get(floor..=at)?;
                let known =
                    ending_in(*before, bytes[at]).iter().find(|known| head.ends_with(known.prefix))?;
                known_token(bytes, at + 1 - known.prefix.len(), floor, known)
            }
            _ => None,
        }
    }

    /// `eyJ….eyJ….…`: header, payload and signature, all base64url; the trigger is the J.
    fn jwt_at(&mut self, at: usize, floor: usize) -> Option<Range<usize>> {
        /// `{"alg":""}` in base64 has 14 digits.
        const HEADER_BYTES_MIN: usize = 12;
        let bytes = self.bytes;
        let start = at.checked_sub(2).filter(|start| *start >= floor.max(self.jwt_free_until))?;
        if bytes.get(start..at) != Some(b"ey") || !starts_word(bytes, start, floor) {
            return None;
        }
        let header_end = run(bytes, at, is_token_byte);
        if bytes.get(header_end) != Some(&b'.') {
            // Whatever begins in between ends there too.
            self.jwt_free_until = header_end;
            return None;
        }
        (header_end - at >= HEADER_BYTES_MIN)
            .then(|| start..run(bytes, header_end, |byte| is_token_byte(byte) || byte == b'.'))
    }
}

const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn starts_word(bytes: &[u8], at: usize, floor: usize) -> bool {
    at == floor
        || !at.checked_sub(1).and_then(|before| bytes.get(before)).is_some_and(u8::is_ascii_alphanumeric)
}

fn known_token(bytes: &[u8], at: usize, floor: usize, known: &Known) -> Option<Range<usize>> {
    // Before the walk: what walks far is a token, and the search goes on behind it.
    if !starts_word(bytes, at, floor) {
        return None;
    }
    let from = at + known.prefix.len();
    let end = run(bytes, from, is_token_byte);
    (end - from >= known.rest_min).then_some(at..end)
}

/// `SendGrid`'s `SG.ID.KEY`, of 22 and 43 digits; the trigger is the G.
fn sendgrid_at(bytes: &[u8], at: usize, floor: usize) -> Option<Range<usize>> {
    const PART_DIGITS_MIN: usize = 16;
    let start = at.checked_sub(1).filter(|start| *start >= floor && bytes[*start] == b'S')?;
    if bytes.get(at + 1) != Some(&b'.') || !starts_word(bytes, start, floor) {
        return None;
    }
    let id_end = run(bytes, at + 2, is_token_byte);
    if id_end - (at + 2) < PART_DIGITS_MIN || bytes.get(id_end) != Some(&b'.') {
        return None;
    }
    let end = run(bytes, id_end + 1, is_token_byte);
    (end - (id_end + 1) >= PART_DIGITS_MIN).then_some(start..end)
}

/// `Bearer TOKEN` and `Basic BASE64`, where what follows looks like a secret and not like a word.
fn credentials_at(bytes: &[u8], at: usize, floor: usize) -> Option<Range<usize>> {
    let word =
        |text: &[u8]| bytes.get(at..at + text.len()).is_some_and(|found| found.eq_ignore_ascii_case(text));
    let scheme_bytes = match (word(b"bearer "), word(b"basic ")) {
        (true, _) => 7,
        (_, true) => 6,
        (false, false) => return None,
    };
    if !starts_word(bytes, at, floor) {
        return None;
    }
    let from = run(bytes, at + scheme_bytes, |byte| byte == b' ');
    let end =
        run(bytes, from, |byte| is_token_byte(byte) || matches!(byte, b'.' | b'~' | b'+' | b'/' | b'='));
    let secret = bytes.get(from..end)?;
    let has_digit = secret.iter().any(u8::is_ascii_digit);
    // Header, payload and signature of a shortened JWT; a sentence ends in one stop.
    let has_parts = secret.split(|byte| *byte == b'.').filter(|part| !part.is_empty()).count() >= 3;
    let enough = secret.len() >= LONG_SECRET_BYTES_MIN
        || (secret.len() >= SECRET_BYTES_MIN && (has_digit || has_parts || secret.ends_with(b"=")));
    enough.then_some(from..end)
}

const SECRET_BYTES_MIN: usize = 6;
/// Longer than the words that follow "bearer" and "basic" in prose.
const LONG_SECRET_BYTES_MIN: usize = 20;

const PEM_BEGIN: &[u8] = b"-----BEGIN ";
const PEM_END: &[u8] = b"-----END ";

/// What stands between the BEGIN and END lines, to the end of the text where the block is cut.
fn pem_body(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    /// Labels are short (`OPENSSH PRIVATE KEY`).
    const LABEL_BYTES_MAX: usize = 40;
    let label = bytes.get(at + PEM_BEGIN.len()..)?;
    let label_end = label.windows(5).take(LABEL_BYTES_MAX).position(|dashes| dashes == b"-----")?;
    let from = at + PEM_BEGIN.len() + label_end + 5;
    let rest = bytes.get(from..)?;
    let end = rest.windows(PEM_END.len()).position(|window| window == PEM_END).unwrap_or(rest.len());
    Some(from..from + end)
}
