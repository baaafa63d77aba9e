use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::Error;
use crate::base::text::plain_letters;

/// A project's short name in addresses: 1 to 50 of `a-z 0-9 -`, no dash at the ends, not only digits (those
/// are project numbers), none of the reserved words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slug(String);

/// Fits a subject line and a short id such as `SHOP-142` with room to spare.
const SLUG_CHARS_MAX: usize = 50;

/// Words that stand in the place of a slug in addresses, or mean "no project" in a filter.
const RESERVED: [&str; 12] =
    ["all", "any", "api", "create", "edit", "me", "new", "none", "null", "self", "settings", "tocsin"];

impl Slug {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Makes a slug of a project's name; `project` where the name has nothing to make one of.
    pub fn derive(name: &str) -> Self {
        let name = plain_letters(name);
        let words: Vec<_> =
            name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
        let joined = words.join("-");
        let cut = &joined[..joined.len().min(SLUG_CHARS_MAX)];
        let trimmed = cut.trim_end_matches('-');
        trimmed
            .parse()
            .or_else(|_| Self::suffixed("project", trimmed))
            .unwrap_or_else(|_| Self("project".to_owned()))
    }

    /// This slug with `-number` at its end, cut to fit.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        Self::suffixed(&self.0, &number.to_string()).unwrap_or_else(|_| self.clone())
    }

    fn suffixed(stem: &str, suffix: &str) -> Result<Self, Error> {
        let room = SLUG_CHARS_MAX.saturating_sub(suffix.len() + 1);
        let stem = stem[..stem.len().min(room)].trim_end_matches('-');
        format!("{stem}-{suffix}").parse()
    }
}

impl FromStr for Slug {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let shaped = (1..=SLUG_CHARS_MAX).contains(&text.len())
            && text.bytes().all(allowed)
            && !text.starts_with('-')
            && !text.ends_with('-')
            && !text.bytes().all(|b| b.is_ascii_digit());
        if !shaped {
            return Err(Error::InvalidSlug);
        }
        if RESERVED.contains(&text) {
            return Err(Error::ReservedSlug(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Slug {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slugs_are_derived_from_names() {
        let table = [
            ("Shop", "shop"),
            ("My Shop (EU)", "my-shop-eu"),
            ("  --  ", "project"),
            ("Käse & Brot", "kaese-brot"),
            ("2026", "project-2026"),
            ("New", "project-new"),
            ("tocsin", "project-tocsin"),
        ];
        for (name, slug) in table {
            assert_eq!(Slug::derive(name).as_str(), slug, "{name}");
        }
    }

    #[test]
    fn what_is_no_slug_is_refused_with_its_reason() {
        for bad in ["", "-a", "a-", "A", "a b", "a_b", "12", "ä", &"a".repeat(51)] {
            assert!(matches!(bad.parse::<Slug>(), Err(Error::InvalidSlug)), "{bad}");
        }
        assert!(matches!("settings".parse::<Slug>(), Err(Error::ReservedSlug(_))));
        assert!("default".parse::<Slug>().is_ok());
    }

    proptest! {
        #[test]
        fn every_name_gives_a_valid_slug(name in "\\PC{0,80}|[a-z-]{0,80}|[0-9]{1,60}", number in 2u32..) {
            let slug = Slug::derive(&name);
            prop_assert!(slug.as_str().parse::<Slug>().is_ok(), "{}", slug);
            let numbered = slug.numbered(number);
            prop_assert!(numbered.as_str().parse::<Slug>().is_ok(), "{}", numbered);
            prop_assert!(numbered != slug || slug.as_str().ends_with(&number.to_string()));
        }
    }
}
