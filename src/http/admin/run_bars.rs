//! Runs as bars: as high as they took long, and their ends told by colour and shape. No script is needed.

use std::fmt::Write as _;
use std::time::Duration;

use super::heartbeat_words::outcome;
use super::moments::{clock, span};
use super::wording::counted;
use crate::base::Timestamp;
use crate::heartbeats::outline::Outline;
use crate::heartbeats::rules::RunKind;

/// The bars of a list's line, a path for each kind of end, in a box of 160 by 24.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RunBars {
    pub(super) good: String,
    pub(super) bad: String,
    pub(super) missed: String,
    pub(super) running: String,
    /// For those who do not see the bars.
    pub(super) label: String,
}

/// One bar, with what it tells on hovering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) class: &'static str,
    pub(super) path: String,
    pub(super) title: String,
}

/// Bars of a list's line.
pub(super) const IN_LIST: u32 = 40;
const HEIGHT: f64 = 24.0;
const STEP: f64 = 4.0;
const WIDTH: f64 = 3.0;
/// Lower ones would not be seen.
const LEAST: f64 = 4.0;
/// Of a run whose time is not known.
const UNMEASURED: f64 = 10.0;
/// Above a bar stands the square of a failure.
const HEAD: f64 = 5.0;

impl RunBars {
    /// `runs` has the newest first; it is drawn on the right.
    pub(super) fn new(runs: &[Outline], now: Timestamp) -> Self {
        let mut bars = Self { label: label(runs), ..Self::default() };
        for bar in draw(runs, IN_LIST, now) {
            let path = match bar.class {
                "good" => &mut bars.good,
                "bad" => &mut bars.bad,
                "missed" => &mut bars.missed,
                _ => &mut bars.running,
            };
            path.push_str(&bar.path);
        }
        bars
    }
}

/// The bars of `runs`, the newest first and drawn on the right, in a box of `slots` times 4 by 24.
pub(super) fn draw(runs: &[Outline], slots: u32, now: Timestamp) -> Vec<Bar> {
    let longest = runs.iter().filter_map(|run| run.took).max().unwrap_or_default();
    let places = (0..slots).rev().map(|slot| f64::from(slot) * STEP);
    runs.iter()
        .zip(places)
        .map(|(run, x)| Bar { class: class(run.kind), path: shape(run, x, longest), title: title(run, now) })
        .collect()
}

const fn class(kind: RunKind) -> &'static str {
    match kind {
        RunKind::Success => "good",
        RunKind::Fail => "bad",
        RunKind::Missed => "missed",
        RunKind::Running | RunKind::Log | RunKind::Ignored => "running",
    }
}

fn shape(run: &Outline, x: f64, longest: Duration) -> String {
    let height = match run.took {
        Some(took) if !longest.is_zero() => {
            (took.as_secs_f64() / longest.as_secs_f64() * HEIGHT).clamp(LEAST, HEIGHT)
        }
        Some(_) | None => UNMEASURED,
    };
    let mut path = String::new();
    match run.kind {
        RunKind::Success => block(&mut path, x, HEIGHT - height, height),
        RunKind::Fail => {
            block(&mut path, x, 0.0, HEAD - 2.0);
            let height = height.min(HEIGHT - HEAD);
            block(&mut path, x, HEIGHT - height, height);
        }
        // Nothing came: a frame with nothing in it.
        RunKind::Missed => {
            write!(path, "M{:.1} .5h2v23h-2z", x + 0.5).unwrap_or_default();
        }
        RunKind::Running | RunKind::Log | RunKind::Ignored => {
            for y in [9.0, 15.0, 21.0] {
                block(&mut path, x, y, 3.0);
            }
        }
    }
    path
}

fn block(path: &mut String, x: f64, y: f64, height: f64) {
    // Writing to a String cannot fail.
    write!(path, "M{x:.0} {y:.1}h{WIDTH:.0}v{height:.1}h-{WIDTH:.0}z").unwrap_or_default();
}

fn title(run: &Outline, now: Timestamp) -> String {
    let took = run.took.map_or_else(String::new, |took| format!(", {}", span(took)));
    format!("{}: {}{took}", clock(run.at, now), outcome(run.kind, run.exit_status).word)
}

fn label(runs: &[Outline]) -> String {
    let count = |kind| i64::try_from(runs.iter().filter(|run| run.kind == kind).count()).unwrap_or(i64::MAX);
    if runs.is_empty() {
        return "no run yet".to_owned();
    }
    let mut text = counted(i64::try_from(runs.len()).unwrap_or(i64::MAX), "run");
    for (kind, word) in [
        (RunKind::Success, "good"),
        (RunKind::Fail, "failed"),
        (RunKind::Missed, "missed"),
        (RunKind::Running, "under way"),
    ] {
        let number = count(kind);
        if number > 0 {
            write!(text, ", {number} {word}").unwrap_or_default();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(kind: RunKind, secs: Option<u64>) -> Outline {
        Outline {
            kind,
            at: Timestamp::from_secs(1_800_000_000),
            took: secs.map(Duration::from_secs),
            exit_status: None,
        }
    }

    #[test]
    fn the_newest_run_stands_on_the_right_and_the_longest_fills_the_box() {
        let runs = [run(RunKind::Success, Some(60)), run(RunKind::Success, Some(30))];
        let bars = RunBars::new(&runs, Timestamp::from_secs(1_800_000_100));
        assert_eq!(bars.good, "M156 0.0h3v24.0h-3zM152 12.0h3v12.0h-3z");
        assert_eq!(bars.label, "2 runs, 2 good");
    }

    #[test]
    fn every_end_has_a_shape_of_its_own() {
        let kinds = [RunKind::Success, RunKind::Fail, RunKind::Missed, RunKind::Running];
        let runs = kinds.map(|kind| run(kind, None));
        let bars = draw(&runs, 4, Timestamp::from_secs(1_800_000_100));
        let at_zero = |path: &str| {
            path.split('M').skip(1).map(|part| part.split_once(' ').unwrap().1.to_owned()).collect::<Vec<_>>()
        };
        let shapes: std::collections::BTreeSet<_> = bars.iter().map(|bar| at_zero(&bar.path)).collect();
        assert_eq!(shapes.len(), kinds.len());
        assert!(RunBars::new(&[], Timestamp::EPOCH).label == "no run yet");
    }
}
