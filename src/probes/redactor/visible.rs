//! What strangers sent, as people can read it: no answer may hide or turn the text around it.

use crate::base::text::is_hidden;

/// With what cannot be seen written out.
pub(super) fn visible(text: &str) -> String {
    written_out(text, |c| matches!(c, '\n' | '\t'))
}

/// As `visible`, on one line.
pub fn visible_line(text: &str) -> String {
    written_out(text, |_| false)
}

fn written_out(text: &str, is_fine: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Lines end in both ways; the difference helps nobody.
            '\r' if is_fine('\n') => {}
            c if is_fine(c) || !is_hidden(c) => shown.push(c),
            c => shown.extend(c.escape_default()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_written_out() {
        assert_eq!(visible("a\r\n\tb\0\x1b[2J"), "a\n\tb\\u{0}\\u{1b}[2J");
        assert_eq!(visible("invoice\u{202e}fdp"), "invoice\\u{202e}fdp");
        assert_eq!(visible_line("220 a\r\n250 b"), "220 a\\r\\n250 b");
    }
}
