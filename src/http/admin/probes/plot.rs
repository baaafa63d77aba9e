//! Latency by phase over time, as numbers for the plot of a probe's page.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::unseen::Unseen;
use super::words::latency;
use crate::base::Timestamp;
use crate::http::admin::moments::span;
use crate::http::admin::wording::counted;
use crate::probes::Probe;
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
    /// Whether something was bad then; and whether it was not seen, which is nobody's failure. Of what was looked at
    /// more than once both may be true.
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
    /// For how long tocsin could not see; else how many readings say nothing. Empty where all was seen.
    pub(super) unseen: String,
    pub(super) median: String,
    pub(super) most: String,
}

/// What fits on a wide screen, two pixels each.
const BUCKETS: u64 = 480;
const DAY: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_hours(1);

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
pub(super) fn read(tx: &ReadTx<'_>, probe: &Probe, span: Span, now: Timestamp) -> Result<Plot, Error> {
    let from = now - span.length();
    let unseen = Unseen::read(tx, probe, from, now)?;
    Ok(match span {
        Span::Hour | Span::Day | Span::Week => {
            of_points(&points::points(tx, probe.id, from, now)?, &unseen, from, span.length())
        }
        Span::Quarter => of_hours(&by_hour(&points::hours(tx, probe.id, from, now)?, &unseen)),
    })
}

/// The last day by the hour, the newest first.
pub(super) fn table(tx: &ReadTx<'_>, probe: &Probe, now: Timestamp) -> Result<Vec<HourLine>, Error> {
    let took = |micros: Option<i64>| {
        let micros = micros.and_then(|micros| u64::try_from(micros).ok());
        micros.map(|micros| latency(Duration::from_micros(micros))).unwrap_or_default()
    };
    let unseen = Unseen::read(tx, probe, now - DAY, now)?;
    let line = |hour: &Hour| HourLine {
        at: hour.at.to_chrono().format("%-d %b %H:00").to_string(),
        asked: hour.good + hour.slow + hour.bad,
        bad: hour.bad,
        unseen: match unseen.within(hour.at, hour.at + HOUR) {
            Duration::ZERO if hour.blind == 0 => String::new(),
            Duration::ZERO => counted(hour.blind.into(), "reading"),
            time => span(time),
        },
        median: took(hour.p50_us),
        most: took(hour.max_us),
    };
    Ok(by_hour(&points::hours(tx, probe.id, now - DAY, now)?, &unseen).iter().rev().map(line).collect())
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

fn of_points(points: &[Point], unseen: &Unseen, from: Timestamp, length: Duration) -> Plot {
    let step = (length.as_secs() / BUCKETS).max(1);
    let mut buckets: BTreeMap<u64, Bucket> = BTreeMap::new();
    for point in points {
        let bucket = buckets.entry(point.at.since(from).as_secs() / step).or_default();
        match point.reading {
            Reading::Good | Reading::Slow => bucket.add(point),
            // A spell may be known of only after the reading was written.
            Reading::Bad if unseen.holds(point.at) => bucket.blind = true,
            Reading::Bad => bucket.bad = true,
            Reading::Blind => bucket.blind = true,
        }
    }
    break_off(&mut buckets);
    for number in unseen.steps(from, step) {
        let bucket = buckets.entry(number).or_default();
        bucket.blind |= bucket.count == 0;
    }
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

/// Hours with a reading, and those that nobody saw.
fn by_hour(hours: &[Hour], unseen: &Unseen) -> Vec<Hour> {
    let steps = unseen.steps(Timestamp::EPOCH, HOUR.as_secs());
    let unseen = steps.map(|number| Timestamp::EPOCH + HOUR * u32::try_from(number).unwrap_or(u32::MAX));
    let mut all: BTreeMap<Timestamp, Hour> =
        unseen.map(|at| (at, Hour { at, blind: 1, ..Hour::default() })).collect();
    all.extend(hours.iter().map(|hour| (hour.at, *hour)));
    all.into_values().collect()
}

fn of_hours(hours: &[Hour]) -> Plot {
    #[expect(clippy::cast_precision_loss, reason = "a plot is a thousand pixels wide")]
    let column = |name, value: fn(&Hour) -> Option<i64>| Series {
        name,
        values: hours.iter().map(|hour| value(hour).map(|micros| micros as f64 / 1000.0)).collect(),
    };
    // A moment of blindness does not hide an hour that was seen.
    let is_blind = |hour: &Hour| hour.blind > 0 && hour.blind >= hour.good + hour.slow + hour.bad;
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
        blind: hours.iter().map(is_blind).collect(),
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
        let plot = of_points(&often, &Unseen::default(), from, DAY);
        let values = &plot.series[0].values;
        assert_eq!((values.len(), values[4], plot.at[4]), (7, None, 1_000_720));
        let seldom: Vec<Point> = [0, 3_600, 7_200].map(point).into();
        assert_eq!(of_points(&seldom, &Unseen::default(), from, DAY).at.len(), 3, "once an hour is no gap");
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
        let plot = of_points(&points, &Unseen::default(), from, DAY);
        assert_eq!((plot.step, plot.at.as_slice()), (180, [1_000_000, 1_000_360, 1_000_900].as_slice()));
        assert_eq!((plot.bad, plot.blind), (vec![false, true, false], vec![false, false, true]));
        let told: Vec<_> = plot.series.iter().map(|series| (series.name, series.values[0])).collect();
        assert_eq!(told, [("answer", Some(20.0)), ("rest", Some(1.0))]);
        assert_eq!(plot.series[0].values[1..], [None, None], "what failed has no latency");
    }
    #[test]
    fn blind_time_is_its_own_and_never_bad_also_where_nothing_was_asked() {
        let from = Timestamp::from_secs(1_000_000);
        let at = |secs: i64| Timestamp::from_secs(1_000_000 + secs);
        let point = |secs: i64, reading| Point {
            at: at(secs),
            reading,
            phases: Phases { total: Duration::from_millis(1), ..Phases::default() },
        };
        let points = [
            point(0, Reading::Good),
            point(180, Reading::Bad),
            point(370, Reading::Bad),
            point(1_500, Reading::Good),
        ];
        let unseen = Unseen::of([(at(360), at(1_000)), (at(1_500), at(1_680))]);
        let plot = of_points(&points, &unseen, from, DAY);
        let told: Vec<_> = plot
            .at
            .iter()
            .map(|at| at - 1_000_000)
            .zip(plot.bad)
            .zip(plot.blind)
            .map(|((at, bad), blind)| (at, bad, blind))
            .collect();
        let expected = [
            (0, false, false),
            (180, true, false),
            (360, false, true),
            (540, false, true),
            (720, false, true),
            (900, false, true),
            (1_440, false, false),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn an_hour_is_called_blind_where_most_of_it_was_and_one_without_a_reading_is_told() {
        let at = |hour: i64| Timestamp::from_secs(hour * 3_600);
        let hour = |number, good, bad, blind| Hour { at: at(number), good, bad, blind, ..Hour::default() };
        let hours = [hour(10, 59, 0, 1), hour(11, 2, 1, 57), hour(14, 60, 0, 0)];
        let all = by_hour(&hours, &Unseen::of([(at(11), at(14))]));
        let plot = of_hours(&all);
        assert_eq!(plot.at.iter().map(|at| at / 3_600).collect::<Vec<_>>(), [10, 11, 12, 13, 14]);
        assert_eq!(plot.blind, [false, true, true, true, false]);
        assert_eq!(plot.bad, [false, true, false, false, false], "what was really bad is told, too");
    }
}
