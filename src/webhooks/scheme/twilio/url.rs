//! The spellings of an address that Twilio may have signed.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::outbound::Url;
use crate::webhooks::form;

/// What older encoders of queries leave as it is.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// The address as it is first, then without its port and with it, each also as browsers write it, as twilio's library for
/// Node does, and with the query encoded the older way.
pub(super) fn spellings(url: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let as_browsers = Url::parse(url).map_or_else(|_| url.to_owned(), String::from);
    for address in [url.to_owned(), as_browsers, reencoded(url)] {
        for spelled in [address.clone(), with_port(&address, Port::None), with_port(&address, Port::Standard)]
        {
            if !all.contains(&spelled) {
                all.push(spelled);
            }
        }
    }
    all
}

#[derive(Clone, Copy)]
enum Port {
    None,
    /// 443 or 80, where none is there.
    Standard,
}

/// The address as it is but for its port; what is no address stays.
fn with_port(url: &str, port: Port) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host_at = authority.rfind('@').map_or(0, |at| at + 1);
    // An IPv6 address has colons of its own, within its brackets.
    let search_from = authority.rfind(']').map_or(host_at, |at| at.max(host_at));
    let port_at = authority[search_from..].find(':').map(|at| at + search_from);
    let host = &authority[..port_at.unwrap_or(authority.len())];
    match (port, port_at) {
        (Port::None, _) => format!("{scheme}://{host}{path}"),
        (Port::Standard, Some(_)) => url.to_owned(),
        (Port::Standard, None) => {
            let number = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
            format!("{scheme}://{host}:{number}{path}")
        }
    }
}

/// The query decoded and encoded again: spaces become `%20`, an apostrophe stays.
fn reencoded(url: &str) -> String {
    let Some((before, _)) = url.split_once('?') else { return url.to_owned() };
    let encode = |bytes: &[u8]| utf8_percent_encode(&String::from_utf8_lossy(bytes), QUERY).to_string();
    let pairs: Vec<String> = form::pairs(form::query(url).as_bytes())
        .map(|(name, value)| format!("{}={}", encode(&name), encode(&value)))
        .collect();
    if pairs.is_empty() { url.to_owned() } else { format!("{before}?{}", pairs.join("&")) }
}

/// The address without the fields of this name in its query.
pub(super) fn without_field<'u>(url: &'u str, name: &str) -> Cow<'u, str> {
    let Some((before, query)) = url.split_once('?') else { return Cow::Borrowed(url) };
    let is_it = |pair: &&str| pair.split('=').next() == Some(name);
    if !query.split('&').any(|pair| is_it(&pair)) {
        return Cow::Borrowed(url);
    }
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_it(pair)).collect();
    let mark = if kept.is_empty() { "" } else { "?" };
    Cow::Owned(format!("{before}{mark}{}", kept.join("&")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_left_out_and_put_in() {
        for (url, without, with) in [
            ("https://a.example/x?y", "https://a.example/x?y", "https://a.example:443/x?y"),
            ("HTTP://a.example", "HTTP://a.example", "HTTP://a.example:80"),
            ("https://a.example:1234?y=:", "https://a.example?y=:", "https://a.example:1234?y=:"),
            ("https://u:p@a.example/x@:9", "https://u:p@a.example/x@:9", "https://u:p@a.example:443/x@:9"),
            ("https://[::1]:81/x", "https://[::1]/x", "https://[::1]:81/x"),
            ("https://u:p@[::1]/", "https://u:p@[::1]/", "https://u:p@[::1]:443/"),
            ("/only/a/path", "/only/a/path", "/only/a/path"),
        ] {
            assert_eq!(with_port(url, Port::None), without);
            assert_eq!(with_port(url, Port::Standard), with);
        }
    }

    #[test]
    fn a_field_is_taken_out_of_the_query_alone() {
        for (url, wanted) in [
            ("https://a/?x=1&h=2&y=3", "https://a/?x=1&y=3"),
            ("https://a/?h=2", "https://a/"),
            ("https://a/h=2?hh=2", "https://a/h=2?hh=2"),
            ("https://a/", "https://a/"),
        ] {
            assert_eq!(without_field(url, "h"), wanted);
        }
    }
}
