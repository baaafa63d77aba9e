//! Readings go to disk some minutes late, a few probes at a time: a crash costs minutes of a curve, and no second of
//! the writer is spent on all of them.

use std::time::Duration;

use super::Loop;
use crate::probes::ProbeId;

/// Each probe's readings are written at least this often …
const EVERY: Duration = Duration::from_mins(5);
/// … and where there are few probes, more often: somebody looks at the curve of the first one.
const EVERY_LEAST: Duration = Duration::from_secs(20);
/// How often a part of them is.
const STEP: Duration = Duration::from_secs(1);

impl Loop {
    /// The next part of the probes, so that all have had their turn after [`EVERY`] at the latest.
    pub(super) fn flush(&mut self, now: Duration) {
        if now < self.flushed.next || self.subjects.is_empty() {
            return;
        }
        self.flushed.next = now + STEP;
        let steps = usize::try_from(EVERY.as_secs() / STEP.as_secs()).unwrap_or(1);
        let part = self.subjects.len().div_ceil(steps);
        let mut ids: Vec<ProbeId> = self.subjects.keys().copied().collect();
        ids.sort_unstable();
        let from = ids.partition_point(|id| *id <= self.flushed.after);
        let turn: Vec<ProbeId> = ids[from..].iter().take(part).copied().collect();
        self.flushed.after = turn.last().copied().unwrap_or_default();
        let is_all = ids.len() <= steps;
        for id in turn {
            self.bundle(id);
        }
        if is_all {
            // Few probes: one a step would be too often for less than a handful.
            let steps = u32::try_from(ids.len() + 1).unwrap_or(1);
            let round = (STEP * steps).clamp(EVERY_LEAST, EVERY);
            self.flushed.next = now + round / steps;
        }
    }

    /// Hands the readings of a probe to whoever writes.
    pub(super) fn bundle(&mut self, id: ProbeId) {
        let Some(subject) = self.subjects.get_mut(&id) else { return };
        let Some(bundle) = subject.bundle() else { return };
        self.keeper.points(id, bundle);
    }
}
