//! What a peer's `Retry-After` asks for.

use std::time::Duration;

use crate::base::Timestamp;

/// A peer that asks for more is asked again after this: one answer must not silence a channel for a day.
const WAIT_MAX: Duration = Duration::from_hours(1);

/// Reads `Retry-After` (RFC 9110 §10.2.3): seconds, also with a fraction as some APIs send, or an HTTP date.
/// At most 1 h; `None` for anything else.
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse::<f64>() {
        Ok(secs) if secs.is_finite() && secs >= 0.0 => {
            Duration::try_from_secs_f64(secs.min(WAIT_MAX.as_secs_f64())).ok()?
        }
        Ok(_) => return None,
        Err(_) => {
            let date = httpdate::parse_http_date(value).ok()?;
            let since_epoch = date.duration_since(std::time::UNIX_EPOCH).ok()?;
            (Timestamp::EPOCH + since_epoch).since(now)
        }
    };
    Some(wait.min(WAIT_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_fractions_and_dates_are_understood() {
        let now = Timestamp::parse_rfc3339("2026-11-21T03:00:00Z").unwrap();
        for (value, expected) in [
            ("30", Some(Duration::from_secs(30))),
            (" 0 ", Some(Duration::ZERO)),
            ("1.5", Some(Duration::from_millis(1500))),
            ("Sat, 21 Nov 2026 03:02:00 GMT", Some(Duration::from_mins(2))),
            ("Sat, 21 Nov 2026 02:00:00 GMT", Some(Duration::ZERO)),
            ("99999999999999", Some(WAIT_MAX)),
            ("-1", None),
            ("NaN", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(value, now), expected, "{value}");
        }
    }
}
