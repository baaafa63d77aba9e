//! The one writing thread: takes what is queued, runs it inside one immediate transaction, syncs, answers all.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::changes::Changes;
use super::checkpoint::{Checkpointer, RESTART_PAGES, TRUNCATE_PAGES};
use super::lane::Port;
use super::stats::{Stats, as_micros};
use super::{Error, Topic, WriteTx};

/// More than a second of work for the writer; beyond it callers are better told to come back.
pub(super) const QUEUE_MAX: usize = 4096;
/// A batch is closed at this many closures or after this long, whichever comes first: later callers should not
/// wait for an ever-growing commit.
const BATCH_JOBS_MAX: usize = 256;
const BATCH_TIME: Duration = Duration::from_millis(5);
/// A batch slower than this is logged with the names of its callers.
const SLOW_BATCH: Duration = Duration::from_millis(50);

pub(super) enum Message {
    Job(Job),
    /// A lane has items.
    Nudge,
    Stop,
}

/// A closure to run in the next batch, and how its caller is answered.
pub(super) struct Job {
    name: &'static str,
    run: Box<dyn FnOnce(&WriteTx<'_>) -> Answer + Send>,
}

/// Tells a caller what became of its work, given what became of the commit.
type Answer = Box<dyn FnOnce(&Result<(), Error>) + Send>;

impl Job {
    pub(super) fn new<T, E>(
        name: &'static str,
        work: impl FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
        caller: oneshot::Sender<Result<T, E>>,
    ) -> Self
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let run = move |tx: &WriteTx<'_>| -> Answer {
            let result = tx.attempt(|tx| {
                catch_unwind(AssertUnwindSafe(|| work(tx))).unwrap_or_else(|_| Err(Error::Panicked.into()))
            });
            Box::new(move |committed| {
                let result = match (result, committed) {
                    (Ok(_), Err(error)) => Err(error.clone().into()),
                    (result, _) => result,
                };
                // The caller may have given up waiting; what it asked for is done all the same.
                caller.send(result).ok();
            })
        };
        Self { name, run: Box::new(run) }
    }
}

pub(super) struct Writer {
    connection: Connection,
    receiver: Receiver<Message>,
    lanes: Vec<Box<dyn Port>>,
    changes: Arc<Changes>,
    stats: Arc<Stats>,
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
        Self { connection, receiver, lanes: Vec::new(), changes, stats }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn add_lane(&mut self, lane: Box<dyn Port>) {
        self.lanes.push(lane);
    }

    pub(super) fn start(
        self,
        sender: SyncSender<Message>,
        checkpointer: Checkpointer,
    ) -> Result<WriterHandle, Error> {
        let stats = Arc::clone(&self.stats);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || self.run(checkpointer))?;
        Ok(WriterHandle { sender, stats, thread: Mutex::new(Some(thread)) })
    }

    fn run(mut self, checkpointer: Checkpointer) {
        let mut stopping = false;
        while !stopping {
            // A nudge that came while a batch was being filled was taken with it: look before waiting.
            let first = if self.lanes.iter().any(|lane| lane.is_waiting()) {
                Ok(Message::Nudge)
            } else {
                self.receiver.recv()
            };
            match first {
                Ok(first) => stopping = self.batch(first),
                Err(_) => break,
            }
            self.care_for_log(&checkpointer);
        }
        // What was queued before the stop was promised nothing yet, but it is cheap to keep.
        while let Ok(message) = self.receiver.try_recv() {
            self.batch(message);
        }
        while self.lanes.iter().any(|lane| lane.is_waiting()) {
            self.batch(Message::Nudge);
        }
        checkpointer.stop();
        self.checkpoint("TRUNCATE");
    }

    /// Runs one group commit. Returns whether a stop was asked for.
    fn batch(&mut self, first: Message) -> bool {
        let began = Instant::now();
        let mut batch = Batch::default();
        let committed = self.fill(first, &mut batch, began).and_then(|touched| {
            let syncing = Instant::now();
            self.connection.execute_batch("COMMIT")?;
            Stats::add(&self.stats.commit_us, as_micros(syncing.elapsed()));
            Ok(touched)
        });
        self.settle(committed, batch, began)
    }

    /// Runs everything that waits inside an open transaction; returns the topics that were touched.
    fn fill(&mut self, first: Message, batch: &mut Batch, began: Instant) -> Result<Vec<Topic>, Error> {
        let begun = self.connection.execute_batch("BEGIN IMMEDIATE").map_err(Error::from);
        let tx = WriteTx::new(&self.connection);
        for lane in &mut self.lanes {
            // A lane drains its queue even where the transaction could not begin: its callers need an answer.
            let items = lane.run(&tx, begun.clone().err());
            if items > 0 {
                batch.callers.push(lane.name());
                batch.jobs += items;
            }
            lost_transaction(&self.connection, &begun)?;
        }
        let mut next = Some(first);
        while let Some(message) = next.take() {
            match message {
                Message::Stop => batch.stop = true,
                Message::Nudge => {}
                Message::Job(job) => {
                    self.stats.queued.fetch_sub(1, Ordering::Relaxed);
                    batch.callers.push(job.name);
                    batch.jobs += 1;
                    batch.answers.push((job.run)(&tx));
                    lost_transaction(&self.connection, &begun)?;
                }
            }
            if batch.answers.len() < BATCH_JOBS_MAX && began.elapsed() < BATCH_TIME {
                next = self.receiver.try_recv().ok();
            }
        }
        begun?;
        Ok(tx.take_touched())
    }

    /// Answers everybody who was in the batch.
    fn settle(&mut self, committed: Result<Vec<Topic>, Error>, batch: Batch, began: Instant) -> bool {
        let (outcome, touched) = match committed {
            Ok(touched) => (Ok(()), touched),
            Err(error) => {
                self.roll_back(&error);
                (Err(error), Vec::new())
            }
        };
        for lane in &mut self.lanes {
            lane.settle(&outcome);
        }
        for answer in batch.answers {
            answer(&outcome);
        }
        self.changes.announce(&touched);
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
        batch.stop
    }

    fn roll_back(&self, error: &Error) {
        Stats::add(&self.stats.failed_commits, 1);
        Stats::add(&self.stats.disk_full, u64::from(matches!(error, Error::DiskFull)));
        if !self.connection.is_autocommit()
            && let Err(rollback) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(error = %rollback, "a failed batch could not be rolled back");
        }
        tracing::error!(%error, "a batch of writes failed; its callers were told");
    }

    /// Keeps the write-ahead log short without waiting for readers, unless it passed its cap.
    fn care_for_log(&self, checkpointer: &Checkpointer) {
        let pages = WAL_PAGES.get();
        if pages >= TRUNCATE_PAGES {
            Stats::add(&self.stats.truncations, 1);
            self.checkpoint("TRUNCATE");
        } else if pages >= RESTART_PAGES && checkpointer.is_idle() {
            // Nearly everything is in the database already: this copies the rest, and the next commit starts
            // at the beginning of the log.
            self.checkpoint("PASSIVE");
        } else {
            checkpointer.nudge_at(pages);
        }
    }

    fn checkpoint(&self, mode: &str) {
        let ran = self.connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()));
        match ran {
            Ok(()) => {
                Stats::add(&self.stats.checkpoints, 1);
                // Until the next commit tells otherwise; keeps a full log from being checkpointed in a loop.
                WAL_PAGES.set(0);
            }
            Err(error) => tracing::warn!(%error, "a checkpoint failed; the next one tries again"),
        }
    }
}

#[derive(Default)]
struct Batch {
    answers: Vec<Answer>,
    callers: Vec<&'static str>,
    jobs: u64,
    stop: bool,
}

/// Some errors (a full disk above all) make SQLite roll back the whole transaction. Going on would write outside
/// of any: the batch ends here and everybody in it is told.
fn lost_transaction(connection: &Connection, begun: &Result<(), Error>) -> Result<(), Error> {
    if begun.is_ok() && connection.is_autocommit() { Err(Error::DiskFull) } else { Ok(()) }
}

/// The callers' end of the writer.
pub(super) struct WriterHandle {
    sender: SyncSender<Message>,
    stats: Arc<Stats>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl WriterHandle {
    pub(super) fn send(&self, message: Message) -> Result<(), Error> {
        self.stats.queued.fetch_add(1, Ordering::Relaxed);
        self.sender.try_send(message).map_err(|refused| {
            self.stats.queued.fetch_sub(1, Ordering::Relaxed);
            match refused {
                TrySendError::Full(_) => {
                    Stats::add(&self.stats.refused, 1);
                    Error::Busy
                }
                TrySendError::Disconnected(_) => Error::Stopped,
            }
        })
    }

    pub(super) fn stop(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        // The queue may be full: this waits until the writer has taken something.
        self.sender.send(Message::Stop).ok();
        if thread.join().is_err() {
            tracing::error!("the writer ended by a fault in the program");
        }
    }
}
