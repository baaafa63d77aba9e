//! How every probe is right now, in memory: what `/api/health` and the pages' live parts read without a query.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::kind::Kind;
use super::seen::Phases;
use super::status::Status;
use crate::base::{ProjectId, Timestamp};

/// A probe's number; its signals carry the key `probe:{number}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProbeId(pub i64);

impl ProbeId {
    /// What its signals are called.
    pub fn signal_key(self) -> String {
        format!("probe:{}", self.0)
    }

    /// The probe whose signals are called so.
    pub fn of_signal_key(key: &str) -> Option<Self> {
        Some(Self(key.strip_prefix("probe:")?.parse().ok()?))
    }
}

/// Cheap to clone; clones share one board. Written by whoever asks, after each run.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<RwLock<HashMap<ProbeId, Live>>>);

/// One probe as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    pub id: ProbeId,
    pub project: ProjectId,
    pub key: String,
    pub name: String,
    pub kind: Kind,
    pub status: Status,
    pub since: Timestamp,
    /// Why it is not healthy; empty where it is.
    pub reason: String,
    pub flapping: bool,
    pub last: Option<LastRun>,
    pub last_good_at: Option<Timestamp>,
    /// When it is asked again; `None` while it is paused.
    pub next_at: Option<Timestamp>,
}

/// What the last run saw.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LastRun {
    pub at: Timestamp,
    pub good: bool,
    /// What was wrong with it; empty where nothing was.
    pub reason: String,
    pub phases: Phases,
    /// Facts by the names that conditions know, as they are written for people: `cert.expires_in` → `13d`.
    pub facts: Vec<(&'static str, String)>,
    /// How each condition came out; none where the run came to no end.
    pub outcomes: Vec<Outcome>,
}

/// How one condition came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    pub condition: String,
    /// Why it does not hold; empty where it does.
    pub fails: String,
}

impl Board {
    pub fn get(&self, id: ProbeId) -> Option<Live> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Everything, in no order.
    pub fn all(&self) -> Vec<Live> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub fn put(&self, live: Live) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(live.id, live);
    }

    pub fn remove(&self, id: ProbeId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}
