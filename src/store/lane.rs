//! Intake lanes: a domain handles all queued items of one kind together, once per commit.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// What is remembered after the commit. Cloned before every attempt: empty for a whole batch, and with what was
    /// staged so far for the parts of one that failed.
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
    refused: AtomicU64,
}

struct Waitlist<R: Record> {
    items: VecDeque<Waiting<R>>,
    /// The writer looks at this lane once more before it sleeps. Under one lock with the items: whoever finds it set
    /// is seen by that look, whoever does not wakes the writer.
    is_watched: bool,
    /// The writer takes nothing any more.
    is_closed: bool,
}

/// Where the answer to an item will come.
type Receipt<R> = oneshot::Receiver<Result<<R as Record>::Outcome, Error>>;

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

    /// Adds an item, or refuses it before anything is written. Also says whether the writer must be woken.
    fn push(&self, item: R::Item) -> Result<(Receipt<R>, bool), Error> {
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
                Ok((receiver, !std::mem::replace(&mut waitlist.is_watched, true)))
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
            waitlist: Mutex::new(Waitlist { items: VecDeque::new(), is_watched: false, is_closed: false }),
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
        let (answer, wakes) = self.queue.push(item)?;
        if wakes {
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

    /// Whether nothing waits. If so, the next item to come wakes the writer.
    fn may_sleep(&self) -> bool;

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

    /// One bad item must not take the others with it: what failed is tried in halves, so that the good ones still go
    /// together and few attempts copy what was staged.
    fn in_halves(
        &mut self,
        tx: &WriteTx<'_>,
        items: &[R::Item],
        error: &Error,
        results: &mut Vec<Result<R::Outcome, Error>>,
    ) {
        if items.len() <= 1 {
            results.extend(items.iter().map(|_| Err(error.clone())));
            return;
        }
        let (first, second) = items.split_at(items.len() / 2);
        for half in [first, second] {
            match self.attempt(tx, half) {
                Ok(outcomes) => results.extend(outcomes.into_iter().map(Ok)),
                Err(error) => self.in_halves(tx, half, &error, results),
            }
        }
    }
}

impl<R: Record> Port for LanePort<R> {
    fn name(&self) -> &'static str {
        self.queue.name
    }

    fn may_sleep(&self) -> bool {
        let mut waitlist = self.queue.waitlist();
        waitlist.is_watched = !waitlist.items.is_empty();
        !waitlist.is_watched
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
                    tracing::warn!(%error, lane = self.queue.name, "a batch failed; trying its parts");
                    let mut results = Vec::with_capacity(items.len());
                    self.in_halves(tx, &items, &error, &mut results);
                    results
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    struct Nothing;

    impl Record for Nothing {
        type Item = ();
        type Outcome = ();
        type Staged = ();

        fn bytes((): &()) -> usize {
            1
        }

        fn record(&self, _: &WriteTx<'_>, items: &[()], (): &mut ()) -> Result<Vec<()>, Error> {
            Ok(items.to_vec())
        }

        fn apply(&mut self, (): ()) {}
    }

    #[test]
    fn a_writer_that_falls_asleep_is_woken_by_the_next_item() {
        let (sender, _receiver) = sync_channel(10);
        let lane = Lane::new("nothing", 10, Budget::new(1000), sender);
        let mut port = lane.port(Nothing);
        let push = || lane.queue.push(()).unwrap().1;
        assert!(push(), "asleep since the start");
        // The writer is awake for somebody else: it takes the item before the message about it was sent.
        assert_eq!(port.run(Err(Error::Busy)), 1);
        port.settle(&Err(Error::Busy));
        assert!(!push(), "it looks once more");
        assert!(!port.may_sleep());
        assert!(!push());
        assert_eq!(port.run(Err(Error::Busy)), 2);
        port.settle(&Err(Error::Busy));
        assert!(port.may_sleep());
        // The message about the first item comes now and wakes it for nothing.
        assert!(port.may_sleep());
        assert!(push(), "asleep again, whatever came late");
    }
}
