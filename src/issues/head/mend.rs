//! The one fault of syntax that honest clients make.

use std::borrow::Cow;

/// Replaces `\ud800`-like escapes that are half a character by `\ufffd`; the length stays.
///
/// JavaScript and Python write such halves for broken text, and strict readers refuse the whole event for it.
/// `Cow::Borrowed` means that there was nothing to mend.
pub fn mend_surrogates(json: &str) -> Cow<'_, str> {
    let bytes = json.as_bytes();
    let mut out: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == b'\\') {
        at += found;
        match (unit(bytes, at), unit(bytes, at + ESCAPE_BYTES)) {
            (Some(HIGH_FIRST..=HIGH_LAST), Some(LOW_FIRST..=LOW_LAST)) => at += 2 * ESCAPE_BYTES,
            (Some(HIGH_FIRST..=LOW_LAST), _) => {
                let out = out.get_or_insert_with(|| bytes.to_vec());
                out[at..at + ESCAPE_BYTES].copy_from_slice(br"\ufffd");
                at += ESCAPE_BYTES;
            }
            _ => at = bytes.len().min(at + 2),
        }
    }
    out.and_then(|bytes| String::from_utf8(bytes).ok()).map_or(Cow::Borrowed(json), Cow::Owned)
}

const ESCAPE_BYTES: usize = 6;
const HIGH_FIRST: u16 = 0xd800;
const HIGH_LAST: u16 = 0xdbff;
const LOW_FIRST: u16 = 0xdc00;
const LOW_LAST: u16 = 0xdfff;

/// The UTF-16 unit of an escape `\uXXXX` that begins at `at`.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + ESCAPE_BYTES)?.strip_prefix(br"\u")?;
    digits.iter().try_fold(0_u16, |unit, digit| {
        Some((unit << 4) | u16::try_from(char::from(*digit).to_digit(16)?).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lone_halves_are_replaced() {
        let table = [
            (r#"{"a":"\ud83d\ude00"}"#, r#"{"a":"\ud83d\ude00"}"#),
            (r#"{"a":"\ud83d"}"#, r#"{"a":"\ufffd"}"#),
            (r#"{"a":"\ude00\ud83d\ud83d\ude00"}"#, r#"{"a":"\ufffd\ufffd\ud83d\ude00"}"#),
            (r#"{"a":"\\ud83d"}"#, r#"{"a":"\\ud83d"}"#),
            (r#"{"a":"\\\ud83d"}"#, r#"{"a":"\\\ufffd"}"#),
            (r#"{"a":"\ud8"#, r#"{"a":"\ud8"#),
            ("\\", "\\"),
            ("ä\\u12", "ä\\u12"),
        ];
        for (json, mended) in table {
            assert_eq!(mend_surrogates(json), mended, "{json}");
        }
    }
}
