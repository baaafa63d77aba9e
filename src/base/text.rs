//! Text with a bound, cut between characters and visibly.

use std::borrow::Cow;

/// Cuts `text` to at most `chars_max` characters; a cut text ends in `…`, which counts.
pub fn clip(text: &str, chars_max: usize) -> Cow<'_, str> {
    if text.len() <= chars_max || text.chars().nth(chars_max).is_none() {
        return Cow::Borrowed(text);
    }
    let keep = text.char_indices().nth(chars_max.saturating_sub(1)).map_or(0, |(at, _)| at);
    Cow::Owned(format!("{}…", &text[..keep]))
}

/// As [`clip`], but cut in the middle: the beginning says what was asked, the end what came of it.
pub fn clip_middle(text: &str, chars_max: usize) -> Cow<'_, str> {
    let chars = if text.len() <= chars_max { 0 } else { text.chars().count() };
    if chars <= chars_max {
        return Cow::Borrowed(text);
    }
    let head = chars_max / 4;
    let tail = chars_max.saturating_sub(head + 1);
    let at = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
    Cow::Owned(format!("{}…{}", &text[..at(head)], &text[at(chars - tail)..]))
}

/// The first line that is not blank, trimmed; empty where there is none.
pub fn first_line(text: &str) -> &str {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_by_characters_and_says_so() {
        assert_eq!(clip("abc", 3), "abc");
        assert_eq!(clip("abcd", 3), "ab…");
        assert_eq!(clip("äöüß", 4), "äöüß");
        assert_eq!(clip("äöüß!", 4), "äöü…");
        assert_eq!(clip("abc", 0), "…");
    }

    #[test]
    fn a_dialogue_keeps_its_beginning_and_its_end() {
        assert_eq!(clip_middle("abc", 3), "abc");
        assert_eq!(clip_middle("äbcdefghij", 8), "äb…fghij");
        assert_eq!(clip_middle("abcd", 1), "…");
        assert_eq!(clip_middle("äöüß", 4), "äöüß");
    }

    #[test]
    fn the_first_line_skips_blank_ones() {
        assert_eq!(first_line("\n  \n boom \nmore"), "boom");
        assert_eq!(first_line(""), "");
    }
}
