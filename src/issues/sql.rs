//! What the view `system_errors` is made of: an SQL function that looks into a stored payload.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use serde_json::Value;

use super::head::{Exception, Frame};
use super::payload::decompress;
use super::{EventHead, classify};
use crate::base::text::clip;

/// A trace is for reading: the frames nearest to the crash.
const FRAMES_MAX: usize = 100;
/// One cell of an answer, whatever an app put there.
const FIELD_CHARS_MAX: usize = 64 * 1024;

/// What can be asked of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    ErrorType,
    Message,
    Context,
    Severity,
    UserId,
    Metadata,
    StackTrace,
}

/// One event's fields, kept because a row asks for several of them.
#[derive(Default)]
struct LastRow {
    payload: Vec<u8>,
    dictionary: Option<Vec<u8>>,
    fields: [Option<String>; Field::ALL.len()],
}

/// Adds `event_field(payload, dictionary, name)`: text, or NULL where the event has no such field or cannot be
/// read. Deterministic; cells are at most 64 K characters long.
pub fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    let last = Mutex::new(LastRow::default());
    connection.create_scalar_function("event_field", 3, flags, move |context| event_field(context, &last))
}

fn event_field(context: &Context<'_>, last: &Mutex<LastRow>) -> rusqlite::Result<Option<String>> {
    let named = context.get_raw(2);
    let field = named.as_str().ok().and_then(Field::parse);
    let field = field.ok_or_else(|| {
        let names = Field::ALL.map(Field::as_str).join(", ");
        rusqlite::Error::UserFunctionError(format!("event_field knows {names}").into())
    })?;
    let ValueRef::Blob(payload) = context.get_raw(0) else { return Ok(None) };
    let dictionary = context.get_raw(1).as_blob().ok();
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    if last.payload != payload || last.dictionary.as_deref() != dictionary {
        last.fields = fields(payload, dictionary).unwrap_or_default();
        last.dictionary = dictionary.map(<[u8]>::to_vec);
        last.payload.clear();
        last.payload.extend_from_slice(payload);
    }
    Ok(last.fields[field as usize].clone())
}

impl Field {
    const ALL: [Self; 7] = [
        Self::ErrorType,
        Self::Message,
        Self::Context,
        Self::Severity,
        Self::UserId,
        Self::Metadata,
        Self::StackTrace,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::ErrorType => "error_type",
            Self::Message => "message",
            Self::Context => "context",
            Self::Severity => "severity",
            Self::UserId => "user_id",
            Self::Metadata => "metadata",
            Self::StackTrace => "stack_trace",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == text)
    }
}

/// Every field, in the order of [`Field::ALL`]. `None` where the payload is damaged.
fn fields(payload: &[u8], dictionary: Option<&[u8]>) -> Option<[Option<String>; Field::ALL.len()]> {
    let json = String::from_utf8(decompress(payload, dictionary).ok()?).ok()?;
    let head = EventHead::parse(&json).ok()?;
    let event: Value = serde_json::from_str(&json).unwrap_or_default();
    let thrown = head.thrown();
    let of = |field| match field {
        Field::ErrorType => thrown.and_then(|thrown| thrown.error_type.as_deref()).map(str::to_owned),
        Field::Message => thrown
            .and_then(|thrown| thrown.value.as_deref())
            .or_else(|| head.message.text().map(AsRef::as_ref))
            .map(str::to_owned),
        Field::Context => context(&event),
        Field::Severity => Some(classify::severity(&head).as_str().to_owned()),
        Field::UserId => head.user.id.as_deref().map(str::to_owned),
        Field::Metadata => object(&event["extra"]),
        Field::StackTrace => stack_trace(&event, thrown, head.bare_stack()),
    };
    Some(Field::ALL.map(|field| of(field).map(|text| clip(&text, FIELD_CHARS_MAX).into_owned())))
}

/// What an app without an SDK sent as `context`; else all contexts.
fn context(event: &Value) -> Option<String> {
    object(&event["contexts"]["context"]).or_else(|| object(&event["contexts"]))
}

fn object(value: &Value) -> Option<String> {
    value.as_object().filter(|members| !members.is_empty()).map(|_| value.to_string())
}

/// The trace as the app wrote it, else one line per frame, the crash first.
fn stack_trace(event: &Value, thrown: Option<&Exception<'_>>, bare: &[Frame<'_>]) -> Option<String> {
    if let Some(text) = event["extra"]["stack_trace"].as_str() {
        return Some(text.to_owned());
    }
    let frames = thrown.map(|thrown| thrown.stacktrace.frames.as_slice()).filter(|frames| !frames.is_empty());
    let frames = frames.unwrap_or(bare);
    let mut text = String::new();
    for frame in frames.iter().rev().take(FRAMES_MAX) {
        let function = frame.function.as_deref().unwrap_or("?");
        let file = frame.filename.as_deref().or(frame.abs_path.as_deref()).or(frame.module.as_deref());
        // Writing to a String cannot fail.
        write!(text, "at {function} ({}", file.unwrap_or("?")).ok();
        if let Some(line) = frame.lineno {
            write!(text, ":{line}").ok();
        }
        text.push_str(")\n");
    }
    (!text.is_empty()).then(|| text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issues::Payload;

    fn connection() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        register(&connection).unwrap();
        connection
    }

    fn ask(connection: &Connection, payload: &[u8], name: &str) -> rusqlite::Result<Option<String>> {
        connection.query_row("SELECT event_field(?1, NULL, ?2)", (payload, name), |row| row.get(0))
    }

    #[test]
    fn the_fields_of_an_sdk_event_are_read_from_its_payload() {
        let json = serde_json::json!({
            "level": "error", "user": {"id": 7}, "extra": {"cart": 3}, "contexts": {"os": {"name": "Linux"}},
            "exception": {"values": [{"type": "ValueError", "value": "no such card", "stacktrace": {"frames": [
                {"function": "main", "filename": "app.py", "lineno": 3},
                {"function": "pay", "filename": "shop.py", "lineno": 9}]}}]},
        });
        let payload = Payload::compress(json.to_string().as_bytes(), None).unwrap().bytes;
        let connection = connection();
        for (name, expected) in [
            ("error_type", "ValueError"),
            ("message", "no such card"),
            ("context", r#"{"os":{"name":"Linux"}}"#),
            ("severity", "high"),
            ("user_id", "7"),
            ("metadata", r#"{"cart":3}"#),
            ("stack_trace", "at pay (shop.py:9)\nat main (app.py:3)"),
        ] {
            assert_eq!(ask(&connection, &payload, name).unwrap().as_deref(), Some(expected), "{name}");
        }
    }

    #[test]
    fn rows_do_not_lend_each_other_their_fields() {
        let connection = connection();
        let payload = |text: &str| {
            Payload::compress(format!(r#"{{"message":"{text}"}}"#).as_bytes(), None).unwrap().bytes
        };
        let (one, two) = (payload("one"), payload("two"));
        let message = |payload: &[u8]| ask(&connection, payload, "message").unwrap();
        assert_eq!(message(&one).as_deref(), Some("one"));
        assert_eq!(message(&two).as_deref(), Some("two"));
        assert_eq!(message(b"damage"), None);
        assert_eq!(message(&one).as_deref(), Some("one"));
        assert_eq!(ask(&connection, &one, "stack_trace").unwrap(), None);
    }

    #[test]
    fn an_unknown_field_is_an_error_that_names_the_known_ones() {
        let error = ask(&connection(), b"", "password").unwrap_err();
        assert!(error.to_string().contains("error_type, message"), "{error}");
    }
}
