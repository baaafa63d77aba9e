//! Reading of `POST /api/v1/metrics`.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::base::{ProjectId, Timestamp};

/// One reported number.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub project: ProjectId,
    pub kind: String,
    pub value: f64,
    pub unit: Option<String>,
    pub metadata: Map<String, Value>,
    pub at: Timestamp,
    pub received_at: Timestamp,
}

impl Point {
    /// What the point holds in memory, about.
    pub(super) fn bytes(&self) -> usize {
        let texts = self.kind.len() + self.unit.as_ref().map_or(0, String::len);
        size_of::<Self>() + texts + members_bytes(&self.metadata)
    }
}

fn members_bytes(members: &Map<String, Value>) -> usize {
    members.iter().map(|(name, value)| size_of::<String>() + name.len() + value_bytes(value)).sum()
}

fn value_bytes(value: &Value) -> usize {
    let inside = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(value_bytes).sum(),
        Value::Object(members) => members_bytes(members),
    };
    size_of::<Value>() + inside
}

/// Points in one request: a client batches a minute's worth, not a day's.
const POINTS_MAX: usize = 1000;
const KIND_CHARS_MAX: usize = 100;
const UNIT_CHARS_MAX: usize = 32;
const METADATA_BYTES_MAX: usize = 8 * 1024;

/// Why a request holds no usable points. Nothing of it was stored.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointError {
    #[error("the body is not JSON: {0}")]
    Json(String),
    #[error("send one object or an array of at most {POINTS_MAX}; this holds {0}")]
    Count(usize),
    #[error("point {at}: {problem}")]
    Point { at: usize, problem: &'static str },
}

#[derive(Deserialize)]
struct Raw {
    r#type: Option<String>,
    value: Option<Value>,
    unit: Option<String>,
    metadata: Option<Map<String, Value>>,
    at: Option<Timestamp>,
}

/// Reads one object or an array of `{type, value, unit?, metadata?, at?}`; all or nothing.
pub fn parse_points(body: &[u8], project: ProjectId, now: Timestamp) -> Result<Vec<Point>, PointError> {
    let json = |error: serde_json::Error| PointError::Json(error.to_string());
    let is_array = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let raws: Vec<Raw> = if is_array {
        serde_json::from_slice(body).map_err(json)?
    } else {
        vec![serde_json::from_slice(body).map_err(json)?]
    };
    if raws.is_empty() || raws.len() > POINTS_MAX {
        return Err(PointError::Count(raws.len()));
    }
    raws.into_iter()
        .enumerate()
        .map(|(at, raw)| read(raw, project, now).map_err(|problem| PointError::Point { at, problem }))
        .collect()
}

fn read(raw: Raw, project: ProjectId, now: Timestamp) -> Result<Point, &'static str> {
    let kind = raw.r#type.filter(|kind| !kind.is_empty()).ok_or("`type` is missing")?;
    if kind.chars().count() > KIND_CHARS_MAX {
        return Err("`type` is longer than 100 characters");
    }
    let value = raw.value.as_ref().and_then(Value::as_f64).ok_or("`value` is missing or not a number")?;
    if raw.unit.as_ref().is_some_and(|unit| unit.chars().count() > UNIT_CHARS_MAX) {
        return Err("`unit` is longer than 32 characters");
    }
    let metadata = raw.metadata.unwrap_or_default();
    if serde_json::to_vec(&metadata).map_or(0, |bytes| bytes.len()) > METADATA_BYTES_MAX {
        return Err("`metadata` is larger than 8 kB");
    }
    let at = raw.at.unwrap_or(now).min(now);
    Ok(Point { project, kind, value, unit: raw.unit, metadata, at, received_at: now })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn parse(body: &str) -> Result<Vec<Point>, PointError> {
        parse_points(body.as_bytes(), ProjectId(1), NOW)
    }

    #[test]
    fn one_object_or_an_array_is_read() {
        let one =
            parse(r#" {"type":"database_query","value":1200,"unit":"ms","metadata":{"query":"SELECT 1"}}"#);
        assert!((one.unwrap()[0].value - 1200.0).abs() < f64::EPSILON);
        assert_eq!(parse(r#"[{"type":"a","value":1},{"type":"b","value":2.5}]"#).unwrap().len(), 2);
    }

    #[test]
    fn one_bad_point_refuses_all_and_says_which() {
        let error = parse(r#"[{"type":"a","value":1},{"type":"b","value":"2"}]"#).unwrap_err();
        assert_eq!(error.to_string(), "point 1: `value` is missing or not a number");
        for body in
            ["", "[]", "7", r#"{"value":1}"#, r#"{"type":"","value":1}"#, r#"{"type":"a","value":1e999}"#]
        {
            assert!(parse(body).is_err(), "{body}");
        }
    }

    #[test]
    fn a_time_in_the_future_is_now() {
        let points = parse(r#"{"type":"a","value":1,"at":"2999-01-01T00:00:00Z"}"#).unwrap();
        assert_eq!(points[0].at, NOW);
    }
}
