//! The table of keys: what may be configured, of which kind, with which default.

use std::fmt::Write as _;

use toml::Value;

use super::{
    alerts, heartbeats, http, incidents, ingest, issues, limits, log, outbound, probes, retention, server,
    slack, smtp, webhooks,
};

/// One thing that can be configured.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// `section.name`, or `name` alone at the top of the file.
    pub name: &'static str,
    pub kind: Kind,
    /// As it would stand in the environment; `None` is unset.
    pub default: Option<&'static str>,
    /// One or two sentences for the documentation.
    pub doc: &'static str,
}

/// What values a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Text,
    /// Text that is never shown. May be `file:PATH` or `cred:NAME`.
    Secret,
    Whole {
        min: i64,
        max: i64,
    },
    Number {
        min: f64,
        max: f64,
    },
    Choice(&'static [&'static str]),
    /// A TOML array of strings; separated by commas in the environment.
    List,
}

/// All keys, section by section, in the order of the documentation.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    [
        server::KEYS,
        http::KEYS,
        log::KEYS,
        smtp::KEYS,
        alerts::KEYS,
        slack::KEYS,
        outbound::KEYS,
        ingest::KEYS,
        issues::KEYS,
        probes::KEYS,
        heartbeats::KEYS,
        webhooks::KEYS,
        incidents::KEYS,
        retention::KEYS,
        limits::KEYS,
    ]
    .into_iter()
    .flatten()
}

/// The documentation of every key as Markdown tables, a table per section.
pub fn reference_markdown() -> String {
    let mut out = String::new();
    let mut section = None;
    for key in keys() {
        if section != Some(key.section()) {
            section = Some(key.section());
            let title = if key.section().is_empty() { "Top level" } else { key.section() };
            // Writing to a String cannot fail.
            write!(out, "\n## {title}\n\n| key | environment | values | default | meaning |\n").ok();
            out.push_str("| --- | --- | --- | --- | --- |\n");
        }
        let default = key.default.map_or_else(|| "unset".to_owned(), |text| format!("`{text}`"));
        let (name, variable, kind) = (key.name, key.variable(), key.kind.describe().replace('|', "\\|"));
        writeln!(out, "| `{name}` | `{variable}` | {kind} | {default} | {} |", key.doc).ok();
    }
    out
}

impl Key {
    pub const fn new(
        name: &'static str,
        kind: Kind,
        default: Option<&'static str>,
        doc: &'static str,
    ) -> Self {
        Self { name, kind, default, doc }
    }

    /// The part before the dot; empty at the top level.
    pub fn section(&self) -> &'static str {
        self.name.split_once('.').map_or("", |(section, _)| section)
    }

    /// The part after the dot.
    pub fn field(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(_, field)| field)
    }

    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        variable_of(self.name)
    }

    pub const fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret)
    }
}

/// `smtp.host` → `TOCSIN_SMTP__HOST`.
pub(super) fn variable_of(name: &str) -> String {
    format!("TOCSIN_{}", name.replace('.', "__").to_ascii_uppercase())
}

impl Kind {
    /// What it takes, in words.
    pub fn describe(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Secret => "secret: text, `file:PATH` or `cred:NAME`".to_owned(),
            Self::Whole { min, max } => format!("whole number, {min} to {max}"),
            Self::Number { min, max } => format!("number, {min} to {max}"),
            Self::Choice(words) => words.join(" | "),
            Self::List => "list of text".to_owned(),
        }
    }

    /// Reads text from the environment, a flag or the table itself.
    ///
    /// # Errors
    /// Says what is expected instead.
    pub(super) fn read_text(self, text: &str) -> Result<Value, String> {
        let text = text.trim();
        let value = match self {
            Self::Text | Self::Secret | Self::Choice(_) => Value::String(text.to_owned()),
            Self::Whole { .. } => Value::Integer(text.parse().map_err(|_| self.expectation("other text"))?),
            Self::Number { .. } => Value::Float(text.parse().map_err(|_| self.expectation("other text"))?),
            Self::List => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Value::Array(parts.map(|part| Value::String(part.to_owned())).collect())
            }
        };
        self.accept(value)
    }

    /// Checks a value's type and range.
    ///
    /// # Errors
    /// Says what is expected instead; never repeats the value, which may be secret.
    pub(super) fn accept(self, value: Value) -> Result<Value, String> {
        #[expect(clippy::cast_precision_loss, reason = "limits in GB and the like are far below 2^53")]
        let as_number = |value: &Value| match value {
            Value::Float(number) => Some(*number),
            Value::Integer(number) => Some(*number as f64),
            _ => None,
        };
        match self {
            Self::Text | Self::Secret if value.is_str() => Ok(value),
            Self::Whole { min, max } => match value {
                Value::Integer(number) if (min..=max).contains(&number) => Ok(value),
                Value::Integer(number) => Err(self.expectation(&number.to_string())),
                other => Err(self.expectation(other.type_str())),
            },
            Self::Number { min, max } => match as_number(&value) {
                Some(number) if (min..=max).contains(&number) => Ok(Value::Float(number)),
                Some(number) => Err(self.expectation(&number.to_string())),
                None => Err(self.expectation(value.type_str())),
            },
            Self::Choice(words) => match value.as_str() {
                Some(word) if words.contains(&word) => Ok(value),
                Some(word) => Err(self.expectation(&format!("`{}`", crate::base::text::clip(word, 40)))),
                None => Err(self.expectation(value.type_str())),
            },
            Self::List if value.as_array().is_some_and(|list| list.iter().all(Value::is_str)) => Ok(value),
            Self::Text | Self::Secret | Self::List => Err(self.expectation(value.type_str())),
        }
    }

    fn expectation(self, found: &str) -> String {
        let wanted = match self {
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Secret => "text".to_owned(),
            Self::Text | Self::Whole { .. } | Self::Number { .. } | Self::List => self.describe(),
        };
        format!("expects {wanted}; found {found}")
    }
}
