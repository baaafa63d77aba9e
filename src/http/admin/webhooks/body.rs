//! What a request brought, made readable. Bounded and written out: a page must open, and show what is there, whatever
//! came.

use std::fmt::Write as _;

use actix_web::web::Query;
use serde::de::IgnoredAny;

use super::super::values::Pair;
use crate::base::figures::bytes;
use crate::base::text::is_hidden;

/// A body in the form in which it is read most easily.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Readable {
    Empty,
    /// Indented; numbers, the order of members and escapes stay as they came.
    Json(String),
    Form(Vec<Pair>),
    Text,
    /// The provider compressed it, and its signature is over that.
    Compressed(String),
    NoText,
}

/// A body as a page shows it.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) readable: Readable,
    /// As it came, the beginning of it; bytes that are no text and characters that cannot be seen are written out.
    pub(super) raw: String,
    /// Says that there is more; empty where there is not.
    pub(super) cut: String,
}

/// More of a body is no reading; the rest is in the file that can be saved.
pub(super) const SHOWN_BYTES_MAX: usize = 64 * 1024;
const INDENTED_BYTES_MAX: usize = 4 * SHOWN_BYTES_MAX;
/// Fields of a form.
const FIELDS_MAX: usize = 500;

impl Shown {
    pub(super) fn new(body: &[u8], content_type: &str, encoding: Option<&str>) -> Self {
        let shown = &body[..body.len().min(SHOWN_BYTES_MAX)];
        let cut = if shown.len() < body.len() {
            let (here, all) = (bytes(shown.len() as u64), bytes(body.len() as u64));
            format!("The first {here} of {all} are shown. Save it to see the rest.")
        } else {
            String::new()
        };
        Self { readable: read(body, content_type, encoding), raw: visible(shown), cut }
    }
}

fn read(body: &[u8], content_type: &str, encoding: Option<&str>) -> Readable {
    if body.is_empty() {
        return Readable::Empty;
    }
    if let Some(encoding) = encoding.filter(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Readable::Compressed(encoding.to_owned());
    }
    let Ok(text) = std::str::from_utf8(body) else { return Readable::NoText };
    // Beyond what is shown only a reader who saves it gets on.
    if body.len() > SHOWN_BYTES_MAX {
        return Readable::Text;
    }
    if content_type.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
        return form(text);
    }
    if serde_json::from_str::<IgnoredAny>(text).is_err() {
        return Readable::Text;
    }
    let indented = indented(text);
    // Deep lists of small things are mostly indentation.
    if indented.len() > INDENTED_BYTES_MAX {
        Readable::Text
    } else {
        Readable::Json(visible(indented.as_bytes()))
    }
}

fn form(text: &str) -> Readable {
    let Ok(fields) = Query::<Vec<(String, String)>>::from_query(text) else { return Readable::Text };
    let pair = |(name, value): (String, String)| Pair {
        name: visible(name.as_bytes()),
        value: visible(value.as_bytes()),
    };
    Readable::Form(fields.into_inner().into_iter().take(FIELDS_MAX).map(pair).collect())
}

/// Valid JSON with its lines broken and indented; nothing else of it is changed.
fn indented(json: &str) -> String {
    let (mut out, mut depth) = (String::with_capacity(json.len() * 2), 0_usize);
    let (mut is_in_text, mut is_escaped) = (false, false);
    let mut rest = json.chars().peekable();
    while let Some(c) = rest.next() {
        if is_in_text {
            out.push(c);
            is_in_text = is_escaped || c != '"';
            is_escaped = c == '\\' && !is_escaped;
            continue;
        }
        match c {
            '"' => {
                is_in_text = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while rest.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(end) = rest.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

/// Bytes as text: what is no text, and what cannot be seen, is written out as `\xff` and `\u{202e}`.
pub(super) fn visible(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' | '\t' => text.push(c),
                '\r' => text.push_str("\\r"),
                c if is_hidden(c) => text.extend(c.escape_unicode()),
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            write!(text, "\\x{byte:02x}").ok();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn json_is_indented_and_nothing_else_of_it_changes() {
        let json =
            r#" {"b":1.50,"a":[ ],"n":12345678901234567890123,"t":"x{,\"}\\","o":{"k":[1,null]}, "b":2}"#;
        let expected = "{\n  \"b\": 1.50,\n  \"a\": [],\n  \"n\": 12345678901234567890123,\n  \
                        \"t\": \"x{,\\\"}\\\\\",\n  \"o\": {\n    \"k\": [\n      1,\n      null\n    ]\n  },\n  \"b\": 2\n}";
        assert_eq!(
            Shown::new(json.as_bytes(), "text/plain", None).readable,
            Readable::Json(expected.to_owned())
        );
    }

    #[test]
    fn each_body_is_read_as_what_it_is() {
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        let fields = vec![Pair { name: "From".to_owned(), value: "+49 1".to_owned() }];
        let table = [
            (&b""[..], "", None, Readable::Empty),
            (b"From=%2B49+1", form, None, Readable::Form(fields)),
            (b"{\"a\":", "application/json", None, Readable::Text),
            (b"hello", "text/plain", Some("identity"), Readable::Text),
            (b"\x1f\x8b\x08", "application/json", Some("gzip"), Readable::Compressed("gzip".to_owned())),
            (b"\xff\xfe", "", None, Readable::NoText),
        ];
        for (body, content_type, encoding, expected) in table {
            assert_eq!(Shown::new(body, content_type, encoding).readable, expected, "{body:?}");
        }
    }

    #[test]
    fn a_large_body_is_cut_and_says_so() {
        let shown = Shown::new(&vec![b'x'; SHOWN_BYTES_MAX + 1], "text/plain", None);
        assert_eq!(shown.raw.len(), SHOWN_BYTES_MAX);
        assert!(shown.cut.ends_with("Save it to see the rest."), "{}", shown.cut);
        assert_eq!(Shown::new(b"x", "", None).cut, "");
    }

    #[test]
    fn what_cannot_be_seen_is_written_out() {
        assert_eq!(visible(b"a\r\nb\0\xff\tc"), "a\\r\nb\\u{0}\\xff\tc");
        assert_eq!(visible("x\u{202e}y ä".as_bytes()), "x\\u{202e}y ä");
    }

    proptest! {
        #[test]
        fn what_is_indented_says_the_same(value in "[a-z\\[\\]{}:, \"\\\\]{0,12}", number: i64) {
            let json = serde_json::json!({"a": [value, {"n": number}, [], {}]});
            let read: serde_json::Value = serde_json::from_str(&indented(&json.to_string())).unwrap();
            prop_assert_eq!(read, json);
        }

        #[test]
        fn whatever_comes_is_shown(body: Vec<u8>, content_type in ".{0,40}") {
            let shown = Shown::new(&body, &content_type, None);
            prop_assert!(!shown.raw.chars().any(|c| is_hidden(c) && !matches!(c, '\n' | '\t')));
        }
    }
}
