//! What apps without an SDK report, and the event that is made of it.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::base::{EventId, Severity};

/// What `POST /api/v1/errors` takes. Only `message` or `error_type` must be there.
#[derive(Deserialize)]
pub(super) struct ReportedError {
    error_type: Option<String>,
    message: Option<String>,
    context: Option<Value>,
    severity: Option<String>,
    user_id: Option<Value>,
    metadata: Option<Map<String, Value>>,
    stack_trace: Option<String>,
    class: Option<String>,
    code: Option<Value>,
    status: Option<Value>,
    retryable: Option<bool>,
    fingerprint: Option<Vec<Value>>,
    release: Option<String>,
    environment: Option<String>,
    timestamp: Option<Value>,
    event_id: Option<String>,
    platform: Option<String>,
}

/// Why a body is no such error.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReportError {
    #[error("The body is not such an error: {0}.")]
    Json(#[from] serde_json::Error),
    #[error("`message` or `error_type` must be there.")]
    Empty,
    #[error("`severity` is one of low, medium, high, critical.")]
    Severity,
}

impl ReportedError {
    pub(super) fn parse(body: &[u8]) -> Result<Self, ReportError> {
        let reported: Self = serde_json::from_slice(body)?;
        if reported.message.is_none() && reported.error_type.is_none() {
            return Err(ReportError::Empty);
        }
        match &reported.severity {
            Some(severity) if severity.parse::<Severity>().is_err() => Err(ReportError::Severity),
            Some(_) | None => Ok(reported),
        }
    }

    pub(super) fn event_id(&self) -> Option<EventId> {
        self.event_id.as_deref().and_then(EventId::parse)
    }
}

/// The error in the form that everything behind the door understands: a Sentry event.
pub(super) fn as_event(reported: ReportedError) -> Value {
    let level = match reported.severity.as_deref() {
        Some("low") => "info",
        Some("medium") => "warning",
        Some("critical") => "fatal",
        _ => "error",
    };
    let mut extra = reported.metadata.unwrap_or_default();
    let hints = [
        ("class", reported.class.map(Value::from)),
        ("code", reported.code),
        ("status", reported.status),
        ("retryable", reported.retryable.map(Value::from)),
        ("severity", reported.severity.map(Value::from)),
        ("stack_trace", reported.stack_trace.map(Value::from)),
    ];
    extra.extend(hints.into_iter().filter_map(|(name, value)| value.map(|value| (name.to_owned(), value))));
    let context = match reported.context {
        Some(Value::Object(members)) => Value::Object(members),
        Some(Value::Null) | None => json!({}),
        Some(other) => json!({ "value": other }),
    };
    let mut event = json!({
        "level": level,
        "platform": reported.platform.unwrap_or_else(|| "other".to_owned()),
        "extra": extra,
        "contexts": { "context": context },
    });
    let members = [
        ("release", reported.release.map(Value::from)),
        ("environment", reported.environment.map(Value::from)),
        ("timestamp", reported.timestamp),
        ("fingerprint", reported.fingerprint.map(Value::from)),
        ("user", reported.user_id.map(|id| json!({ "id": id }))),
    ];
    for (name, value) in members {
        if let Some(value) = value {
            event[name] = value;
        }
    }
    match reported.error_type {
        Some(error_type) => {
            event["exception"] = json!({ "values": [{ "type": error_type, "value": reported.message }] });
        }
        None => event["message"] = reported.message.map_or(Value::Null, Value::from),
    }
    event
}
