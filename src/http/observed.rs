//! What the HTTP face tells /metrics about itself.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts};

use crate::issues::record::Recorded;
use crate::telemetry::{Registry, RegistryError};

/// Requests and their durations, by route and status class, and what became of accepted events. Routes are
/// patterns, never paths: few series.
#[derive(Clone)]
pub struct Observed {
    stored: IntCounter,
    sampled: IntCounter,
    duplicate: IntCounter,
    requests: IntCounterVec,
    seconds: HistogramVec,
}

/// Bucket bounds in seconds: intake answers in milliseconds, a page in tens.
const BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

impl Observed {
    pub fn register(registry: &Registry) -> Result<Self, RegistryError> {
        let labels = ["route", "status"];
        let requests =
            IntCounterVec::new(Opts::new("tocsin_http_requests_total", "Requests answered."), &labels)
                .map_err(RegistryError::Register)?;
        let options = HistogramOpts::new(
            "tocsin_http_request_duration_seconds",
            "Time from the request's head to the answer's.",
        )
        .buckets(BUCKETS.to_vec());
        let seconds = HistogramVec::new(options, &["route"]).map_err(RegistryError::Register)?;
        let events = IntCounterVec::new(
            Opts::new("tocsin_events_total", "Events acknowledged, by what became of them."),
            &["outcome"],
        )
        .map_err(RegistryError::Register)?;
        registry.register(events.clone())?;
        let [stored, sampled, duplicate] =
            ["stored", "sampled", "duplicate"].map(|outcome| events.with_label_values(&[outcome]));
        registry.register(requests.clone())?;
        registry.register(seconds.clone())?;
        Ok(Self { stored, sampled, duplicate, requests, seconds })
    }

    /// Counts an event that was acknowledged.
    pub fn event(&self, recorded: Recorded) {
        match recorded {
            Recorded::Stored(_) => self.stored.inc(),
            Recorded::Sampled(_) => self.sampled.inc(),
            Recorded::Duplicate => self.duplicate.inc(),
        }
    }

    /// Events acknowledged since the start.
    pub fn events_total(&self) -> u64 {
        self.stored.get() + self.sampled.get() + self.duplicate.get()
    }

    pub fn request(&self, route: Option<&str>, status: u16, took: Duration) {
        let route = route.unwrap_or("none");
        let class = match status {
            100..200 => "1xx",
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            _ => "5xx",
        };
        self.requests.with_label_values(&[route, class]).inc();
        self.seconds.with_label_values(&[route]).observe(took.as_secs_f64());
    }
}
