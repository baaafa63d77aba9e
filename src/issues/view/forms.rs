//! The forms in which clients send the parts of an event, each turned into the one that is shown.

use serde_json::{Map, Value};

use super::{ExceptionView, FrameView};
use crate::base::Timestamp;
use crate::issues::frame::is_panic_machinery;

/// `{values: […]}`, `[…]` or one alone, without what is no object.
fn objects(value: Value) -> Vec<Map<String, Value>> {
    let list = match value {
        Value::Object(mut fields) => match fields.remove("values") {
            Some(Value::Array(list)) => list,
            Some(_) | None => vec![Value::Object(fields)],
        },
        Value::Array(list) => list,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    list.into_iter().map(object).filter(|fields| !fields.is_empty()).collect()
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// A scalar as text, a list joined; `None` for null and objects.
fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(list) => Some(list.into_iter().filter_map(text).collect::<Vec<_>>().join(", ")),
        Value::Null | Value::Object(_) => None,
    }
}

/// `{k: v}` or `[[k, v]]` as names and texts.
fn pairs(value: Value) -> Vec<(String, String)> {
    match value {
        Value::Object(fields) => {
            fields.into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect()
        }
        Value::Array(list) => list.into_iter().filter_map(pair).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn pair(value: Value) -> Option<(String, String)> {
    let Value::Array(pair) = value else { return None };
    let [name, value] = <[Value; 2]>::try_from(pair).ok()?;
    Some((text(name)?, text(value)?))
}

fn texts_object(pairs: Vec<(String, String)>) -> Value {
    Value::Object(pairs.into_iter().map(|(name, value)| (name, Value::String(value))).collect())
}

pub(super) fn user(value: Value) -> Map<String, Value> {
    let mut user = object(value);
    for name in ["id", "email", "username", "ip_address", "name"] {
        if let Some(value) = user.remove(name)
            && let Some(text) = text(value)
        {
            user.insert(name.to_owned(), Value::String(text));
        }
    }
    user
}

pub(super) fn request(value: Value) -> Map<String, Value> {
    let mut request = object(value);
    request.retain(|_, value| !value.is_null());
    if let Some(headers) = request.remove("headers") {
        request.insert("headers".to_owned(), texts_object(pairs(headers)));
    }
    if let Some(cookies) = request.remove("cookies") {
        let pairs = match cookies {
            Value::String(line) => cookie_pairs(&line),
            other => pairs(other),
        };
        request.insert("cookies".to_owned(), texts_object(pairs));
    }
    if let Some(query) = request.remove("query_string") {
        let line = match query {
            Value::String(line) => line,
            other => {
                let pairs = pairs(other).into_iter().map(|(name, value)| format!("{name}={value}"));
                pairs.collect::<Vec<_>>().join("&")
            }
        };
        request.insert("query_string".to_owned(), Value::String(line));
    }
    request
}

fn cookie_pairs(line: &str) -> Vec<(String, String)> {
    let pairs = line.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

pub(super) fn contexts(value: Value) -> Map<String, Value> {
    let mut contexts = object(value);
    contexts.retain(|_, context| !context.is_null());
    contexts
}

pub(super) fn breadcrumbs(value: Value) -> Vec<Value> {
    let mut crumbs = objects(value);
    for crumb in &mut crumbs {
        let at = crumb.get("timestamp").and_then(Value::as_f64).and_then(Timestamp::from_secs_f64);
        if let Some(at) = at {
            crumb.insert("timestamp".to_owned(), Value::String(at.to_rfc3339()));
        }
    }
    crumbs.into_iter().map(Value::Object).collect()
}

pub(super) fn exceptions(value: Value) -> Vec<ExceptionView> {
    objects(value).into_iter().map(exception).collect()
}

fn exception(mut fields: Map<String, Value>) -> ExceptionView {
    let mut take = |name: &str| fields.remove(name).unwrap_or_default();
    ExceptionView {
        error_type: text(take("type")),
        value: text(take("value")),
        module: text(take("module")),
        mechanism: Some(take("mechanism")).filter(Value::is_object),
        frames: stack_frames(take("stacktrace")),
    }
}

fn frame(mut fields: Map<String, Value>) -> FrameView {
    let mut take = |name: &str| fields.remove(name).unwrap_or_default();
    let function = text(take("function"));
    let raw_function = text(take("raw_function"));
    let is_machinery = function.as_deref().is_some_and(is_panic_machinery);
    FrameView {
        function: function.or(raw_function),
        module: text(take("module")),
        filename: text(take("filename")),
        abs_path: text(take("abs_path")),
        lineno: number(&take("lineno")),
        colno: number(&take("colno")),
        in_app: take("in_app").as_bool().map(|in_app| in_app && !is_machinery),
        context_line: text(take("context_line")),
        pre_context: lines(take("pre_context")),
        post_context: lines(take("post_context")),
        vars: object(take("vars")),
    }
}

fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn lines(value: Value) -> Vec<String> {
    match value {
        Value::Array(list) => list.into_iter().map(|line| text(line).unwrap_or_default()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => Vec::new(),
    }
}

/// The frames of an event without an exception: of its crashed or current thread, else its own.
pub(super) fn bare_frames(threads: Value, stacktrace: Value) -> Vec<FrameView> {
    let mut best = (false, false);
    let mut frames = Vec::new();
    for mut thread in objects(threads) {
        let flag = |name: &str| thread.get(name).and_then(Value::as_bool).unwrap_or(false);
        let rank = (flag("crashed"), flag("current"));
        let own = stack_frames(thread.remove("stacktrace").unwrap_or_default());
        if !own.is_empty() && (frames.is_empty() || rank > best) {
            (best, frames) = (rank, own);
        }
    }
    if frames.is_empty() { stack_frames(stacktrace) } else { frames }
}

fn stack_frames(stacktrace: Value) -> Vec<FrameView> {
    let frames = object(stacktrace).remove("frames").unwrap_or_default();
    objects(frames).into_iter().map(frame).collect()
}
