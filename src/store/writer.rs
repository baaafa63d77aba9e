//! The one writing thread: takes what is queued, runs it inside one immediate transaction, syncs, answers all.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::watch;

use super::changes::Changes;
use super::checkpoint::{Checkpointer, Mode, checkpoint};
use super::inbox::{Batch, Inbox, Message};
use super::job::Job;
use super::lane::Port;
use super::log_care::{Care, LogBounds, LogCare};
use super::stats::{Stats, as_micros};
use super::{Error, Topic, WriteTx};

/// More than a second of work for the writer; beyond it callers are better told to come back.
pub(super) const QUEUE_MAX: usize = 4096;
/// A batch slower than this is logged with the names of its callers.
const SLOW_BATCH: Duration = Duration::from_millis(50);

/// So much was written since this was last touched that whoever keeps the disk inside its budget should look.
pub const GROWN: Topic = Topic("store.grown");
/// Pages of the log, 4 MiB: less than the last twentieth of the smallest budget, which is the warning that there is.
const GROWN_PAGES: u64 = 512;

pub(super) struct Writer {
    connection: Connection,
    pub(super) inbox: Inbox,
    pub(super) log: LogCare,
    changes: Arc<Changes>,
    stats: Arc<Stats>,
    growth: Growth,
    /// Memory and disk say the same, and transactions can begin and end. Where not, only a new start helps.
    is_sound: bool,
}

/// What was written since [`GROWN`] was last touched: no less than what the database grew by.
#[derive(Default)]
struct Growth {
    /// Pages in the log after the last commit.
    log: u64,
    pages: u64,
}

impl Growth {
    fn after_commit(&mut self, log: u64) -> Option<Topic> {
        // A log that got shorter began anew.
        self.pages += log.checked_sub(self.log).unwrap_or(log);
        self.log = log;
        (self.pages >= GROWN_PAGES).then(|| {
            self.pages = 0;
            GROWN
        })
    }
}

thread_local! {
    /// Pages in the write-ahead log after the last commit of this thread's connection.
    static WAL_PAGES: Cell<u64> = const { Cell::new(0) };
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        receiver: Receiver<Message>,
        changes: Arc<Changes>,
        stats: Arc<Stats>,
    ) -> Self {
        connection.wal_hook(Some(|_, pages| {
            WAL_PAGES.set(u64::try_from(pages).unwrap_or(0));
            Ok(())
        }));
        let log = LogCare::new(LogBounds::default());
        Self {
            connection,
            inbox: Inbox::new(receiver),
            log,
            changes,
            stats,
            growth: Growth::default(),
            is_sound: true,
        }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn add_lane(&mut self, lane: Box<dyn Port>) {
        self.inbox.add_lane(lane);
    }

    pub(super) fn start(
        self,
        sender: SyncSender<Message>,
        checkpointer: Checkpointer,
    ) -> Result<WriterHandle, Error> {
        let stats = Arc::clone(&self.stats);
        let (alive, ended) = watch::channel(());
        let thread = std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || {
            // Dropped last, however the thread ends: whoever hears of it finds every door closed.
            let _alive = alive;
            self.run(&checkpointer);
        })?;
        let is_stopping = AtomicBool::new(false);
        Ok(WriterHandle { sender, stats, is_stopping, ended, thread: Mutex::new(Some(thread)) })
    }

    fn run(mut self, checkpointer: &Checkpointer) {
        while self.is_sound && self.inbox.wait() {
            self.batch();
            self.care_for_log(checkpointer);
        }
        // What was queued before the stop was promised nothing yet, but it is cheap to keep.
        while self.is_sound && self.inbox.is_draining() {
            self.batch();
        }
        if self.is_sound {
            checkpointer.stop();
            self.checkpoint(Mode::Truncate);
        } else {
            tracing::error!("the writer gives up: tocsin must be started anew");
        }
    }

    /// Runs one group commit.
    pub(super) fn batch(&mut self) {
        let began = Instant::now();
        let mut batch = Batch::default();
        let committed = self.transact(&mut batch, began);
        self.settle(committed, batch, began);
    }

    /// Runs what waits inside one transaction and commits it; returns the topics that were touched.
    fn transact(&mut self, batch: &mut Batch, began: Instant) -> Result<Vec<Topic>, Error> {
        if let Err(error) = self.connection.execute_batch("BEGIN IMMEDIATE") {
            let error = Error::from(error);
            self.inbox.run(&Err(error.clone()), batch, began)?;
            return Err(error);
        }
        let tx = WriteTx::new(&self.connection, &self.stats);
        self.inbox.run(&Ok(&tx), batch, began)?;
        let syncing = Instant::now();
        self.connection.execute_batch("COMMIT")?;
        Stats::add(&self.stats.commit_us, as_micros(syncing.elapsed()));
        Ok(tx.take_touched())
    }

    /// Answers everybody who was in the batch.
    fn settle(&mut self, committed: Result<Vec<Topic>, Error>, batch: Batch, began: Instant) {
        let (outcome, touched) = match committed {
            Ok(mut touched) => {
                touched.extend(self.growth.after_commit(WAL_PAGES.get()));
                (Ok(()), touched)
            }
            Err(error) => {
                self.roll_back(&error);
                (Err(error), Vec::new())
            }
        };
        self.is_sound &= self.inbox.settle(&outcome);
        // Before the answers: whoever is told that its change is made finds everybody else told, too.
        self.changes.announce(&touched);
        Batch::answer(batch.answers, &outcome);
        self.stats.failing.store(outcome.is_err(), Ordering::Relaxed);
        Stats::add(&self.stats.commits, u64::from(outcome.is_ok()));
        Stats::add(&self.stats.jobs, batch.jobs);
        self.stats.wal_pages.store(WAL_PAGES.get(), Ordering::Relaxed);
        let took = began.elapsed();
        self.stats.slowest_us.fetch_max(as_micros(took), Ordering::Relaxed);
        if took > SLOW_BATCH {
            Stats::add(&self.stats.slow_batches, 1);
            tracing::warn!(
                store.batch_ms = as_micros(took) / 1000,
                store.jobs = batch.jobs,
                store.callers = batch.callers.join(","),
                "a batch of writes was slow"
            );
        }
    }

    fn roll_back(&mut self, error: &Error) {
        Stats::add(&self.stats.failed_commits, 1);
        self.stats.note(error);
        Stats::add(&self.stats.disk_full, u64::from(matches!(error, Error::DiskFull)));
        tracing::error!(%error, "a batch of writes failed; its callers were told");
        if !self.connection.is_autocommit()
            && let Err(rollback) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(error = %rollback, "a failed batch could not be rolled back");
        }
        // In a transaction that does not end no other can begin.
        self.is_sound &= self.connection.is_autocommit();
    }

    /// Keeps the write-ahead log short without waiting for anybody.
    fn care_for_log(&mut self, checkpointer: &Checkpointer) {
        match self.log.after_commit(WAL_PAGES.get(), &checkpointer.seen(), Instant::now()) {
            Care::Leave => {}
            Care::Nudge => checkpointer.nudge(),
            Care::Finish => self.checkpoint(Mode::Passive),
            Care::Truncate => self.checkpoint(Mode::Truncate),
        }
    }

    fn checkpoint(&self, mode: Mode) {
        match checkpoint(&self.connection, mode) {
            Ok(done) if done.is_whole() => {
                Stats::add(&self.stats.checkpoints, 1);
                if mode == Mode::Truncate {
                    Stats::add(&self.stats.truncations, 1);
                    WAL_PAGES.set(0);
                    self.stats.wal_pages.store(0, Ordering::Relaxed);
                }
            }
            Ok(_) => Stats::add(&self.stats.checkpoints_held, 1),
            Err(error) => {
                self.stats.note(&error);
                tracing::warn!(%error, "a checkpoint failed; the next one tries again");
            }
        }
    }
}

/// The callers' end of the writer.
pub(super) struct WriterHandle {
    sender: SyncSender<Message>,
    stats: Arc<Stats>,
    is_stopping: AtomicBool,
    /// Its other end is dropped when the thread ends.
    ended: watch::Receiver<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl WriterHandle {
    pub(super) fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    pub(super) fn send(&self, job: Job) -> Result<(), Error> {
        if self.is_stopping.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        self.sender.try_send(Message::Job(job)).map_err(|refused| match refused {
            TrySendError::Full(_) => {
                Stats::add(&self.stats.refused, 1);
                Error::Busy
            }
            TrySendError::Disconnected(_) => Error::Stopped,
        })
    }

    /// Completes when the thread has ended, for whatever reason.
    pub(super) async fn ended(&self) {
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }

    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        // Held until the thread has ended: whoever else stops the store waits for the same.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(thread) = thread.take() else { return };
        // The queue may be full: this waits until the writer has taken something, and fails where it is gone.
        self.sender.send(Message::Stop).ok();
        if thread.join().is_err() {
            tracing::error!("the writer ended by a fault in the program");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_told_once_for_each_part_of_it() {
        let mut growth = Growth::default();
        // The log grows, begins anew, and a commit wrote nothing.
        let told = [500, 511, 512, 513, 511, 512, 512].map(|log| growth.after_commit(log).is_some());
        assert_eq!(told, [false, false, true, false, true, false, false]);
    }
}
