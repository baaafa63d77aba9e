//! A heartbeat's name in addresses.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::base::text::plain_letters;

/// 1 to 100 of `a-z 0-9 _ -`, as the clients of healthchecks.io send them; unique in its project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slug(String);

/// The longest that healthchecks.io makes.
pub const SLUG_CHARS_MAX: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a heartbeat's slug has 1 to {SLUG_CHARS_MAX} characters of a-z, 0-9, _ and -")]
pub struct BadSlug;

impl Slug {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Makes a slug of what a client calls its job; `None` where nothing of it can stand in one.
    pub fn derive(name: &str) -> Option<Self> {
        let mut slug = String::new();
        for c in plain_letters(name).chars() {
            if is_allowed(c) {
                slug.push(c);
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
            if slug.len() == SLUG_CHARS_MAX {
                break;
            }
        }
        slug.trim_end_matches('-').parse().ok()
    }
}

const fn is_allowed(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '_' | '-')
}

impl FromStr for Slug {
    type Err = BadSlug;

    fn from_str(text: &str) -> Result<Self, BadSlug> {
        let fits = (1..=SLUG_CHARS_MAX).contains(&text.len()) && text.chars().all(is_allowed);
        if fits { Ok(Self(text.to_owned())) } else { Err(BadSlug) }
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
    use super::*;

    #[test]
    fn only_what_clients_may_send_is_a_slug() {
        for good in ["backup", "a", "nightly_db-2", "-", &"x".repeat(100)] {
            assert_eq!(good.parse::<Slug>().unwrap().as_str(), good);
        }
        for bad in ["", "Backup", "a b", "ä", "a/b", &"x".repeat(101)] {
            assert_eq!(bad.parse::<Slug>(), Err(BadSlug), "{bad}");
        }
    }

    #[test]
    fn a_slug_is_made_of_any_name() {
        assert_eq!(Slug::derive("Nightly Backup: DB").unwrap().as_str(), "nightly-backup-db");
        assert_eq!(
            Slug::derive("Nächtliche Prüfung à la Łódź").unwrap().as_str(),
            "naechtliche-pruefung-a-la-lodz"
        );
        assert_eq!(Slug::derive("Na\u{308}chtlich").unwrap().as_str(), "naechtlich");
        assert_eq!(Slug::derive("文!"), None);
    }

    proptest::proptest! {
        #[test]
        fn what_is_derived_is_a_slug(name in "\\PC{0,200}") {
            if let Some(slug) = Slug::derive(&name) {
                proptest::prop_assert_eq!(slug.as_str().parse(), Ok(slug.clone()));
            }
        }
    }
}
