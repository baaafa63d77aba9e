//! What a domain says when something is wrong, or right again.

use serde_json::{Map, Value};

use crate::base::text::clip;
use crate::base::{ProjectId, Severity, Timestamp};

/// One observation of one subject, raised in the transaction of the fact that caused it.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// `None`: tocsin's own trouble.
    pub project: Option<ProjectId>,
    /// A label shared by everything that watches the same service; joins incidents across projects.
    pub service: Option<String>,
    /// What is wrong, the same text each time: `issue:{project}:{issue}`, `rate:{project}` …
    pub key: String,
    pub source: Source,
    pub severity: Severity,
    /// One line for the message's subject.
    pub summary: String,
    /// Facts for messages, a JSON object of at most [`DETAIL_BYTES_MAX`]; what does not fit is left out and counted.
    pub detail: Value,
    /// When the trouble began, as far as it is known; never later than `observed_at`.
    pub first_bad_at: Timestamp,
    /// When tocsin saw it, by its own clock.
    pub observed_at: Timestamp,
    pub kind: SignalKind,
}

/// Whether a signal opens or ends, and whether its subject can say that it is well again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalKind {
    /// A condition holds.
    Firing,
    /// The condition no longer holds.
    Ok,
    /// Something happened that has no "ok": it is over when resolved, ignored or quiet.
    Occurrence,
}

/// Which kind of watcher saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Errors,
    ErrorRate,
    SlowMetrics,
    /// tocsin about itself.
    Own,
    Probe,
    Heartbeat,
    /// Of a service that needs only some of its members.
    Service,
    Webhook,
    Breaker,
}

/// A key is built by code from ids; the bound only keeps a mistake small.
pub const KEY_CHARS_MAX: usize = 200;
/// A mail subject shows about this much on a wide screen.
pub const SUMMARY_CHARS_MAX: usize = 200;
/// Room for five slow queries or a stack's top frames; a message shows less.
pub const DETAIL_BYTES_MAX: usize = 8 * 1024;

impl Source {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::ErrorRate => "error_rate",
            Self::SlowMetrics => "slow_metrics",
            Self::Own => "self",
            Self::Probe => "probe",
            Self::Heartbeat => "heartbeat",
            Self::Service => "service",
            Self::Webhook => "webhook",
            Self::Breaker => "breaker",
        }
    }
}

impl SignalKind {
    pub const fn is_bad(self) -> bool {
        match self {
            Self::Firing | Self::Occurrence => true,
            Self::Ok => false,
        }
    }
}

impl Signal {
    /// The signal with its texts cut to their bounds and its times in order: began ≤ observed ≤ `now`.
    pub(super) fn bounded(&self, now: Timestamp) -> Self {
        let observed_at = self.observed_at.min(now);
        let first_bad_at = self.first_bad_at.min(observed_at);
        let key = clip(&self.key, KEY_CHARS_MAX);
        let summary = clip(&self.summary, SUMMARY_CHARS_MAX);
        let service = self.service.as_deref().map(|service| clip(service, KEY_CHARS_MAX).into_owned());
        let detail = bounded_detail(&self.detail);
        Self {
            project: self.project,
            service,
            key: key.into_owned(),
            source: self.source,
            severity: self.severity,
            summary: summary.into_owned(),
            detail,
            first_bad_at,
            observed_at,
            kind: self.kind,
        }
    }
}

/// Keeps the members that fit, in their order, and says under `cut` how many did not.
fn bounded_detail(detail: &Value) -> Value {
    let Value::Object(members) = detail else {
        return Value::Object(Map::new());
    };
    if bytes(detail) <= DETAIL_BYTES_MAX {
        return detail.clone();
    }
    // Room for the `cut` member itself.
    let mut left = DETAIL_BYTES_MAX - 32;
    let mut kept = Map::new();
    for (name, value) in members {
        let cost = bytes(value) + bytes(&Value::from(name.as_str())) + 2;
        if cost <= left {
            left -= cost;
            kept.insert(name.clone(), value.clone());
        }
    }
    kept.insert("cut".to_owned(), Value::from(members.len() - kept.len()));
    Value::Object(kept)
}

fn bytes(value: &Value) -> usize {
    value.to_string().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_detail_that_is_too_large_keeps_what_fits_and_counts_the_rest() {
        let detail = json!({"event_id": "1", "users": 3, "dump": "x".repeat(DETAIL_BYTES_MAX)});
        let kept = bounded_detail(&detail);
        assert_eq!(kept, json!({"event_id": "1", "users": 3, "cut": 1}));
        assert_eq!(bounded_detail(&kept), kept);
        assert_eq!(bounded_detail(&json!([1])), json!({}));
    }

    #[test]
    fn many_small_members_stay_below_the_bound() {
        let detail: Map<_, _> = (0..5_000).map(|n| (format!("key {n}"), json!("\"quoted\""))).collect();
        assert!(bytes(&bounded_detail(&Value::Object(detail))) <= DETAIL_BYTES_MAX);
    }
}
