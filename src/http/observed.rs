//! What the HTTP face tells /metrics about itself.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts};

use crate::telemetry::{Registry, RegistryError};

/// Requests and their durations, by route and status class. Routes are patterns, never paths: few series.
#[derive(Clone)]
pub struct Observed {
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
        registry.register(requests.clone())?;
        registry.register(seconds.clone())?;
        Ok(Self { requests, seconds })
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
