//! Every reading of a probe, packed by the hour: for plots, and for the counts that remain when the points are gone.

mod pack;
mod stored;

use crate::base::Timestamp;
use crate::probes::judge::Reading;
use crate::probes::seen::Phases;

pub use pack::{pack, unpack};
pub use stored::{Hour, append, hours, points, points_of, purge, purge_changes, purge_hours};

/// One reading of a plot. Packed, its time is right to 100 ms and its durations to 4%.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    pub at: Timestamp,
    pub reading: Reading,
    pub phases: Phases,
}

/// Readings of one probe that wait to be written: five minutes of one a second, with room for a store that rests.
pub const WAITING_MAX: usize = 1_000;
