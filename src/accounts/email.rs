use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::Error;
use crate::base::text::is_hidden;

/// An email address as people type it: trimmed, with one `@` and something on both sides. Compared without
/// regard to ASCII case; whether it exists only a delivered mail shows.
#[derive(Clone, Debug)]
pub struct Email(String);

/// The longest address that SMTP can carry (RFC 5321 §4.5.3.1.3, without the angle brackets).
const EMAIL_BYTES_MAX: usize = 254;

impl Email {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the `@`.
    pub fn local_part(&self) -> &str {
        self.0.split_once('@').map_or("", |(local, _)| local)
    }

    /// The spelling under which equal addresses are equal.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl FromStr for Email {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let (local, domain) = text.split_once('@').ok_or(Error::InvalidEmail)?;
        let strange = |c: char| c.is_whitespace() || is_hidden(c) || "<>(),;:\"@[]\\".contains(c);
        let empty = local.is_empty() || domain.split('.').any(str::is_empty);
        if empty || text.len() > EMAIL_BYTES_MAX || local.contains(strange) || domain.contains(strange) {
            return Err(Error::InvalidEmail);
        }
        Ok(Self(text.to_owned()))
    }
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Email {}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Email {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_told_from_other_text() {
        for good in ["a@b", " ada@example.com ", "a.b+c@sub.example.com", "root@localhost", "ä@ö.example"] {
            assert!(good.parse::<Email>().is_ok(), "{good}");
        }
        let long = format!("{}@example.com", "a".repeat(250));
        for bad in
            ["", "ada", "@b", "a@", "a@b@c", "a b@c", "a@b\r\nBcc: x@y", "<a@b>", "a@b..c", "a,b@c", &long]
        {
            assert!(bad.parse::<Email>().is_err(), "{bad}");
        }
        assert_eq!("Ada@Example.com".parse::<Email>().unwrap(), "ada@example.COM".parse().unwrap());
    }

    proptest! {
        #[test]
        fn an_address_never_breaks_a_mail_header(text in "\\PC{0,20}@\\PC{0,20}|[\\x00-\\x7f]{0,30}") {
            if let Ok(email) = text.parse::<Email>() {
                prop_assert!(!email.as_str().chars().any(|c| c.is_control() || c.is_whitespace()));
                prop_assert_eq!(email.as_str().matches('@').count(), 1);
            }
        }
    }
}
