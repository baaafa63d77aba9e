//! A destination as the fields of a form, and read from one again. What is wrong is told beside its field.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::fields::{filled, lines, number, time};
use super::source_form::says;
use crate::base::{Owner, Secret, span};
use crate::http::Problem;
use crate::http::acts::Refused;
use crate::http::admin::Wrongs;
use crate::http::admin::form::Fields;
use crate::http::admin::probes::key_of;
use crate::http::problem::sentence;
use crate::webhooks::destination::{Definition, Retry, Sign};
use crate::webhooks::filter::{Condition, Filter, Test, TypeGlob};
use crate::webhooks::secrets::{SIGNING, Secrets, names};
use crate::webhooks::{Destination, Error, Invalid};

/// The fields as text; a secret is never among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) key: String,
    pub(super) url: String,
    pub(super) signed_url: String,
    /// `as_source`, `own` or `off`.
    pub(super) sign: String,
    /// Types of events, one to a line.
    pub(super) types: String,
    pub(super) conditions: Vec<ConditionDraft>,
    pub(super) in_order: bool,
    pub(super) timeout: String,
    pub(super) concurrency: String,
    pub(super) per_second: String,
    pub(super) first: String,
    pub(super) at_most: String,
    pub(super) give_up_after: String,
    /// `Name: value`, one to a line.
    pub(super) headers: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ConditionDraft {
    pub(super) pointer: String,
    pub(super) op: String,
    /// Of several, with commas between them.
    pub(super) value: String,
}

/// How conditions compare, as a form offers it.
pub(super) const OPS: [(&str, &str); 5] = [
    ("equals", "is"),
    ("not_equals", "is not"),
    ("one_of", "is one of"),
    ("starts_with", "begins with"),
    ("exists", "exists"),
];
/// Lines for conditions of a form that has none.
const EMPTY_LINES: usize = 2;

impl Draft {
    /// Of a destination that is yet to be made. `sends_secret`: the source's scheme would tell its secret.
    pub(super) fn new(sends_secret: bool) -> Self {
        let definition = json!({"url": ""});
        let read = serde_json::from_value::<Definition>(definition).ok();
        let draft = read.map(|definition| Self::written(&definition)).unwrap_or_default();
        let sign = if sends_secret { "own" } else { "as_source" };
        Self { sign: sign.to_owned(), ..draft }
    }

    pub(super) fn of(destination: &Destination) -> Self {
        Self {
            name: destination.name.clone(),
            key: destination.key.clone(),
            ..Self::written(&destination.definition)
        }
    }

    fn written(definition: &Definition) -> Self {
        let types: Vec<&str> = definition.filter.types().iter().map(TypeGlob::as_str).collect();
        let headers: Vec<String> =
            definition.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let mut draft = Self {
            url: definition.url.clone(),
            signed_url: definition.signed_url.clone().unwrap_or_default(),
            sign: match definition.sign {
                Sign::AsSource => "as_source",
                Sign::Own => "own",
                Sign::Off => "off",
            }
            .to_owned(),
            types: types.join("\n"),
            conditions: definition.filter.conditions().iter().map(condition).collect(),
            in_order: definition.in_order,
            timeout: span::format(definition.timeout),
            concurrency: definition.concurrency.to_string(),
            per_second: definition.per_second.map(|pace| pace.to_string()).unwrap_or_default(),
            first: span::format(definition.retry.first),
            at_most: span::format(definition.retry.at_most),
            give_up_after: span::format(definition.retry.give_up_after),
            headers: headers.join("\n"),
            ..Self::default()
        };
        draft.leave_room();
        draft
    }

    /// What somebody typed, as it was typed.
    pub(super) fn typed(fields: &Fields) -> Self {
        let text = |name| fields.text(name).to_owned();
        let columns = fields.all("pointer").zip(fields.all("op")).zip(fields.all("value"));
        let conditions = columns.map(|((pointer, op), value)| ConditionDraft {
            pointer: pointer.trim().to_owned(),
            op: op.to_owned(),
            value: value.trim().to_owned(),
        });
        let mut draft = Self {
            name: text("name"),
            key: text("key"),
            url: text("url"),
            signed_url: text("signed_url"),
            sign: text("sign"),
            types: text("types"),
            conditions: conditions.filter(|line| !line.is_empty()).collect(),
            in_order: fields.is_on("in_order"),
            timeout: text("timeout"),
            concurrency: text("concurrency"),
            per_second: text("per_second"),
            first: text("first"),
            at_most: text("at_most"),
            give_up_after: text("give_up_after"),
            headers: text("headers"),
        };
        draft.leave_room();
        draft
    }

    /// There is always a line to write another condition into.
    fn leave_room(&mut self) {
        let wanted = EMPTY_LINES.max(self.conditions.len() + 1);
        let empty = ConditionDraft { op: "equals".to_owned(), ..ConditionDraft::default() };
        self.conditions.resize(wanted, empty);
    }

    /// Its key, or one that is made of its source and its name.
    pub(super) fn key_or_derived(&self, source: &str) -> String {
        if self.key.is_empty() { key_of(&format!("{source} {}", self.name), "to") } else { self.key.clone() }
    }

    /// The secrets that it names, in the order of their names.
    pub(super) fn secret_names(&self) -> BTreeSet<String> {
        let mut named = names(&self.headers);
        if self.sign == "own" {
            named.insert(SIGNING.to_owned());
        }
        named
    }

    /// What it says of a destination.
    ///
    /// # Errors
    /// Everything that is wrong, by field.
    pub(super) fn read(&self) -> Result<Definition, Wrongs> {
        let mut wrongs = Wrongs::default();
        if self.name.is_empty() {
            wrongs.add("name", "The name is empty: write one that people recognise.");
        }
        let usual = Retry::default();
        let definition = Definition {
            url: self.url.clone(),
            signed_url: filled(&self.signed_url),
            sign: match self.sign.as_str() {
                "own" => Sign::Own,
                "off" => Sign::Off,
                _ => Sign::AsSource,
            },
            headers: self.read_headers(&mut wrongs),
            filter: self.read_filter(&mut wrongs),
            in_order: self.in_order,
            timeout: time("timeout", &self.timeout, &mut wrongs)
                .unwrap_or(std::time::Duration::from_secs(15)),
            concurrency: number("concurrency", &self.concurrency, &mut wrongs).unwrap_or(8),
            per_second: number("per_second", &self.per_second, &mut wrongs),
            retry: Retry {
                first: time("first", &self.first, &mut wrongs).unwrap_or(usual.first),
                at_most: time("at_most", &self.at_most, &mut wrongs).unwrap_or(usual.at_most),
                give_up_after: time("give_up_after", &self.give_up_after, &mut wrongs)
                    .unwrap_or(usual.give_up_after),
            },
        };
        check_all(definition.clone(), &mut wrongs);
        if wrongs.is_empty() { Ok(definition) } else { Err(wrongs) }
    }

    fn read_headers(&self, wrongs: &mut Wrongs) -> BTreeMap<String, String> {
        let mut headers = BTreeMap::new();
        for line in lines(&self.headers) {
            match line.split_once(':') {
                Some((name, value)) => drop(headers.insert(name.trim().to_owned(), value.trim().to_owned())),
                None => {
                    wrongs
                        .add("headers", format!("“{line}” is no header: write Name: value, one to a line."));
                }
            }
        }
        headers
    }

    fn read_filter(&self, wrongs: &mut Wrongs) -> Filter {
        let types = match lines(&self.types).map(TypeGlob::parse).collect::<Result<Vec<_>, _>>() {
            Ok(types) => types,
            Err(bad) => {
                wrongs.add("types", sentence(&bad.to_string()));
                Vec::new()
            }
        };
        let mut conditions = Vec::new();
        for line in self.conditions.iter().filter(|line| !line.is_empty()) {
            match line.read() {
                Ok(condition) => conditions.push(condition),
                Err(text) => wrongs.add("conditions", text),
            }
        }
        Filter::new(types, conditions).unwrap_or_else(|bad| {
            wrongs.add("types", sentence(&bad.to_string()));
            Filter::default()
        })
    }
}

impl ConditionDraft {
    fn is_empty(&self) -> bool {
        self.pointer.is_empty() && self.value.is_empty()
    }

    fn read(&self) -> Result<Condition, String> {
        let value = match self.op.as_str() {
            "exists" => json!(null),
            "one_of" => self.value.split(',').map(str::trim).filter(|one| !one.is_empty()).collect(),
            _ => json!(self.value),
        };
        let written = json!({"pointer": self.pointer, "op": self.op, "value": value});
        serde_json::from_value(written).map_err(|bad| format!("{}: {bad}.", self.pointer))
    }
}

fn condition(condition: &Condition) -> ConditionDraft {
    let (op, value) = match &condition.test {
        Test::Equals(value) => ("equals", value.clone()),
        Test::NotEquals(value) => ("not_equals", value.clone()),
        Test::OneOf(values) => ("one_of", values.join(", ")),
        Test::Exists => ("exists", String::new()),
        Test::StartsWith(prefix) => ("starts_with", prefix.clone()),
    };
    ConditionDraft { pointer: condition.pointer.to_string(), op: op.to_owned(), value }
}

/// The secrets that were typed for the names that the draft asks for; an empty field keeps what is stored.
pub(super) fn secrets(draft: &Draft, fields: &Fields) -> Secrets {
    let wanted = draft.secret_names();
    let given = fields.beginning("secret.").filter(|(name, text)| !text.is_empty() && wanted.contains(*name));
    Secrets(given.map(|(name, text)| (name.to_owned(), Secret::new(text))).collect())
}

/// A definition names one mistake at a time: each is noted and set aside until no other is found.
fn check_all(mut definition: Definition, wrongs: &mut Wrongs) {
    for _ in 0..FIELDS {
        let Err(invalid) = definition.check(Owner::Page) else { return };
        wrongs.add(field_of(invalid.field), sentence(&invalid.reason));
        set_aside(&mut definition, invalid.field);
    }
}

/// Each field can be wrong once.
const FIELDS: usize = 9;

fn field_of(field: &'static str) -> &'static str {
    match field {
        "retry.first" => "first",
        "retry.at_most" => "at_most",
        "retry.give_up_after" => "give_up_after",
        other => other,
    }
}

fn set_aside(definition: &mut Definition, field: &str) {
    let usual = Retry::default();
    match field {
        "url" => "https://app.example.com/".clone_into(&mut definition.url),
        "signed_url" => definition.signed_url = None,
        "timeout" => definition.timeout = std::time::Duration::from_secs(15),
        "concurrency" => definition.concurrency = 8,
        "per_second" => definition.per_second = None,
        "retry.first" | "retry.at_most" => {
            (definition.retry.first, definition.retry.at_most) = (usual.first, usual.at_most);
        }
        "retry.give_up_after" => definition.retry.give_up_after = usual.give_up_after,
        _ => definition.headers.clear(),
    }
}

/// What a person can mend of a destination that was not saved.
///
/// # Errors
/// What no other form would mend.
pub(super) fn wrongs_of(refused: Refused<Error>) -> Result<Wrongs, Problem> {
    let field = match &refused {
        Refused::Draft(Error::KeyTaken(_) | Error::BadKey(_)) => "key",
        Refused::Draft(Error::BadLine(_)) => "name",
        Refused::Draft(Error::Invalid(Invalid { field, .. })) => field_of(field),
        Refused::Draft(Error::BadSecret(_) | Error::SecretTooLong | Error::SecretMoves(_)) => "secrets",
        Refused::Draft(Error::SecretTold(_)) => "sign",
        Refused::Draft(Error::TooManyDestinations | Error::Sealing(_)) => "form",
        Refused::Draft(_) | Refused::Stale(_) | Refused::Problem(_) => return Err(refused.into()),
    };
    Ok(Wrongs::one(field, says(refused)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_destination_is_read_back_as_it_is_offered() {
        let url = "https://app.example.com/hooks";
        let draft = Draft { name: "App".to_owned(), url: url.to_owned(), ..Draft::new(false) };
        let plain: Definition = serde_json::from_value(json!({"url": url})).unwrap();
        assert_eq!(draft.read().unwrap(), plain);
        assert_eq!(draft.key_or_derived("stripe"), "stripe-app");
        assert!(draft.secret_names().is_empty());
        assert_eq!(Draft::new(true).sign, "own");
    }

    #[test]
    fn everything_that_can_be_said_is_shown_again_as_it_was_said() {
        let text = str::to_owned;
        let condition =
            |pointer, op, value| ConditionDraft { pointer: text(pointer), op: text(op), value: text(value) };
        let draft = Draft {
            name: text("App"),
            url: text("https://app.example.com/hooks"),
            signed_url: text("https://shop.example.com/hooks"),
            sign: text("own"),
            types: text("invoice.*\nrefund"),
            conditions: vec![
                condition("/data/live", "equals", "true"),
                condition("/data/kind", "one_of", "a, b"),
                condition("/data/id", "exists", ""),
                condition("", "equals", ""),
            ],
            in_order: true,
            per_second: text("5"),
            headers: text("authorization: Bearer {{token}}"),
            ..Draft::new(false)
        };
        let definition = draft.read().unwrap();
        assert_eq!(Draft { name: text("App"), ..Draft::written(&definition) }, draft);
        assert_eq!(draft.secret_names(), ["signing".to_owned(), "token".to_owned()].into());
    }

    #[test]
    fn every_mistake_stands_at_its_field() {
        let text = str::to_owned;
        let draft = Draft {
            url: text("http://127.0.0.1/hook"),
            signed_url: text("x"),
            types: text("in voice"),
            conditions: vec![ConditionDraft { pointer: text("data"), op: text("equals"), value: text("1") }],
            timeout: text("1h"),
            concurrency: text("0"),
            per_second: text("often"),
            first: text("2h"),
            give_up_after: text("1s"),
            headers: text("Host: evil"),
            ..Draft::new(false)
        };
        let wrongs = draft.read().unwrap_err();
        for (field, says) in [
            ("name", "empty"),
            ("url", "name one here in a file"),
            ("signed_url", "no address"),
            ("types", "visible characters"),
            ("conditions", "data"),
            ("timeout", "between"),
            ("concurrency", "between"),
            ("per_second", "whole number"),
            ("first", "between"),
            ("give_up_after", "between"),
            ("headers", "set by tocsin itself"),
        ] {
            assert!(wrongs.of(field).contains(says), "{field}: {}", wrongs.of(field));
        }
    }
}
