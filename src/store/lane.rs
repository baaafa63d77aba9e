//! Intake lanes: a domain handles all queued items of one kind together, once per commit.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::budget::{Budget, Held};
use super::inbox::Message;
use super::tx::Begun;
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

    /// What an item holds in memory while it waits, about.
    fn bytes(item: &Self::Item) -> usize;

    /// Writes `items` and returns one outcome for each, in order. An error undoes all of them.
    fn record(
        &self,
        tx: &WriteTx<'_>,
        items: &[Self::Item],
        staged: &mut Self::Staged,
    ) -> Result<Vec<Self::Outcome>, Error>;

    /// Remembers what is on disk now. A panic here ends the writer: memory could no longer be trusted.
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
    /// Shared by all lanes.
    budget: Budget,
    waitlist: Mutex<Waitlist<R>>,
    /// Whether the writer was already woken for what waits.
    nudged: AtomicBool,
    refused: AtomicU64,
}

struct Waitlist<R: Record> {
    items: VecDeque<Waiting<R>>,
    /// The writer takes nothing any more.
    is_closed: bool,
}

struct Waiting<R: Record> {
    item: R::Item,
    caller: Caller<R>,
    since: Instant,
}

struct Caller<R: Record> {
    answer: oneshot::Sender<Result<R::Outcome, Error>>,
    /// Given back with the answer, not before: until then the item is in memory.
    _held: Held,
}

type Answered<R> = (Caller<R>, Result<<R as Record>::Outcome, Error>);

impl<R: Record> Queue<R> {
    fn waitlist(&self) -> MutexGuard<'_, Waitlist<R>> {
        self.waitlist.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an item, or refuses it before anything is written.
    fn push(&self, item: R::Item) -> Result<oneshot::Receiver<Result<R::Outcome, Error>>, Error> {
        let held = self.budget.take(R::bytes(&item));
        let (answer, receiver) = oneshot::channel();
        let mut waitlist = self.waitlist();
        if waitlist.is_closed {
            return Err(Error::Stopped);
        }
        match held {
            Some(held) if waitlist.items.len() < self.capacity => {
                let caller = Caller { answer, _held: held };
                waitlist.items.push_back(Waiting { item, caller, since: Instant::now() });
                Ok(receiver)
            }
            _ => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                Err(Error::Busy)
            }
        }
    }
}

impl<R: Record> Lane<R> {
    pub(super) fn new(
        name: &'static str,
        capacity: usize,
        budget: Budget,
        sender: SyncSender<Message>,
    ) -> Self {
        let queue = Queue {
            name,
            capacity,
            budget,
            waitlist: Mutex::new(Waitlist { items: VecDeque::new(), is_closed: false }),
            nudged: AtomicBool::new(false),
            refused: AtomicU64::new(0),
        };
        Self { queue: Arc::new(queue), sender }
    }

    /// Queues `item` and answers once it is on disk.
    ///
    /// # Errors
    /// [`Error::Busy`] before anything was written where the lane, or the memory of all lanes, is full;
    /// [`Error::Stopped`] where the writer ended before its turn.
    pub async fn submit(&self, item: R::Item) -> Result<R::Outcome, Error> {
        let answer = self.queue.push(item)?;
        if !self.queue.nudged.swap(true, Ordering::AcqRel) {
            match self.sender.try_send(Message::Nudge) {
                // A full channel means that the writer is awake and looks at every lane in its next batch. One that
                // is gone closed the lane, or is about to: then the answer never comes, which the caller is told.
                Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
            }
        }
        answer.await.unwrap_or(Err(Error::Stopped))
    }

    /// Items that wait now.
    pub fn depth(&self) -> usize {
        self.queue.waitlist().items.len()
    }

    /// How long the oldest item has waited.
    pub fn age(&self) -> Duration {
        self.queue.waitlist().items.front().map_or(Duration::ZERO, |oldest| oldest.since.elapsed())
    }

    /// Items refused since the start because the lane, or the memory of all lanes, was full.
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

    /// Records what waits, at most one batch; returns how many items. Where no transaction could begin they are
    /// only taken out and remembered for [`Port::settle`].
    fn run(&mut self, tx: Begun<'_, '_>) -> u64;

    /// Answers the callers of the last [`Port::run`]. `false`: what is in memory is no longer what is on disk.
    fn settle(&mut self, committed: &Result<(), Error>) -> bool;

    /// Refuses what comes from now on; what waits still has its turn.
    fn close(&mut self);
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
        let mut waitlist = self.queue.waitlist();
        let count = waitlist.items.len().min(BATCH_ITEMS_MAX);
        waitlist.items.drain(..count).map(|w| (w.item, w.caller)).unzip()
    }

    fn attempt(&mut self, tx: &WriteTx<'_>, items: &[R::Item]) -> Result<Vec<R::Outcome>, Error> {
        let mut staged = self.staged.clone();
        let outcomes = tx.attempt(|tx| {
            let recorded = catch_unwind(AssertUnwindSafe(|| self.record.record(tx, items, &mut staged)));
            let outcomes = recorded.unwrap_or(Err(Error::Panicked))?;
            // Everybody gets an answer, and that of their own item.
            if outcomes.len() == items.len() { Ok(outcomes) } else { Err(Error::Panicked) }
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
        !self.queue.waitlist().items.is_empty()
    }

    fn run(&mut self, tx: Begun<'_, '_>) -> u64 {
        let (items, callers) = self.take();
        if items.is_empty() {
            return 0;
        }
        let refuse = |error: Error| items.iter().map(|_| Err(error.clone())).collect();
        let results = match tx {
            Err(error) => refuse(error),
            Ok(tx) => match self.attempt(tx, &items) {
                Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
                Err(error) if tx.is_open().is_err() => refuse(error),
                Err(error) => {
                    tracing::warn!(%error, lane = self.queue.name, "a batch failed; trying its items one by one");
                    self.one_by_one(tx, &items)
                }
            },
        };
        self.open = callers.into_iter().zip(results).collect();
        items.len() as u64
    }

    fn settle(&mut self, committed: &Result<(), Error>) -> bool {
        let staged = std::mem::take(&mut self.staged);
        let mut is_sound = true;
        if committed.is_ok() && !self.open.is_empty() {
            is_sound = catch_unwind(AssertUnwindSafe(|| self.record.apply(staged))).is_ok();
        }
        for (caller, result) in self.open.drain(..) {
            let result = match (result, committed) {
                (Ok(_), Err(error)) => Err(error.clone()),
                (result, _) => result,
            };
            caller.answer.send(result).ok();
        }
        is_sound
    }

    fn close(&mut self) {
        self.queue.waitlist().is_closed = true;
    }
}

/// However the writer ends: nobody waits for an answer that cannot come, and nobody new begins to.
impl<R: Record> Drop for LanePort<R> {
    fn drop(&mut self) {
        let left = {
            let mut waitlist = self.queue.waitlist();
            waitlist.is_closed = true;
            std::mem::take(&mut waitlist.items)
        };
        drop(left);
    }
}
