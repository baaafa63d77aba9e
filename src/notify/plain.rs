//! Strangers' text made harmless for one line of a message: titles and messages come from whatever threw.

use crate::base::text::clip;

/// One clean line of at most `chars_max` characters.
///
/// Line breaks, tabs, control characters and every kind of space become one ordinary space, characters that
/// reorder or hide text (bidirectional controls, zero-width spaces) vanish, and a cut is marked by `…`. What is
/// left can stand in a mail header, but still has to be escaped for HTML or Slack.
pub(super) fn clean(text: &str, chars_max: usize) -> String {
    let mut out = String::new();
    // Reading further than this cannot change the result; a 10 MB title costs no more than a long one.
    let mut left = chars_max.saturating_mul(4).saturating_add(16);
    let mut gap = false;
    for character in text.chars() {
        if left == 0 {
            break;
        }
        left -= 1;
        if is_hidden(character) {
            continue;
        }
        if character.is_whitespace() || character.is_control() {
            gap = !out.is_empty();
            continue;
        }
        if gap {
            out.push(' ');
            gap = false;
        }
        out.push(character);
    }
    clip(&out, chars_max).into_owned()
}

/// Characters that are not seen but change what is read. The joiners U+200C and U+200D stay: scripts and emoji
/// need them.
const fn is_hidden(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// Escaped for HTML text and quoted attributes.
pub(super) fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hostile_title_becomes_one_calm_line() {
        for (text, expected) in [
            ("plain", "plain"),
            ("a\r\nBcc: evil@example.com", "a Bcc: evil@example.com"),
            ("  a \t\u{a0}\u{2028} b\0\u{7}c  ", "a b c"),
            ("\u{202e}gnp.exe\u{202c}", "gnp.exe"),
            ("z\u{200b}e\u{feff}ro", "zero"),
            ("👩\u{200d}🚀 lands", "👩\u{200d}🚀 lands"),
            ("\r\n\r\n", ""),
        ] {
            assert_eq!(clean(text, 80), expected, "{text:?}");
        }
        assert_eq!(clean(&"x".repeat(10_000), 20), format!("{}…", "x".repeat(19)));
        assert_eq!(clean(&" ".repeat(10_000_000), 20), "");
    }

    proptest! {
        #[test]
        fn the_result_is_one_short_line_without_controls(text: String, chars_max in 1usize..60) {
            let line = clean(&text, chars_max);
            prop_assert!(line.chars().count() <= chars_max);
            prop_assert!(!line.chars().any(|c| c.is_control() || is_hidden(c) || (c.is_whitespace() && c != ' ')));
            prop_assert_eq!(clean(&line, chars_max), line.clone());
        }

        #[test]
        fn escaped_text_opens_no_tag_and_no_attribute(text: String) {
            let escaped = escape_html(&text);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
        }
    }
}
