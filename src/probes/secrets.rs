//! Secrets of a probe, and the places in its target that stand for them.

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

use super::target::Target;
use crate::base::Secret;

/// Secrets by their names, which are `[a-z0-9_]`.
#[derive(Clone, Debug, Default)]
pub struct Secrets(pub BTreeMap<String, Secret>);

/// A target names a secret that the probe has not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{{{{{0}}}}} stands for a secret that is not there")]
pub struct Missing(pub String);

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

impl Secrets {
    /// The target with its secrets in their places. Never shown, never stored.
    ///
    /// # Errors
    /// The first name that stands for nothing.
    pub fn fill(&self, target: &Target) -> Result<Target, Missing> {
        let mut tree = serde_json::to_value(target).unwrap_or_default();
        self.fill_tree(&mut tree)?;
        let mut filled = serde_json::from_value(tree).unwrap_or_else(|_| target.clone());
        // Only these have a user and a password in an address.
        if let (Target::Postgres(filled), Target::Postgres(target)) = (&mut filled, target) {
            filled.url = self.fill_url(&target.url)?;
        }
        if let (Target::Redis(filled), Target::Redis(target)) = (&mut filled, target) {
            filled.url = self.fill_url(&target.url)?;
        }
        Ok(filled)
    }

    /// A password is kept as it is typed to sign in; before the host of an address it stands encoded.
    fn fill_url(&self, url: &str) -> Result<String, Missing> {
        let Some((scheme, (user, host))) =
            url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?)))
        else {
            return self.fill_text(url);
        };
        let encode = |secret: &str| utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
        let user = self.fill_with(user, encode)?;
        Ok(format!("{scheme}://{user}@{}", self.fill_text(host)?))
    }

    fn fill_tree(&self, tree: &mut Value) -> Result<(), Missing> {
        match tree {
            Value::String(text) => *text = self.fill_text(text)?,
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.fill_tree(item))?,
            Value::Object(members) => members.values_mut().try_for_each(|value| self.fill_tree(value))?,
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        Ok(())
    }

    fn fill_text(&self, text: &str) -> Result<String, Missing> {
        self.fill_with(text, str::to_owned)
    }

    fn fill_with(&self, text: &str, written: impl Fn(&str) -> String) -> Result<String, Missing> {
        let mut filled = String::with_capacity(text.len());
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Name(name) => {
                    let secret = self.0.get(name).ok_or_else(|| Missing(name.to_owned()))?;
                    filled.push_str(&written(secret.expose()));
                }
            }
        }
        Ok(filled)
    }
}

/// Whether one of the probe's secrets belongs into `text`.
pub fn has_secret(text: &str) -> bool {
    pieces(text).any(|piece| matches!(piece, Piece::Name(_)))
}

/// Whether `text` is one secret and nothing else: then nothing is known of its form.
pub fn is_secret(text: &str) -> bool {
    let mut pieces = pieces(text.trim());
    matches!((pieces.next(), pieces.next()), (Some(Piece::Name(_)), None))
}

/// `text` with a word in each secret's place: for checks of its form before the secrets are known.
pub fn with_stand_ins(text: &str) -> String {
    pieces(text)
        .map(|piece| match piece {
            Piece::Text(text) => text,
            Piece::Name(_) => "secret",
        })
        .collect()
}

/// The address of a database with `{{password}}` where a plain password stood, and that password as it is typed to sign
/// in. What has none, or names a secret already, comes back as it is.
pub fn take_from_url(url: &str) -> (String, Option<Secret>) {
    let unchanged = || (url.to_owned(), None);
    let Some((scheme, rest)) = url.split_once("://") else { return unchanged() };
    let Some((sign_in, host)) = rest.rsplit_once('@') else { return unchanged() };
    let Some((user, password)) = sign_in.split_once(':') else { return unchanged() };
    if password.is_empty() || has_secret(password) {
        return unchanged();
    }
    // What is typed without encoding is meant as it stands.
    let plain = percent_decode_str(password).decode_utf8().map_or_else(|_| password.to_owned(), Into::into);
    (format!("{scheme}://{user}:{OPEN}{PASSWORD}{CLOSE}@{host}"), Some(Secret::new(plain)))
}

/// What [`take_from_url`] calls the secret.
pub const PASSWORD: &str = "password";

/// The names of all secrets that a target asks for.
pub fn names(target: &Target) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(&serde_json::to_value(target).unwrap_or_default(), &mut found);
    found
}

fn collect(tree: &Value, found: &mut BTreeSet<String>) {
    match tree {
        Value::String(text) => found.extend(pieces(text).filter_map(|piece| match piece {
            Piece::Name(name) => Some(name.to_owned()),
            Piece::Text(_) => None,
        })),
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(members) => members.values().for_each(|value| collect(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

enum Piece<'t> {
    Text(&'t str),
    Name(&'t str),
}

/// Braces around anything that is no name are text: JSON bodies are full of them.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut from = 0;
        while let Some(at) = rest[from..].find(OPEN).map(|at| from + at) {
            let inside = &rest[at + OPEN.len()..];
            match inside.split_once(CLOSE) {
                Some((name, after)) if is_name(name) => {
                    if at > 0 {
                        let (head, tail) = rest.split_at(at);
                        rest = tail;
                        return Some(Piece::Text(head));
                    }
                    rest = after;
                    return Some(Piece::Name(name));
                }
                _ => from = at + 1,
            }
        }
        Some(Piece::Text(std::mem::take(&mut rest)))
    })
}

/// Whether a secret can be called so.
pub fn is_name(name: &str) -> bool {
    (1..=40).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        Secrets([("key".to_owned(), Secret::new("s3cr{{et}}"))].into())
    }

    fn target(url: &str, body: &str) -> Target {
        serde_json::from_value(serde_json::json!({
            "kind": "http", "url": url, "body": body, "headers": {"authorization": "Bearer {{key}}"},
        }))
        .unwrap()
    }

    #[test]
    fn places_are_filled_once_and_other_braces_stay() {
        let asked = target("https://x.example/{{key}}", r#"{"a":{"b":{{key}}}}{{ no }}{{"#);
        assert_eq!(names(&asked), ["key".to_owned()].into());
        let Target::Http(http) = secrets().fill(&asked).unwrap() else { unreachable!() };
        assert_eq!(http.url, "https://x.example/s3cr{{et}}");
        assert_eq!(http.body.unwrap(), r#"{"a":{"b":s3cr{{et}}}}{{ no }}{{"#);
        assert_eq!(http.headers["authorization"], "Bearer s3cr{{et}}");
        assert_eq!(with_stand_ins("https://{{key}}.x/{{ no }}"), "https://secret.x/{{ no }}");
    }

    #[test]
    fn a_secret_that_is_not_there_is_named() {
        assert_eq!(secrets().fill(&target("https://{{host}}/", "")).unwrap_err(), Missing("host".to_owned()));
        assert_eq!(Missing("host".to_owned()).to_string(), "{{host}} stands for a secret that is not there");
    }

    #[test]
    fn a_password_in_an_address_becomes_a_secret_and_comes_back_encoded() {
        for (url, without, password) in [
            ("postgres://u:p%40ss@h/db", "postgres://u:{{password}}@h/db", Some("p@ss")),
            ("rediss://:a/b?c#d@e@h:6379/0", "rediss://:{{password}}@h:6379/0", Some("a/b?c#d@e")),
            ("redis://:100%@h", "redis://:{{password}}@h", Some("100%")),
            ("postgres://u:{{key}}@h/db", "postgres://u:{{key}}@h/db", None),
            ("postgres://u@h/db", "postgres://u@h/db", None),
            ("postgres://u:@h/db", "postgres://u:@h/db", None),
            ("h:5432", "h:5432", None),
        ] {
            let (found, secret) = take_from_url(url);
            assert_eq!(found, without);
            assert_eq!(secret.map(|secret| secret.expose().to_owned()).as_deref(), password, "{url}");
        }
        let (url, secret) = take_from_url("redis://:a/b%@h/0");
        let secrets = Secrets([(PASSWORD.to_owned(), secret.unwrap())].into());
        let target: Target =
            serde_json::from_value(serde_json::json!({"kind": "redis", "url": url})).unwrap();
        let Target::Redis(redis) = secrets.fill(&target).unwrap() else { unreachable!() };
        assert_eq!(redis.url, "redis://:a%2Fb%25@h/0");
    }

    #[test]
    fn a_whole_address_may_be_a_secret() {
        let secrets = Secrets([("url".to_owned(), Secret::new("postgres://u:p%2Fw@h/db"))].into());
        let target: Target =
            serde_json::from_value(serde_json::json!({"kind": "postgres", "url": "{{url}}"})).unwrap();
        let Target::Postgres(postgres) = secrets.fill(&target).unwrap() else { unreachable!() };
        assert_eq!(postgres.url, "postgres://u:p%2Fw@h/db");
    }

    proptest::proptest! {
        #[test]
        fn what_names_nothing_stays_as_it_is(text in "[{} a-z]{0,30}") {
            if let Ok(filled) = Secrets::default().fill_text(&text) {
                proptest::prop_assert_eq!(filled, text);
            }
        }
    }
}
