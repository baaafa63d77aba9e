//! The daily cleaning: one kind of thing after the other, in small steps that leave the writer to others as long as each
//! took. A run is bounded in time; the next one goes on at once where it ended, and at the end all that went is told.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::app::retention::rest;
use crate::base::Clock;
use crate::config;
use crate::engine::Report;
use crate::store::{Error, ReadTx, Store, WriteTx};
use crate::webhooks::retention::{
    self as kept, Bounds, Found, STEP_ROWS, forget_keys, forget_payloads, forget_points, forget_requests,
};
use crate::webhooks::{removed, replays};

/// What the task works with. Its runs share how far it is.
#[derive(Clone)]
pub(super) struct Cleaning {
    store: Store,
    clock: Clock,
    kept: config::Webhooks,
    /// Forgotten with the process: the next one begins anew, and finds less.
    place: Arc<Mutex<Place>>,
}

/// What goes, in this order: a request only after its payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    /// What removed sources and destinations left behind.
    #[default]
    Removed,
    Payloads,
    /// Requests with their deliveries and attempts.
    Log,
    Keys,
    Points,
    Replays,
}

/// How far a cleaning is, and what went in it.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    kind: Kind,
    /// The last that was looked at.
    after: i64,
    gone: [usize; Kind::ALL.len()],
}

/// One step of a kind.
struct Step {
    gone: usize,
    /// From where it goes on; `None`: there is no more of it.
    next: Option<i64>,
}

/// Short enough to stop in.
const RUN_TIME: Duration = Duration::from_secs(1);
/// Pages draw no more than that.
const POINTS_KEPT: Duration = Duration::from_hours(90 * 24);

impl Cleaning {
    pub(super) fn new(store: Store, clock: Clock, kept: config::Webhooks) -> Self {
        Self { store, clock, kept, place: Arc::default() }
    }

    /// One run of `webhooks.clean`.
    pub(super) async fn run(self) -> anyhow::Result<Report> {
        let began = self.clock.monotonic();
        loop {
            let mut place = self.place();
            let stepped = Instant::now();
            let step = self.step(place.kind, place.after).await?;
            place.gone[place.kind.index()] += step.gone;
            if let Some(after) = step.next {
                place.after = after;
            } else if let Some(kind) = place.kind.next() {
                place = Place { kind, after: 0, ..place };
            } else {
                self.set_place(Place::default());
                return Ok(place.told().map_or(Report::Idle, Report::Did));
            }
            self.set_place(place);
            if self.clock.monotonic().saturating_sub(began) >= RUN_TIME {
                return Ok(Report::More(place.told().unwrap_or_else(|| "looking".to_owned())));
            }
            if step.gone > 0 {
                rest(stepped).await;
            }
        }
    }

    async fn step(&self, kind: Kind, after: i64) -> Result<Step, Error> {
        let now = self.clock.now();
        let whole = |gone: usize| Step { gone, next: (gone > 0).then_some(0) };
        match kind {
            Kind::Removed => self.write(|tx| removed::purge(tx, STEP_ROWS)).await.map(whole),
            Kind::Payloads => {
                let bounds = Bounds { before: now - self.kept.payload_age, dead_before: None };
                let find = move |tx: &ReadTx<'_>| kept::find_payloads(tx, &bounds, after);
                self.found(find, move |tx, ids| forget_payloads(tx, &bounds, ids)).await
            }
            Kind::Log => {
                let bounds = Bounds { before: now - self.kept.log_age, dead_before: None };
                let find = move |tx: &ReadTx<'_>| kept::find_requests(tx, &bounds, after);
                self.found(find, move |tx, ids| forget_requests(tx, &bounds, ids)).await
            }
            Kind::Keys => {
                let before = now - self.kept.key_age;
                let (gone, next) = self.write(move |tx| forget_keys(tx, before, after)).await?;
                Ok(Step { gone, next })
            }
            Kind::Points => self.write(move |tx| forget_points(tx, now - POINTS_KEPT)).await.map(whole),
            Kind::Replays => {
                let before = now - self.kept.log_age;
                self.write(move |tx| replays::purge(tx, before, STEP_ROWS)).await.map(whole)
            }
        }
    }

    /// Finds on a connection that only reads, and lets go of what was found.
    async fn found(
        &self,
        find: impl FnOnce(&ReadTx<'_>) -> Result<Found, Error> + Send + 'static,
        forget: impl FnOnce(&WriteTx<'_>, &[i64]) -> Result<usize, Error> + Send + 'static,
    ) -> Result<Step, Error> {
        let Found { requests, next } = self.store.read_reserved(find).await?;
        let gone = match requests.as_slice() {
            [] => 0,
            _ => self.write(move |tx| forget(tx, &requests)).await?,
        };
        Ok(Step { gone, next })
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&WriteTx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.store.write("webhooks.clean", work).await
    }

    fn place(&self) -> Place {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_place(&self, place: Place) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Removed, Self::Payloads, Self::Log, Self::Keys, Self::Points, Self::Replays];

    const fn index(self) -> usize {
        self as usize
    }

    fn next(self) -> Option<Self> {
        Self::ALL.get(self.index() + 1).copied()
    }

    /// What its rows are called.
    const fn rows(self) -> &'static str {
        match self {
            Self::Removed => "rows of what was removed",
            Self::Payloads => "payloads",
            Self::Log => "rows of the log",
            Self::Keys => "ids of events",
            Self::Points => "points of plots",
            Self::Replays => "replays",
        }
    }
}

impl Place {
    /// What went so far, in words; `None`: nothing.
    fn told(&self) -> Option<String> {
        let counted = Kind::ALL.into_iter().zip(self.gone).filter(|(_, gone)| *gone > 0);
        let told: Vec<String> = counted.map(|(kind, gone)| format!("{gone} {}", kind.rows())).collect();
        (!told.is_empty()).then(|| told.join(", "))
    }
}
