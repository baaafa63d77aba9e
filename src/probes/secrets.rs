//! Secrets of a probe, and the places in its target that stand for them.

use std::collections::{BTreeMap, BTreeSet};

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
        Ok(serde_json::from_value(tree).unwrap_or_else(|_| target.clone()))
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

    /// `text` without any secret that it might repeat: for samples and reasons.
    pub fn hide(&self, text: &str) -> String {
        let mut hidden = text.to_owned();
        for secret in self.0.values().filter(|secret| secret.expose().len() >= HIDDEN_BYTES_MIN) {
            hidden = hidden.replace(secret.expose(), "[secret]");
        }
        hidden
    }
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

/// A shorter one stands everywhere by chance.
const HIDDEN_BYTES_MIN: usize = 4;

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
        assert_eq!(secrets().hide("no s3cr{{et}} here"), "no [secret] here");
    }

    #[test]
    fn a_secret_that_is_not_there_is_named() {
        assert_eq!(secrets().fill(&target("https://{{host}}/", "")).unwrap_err(), Missing("host".to_owned()));
        assert_eq!(Missing("host".to_owned()).to_string(), "{{host}} stands for a secret that is not there");
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
