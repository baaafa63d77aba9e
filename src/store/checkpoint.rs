//! Copies the write-ahead log into the database on a thread of its own, so that no commit pays for it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::Error;
use super::stats::Stats;

/// From this many log pages on the checkpointer works (4 MiB at 8 KiB pages): small enough that a pass is short.
const START_PAGES: u64 = 512;
/// From here on the writer copies the small rest itself, so that the log starts again at its beginning (16 MiB).
pub(super) const RESTART_PAGES: u64 = 2048;
/// The cap of the log (128 MiB): the writer stops and truncates it, waiting for readers. Rare, and counted.
pub(super) const TRUNCATE_PAGES: u64 = 16_384;

pub(super) struct Checkpointer {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    asked: Mutex<bool>,
    wake: Condvar,
    stop: AtomicBool,
    busy: AtomicBool,
    /// Log pages seen by the last pass; a new pass waits until the log has grown past it.
    copied: AtomicU64,
}

impl Checkpointer {
    pub(super) fn start(path: &Path, stats: Arc<Stats>) -> Result<Self, Error> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::ZERO)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("checkpointer".to_owned())
            .spawn(move || of_thread.run(&connection, &stats))?;
        Ok(Self { shared, thread })
    }

    /// Wakes the thread once enough new pages are in the log.
    pub(super) fn nudge_at(&self, pages: u64) {
        let copied = self.shared.copied.load(Ordering::Relaxed);
        let grown = if pages >= copied { pages - copied } else { pages };
        if grown < START_PAGES || self.shared.busy.load(Ordering::Relaxed) {
            return;
        }
        *self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.wake.notify_one();
    }

    pub(super) fn is_idle(&self) -> bool {
        !self.shared.busy.load(Ordering::Relaxed)
    }

    pub(super) fn stop(self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        *self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.wake.notify_one();
        if self.thread.join().is_err() {
            tracing::error!("the checkpointer ended by a fault in the program");
        }
    }
}

impl Shared {
    fn run(&self, connection: &Connection, stats: &Stats) {
        loop {
            let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let mut asked =
                self.wake.wait_while(asked, |asked| !*asked).unwrap_or_else(PoisonError::into_inner);
            *asked = false;
            self.busy.store(true, Ordering::Relaxed);
            drop(asked);
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            self.pass(connection, stats);
            self.busy.store(false, Ordering::Relaxed);
        }
    }

    fn pass(&self, connection: &Connection, stats: &Stats) {
        let copied = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(2)?))
        });
        match copied {
            Ok((0, pages)) => {
                self.copied.store(u64::try_from(pages).unwrap_or(0), Ordering::Relaxed);
                Stats::add(&stats.checkpoints, 1);
            }
            // The writer was at it.
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "a checkpoint failed; the next one tries again"),
        }
    }
}
