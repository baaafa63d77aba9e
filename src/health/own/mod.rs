//! tocsin about itself: what one look found (`look`), what of it is trouble ([`judge()`]), and how it is told on
//! one screen ([`parts()`]). A task looks and raises; every page, probe and command reads [`OwnHealth`].

mod judge;
mod look;
mod parts;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub use judge::{Bad, CLOCK_KEY, Standing, Trouble, clock_step, judge, keys};
pub use look::{Disk, Look, Outbox, Proof, read_outbox};
pub use parts::{Live, TaskFacts, parts, status_line};

use crate::base::Timestamp;

/// What tocsin knows of itself. Written by the task that looks, read by anyone.
#[derive(Default)]
pub struct OwnHealth {
    known: Mutex<Known>,
    disk_full: AtomicBool,
    over_budget: AtomicBool,
}

/// What the last look found and what of it stands.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub look: Option<Look>,
    pub standing: Standing,
    /// Wall clock and time passed at the last look.
    pub clocks: Option<(Timestamp, Duration)>,
}

impl OwnHealth {
    pub fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers a look and what it found; troubles that go on keep the time they began.
    pub fn note(&self, look: Look, clocks: (Timestamp, Duration), found: &[(Trouble, Bad)]) -> Standing {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let since = |trouble| known.standing.get(&trouble).map(|bad: &Bad| bad.since);
        let standing: BTreeMap<_, _> = found
            .iter()
            .map(|(trouble, bad)| {
                let since = since(*trouble).map_or(bad.since, |earlier| earlier.min(bad.since));
                (*trouble, Bad { since, ..bad.clone() })
            })
            .collect();
        known.look = Some(look);
        known.clocks = Some(clocks);
        known.standing.clone_from(&standing);
        standing
    }

    /// Intake must not write: what room is left belongs to the alarm about it.
    pub fn is_disk_full(&self) -> bool {
        self.disk_full.load(Ordering::Relaxed)
    }

    pub fn set_disk_full(&self, is_full: bool) {
        self.disk_full.store(is_full, Ordering::Relaxed);
    }

    /// The database is over its byte budget: intake rests until there is room.
    pub fn is_over_budget(&self) -> bool {
        self.over_budget.load(Ordering::Relaxed)
    }

    pub fn set_over_budget(&self, is_over: bool) {
        self.over_budget.store(is_over, Ordering::Relaxed);
    }
}
