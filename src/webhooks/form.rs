//! Bodies and queries of the type `application/x-www-form-urlencoded`, as bytes: they need not be UTF-8.

use percent_encoding::percent_decode;

/// More are no form that a provider sends; each takes some memory of its own.
pub const PAIRS_MAX: usize = 1000;

/// The pairs of a form in their order, decoded: `+` is a space, a broken `%` stands for itself. Empty pairs are left out.
pub fn pairs(form: &[u8]) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let name = halves.next().unwrap_or_default();
        (decode(name), decode(halves.next().unwrap_or_default()))
    })
}

/// How many pairs a form may have, before any of them is decoded.
pub fn count(form: &[u8]) -> usize {
    form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).count()
}

fn decode(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).collect()
}

/// Whether a value of `Content-Type` names a form.
pub fn is_form(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// What stands behind the first `?` of a URL, without its fragment; empty where nothing does.
pub fn query(url: &str) -> &str {
    let whole = url.split('#').next().unwrap_or_default();
    whole.split_once('?').map_or("", |(_, query)| query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_bytes() {
        let read: Vec<(Vec<u8>, Vec<u8>)> = pairs(b"a=1+2&b=%2B%ff&&c&d=x=y&%zz=%").collect();
        let wanted: [(&[u8], &[u8]); 5] =
            [(b"a", b"1 2"), (b"b", b"+\xff"), (b"c", b""), (b"d", b"x=y"), (b"%zz", b"%")];
        assert_eq!(read, wanted.map(|(name, value)| (name.to_vec(), value.to_vec())));
        assert_eq!(pairs(b"").count(), 0);
    }

    #[test]
    fn a_query_ends_before_the_fragment() {
        assert_eq!(query("https://a.example/b?c=d?e#f?g"), "c=d?e");
        assert_eq!(query("https://a.example/b#f?g"), "");
    }

    #[test]
    fn the_type_of_a_form_may_have_parameters() {
        assert!(is_form("Application/X-WWW-Form-Urlencoded; charset=UTF-8"));
        assert!(!is_form("application/json") && !is_form(""));
    }
}
