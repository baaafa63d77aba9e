//! What applying changes, told by comparing what is stored before and after.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::sections::Stored;
use crate::base::Secret;
use crate::base::text::clip;

/// What was changed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub changes: Vec<Change>,
    pub unchanged: usize,
    /// What files named once and no file names now; it stays until `--prune`.
    pub left: Vec<Left>,
}

/// One thing that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub what: What,
    /// In one word, such as `channel`.
    pub section: String,
    pub key: String,
    /// Empty where all of it is new or goes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Created,
    Changed,
    Removed,
    /// It stays, and is changed on the pages again.
    HandedOver,
}

/// One field as it was and is to be, written as in a file; of a secret only that it changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    pub field: String,
    pub from: Option<String>,
    pub to: Option<String>,
    #[serde(default)]
    pub secret: bool,
}

/// A thing that no file names any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    pub section: String,
    pub key: String,
    /// Where it stood.
    pub place: String,
}

/// A value is a line of a plan, and a part of a line of the audit log.
const VALUE_CHARS_MAX: usize = 200;

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub fn count(&self, what: What) -> usize {
        self.changes.iter().filter(|change| change.what == what).count()
    }
}

/// What differs between two states of a thing; nothing where none does.
pub(super) fn compare(before: &Stored, after: &Stored) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    if before.of_file != after.of_file {
        let word = |of_file: bool| Some(if of_file { "file" } else { "page" }.to_owned());
        changes.push(FieldChange {
            field: "owner".to_owned(),
            from: word(before.of_file),
            to: word(after.of_file),
            secret: false,
        });
    }
    compare_tables("", &before.table, &after.table, &mut changes);
    let names: std::collections::BTreeSet<&String> =
        before.secrets.keys().chain(after.secrets.keys()).collect();
    for name in names {
        let (from, to) = (before.secrets.get(name), after.secrets.get(name));
        let same = match (from, to) {
            (Some(from), Some(to)) => from.matches(to.expose()),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !same {
            let shown = |secret: Option<&Secret>| secret.map(|_| "••••".to_owned());
            let field = format!("secrets.{name}");
            changes.push(FieldChange { field, from: shown(from), to: shown(to), secret: true });
        }
    }
    changes
}

fn compare_tables(
    above: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    changes: &mut Vec<FieldChange>,
) {
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let field = format!("{above}{name}");
        match (before.get(name), after.get(name)) {
            (Some(from), Some(to)) if from == to => {}
            (Some(Value::Object(from)), Some(Value::Object(to))) => {
                compare_tables(&format!("{field}."), from, to, changes);
            }
            (from, to) => {
                let shown = |value: Option<&Value>| {
                    value.map(|value| clip(&inline(value), VALUE_CHARS_MAX).into_owned())
                };
                changes.push(FieldChange { field, from: shown(from), to: shown(to), secret: false });
            }
        }
    }
}

/// A value as it stands in a file, in one line.
pub(super) fn inline(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(yes) => yes.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| format!("{} = {}", bare(name), inline(value));
            let fields: Vec<String> =
                fields.iter().filter(|(_, value)| !value.is_null()).map(field).collect();
            if fields.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", fields.join(", ")) }
        }
    }
}

/// A key as it is, where it may stand without quotes.
pub(super) fn bare(key: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !key.is_empty() && key.bytes().all(plain) { key.to_owned() } else { quoted(key) }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut written = String::with_capacity(text.len() + 2);
    written.push('"');
    for c in text.chars() {
        match c {
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            // Writing to a String cannot fail.
            c if c.is_control() => drop(write!(written, "\\u{:04X}", u32::from(c))),
            c => written.push(c),
        }
    }
    written.push('"');
    written
}

impl What {
    pub const fn sign(self) -> char {
        match self {
            Self::Created => '+',
            Self::Changed => '~',
            Self::Removed => '-',
            Self::HandedOver => '>',
        }
    }
}

impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.from, &self.to) {
            (Some(_), Some(_)) if self.secret => write!(f, "{}: changed", self.field),
            (Some(from), Some(to)) => write!(f, "{}: {from} → {to}", self.field),
            (None, Some(to)) => write!(f, "{}: {to} (new)", self.field),
            (Some(from), None) => write!(f, "{}: {from} → nothing", self.field),
            (None, None) => f.write_str(&self.field),
        }
    }
}

/// `channel on-call`; a section that is one thing has no key.
pub(super) fn called(word: &str, key: &str) -> String {
    if key.is_empty() { word.to_owned() } else { format!("{word} {key}") }
}

/// A plan as a person reads it.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            let handed =
                if change.what == What::HandedOver { ": changed on its page from now on" } else { "" };
            writeln!(f, "{} {}{handed}", change.what.sign(), called(&change.section, &change.key))?;
            for field in &change.fields {
                writeln!(f, "    {field}")?;
            }
        }
        if self.unchanged > 0 {
            writeln!(f, "= {} unchanged", self.unchanged)?;
        }
        for left in &self.left {
            writeln!(
                f,
                "! {} stays, although no file names it any more (it stood in {}); --prune takes it away",
                called(&left.section, &left.key),
                left.place
            )?;
        }
        Ok(())
    }
}
