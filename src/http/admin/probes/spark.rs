//! The latency of the last hours beside each line of the list: a curve that needs no script, from points that are kept
//! anyway.

use std::fmt::Write as _;
use std::time::Duration;

use super::words::latency;
use crate::base::Timestamp;
use crate::http::admin::wording::counted;
use crate::probes::judge::Reading;
use crate::probes::points::Point;

/// A curve in a box of 112 by 24. Where nothing was seen there is a gap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spark {
    /// SVG path data of how long answers took; empty where there was none.
    pub(super) curve: String,
    /// Of bad answers: a mark each at the foot.
    pub(super) bad: String,
    /// For those who do not see it.
    pub(super) label: String,
}

/// How far back a curve goes.
pub(super) const SINCE: Duration = Duration::from_hours(3);
/// Each is four minutes and two pixels and a half: more would not be told apart.
const SLOTS: u32 = 45;
const WIDTH: f64 = 112.0;
const STEP: f64 = WIDTH / 45.0;
/// A point at the rim would be cut in half.
const TOP: f64 = 1.0;
const FOOT: f64 = 20.0;

impl Spark {
    /// Of points in the order of time, of the time up to `now`. Of each slot the slowest answer is shown.
    pub(super) fn new(points: &[Point], now: Timestamp) -> Self {
        let mut slots = [None::<Duration>; SLOTS as usize];
        let mut bad = [false; SLOTS as usize];
        let began = now - SINCE;
        for point in points {
            let at = slot(point.at.since(began));
            match point.reading {
                Reading::Good | Reading::Slow => slots[at] = slots[at].max(Some(point.phases.total)),
                Reading::Bad => bad[at] = true,
                Reading::Blind => {}
            }
        }
        let seen = || slots.iter().flatten().copied();
        let (Some(least), Some(most)) = (seen().min(), seen().max()) else {
            return Self { bad: marks(&bad), label: said(None, points), ..Self::default() };
        };
        Self { curve: curve(&slots, most), bad: marks(&bad), label: said(Some((least, most)), points) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.curve.is_empty() && self.bad.is_empty()
    }
}

fn slot(since: Duration) -> usize {
    let at = since.as_micros() * u128::from(SLOTS) / SINCE.as_micros();
    usize::try_from(at).unwrap_or(usize::MAX).min(SLOTS as usize - 1)
}

fn left(at: usize) -> f64 {
    f64::from(u32::try_from(at).unwrap_or(SLOTS)) * STEP
}

fn curve(slots: &[Option<Duration>], most: Duration) -> String {
    let mut path = String::new();
    let mut is_drawing = false;
    for (at, took) in slots.iter().enumerate() {
        let Some(took) = took else {
            is_drawing = false;
            continue;
        };
        let share = took.as_secs_f64() / most.as_secs_f64().max(f64::EPSILON);
        let (x, y) = (left(at), FOOT - share * (FOOT - TOP));
        // One alone between two gaps is a dash. Writing to a String cannot fail.
        let drawn =
            if is_drawing { write!(path, "L{x:.1} {y:.1}") } else { write!(path, "M{x:.1} {y:.1}h1") };
        drawn.unwrap_or_default();
        is_drawing = true;
    }
    path
}

fn marks(bad: &[bool]) -> String {
    let mut path = String::new();
    for (at, _) in bad.iter().enumerate().filter(|(_, is_bad)| **is_bad) {
        write!(path, "M{:.1} 21h2v3h-2z", left(at)).unwrap_or_default();
    }
    path
}

fn said(span: Option<(Duration, Duration)>, points: &[Point]) -> String {
    let bad = points.iter().filter(|point| point.reading == Reading::Bad).count();
    let bad = match bad {
        0 => String::new(),
        bad => format!(", {} bad", counted(i64::try_from(bad).unwrap_or(i64::MAX), "answer")),
    };
    match span {
        Some((least, most)) if least == most => format!("{} in the last 3 hours{bad}", latency(most)),
        Some((least, most)) => format!("{} to {} in the last 3 hours{bad}", latency(least), latency(most)),
        None => format!("no good answer in the last 3 hours{bad}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::seen::Phases;

    fn point(minutes_ago: u64, reading: Reading, millis: u64) -> Point {
        let phases = Phases { total: Duration::from_millis(millis), ..Phases::default() };
        Point { at: now() - Duration::from_mins(minutes_ago), reading, phases }
    }

    fn now() -> Timestamp {
        Timestamp::from_secs(1_790_000_000)
    }

    #[test]
    fn the_slowest_answer_of_a_slot_is_drawn_and_a_gap_stays_a_gap() {
        let points = [
            point(180, Reading::Good, 10),
            point(179, Reading::Good, 40),
            point(175, Reading::Slow, 80),
            point(100, Reading::Blind, 999),
            point(1, Reading::Good, 20),
        ];
        let spark = Spark::new(&points, now());
        assert_eq!(spark.curve, "M0.0 10.5h1L2.5 1.0M109.5 15.2h1");
        assert_eq!((spark.bad.as_str(), spark.label.as_str()), ("", "20 ms to 80 ms in the last 3 hours"));
    }

    #[test]
    fn bad_answers_are_marked_and_counted_and_nothing_draws_nothing() {
        let spark = Spark::new(&[point(90, Reading::Bad, 5_000), point(0, Reading::Bad, 1)], now());
        assert_eq!((spark.curve.as_str(), spark.bad.as_str()), ("", "M54.8 21h2v3h-2zM109.5 21h2v3h-2z"));
        assert_eq!(spark.label, "no good answer in the last 3 hours, 2 answers bad");
        assert!(Spark::new(&[], now()).is_empty());
    }
}
