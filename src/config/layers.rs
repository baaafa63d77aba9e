//! The four layers, laid over each other key by key, each value with its origin.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use toml::Value;
use toml::de::{DeTable, DeValue};

use super::folder::ConfigFile;
use super::key::{Key, keys, variable_of};
use super::reference::Reference;
use super::{Environment, Flags, Problem};
use crate::base::nearest::nearest;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    File { path: PathBuf, line: usize },
    Environment(String),
    Flag(&'static str),
}

/// One key as `config check` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub key: &'static str,
    /// Fit to be shown: dots for a secret, its reference where it has one. `None` is unset.
    pub value: Option<String>,
    pub origin: Origin,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// Names that other tools already set; accepted, with a note, where ours is not set.
const ALIASES: [(&str, &str); 4] = [
    ("SLACK_BOT_TOKEN", "alerts.slack_bot_token"),
    ("SLACK_ALERTS_CHANNEL", "alerts.slack_channel"),
    ("TEST_API_KEY", "test_api_key"),
    ("ADMIN_API_KEY", "admin_api_key"),
];

#[derive(Clone, Debug)]
struct Entry {
    value: Value,
    origin: Origin,
    /// `file:PATH` or `cred:NAME`, which may be shown where the secret may not.
    reference: Option<String>,
}

/// The strongest value of every key that has one.
#[derive(Debug, Default)]
pub(super) struct Values {
    entries: BTreeMap<&'static str, Entry>,
    pub(super) notes: Vec<String>,
}

impl Values {
    pub(super) fn of_defaults(problems: &mut Vec<Problem>) -> Self {
        let mut values = Self::default();
        for key in keys() {
            if let Some(text) = key.default {
                values.set(key, key.kind.read_text(text), Origin::Default, problems);
            }
        }
        values
    }

    pub(super) fn overlay_file(&mut self, file: &ConfigFile, problems: &mut Vec<Problem>) {
        let line_of = |span: Range<usize>| {
            let before = file.text.get(..span.start).unwrap_or("");
            1 + before.bytes().filter(|byte| *byte == b'\n').count()
        };
        let table = match DeTable::parse(&file.text) {
            Ok(table) => table,
            Err(error) => {
                let line = line_of(error.span().unwrap_or_default());
                let place = format!("{}:{line}", file.path.display());
                return problems.push(Problem::new(place, format!("is not TOML: {}", error.message())));
            }
        };
        for (name, value) in table.get_ref() {
            let fields = match value.get_ref() {
                DeValue::Table(fields) => fields
                    .iter()
                    .map(|(n, v)| (format!("{}.{}", name.get_ref(), n.get_ref()), n, v))
                    .collect(),
                _ => vec![(name.get_ref().to_string(), name, value)],
            };
            for (full, name, value) in fields {
                let origin = Origin::File { path: file.path.clone(), line: line_of(name.span()) };
                match keys().find(|key| key.name == full) {
                    Some(key) => {
                        let read = plain(value.get_ref()).and_then(|value| key.kind.accept(value));
                        self.set(key, read, origin, problems);
                    }
                    None => problems.push(Problem::new(origin.to_string(), unknown_key(&full))),
                }
            }
        }
    }

    pub(super) fn overlay_environment(&mut self, environment: &Environment, problems: &mut Vec<Problem>) {
        // Variables that are set to nothing (compose files do that) count as not set.
        let set = || environment.iter().filter(|(_, text)| !text.trim().is_empty());
        for (alias, name) in ALIASES {
            let Some((_, text)) = set().find(|(variable, _)| *variable == alias) else { continue };
            if let Some(key) = keys().find(|key| key.name == name) {
                self.notes.push(format!("{alias} is used for {name}; its own name is {}", key.variable()));
                self.set(key, key.kind.read_text(text), Origin::Environment(alias.to_owned()), problems);
            }
        }
        for (variable, text) in set().filter(|(variable, _)| variable.starts_with("TOCSIN_")) {
            let origin = Origin::Environment(variable.clone());
            match keys().find(|key| key.variable() == *variable) {
                Some(key) => self.set(key, key.kind.read_text(text), origin, problems),
                None if is_under_known_section(variable) => {
                    problems.push(Problem::new(variable.clone(), unknown_variable(variable)));
                }
                None => self.notes.push(format!("{variable} was ignored: {}", unknown_variable(variable))),
            }
        }
    }

    /// Says which of `names` somebody set.
    pub(super) fn note_what_has_no_effect(&mut self, names: &[&str]) {
        for name in names {
            let set = self.entries.get(name).filter(|entry| !matches!(entry.origin, Origin::Default));
            if let Some(entry) = set {
                self.notes.push(format!("{name} ({}) has no effect yet", entry.origin));
            }
        }
    }

    pub(super) fn overlay_flags(&mut self, flags: &Flags, problems: &mut Vec<Problem>) {
        let listen = keys().find(|key| key.name == "listen");
        if let (Some(key), Some(text)) = (listen, &flags.listen) {
            self.set(key, key.kind.read_text(text), Origin::Flag("--listen"), problems);
        }
    }

    /// Puts the secrets themselves in the place of their references.
    pub(super) fn resolve_references(&mut self, environment: &Environment, problems: &mut Vec<Problem>) {
        for key in keys().filter(|key| key.is_secret()) {
            let Some(entry) = self.entries.get_mut(key.name) else { continue };
            let text = entry.value.as_str().unwrap_or("").to_owned();
            let Some(reference) = Reference::parse(&text) else { continue };
            match reference.read(environment) {
                Ok(secret) => {
                    entry.value = Value::String(secret);
                    entry.reference = Some(text);
                }
                Err(why) => {
                    problems.push(Problem::new(entry.origin.to_string(), format!("{}: {why}", key.name)));
                }
            }
        }
    }

    /// The raw struct of a section; empty is the top level.
    pub(super) fn section<T: DeserializeOwned>(
        &self,
        section: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<T> {
        let mut table = toml::Table::new();
        for key in keys().filter(|key| key.section() == section) {
            if let Some(entry) = self.entries.get(key.name) {
                table.insert(key.field().to_owned(), entry.value.clone());
            }
        }
        // The kinds were checked before: this fails where the table of keys and the struct disagree, or where a
        // key without a default was refused before. The latter has been told.
        match T::deserialize(Value::Table(table)) {
            Ok(raw) => Some(raw),
            Err(error) if problems.is_empty() => {
                problems.push(Problem::new(section, error.message().to_owned()));
                None
            }
            Err(_) => None,
        }
    }

    /// A problem with a key's value, placed where the value stands.
    pub(super) fn problem(&self, name: &str, text: impl fmt::Display) -> Problem {
        match self.entries.get(name).map(|entry| &entry.origin) {
            Some(Origin::Environment(_) | Origin::Flag(_) | Origin::File { .. }) => {
                let place = self.entries.get(name).map_or_else(String::new, |entry| entry.origin.to_string());
                Problem::new(place, format!("{name} {text}"))
            }
            Some(Origin::Default) | None => Problem::new(name, text.to_string()),
        }
    }

    pub(super) fn is_default(&self, name: &str) -> bool {
        self.entries.get(name).is_none_or(|entry| entry.origin == Origin::Default)
    }

    pub(super) fn is_from_file(&self, name: &str) -> bool {
        self.entries.get(name).is_some_and(|entry| matches!(entry.origin, Origin::File { .. }))
    }

    pub(super) fn settings(&self) -> Vec<Setting> {
        keys()
            .map(|key| {
                let entry = self.entries.get(key.name);
                let value = entry.map(|entry| match (&entry.reference, key.is_secret()) {
                    (Some(reference), _) => reference.clone(),
                    (None, true) => "••••".to_owned(),
                    (None, false) => show(&entry.value),
                });
                let origin = entry.map_or(Origin::Default, |entry| entry.origin.clone());
                Setting { key: key.name, value, origin }
            })
            .collect()
    }

    fn set(
        &mut self,
        key: &'static Key,
        read: Result<Value, String>,
        origin: Origin,
        problems: &mut Vec<Problem>,
    ) {
        match read {
            Ok(value) => {
                self.entries.insert(key.name, Entry { value, origin, reference: None });
            }
            Err(why) => problems.push(Problem::new(origin.to_string(), format!("{} {why}", key.name))),
        }
    }
}

/// The value without its place. Dates and tables of tables are of no kind.
fn plain(value: &DeValue<'_>) -> Result<Value, String> {
    Ok(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            let read = i64::from_str_radix(number.as_str(), number.radix());
            Value::Integer(read.map_err(|_| "is too large a number".to_owned())?)
        }
        DeValue::Float(number) => {
            Value::Float(number.as_str().parse().map_err(|_| "is not a number".to_owned())?)
        }
        DeValue::Boolean(yes) => Value::Boolean(*yes),
        DeValue::Array(items) => {
            let items: Result<_, String> = items.iter().map(|item| plain(item.get_ref())).collect();
            Value::Array(items?)
        }
        DeValue::Datetime(at) => Value::Datetime(*at),
        DeValue::Table(_) => return Err("is a table; no key is".to_owned()),
    })
}

fn unknown_key(name: &str) -> String {
    let shown = crate::base::text::clip(name, 80);
    match nearest(name, keys().map(|key| key.name)) {
        Some(near) => format!("`{shown}` is not a key; did you mean `{near}`?"),
        None => format!("`{shown}` is not a key; `tocsin config check --keys` lists them"),
    }
}

fn is_under_known_section(variable: &str) -> bool {
    let section = variable.strip_prefix("TOCSIN_").and_then(|rest| rest.split_once("__"));
    section.is_some_and(|(section, _)| keys().any(|key| key.section().eq_ignore_ascii_case(section)))
}

fn unknown_variable(variable: &str) -> String {
    match nearest(variable, keys().map(Key::variable).collect::<Vec<_>>().iter().map(String::as_str)) {
        Some(near) => format!("no key has this name; did you mean {near}?"),
        None => format!("no key has this name (they look like {})", variable_of("smtp.host")),
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(show).collect::<Vec<_>>().join(", "),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) | Value::Table(_) => {
            value.to_string()
        }
    }
}
