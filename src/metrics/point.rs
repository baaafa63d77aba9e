//! Reading of `POST /api/v1/metrics`.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::base::text::clip;
use crate::base::{ProjectId, Timestamp};
use crate::scrub::Scrubber;

/// One reported number. Its texts went through the scrubber.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub project: ProjectId,
    pub kind: String,
    pub value: f64,
    pub unit: Option<String>,
    /// A JSON object, as it is stored.
    pub metadata: String,
    pub at: Timestamp,
    pub received_at: Timestamp,
}

impl Point {
    /// What the point holds in memory, about.
    pub(super) fn bytes(&self) -> usize {
        let texts = self.kind.len() + self.unit.as_ref().map_or(0, String::len);
        size_of::<Self>() + texts + self.metadata.len()
    }
}

/// Points in one request: a client batches a minute's worth, not a day's.
pub const POINTS_MAX: usize = 1000;
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
struct Raw<'a> {
    r#type: Option<String>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    unit: Option<String>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    at: Option<Timestamp>,
}

/// Reads one object or an array of `{type, value, unit?, metadata?, at?}`; all or nothing.
pub fn parse_points(
    body: &[u8],
    scrubber: &Scrubber,
    project: ProjectId,
    now: Timestamp,
) -> Result<Vec<Point>, PointError> {
    let json = |error: serde_json::Error| PointError::Json(error.to_string());
    let is_array = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let batch: Batch<'_> = if is_array {
        serde_json::from_slice(body).map_err(json)?
    } else {
        Batch { points: vec![serde_json::from_slice(body).map_err(json)?], more: 0 }
    };
    if batch.points.is_empty() || batch.more > 0 {
        return Err(PointError::Count(batch.points.len() + batch.more));
    }
    batch
        .points
        .into_iter()
        .enumerate()
        .map(|(at, raw)| {
            read(raw, scrubber, project, now).map_err(|problem| PointError::Point { at, problem })
        })
        .collect()
}

fn read(
    raw: Raw<'_>,
    scrubber: &Scrubber,
    project: ProjectId,
    now: Timestamp,
) -> Result<Point, &'static str> {
    let kind = raw.r#type.filter(|kind| !kind.is_empty()).ok_or("`type` is missing")?;
    if kind.chars().count() > KIND_CHARS_MAX {
        return Err("`type` is longer than 100 characters");
    }
    let value = raw.value.and_then(number).ok_or("`value` is missing or not a number")?;
    if raw.unit.as_ref().is_some_and(|unit| unit.chars().count() > UNIT_CHARS_MAX) {
        return Err("`unit` is longer than 32 characters");
    }
    let clean = |text: &str, chars_max| clip(&scrubber.text(text), chars_max).into_owned();
    Ok(Point {
        project,
        kind: clean(&kind, KIND_CHARS_MAX),
        value,
        unit: raw.unit.map(|unit| clean(&unit, UNIT_CHARS_MAX)),
        metadata: raw.metadata.map_or_else(|| Ok("{}".to_owned()), |raw| metadata(raw, scrubber))?,
        at: raw.at.unwrap_or(now).min(now),
        received_at: now,
    })
}

fn number(raw: &RawValue) -> Option<f64> {
    serde_json::from_str(raw.get()).ok()
}

/// The object as it may be stored.
fn metadata(raw: &RawValue, scrubber: &Scrubber) -> Result<String, &'static str> {
    const TOO_LARGE: &str = "`metadata` is larger than 8 kB";
    match raw.get() {
        "null" => return Ok("{}".to_owned()),
        json if !json.starts_with('{') => return Err("`metadata` is not an object"),
        json if json.len() > METADATA_BYTES_MAX => return Err(TOO_LARGE),
        _ => {}
    }
    let scrubbed = scrubber.json(raw.get().as_bytes()).map_err(|_| "`metadata` cannot be read")?;
    let json = String::from_utf8(scrubbed.json).map_err(|_| "`metadata` cannot be read")?;
    if json.len() > METADATA_BYTES_MAX { Err(TOO_LARGE) } else { Ok(json) }
}

/// The elements of an array, of which only so many are kept as may be sent.
struct Batch<'a> {
    points: Vec<Raw<'a>>,
    /// Passed over without taking memory.
    more: usize,
}

impl<'de> Deserialize<'de> for Batch<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(BatchVisitor)
    }
}

struct BatchVisitor;

impl<'de> Visitor<'de> for BatchVisitor {
    type Value = Batch<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of points")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut batch = Batch { points: Vec::new(), more: 0 };
        while batch.points.len() < POINTS_MAX {
            let Some(point) = seq.next_element()? else { return Ok(batch) };
            batch.points.push(point);
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {
            batch.more += 1;
        }
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn parse(body: &str) -> Result<Vec<Point>, PointError> {
        parse_points(body.as_bytes(), &Scrubber::default(), ProjectId(1), NOW)
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
    fn more_points_than_may_be_sent_are_counted_and_not_kept() {
        let point = r#"{"type":"a","value":1}"#;
        let of = |count: usize| format!("[{}]", vec![point; count].join(","));
        assert_eq!(parse(&of(POINTS_MAX)).unwrap().len(), POINTS_MAX);
        assert_eq!(parse(&of(POINTS_MAX + 2)).unwrap_err(), PointError::Count(POINTS_MAX + 2));
    }

    #[test]
    fn texts_are_scrubbed_and_bounded() {
        let points = parse(
            r#"{"type":"a","value":1,"unit":"4111 1111 1111 1111",
               "metadata":{"password":"hunter2","query":"SELECT '4111111111111111'","rows":7}}"#,
        );
        let point = points.unwrap().remove(0);
        assert_eq!(point.unit.as_deref(), Some("[Filtered]"));
        assert_eq!(point.metadata, r#"{"password":"[Filtered]","query":"SELECT '[Filtered]'","rows":7}"#);
        for (metadata, problem) in [
            ("[1]", "`metadata` is not an object"),
            ("7", "`metadata` is not an object"),
            (&*format!(r#"{{"a":"{}"}}"#, "x".repeat(METADATA_BYTES_MAX)), "`metadata` is larger than 8 kB"),
        ] {
            let error = parse(&format!(r#"{{"type":"a","value":1,"metadata":{metadata}}}"#)).unwrap_err();
            assert_eq!(error, PointError::Point { at: 0, problem });
        }
        assert_eq!(parse(r#"{"type":"a","value":1,"metadata":null}"#).unwrap()[0].metadata, "{}");
    }

    #[test]
    fn a_time_in_the_future_is_now() {
        let points = parse(r#"{"type":"a","value":1,"at":"2999-01-01T00:00:00Z"}"#).unwrap();
        assert_eq!(points[0].at, NOW);
    }
}
