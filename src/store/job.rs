//! A closure on its way to the writer, and how its caller is answered.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::stats::Stats;
use super::tx::Begun;
use super::{Error, WriteTx};

/// A closure to run in the next batch.
pub(super) struct Job {
    pub(super) name: &'static str,
    run: Run,
    waits: Waits,
}

type Run = Box<dyn FnOnce(Begun<'_, '_>) -> Answer + Send>;

/// Tells a caller what became of its work, given what became of the commit.
pub(super) type Answer = Box<dyn FnOnce(&Result<(), Error>) + Send>;

impl Job {
    pub(super) fn new<T, E>(
        name: &'static str,
        work: impl FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
        caller: oneshot::Sender<Result<T, E>>,
        stats: &Arc<Stats>,
    ) -> Self
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let run = move |tx: Begun<'_, '_>| -> Answer {
            let result = tx.map_err(E::from).and_then(|tx| {
                tx.attempt(|tx| {
                    catch_unwind(AssertUnwindSafe(|| work(tx)))
                        .unwrap_or_else(|_| Err(Error::Panicked.into()))
                })
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
        Self { name, run: Box::new(run), waits: Waits::new(stats) }
    }

    /// Runs the closure in `tx`, or refuses it where no transaction could begin.
    pub(super) fn run(self, tx: Begun<'_, '_>) -> Answer {
        drop(self.waits);
        (self.run)(tx)
    }
}

/// Counts a job as queued for as long as it lives, however it ends: run, refused or dropped.
struct Waits(Arc<Stats>);

impl Waits {
    fn new(stats: &Arc<Stats>) -> Self {
        stats.queued.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(stats))
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, Ordering::Relaxed);
    }
}
