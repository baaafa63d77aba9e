//! Probes whose last report did not come through to the loop: it is stored, and read from there.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::Loop;
use crate::probes::ProbeId;
use crate::probes::pushed::Stored;

/// Each probe once, so at most as many as there are. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Unheard(Arc<Mutex<BTreeSet<ProbeId>>>);

impl Unheard {
    pub fn add(&self, id: ProbeId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    pub fn take(&self) -> BTreeSet<ProbeId> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Loop {
    /// Reads where they are stored the reports that did not come through.
    pub(super) fn hear_again(&mut self) {
        self.loads.unheard.append(&mut self.parts.unheard.take());
        if !self.loads.unheard.is_empty() {
            self.load();
        }
    }

    /// Reports as they are stored, of which some may have been heard, or may still come through.
    pub(super) fn hear_stored(&mut self, reports: &[Stored]) {
        self.hear_reports();
        for stored in reports {
            let Some(subject) = self.subjects.get(&stored.id) else { continue };
            if subject.heard_at.is_some_and(|heard| heard >= stored.at) {
                continue;
            }
            self.reported(stored);
            if let Some(subject) = self.subjects.get_mut(&stored.id) {
                subject.read_at = Some(stored.at);
            }
        }
    }
}
