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

/// `text` with the letters of Europe's languages in plain ones, for names in addresses: ä is ae, é is e.
pub fn plain_letters(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        match PLAIN.iter().find(|(_, letters)| letters.contains(c)) {
            Some((written, _)) => plain.push_str(written),
            None => plain.push(c),
        }
    }
    plain
}

/// `text` for searching: in small letters of every script, the sigma at the end of a word like any other.
pub fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c }).collect()
}

const PLAIN: [(&str, &str); 27] = [
    ("ae", "äæ"),
    ("oe", "öœ"),
    ("ue", "ü"),
    ("ss", "ß"),
    ("aa", "å"),
    ("a", "àáâãāăą"),
    ("c", "çćĉċč"),
    ("d", "ďđð"),
    ("e", "èéêëēĕėęě"),
    ("g", "ĝğġģ"),
    ("h", "ĥħ"),
    ("i", "ìíîïĩīĭįı"),
    ("j", "ĵ"),
    ("k", "ķ"),
    ("l", "ĺļľŀł"),
    ("n", "ñńņňŉ"),
    ("o", "òóôõøōŏő"),
    ("r", "ŕŗř"),
    ("s", "śŝşšș"),
    ("t", "ţťŧț"),
    ("th", "þ"),
    ("u", "ùúûũūŭůűų"),
    ("w", "ŵ"),
    ("y", "ýÿŷ"),
    ("z", "źżž"),
    // Typed as a letter and its mark, apart.
    ("", "\u{300}\u{301}\u{302}\u{303}\u{304}\u{306}\u{307}\u{30a}\u{30b}\u{30c}\u{327}\u{328}"),
    ("e", "\u{308}"),
];

/// The first line that is not blank, trimmed; empty where there is none.
pub fn first_line(text: &str) -> &str {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("")
}

/// A line that a person typed, such as a name: trimmed, of 1 to `chars_max` characters, all of which can be seen.
///
/// # Errors
/// Names `what` it is and what is wrong with it.
pub fn line<'t>(what: &'static str, text: &'t str, chars_max: usize) -> Result<&'t str, BadLine> {
    let text = text.trim();
    if text.is_empty() {
        return Err(BadLine::Empty { what });
    }
    if text.chars().count() > chars_max {
        return Err(BadLine::TooLong { what, chars_max });
    }
    match text.chars().find(|c| is_hidden(*c)) {
        Some(hidden) => Err(BadLine::Hidden { what, code: hidden.into() }),
        None => Ok(text),
    }
}

/// Why a text is no [`line()`]; it says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    #[error("the {what} is empty: write one that people recognise")]
    Empty { what: &'static str },
    #[error("the {what} is too long: use at most {chars_max} characters")]
    TooLong { what: &'static str, chars_max: usize },
    #[error("the {what} holds a character that cannot be seen (U+{code:04X}): take it out")]
    Hidden { what: &'static str, code: u32 },
}

/// Control characters, line separators, and what turns the direction of writing: with them one name looks like another.
pub fn is_hidden(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
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
    fn a_line_is_not_cut_and_shows_all_that_it_holds() {
        assert_eq!(line("name", "  Café ☕ 👩\u{200d}🚒 خطأ ", 20), Ok("Café ☕ 👩\u{200d}🚒 خطأ"));
        assert_eq!(line("name", &"ä".repeat(100), 100).map(str::len), Ok(200));
        let long = BadLine::TooLong { what: "name", chars_max: 100 };
        assert_eq!(line("name", &"a".repeat(101), 100), Err(long));
        assert_eq!(line("name", " \t ", 100), Err(BadLine::Empty { what: "name" }));
        let hidden = "\0\u{7}\t\n\u{7f}\u{85}\u{9f}\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}";
        for c in hidden.chars() {
            let text = format!("a{c}b");
            assert_eq!(
                line("name", &text, 100),
                Err(BadLine::Hidden { what: "name", code: c.into() }),
                "{:x}",
                u32::from(c)
            );
        }
        let told = line("label", "invoice\u{202e}fdp.exe", 100).unwrap_err();
        assert_eq!(told.to_string(), "the label holds a character that cannot be seen (U+202E): take it out");
    }

    #[test]
    fn what_is_searched_is_found_in_small_and_capital_letters() {
        for (text, part) in [
            ("Ünïcode", "ÜNÏ"),
            ("ZAHLUNGSAUSGÄNGE", "gänge"),
            ("Οδυσσεύς", "ΟΔΥΣΣΕΎΣ"),
            ("ΟΔΥΣΣΕΥΣ", "οδυς"),
            ("İstanbul", "İST"),
            ("Оплата", "оплаТА"),
            ("\u{10400}", "\u{10428}"),
        ] {
            assert!(fold(text).contains(&fold(part)), "{text} {part}");
        }
        assert_eq!(fold("İ"), "i\u{307}", "longer than it was");
        assert_eq!(fold("ß ﬁ 京\0"), "ß ﬁ 京\0");
    }

    #[test]
    fn the_first_line_skips_blank_ones() {
        assert_eq!(first_line("\n  \n boom \nmore"), "boom");
        assert_eq!(first_line(""), "");
    }
}
