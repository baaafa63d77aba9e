//! Writes JSON strings.

/// Writes a string that is already in JSON's form between its quotes.
pub(super) fn raw(between_quotes: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(between_quotes.as_bytes());
    out.push(b'"');
}

/// Writes a text as a JSON string.
pub(super) fn text(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut from = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' | b'\\' => *byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            ..0x20 => b'u',
            _ => continue,
        };
        out.extend_from_slice(bytes.get(from..at).unwrap_or_default());
        out.extend_from_slice(&[b'\\', short]);
        if short == b'u' {
            out.extend_from_slice(&[b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]]);
        }
        from = at + 1;
    }
    out.extend_from_slice(bytes.get(from..).unwrap_or_default());
    out.push(b'"');
}

/// Writes at most `bytes_max` bytes of a text, the cut marked by `…`; tells whether it was cut.
pub(super) fn clipped(whole: &str, bytes_max: usize, out: &mut Vec<u8>) -> bool {
    const MARK: &str = "…";
    if whole.len() <= bytes_max {
        text(whole, out);
        return false;
    }
    let kept = whole.floor_char_boundary(bytes_max.saturating_sub(MARK.len()));
    text(&format!("{}{MARK}", &whole[..kept]), out);
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cut_text_is_marked_and_within_its_bound() {
        let mut out = Vec::new();
        assert!(clipped("ääää", 7, &mut out));
        assert_eq!(out, "\"ää…\"".as_bytes());
        out.clear();
        assert!(!clipped("ääää", 8, &mut out));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(whole in "(\\PC|[\\x00-\\x1f]|\"|\\\\){0,40}") {
            let mut out = Vec::new();
            text(&whole, &mut out);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), whole);
        }
    }
}
