//! The loop that asks. One future drives everything: what is due, what is under way, and what is to be written.
//!
//! A bad reading counts only after it is known to be the target's fault: where a lost uplink would look the same, the
//! canaries are asked; then what it depends on. Nothing here waits for the database: verdicts are made in memory and
//! written behind.
//!
//! In reading order: `answer` is what one run came to, `subject` one probe and what a reading makes of it; `wheel` says
//! who is asked when, `definitions` what is asked at all, `unheard` which reports are to be read again; `blame` asks the
//! `uplink` and the parents whose fault a bad reading is; `keeper` and `flush` write it down; `sight` knows when tocsin
//! itself could not see, `lag` how late it is.

mod answer;
mod subject;
mod wheel;

mod definitions;
mod unheard;

mod blame;
mod uplink;

mod flush;
mod keeper;

mod lag;
mod sight;

#[cfg(test)]
mod tests;

pub use answer::CERT_EXPIRES_AT;
pub(super) use answer::{Run, written};
pub use lag::Observed;
pub use sight::{Sight, TOLD_FROM};
pub(super) use unheard::Unheard;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::clients::Asker;
use crate::base::{ProjectId, Timestamp};
use crate::config::Network;
use crate::probes::judge::Reading;
use crate::probes::pushed::Stored;
use crate::probes::seen::Seen;
use crate::probes::standing::Above;
use crate::probes::{Board, Error, PROBES, ProbeId, Probes};
use crate::store::{self, Store};
use definitions::{Haste, Loaded, Loads};
use keeper::{Batch, Keeper};
use sight::Gap;
use subject::{Reports, Subject};
use uplink::Uplink;
use wheel::{Wheel, next_place};

/// Whether planned work covers a probe, by its project and the key of its signals. Asked at each reading: from memory.
pub type Covers = Arc<dyn Fn(ProjectId, &str) -> bool + Send + Sync>;

/// How the loop asks.
#[derive(Clone)]
pub struct Settings {
    /// Probes under way at once; the rest waits its turn.
    pub concurrency: usize,
    /// What a probe that was made on the page may reach beside the public internet.
    pub private_targets: Arc<[Network]>,
    /// `host:port`; none: a lost uplink is not told from a lost target.
    pub canaries: Arc<[String]>,
    pub covers: Covers,
    pub sight: Sight,
}

/// What the loop works with.
pub struct Parts {
    pub store: Store,
    pub asker: Asker,
    pub probes: Probes,
    pub board: Board,
    pub observed: Observed,
    pub settings: Settings,
    pub reports: mpsc::Receiver<Stored>,
    pub unheard: Unheard,
}

/// The loop; [`Loop::run`] drives it.
pub struct Loop {
    parts: Parts,
    subjects: HashMap<ProbeId, Subject>,
    /// Who depends on a probe.
    children: HashMap<ProbeId, Vec<ProbeId>>,
    wheel: Wheel,
    flying: FuturesUnordered<Pin<Box<dyn Future<Output = Event> + Send>>>,
    asking: usize,
    /// Runs that wait to hear how what they depend on is.
    held: BTreeMap<ProbeId, Held>,
    /// Runs that wait for the canaries.
    doubted: Vec<(ProbeId, Run)>,
    uplink: Uplink,
    is_blind: bool,
    /// Since when it is, where nobody was told of it yet.
    untold: Option<Timestamp>,
    /// The last time in which tocsin did not run: what was under way meanwhile proves nothing.
    gap: Option<Gap>,
    /// What began before this was under way while the uplink was gone. Monotonic.
    sees_since: Duration,
    keeper: Keeper,
    todo: VecDeque<Settled>,
    definitions: watch::Receiver<u64>,
    loads: Loads,
    flushed: Flushed,
}

/// A run whose blame depends on others.
struct Held {
    run: Run,
    parents: BTreeSet<ProbeId>,
}

/// Where the round of writing points stands.
#[derive(Default)]
struct Flushed {
    after: ProbeId,
    next: Duration,
}

/// Something that was waited for.
enum Event {
    Asked(Asked),
    /// When they were asked, and whether one answered.
    Canaries(Duration, bool),
    Loaded(Box<Result<Loaded, store::Error>>),
    /// The end of a pause was written, or could not be.
    Resumed(ProbeId, Result<(), Error>),
    Wrote(Box<Batch>, Result<(), store::Error>),
    /// That the canaries answered was written, or could not be.
    Noted(Result<(), store::Error>),
    /// Something that needs no answer was done.
    Idle,
}

/// An answer, by the definition of which version it was asked for, and when, by both clocks.
struct Asked {
    id: ProbeId,
    version: i64,
    at: Timestamp,
    began: Duration,
    seen: Box<Seen>,
}

/// A run of which it is known whose fault it is.
struct Settled {
    id: ProbeId,
    run: Run,
    blame: Blame,
}

/// What a reading says of its probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blame {
    Counts,
    /// What it depends on is down.
    Unreachable,
}

/// How often the loop looks whether it ran at all, and whether something is due that has no time of its own.
const TICK: Duration = Duration::from_millis(500);
/// At the stop: what is still to be written has this long.
const STOP_TIME: Duration = Duration::from_secs(5);

impl Loop {
    pub fn new(parts: Parts) -> Self {
        Self {
            definitions: parts.store.changes(PROBES),
            subjects: HashMap::new(),
            children: HashMap::new(),
            wheel: Wheel::default(),
            flying: FuturesUnordered::new(),
            asking: 0,
            held: BTreeMap::new(),
            doubted: Vec::new(),
            uplink: Uplink::default(),
            is_blind: false,
            untold: None,
            gap: None,
            sees_since: Duration::ZERO,
            keeper: Keeper::default(),
            todo: VecDeque::new(),
            loads: Loads::default(),
            flushed: Flushed::default(),
            parts,
        }
    }

    /// Asks until `stop`; then writes what is still to be written.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.load();
        loop {
            self.turn();
            let clock = self.parts.asker.clock.clone();
            let wait = self.next_due().map(|at| at.saturating_sub(clock.monotonic()));
            let due = async {
                match wait {
                    Some(wait) => clock.sleep_until(clock.now() + wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                Some(event) = self.flying.next() => self.take(event),
                _ = tick.tick() => {}
                Ok(()) = self.definitions.changed() => self.load(),
                Some(report) = self.parts.reports.recv() => self.reported(&report),
                () = due => {}
            }
            self.work_off();
        }
        self.finish().await;
    }

    /// Everything that needs nobody's answer.
    fn turn(&mut self) {
        self.look(Instant::now());
        self.work_off();
        self.hear_reports();
        self.hear_again();
        self.look_out();
        self.begin_due();
        self.write();
        self.parts.observed.state(self.asking, self.keeper.waiting());
    }

    fn now(&self) -> Duration {
        self.parts.asker.clock.monotonic()
    }

    /// When something is due: a probe, as far as more may be under way, or a write.
    fn next_due(&self) -> Option<Duration> {
        let probe = self.wheel.next().filter(|_| self.asking < self.parts.settings.concurrency);
        [probe, self.keeper.wants_at()].into_iter().flatten().min()
    }

    fn begin_due(&mut self) {
        let now = self.now();
        while self.asking < self.parts.settings.concurrency
            && let Some((id, due)) = self.wheel.pop_due(now)
        {
            self.begin(id, due, now);
        }
        self.flush(now);
    }

    /// What was reported already is no silence, however late the loop is.
    fn hear_reports(&mut self) {
        for _ in 0..self.parts.reports.len() {
            let Ok(report) = self.parts.reports.try_recv() else { break };
            self.reported(&report);
            self.work_off();
        }
    }

    fn begin(&mut self, id: ProbeId, due: Duration, now: Duration) {
        let Some(subject) = self.subjects.get_mut(&id) else { return };
        let at = self.parts.asker.clock.now();
        if let Some(paused) = &subject.probe.paused {
            let until = paused.until;
            return self.wait_for_end(id, until);
        }
        if subject.is_busy {
            return;
        }
        let Some(question) = subject.question.clone() else { return self.missed(id, at, now) };
        subject.is_busy = true;
        self.asking += 1;
        self.parts.observed.began(now.saturating_sub(due));
        let (asker, version) = (self.parts.asker.clone(), subject.probe.version);
        self.flying.push(Box::pin(async move {
            let seen = Box::new(asker.ask(&question).await);
            Event::Asked(Asked { id, version, at, began: now, seen })
        }));
    }

    /// Takes in what was waited for. First of all: did tocsin run meanwhile?
    fn take(&mut self, event: Event) {
        self.look(Instant::now());
        match event {
            Event::Asked(asked) => {
                self.asking -= 1;
                self.asked(asked);
            }
            Event::Canaries(began, works) => self.heard_canaries(began, works),
            Event::Loaded(loaded) => self.loaded(*loaded),
            Event::Resumed(id, result) => self.resumed(id, result),
            Event::Noted(Ok(())) | Event::Idle => {}
            Event::Noted(Err(error)) => {
                tracing::warn!(%error, "that the canaries answer could not be noted; it is when they do again");
                self.uplink.was_not_noted();
            }
            Event::Wrote(batch, result) => {
                let now = self.now();
                self.keeper.wrote(*batch, result, now);
            }
        }
    }

    /// What was asked by another definition proves nothing of this one, which waited for the end of it.
    fn asked(&mut self, asked: Asked) {
        let Asked { id, version, at, began, seen } = asked;
        let Some(subject) = self.subjects.get_mut(&id) else { return };
        if subject.probe.version == version {
            let run = Run::of(&subject.checked, at, began, *seen);
            return self.judge(id, run);
        }
        subject.is_busy = false;
        self.plan_first(id, Haste::Now);
    }

    fn work_off(&mut self) {
        while let Some(Settled { id, run, blame }) = self.todo.pop_front() {
            self.settle(id, &run, blame);
        }
    }

    /// Lets a reading count, tells who waited for it, and plans the next one.
    fn settle(&mut self, id: ProbeId, run: &Run, blame: Blame) {
        let Some(subject) = self.subjects.get_mut(&id) else { return };
        subject.is_busy = false;
        if subject.probe.paused.is_some() {
            return self.release_all(id);
        }
        let was_down = subject.is_down();
        let covered = (self.parts.settings.covers)(subject.probe.project, &id.signal_key());
        let above = Above { paused: false, covered, unreachable: blame == Blame::Unreachable };
        if let Some(recording) = subject.read(run, above) {
            self.keeper.record(recording);
        }
        self.plan(id, Some(run));
        self.tell_children(id, run, was_down);
    }

    /// Plans the next run, and shows how the probe is.
    fn plan(&mut self, id: ProbeId, run: Option<&Run>) {
        let now = self.parts.asker.clock.monotonic();
        let Some(subject) = self.subjects.get(&id) else { return };
        let policy = subject.definition().policy;
        let pause = subject.memory.judge.pause(&policy);
        let is_missed =
            subject.reports == Reports::Missed && run.is_some_and(|run| run.reading == Reading::Bad);
        let at = if subject.question.is_none() && !is_missed {
            // Whatever the last report said, the next has as long as the sender's clock and the way take.
            now + policy.interval + policy.timeout
        } else if pause < policy.interval && !subject.is_unreachable && !self.is_blind {
            now + pause
        } else {
            next_place(id, policy.interval, now)
        };
        self.wheel.set(id, at);
        let next_at = self.parts.asker.clock.now() + at.saturating_sub(now);
        self.parts.board.put(subject.live(run, Some(next_at)));
    }

    fn write(&mut self) {
        let now = self.now();
        let Some(batch) = self.keeper.take(now) else { return };
        let (store, clock) = (self.parts.store.clone(), self.parts.asker.clock.clone());
        let incidents = Arc::clone(&self.parts.probes.incidents);
        self.flying.push(Box::pin(async move {
            let result = batch.write(&store, &incidents, &clock).await;
            Event::Wrote(Box::new(batch), result)
        }));
    }

    /// What is under way is given up; what was seen is written.
    async fn finish(mut self) {
        self.parts.settings.sight.no_more_turns();
        let ids: Vec<ProbeId> = self.subjects.keys().copied().collect();
        for id in ids {
            self.bundle(id);
        }
        let writing = async {
            // A batch that is under way comes first, so that none is written twice at once.
            while self.keeper.is_writing()
                && let Some(event) = self.flying.next().await
            {
                if matches!(event, Event::Wrote(..)) {
                    self.take(event);
                }
            }
            let clock = self.parts.asker.clock.clone();
            while let Some(batch) = self.keeper.take(Duration::MAX) {
                let incidents = Arc::clone(&self.parts.probes.incidents);
                let result = batch.write(&self.parts.store, &incidents, &clock).await;
                let failed = result.is_err();
                self.keeper.wrote(batch, result, Duration::ZERO);
                if failed {
                    tokio::time::sleep(TICK).await;
                }
            }
        };
        if tokio::time::timeout(STOP_TIME, writing).await.is_err() {
            tracing::warn!("the last readings of probes could not be written");
        }
    }
}
