//! How late probes are asked, and how many are under way: for `/metrics`.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge};

use crate::telemetry::{Registry, RegistryError};

/// Counters of the loop. Cheap to clone; clones share them.
#[derive(Clone, Debug)]
pub struct Observed {
    lag: Histogram,
    runs: IntCounter,
    asking: IntGauge,
    unwritten: IntGauge,
}

/// In seconds: on time is milliseconds, a quarter of a second is what is promised for 5,000 probes.
const BUCKETS: [f64; 9] = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

impl Observed {
    /// # Errors
    /// Where a name is taken.
    pub fn register(registry: &Registry) -> Result<Self, RegistryError> {
        let options = HistogramOpts::new(
            "tocsin_probe_schedule_lag_seconds",
            "How much later than planned a probe was asked.",
        );
        let lag = Histogram::with_opts(options.buckets(BUCKETS.to_vec())).map_err(RegistryError::Register)?;
        let runs = IntCounter::new("tocsin_probe_runs_total", "Runs of probes.");
        let asking = IntGauge::new("tocsin_probes_under_way", "Probes that are being asked.");
        let unwritten =
            IntGauge::new("tocsin_probes_unwritten", "Probes whose change of status waits to be written.");
        let observed = Self {
            lag,
            runs: runs.map_err(RegistryError::Register)?,
            asking: asking.map_err(RegistryError::Register)?,
            unwritten: unwritten.map_err(RegistryError::Register)?,
        };
        registry.register(observed.lag.clone())?;
        registry.register(observed.runs.clone())?;
        registry.register(observed.asking.clone())?;
        registry.register(observed.unwritten.clone())?;
        Ok(observed)
    }

    pub(super) fn began(&self, lag: Duration) {
        self.lag.observe(lag.as_secs_f64());
        self.runs.inc();
    }

    pub(super) fn state(&self, asking: usize, unwritten: usize) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.asking.set(number(asking));
        self.unwritten.set(number(unwritten));
    }
}
