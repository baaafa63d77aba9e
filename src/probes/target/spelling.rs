//! How bytes, and hosts with ports, are written in a target.

/// What stands after a backslash and means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("“{0}” is no escape: use \\r, \\n, \\t, \\\\ or \\xNN")]
pub struct BadEscape(String);

/// The bytes that a text of a dialogue stands for: `\r`, `\n`, `\t`, `\\` and `\xNN` are one byte each.
///
/// # Errors
/// [`BadEscape`].
pub fn bytes_of(text: &str) -> Result<Vec<u8>, BadEscape> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let bad = || BadEscape(format!("\\{}", after.chars().next().map_or_else(String::new, String::from)));
        let (byte, length) = escaped(after).ok_or_else(bad)?;
        bytes.push(byte);
        rest = &after[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// The byte that stands after a backslash, and how many characters wrote it.
fn escaped(after: &str) -> Option<(u8, usize)> {
    Some(match after.as_bytes().first()? {
        b'r' => (b'\r', 1),
        b'n' => (b'\n', 1),
        b't' => (b'\t', 1),
        b'\\' => (b'\\', 1),
        b'x' => {
            let digits = after.get(1..3).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
            (u8::from_str_radix(digits, 16).ok()?, 3)
        }
        _ => return None,
    })
}

/// `host`, `host:port`, `[v6]:port` or an address of IPv6 by itself; the host without brackets. `None` where what
/// stands after the colon is no port.
pub fn host_and_port(text: &str, default_port: u16) -> Option<(&str, u16)> {
    if let Some((address, after)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return match after.strip_prefix(':') {
            Some(port) => Some((address, port.parse().ok()?)),
            None => after.is_empty().then_some((address, default_port)),
        };
    }
    match text.split_once(':') {
        Some((_, after)) if after.contains(':') => Some((text, default_port)),
        Some((host, port)) => Some((host, port.parse().ok()?)),
        None => Some((text, default_port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_stand_for_bytes() {
        assert_eq!(bytes_of(r"QUIT\r\n\t\\\x00\xfFé").unwrap(), b"QUIT\r\n\t\\\0\xff\xc3\xa9");
        for (text, bad) in [(r"\q", r"\q"), (r"a\", r"\"), (r"\x", r"\x"), (r"\x+1", r"\x"), (r"\xé", r"\x")]
        {
            let told = bytes_of(text).unwrap_err().to_string();
            assert!(told.starts_with(&format!("“{}", &bad[..1])), "{text}: {told}");
        }
    }

    #[test]
    fn hosts_and_ports_are_told_apart() {
        for (text, read) in [
            ("a", Some(("a", 53))),
            ("a:5353", Some(("a", 5353))),
            ("::1", Some(("::1", 53))),
            ("[::1]", Some(("::1", 53))),
            ("[::1]:5353", Some(("::1", 5353))),
            ("a:b", None),
            ("a:", None),
            ("[::1]5", None),
            ("a:70000", None),
        ] {
            assert_eq!(host_and_port(text, 53), read, "{text}");
        }
    }
}
