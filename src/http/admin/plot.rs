//! Small plots: a day in hours, drawn as one path that needs no script.

use std::fmt::Write as _;

use super::wording::counted;
use crate::base::Timestamp;

/// Bars of one day, the oldest hour first, in a box of 112 by 24.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DayPlot {
    /// SVG path data of the ordinary hours.
    pub(super) calm: String,
    /// Of the hours that stand out.
    pub(super) hot: String,
    /// For those who do not see the bars.
    pub(super) label: String,
    pub(super) total: i64,
    pub(super) most: i64,
}

const HEIGHT: f64 = 24.0;
const STEP: f64 = 112.0 / 24.0;
/// A gap of a pixel keeps hours apart.
const BAR: f64 = STEP - 0.97;
/// Lower ones would not be seen.
const LEAST: f64 = 1.5;
/// A day without events is still a day.
const BASELINE: &str = "M0 23.5h112v.5h-112z";
/// An hour stands out with this many events …
const HOT_LEAST: i64 = 10;
/// … and this many times the mean of the others.
const HOT_TIMES: i64 = 3;

impl DayPlot {
    pub(super) fn new(hours: &[i64]) -> Self {
        let most = hours.iter().copied().max().unwrap_or(0);
        let total: i64 = hours.iter().sum();
        let others = i64::try_from(hours.len()).unwrap_or(1).saturating_sub(1).max(1);
        let (mut calm, mut hot) = (BASELINE.to_owned(), String::new());
        let mut x = 0.0;
        for count in hours {
            if *count > 0 {
                let stands_out = *count >= HOT_LEAST && count * others > HOT_TIMES * (total - count);
                bar(if stands_out { &mut hot } else { &mut calm }, x, share(*count, most) * HEIGHT);
            }
            x += STEP;
        }
        let label = format!("{} in the last 24 hours, at most {most} in an hour", counted(total, "event"));
        Self { calm, hot, label, total, most }
    }
}

/// The hours of a plot as a table: `14:00` and its count, the newest first, without the empty ones.
pub(super) fn table(hours: &[i64], now: Timestamp) -> Vec<(String, i64)> {
    let this_hour = now.as_secs().div_euclid(3600);
    let lines = hours.iter().rev().zip(0..).filter(|(count, _)| **count > 0);
    let hour = |back: i64| Timestamp::from_secs((this_hour - back) * 3600).to_chrono();
    lines.map(|(count, back)| (hour(back).format("%-d %b %H:00").to_string(), *count)).collect()
}

fn bar(path: &mut String, x: f64, height: f64) {
    let height = height.max(LEAST);
    // Writing to a String cannot fail.
    write!(path, "M{x:.1} {:.1}v{height:.1}h{BAR:.1}v-{height:.1}z", HEIGHT - height).unwrap_or_default();
}

#[expect(clippy::cast_precision_loss, reason = "a bar is 24 pixels high")]
fn share(count: i64, most: i64) -> f64 {
    count as f64 / most.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_day_draws_nothing_and_says_so() {
        let plot = DayPlot::new(&[0; 24]);
        assert_eq!((plot.calm.as_str(), plot.hot.as_str()), (BASELINE, ""));
        assert!(plot.label.starts_with("0 events"));
    }

    #[test]
    fn only_an_hour_far_above_the_others_stands_out() {
        let mut hours = [2; 24];
        hours[23] = 12;
        assert!(!DayPlot::new(&hours).hot.is_empty());
        assert_eq!(DayPlot::new(&[12; 24]).hot, "");
        hours[23] = 9;
        assert_eq!(DayPlot::new(&hours).hot, "", "nine events are no storm");
    }

    #[test]
    fn the_highest_bar_fills_the_box_and_the_lowest_is_seen() {
        let mut hours = [0; 24];
        hours[0] = 1;
        hours[1] = 1000;
        let plot = DayPlot::new(&hours);
        assert_eq!(plot.calm.strip_prefix(BASELINE), Some("M0.0 22.5v1.5h3.7v-1.5z"));
        assert_eq!(plot.hot, "M4.7 0.0v24.0h3.7v-24.0z");
        let now = Timestamp::from_secs(1_700_000_000);
        assert_eq!(table(&hours, now), [("14 Nov 00:00".to_owned(), 1000), ("13 Nov 23:00".to_owned(), 1)]);
    }
}
