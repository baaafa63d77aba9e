//! From which web pages a browser key may be used.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Error;

/// The origins that a browser key accepts; empty: every one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Origins(pub Vec<OriginPattern>);

/// `*`, `shop.example`, `*.shop.example` (with `shop.example` itself), either with a scheme and a port.
///
/// What is not written may be anything, except that a scheme without a port means the scheme's own port, as in
/// an `Origin` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPattern {
    scheme: Option<String>,
    host: HostPattern,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostPattern {
    Any,
    Exactly(String),
    /// The name and everything below it.
    Below(String),
}

/// Whether a request from an origin may use the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginDecision {
    /// The key has no list.
    AllowedEverywhere,
    Allowed,
    /// The list is not for requests that say no origin; a browser always says one.
    NoOrigin,
    NotListed,
}

/// More than a product has front ends; the list is matched on every request.
pub(super) const ORIGINS_MAX: usize = 50;
/// The longest host name (RFC 1035 §2.3.4) with scheme and port.
const ORIGIN_BYTES_MAX: usize = 280;

impl Origins {
    /// Decides about the `Origin` header of a request (RFC 6454 §7).
    pub fn decide(&self, origin: Option<&str>) -> OriginDecision {
        if self.0.is_empty() {
            return OriginDecision::AllowedEverywhere;
        }
        match origin {
            None => OriginDecision::NoOrigin,
            Some(origin) if self.0.iter().any(|pattern| pattern.matches(origin)) => OriginDecision::Allowed,
            Some(_) => OriginDecision::NotListed,
        }
    }
}

impl OriginPattern {
    fn matches(&self, origin: &str) -> bool {
        if *self == Self::ANY {
            return true;
        }
        let Ok(Self { scheme: Some(scheme), host: HostPattern::Exactly(host), port }) = origin.parse() else {
            return false;
        };
        self.scheme.as_ref().is_none_or(|wanted| *wanted == scheme)
            && self.host.matches(&host)
            && (self.port == port || self.scheme.is_none() && self.port.is_none())
    }

    const ANY: Self = Self { scheme: None, host: HostPattern::Any, port: None };
}

impl HostPattern {
    fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(name) => host == name,
            Self::Below(name) => {
                host.strip_suffix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
        }
    }
}

impl FromStr for OriginPattern {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text.trim()).ok_or_else(|| Error::InvalidOrigin(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<OriginPattern> {
    if text.len() > ORIGIN_BYTES_MAX {
        return None;
    }
    let text = text.to_ascii_lowercase();
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme.to_owned()), rest),
        None => (None, text.as_str()),
    };
    let (host, port) = split_port(rest)?;
    let scheme_ok = scheme.as_deref().is_none_or(|s| {
        s.starts_with(|c: char| c.is_ascii_lowercase())
            && s.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    let host = match (host, host.strip_prefix("*.")) {
        ("*", _) => HostPattern::Any,
        (_, Some(name)) if is_host(name) => HostPattern::Below(name.to_owned()),
        (name, None) if is_host(name) => HostPattern::Exactly(name.to_owned()),
        (_, _) => return None,
    };
    let port = port.filter(|port| scheme.as_deref().and_then(default_port) != Some(*port));
    scheme_ok.then_some(OriginPattern { scheme, host, port })
}

/// Splits a port off; `None` where what stands after the colon is no port.
fn split_port(rest: &str) -> Option<(&str, Option<u16>)> {
    let digits_from = rest.rfind(']').unwrap_or(0);
    match rest[digits_from..].rfind(':') {
        None => Some((rest, None)),
        Some(at) => {
            let (host, port) = rest.split_at(digits_from + at);
            let digits = &port[1..];
            let plain = digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten().map(|port| (host, Some(port)))
        }
    }
}

fn is_host(name: &str) -> bool {
    if let Some(address) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_' || !c.is_ascii())
    };
    name.split('.').all(label)
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = &self.scheme {
            write!(f, "{scheme}://")?;
        }
        match &self.host {
            HostPattern::Any => f.write_str("*")?,
            HostPattern::Exactly(name) => f.write_str(name)?,
            HostPattern::Below(name) => write!(f, "*.{name}")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl Serialize for OriginPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for OriginPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_match_the_origins_they_name_and_no_others() {
        let table = [
            ("*", "https://anything.example", true),
            ("*", "null", true),
            ("shop.example", "https://shop.example", true),
            ("shop.example", "http://SHOP.example:3000", true),
            ("shop.example", "https://www.shop.example", false),
            ("shop.example", "https://evilshop.example", false),
            ("shop.example", "https://shop.example.evil.example", false),
            ("shop.example", "null", false),
            ("shop.example:8443", "https://shop.example:8443", true),
            ("shop.example:8443", "https://shop.example", false),
            ("https://shop.example", "https://shop.example", true),
            ("https://shop.example:443", "https://shop.example", true),
            ("https://shop.example", "https://shop.example:443", true),
            ("https://shop.example", "https://shop.example:8443", false),
            ("https://shop.example", "http://shop.example", false),
            ("*.shop.example", "https://a.b.shop.example", true),
            ("*.shop.example", "https://shop.example", true),
            ("*.shop.example", "https://evilshop.example", false),
            ("https://*.shop.example:8443", "https://a.shop.example:8443", true),
            ("https://*.shop.example:8443", "https://a.shop.example", false),
            ("https://*", "https://a.example", true),
            ("https://*", "http://a.example", false),
            ("localhost:3000", "http://localhost:3000", true),
            ("http://127.0.0.1:5173", "http://127.0.0.1:5173", true),
            ("http://[::1]:3000", "http://[::1]:3000", true),
            ("capacitor://localhost", "capacitor://localhost", true),
            ("shop.example", "https://shop.example/path", false),
        ];
        for (pattern, origin, expected) in table {
            let origins = Origins(vec![pattern.parse().unwrap()]);
            let decision = origins.decide(Some(origin));
            let wanted = if expected { OriginDecision::Allowed } else { OriginDecision::NotListed };
            assert_eq!(decision, wanted, "{pattern} against {origin}");
        }
    }

    #[test]
    fn an_empty_list_lets_everything_in_and_any_other_wants_an_origin() {
        assert_eq!(Origins::default().decide(None), OriginDecision::AllowedEverywhere);
        let one = Origins(vec!["*".parse().unwrap()]);
        assert_eq!(one.decide(None), OriginDecision::NoOrigin);
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for bad in
            ["", "https://", "a b", "https://a/b", "a.*", "*shop.example", "a:99999", "a:+80", "*.", "a..b"]
        {
            assert!(bad.parse::<OriginPattern>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_reads_back_as_written(text in "(https?://)?(\\*|(\\*\\.)?[a-z]{1,5}(\\.[a-z]{1,5}){0,2})(:[1-9][0-9]{0,3})?") {
            let pattern: OriginPattern = text.parse().unwrap();
            prop_assert_eq!(pattern.to_string().parse::<OriginPattern>().unwrap(), pattern);
        }

        #[test]
        fn no_text_breaks_the_matcher(pattern in "\\PC{0,30}", origin in "\\PC{0,30}") {
            if let Ok(pattern) = pattern.parse::<OriginPattern>() {
                pattern.matches(&origin);
            }
        }
    }
}
