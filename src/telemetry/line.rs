//! One log line: collected from an event and the spans around it, written as JSON or as short text.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use tracing::Level;
use tracing::field::{Field, Visit};

/// A log line is read by people; longer values belong into the database.
const VALUE_CHARS_MAX: usize = 2000;
/// Fields with one of these in their name are not written, whoever logged them.
const HIDDEN_NAMES: [&str; 7] = ["password", "secret", "token", "authorization", "cookie", "api_key", "dsn"];
const HIDDEN: &str = "[hidden]";

/// Fields of an event or a span, in order of appearance.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    pub(super) message: String,
    pub(super) values: Map<String, Value>,
}

/// Everything that one line shows.
pub(super) struct Line<'a> {
    /// RFC 3339, UTC.
    pub(super) at: &'a str,
    pub(super) level: Level,
    pub(super) target: &'a str,
    pub(super) fields: Fields,
}

impl Line<'_> {
    /// One JSON object and a line end. `timestamp`, `level`, `target` and `message` always stand first.
    pub(super) fn to_json(&self) -> String {
        let mut out = String::with_capacity(256);
        let head = [
            ("timestamp", self.at),
            ("level", level_name(self.level)),
            ("target", self.target),
            ("message", &self.fields.message),
        ];
        out.push('{');
        for (at, (name, text)) in head.into_iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            // Writing to a String cannot fail.
            write!(out, "{comma}\"{name}\":{}", Value::from(text)).ok();
        }
        for (name, value) in &self.fields.values {
            if head.iter().all(|(taken, _)| taken != name) {
                write!(out, ",{}:{value}", Value::from(name.as_str())).ok();
            }
        }
        out.push_str("}\n");
        out
    }

    /// `03:02:11 WARN  message  name=value …` and a line end. Control characters are escaped: no value can
    /// forge a line or steer a terminal.
    pub(super) fn to_text(&self) -> String {
        let time = self.at.get(11..19).unwrap_or(self.at);
        let mut out = format!("{time} {:<5} {}", self.level.as_str(), printable(&self.fields.message));
        for (at, (name, value)) in self.fields.values.iter().enumerate() {
            let gap = if at == 0 { "  " } else { " " };
            let shown = match value {
                Value::String(text) if !text.is_empty() && !text.contains([' ', '"', '=']) => printable(text),
                other => printable(&other.to_string()),
            };
            write!(out, "{gap}{name}={shown}").ok();
        }
        out.push('\n');
        out
    }
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        let name = field.name();
        if HIDDEN_NAMES.iter().any(|hidden| name.contains(hidden)) {
            self.values.insert(name.to_owned(), HIDDEN.into());
            return;
        }
        match (name, value) {
            ("message", Value::String(text)) => self.message = text,
            // What the `log` crate's records carry about themselves.
            ("log.target" | "log.module_path" | "log.file" | "log.line", _) => {}
            (_, value) => {
                self.values.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, clip(value).into());
    }

    /// The error and its causes in one line.
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            write!(text, ": {error}").ok();
            cause = error.source();
        }
        self.add(field, clip(&text).into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.add(field, clip(&format!("{value:?}")).into());
    }
}

const fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

fn clip(text: &str) -> String {
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        out
    })
}
