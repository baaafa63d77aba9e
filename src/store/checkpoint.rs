//! Copies the write-ahead log into the database on a thread of its own, so that no commit pays for it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::Error;
use super::log_care::Seen;
use super::open::BUSY_WAIT;
use super::stats::Stats;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Copies what no reader still needs in the log.
    Passive,
    /// As above, then cuts the file, where no reader is left in it.
    Truncate,
}

/// How far a checkpoint came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    is_held_up: bool,
    pages: u64,
    copied: u64,
}

impl Done {
    /// Nothing is left in the log that is not in the database.
    pub(super) const fn is_whole(self) -> bool {
        !self.is_held_up && self.copied >= self.pages
    }
}

/// Runs a checkpoint that waits for nobody: what a reader or another checkpoint holds up is left for the next one.
pub(super) fn checkpoint(connection: &Connection, mode: Mode) -> Result<Done, Error> {
    let sql = match mode {
        Mode::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
        Mode::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    connection.busy_timeout(Duration::ZERO)?;
    let done = connection.query_row(sql, [], |row| {
        // -1 where nothing could be looked at.
        let pages = |column| row.get::<_, i64>(column).map(|pages| u64::try_from(pages).unwrap_or(0));
        Ok(Done { is_held_up: row.get::<_, i64>(0)? != 0, pages: pages(1)?, copied: pages(2)? })
    });
    connection.busy_timeout(BUSY_WAIT)?;
    Ok(done?)
}

/// The thread; stopped when dropped.
pub(super) struct Checkpointer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    asked: Mutex<bool>,
    wake: Condvar,
    stop: AtomicBool,
    working: AtomicBool,
    /// Log pages at the last pass, and how many of them were copied.
    pages: AtomicU64,
    copied: AtomicU64,
}

impl Checkpointer {
    pub(super) fn start(path: &Path, stats: Arc<Stats>) -> Result<Self, Error> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("checkpointer".to_owned())
            .spawn(move || of_thread.run(&connection, &stats))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Wakes the thread.
    pub(super) fn nudge(&self) {
        *self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.wake.notify_one();
    }

    pub(super) fn seen(&self) -> Seen {
        Seen {
            is_working: self.shared.working.load(Ordering::Acquire),
            pages: self.shared.pages.load(Ordering::Relaxed),
            copied: self.shared.copied.load(Ordering::Relaxed),
        }
    }

    /// Waits for the pass that is under way and ends the thread.
    pub(super) fn stop(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        self.shared.stop.store(true, Ordering::Relaxed);
        self.nudge();
        if thread.join().is_err() {
            tracing::error!("the checkpointer ended by a fault in the program");
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn run(&self, connection: &Connection, stats: &Stats) {
        loop {
            let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let mut asked =
                self.wake.wait_while(asked, |asked| !*asked).unwrap_or_else(PoisonError::into_inner);
            *asked = false;
            self.working.store(true, Ordering::Relaxed);
            drop(asked);
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            self.pass(connection, stats);
            self.working.store(false, Ordering::Release);
        }
    }

    fn pass(&self, connection: &Connection, stats: &Stats) {
        match checkpoint(connection, Mode::Passive) {
            Ok(done) if done.is_held_up => {
                // The writer was at it.
            }
            Ok(done) => {
                self.pages.store(done.pages, Ordering::Relaxed);
                self.copied.store(done.copied, Ordering::Relaxed);
                Stats::add(&stats.checkpoints, 1);
            }
            Err(error) => {
                stats.note(&error);
                tracing::warn!(%error, "a checkpoint failed; the next one tries again");
            }
        }
    }
}
