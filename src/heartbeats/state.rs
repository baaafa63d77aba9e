//! How a heartbeat stands: what is remembered from one ping to the next.

use std::time::Duration;

use super::{Definition, Status};
use crate::base::Timestamp;

#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub status: Status,
    pub since: Timestamp,
    /// Why it is not up, as it follows its name: `failed with exit status 2`.
    pub reason: String,
    /// The last success or failure.
    pub last_ping_at: Option<Timestamp>,
    pub last_ok_at: Option<Timestamp>,
    /// A run is under way since then.
    pub last_start_at: Option<Timestamp>,
    pub expected_at: Option<Timestamp>,
    /// When nothing having come becomes something: late, down, too long, one more missed.
    pub due_at: Option<Timestamp>,
    pub pings: i64,
    /// Runs that never came, in all and in a row up to now.
    pub missed: i64,
    pub missed_now: i64,
    /// Failures, missed ones included, and good runs in a row.
    pub bad_now: i64,
    pub good_now: i64,
    /// Milliseconds of the last good runs that were measured, the oldest first.
    pub durations: Vec<u64>,
}

/// A status that began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    pub at: Timestamp,
    pub status: Status,
    pub reason: String,
    /// When the trouble began: as it was expected, or failed.
    pub bad_since: Timestamp,
}

/// Runs that say what is usual.
const DURATIONS_MAX: usize = 20;

impl State {
    pub const fn new(at: Timestamp) -> Self {
        Self {
            status: Status::New,
            since: at,
            reason: String::new(),
            last_ping_at: None,
            last_ok_at: None,
            last_start_at: None,
            expected_at: None,
            due_at: None,
            pings: 0,
            missed: 0,
            missed_now: 0,
            bad_now: 0,
            good_now: 0,
            durations: Vec::new(),
        }
    }

    /// Takes on a status; nothing where it is that already. The reason follows in either case.
    pub(super) fn turn(&mut self, at: Timestamp, status: Status, reason: String) -> Option<Changed> {
        self.reason.clone_from(&reason);
        if self.status == status {
            return None;
        }
        (self.status, self.since) = (status, at);
        Some(Changed { at, status, reason, bad_since: at })
    }

    /// Sets when somebody must look again if nothing comes.
    pub(super) fn set_due(&mut self, definition: &Definition) {
        let (grace, run_time) = (definition.grace, definition.run_time_max());
        self.due_at = match (self.status, self.last_start_at) {
            (Status::Paused, _) | (Status::New, None) => None,
            (Status::New | Status::Up | Status::Late, Some(began)) => {
                let too_long = began + run_time;
                // Runs that begin again and again and never end must not put it off for ever.
                Some(self.expected_at.map_or(too_long, |expected| too_long.min(expected + grace + run_time)))
            }
            (Status::Up, None) => self.expected_at,
            (Status::Late, None) | (Status::Down, _) => self.expected_at.map(|expected| expected + grace),
        };
    }

    pub(super) fn remember_duration(&mut self, took: Duration) {
        self.durations.push(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        let more = self.durations.len().saturating_sub(DURATIONS_MAX);
        self.durations.drain(..more);
    }

    /// How long a good run usually takes; `None` where too few were measured.
    pub fn usual_duration(&self, at_least: usize) -> Option<Duration> {
        if self.durations.len() < at_least.max(1) {
            return None;
        }
        let mut sorted = self.durations.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).map(|millis| Duration::from_millis(*millis))
    }
}
