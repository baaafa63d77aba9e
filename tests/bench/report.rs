//! The table at the end: median and range of every figure on both sides, their ratio, and the goal.

use std::fmt::Write as _;

/// One figure, measured once per round on either side.
pub(crate) struct Line {
    pub(crate) what: &'static str,
    pub(crate) bare: Vec<f64>,
    pub(crate) product: Vec<f64>,
    pub(crate) goal: Goal,
}

#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// Shown to be read, not judged.
    Shown,
    AtMost(f64),
    AtLeast(f64),
    /// Of the bare limit's figure in the same run.
    RatioAtLeast(f64),
    /// Of the figure beside it.
    RatioAtMost(f64),
}

#[derive(Default)]
pub(crate) struct Report {
    lines: Vec<Line>,
    troubles: Vec<String>,
}

const HEADINGS: [&str; 6] = ["figure", "bare limit", "tocsin", "ratio", "goal", ""];

impl Report {
    /// Notes a row's lines and shows them at once, for a run takes minutes.
    pub(crate) fn add(&mut self, lines: Vec<Line>) {
        let width = lines.iter().map(|line| line.what.len()).max().unwrap_or(0);
        for line in &lines {
            let [what, bare, product, ..] = line.cells();
            say(&format!("  {what:width$}  bare {bare}, tocsin {product}"));
        }
        self.lines.extend(lines);
    }

    /// Notes why a part of a row could not be measured.
    pub(crate) fn trouble(&mut self, row: &str, error: &anyhow::Error) {
        let text = format!("{row}: not measured: {error:#}");
        say(&format!("  {text}"));
        self.troubles.push(text);
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.troubles.is_empty()
    }

    pub(crate) fn show(&self) {
        let mut rows = vec![HEADINGS.map(str::to_owned)];
        rows.extend(self.lines.iter().map(Line::cells));
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
        let mut text = String::from("\nMedian (lowest to highest) of the rounds.\n\n");
        for row in &rows {
            for (cell, &width) in row.iter().zip(&widths) {
                text.push_str(cell);
                text.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        for trouble in &self.troubles {
            writeln!(text, "{trouble}").unwrap_or_default();
        }
        say(&text);
    }
}

impl Line {
    fn ratio(&self) -> Option<f64> {
        Some(median(&self.product)? / median(&self.bare)?).filter(|ratio| ratio.is_finite())
    }

    fn cells(&self) -> [String; 6] {
        let ratio = self.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let goal = match self.goal {
            Goal::Shown => String::new(),
            Goal::AtMost(most) => format!("at most {}", figure(most)),
            Goal::AtLeast(least) => format!("at least {}", figure(least)),
            Goal::RatioAtLeast(least) => format!("at least {least:.2} x bare"),
            Goal::RatioAtMost(most) => format!("at most {most:.2} x without"),
        };
        let met = match self.goal {
            Goal::Shown => None,
            Goal::AtMost(most) => median(&self.product).map(|value| value <= most),
            Goal::AtLeast(least) => median(&self.product).map(|value| value >= least),
            Goal::RatioAtLeast(least) => self.ratio().map(|ratio| ratio >= least),
            Goal::RatioAtMost(most) => self.ratio().map(|ratio| ratio <= most),
        };
        let verdict = met.map_or("", |met| if met { "met" } else { "MISSED" });
        [self.what.to_owned(), range(&self.bare), range(&self.product), ratio, goal, verdict.to_owned()]
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

fn range(values: &[f64]) -> String {
    let lowest = values.iter().copied().reduce(f64::min);
    let highest = values.iter().copied().reduce(f64::max);
    match (median(values), lowest, highest) {
        (Some(median), Some(lowest), Some(highest)) if lowest < highest => {
            format!("{} ({} to {})", figure(median), figure(lowest), figure(highest))
        }
        (Some(median), ..) => figure(median),
        (None, ..) => "-".to_owned(),
    }
}

/// Three digits are what the noise leaves.
fn figure(value: f64) -> String {
    if value.fract() == 0.0 || value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[expect(clippy::print_stdout, reason = "printing is what a bench is for")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}
