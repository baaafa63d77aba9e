//! The two tasks that let go of things: what is past its age, and what the byte budget has no room for.
//!
//! Both go in small steps and rest after each as long as it took, so that intake has the writer for half of the
//! time at least. A run is bounded in time, not in rows; while there is more, the next one follows at once.

mod shelves;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::accounts::{self, audit};
use crate::base::{Clock, Timestamp};
use crate::config::Retention;
use crate::engine::Report;
use crate::health::own::OwnHealth;
use crate::health::services;
use crate::heartbeats::retention::{
    RUNS_KEPT_LEAST, RUNS_KEPT_MIN, find_old_runs, forget_runs, purge_changes,
};
use crate::incidents::Incidents;
use crate::issues::dictionaries::{find_unused, forget_unused, retire};
use crate::issues::error_rate::purge_rates;
use crate::issues::ids::{Entry, RecentIds};
use crate::issues::retention::{
    Cut, Mark, STEP_ROWS, evict, evict_these, find_busy, find_forgotten, forget_hours, forget_issues,
};
use crate::probes::{self, points};
use crate::status_page::posts;
use crate::store::{Error, ReadTx, Store, WriteTx};
use crate::webhooks::retention::{
    Bounds, Found, find_payloads, find_requests, forget_payloads, forget_points, forget_requests,
};
use crate::{heartbeats, incidents, ledger, metrics, releases, vigil, webhooks};
use shelves::{AGED, OVER_BUDGET, Shelf};

/// What the two tasks work with.
#[derive(Clone)]
pub(super) struct LettingGo {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) incidents: Arc<Incidents>,
    pub(super) recent: RecentIds,
    pub(super) own: Arc<OwnHealth>,
    pub(super) retention: Retention,
    /// Where the search for payloads of busy issues goes on in the next run: a run alone may not come to the end of
    /// it. Forgotten with the process, as nothing hangs on it.
    pub(super) search: Arc<Mutex<Mark>>,
    pub(super) search_time: Duration,
}

/// Short enough to stop in.
const RUN_TIME: Duration = Duration::from_secs(1);
/// How long one step looks for payloads of busy issues before other things get their turn.
pub(super) const SEARCH_TIME: Duration = Duration::from_millis(500);
/// However little room there is, what died stays so long: nobody else has it any more.
const DEAD_WEBHOOKS_KEPT: Duration = Duration::from_hours(30 * 24);
const REST_MIN: Duration = Duration::from_millis(1);
const REST_MAX: Duration = Duration::from_millis(200);
/// With an incident go its witnesses, timeline and messages.
const STEP_INCIDENTS: u32 = 10;
/// What the write-ahead log may take at most, apart from moments in which a long reader holds it.
const LOG_BYTES: u64 = 140_000_000;
/// Letting go begins at this share of the room, so that there is always some; in hundredths.
const FULL_PERCENT: u64 = 95;

/// Pages given back in one step.
const VACUUM_PAGES: u32 = 64;
/// Free pages that stay, as a share of the file: they are soon used again.
const SPARE_SHARE: u64 = 20;
const SPARE_PAGES_MIN: u64 = 256;

const OVER: &str = "over the byte budget: intake rests while room is made";
const STUCK: &str =
    "over the byte budget, and nothing is left to let go of: intake rests until retention.max_gb is raised";

impl LettingGo {
    /// One run of `retention.age`.
    pub(super) async fn age(self) -> anyhow::Result<Report> {
        let mut run = Run::new(&self, Cut::Before(self.clock.now() - self.retention.age));
        for shelf in AGED {
            while run.step(shelf, self.clock.now() - shelf.age(&self.retention)).await? > 0 {
                if run.is_over() {
                    return Ok(Report::More(run.told("past their age")));
                }
            }
        }
        Ok(if run.rows == 0 { Report::Idle } else { Report::Did(run.told("past their age")) })
    }

    /// One run of `retention.bytes`.
    pub(super) async fn bytes(self) -> anyhow::Result<Report> {
        let mut run = Run::new(&self, Cut::OverBudget);
        for (shelf, kept) in OVER_BUDGET {
            while self.is_filling().await? {
                // Not before something was let go of: else the next run would come no further.
                if run.rows > 0 && (run.is_over() || run.spares(shelf)) {
                    return Ok(Report::More(run.told("over the budget")));
                }
                if run.step(shelf, self.clock.now() - kept).await? == 0 {
                    break;
                }
            }
        }
        self.is_filling().await?;
        Ok(match (self.own.is_over_budget(), run.rows) {
            (true, _) => Report::Did(STUCK.to_owned()),
            (false, 0) => Report::Idle,
            (false, _) => Report::Did(run.told("over the budget")),
        })
    }

    /// Whether it is time to let go of something. Above the budget itself intake rests.
    async fn is_filling(&self) -> Result<bool, Error> {
        let room = self.retention.bytes_max.saturating_sub(LOG_BYTES);
        let used = self.used().await?;
        let is_over = used > room;
        if is_over && !self.own.is_over_budget() {
            tracing::error!("{OVER}");
        }
        self.own.set_over_budget(is_over);
        Ok(used > room / 100 * FULL_PERCENT)
    }

    /// One run of `store.give_back`: what is free beyond a small rest goes back to the file system.
    pub(super) async fn give_back(self) -> anyhow::Result<Report> {
        let began = Instant::now();
        let mut given: u64 = 0;
        loop {
            let pages = self.store.read_reserved(pages).await?;
            if pages.free <= (pages.all / SPARE_SHARE).max(SPARE_PAGES_MIN) {
                return Ok(if given == 0 {
                    Report::Idle
                } else {
                    Report::Did(format!("{given} pages given back"))
                });
            }
            if began.elapsed() >= RUN_TIME {
                return Ok(Report::More(format!("{given} pages given back")));
            }
            let stepped = Instant::now();
            self.store.write("store.give_back", vacuum).await?;
            given += u64::from(VACUUM_PAGES);
            rest(stepped).await;
        }
    }

    fn mark(&self) -> Mark {
        *self.search.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_mark(&self, mark: Mark) {
        *self.search.lock().unwrap_or_else(PoisonError::into_inner) = mark;
    }

    /// Bytes of the database that hold something: what is free is used again or given back.
    async fn used(&self) -> Result<u64, Error> {
        let pages = self.store.read_reserved(pages).await?;
        Ok(pages.bytes(pages.all - pages.free))
    }
}

/// One run of a task: what it did and until when it may go on.
struct Run<'a> {
    with: &'a LettingGo,
    cut: Cut,
    /// By the clock's monotonic time.
    began: Duration,
    rows: usize,
    /// The search for busy payloads did not come to its end.
    is_searching: bool,
    /// Of requests of webhooks, where the search goes on: those before it must stay.
    requests_from: Option<(Shelf, i64)>,
}

impl<'a> Run<'a> {
    fn new(with: &'a LettingGo, cut: Cut) -> Self {
        Self { with, cut, began: with.clock.monotonic(), rows: 0, is_searching: false, requests_from: None }
    }

    fn is_over(&self) -> bool {
        self.with.clock.monotonic().saturating_sub(self.began) >= RUN_TIME
    }

    /// Payloads that may be the only ones of their issue go one step a run while busy issues may have others.
    fn spares(&self, shelf: Shelf) -> bool {
        self.is_searching && shelf == Shelf::Payloads
    }

    fn told(&self, why: &str) -> String {
        format!("{} rows {why}", self.rows)
    }

    /// Takes one step of a kind, then rests. Answers how many rows; none: there are no more before `before`.
    async fn step(&mut self, shelf: Shelf, before: Timestamp) -> anyhow::Result<usize> {
        let began = Instant::now();
        let rows = match shelf {
            Shelf::BusyPayloads => self.busy_payloads().await?,
            Shelf::Payloads => self.payloads().await?,
            Shelf::Dictionaries => self.dictionaries(before).await?,
            Shelf::Issues => self.issues(before).await?,
            Shelf::Runs => self.runs(before, RUNS_KEPT_MIN).await?,
            Shelf::LastRuns => self.runs(before, RUNS_KEPT_LEAST).await?,
            Shelf::WebhookPayloads | Shelf::WebhookLog => self.requests(shelf, before).await?,
            _ => self.rows(shelf, before).await?,
        };
        self.rows += rows;
        if rows > 0 {
            rest(began).await;
        }
        Ok(rows)
    }

    async fn payloads(&self) -> Result<usize, Error> {
        let (now, cut) = (self.with.clock.now(), self.cut);
        let evicted = self.with.store.write("retention", move |tx| evict(tx, now, cut)).await?;
        Ok(self.forget(&evicted))
    }

    /// Goes on until a search found something, everything was looked at, or others must have their turn.
    async fn busy_payloads(&mut self) -> Result<usize, Error> {
        let began = self.with.clock.monotonic();
        let mut from = self.with.mark();
        // What was evicted and what came since may lie before the mark.
        let mut is_whole = from == Mark::default();
        self.is_searching = true;
        loop {
            let busy = self.with.store.read_reserved(move |tx| find_busy(tx, from)).await?;
            let is_end = busy.next.is_none();
            from = busy.next.unwrap_or_default();
            self.with.set_mark(from);
            if !busy.seqs.is_empty() {
                let now = self.with.clock.now();
                let write = self.with.store.write("retention", move |tx| evict_these(tx, now, &busy.seqs));
                return Ok(self.forget(&write.await?));
            }
            if is_end && is_whole {
                self.is_searching = false;
                return Ok(0);
            }
            is_whole |= is_end;
            if self.with.clock.monotonic().saturating_sub(began) >= self.with.search_time {
                return Ok(0);
            }
            // Intake must not go on unseen meanwhile.
            self.with.is_filling().await?;
        }
    }

    async fn dictionaries(&self, before: Timestamp) -> Result<usize, Error> {
        let now = self.with.clock.now();
        let unused = self.with.store.read_reserved(move |tx| find_unused(tx, before)).await?;
        let write = self.with.store.write("retention", move |tx| {
            Ok::<_, Error>(retire(tx, now, before)? + forget_unused(tx, &unused)?)
        });
        write.await
    }

    async fn issues(&self, before: Timestamp) -> Result<usize, Error> {
        let found = self.with.store.read_reserved(move |tx| find_forgotten(tx, before)).await?;
        if found.is_empty() {
            return Ok(0);
        }
        self.with.store.write("retention", move |tx| forget_issues(tx, before, &found)).await
    }

    async fn runs(&self, before: Timestamp, kept: u32) -> Result<usize, Error> {
        let find = move |tx: &ReadTx<'_>| find_old_runs(tx, before, kept, STEP_ROWS);
        let found = self.with.store.read_reserved(find).await?;
        if found.is_empty() {
            return Ok(0);
        }
        self.with.store.write("retention", move |tx| forget_runs(tx, &found)).await
    }

    /// Of requests of webhooks that are done, and of those that have been dead for long.
    async fn requests(&mut self, shelf: Shelf, before: Timestamp) -> Result<usize, Error> {
        let dead_before = Some(before.min(self.with.clock.now() - DEAD_WEBHOOKS_KEPT));
        let bounds = Bounds { before, dead_before };
        let is_payloads = shelf == Shelf::WebhookPayloads;
        let mut from = self.requests_from.filter(|(of, _)| *of == shelf).map_or(0, |(_, from)| from);
        loop {
            let find = move |tx: &ReadTx<'_>| {
                if is_payloads { find_payloads(tx, &bounds, from) } else { find_requests(tx, &bounds, from) }
            };
            let Found { requests, next } = self.with.store.read_reserved(find).await?;
            let gone = if requests.is_empty() {
                0
            } else {
                let write = move |tx: &WriteTx<'_>| {
                    let forget = if is_payloads { forget_payloads } else { forget_requests };
                    forget(tx, &bounds, &requests)
                };
                self.with.store.write("retention", write).await?
            };
            from = next.unwrap_or(0);
            self.requests_from = Some((shelf, from));
            if gone > 0 || next.is_none() {
                return Ok(gone);
            }
        }
    }

    async fn rows(&self, shelf: Shelf, before: Timestamp) -> Result<usize, LettingGoError> {
        let (now, incidents) = (self.with.clock.now(), Arc::clone(&self.with.incidents));
        let write = self.with.store.write("retention", move |tx| {
            Ok::<_, LettingGoError>(match shelf {
                Shelf::Removed => purge_removed(tx)?,
                Shelf::Points => metrics::purge(tx, before, STEP_ROWS)?,
                Shelf::SlowMarks => metrics::purge_slow(tx, now, STEP_ROWS)?,
                Shelf::Hours => forget_hours(tx, before)?,
                Shelf::Rates => purge_rates(tx, now, STEP_ROWS)?,
                Shelf::HeartbeatChanges => purge_changes(tx, before, STEP_ROWS)?,
                Shelf::Deploys => releases::purge(tx, before, STEP_ROWS)?,
                Shelf::Incidents => incidents.purge(tx, before, STEP_INCIDENTS)?,
                Shelf::Ledger => ledger::purge(tx, before, STEP_ROWS)?,
                Shelf::Silences => incidents::silences::purge(tx, before, STEP_ROWS)?,
                Shelf::Maintenances => incidents::maintenance::purge(tx, before, STEP_ROWS)?,
                Shelf::ServiceChanges => services::purge(tx, before, STEP_ROWS)?,
                Shelf::StatusPosts => posts::purge(tx, before, STEP_ROWS)?,
                Shelf::Audit => audit::purge(tx, before, STEP_ROWS)?,
                Shelf::ProbePoints => points::purge(tx, before, STEP_ROWS)?,
                Shelf::ProbeHours => points::purge_hours(tx, before, STEP_ROWS)?,
                Shelf::ProbeChanges => points::purge_changes(tx, before, STEP_ROWS)?,
                Shelf::Spells => vigil::purge(tx, before, STEP_ROWS)?,
                Shelf::WebhookPoints => forget_points(tx, before)?,
                Shelf::Payloads
                | Shelf::BusyPayloads
                | Shelf::Dictionaries
                | Shelf::Issues
                | Shelf::Runs
                | Shelf::LastRuns
                | Shelf::WebhookPayloads
                | Shelf::WebhookLog => 0,
            })
        });
        write.await
    }

    fn forget(&self, evicted: &[Entry]) -> usize {
        self.with.recent.forget(evicted);
        evicted.len()
    }
}

fn purge_removed(tx: &WriteTx<'_>) -> Result<usize, Error> {
    Ok(heartbeats::removed::purge(tx, STEP_ROWS)?
        + probes::removed::purge(tx, STEP_ROWS)?
        + services::purge_removed(tx, STEP_ROWS)?
        + webhooks::removed::purge(tx, STEP_ROWS)?)
}

/// Leaves the writer to others for as long as the step since `began` took.
pub(super) async fn rest(began: Instant) {
    tokio::time::sleep(began.elapsed().clamp(REST_MIN, REST_MAX)).await;
}

fn vacuum(tx: &WriteTx<'_>) -> Result<(), Error> {
    let mut statement = tx.connection().prepare(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

/// What a step may say.
#[derive(Debug, thiserror::Error)]
enum LettingGoError {
    #[error(transparent)]
    Store(#[from] Error),
    #[error(transparent)]
    Accounts(#[from] accounts::Error),
    #[error(transparent)]
    Incidents(#[from] incidents::Error),
}

/// Pages of the database's file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pages {
    pub(super) all: u64,
    pub(super) free: u64,
    size: u64,
}

impl Pages {
    const fn bytes(self, pages: u64) -> u64 {
        pages.saturating_mul(self.size)
    }
}

pub(super) fn pages(tx: &ReadTx<'_>) -> Result<Pages, Error> {
    tx.one(
        "SELECT (SELECT page_count FROM pragma_page_count), (SELECT freelist_count FROM pragma_freelist_count),
             (SELECT page_size FROM pragma_page_size)",
        [],
        |row| Ok(Pages { all: unsigned(row.get(0)?), free: unsigned(row.get(1)?), size: unsigned(row.get(2)?) }),
    )
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

#[cfg(test)]
mod tests;
