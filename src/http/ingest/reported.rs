//! What apps without an SDK report, and the event that is made of it.

use serde_json::{Map, Value, json};

use crate::base::Severity;
use crate::issues::{Class, Level};
use crate::scrub::{ScrubError, Scrubber, Warning, WarningKind};

/// What `POST /api/v1/errors` takes. Only `message` or `error_type` must be there; what else is odd is taken as far as
/// it can be, with a warning, because an error that is refused is an error that nobody hears of.
#[derive(Debug)]
pub(super) struct ReportedError {
    members: Map<String, Value>,
    warnings: Vec<Warning>,
}

/// Why a body is no such error.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReportError {
    #[error("The body is not such an error: {0}.")]
    Unreadable(#[from] ScrubError),
    #[error("The body is not such an error: {0}.")]
    Json(#[from] serde_json::Error),
    #[error("`message` or `error_type` must be there.")]
    Empty,
}

impl ReportedError {
    pub(super) fn parse(body: &[u8], scrubber: &Scrubber) -> Result<Self, ReportError> {
        let scrubbed = scrubber.report(body)?;
        let members: Map<String, Value> = serde_json::from_slice(&scrubbed.json)?;
        let has = |name| members.get(name).is_some_and(|value| !value.is_null());
        if !has("message") && !has("error_type") {
            return Err(ReportError::Empty);
        }
        Ok(Self { members, warnings: scrubbed.warnings })
    }

    /// The error in the form that everything behind the door understands, a Sentry event, and what is odd about it.
    pub(super) fn into_event(mut self) -> (Value, Vec<Warning>) {
        let level = self.level();
        let message = self.text("message");
        let error_type = self.text("error_type").filter(|name| !name.is_empty());
        if error_type.is_none() && message.as_deref().is_none_or(str::is_empty) {
            self.warn("message", "empty");
        }
        let mut event = json!({
            "level": level,
            "platform": "other",
            "extra": self.extra(),
            "contexts": { "context": self.context() },
        });
        // Whatever type these have: the reader of events says what is wrong with them.
        for name in ["event_id", "timestamp", "platform", "release", "environment", "fingerprint"] {
            if let Some(value) = self.take(name) {
                event[name] = value;
            }
        }
        if let Some(id) = self.take("user_id") {
            event["user"] = json!({ "id": id });
        }
        match error_type {
            Some(error_type) => {
                event["exception"] = json!({ "values": [{ "type": error_type, "value": message }] });
            }
            None => event["message"] = message.map_or(Value::Null, Value::from),
        }
        (event, self.warnings)
    }

    fn level(&mut self) -> &'static str {
        let Some(word) = self.text("severity") else { return Level::default().as_str() };
        let level = match word.trim().to_ascii_lowercase().parse() {
            Ok(Severity::Low) => Some(Level::Info),
            Ok(Severity::Medium) => Some(Level::Warning),
            Ok(Severity::High) => Some(Level::Error),
            Ok(Severity::Critical) => Some(Level::Fatal),
            Err(_) => Level::parse(&word),
        };
        // The word itself decides as well, where it is one of the four.
        self.members.insert("severity".to_owned(), Value::from(word));
        if level.is_none() {
            self.warn("severity", "not one of low, medium, high, critical");
        }
        level.unwrap_or_default().as_str()
    }

    fn extra(&mut self) -> Map<String, Value> {
        let mut extra = match self.take("metadata") {
            Some(Value::Object(members)) => members,
            Some(other) => {
                self.warn("metadata", "not an object");
                Map::from_iter([("metadata".to_owned(), other)])
            }
            None => Map::new(),
        };
        if self.members.get("class").is_some_and(|class| !names_class(class)) {
            self.warn(
                "class",
                "not one of operational, integration, authentication, validation, rate_limit, business, system",
            );
        }
        if self.members.get("retryable").is_some_and(|value| !value.is_boolean() && !value.is_null()) {
            self.warn("retryable", "neither true nor false");
        }
        for name in ["class", "code", "status", "retryable", "severity", "stack_trace"] {
            if let Some(value) = self.take(name) {
                extra.insert(name.to_owned(), value);
            }
        }
        extra
    }

    fn context(&mut self) -> Value {
        match self.take("context") {
            Some(Value::Object(members)) => Value::Object(members),
            Some(other) => json!({ "value": other }),
            None => json!({}),
        }
    }

    /// A member that is not null.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|value| !value.is_null())
    }

    /// A member as text, whatever it is.
    fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            other => {
                self.warn(name, "not a text");
                Some(other.to_string())
            }
        }
    }

    fn warn(&mut self, name: &str, detail: &str) {
        let (path, detail) = (name.to_owned(), detail.to_owned());
        self.warnings.push(Warning { path, kind: WarningKind::NotUnderstood, detail });
    }
}

fn names_class(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|name| name.parse::<Class>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8]) -> Result<(Value, Vec<Warning>), ReportError> {
        Ok(ReportedError::parse(body, &Scrubber::default())?.into_event())
    }

    #[test]
    fn one_odd_value_does_not_lose_the_error() {
        let deep = format!(r#"{{"message":"m","metadata":{{"a":{}{}}}}}"#, "[".repeat(200), "]".repeat(200));
        let table: [(&[u8], &str); 15] = [
            (br#"{"message":"cut \ud83d"}"#, "message"),
            (b"{\"message\":\"m \xff\"}", ""),
            (br#"{"message":"m","metadata":{"rate":NaN}}"#, "metadata.rate"),
            (br#"{"message":"m","code":1e999}"#, "code"),
            (br#"{"message":"m","metadata":[1]}"#, "metadata"),
            (br#"{"message":5}"#, "message"),
            (br#"{"message":{"a":1}}"#, "message"),
            (br#"{"message":""}"#, "message"),
            (br#"{"message":"m","retryable":"yes"}"#, "retryable"),
            (br#"{"message":"m","message":"n"}"#, "message"),
            (br#"{"message":"m","class":"doom"}"#, "class"),
            (br#"{"message":"m","class":7}"#, "class"),
            (br#"{"message":"m","severity":"loud"}"#, "severity"),
            (br#"{"message":"m","severity":3}"#, "severity"),
            (deep.as_bytes(), "metadata.a"),
        ];
        for (body, path) in table {
            let (event, warnings) = read(body).unwrap();
            let body = String::from_utf8_lossy(body);
            assert!(event["message"].is_string(), "{body} {event}");
            let found =
                warnings.iter().any(|w| w.path.starts_with(path) && path.is_empty() == w.path.is_empty());
            assert!(found, "{body} {warnings:?}");
        }
    }

    #[test]
    fn what_is_in_order_brings_no_warning() {
        for (severity, level) in [
            ("low", "info"),
            ("Medium", "warning"),
            ("high", "error"),
            ("critical", "fatal"),
            ("warning", "warning"),
        ] {
            let body = format!(
                "\u{feff}{{\"error_type\":\"E\",\"message\":null,\"severity\":\"{severity}\",\"class\":\"business\"}}"
            );
            let (event, warnings) = read(body.as_bytes()).unwrap();
            assert_eq!((&event["level"], warnings), (&Value::from(level), Vec::new()), "{body}");
            assert_eq!(event["exception"]["values"][0]["type"], "E");
        }
    }

    /// `NewError` of the document that describes the API.
    fn described() -> Value {
        let document: Value = serde_json::from_str(include_str!("../api/openapi.json")).unwrap();
        document["components"]["schemas"]["NewError"]["properties"].clone()
    }

    fn with(name: &str, value: &Value) -> (Value, Vec<Warning>) {
        let mut body = json!({ "error_type": "E", "message": "m" });
        body[name] = value.clone();
        read(body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn the_document_names_what_is_read_and_any_value_of_it_is_taken() {
        let (plain, _) = with("unknown", &json!("x"));
        for name in described().as_object().unwrap().keys() {
            let odd = [json!("x"), json!(7), json!(true), json!([1, {}]), json!({ "a": 1 })];
            for value in &odd {
                assert_ne!(with(name, value).0, plain, "{name}: {value} is read");
            }
            assert_eq!(described()[name].get("type"), None, "{name} may be of any type");
        }
    }

    #[test]
    fn the_words_that_the_document_names_are_understood() {
        for name in ["severity", "class"] {
            for word in described()[name]["anyOf"][0]["enum"].as_array().unwrap() {
                let loud = json!(word.as_str().unwrap().to_uppercase());
                for word in [word, &loud] {
                    assert_eq!(with(name, word).1, Vec::new(), "{name}: {word}");
                }
            }
            assert_eq!(with(name, &json!("other")).1.len(), 1, "{name}");
        }
    }

    #[test]
    fn only_what_is_no_error_at_all_is_refused() {
        for body in ["", "7", "[]", "{", "{}", "nonsense", r#"{"message":null}"#, r#"{"code":1}"#] {
            assert!(read(body.as_bytes()).is_err(), "{body}");
        }
    }
}
