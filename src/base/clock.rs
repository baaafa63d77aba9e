//! The only source of the present time.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::Timestamp;

/// Tells the time and waits for it. Cheap to clone; clones share one time.
///
/// `Clock::system()` is the machine's; `Clock::manual(start)` stands still until a test moves it.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    manual: Option<Arc<Manual>>,
}

/// What [`Clock::monotonic`] counts from.
static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

#[derive(Debug)]
struct Manual {
    micros: AtomicI64,
    /// Moves with `advance` alone.
    passed: AtomicI64,
    moved: Notify,
}

impl Clock {
    pub fn system() -> Self {
        Self::default()
    }

    pub fn manual(start: Timestamp) -> Self {
        let micros = AtomicI64::new(start.as_micros());
        Self { manual: Some(Arc::new(Manual { micros, passed: AtomicI64::new(0), moved: Notify::new() })) }
    }

    pub fn now(&self) -> Timestamp {
        match &self.manual {
            Some(manual) => Timestamp::from_micros(manual.micros.load(Ordering::Acquire)),
            None => system_now(),
        }
    }

    /// Moves a manual clock forward. The system clock ignores it.
    pub fn advance(&self, by: Duration) {
        if let Some(manual) = &self.manual {
            let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
            manual.micros.fetch_add(by, Ordering::AcqRel);
            manual.passed.fetch_add(by, Ordering::AcqRel);
            manual.moved.notify_waiters();
        }
    }

    /// Sets a manual clock to another time, as a person or a time server does: no time passes. The system clock
    /// ignores it.
    pub fn set(&self, at: Timestamp) {
        if let Some(manual) = &self.manual {
            manual.micros.store(at.as_micros(), Ordering::Release);
            manual.moved.notify_waiters();
        }
    }

    /// Time that passed since this process first asked for it; nobody sets it. Beside [`Clock::now`] it shows when
    /// somebody set that.
    pub fn monotonic(&self) -> Duration {
        match &self.manual {
            Some(manual) => {
                Duration::from_micros(u64::try_from(manual.passed.load(Ordering::Acquire)).unwrap_or(0))
            }
            None => STARTED.elapsed(),
        }
    }

    /// Waits until the clock shows `at` or later.
    pub async fn sleep_until(&self, at: Timestamp) {
        let Some(manual) = &self.manual else {
            return tokio::time::sleep(at.since(self.now())).await;
        };
        loop {
            let moved = manual.moved.notified();
            if self.now() >= at {
                return;
            }
            moved.await;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else asks")]
fn system_now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::EPOCH + since_epoch
}
