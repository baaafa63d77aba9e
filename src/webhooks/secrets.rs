//! Secrets of sources and destinations, and the places in a destination's headers that stand for them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::base::{Secret, Timestamp};

/// What a destination's own signing secret is called.
pub const SIGNING: &str = "signing";
/// Of one source: the one in use, the one before it, and some that were forgotten there.
pub const SOURCE_SECRETS_MAX: usize = 5;
/// A private key is about 2 KiB; a token less.
pub const SECRET_BYTES_MAX: usize = 8 * 1024;

/// One of the secrets by which a source is believed. Any of them will do; the newest signs.
#[derive(Clone, Debug)]
pub struct Dated {
    pub secret: Secret,
    pub added_at: Timestamp,
}

/// The secrets of a source, the newest first.
#[derive(Clone, Debug, Default)]
pub struct SourceSecrets(pub Vec<Dated>);

/// The secrets of a destination by their names, which are `[a-z0-9_]`.
#[derive(Clone, Debug, Default)]
pub struct Secrets(pub BTreeMap<String, Secret>);

/// A header names a secret that the destination has not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{{{{{0}}}}} stands for a secret that is not there: enter it under this name")]
pub struct Missing(pub String);

impl SourceSecrets {
    /// Those of `wanted`, in their order; one that was there already keeps its time.
    #[must_use]
    pub fn replaced(&self, wanted: &[Secret], now: Timestamp) -> Self {
        let known = |secret: &Secret| self.0.iter().find(|dated| dated.secret.matches(secret.expose()));
        let dated = |secret: &Secret| Dated {
            secret: secret.clone(),
            added_at: known(secret).map_or(now, |dated| dated.added_at),
        };
        Self(wanted.iter().map(dated).collect())
    }

    /// Without their times, as a scheme takes them.
    pub fn plain(&self) -> Vec<Secret> {
        self.0.iter().map(|dated| dated.secret.clone()).collect()
    }

    pub fn newest(&self) -> Option<&Secret> {
        self.0.first().map(|dated| &dated.secret)
    }

    pub(super) fn same(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|(one, other)| one.secret.matches(other.secret.expose()))
    }

    /// As it is sealed.
    pub(super) fn written(&self) -> Secret {
        let all: Vec<Value> = self
            .0
            .iter()
            .map(|dated| json!({"secret": dated.secret.expose(), "at": dated.added_at.as_micros()}))
            .collect();
        Secret::new(Value::Array(all).to_string())
    }

    pub(super) fn read(text: &Secret) -> Option<Self> {
        let all: Vec<Value> = serde_json::from_str(text.expose()).ok()?;
        let dated = |value: Value| {
            let secret = Secret::new(value.get("secret")?.as_str()?);
            Some(Dated { secret, added_at: Timestamp::from_micros(value.get("at")?.as_i64()?) })
        };
        all.into_iter().map(dated).collect::<Option<_>>().map(Self)
    }
}

impl Secrets {
    /// `text` with the secrets in their places.
    ///
    /// # Errors
    /// The first name that stands for nothing.
    pub fn fill(&self, text: &str) -> Result<String, Missing> {
        let mut filled = String::with_capacity(text.len());
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Name(name) => {
                    let secret = self.0.get(name).ok_or_else(|| Missing(name.to_owned()))?;
                    filled.push_str(secret.expose());
                }
            }
        }
        Ok(filled)
    }

    pub(super) fn same(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|((name, secret), (other_name, other))| {
                name == other_name && secret.matches(other.expose())
            })
    }

    pub(super) fn written(&self) -> Secret {
        let named: BTreeMap<&str, &str> =
            self.0.iter().map(|(name, secret)| (name.as_str(), secret.expose())).collect();
        Secret::new(json!(named).to_string())
    }

    pub(super) fn read(text: &Secret) -> Option<Self> {
        serde_json::from_str(text.expose()).ok().map(Self)
    }
}

/// The names of the secrets that stand in `text`.
pub fn names(text: &str) -> BTreeSet<String> {
    let name = |piece| match piece {
        Piece::Name(name) => Some(str::to_owned(name)),
        Piece::Text(_) => None,
    };
    pieces(text).filter_map(name).collect()
}

/// Whether a secret can be called so.
pub fn is_name(name: &str) -> bool {
    (1..=40).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

enum Piece<'t> {
    Text(&'t str),
    Name(&'t str),
}

/// Braces around anything that is no name are text.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (at, name) = next_name(rest)?;
        if at > 0 {
            let (head, tail) = rest.split_at(at);
            rest = tail;
            return Some(Piece::Text(head));
        }
        rest = &rest[name.map_or(rest.len(), |name| name.len() + 4)..];
        name.map(Piece::Name)
    })
}

/// Where the next name begins, or where the text ends.
fn next_name(text: &str) -> Option<(usize, Option<&str>)> {
    if text.is_empty() {
        return None;
    }
    let found = text.char_indices().find_map(|(at, _)| {
        let (name, _) = text[at..].strip_prefix("{{")?.split_once("}}")?;
        is_name(name).then_some((at, Some(name)))
    });
    Some(found.unwrap_or((text.len(), None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_once_and_other_braces_stay() {
        let secrets = Secrets([("key".to_owned(), Secret::new("s3cr{{key}}"))].into());
        for (text, filled) in [
            ("Bearer {{key}}", "Bearer s3cr{{key}}"),
            ("{{key}}{{key}}.", "s3cr{{key}}s3cr{{key}}."),
            ("{{{key}}}", "{s3cr{{key}}}"),
            ("{{ no }} {{", "{{ no }} {{"),
            ("", ""),
        ] {
            assert_eq!(secrets.fill(text).unwrap(), filled, "{text}");
        }
        assert_eq!(names("{{key}} {{ no }} {{b}}"), ["b".to_owned(), "key".to_owned()].into());
        assert_eq!(secrets.fill("{{other}}"), Err(Missing("other".to_owned())));
    }

    #[test]
    fn a_secret_that_stays_keeps_its_time() {
        let at = Timestamp::from_secs;
        let first = SourceSecrets::default().replaced(&[Secret::new("a")], at(1));
        let both = first.replaced(&[Secret::new("b"), Secret::new("a")], at(2));
        let times: Vec<_> = both.0.iter().map(|dated| dated.added_at).collect();
        assert_eq!(times, [at(2), at(1)]);
        let again = SourceSecrets::read(&both.written()).unwrap();
        assert!(again.same(&both) && !again.same(&first));
        assert_eq!(again.newest().unwrap().expose(), "b");
    }

    proptest::proptest! {
        #[test]
        fn what_names_nothing_stays_as_it_is(text in "[{} a-zä]{0,30}") {
            if let Ok(filled) = Secrets::default().fill(&text) {
                proptest::prop_assert_eq!(filled, text);
            }
        }
    }
}
