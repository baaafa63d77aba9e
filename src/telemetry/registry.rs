//! The counters of this process, for `/metrics`.

use prometheus::core::Collector;
use prometheus::{Encoder as _, TextEncoder};

use super::process::ProcessCollector;

/// All metrics that this process shows. Cheap to clone; clones share one registry.
///
/// Parts register their own (`prometheus::IntCounter`, `HistogramVec`, …) under names that begin with `tocsin_`;
/// the process itself is there from the start under the usual `process_` names.
#[derive(Clone, Debug)]
pub struct Registry {
    inner: prometheus::Registry,
}

#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("a metric cannot be registered: {0}")]
    Register(#[source] prometheus::Error),
    #[error("the metrics cannot be written: {0}")]
    Render(#[source] prometheus::Error),
}

impl Registry {
    /// # Errors
    /// Where the process's own metrics cannot be described; never in a released program.
    pub fn new() -> Result<Self, RegistryError> {
        let registry = Self { inner: prometheus::Registry::new() };
        registry.register(ProcessCollector::new().map_err(RegistryError::Register)?)?;
        Ok(registry)
    }

    /// Adds a metric or a family; keep a clone of it to count with.
    ///
    /// # Errors
    /// Where the name is taken.
    pub fn register(&self, collector: impl Collector + 'static) -> Result<(), RegistryError> {
        self.inner.register(Box::new(collector)).map_err(RegistryError::Register)
    }

    /// Everything in the Prometheus text format 0.0.4 (content type [`Registry::CONTENT_TYPE`]).
    pub fn render(&self) -> Result<String, RegistryError> {
        let mut out = Vec::new();
        TextEncoder::new().encode(&self.inner.gather(), &mut out).map_err(RegistryError::Render)?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";
}

#[cfg(test)]
mod tests {
    use prometheus::{HistogramOpts, HistogramVec, IntCounter};

    use super::*;

    #[test]
    fn the_process_and_registered_metrics_are_rendered() {
        let registry = Registry::new().unwrap();
        let counter = IntCounter::new("tocsin_store_commits_total", "Group commits.").unwrap();
        registry.register(counter.clone()).unwrap();
        counter.inc_by(3);
        let options = HistogramOpts::new("tocsin_http_request_duration_seconds", "Time to answer.");
        let histogram = HistogramVec::new(options, &["route"]).unwrap();
        registry.register(histogram.clone()).unwrap();
        histogram.with_label_values(&["/health"]).observe(0.002);
        let text = registry.render().unwrap();
        assert!(text.contains("\ntocsin_store_commits_total 3\n"));
        assert!(
            text.contains("tocsin_http_request_duration_seconds_bucket{route=\"/health\",le=\"0.005\"} 1\n")
        );
        let value = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
            line.split(' ').nth(1).unwrap().parse::<f64>().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_max_fds") >= value("process_open_fds"));
        assert!(value("process_threads") >= 1.0);
        assert!(value("process_start_time_seconds") > 1.6e9);
        assert!(value("process_cpu_seconds_total") >= 0.0);
        for line in text.lines().filter(|line| line.starts_with("# HELP")) {
            assert!(line.ends_with('.'), "{line}");
        }
    }

    #[test]
    fn a_name_is_given_once() {
        let registry = Registry::new().unwrap();
        let counter = || IntCounter::new("tocsin_x_total", "X.").unwrap();
        registry.register(counter()).unwrap();
        assert!(matches!(registry.register(counter()), Err(RegistryError::Register(_))));
    }
}
