//! Intake lanes: a domain handles all queued items of one kind together, once per commit.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::writer::Message;
use super::{Error, WriteTx};

/// How a domain records the items of its lane. Lives on the writer thread and may keep state in memory.
///
/// Memory must not run ahead of the disk: `record` only *stages* what it would remember, and `apply` remembers
/// it once the commit is on disk.
pub trait Record: Send + 'static {
    type Item: Send + 'static;
    type Outcome: Send + 'static;
    /// What is remembered after the commit. Cloned only when a batch failed and is tried item by item.
    type Staged: Default + Clone + Send + 'static;

    /// Writes `items` and returns one outcome for each, in order. An error undoes all of them.
    fn record(
        &self,
        tx: &WriteTx<'_>,
        items: &[Self::Item],
        staged: &mut Self::Staged,
    ) -> Result<Vec<Self::Outcome>, Error>;

    fn apply(&mut self, staged: Self::Staged);
}

/// Items handled in one commit; more wait for the next one.
const BATCH_ITEMS_MAX: usize = 256;

/// The callers' end of a lane.
pub struct Lane<R: Record> {
    queue: Arc<Queue<R>>,
    sender: SyncSender<Message>,
}

impl<R: Record> Clone for Lane<R> {
    fn clone(&self) -> Self {
        Self { queue: Arc::clone(&self.queue), sender: self.sender.clone() }
    }
}

struct Queue<R: Record> {
    name: &'static str,
    capacity: usize,
    waiting: Mutex<VecDeque<Waiting<R>>>,
    /// Whether the writer was already woken for what waits.
    nudged: AtomicBool,
    refused: AtomicU64,
}

type Caller<R> = oneshot::Sender<Result<<R as Record>::Outcome, Error>>;

type Answered<R> = (Caller<R>, Result<<R as Record>::Outcome, Error>);

struct Waiting<R: Record> {
    item: R::Item,
    caller: Caller<R>,
    since: Instant,
}

impl<R: Record> Lane<R> {
    pub(super) fn new(name: &'static str, capacity: usize, sender: SyncSender<Message>) -> Self {
        let waiting = Mutex::new(VecDeque::new());
        let (nudged, refused) = (AtomicBool::new(false), AtomicU64::new(0));
        Self { queue: Arc::new(Queue { name, capacity, waiting, nudged, refused }), sender }
    }

    /// Queues `item` and answers once it is on disk.
    ///
    /// # Errors
    /// [`Error::Busy`] before anything was written where the lane is full.
    pub async fn submit(&self, item: R::Item) -> Result<R::Outcome, Error> {
        let (caller, answer) = oneshot::channel();
        {
            let mut waiting = self.queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.len() >= self.queue.capacity {
                self.queue.refused.fetch_add(1, Ordering::Relaxed);
                return Err(Error::Busy);
            }
            waiting.push_back(Waiting { item, caller, since: Instant::now() });
        }
        if !self.queue.nudged.swap(true, Ordering::AcqRel) {
            // A full channel means that the writer is awake and looks at every lane in its next batch.
            if let Err(std::sync::mpsc::TrySendError::Disconnected(_)) = self.sender.try_send(Message::Nudge)
            {
                return Err(Error::Stopped);
            }
        }
        answer.await.unwrap_or(Err(Error::Stopped))
    }

    /// Items that wait now.
    pub fn depth(&self) -> usize {
        self.queue.waiting.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// How long the oldest item has waited.
    pub fn age(&self) -> Duration {
        let waiting = self.queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.front().map_or(Duration::ZERO, |oldest| oldest.since.elapsed())
    }

    /// Items refused since the start because the lane was full.
    pub fn refused(&self) -> u64 {
        self.queue.refused.load(Ordering::Relaxed)
    }

    pub(super) fn port(&self, record: R) -> Box<dyn Port> {
        let queue = Arc::clone(&self.queue);
        Box::new(LanePort { queue, record, staged: R::Staged::default(), open: Vec::new() })
    }
}

/// The writer's end of a lane, whatever its items are.
pub(super) trait Port: Send {
    fn name(&self) -> &'static str;

    /// Whether items wait for the next batch.
    fn is_waiting(&self) -> bool;

    /// Records what waits, at most one batch; returns how many items. With `refused` they are only taken out
    /// and remembered for [`Port::settle`].
    fn run(&mut self, tx: &WriteTx<'_>, refused: Option<Error>) -> u64;

    /// Answers the callers of the last [`Port::run`].
    fn settle(&mut self, committed: &Result<(), Error>);
}

struct LanePort<R: Record> {
    queue: Arc<Queue<R>>,
    record: R,
    staged: R::Staged,
    open: Vec<Answered<R>>,
}

impl<R: Record> LanePort<R> {
    fn take(&self) -> (Vec<R::Item>, Vec<Caller<R>>) {
        // Cleared first: an item that comes in from here on wakes the writer again.
        self.queue.nudged.store(false, Ordering::Release);
        let mut waiting = self.queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.len().min(BATCH_ITEMS_MAX);
        waiting.drain(..count).map(|w| (w.item, w.caller)).unzip()
    }

    fn attempt(&mut self, tx: &WriteTx<'_>, items: &[R::Item]) -> Result<Vec<R::Outcome>, Error> {
        let mut staged = self.staged.clone();
        let outcomes = tx.attempt(|tx| {
            catch_unwind(AssertUnwindSafe(|| self.record.record(tx, items, &mut staged)))
                .unwrap_or(Err(Error::Panicked))
        })?;
        self.staged = staged;
        Ok(outcomes)
    }

    /// One bad item must not take the others with it.
    fn one_by_one(&mut self, tx: &WriteTx<'_>, items: &[R::Item]) -> Vec<Result<R::Outcome, Error>> {
        items
            .iter()
            .map(|item| {
                let mut outcomes = self.attempt(tx, std::slice::from_ref(item))?;
                outcomes.pop().ok_or(Error::Panicked)
            })
            .collect()
    }
}

impl<R: Record> Port for LanePort<R> {
    fn name(&self) -> &'static str {
        self.queue.name
    }

    fn is_waiting(&self) -> bool {
        !self.queue.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn run(&mut self, tx: &WriteTx<'_>, refused: Option<Error>) -> u64 {
        let (items, callers) = self.take();
        if items.is_empty() {
            return 0;
        }
        let results = match refused {
            Some(error) => items.iter().map(|_| Err(error.clone())).collect(),
            None => match self.attempt(tx, &items) {
                Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
                Err(error) if tx.connection().is_autocommit() => {
                    items.iter().map(|_| Err(error.clone())).collect()
                }
                Err(error) => {
                    tracing::warn!(%error, lane = self.queue.name, "a batch failed; trying its items one by one");
                    self.one_by_one(tx, &items)
                }
            },
        };
        self.open = callers.into_iter().zip(results).collect();
        items.len() as u64
    }

    fn settle(&mut self, committed: &Result<(), Error>) {
        let staged = std::mem::take(&mut self.staged);
        if committed.is_ok() && !self.open.is_empty() {
            self.record.apply(staged);
        }
        for (caller, result) in self.open.drain(..) {
            let result = match (result, committed) {
                (Ok(_), Err(error)) => Err(error.clone()),
                (result, _) => result,
            };
            caller.send(result).ok();
        }
    }
}
