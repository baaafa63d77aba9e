//! Soft and hard stop, the tasks of the process, and what is closed last.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// After the hard stop a task only has to be dropped; one that does not yield by then holds a thread for good.
const DROP_TIME: Duration = Duration::from_secs(2);

/// Owns every task of the process and the order in which it ends. Cheap to clone; clones share all.
#[derive(Clone, Default)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
    reason: Arc<Mutex<Option<StopReason>>>,
    closing: Arc<Mutex<Vec<Closing>>>,
}

struct Closing {
    name: &'static str,
    run: Box<dyn FnOnce() + Send>,
}

/// Why the process stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// SIGTERM or SIGINT.
    Signal(&'static str),
    /// A part asked for it, and says why.
    Requested(&'static str),
    /// A task that should run until the stop ended by itself: the process fails, so that it is started anew.
    TaskEnded(&'static str),
}

impl StopReason {
    pub const fn is_failure(self) -> bool {
        match self {
            Self::Signal(_) | Self::Requested(_) => false,
            Self::TaskEnded(_) => true,
        }
    }
}

/// How a stop went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every task finished by itself.
    Drained,
    /// This many tasks were dropped at the deadline.
    TimedOut(usize),
    /// This many tasks were dropped at a second signal.
    Hurried(usize),
}

impl Lifecycle {
    /// Runs `task` until it ends. It should end soon after [`Lifecycle::soft`]; at the hard stop it is dropped.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let ended = EndedEarly { name, lifecycle: self.clone() };
        let hard = self.hard.clone();
        self.tasks.spawn(async move {
            // Dropped however the task ends: by itself, by a panic, or by the hard stop.
            let _ended = ended;
            hard.run_until_cancelled(task).await;
        });
    }

    /// Is cancelled when nothing new should begin.
    pub fn soft(&self) -> CancellationToken {
        self.soft.clone()
    }

    /// Is cancelled when what still runs is given up.
    pub fn hard(&self) -> CancellationToken {
        self.hard.clone()
    }

    /// Adds a step that runs after all tasks have ended; steps run in the reverse of the order they were added.
    pub fn at_end(&self, name: &'static str, run: impl FnOnce() + Send + 'static) {
        let step = Closing { name, run: Box::new(run) };
        self.closing.lock().unwrap_or_else(PoisonError::into_inner).push(step);
    }

    /// Begins the soft stop. The first reason stands.
    pub fn stop(&self, reason: StopReason) {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.soft.cancel();
    }

    /// Waits for the first signal or for somebody to call [`Lifecycle::stop`].
    pub async fn wait(&self, signals: &mut Signals) -> StopReason {
        tokio::select! {
            name = signals.next() => self.stop(StopReason::Signal(name)),
            () = self.soft.cancelled() => {}
        }
        let reason = *self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        reason.unwrap_or(StopReason::Requested("the stop token was cancelled"))
    }

    /// Stops: waits at most `timeout` for the tasks, drops the rest, then runs the closing steps.
    pub async fn finish(&self, signals: &mut Signals, timeout: Duration) -> Ended {
        self.soft.cancel();
        self.tasks.close();
        let hurried = tokio::select! {
            () = self.tasks.wait() => None,
            _ = signals.next() => Some(true),
            () = tokio::time::sleep(timeout) => Some(false),
        };
        let ended = match (hurried, self.tasks.len()) {
            (None, _) => Ended::Drained,
            (Some(true), left) => Ended::Hurried(left),
            (Some(false), left) => Ended::TimedOut(left),
        };
        self.hard.cancel();
        if tokio::time::timeout(DROP_TIME, self.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "tasks hold their threads and are left behind");
        }
        self.close().await;
        ended
    }

    async fn close(&self) {
        loop {
            let step = self.closing.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(step) = step else { return };
            if tokio::task::spawn_blocking(step.run).await.is_err() {
                tracing::error!(step = step.name, "a closing step failed");
            }
        }
    }
}

struct EndedEarly {
    name: &'static str,
    lifecycle: Lifecycle,
}

impl Drop for EndedEarly {
    fn drop(&mut self) {
        if !self.lifecycle.soft.is_cancelled() {
            tracing::error!(task = self.name, "a task ended that should run until the stop; stopping");
            self.lifecycle.stop(StopReason::TaskEnded(self.name));
        }
    }
}

/// SIGTERM and SIGINT, from the moment this is made.
pub struct Signals {
    terminate: Option<Signal>,
    interrupt: Option<Signal>,
}

impl Signals {
    /// # Errors
    /// Where the operating system refuses the handlers.
    pub fn listen() -> std::io::Result<Self> {
        let terminate = Some(signal(SignalKind::terminate())?);
        let interrupt = Some(signal(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt })
    }

    /// No signal ever comes: for a process that somebody else stops.
    pub const fn none() -> Self {
        Self { terminate: None, interrupt: None }
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            () = receive(self.terminate.as_mut()) => "SIGTERM",
            () = receive(self.interrupt.as_mut()) => "SIGINT",
        }
    }
}

async fn receive(signal: Option<&mut Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal as Kind, getpid, kill_process};

    use super::*;

    type Log = Arc<Mutex<Vec<&'static str>>>;

    fn say(log: &Log, what: &'static str) {
        log.lock().unwrap().push(what);
    }

    fn building(log: &Log) -> Lifecycle {
        let lifecycle = Lifecycle::default();
        for name in ["store", "lanes", "server"] {
            let log = log.clone();
            lifecycle.at_end(name, move || say(&log, name));
        }
        lifecycle
    }

    #[tokio::test]
    async fn tasks_finish_first_and_then_all_is_closed_in_reverse() {
        let log = Log::default();
        let lifecycle = building(&log);
        let (soft, said) = (lifecycle.soft(), log.clone());
        lifecycle.spawn("worker", async move {
            soft.cancelled().await;
            tokio::task::yield_now().await;
            say(&said, "worker finished");
        });
        lifecycle.stop(StopReason::Requested("test"));
        let mut signals = Signals::none();
        assert_eq!(lifecycle.wait(&mut signals).await, StopReason::Requested("test"));
        assert_eq!(lifecycle.finish(&mut signals, Duration::from_mins(1)).await, Ended::Drained);
        assert_eq!(*log.lock().unwrap(), ["worker finished", "server", "lanes", "store"]);
    }

    #[tokio::test]
    async fn a_task_that_does_not_finish_is_dropped_at_the_deadline() {
        let log = Log::default();
        let lifecycle = building(&log);
        lifecycle.spawn("stuck", std::future::pending());
        let ended = lifecycle.finish(&mut Signals::none(), Duration::ZERO).await;
        assert_eq!(ended, Ended::TimedOut(1));
        assert_eq!(*log.lock().unwrap(), ["server", "lanes", "store"]);
    }

    #[tokio::test]
    async fn a_task_that_ends_or_panics_stops_the_process_as_a_failure() {
        let quiet = Lifecycle::default();
        quiet.spawn("quiet", async {});
        let panicking = Lifecycle::default();
        panicking.spawn("panicking", async { panic!("on purpose") });
        for (lifecycle, name) in [(quiet, "quiet"), (panicking, "panicking")] {
            let reason = lifecycle.wait(&mut Signals::none()).await;
            assert_eq!(reason, StopReason::TaskEnded(name));
            assert!(reason.is_failure());
        }
    }

    #[tokio::test]
    async fn the_first_signal_is_soft_and_the_second_is_hard() {
        let lifecycle = Lifecycle::default();
        let mut signals = Signals::listen().unwrap();
        lifecycle.spawn("stuck", std::future::pending());
        kill_process(getpid(), Kind::TERM).unwrap();
        assert_eq!(lifecycle.wait(&mut signals).await, StopReason::Signal("SIGTERM"));
        assert!(lifecycle.soft().is_cancelled() && !lifecycle.hard().is_cancelled());
        kill_process(getpid(), Kind::INT).unwrap();
        assert_eq!(lifecycle.finish(&mut signals, Duration::from_hours(1)).await, Ended::Hurried(1));
        assert!(lifecycle.hard().is_cancelled());
    }
}
