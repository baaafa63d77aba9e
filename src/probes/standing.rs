//! How a probe is, as people are told: the one place that decides it.

use super::judge::Judge;
use super::status::Status;

/// What stands above the proof of readings, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Above {
    pub paused: bool,
    /// Planned work covers it.
    pub covered: bool,
    /// What it depends on is down.
    pub unreachable: bool,
}

/// What was proved, unless something stands above it.
pub const fn standing(judge: &Judge, above: Above) -> Status {
    match above {
        Above { paused: true, .. } => Status::Paused,
        Above { covered: true, .. } => Status::Maintenance,
        Above { unreachable: true, .. } => Status::Unreachable,
        Above { .. } => Status::of_health(judge.health()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_stands_above_planned_work_above_dependencies_above_proof() {
        let judge = Judge::default();
        let of = |paused, covered, unreachable| standing(&judge, Above { paused, covered, unreachable });
        assert_eq!(of(true, true, true), Status::Paused);
        assert_eq!(of(false, true, true), Status::Maintenance);
        assert_eq!(of(false, false, true), Status::Unreachable);
        assert_eq!(of(false, false, false), Status::Unknown);
    }
}
