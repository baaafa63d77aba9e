//! What came to a source and how a destination fared over time, as numbers for plots and for the tables that say the same.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::Timestamp;
use crate::http::admin::wording::count;
use crate::store::{Error, ReadTx};
use crate::webhooks::points::Point;
use crate::webhooks::queries::{self, Stretch};
use crate::webhooks::tally::Tally;
use crate::webhooks::{DestinationId, SourceId};

/// How far back a plot goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Span {
    #[default]
    Day,
    Week,
    Quarter,
}

/// What a plot of a destination shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// How long answers took.
    Took,
    /// How much arrived.
    Rate,
}

/// Columns of numbers, as `static/plot.js` draws them.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Plot {
    /// `count`, `ms` or `percent`.
    unit: &'static str,
    stacked: bool,
    /// Seconds since 1970, and how many seconds each stands for.
    at: Vec<i64>,
    step: i64,
    series: Vec<Series>,
    /// Whether something died then.
    bad: Vec<bool>,
    blind: Vec<bool>,
}

#[derive(Debug, Default, PartialEq, Serialize)]
struct Series {
    name: &'static str,
    values: Vec<Option<f64>>,
}

/// An hour of a table under a plot.
pub(super) struct HourLine {
    pub(super) at: String,
    pub(super) cells: Vec<String>,
}

/// How a destination fared since some time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fared {
    pub(super) sum: Point,
    pub(super) median: Option<Duration>,
    pub(super) most: Option<Duration>,
}

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

impl Span {
    const fn length(self) -> Duration {
        match self {
            Self::Day => DAY,
            Self::Week => Duration::from_hours(7 * 24),
            Self::Quarter => Duration::from_hours(90 * 24),
        }
    }

    /// Some three hundred points, whatever the length.
    const fn step(self) -> Duration {
        match self {
            Self::Day => Duration::from_mins(5),
            Self::Week => Duration::from_mins(30),
            Self::Quarter => Duration::from_hours(6),
        }
    }
}

/// What came to a source since midnight, UTC.
pub(super) fn today(tx: &ReadTx<'_>, source: SourceId, now: Timestamp) -> Result<Tally, Error> {
    let points = queries::points(tx, source, now.floor_to(DAY))?;
    let mut sum = Tally::default();
    for point in points {
        add(&mut sum, point.came);
    }
    Ok(sum)
}

fn add(sum: &mut Tally, came: Tally) {
    sum.accepted += came.accepted;
    sum.duplicates += came.duplicates;
    sum.refused += came.refused;
}

/// What came to a source. Where nothing came there was nothing: the curve goes down to zero.
pub(super) fn of_source(tx: &ReadTx<'_>, id: SourceId, span: Span, now: Timestamp) -> Result<Plot, Error> {
    let points = queries::points(tx, id, now - span.length())?;
    let step = span.step();
    let mut buckets: BTreeMap<Timestamp, Tally> = BTreeMap::new();
    for point in &points {
        add(buckets.entry(point.at.floor_to(step)).or_default(), point.came);
    }
    fill(&mut buckets, step, now);
    #[expect(clippy::cast_precision_loss, reason = "calls in five minutes")]
    let column = |name, value: fn(&Tally) -> i64| Series {
        name,
        values: buckets.values().map(|came| Some(value(came) as f64)).collect(),
    };
    Ok(Plot {
        unit: "count",
        stacked: true,
        series: vec![
            column("accepted", |came| came.accepted),
            column("duplicates", |came| came.duplicates),
            column("refused", |came| came.refused),
        ],
        ..frame(buckets.keys(), step)
    })
}

/// How a destination fared. Where nothing was sent the curve breaks off.
pub(super) fn of_destination(
    tx: &ReadTx<'_>,
    id: DestinationId,
    (what, span): (What, Span),
    now: Timestamp,
) -> Result<Plot, Error> {
    let buckets = gather(&queries::course(tx, id, now - span.length())?, span.step());
    let column = |name, value: fn(&Point) -> Option<f64>| Series {
        name,
        values: buckets.values().map(value).collect(),
    };
    let (unit, series) = match what {
        What::Took => (
            "ms",
            vec![
                column("median", |point| point.latency.at_most(0.5).map(millis)),
                column("95% are below", |point| point.latency.at_most(0.95).map(millis)),
            ],
        ),
        What::Rate => (
            "percent",
            vec![
                column("at first try", |point| percent(point.at_first, point.completed + point.dead)),
                column("arrived", |point| percent(point.completed, point.completed + point.dead)),
                column("attempts answered well", |point| {
                    percent(point.attempts.saturating_sub(point.failures), point.attempts)
                }),
            ],
        ),
    };
    let bad = buckets.values().map(|point| point.dead > 0).collect();
    Ok(Plot { unit, series, bad, ..frame(buckets.keys(), span.step()) })
}

/// The last day of a source by the hour, the newest first.
pub(super) fn source_hours(tx: &ReadTx<'_>, id: SourceId, now: Timestamp) -> Result<Vec<HourLine>, Error> {
    let mut hours: BTreeMap<Timestamp, Tally> = BTreeMap::new();
    for point in queries::points(tx, id, now - DAY)? {
        add(hours.entry(point.at.floor_to(HOUR)).or_default(), point.came);
    }
    let line = |(at, came): (&Timestamp, &Tally)| HourLine {
        at: hour(*at),
        cells: [came.accepted, came.duplicates, came.refused].map(count).into(),
    };
    Ok(hours.iter().rev().map(line).collect())
}

/// The last day of a destination by the hour, the newest first, and all of it together.
pub(super) fn destination_hours(
    tx: &ReadTx<'_>,
    id: DestinationId,
    now: Timestamp,
) -> Result<(Vec<HourLine>, Fared), Error> {
    let course = queries::course(tx, id, now - DAY)?;
    let took = |took: Option<Duration>| took.map(below).unwrap_or_default();
    let line = |(at, point): (&Timestamp, &Point)| HourLine {
        at: hour(*at),
        cells: vec![
            count(point.attempts.into()),
            count(point.failures.into()),
            count(point.completed.into()),
            count(point.dead.into()),
            took(point.latency.at_most(0.5)),
            took(point.latency.at_most(0.95)),
        ],
    };
    let mut sum = Point::default();
    for stretch in &course {
        merge(&mut sum, &stretch.point);
    }
    let fared = Fared { median: sum.latency.at_most(0.5), most: sum.latency.at_most(0.95), sum };
    Ok((gather(&course, HOUR).iter().rev().map(line).collect(), fared))
}

/// Durations are counted in stretches that double: what is known is that it took no longer.
pub(super) fn below(took: Duration) -> String {
    match took.as_millis() {
        millis @ ..1_024 => format!("≤ {millis} ms"),
        _ => format!("≤ {:.1} s", took.as_secs_f64()),
    }
}

/// A share in whole percent, and nothing of nothing.
pub(super) fn percent(part: u32, whole: u32) -> Option<f64> {
    (whole > 0).then(|| (f64::from(part) / f64::from(whole) * 1000.0).round() / 10.0)
}

fn gather(course: &[Stretch], step: Duration) -> BTreeMap<Timestamp, Point> {
    let mut buckets: BTreeMap<Timestamp, Point> = BTreeMap::new();
    for stretch in course {
        merge(buckets.entry(stretch.at.floor_to(step)).or_default(), &stretch.point);
    }
    buckets
}

fn merge(sum: &mut Point, point: &Point) {
    sum.attempts += point.attempts;
    sum.failures += point.failures;
    sum.completed += point.completed;
    sum.at_first += point.at_first;
    sum.dead += point.dead;
    sum.slow += point.slow;
    sum.latency.merge(&point.latency);
}

/// From the first one on, up to now.
fn fill(buckets: &mut BTreeMap<Timestamp, Tally>, step: Duration, now: Timestamp) {
    let Some(mut at) = buckets.keys().next().copied() else { return };
    while at <= now {
        buckets.entry(at).or_default();
        at = at + step;
    }
}

fn frame<'t>(at: impl Iterator<Item = &'t Timestamp>, step: Duration) -> Plot {
    let at: Vec<i64> = at.map(|at| at.as_secs()).collect();
    let none = vec![false; at.len()];
    Plot {
        step: i64::try_from(step.as_secs()).unwrap_or(i64::MAX),
        bad: none.clone(),
        blind: none,
        at,
        ..Plot::default()
    }
}

fn hour(at: Timestamp) -> String {
    at.to_chrono().format("%-d %b %H:00").to_string()
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_came_there_is_a_zero_and_no_gap() {
        let at = Timestamp::from_secs;
        let step = Duration::from_mins(5);
        let mut buckets = BTreeMap::from([(at(3_000), Tally { accepted: 2, ..Tally::default() })]);
        fill(&mut buckets, step, at(3_900));
        let counts: Vec<i64> = buckets.values().map(|came| came.accepted).collect();
        assert_eq!(counts, [2, 0, 0, 0]);
    }

    #[test]
    fn what_lies_in_one_bucket_is_one_point_and_a_share_of_nothing_is_none() {
        let stretch = |secs, completed| Stretch {
            at: Timestamp::from_secs(secs),
            point: Point { completed, at_first: 1, ..Point::default() },
        };
        let gathered = gather(&[stretch(3_600, 2), stretch(3_900, 1), stretch(7_200, 1)], HOUR);
        assert_eq!(gathered.values().map(|point| point.completed).collect::<Vec<_>>(), [3, 1]);
        assert_eq!((percent(2, 3), percent(0, 0)), (Some(66.7), None));
        assert_eq!(below(Duration::from_millis(512)), "≤ 512 ms");
        assert_eq!(below(Duration::from_millis(2_048)), "≤ 2.0 s");
    }
}
