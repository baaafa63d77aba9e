//! What intake needs to know of an event, read once and borrowed from its JSON.
//!
//! Source of the forms: Sentry's event payload documentation and recorded traffic of its SDKs.

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::de::DeserializeSeed;
use serde::{Deserialize, Serialize};

pub use super::lenient::Warning;
use super::lenient::{Any, OneObject, Warnings};
use crate::base::{EventId, Timestamp};

mod fields;

/// The fields of a scrubbed event that decide its issue, its counters and its alarms.
///
/// A field of the wrong type is left out and named in `warnings`; unknown fields are skipped.
#[derive(Debug, Default)]
pub struct EventHead<'a> {
    pub event_id: Option<EventId>,
    /// The payload's own `type`, such as `feedback`; errors mostly carry none.
    pub event_type: Option<Cow<'a, str>>,
    pub timestamp: Option<Timestamp>,
    pub level: Option<Level>,
    pub platform: Option<Cow<'a, str>>,
    pub logger: Option<Cow<'a, str>>,
    pub transaction: Option<Cow<'a, str>>,
    pub server_name: Option<Cow<'a, str>>,
    pub release: Option<Cow<'a, str>>,
    pub dist: Option<Cow<'a, str>>,
    pub environment: Option<Cow<'a, str>>,
    pub message: Message<'a>,
    /// Causes first, the thrown one last; at most 127, the middle left out.
    pub exceptions: Vec<Exception<'a>>,
    /// The one thread that matters: crashed before current before any other with a stack.
    pub threads: Vec<Thread<'a>>,
    pub stacktrace: Stacktrace<'a>,
    pub tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    pub user: User<'a>,
    pub request: Request<'a>,
    pub fingerprint: Vec<Cow<'a, str>>,
    pub sdk: Sdk<'a>,
    pub extra: Extra<'a>,
    pub contexts: Contexts<'a>,
    pub warnings: Vec<Warning>,
}

/// What an event without an environment counts as.
pub const ENVIRONMENT_DEFAULT: &str = "production";

/// Sentry shows no more; a tag beyond is noise or an attack.
const TAGS_MAX: usize = 200;

/// One more than grouping takes, so that it sees that there were too many.
const FINGERPRINT_PARTS_MAX: usize = 33;

impl<'a> EventHead<'a> {
    /// Reads an event.
    ///
    /// # Errors
    /// Only where `json` is no object or no strict JSON. What `scrub` passed on never is: it mends lone surrogates
    /// and the like.
    pub fn parse(json: &'a str) -> Result<Self, HeadError> {
        if !json.trim_ascii_start().starts_with('{') {
            return Err(HeadError::NotAnObject);
        }
        let warnings = Warnings::default();
        let seed = Any(OneObject::<Self> { warnings: &warnings, of: PhantomData });
        let mut reader = serde_json::Deserializer::from_str(json);
        let head = seed
            .deserialize(&mut reader)
            .and_then(|head| reader.end().map(|()| head))
            .map_err(|error| HeadError::Syntax(error.to_string()))?;
        let mut head = head.ok_or(HeadError::NotAnObject)?;
        head.warnings = warnings.into_list();
        Ok(head)
    }

    pub fn environment(&self) -> &str {
        self.environment.as_deref().unwrap_or(ENVIRONMENT_DEFAULT)
    }

    pub fn platform(&self) -> &str {
        self.platform.as_deref().unwrap_or("other")
    }

    pub fn level(&self) -> Level {
        self.level.unwrap_or_default()
    }

    /// The exception that was thrown: the last that no other one contains.
    pub fn thrown(&self) -> Option<&Exception<'a>> {
        self.exceptions.iter().rfind(|e| e.mechanism.parent_id.is_none()).or(self.exceptions.last())
    }

    /// The stack of an event without an exception: of its crashed or current thread, else its own.
    pub fn bare_stack(&self) -> &[Frame<'a>] {
        let thread = self.threads.first().map(|thread| thread.stacktrace.frames.as_slice());
        thread.filter(|frames| !frames.is_empty()).unwrap_or(&self.stacktrace.frames)
    }
}

/// The text is no event.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    #[error("an event must be a JSON object")]
    NotAnObject,
    #[error("the event is not valid JSON: {0}")]
    Syntax(String),
}

/// How grave the client says an event is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Debug,
    Info,
    Warning,
    #[default]
    Error,
    Fatal,
}

impl Level {
    /// Reads the names of Sentry's SDKs (`log` is `info`) and Python's numbers as raven sends them.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        Some(match text.to_ascii_lowercase().as_str() {
            "debug" | "trace" | "10" => Self::Debug,
            "info" | "log" | "20" => Self::Info,
            "warning" | "warn" | "30" => Self::Warning,
            "error" | "40" => Self::Error,
            "fatal" | "critical" | "50" => Self::Fatal,
            _ => return None,
        })
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }
}

/// A log message: the template as the programmer wrote it, and the text with its values.
#[derive(Debug, Default)]
pub struct Message<'a> {
    pub template: Option<Cow<'a, str>>,
    pub formatted: Option<Cow<'a, str>>,
}

impl<'a> Message<'a> {
    /// The text for people.
    pub fn text(&self) -> Option<&Cow<'a, str>> {
        self.formatted.as_ref().or(self.template.as_ref())
    }

    /// Adds another form of the same message; what `logentry` says goes before the old forms.
    fn complete(&mut self, other: Self, is_logentry: bool) {
        let old = std::mem::take(self);
        let (first, second) = if is_logentry { (other, old) } else { (old, other) };
        self.template = first.template.or(second.template);
        self.formatted = first.formatted.or(second.formatted);
    }
}

#[derive(Debug, Default)]
pub struct Exception<'a> {
    pub error_type: Option<Cow<'a, str>>,
    pub value: Option<Cow<'a, str>>,
    pub module: Option<Cow<'a, str>>,
    pub mechanism: Mechanism<'a>,
    pub stacktrace: Stacktrace<'a>,
}

/// How an exception was caught, and where it stands in a tree of exceptions.
#[derive(Debug, Default)]
pub struct Mechanism<'a> {
    pub kind: Option<Cow<'a, str>>,
    pub handled: Option<bool>,
    /// The type says nothing: the SDK made the exception up to carry a stack or a signal.
    pub synthetic: bool,
    pub is_exception_group: bool,
    pub exception_id: Option<i64>,
    pub parent_id: Option<i64>,
}

/// Frames, caller first, crash last; at most 255, the middle left out.
#[derive(Debug, Default)]
pub struct Stacktrace<'a> {
    pub frames: Vec<Frame<'a>>,
}

#[derive(Debug, Default)]
pub struct Frame<'a> {
    pub function: Option<Cow<'a, str>>,
    pub raw_function: Option<Cow<'a, str>>,
    pub module: Option<Cow<'a, str>>,
    pub filename: Option<Cow<'a, str>>,
    pub abs_path: Option<Cow<'a, str>>,
    /// The binary or archive of a native frame.
    pub package: Option<Cow<'a, str>>,
    pub lineno: Option<i64>,
    pub colno: Option<i64>,
    pub in_app: Option<bool>,
    pub context_line: Option<Cow<'a, str>>,
    pub platform: Option<Cow<'a, str>>,
    /// Addresses of native frames, `0x…` or a number as text.
    pub instruction_addr: Option<Cow<'a, str>>,
    pub image_addr: Option<Cow<'a, str>>,
}

#[derive(Debug, Default)]
pub struct Thread<'a> {
    pub crashed: bool,
    pub current: bool,
    pub stacktrace: Stacktrace<'a>,
}

impl Thread<'_> {
    fn rank(&self) -> (bool, bool, bool) {
        (!self.stacktrace.frames.is_empty(), self.crashed, self.current)
    }
}

#[derive(Debug, Default)]
pub struct User<'a> {
    pub id: Option<Cow<'a, str>>,
    pub email: Option<Cow<'a, str>>,
    pub username: Option<Cow<'a, str>>,
    /// May be `{{auto}}`: the address of the request that brought the event.
    pub ip_address: Option<Cow<'a, str>>,
}

#[derive(Debug, Default)]
pub struct Request<'a> {
    pub url: Option<Cow<'a, str>>,
    pub method: Option<Cow<'a, str>>,
}

#[derive(Debug, Default)]
pub struct Sdk<'a> {
    pub name: Option<Cow<'a, str>>,
    pub version: Option<Cow<'a, str>>,
}

/// Of all contexts what intake asks for.
#[derive(Debug, Default)]
pub struct Contexts<'a> {
    pub trace: TraceContext<'a>,
}

/// The trace that an error belongs to.
#[derive(Debug, Default)]
pub struct TraceContext<'a> {
    /// As the client wrote it; 32 hex digits, by the rule.
    pub trace_id: Option<Cow<'a, str>>,
}

/// What an application says about an error in its own words, under `extra`.
#[derive(Debug, Default)]
pub struct Extra<'a> {
    pub class: Option<Cow<'a, str>>,
    pub severity: Option<Cow<'a, str>>,
    pub code: Option<Cow<'a, str>>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(json: &str) -> EventHead<'_> {
        EventHead::parse(json).unwrap()
    }

    #[test]
    fn exceptions_come_as_values_as_a_list_and_alone() {
        for json in [
            r#"{"exception":{"values":[{"type":"A"},{"type":"B","value":"b"}]}}"#,
            r#"{"exception":[{"type":"A"},null,{"type":"B","value":"b"}]}"#,
            r#"{"exception":{"type":"B","value":"b"}}"#,
            r#"{"sentry.interfaces.Exception":{"values":[{"type":"B","value":"b","stacktrace":null}]}}"#,
        ] {
            let head = read(json);
            let thrown = head.thrown().unwrap();
            assert_eq!(thrown.error_type.as_deref(), Some("B"), "{json}");
            assert_eq!(thrown.value.as_deref(), Some("b"), "{json}");
            assert_eq!(head.warnings, [], "{json}");
        }
    }

    #[test]
    fn the_thrown_exception_is_the_one_that_no_other_contains() {
        let head = read(
            r#"{"exception":[{"type":"Outer","mechanism":{"exception_id":0}},
                {"type":"Inner","mechanism":{"exception_id":1,"parent_id":0}}]}"#,
        );
        assert_eq!(head.thrown().unwrap().error_type.as_deref(), Some("Outer"));
    }

    #[test]
    fn messages_come_in_every_form() {
        let table = [
            (r#"{"message":"m"}"#, None, Some("m")),
            (r#"{"logentry":"m"}"#, None, Some("m")),
            (r#"{"message":{"message":"%s","formatted":"m"}}"#, Some("%s"), Some("m")),
            (r#"{"logentry":{"message":"%s","formatted":"m","params":["m"]}}"#, Some("%s"), Some("m")),
            (r#"{"message":"old","logentry":{"message":"%s","formatted":"m"}}"#, Some("%s"), Some("m")),
            (r#"{"logentry":{"message":"%s","formatted":"m"},"message":"old"}"#, Some("%s"), Some("m")),
            (
                r#"{"message":"m","sentry.interfaces.Message":{"message":"t","formatted":null}}"#,
                Some("t"),
                Some("m"),
            ),
            (r#"{"message":null}"#, None, None),
            (r#"{"message":12}"#, None, Some("12")),
        ];
        for (json, template, formatted) in table {
            let message = read(json).message;
            assert_eq!(message.template.as_deref(), template, "{json}");
            assert_eq!(message.formatted.as_deref(), formatted, "{json}");
        }
    }

    #[test]
    fn levels_times_and_ids_come_in_every_form() {
        let table = [
            (r#"{"level":"log"}"#, Some(Level::Info)),
            (r#"{"level":40}"#, Some(Level::Error)),
            (r#"{"level":"WARNING"}"#, Some(Level::Warning)),
            (r#"{"level":"loud"}"#, None),
            (r#"{"level":["error"]}"#, None),
        ];
        for (json, level) in table {
            assert_eq!(read(json).level, level, "{json}");
        }
        let at = Some(Timestamp::from_micros(1_700_000_000_500_000));
        for json in [
            r#"{"timestamp":1700000000.5}"#,
            r#"{"timestamp":"2023-11-14T22:13:20.5Z"}"#,
            r#"{"timestamp":"2023-11-14T22:13:20.5"}"#,
            r#"{"timestamp":"1700000000.5"}"#,
        ] {
            assert_eq!(read(json).timestamp, at, "{json}");
        }
        assert_eq!(read(r#"{"timestamp":1e300}"#).warnings.len(), 1);
        assert_eq!(read(r#"{"timestamp":-1}"#).timestamp, None);
        assert!(read(r#"{"event_id":"5066081E-73E4-44C1-870E-F13FAA7234AC"}"#).event_id.is_some());
        assert_eq!(read(r#"{"event_id":7}"#).event_id, None);
    }

    #[test]
    fn tags_come_as_an_object_and_as_pairs_with_any_scalar() {
        for json in [
            r#"{"tags":{"a":"1","b":2,"c":true,"d":null,"e":[1]}}"#,
            r#"{"tags":[["a","1"],["b",2],["c",true],["d",null],null,["e",{}],["f"]]}"#,
        ] {
            let tags = read(json).tags;
            let tags: Vec<_> = tags.iter().map(|(name, value)| (&**name, &**value)).collect();
            assert_eq!(tags, [("a", "1"), ("b", "2"), ("c", "true")], "{json}");
        }
    }

    #[test]
    fn users_and_fingerprints_take_numbers() {
        let head =
            read(r#"{"user":{"id":18446744073709551615,"email":null},"fingerprint":["a",1,null,2.5]}"#);
        assert_eq!(head.user.id.as_deref(), Some("18446744073709551615"));
        assert_eq!(head.fingerprint, ["a", "1", "2.5"]);
        assert_eq!(read(r#"{"fingerprint":"alone"}"#).fingerprint, ["alone"]);
    }

    #[test]
    fn the_crashed_thread_goes_before_the_current_and_those_without_a_stack() {
        let head = read(
            r#"{"threads":{"values":[{"current":true,"stacktrace":{"frames":[{"function":"cur"}]}},
                {"crashed":true,"stacktrace":{"frames":[{"function":"dead"}]}},{"crashed":true}]}}"#,
        );
        assert_eq!(head.bare_stack()[0].function.as_deref(), Some("dead"));
        let head = read(r#"{"threads":[{"id":1}],"stacktrace":{"frames":[{"function":"own"},null]}}"#);
        assert_eq!(head.bare_stack()[0].function.as_deref(), Some("own"));
    }

    #[test]
    fn a_wrong_type_is_skipped_and_named_and_the_rest_is_read() {
        let head = read(
            r#"{"level":{"a":1},"exception":7,"threads":"x","tags":3,"user":"u","request":[1],"sdk":false,
                "extra":"x","fingerprint":{"a":1},"stacktrace":{"frames":{"function":"f","lineno":"x"}},
                "release":["r"],"transaction":"kept"}"#,
        );
        assert_eq!(head.transaction.as_deref(), Some("kept"));
        assert_eq!(head.stacktrace.frames[0].function.as_deref(), Some("f"));
        let paths: Vec<_> = head.warnings.iter().map(|w| &*w.path).collect();
        assert_eq!(
            paths,
            [
                "level",
                "exception",
                "threads",
                "tags",
                "user",
                "request",
                "sdk",
                "extra",
                "fingerprint",
                "frame.lineno",
                "release"
            ]
        );
    }

    #[test]
    fn only_what_is_no_object_is_refused() {
        for json in ["", "  ", "null", "[]", "7", "\"{}\"", "{", r#"{"a":1}{"#, r#"{"message":"\ud800"}"#] {
            assert!(EventHead::parse(json).is_err(), "{json}");
        }
        assert_eq!(read(" {} ").environment(), "production");
    }

    #[test]
    fn long_lists_keep_both_ends_and_stay_bounded() {
        let frames: Vec<String> = (0..100_000).map(|n| format!(r#"{{"lineno":{n}}}"#)).collect();
        let json = format!(r#"{{"stacktrace":{{"frames":[{}]}}}}"#, frames.join(","));
        let head = read(&json);
        assert!(head.stacktrace.frames.len() < 256);
        assert_eq!(head.stacktrace.frames.first().and_then(|f| f.lineno), Some(0));
        assert_eq!(head.stacktrace.frames.last().and_then(|f| f.lineno), Some(99_999));
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            ".{0,12}".prop_map(Into::into),
        ];
        let key = prop::sample::select(vec![
            "exception",
            "values",
            "type",
            "value",
            "mechanism",
            "handled",
            "stacktrace",
            "frames",
            "function",
            "filename",
            "module",
            "in_app",
            "platform",
            "lineno",
            "threads",
            "crashed",
            "tags",
            "user",
            "id",
            "message",
            "logentry",
            "formatted",
            "fingerprint",
            "level",
            "timestamp",
            "extra",
            "request",
            "x\n",
        ]);
        leaf.prop_recursive(6, 64, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::vec((key.clone(), inner), 0..8).prop_map(|pairs| {
                    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_object_is_read(members in prop::collection::vec(any_json(), 1..4)) {
            let mut event = serde_json::Map::new();
            for member in members {
                if let serde_json::Value::Object(fields) = member {
                    event.extend(fields);
                }
            }
            let json = serde_json::Value::Object(event).to_string();
            prop_assert!(EventHead::parse(&json).is_ok());
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}") {
            let _outcome = EventHead::parse(&text);
        }
    }
}
