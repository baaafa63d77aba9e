//! Trouble that comes and goes too often to be told each time.

use serde::{Deserialize, Serialize};

/// What was proved at the last readings, and whether it changes too often.
///
/// Nagios looks at the last 21 results and weighs the newest change 1.25, the oldest 0.75; so does this. It looks at what
/// is *proved*, since confirmation swallows the single odd reading, and wants six changes to begin: three outages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Flap {
    /// Whether it was poor, the newest lowest.
    history: u32,
    is_flapping: bool,
}

const CHANGES: u32 = 20;
/// Shares of the changes that are possible, in percent.
const BEGINS_AT: f64 = 28.0;
const ENDS_BELOW: f64 = 10.0;

impl Flap {
    pub(super) const fn is_flapping(&self) -> bool {
        self.is_flapping
    }

    pub(super) fn push(&mut self, is_poor: bool) {
        self.history = (self.history << 1) | u32::from(is_poor);
        let share = self.share();
        self.is_flapping = if self.is_flapping { share >= ENDS_BELOW } else { share >= BEGINS_AT };
    }

    /// Weighted changes among the last ones, in percent.
    fn share(&self) -> f64 {
        let changes = self.history ^ (self.history >> 1);
        let weighted: f64 = (0..CHANGES)
            .filter(|age| changes >> age & 1 == 1)
            .map(|age| 1.25 - 0.5 * f64::from(age) / f64::from(CHANGES - 1))
            .sum();
        weighted * 100.0 / f64::from(CHANGES)
    }
}
