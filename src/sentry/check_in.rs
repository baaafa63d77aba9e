//! Check-ins: how SDKs and `sentry-cli monitors run` say that a scheduled job began and ended.
//!
//! They become pings of a heartbeat. A check-in that brings its monitor's configuration makes the heartbeat.

use std::time::Duration;

use serde_json::Value;

use crate::base::text::clip;
use crate::heartbeats::{Action, Definition, Slug, Written};

/// A check-in, read.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckIn {
    pub slug: Slug,
    pub action: Action,
    /// `None`: of the run that began last.
    pub id: Option<[u8; 16]>,
    pub took: Option<Duration>,
    pub environment: Option<String>,
    /// The monitor's configuration, where it came along.
    pub definition: Option<Box<Written>>,
}

/// The payload is no check-in.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckInError {
    #[error("a check-in of {0} bytes is larger than {PAYLOAD_BYTES_MAX}")]
    TooLarge(usize),
    #[error("the check-in is not a JSON object")]
    NotAnObject,
    #[error("the monitor's slug is missing or holds nothing of a-z, 0-9, _ and -")]
    Slug,
    #[error("`status` must be in_progress, ok or error")]
    Status,
    #[error("`check_in_id` is no UUID")]
    Id,
    #[error("`monitor_config`: {0}")]
    Config(String),
}

/// With contexts; the check-in itself takes some hundred bytes.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;
const ENVIRONMENT_CHARS_MAX: usize = 64;
const MINUTE: u64 = 60;
/// What Sentry assumes where nothing is said.
const MARGIN: Duration = Duration::from_mins(1);
const RUN_TIME: Duration = Duration::from_mins(30);
const YEAR: Duration = Duration::from_hours(24 * 365);
const THREE_DAYS: Duration = Duration::from_hours(72);
const IN_A_ROW_MAX: u64 = 20;

/// Reads a `check_in` item.
///
/// # Errors
/// [`CheckInError`], naming what is wrong.
pub fn parse(payload: &[u8]) -> Result<CheckIn, CheckInError> {
    let value = object(payload)?;
    let slug = value.get("monitor_slug").and_then(Value::as_str).unwrap_or_default().to_owned();
    read(&slug, &value)
}

/// Reads what `/cron/{slug}/` is sent: the same JSON without a slug, or nothing, with `query` beside it.
///
/// # Errors
/// As [`parse`].
pub fn parse_request(
    slug: &str,
    payload: &[u8],
    query: &[(String, String)],
) -> Result<CheckIn, CheckInError> {
    let mut value = if payload.trim_ascii().is_empty() {
        Value::Object(serde_json::Map::new())
    } else {
        object(payload)?
    };
    for name in ["status", "check_in_id", "environment"] {
        if let Some((_, text)) = query.iter().find(|(known, _)| known == name) {
            value[name] = Value::from(text.as_str());
        }
    }
    let duration =
        query.iter().find(|(known, _)| known == "duration").and_then(|(_, text)| text.parse::<f64>().ok());
    if let Some(seconds) = duration {
        value["duration"] = Value::from(seconds);
    }
    read(slug, &value)
}

fn object(payload: &[u8]) -> Result<Value, CheckInError> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(CheckInError::TooLarge(payload.len()));
    }
    let value: Value = serde_json::from_slice(payload).map_err(|_| CheckInError::NotAnObject)?;
    if value.is_object() { Ok(value) } else { Err(CheckInError::NotAnObject) }
}

fn read(slug: &str, value: &Value) -> Result<CheckIn, CheckInError> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let action = match text("status") {
        Some("in_progress") => Action::Start,
        Some("ok") => Action::Success,
        // The last two are the server's own words; nobody should send them.
        Some("error" | "missed" | "timeout") => Action::Fail,
        Some(_) | None => return Err(CheckInError::Status),
    };
    let id = match text("check_in_id") {
        Some(text) => Some(uuid::Uuid::try_parse(text).map_err(|_| CheckInError::Id)?),
        None => None,
    };
    let took =
        value.get("duration").and_then(Value::as_f64).and_then(|secs| Duration::try_from_secs_f64(secs).ok());
    let config = value.get("monitor_config").filter(|config| !config.is_null());
    Ok(CheckIn {
        slug: Slug::derive(slug).ok_or(CheckInError::Slug)?,
        action,
        id: id.filter(|id| !id.is_nil()).map(uuid::Uuid::into_bytes),
        took: took.filter(|_| action != Action::Start),
        environment: text("environment")
            .filter(|name| !name.trim().is_empty())
            .map(|name| clip(name, ENVIRONMENT_CHARS_MAX).into_owned()),
        definition: config.map(definition).transpose()?.map(Box::new),
    })
}

/// A monitor's configuration as a definition that is right.
fn definition(config: &Value) -> Result<Written, CheckInError> {
    let wrong = |why: &str| CheckInError::Config(why.to_owned());
    let schedule = config.get("schedule").ok_or_else(|| wrong("`schedule` is missing"))?;
    let value = schedule.get("value");
    let mut written = Written::default();
    match schedule.get("type").and_then(Value::as_str) {
        Some("crontab") => {
            let crontab =
                value.and_then(Value::as_str).ok_or_else(|| wrong("a crontab's `value` is a text"))?;
            written.cron = Some(crontab.to_owned());
            let zone = config.get("timezone").and_then(Value::as_str);
            written.zone = Some(zone.unwrap_or("UTC").to_owned());
        }
        Some("interval") => {
            let count =
                value.and_then(Value::as_u64).ok_or_else(|| wrong("an interval's `value` is a number"))?;
            let unit = schedule.get("unit").and_then(Value::as_str).unwrap_or_default();
            written.every =
                Some(interval(count, unit).ok_or_else(|| wrong("the interval's `unit` is none"))?);
        }
        Some(_) | None => return Err(wrong("the schedule's `type` is crontab or interval")),
    }
    let minutes = |name: &str| {
        let minutes = config.get(name).and_then(Value::as_u64);
        minutes.map(|minutes| Duration::from_secs(minutes.saturating_mul(MINUTE)))
    };
    written.grace = Some(minutes("checkin_margin").unwrap_or(MARGIN).clamp(MARGIN, YEAR));
    written.too_long = Some(minutes("max_runtime").unwrap_or(RUN_TIME).clamp(MARGIN, THREE_DAYS));
    let in_a_row = |name: &str| {
        let count = config.get(name).and_then(Value::as_u64)?;
        u8::try_from(count.clamp(1, IN_A_ROW_MAX)).ok()
    };
    written.failures = in_a_row("failure_issue_threshold");
    written.recoveries = in_a_row("recovery_threshold");
    let checked =
        Definition::try_from(written).map_err(|invalid| CheckInError::Config(invalid.to_string()))?;
    Ok(checked.into())
}

/// The longest that the unit may mean, a year at most: sooner than that nothing is missing.
fn interval(count: u64, unit: &str) -> Option<Duration> {
    let minutes = match unit {
        "minute" => 1,
        "hour" => 60,
        "day" => 60 * 24,
        "week" => 60 * 24 * 7,
        "month" => 60 * 24 * 31,
        "year" => 60 * 24 * 365,
        _ => return None,
    };
    let time = Duration::from_secs(count.saturating_mul(minutes).saturating_mul(MINUTE));
    (count > 0).then(|| time.min(YEAR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_in_of_an_sdk_is_read() {
        let read = parse(
            br#"{"check_in_id":"83a7c03ed0a04e1b97e2e3b18d38f244","monitor_slug":"Nightly Backup","status":"in_progress",
                "environment":"production","duration":3,"monitor_config":{"schedule":{"type":"crontab","value":"0 3 * * *"},
                "timezone":"Europe/Berlin","checkin_margin":5,"max_runtime":90,"failure_issue_threshold":2}}"#,
        )
        .unwrap();
        assert_eq!((read.slug.as_str(), read.action, read.took), ("nightly-backup", Action::Start, None));
        assert!(read.id.is_some() && read.environment.as_deref() == Some("production"));
        let definition = Definition::try_from(*read.definition.unwrap()).unwrap();
        assert_eq!(definition.schedule.describe(), "0 3 * * * Europe/Berlin");
        assert_eq!(definition.grace, Duration::from_mins(5));
        assert_eq!((definition.run_time_max(), definition.failures), (Duration::from_mins(90), 2));
    }

    #[test]
    fn a_request_may_say_all_in_its_query() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let query = [pair("status", "error"), pair("duration", "1.5"), pair("check_in_id", &"0".repeat(32))];
        let read = parse_request("job", b" ", &query).unwrap();
        assert_eq!(
            (read.action, read.id, read.took),
            (Action::Fail, None, Some(Duration::from_millis(1500)))
        );
        assert_eq!(parse_request("job", b"", &[]), Err(CheckInError::Status));
        let read = parse_request("job", br#"{"status":"ok"}"#, &[]).unwrap();
        assert_eq!((read.action, read.definition), (Action::Success, None));
    }

    #[test]
    fn an_interval_is_a_period() {
        for (value, unit, expected) in [
            (2, "hour", Some(7200)),
            (1, "month", Some(31 * 86400)),
            (9, "year", Some(365 * 86400)),
            (0, "day", None),
        ] {
            assert_eq!(interval(value, unit), expected.map(Duration::from_secs), "{value} {unit}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, says) in [
            ("[]", "not a JSON object"),
            ("{", "not a JSON object"),
            (r#"{"status":"ok"}"#, "slug"),
            (r#"{"monitor_slug":"!","status":"ok"}"#, "slug"),
            (r#"{"monitor_slug":"a","status":"fine"}"#, "`status`"),
            (r#"{"monitor_slug":"a","status":"ok","check_in_id":"x"}"#, "`check_in_id`"),
            (r#"{"monitor_slug":"a","status":"ok","monitor_config":{}}"#, "`schedule` is missing"),
            (
                r#"{"monitor_slug":"a","status":"ok","monitor_config":{"schedule":{"type":"crontab","value":"61 * * * *"}}}"#,
                "minute “61”",
            ),
            (
                r#"{"monitor_slug":"a","status":"ok","monitor_config":{"schedule":{"type":"interval","value":1,"unit":"eon"}}}"#,
                "unit",
            ),
        ] {
            let error = parse(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(says), "{json}: {error}");
        }
        assert!(matches!(parse(&vec![b' '; PAYLOAD_BYTES_MAX + 1]), Err(CheckInError::TooLarge(_))));
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(
            seconds in proptest::num::f64::ANY, count in proptest::num::u64::ANY, text in ".{0,30}",
        ) {
            let config = serde_json::json!({"schedule": {"type": "interval", "value": count, "unit": "year"},
                "checkin_margin": count, "max_runtime": count, "failure_issue_threshold": count, "timezone": text});
            let value = serde_json::json!({"monitor_slug": text, "status": "ok", "duration": seconds,
                "environment": text, "monitor_config": config});
            parse(value.to_string().as_bytes()).ok();
        }
    }
}
