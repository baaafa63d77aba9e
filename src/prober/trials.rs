//! Asking once, by hand, for whoever writes a probe: bounded for the page and the API together.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::base::Timestamp;
use crate::resilience::{Admission, Quota, SlidingWindow};

/// Runs that people wait for at once; each holds a connection for its time limit at most.
const AT_ONCE_MAX: usize = 8;
/// Runs of all people together: nobody can have tocsin shoot at somebody else.
const QUOTA: Quota = Quota::new(60, Duration::from_mins(1));
/// Where all turns are taken: a run takes seconds.
const BUSY_RETRY: Duration = Duration::from_secs(5);

/// Who may try a probe now.
pub(super) struct Trials {
    turns: Semaphore,
    lately: Mutex<SlidingWindow>,
}

/// Too many probes are being tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many probes are being tried")]
pub struct TooMany {
    pub retry_after: Duration,
}

impl Default for Trials {
    fn default() -> Self {
        Self { turns: Semaphore::new(AT_ONCE_MAX), lately: Mutex::new(SlidingWindow::new(QUOTA)) }
    }
}

impl Trials {
    /// A turn, for as long as it is held.
    pub(super) fn begin(&self, now: Timestamp) -> Result<SemaphorePermit<'_>, TooMany> {
        let turn = self.turns.try_acquire().map_err(|_| TooMany { retry_after: BUSY_RETRY })?;
        match self.lately.lock().unwrap_or_else(PoisonError::into_inner).admit(now, 1) {
            Admission::Admitted { .. } => Ok(turn),
            Admission::Refused { retry_after } => Err(TooMany { retry_after }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn a_few_at_once_and_some_in_a_minute() {
        let trials = Trials::default();
        let turns: Vec<_> = (0..AT_ONCE_MAX).map(|_| trials.begin(NOON).unwrap()).collect();
        assert_eq!(trials.begin(NOON).err(), Some(TooMany { retry_after: BUSY_RETRY }));
        drop(turns);
        let begun = (0..100).filter(|_| trials.begin(NOON).is_ok()).count();
        assert_eq!(begun + AT_ONCE_MAX, 60, "what found no turn did not count");
        let later = NOON + Duration::from_secs(20);
        assert_eq!(trials.begin(later).err(), Some(TooMany { retry_after: Duration::from_secs(40) }));
        assert!(trials.begin(NOON + Duration::from_mins(1)).is_ok());
    }
}
