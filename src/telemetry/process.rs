//! What the kernel knows of this process, read from /proc at every scrape.

use std::fs;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge};

/// Clock ticks per second in /proc on every Linux that Rust runs on (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// The `process_*` metrics under the names that Prometheus's own clients use.
pub(super) struct ProcessCollector {
    cpu_seconds: Counter,
    resident_bytes: Gauge,
    virtual_bytes: Gauge,
    open_files: Gauge,
    open_files_max: Gauge,
    threads: Gauge,
    started_at: Gauge,
}

impl ProcessCollector {
    pub(super) fn new() -> prometheus::Result<Self> {
        Ok(Self {
            cpu_seconds: Counter::new(
                "process_cpu_seconds_total",
                "Processor time in user and system mode, in seconds.",
            )?,
            resident_bytes: Gauge::new("process_resident_memory_bytes", "Resident memory in bytes.")?,
            virtual_bytes: Gauge::new("process_virtual_memory_bytes", "Virtual memory in bytes.")?,
            open_files: Gauge::new("process_open_fds", "Open file descriptors.")?,
            open_files_max: Gauge::new("process_max_fds", "File descriptors that may be open.")?,
            threads: Gauge::new("process_threads", "Threads.")?,
            started_at: Gauge::new(
                "process_start_time_seconds",
                "When the process started, in seconds since 1970-01-01 UTC.",
            )?,
        })
    }

    fn gauges(&self) -> [&Gauge; 6] {
        [
            &self.resident_bytes,
            &self.virtual_bytes,
            &self.open_files,
            &self.open_files_max,
            &self.threads,
            &self.started_at,
        ]
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        let gauges = self.gauges().into_iter().flat_map(Collector::desc);
        self.cpu_seconds.desc().into_iter().chain(gauges).collect()
    }

    /// A value that cannot be read (a hardened unit may hide parts of /proc) keeps what it had.
    fn collect(&self) -> Vec<MetricFamily> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let stat = Stat::parse(&read("/proc/self/stat"));
        let status = read("/proc/self/status");
        let limits = read("/proc/self/limits");
        let open = fs::read_dir("/proc/self/fd").ok().and_then(|entries| u32::try_from(entries.count()).ok());
        let set = |gauge: &Gauge, value: Option<f64>| value.into_iter().for_each(|value| gauge.set(value));
        set(&self.resident_bytes, kilobytes(&status, "VmRSS:"));
        set(&self.virtual_bytes, kilobytes(&status, "VmSize:"));
        set(&self.threads, number_after(&status, "Threads:"));
        set(&self.open_files, open.map(f64::from));
        set(&self.open_files_max, number_after(&limits, "Max open files"));
        let booted_at = number_after(&read("/proc/stat"), "btime");
        if let Some(stat) = stat {
            self.cpu_seconds.inc_by((stat.cpu_seconds - self.cpu_seconds.get()).max(0.0));
            set(&self.started_at, booted_at.map(|boot| boot + stat.started_seconds_after_boot));
        }
        let gauges = self.gauges().into_iter().flat_map(Collector::collect);
        self.cpu_seconds.collect().into_iter().chain(gauges).collect()
    }
}

/// From `proc_pid_stat(5)`.
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    started_seconds_after_boot: f64,
}

impl Stat {
    /// The name in parentheses may itself hold blanks and parentheses: fields are counted from the last one,
    /// after which comes field 3.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let ticks = |field: usize| rest.split_ascii_whitespace().nth(field - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu_seconds: (ticks(14)? + ticks(15)?) / TICKS_PER_SECOND,
            started_seconds_after_boot: ticks(22)? / TICKS_PER_SECOND,
        })
    }
}

fn number_after(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn kilobytes(status: &str, name: &str) -> Option<f64> {
    number_after(status, name).map(|kilobytes| kilobytes * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_with_parentheses_does_not_shift_the_fields() {
        let fields: Vec<String> = (3..=30).map(|field| format!("{}", field * 100)).collect();
        let text = format!("42 (a) b (c)) {}", fields.join(" "));
        let expected = Stat { cpu_seconds: 29.0, started_seconds_after_boot: 22.0 };
        assert_eq!(Stat::parse(&text), Some(expected));
        assert_eq!(Stat::parse("42 (a) S 1"), None);
        assert_eq!(Stat::parse(""), None);
    }
}
