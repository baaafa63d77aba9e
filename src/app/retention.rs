//! The two tasks that let go of things: what is past its age, and what the byte budget has no room for.
//!
//! Both go in small steps and rest after each as long as it took, so that intake has the writer for half of the
//! time at least. A run is bounded in time, not in rows; while there is more, the next one follows at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::accounts::{self, audit};
use crate::base::{Clock, Timestamp};
use crate::config::Retention;
use crate::engine::Report;
use crate::health::own::OwnHealth;
use crate::incidents::Incidents;
use crate::issues::dictionaries::{find_unused, forget_unused, retire};
use crate::issues::evaluate::purge_rates;
use crate::issues::ids::{Entry, RecentIds};
use crate::issues::retention::{
    Cut, Mark, STEP_ROWS, evict, evict_these, find_busy, find_forgotten, forget_hours, forget_issues,
};
use crate::store::{Error, ReadTx, Store, WriteTx};
use crate::{incidents, ledger, metrics, releases};

/// What the two tasks work with.
#[derive(Clone)]
pub(super) struct LettingGo {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) incidents: Arc<Incidents>,
    pub(super) recent: RecentIds,
    pub(super) own: Arc<OwnHealth>,
    pub(super) retention: Retention,
}

/// Short enough to stop in.
const RUN_TIME: Duration = Duration::from_secs(1);
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

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

const OVER: &str =
    "over the byte budget, and nothing is left to let go of: intake rests until retention.max_gb is raised";

/// A kind of thing that can be let go of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shelf {
    /// Payloads, whatever their issue.
    Payloads,
    /// Payloads of issues that keep others.
    BusyPayloads,
    /// What payloads are compressed against.
    Dictionaries,
    Points,
    SlowMarks,
    Hours,
    Rates,
    /// Issues without a payload.
    Issues,
    Deploys,
    /// Closed ones, with their messages.
    Incidents,
    Ledger,
    Audit,
}

/// What goes for its age, in this order: dictionaries after payloads, an issue only after its payloads and hours.
const AGED: [Shelf; 11] = [
    Shelf::Payloads,
    Shelf::Dictionaries,
    Shelf::Hours,
    Shelf::Issues,
    Shelf::Points,
    Shelf::SlowMarks,
    Shelf::Rates,
    Shelf::Deploys,
    Shelf::Incidents,
    Shelf::Ledger,
    Shelf::Audit,
];

/// What goes for want of room, and what of it stays for now: first what there is most of, last what there is only
/// one of, and of everything the newest last.
const OVER_BUDGET: [(Shelf, Duration); 9] = [
    (Shelf::BusyPayloads, Duration::ZERO),
    (Shelf::Points, DAY),
    (Shelf::Hours, Duration::from_hours(48)),
    (Shelf::Incidents, Duration::from_hours(7 * 24)),
    (Shelf::Ledger, Duration::from_hours(30 * 24)),
    (Shelf::Points, HOUR),
    (Shelf::Payloads, Duration::ZERO),
    (Shelf::Issues, DAY),
    (Shelf::Points, Duration::ZERO),
];

impl LettingGo {
    /// One run of `retention.age`.
    pub(super) async fn age(self) -> anyhow::Result<Report> {
        let mut run = Run::new(&self, Cut::Before(self.clock.now() - self.retention.age));
        for shelf in AGED {
            while run.step(shelf, self.too_old(shelf)).await? > 0 {
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
                if run.is_over() {
                    return Ok(Report::More(run.told("over the budget")));
                }
                if run.step(shelf, self.clock.now() - kept).await? == 0 {
                    break;
                }
            }
        }
        self.is_filling().await?;
        Ok(match (self.own.is_over_budget(), run.rows) {
            (true, _) => Report::Did(format!("{OVER}; nothing is left to let go of")),
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
            let pages = self.store.read(pages).await?;
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

    /// Before which moment things of this kind are too old.
    fn too_old(&self, shelf: Shelf) -> Timestamp {
        let age = if shelf == Shelf::Audit { self.retention.audit_age } else { self.retention.age };
        self.clock.now() - age
    }

    /// Bytes of the database that hold something: what is free is used again or given back.
    async fn used(&self) -> Result<u64, Error> {
        let pages = self.store.read(pages).await?;
        Ok(pages.bytes(pages.all - pages.free))
    }
}

/// One run of a task: what it did and until when it may go on.
struct Run<'a> {
    with: &'a LettingGo,
    cut: Cut,
    began: Instant,
    rows: usize,
    /// Where the search for busy payloads goes on.
    from: Option<Mark>,
}

impl<'a> Run<'a> {
    fn new(with: &'a LettingGo, cut: Cut) -> Self {
        Self { with, cut, began: Instant::now(), rows: 0, from: Some(Mark::default()) }
    }

    fn is_over(&self) -> bool {
        self.began.elapsed() >= RUN_TIME
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

    /// Goes on until a search found something or everything was looked at.
    async fn busy_payloads(&mut self) -> Result<usize, Error> {
        while let Some(from) = self.from {
            let busy = self.with.store.read(move |tx| find_busy(tx, from)).await?;
            self.from = busy.next;
            if busy.seqs.is_empty() {
                continue;
            }
            let now = self.with.clock.now();
            let evicted =
                self.with.store.write("retention", move |tx| evict_these(tx, now, &busy.seqs)).await?;
            return Ok(self.forget(&evicted));
        }
        Ok(0)
    }

    async fn dictionaries(&self, before: Timestamp) -> Result<usize, Error> {
        let now = self.with.clock.now();
        let unused = self.with.store.read(move |tx| find_unused(tx, before)).await?;
        let write = self.with.store.write("retention", move |tx| {
            Ok::<_, Error>(retire(tx, now, before)? + forget_unused(tx, &unused)?)
        });
        write.await
    }

    async fn issues(&self, before: Timestamp) -> Result<usize, Error> {
        let found = self.with.store.read(move |tx| find_forgotten(tx, before)).await?;
        if found.is_empty() {
            return Ok(0);
        }
        self.with.store.write("retention", move |tx| forget_issues(tx, before, &found)).await
    }

    async fn rows(&self, shelf: Shelf, before: Timestamp) -> Result<usize, LettingGoError> {
        let (now, incidents) = (self.with.clock.now(), Arc::clone(&self.with.incidents));
        let write = self.with.store.write("retention", move |tx| {
            Ok::<_, LettingGoError>(match shelf {
                Shelf::Points => metrics::purge(tx, before, STEP_ROWS)?,
                Shelf::SlowMarks => metrics::purge_slow(tx, now, STEP_ROWS)?,
                Shelf::Hours => forget_hours(tx, before)?,
                Shelf::Rates => purge_rates(tx, now, STEP_ROWS)?,
                Shelf::Deploys => releases::purge(tx, before, STEP_ROWS)?,
                Shelf::Incidents => incidents.purge(tx, before, STEP_INCIDENTS)?,
                Shelf::Ledger => ledger::purge(tx, before, STEP_ROWS)?,
                Shelf::Audit => audit::purge(tx, before, STEP_ROWS)?,
                Shelf::Payloads | Shelf::BusyPayloads | Shelf::Dictionaries | Shelf::Issues => 0,
            })
        });
        write.await
    }

    fn forget(&self, evicted: &[Entry]) -> usize {
        self.with.recent.forget(evicted);
        evicted.len()
    }
}

/// Leaves the writer to others for as long as the step since `began` took.
async fn rest(began: Instant) {
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
