//! Latency by phase over time, as numbers for the plot of a probe's page.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::words::latency;
use crate::base::Timestamp;
use crate::probes::ProbeId;
use crate::probes::judge::Reading;
use crate::probes::points::{self, Hour, Point};
use crate::store::{Error, ReadTx};

/// How far back a plot goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Span {
    Hour,
    #[default]
    Day,
    Week,
    Quarter,
}

/// Columns of numbers; a value that is not there is null.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Plot {
    /// Whether the series lie upon each other.
    stacked: bool,
    /// Seconds since 1970, and how many seconds each stands for.
    at: Vec<i64>,
    step: i64,
    series: Vec<Series>,
    /// Whether something was bad then; and whether it was not seen.
    bad: Vec<bool>,
    blind: Vec<bool>,
}

#[derive(Debug, Default, PartialEq, Serialize)]
struct Series {
    name: &'static str,
    /// Milliseconds.
    values: Vec<Option<f64>>,
}

/// An hour as the table under the plot tells it.
pub(super) struct HourLine {
    pub(super) at: String,
    pub(super) asked: u32,
    pub(super) bad: u32,
    pub(super) median: String,
    pub(super) most: String,
}

/// What fits on a wide screen, two pixels each.
const BUCKETS: u64 = 480;
const DAY: Duration = Duration::from_hours(24);

impl Span {
    const fn length(self) -> Duration {
        match self {
            Self::Hour => Duration::from_hours(1),
            Self::Day => DAY,
            Self::Week => Duration::from_hours(7 * 24),
            Self::Quarter => Duration::from_hours(90 * 24),
        }
    }
}

/// The plot of a probe that the caller may see. A quarter is told by hours, anything shorter by each reading.
pub(super) fn read(tx: &ReadTx<'_>, id: ProbeId, span: Span, now: Timestamp) -> Result<Plot, Error> {
    let from = now - span.length();
    Ok(match span {
        Span::Hour | Span::Day | Span::Week => {
            of_points(&points::points(tx, id, from, now)?, from, span.length())
        }
        Span::Quarter => of_hours(&points::hours(tx, id, from, now)?),
    })
}

/// The last day by the hour, the newest first.
pub(super) fn table(tx: &ReadTx<'_>, id: ProbeId, now: Timestamp) -> Result<Vec<HourLine>, Error> {
    let took = |micros: Option<i64>| {
        let micros = micros.and_then(|micros| u64::try_from(micros).ok());
        micros.map(|micros| latency(Duration::from_micros(micros))).unwrap_or_default()
    };
    let line = |hour: &Hour| HourLine {
        at: hour.at.to_chrono().format("%-d %b %H:00").to_string(),
        asked: hour.good + hour.slow + hour.bad,
        bad: hour.bad,
        median: took(hour.p50_us),
        most: took(hour.max_us),
    };
    Ok(points::hours(tx, id, now - DAY, now)?.iter().rev().map(line).collect())
}

/// What lies in the same bucket is averaged; one bad reading makes it bad.
#[derive(Default)]
struct Bucket {
    count: u32,
    sums: [Duration; PHASES],
    bad: bool,
    blind: bool,
}

const PHASES: usize = 6;
const NAMES: [&str; PHASES] = ["name lookup", "connection", "TLS", "answer", "transfer", "rest"];

fn of_points(points: &[Point], from: Timestamp, length: Duration) -> Plot {
    let step = (length.as_secs() / BUCKETS).max(1);
    let mut buckets: BTreeMap<u64, Bucket> = BTreeMap::new();
    for point in points {
        let bucket = buckets.entry(point.at.since(from).as_secs() / step).or_default();
        match point.reading {
            Reading::Good | Reading::Slow => bucket.add(point),
            Reading::Bad => bucket.bad = true,
            Reading::Blind => bucket.blind = true,
        }
    }
    break_off(&mut buckets);
    let mut series: Vec<Series> = NAMES.map(|name| Series { name, values: Vec::new() }).into();
    for bucket in buckets.values() {
        for (series, sum) in series.iter_mut().zip(bucket.sums) {
            series.values.push((bucket.count > 0).then(|| millis(sum / bucket.count)));
        }
    }
    // A phase that never came about has no place in the legend.
    series.retain(|series| series.values.iter().flatten().any(|value| *value > 0.0));
    let seconds = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    Plot {
        stacked: true,
        at: buckets.keys().map(|number| from.as_secs().saturating_add(seconds(number * step))).collect(),
        step: seconds(step),
        series,
        bad: buckets.values().map(|bucket| bucket.bad).collect(),
        blind: buckets.values().map(|bucket| bucket.blind).collect(),
    }
}

/// Where nothing was asked for three times as long as usual the curve breaks off: it says nothing of that time.
fn break_off(buckets: &mut BTreeMap<u64, Bucket>) {
    let at: Vec<u64> = buckets.keys().copied().collect();
    let apart: Vec<(u64, u64)> =
        at.iter().zip(at.iter().skip(1)).map(|(one, next)| (*one, next - one)).collect();
    let mut lengths: Vec<u64> = apart.iter().map(|(_, length)| *length).collect();
    lengths.sort_unstable();
    let Some(usual) = lengths.get(lengths.len() / 2) else { return };
    for (last, _) in apart.iter().filter(|(_, length)| *length > 3 * usual) {
        buckets.insert(last + 1, Bucket::default());
    }
}

impl Bucket {
    fn add(&mut self, point: &Point) {
        let phases = &point.phases;
        let told = [phases.dns, phases.connect, phases.tls, phases.answer, phases.transfer];
        let known: Duration = told.iter().flatten().sum();
        let rest = phases.total.saturating_sub(known);
        for (sum, took) in self.sums.iter_mut().zip(told.into_iter().chain([Some(rest)])) {
            *sum += took.unwrap_or_default();
        }
        self.count += 1;
    }
}

fn of_hours(hours: &[Hour]) -> Plot {
    #[expect(clippy::cast_precision_loss, reason = "a plot is a thousand pixels wide")]
    let column = |name, value: fn(&Hour) -> Option<i64>| Series {
        name,
        values: hours.iter().map(|hour| value(hour).map(|micros| micros as f64 / 1000.0)).collect(),
    };
    Plot {
        stacked: false,
        at: hours.iter().map(|hour| hour.at.as_secs()).collect(),
        step: 3600,
        series: vec![
            column("median", |hour| hour.p50_us),
            column("95% are below", |hour| hour.p95_us),
            column("longest", |hour| hour.max_us),
        ],
        bad: hours.iter().map(|hour| hour.bad > 0).collect(),
        blind: hours.iter().map(|hour| hour.blind > 0).collect(),
    }
}

/// To a hundredth: more is noise, and takes bytes.
fn millis(took: Duration) -> f64 {
    (took.as_secs_f64() * 100_000.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::seen::Phases;

    #[test]
    fn a_curve_breaks_off_where_nothing_was_asked() {
        let from = Timestamp::from_secs(1_000_000);
        let point = |secs: i64| Point {
            at: Timestamp::from_secs(1_000_000 + secs),
            reading: Reading::Good,
            phases: Phases { total: Duration::from_millis(1), ..Phases::default() },
        };
        let often: Vec<Point> = [0, 180, 360, 540, 3_600, 3_780].map(point).into();
        let plot = of_points(&often, from, DAY);
        let values = &plot.series[0].values;
        assert_eq!((values.len(), values[4], plot.at[4]), (7, None, 1_000_720));
        let seldom: Vec<Point> = [0, 3_600, 7_200].map(point).into();
        assert_eq!(of_points(&seldom, from, DAY).at.len(), 3, "once an hour is no gap");
    }

    #[test]
    fn readings_are_gathered_in_buckets_and_phases_lie_upon_each_other() {
        let from = Timestamp::from_secs(1_000_000);
        let point = |secs: i64, reading, answer| Point {
            at: Timestamp::from_secs(1_000_000 + secs),
            reading,
            phases: Phases {
                answer: Some(Duration::from_millis(answer)),
                total: Duration::from_millis(answer + 1),
                ..Phases::default()
            },
        };
        let points = [
            point(1, Reading::Good, 10),
            point(2, Reading::Slow, 30),
            point(400, Reading::Bad, 9_000),
            point(900, Reading::Blind, 0),
        ];
        let plot = of_points(&points, from, DAY);
        assert_eq!((plot.step, plot.at.as_slice()), (180, [1_000_000, 1_000_360, 1_000_900].as_slice()));
        assert_eq!((plot.bad, plot.blind), (vec![false, true, false], vec![false, false, true]));
        let told: Vec<_> = plot.series.iter().map(|series| (series.name, series.values[0])).collect();
        assert_eq!(told, [("answer", Some(20.0)), ("rest", Some(1.0))]);
        assert_eq!(plot.series[0].values[1..], [None, None], "what failed has no latency");
    }
}
