//! What waits for the writer. What is taken out of the channel is kept here until it was run or refused: a message
//! cannot be lost between two steps.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::Error;
use super::job::{Answer, Job};
use super::lane::Port;
use super::tx::Begun;

/// A batch is closed at this many closures or after [`BATCH_TIME`], whichever comes first: later callers should not
/// wait for an ever-growing commit.
const BATCH_JOBS_MAX: usize = 256;
const BATCH_TIME: Duration = Duration::from_millis(5);

pub(super) enum Message {
    Job(Job),
    /// A lane has items.
    Nudge,
    Stop,
}

pub(super) struct Inbox {
    receiver: Receiver<Message>,
    /// Taken out of the channel and not run yet.
    pending: VecDeque<Job>,
    lanes: Vec<Box<dyn Port>>,
    is_stopping: bool,
    /// The last transaction was lost. What then had no turn runs in one of its own: an alarm must not be lost together
    /// with the load that fills the disk.
    was_cut_off: bool,
    pub(super) batch_time: Duration,
}

/// Who was in a transaction, and how they are answered.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) answers: Vec<Answer>,
    pub(super) callers: Vec<&'static str>,
    /// Closures and lane items.
    pub(super) jobs: u64,
}

impl Inbox {
    pub(super) fn new(receiver: Receiver<Message>) -> Self {
        Self {
            receiver,
            pending: VecDeque::new(),
            lanes: Vec::new(),
            is_stopping: false,
            was_cut_off: false,
            batch_time: BATCH_TIME,
        }
    }

    pub(super) fn add_lane(&mut self, lane: Box<dyn Port>) {
        self.lanes.push(lane);
    }

    /// Waits until there is something to run. `false`: a stop was asked for, or nobody is left to ask.
    pub(super) fn wait(&mut self) -> bool {
        while !self.is_stopping && !self.has_work() {
            match self.receiver.recv() {
                Ok(message) => self.take(message),
                Err(_) => return false,
            }
        }
        !self.is_stopping
    }

    /// Takes nothing new in any more. Returns whether something is left to run.
    pub(super) fn is_draining(&mut self) -> bool {
        self.is_stopping = true;
        for lane in &mut self.lanes {
            lane.close();
        }
        while let Ok(message) = self.receiver.try_recv() {
            self.take(message);
        }
        self.has_work()
    }

    /// Runs what waits in `tx`, a bounded part of it; refuses it where no transaction could begin.
    ///
    /// # Errors
    /// Why the transaction was lost; what had no turn yet waits for the next one.
    pub(super) fn run(&mut self, tx: &Begun<'_, '_>, batch: &mut Batch, began: Instant) -> Result<(), Error> {
        let ran = if self.was_cut_off && self.has_job() {
            self.run_jobs(tx, batch, began)
        } else {
            self.run_lanes(tx, batch).and_then(|()| self.run_jobs(tx, batch, began))
        };
        self.was_cut_off = ran.is_err();
        if self.was_cut_off && !self.lanes.is_empty() {
            // The first lane may lose every transaction: the others get their turn, if only to be told so.
            self.lanes.rotate_left(1);
        }
        ran
    }

    /// Answers who was in the lanes. `false`: a lane no longer knows what is on disk.
    pub(super) fn settle(&mut self, committed: &Result<(), Error>) -> bool {
        let mut is_sound = true;
        for lane in &mut self.lanes {
            is_sound &= lane.settle(committed);
        }
        is_sound
    }

    fn has_work(&self) -> bool {
        !self.pending.is_empty() || !self.lanes.iter().all(|lane| lane.may_sleep())
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Job(job) => self.pending.push_back(job),
            Message::Nudge => {}
            Message::Stop => self.is_stopping = true,
        }
    }

    fn has_job(&mut self) -> bool {
        while self.pending.is_empty()
            && let Ok(message) = self.receiver.try_recv()
        {
            self.take(message);
        }
        !self.pending.is_empty()
    }

    fn run_jobs(&mut self, tx: &Begun<'_, '_>, batch: &mut Batch, began: Instant) -> Result<(), Error> {
        // At least one has its turn, however long the lanes took.
        while (batch.answers.is_empty()
            || (batch.answers.len() < BATCH_JOBS_MAX && began.elapsed() < self.batch_time))
            && self.has_job()
            && let Some(job) = self.pending.pop_front()
        {
            batch.callers.push(job.name);
            batch.jobs += 1;
            batch.answers.push(job.run(tx.clone()));
            still_open(tx)?;
        }
        Ok(())
    }

    fn run_lanes(&mut self, tx: &Begun<'_, '_>, batch: &mut Batch) -> Result<(), Error> {
        for lane in &mut self.lanes {
            let items = lane.run(tx.clone());
            if items > 0 {
                batch.callers.push(lane.name());
                batch.jobs += items;
            }
            still_open(tx)?;
        }
        Ok(())
    }
}

/// One that could not begin cannot be lost.
fn still_open(tx: &Begun<'_, '_>) -> Result<(), Error> {
    tx.as_ref().map_or(Ok(()), |tx| tx.is_open())
}

impl Batch {
    /// Answers everybody. A caller's own type may panic where it is dropped; the others still hear.
    pub(super) fn answer(answers: Vec<Answer>, outcome: &Result<(), Error>) {
        for answer in answers {
            if catch_unwind(AssertUnwindSafe(|| answer(outcome))).is_err() {
                tracing::error!("a caller of the store could not be answered: a fault in the program");
            }
        }
    }
}
