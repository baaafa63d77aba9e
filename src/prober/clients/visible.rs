//! What strangers sent, as people can read it.

use crate::base::text::is_hidden;
use crate::probes::seen::BODY_CHARS_MAX;

/// A character of UTF-8 has at most as many bytes.
const CHAR_BYTES_MAX: usize = 4;
/// Longest line of a sample: a header, a banner.
pub(super) const LINE_CHARS_MAX: usize = 500;

/// The beginning of `bytes`, with what cannot be seen written out: no answer may hide or turn the text around it.
pub(super) fn visible(bytes: &[u8]) -> String {
    text(bytes, BODY_CHARS_MAX, |c| matches!(c, '\n' | '\t'))
}

/// As [`visible`], on one line.
pub(super) fn visible_line(bytes: &[u8]) -> String {
    text(bytes, LINE_CHARS_MAX, |_| false)
}

fn text(bytes: &[u8], chars_max: usize, is_fine: impl Fn(char) -> bool) -> String {
    // One byte more than is shown, so that the cut is seen by whoever clips.
    let bytes = &bytes[..bytes.len().min((chars_max + 1) * CHAR_BYTES_MAX)];
    let text = String::from_utf8_lossy(bytes);
    let mut shown = String::with_capacity(text.len());
    for c in text.chars().take(chars_max + 1) {
        match c {
            // Lines end in both ways; the difference helps nobody.
            '\r' if is_fine('\n') => {}
            c if is_fine(c) || !is_hidden(c) => shown.push(c),
            c => shown.extend(c.escape_default()),
        }
    }
    crate::base::text::clip(&shown, chars_max).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_written_out() {
        assert_eq!(visible(b"a\r\n\tb\0\x1b[2J"), "a\n\tb\\u{0}\\u{1b}[2J");
        assert_eq!(visible("invoice\u{202e}fdp".as_bytes()), "invoice\\u{202e}fdp");
        assert_eq!(visible(b"\xff\xfe"), "\u{fffd}\u{fffd}");
        assert_eq!(visible_line(b"220 a\r\n250 b"), "220 a\\r\\n250 b");
        let long = visible("ä".repeat(100_000).as_bytes());
        assert_eq!(long.chars().count(), BODY_CHARS_MAX);
        assert!(long.ends_with('…'));
    }
}
