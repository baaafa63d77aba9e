//! Runs every task by its schedule, on a wake-up and on demand, and keeps what happened for the page.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde::Serialize;
use tokio::sync::Notify;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Report, Task, Wake};
use crate::base::{Clock, Timestamp};
use crate::store::{Error, Row, Store, params};

/// A run that takes longer is given up; the next one starts from what is in the database.
const RUN_TIME_MAX: Duration = Duration::from_mins(5);
/// Runs in a row that may ask for more before what they did is kept; then it goes on at once.
const TURNS_MAX: usize = 100;
/// What time servers correct and what passes between two questions; a clock that differs by more was set.
const CLOCK_SLACK: Duration = Duration::from_secs(1);

/// The tasks and their state. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    tasks: Arc<Vec<Running>>,
    store: Store,
    clock: Clock,
    ran_at: Arc<Mutex<Instant>>,
}

struct Running {
    task: Task,
    ask: Notify,
    state: Mutex<State>,
    /// One run at a time, whoever asks.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct State {
    last: Option<LastRun>,
    next: Option<Due>,
    running: bool,
    runs: u64,
    failures: u64,
}

/// When a run is due: by the clock as it was set when that was planned, and by [`Clock::monotonic`], which nobody sets.
#[derive(Clone, Copy)]
struct Due {
    at: Timestamp,
    passed: Duration,
}

#[derive(Clone)]
struct LastRun {
    at: Timestamp,
    took: Duration,
    outcome: Result<String, String>,
}

/// A task as the page and the API show it.
#[derive(Clone, Debug, Serialize)]
pub struct TaskStatus {
    pub name: &'static str,
    pub does: &'static str,
    pub schedule: String,
    pub running: bool,
    pub last_run_at: Option<Timestamp>,
    pub last_duration_ms: Option<f64>,
    pub last_ok: Option<bool>,
    pub last_result: Option<String>,
    pub next_run_at: Option<Timestamp>,
    /// How long the next run has been due, by time that passed: a clock that was set makes nothing late.
    #[serde(skip)]
    pub late: Duration,
    pub runs: u64,
    pub failures: u64,
}

impl Engine {
    pub fn new(store: Store, clock: Clock, tasks: Vec<Task>) -> Self {
        let tasks = tasks
            .into_iter()
            .map(|task| Running {
                task,
                ask: Notify::new(),
                state: Mutex::default(),
                turn: tokio::sync::Mutex::default(),
            })
            .collect();
        Self { tasks: Arc::new(tasks), store, clock, ran_at: Arc::new(Mutex::new(Instant::now())) }
    }

    /// Takes up the last run of each task from before the start. What is counted begins anew with the process.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn remember(self) -> Result<Self, Error> {
        let kept = self.store.read_reserved(|tx| {
            tx.all("SELECT task, started_at, duration_us, ok, result FROM task_runs LIMIT 1000", [], read_run)
        });
        for (name, last) in kept.await? {
            if let Some(running) = self.tasks.iter().find(|running| running.task.name == name) {
                running.with(|state| state.last = Some(last));
            }
        }
        Ok(self)
    }

    /// One loop per task, to be spawned by the caller. Each ends when `stop` is cancelled, after the run that is
    /// under way.
    pub fn loops(
        &self,
        stop: &CancellationToken,
    ) -> impl Iterator<Item = (&'static str, impl Future<Output = ()> + Send + use<>)> {
        let loops: Vec<_> = (0..self.tasks.len())
            .map(|index| {
                let (engine, stop) = (self.clone(), stop.clone());
                (self.tasks[index].task.name, async move { engine.drive(index, stop).await })
            })
            .collect();
        loops.into_iter()
    }

    /// Runs a task now, waiting for a run that is under way. `None` where there is no such task.
    pub async fn run_now(&self, name: &str) -> Option<Result<String, String>> {
        let running = self.tasks.iter().find(|running| running.task.name == name)?;
        self.run(running, &CancellationToken::new()).await;
        running.state().last.map(|last| last.outcome)
    }

    /// Asks for a run soon and returns at once. `false` where there is no such task.
    pub fn ask(&self, name: &str) -> bool {
        let found = self.tasks.iter().find(|running| running.task.name == name);
        found.inspect(|running| running.ask.notify_one()).is_some()
    }

    /// How long no task has run; tasks that are due every second keep it short. The proof that the scheduler lives.
    pub fn idle_for(&self) -> Duration {
        self.ran_at.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    pub fn status(&self) -> Vec<TaskStatus> {
        self.tasks.iter().map(|running| running.status(&self.clock)).collect()
    }

    async fn drive(&self, index: usize, stop: CancellationToken) {
        let Some(running) = self.tasks.get(index) else { return };
        let topics = match running.task.wake {
            Wake::ScheduleOnly => &[],
            Wake::OnCommit(topics) => topics,
        };
        let mut woken: Vec<_> = topics.iter().map(|topic| self.store.changes(*topic)).collect();
        // Everything runs once at the start: what became due while nobody was there is done first.
        let mut next_at = self.clock.now();
        loop {
            running.with(|state| state.next = Some(Due::new(next_at, &self.clock)));
            let due = wait(&self.clock, next_at, &running.ask, &mut woken);
            if stop.run_until_cancelled(due).await.is_none() {
                return;
            }
            let has_more = self.run(running, &stop).await;
            let now = self.clock.now();
            next_at = if has_more { now } else { running.task.schedule.next_after(now) };
        }
    }

    /// Answers whether the task asked for more than one run's turns.
    async fn run(&self, running: &Running, stop: &CancellationToken) -> bool {
        let _turn = running.turn.lock().await;
        let at = self.clock.now();
        let began = Instant::now();
        running.with(|state| state.running = true);
        let (outcome, has_more) = match self.turns(running, stop).await {
            Ok((did, has_more)) => (Ok(did), has_more),
            Err(error) => (Err(error), false),
        };
        let last =
            LastRun { at, took: began.elapsed(), outcome: outcome.clone().map(Option::unwrap_or_default) };
        *self.ran_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let idle = matches!(outcome, Ok(None));
        let was_well = running.with(|state| {
            let known = state.last.is_some();
            state.running = false;
            state.runs += 1;
            state.failures += u64::from(last.outcome.is_err());
            let failed = state.last.as_ref().is_some_and(|last| last.outcome.is_err());
            // A run with nothing to do does not hide what the last one did, only when; but a failure is over with it.
            match &mut state.last {
                Some(before) if idle && !failed => (before.at, before.took) = (last.at, last.took),
                slot => *slot = Some(last.clone()),
            }
            known && !failed
        });
        if let Err(error) = &last.outcome {
            tracing::error!(task = running.task.name, error, "a background task failed; it runs again");
        }
        if !idle || !was_well {
            self.keep(running.task.name, &last).await;
        }
        has_more
    }

    /// Runs the task until it has nothing more to do, at most [`TURNS_MAX`] times or until `stop`. What it did, `None`
    /// where it was idle, and whether there is more.
    async fn turns(
        &self,
        running: &Running,
        stop: &CancellationToken,
    ) -> Result<(Option<String>, bool), String> {
        let mut did = None;
        for _ in 0..TURNS_MAX {
            if stop.is_cancelled() {
                break;
            }
            match running.once().await? {
                Report::Idle => return Ok((did, false)),
                Report::Did(what) => return Ok((Some(what), false)),
                Report::More(what) => did = Some(what),
            }
        }
        Ok((did, true))
    }

    /// Keeps the last run across restarts, for [`Engine::remember`]. A full queue or disk must not stop the task itself.
    async fn keep(&self, name: &'static str, last: &LastRun) {
        let (ok, result) = match &last.outcome {
            Ok(did) => (true, did.clone()),
            Err(error) => (false, error.clone()),
        };
        let (at, took) = (last.at.as_micros(), i64::try_from(last.took.as_micros()).unwrap_or(i64::MAX));
        let kept = self.store.write("engine.keep", move |tx| {
            tx.execute(
                "INSERT INTO task_runs (task, started_at, duration_us, ok, result)
                 VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (task) DO UPDATE SET started_at = excluded.started_at,
                     duration_us = excluded.duration_us, ok = excluded.ok, result = excluded.result",
                params![name, at, took, ok, result],
            )
        });
        if let Err(error) = kept.await.map_err(|error: Error| error) {
            tracing::debug!(%error, task = name, "the last run of a task was not kept");
        }
    }
}

fn read_run(row: &Row<'_>) -> rusqlite::Result<(String, LastRun)> {
    let (ok, result): (bool, String) = (row.get(3)?, row.get(4)?);
    let last = LastRun {
        at: Timestamp::from_micros(row.get(1)?),
        took: Duration::from_micros(u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0)),
        outcome: if ok { Ok(result) } else { Err(result) },
    };
    Ok((row.get(0)?, last))
}

/// Waits until the task is due, asked for, or woken by a commit.
async fn wait(clock: &Clock, next_at: Timestamp, ask: &Notify, woken: &mut [watch::Receiver<u64>]) {
    let mut changes: FuturesUnordered<_> = woken.iter_mut().map(watch::Receiver::changed).collect();
    let woken = async {
        if !matches!(changes.next().await, Some(Ok(()))) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = clock.sleep_until(next_at) => {}
        () = ask.notified() => {}
        () = woken => {}
    }
}

impl Running {
    /// One run, bounded in time. A panic is a failure of this run: the alarms of everybody else go on.
    async fn once(&self) -> Result<Report, String> {
        let run = AssertUnwindSafe(async { (self.task.run)().await }).catch_unwind();
        match tokio::time::timeout(RUN_TIME_MAX, run).await {
            Err(_) => Err(format!("gave up after {} s", RUN_TIME_MAX.as_secs())),
            Ok(Err(_)) => Err("ended by a fault in the program".to_owned()),
            Ok(Ok(report)) => report.map_err(|error| format!("{error:#}")),
        }
    }

    fn state(&self) -> State {
        self.with(|state| state.clone())
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn status(&self, clock: &Clock) -> TaskStatus {
        let state = self.state();
        let last = state.last.as_ref();
        TaskStatus {
            name: self.task.name,
            does: self.task.does,
            schedule: self.task.schedule.to_string(),
            running: state.running,
            last_run_at: last.map(|run| run.at),
            last_duration_ms: last.map(|run| run.took.as_secs_f64() * 1e3),
            last_ok: last.map(|run| run.outcome.is_ok()),
            last_result: last.map(|run| match &run.outcome {
                Ok(text) | Err(text) => text.clone(),
            }),
            next_run_at: state.next.map(|due| due.shown(clock)),
            late: state.next.map_or(Duration::ZERO, |due| due.late(clock)),
            runs: state.runs,
            failures: state.failures,
        }
    }
}

impl Due {
    fn new(at: Timestamp, clock: &Clock) -> Self {
        Self { at, passed: clock.monotonic() + at.since(clock.now()) }
    }

    fn late(self, clock: &Clock) -> Duration {
        clock.monotonic().saturating_sub(self.passed)
    }

    /// The moment by the clock as it is set now.
    fn shown(self, clock: &Clock) -> Timestamp {
        let left = self.passed.saturating_sub(clock.monotonic());
        let by_time_passed = clock.now() + left - self.late(clock);
        let was_set = by_time_passed.since(self.at).max(self.at.since(by_time_passed)) > CLOCK_SLACK;
        if was_set { by_time_passed } else { self.at }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::engine::Schedule;
    use crate::store::{Options, Topic};

    const TOPIC: Topic = Topic("things");
    const OTHER: Topic = Topic("other things");

    struct House {
        _folder: tempfile::TempDir,
        store: Store,
        clock: Clock,
        tracker: TaskTracker,
        stop: CancellationToken,
    }

    fn house() -> House {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
        let clock = Clock::manual(Timestamp::from_secs(1_000_000));
        House { _folder: folder, store, clock, tracker: TaskTracker::new(), stop: CancellationToken::new() }
    }

    /// Waits until the driver has set the next run after this many runs.
    async fn settled(engine: &Engine, runs: u64) {
        let is_settled = |status: &TaskStatus| status.runs == runs && status.next_run_at > status.last_run_at;
        while !is_settled(&engine.status()[0]) {
            tokio::task::yield_now().await;
        }
    }

    /// A task that tells each run through a channel.
    fn counting(runs: &Arc<AtomicUsize>, wake: Wake) -> (Task, tokio::sync::mpsc::UnboundedReceiver<usize>) {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        let runs = Arc::clone(runs);
        let task =
            Task::new("test.count", "counts", Schedule::Every(Duration::from_mins(1)), wake, move || {
                let run = runs.fetch_add(1, Ordering::SeqCst) + 1;
                let sender = sender.clone();
                async move {
                    sender.send(run)?;
                    Ok(Report::Did(format!("run {run}")))
                }
            });
        (task, receiver)
    }

    #[tokio::test]
    async fn a_task_runs_at_the_start_by_schedule_when_woken_and_when_asked() {
        let house = house();
        let (task, mut ran) = counting(&Arc::default(), Wake::OnCommit(&[OTHER, TOPIC]));
        let engine = Engine::new(house.store.clone(), house.clock.clone(), vec![task]);
        for (_, running) in engine.loops(&house.stop) {
            house.tracker.spawn(running);
        }
        assert_eq!(ran.recv().await, Some(1));
        settled(&engine, 1).await;
        house.clock.advance(Duration::from_mins(1));
        assert_eq!(ran.recv().await, Some(2));
        settled(&engine, 2).await;
        for (topic, run) in [(TOPIC, 3), (OTHER, 4)] {
            let touch = move |tx: &crate::store::WriteTx<'_>| -> Result<(), Error> {
                tx.touch(topic);
                Ok(())
            };
            house.store.write("touch", touch).await.unwrap();
            assert_eq!(ran.recv().await, Some(run));
        }
        assert!(engine.ask("test.count"));
        assert_eq!(ran.recv().await, Some(5));
        assert!(!engine.ask("no.such"));
        house.stop.cancel();
        house.tracker.close();
        house.tracker.wait().await;
        let status = &engine.status()[0];
        assert_eq!((status.runs, status.failures, status.last_ok), (5, 0, Some(true)));
        house.store.stop();
    }

    #[test]
    fn a_task_is_late_by_time_that_passed_whatever_the_clock_is_set_to() {
        let clock = Clock::manual(Timestamp::from_secs(1_000_000));
        let (minute, day) = (Duration::from_mins(1), Duration::from_hours(24));
        let due = Due::new(clock.now() + minute, &clock);
        assert_eq!((due.shown(&clock), due.late(&clock)), (clock.now() + minute, Duration::ZERO));
        clock.set(clock.now() + day);
        assert_eq!((due.shown(&clock), due.late(&clock)), (clock.now() + minute, Duration::ZERO));
        clock.advance(minute * 3);
        assert_eq!((due.shown(&clock), due.late(&clock)), (clock.now() - minute * 2, minute * 2));
        clock.set(clock.now() - day * 2);
        assert_eq!((due.shown(&clock), due.late(&clock)), (clock.now() - minute * 2, minute * 2));
    }

    #[tokio::test]
    async fn a_failure_is_told_and_the_next_run_is_the_retry() {
        let house = house();
        let failing = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&failing);
        let task = Task::new(
            "test.fail",
            "fails once",
            Schedule::Every(Duration::from_mins(1)),
            Wake::ScheduleOnly,
            move || {
                let run = count.fetch_add(1, Ordering::SeqCst);
                async move {
                    anyhow::ensure!(run > 0, "no luck");
                    Ok(Report::Idle)
                }
            },
        );
        let engine = Engine::new(house.store.clone(), house.clock.clone(), vec![task]);
        assert_eq!(engine.run_now("test.fail").await, Some(Err("no luck".to_owned())));
        assert_eq!(engine.status()[0].failures, 1);
        engine.run_now("test.fail").await;
        let status = &engine.status()[0];
        assert_eq!((status.runs, status.last_ok), (2, Some(true)), "with nothing to do the failure is over");
        let kept = engine.remember().await.unwrap();
        assert_eq!(kept.status()[0].last_ok, Some(true), "a restart does not bring it back");
        house.store.stop();
    }

    #[tokio::test]
    async fn a_fault_in_a_task_is_a_failed_run_and_nothing_more() {
        let house = house();
        let runs = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&runs);
        let every = Schedule::Every(Duration::from_mins(1));
        let task = Task::new("test.fault", "panics once", every, Wake::ScheduleOnly, move || {
            let run = count.fetch_add(1, Ordering::SeqCst);
            async move {
                assert!(run > 0, "a fault");
                Ok(Report::Idle)
            }
        });
        let engine = Engine::new(house.store.clone(), house.clock.clone(), vec![task]);
        for (_, running) in engine.loops(&house.stop) {
            house.tracker.spawn(running);
        }
        settled(&engine, 1).await;
        assert_eq!(engine.status()[0].last_result.as_deref(), Some("ended by a fault in the program"));
        house.clock.advance(Duration::from_mins(1));
        settled(&engine, 2).await;
        assert_eq!(engine.status()[0].failures, 1);
        house.stop.cancel();
        house.tracker.close();
        house.tracker.wait().await;
        house.store.stop();
    }

    #[tokio::test]
    async fn the_last_run_is_known_after_a_restart() {
        let house = house();
        let (task, _ran) = counting(&Arc::default(), Wake::ScheduleOnly);
        Engine::new(house.store.clone(), house.clock.clone(), vec![task.clone()]).run_now("test.count").await;
        let engine = Engine::new(house.store.clone(), house.clock.clone(), vec![task]);
        let engine = engine.remember().await.unwrap();
        let status = &engine.status()[0];
        assert_eq!(
            (status.last_run_at, status.last_ok, status.runs),
            (Some(house.clock.now()), Some(true), 0)
        );
        assert_eq!(status.last_result.as_deref(), Some("run 1"));
        house.store.stop();
    }

    #[tokio::test]
    async fn what_is_behind_goes_on_at_once_and_still_stops_when_it_is_told() {
        let house = house();
        let (sender, mut ran) = tokio::sync::mpsc::unbounded_channel();
        let every = Schedule::Every(Duration::from_hours(1));
        let task = Task::new("test.behind", "is behind", every, Wake::ScheduleOnly, move || {
            let sender = sender.clone();
            async move {
                sender.send(())?;
                tokio::task::yield_now().await;
                Ok(Report::More("some".to_owned()))
            }
        });
        let engine = Engine::new(house.store.clone(), house.clock.clone(), vec![task]);
        for (_, running) in engine.loops(&house.stop) {
            house.tracker.spawn(running);
        }
        // More than one run's turns, while the clock stands still.
        for _ in 0..=TURNS_MAX {
            ran.recv().await.unwrap();
        }
        house.stop.cancel();
        house.tracker.close();
        house.tracker.wait().await;
        house.store.stop();
    }

    #[tokio::test]
    async fn more_work_is_done_at_once_and_bounded() {
        let house = house();
        let runs = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&runs);
        let task = Task::new(
            "test.more",
            "never ends",
            Schedule::Every(Duration::from_mins(1)),
            Wake::ScheduleOnly,
            move || {
                count.fetch_add(1, Ordering::SeqCst);
                async { Ok(Report::More("some".to_owned())) }
            },
        );
        let engine = Engine::new(house.store.clone(), house.clock.clone(), vec![task]);
        engine.run_now("test.more").await;
        assert_eq!(runs.load(Ordering::SeqCst), TURNS_MAX);
        house.store.stop();
    }
}
