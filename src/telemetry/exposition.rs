//! Metrics whose values are read at the moment of asking: for what other parts count already.

use prometheus::{Counter, CounterVec, Encoder as _, Gauge, GaugeVec, Opts, TextEncoder};

use super::RegistryError;

/// One answer in the making. Names begin with `tocsin_`; counters end in `_total`, sizes and times are in bytes and
/// seconds.
#[derive(Default)]
pub struct Exposition {
    registry: prometheus::Registry,
}

/// The value of one series of a family, under the values of its labels.
pub type Series<'a> = (&'a [&'a str], f64);

impl Exposition {
    /// What only grows.
    ///
    /// # Errors
    /// Where the name is taken or no name; never in a released program. So for all of these.
    pub fn counter(&self, name: &str, help: &str, value: f64) -> Result<(), RegistryError> {
        let counter = Counter::new(name, help).map_err(RegistryError::Register)?;
        counter.inc_by(value);
        self.registry.register(Box::new(counter)).map_err(RegistryError::Register)
    }

    pub fn gauge(&self, name: &str, help: &str, value: f64) -> Result<(), RegistryError> {
        let gauge = Gauge::new(name, help).map_err(RegistryError::Register)?;
        gauge.set(value);
        self.registry.register(Box::new(gauge)).map_err(RegistryError::Register)
    }

    pub fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        series: &[Series<'_>],
    ) -> Result<(), RegistryError> {
        let family = CounterVec::new(Opts::new(name, help), labels).map_err(RegistryError::Register)?;
        for (values, value) in series {
            family.with_label_values(values).inc_by(*value);
        }
        self.registry.register(Box::new(family)).map_err(RegistryError::Register)
    }

    pub fn gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        series: &[Series<'_>],
    ) -> Result<(), RegistryError> {
        let family = GaugeVec::new(Opts::new(name, help), labels).map_err(RegistryError::Register)?;
        for (values, value) in series {
            family.with_label_values(values).set(*value);
        }
        self.registry.register(Box::new(family)).map_err(RegistryError::Register)
    }

    /// Everything in the Prometheus text format 0.0.4; families without a series are left out.
    pub fn render(&self) -> Result<String, RegistryError> {
        let mut out = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut out).map_err(RegistryError::Render)?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_under_their_names_and_labels() {
        let exposition = Exposition::default();
        exposition.counter("tocsin_a_total", "A.", 3.0).unwrap();
        exposition.gauges("tocsin_b", "B.", &["kind"], &[(&["x"], 1.0), (&["y"], 2.5)]).unwrap();
        exposition.gauges("tocsin_none", "None.", &["kind"], &[]).unwrap();
        let text = exposition.render().unwrap();
        let expected = "# HELP tocsin_a_total A.\n# TYPE tocsin_a_total counter\ntocsin_a_total 3\n\
                        # HELP tocsin_b B.\n# TYPE tocsin_b gauge\ntocsin_b{kind=\"x\"} 1\ntocsin_b{kind=\"y\"} 2.5\n";
        assert_eq!(text, expected);
        assert!(exposition.gauge("tocsin_a_total", "Again.", 1.0).is_err());
    }
}
