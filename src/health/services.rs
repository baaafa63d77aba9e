//! The shape of `/api/health`: how the watched services are. Domains that watch something fill it in; while none
//! does, nothing is watched and nothing is invented.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Health;
use crate::base::Timestamp;

/// What `/api/health` and `/api/health/detailed` answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Overview {
    pub status: Health,
    pub timestamp: Timestamp,
    /// By the service's label.
    pub services: BTreeMap<String, ServiceHealth>,
    pub metrics: Metrics,
    /// Where each of `metrics` comes from, or why it is null.
    pub metric_sources: MetricSources,
    pub version: &'static str,
}

/// One watched service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServiceHealth {
    pub status: Health,
    pub message: String,
    pub since: Timestamp,
    pub checked_at: Option<Timestamp>,
    pub response_time_ms: Option<f64>,
}

/// Numbers over all services; `None` where nothing measures them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Metrics {
    pub response_time_ms: Option<f64>,
    pub active_users: Option<u64>,
    pub queue_depth: Option<u64>,
    /// Failed share of the last five minutes' requests, 0 to 1.
    pub error_rate: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MetricSources {
    pub response_time_ms: &'static str,
    pub active_users: &'static str,
    pub queue_depth: &'static str,
    pub error_rate: &'static str,
}

/// How it is while nothing watches a service.
pub fn unwatched(now: Timestamp) -> Overview {
    Overview {
        status: Health::Healthy,
        timestamp: now,
        services: BTreeMap::new(),
        metrics: Metrics::default(),
        metric_sources: MetricSources {
            response_time_ms: "unknown: no probe is set up",
            active_users: "unknown: no sessions are reported",
            queue_depth: "unknown: no queue is watched",
            error_rate: "unknown: no requests are counted",
        },
        version: env!("CARGO_PKG_VERSION"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_nothing_to_watch_it_is_healthy_and_every_number_is_null() {
        let shown = serde_json::to_value(unwatched(Timestamp::from_secs(1_800_000_000))).unwrap();
        let expected = serde_json::json!({
            "status": "healthy",
            "timestamp": "2027-01-15T08:00:00.000000Z",
            "services": {},
            "metrics": {
                "response_time_ms": null, "active_users": null, "queue_depth": null, "error_rate": null,
            },
            "metric_sources": {
                "response_time_ms": "unknown: no probe is set up",
                "active_users": "unknown: no sessions are reported",
                "queue_depth": "unknown: no queue is watched",
                "error_rate": "unknown: no requests are counted",
            },
            "version": env!("CARGO_PKG_VERSION"),
        });
        assert_eq!(shown, expected);
    }
}
