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
use crate::{heartbeats, incidents, ledger, metrics, releases, vigil};
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
}

impl<'a> Run<'a> {
    fn new(with: &'a LettingGo, cut: Cut) -> Self {
        Self { with, cut, began: with.clock.monotonic(), rows: 0, is_searching: false }
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
                Shelf::Payloads
                | Shelf::BusyPayloads
                | Shelf::Dictionaries
                | Shelf::Issues
                | Shelf::Runs
                | Shelf::LastRuns => 0,
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
        + services::purge_removed(tx, STEP_ROWS)?)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::{By, projects};
    use crate::base::Entropy;
    use crate::incidents::Policy;
    use crate::store::Options;

    const NOON: Timestamp = Timestamp::from_secs(1_800_000_000);
    const ROOM_BYTES: u64 = 4_000_000;
    const DAY: Duration = Duration::from_hours(24);

    /// 300 issues of ten payloads each, then one of 100: more than one look, and more than there is room for.
    async fn filled(store: &Store) {
        let by = By::tocsin(NOON);
        store.write("project", move |tx| projects::ensure_default(tx, &by)).await.unwrap();
        let numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3100)";
        let issues = format!(
            "{numbers} INSERT INTO issues (uid, project_id, number, algorithm, reason, title, culprit, level,
                 severity, class, platform, status, status_at, first_seen)
             SELECT randomblob(16), 1, i, 'chain:1', '{{}}', 't', 'c', 'error', 'high', 'unknown', 'other',
                 'unresolved', 0, 0 FROM n WHERE i <= 301"
        );
        let stats = "INSERT INTO issue_stats (issue_id, project_id, count, stored, sampled, evicted, day, stored_today,
                 users, users_exact, users_tail, last_seen)
             SELECT id, 1, iif(id > 300, 100, 10), iif(id > 300, 100, 10), 0, 0, 0, 0, 0, 1, x'', 0 FROM issues";
        let events = format!(
            "{numbers} INSERT INTO events (project_id, issue_id, event_id, timestamp, received_at, level, payload)
             SELECT 1, min(301, (i - 1) / 10 + 1), randomblob(16), i, i, 'error', randomblob(2000) FROM n"
        );
        let fill = move |tx: &WriteTx<'_>| {
            for sql in [&issues, stats, &events] {
                tx.execute(sql, [])?;
            }
            Ok::<_, Error>(())
        };
        store.write("fill", fill).await.unwrap();
    }

    async fn number(store: &Store, sql: &'static str) -> i64 {
        store.read(move |tx| tx.one(sql, [], |row| row.get(0))).await.map_err(|error: Error| error).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_search_that_takes_longer_than_a_run_stops_nothing_and_goes_on_in_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
        filled(&store).await;
        let with = LettingGo {
            store: store.clone(),
            clock: Clock::manual(NOON),
            incidents: Arc::new(Incidents { policy: Policy::default(), entropy: Entropy::seeded(7) }),
            recent: store.read(RecentIds::load).await.map_err(|error: Error| error).unwrap(),
            own: Arc::default(),
            retention: Retention { age: 90 * DAY, audit_age: 90 * DAY, bytes_max: LOG_BYTES + ROOM_BYTES },
            search: Arc::default(),
            // Over at once: one look a step.
            search_time: Duration::ZERO,
        };
        // Nothing was found in time: the oldest payloads go, whosever they are, but no more of them than one step.
        assert_eq!(with.clone().bytes().await.unwrap(), Report::More("200 rows over the budget".to_owned()));
        assert!(with.own.is_over_budget());
        let of_busy = "SELECT evicted FROM issue_stats WHERE issue_id = 301";
        assert_eq!(number(&store, of_busy).await, 0);
        // The next run looks at the rest.
        with.clone().bytes().await.unwrap();
        assert_eq!(number(&store, of_busy).await, 90);
        let mut runs = 0;
        while matches!(with.clone().bytes().await.unwrap(), Report::More(_)) {
            runs += 1;
            assert!(runs < 20, "it never ends");
        }
        assert!(!with.own.is_over_budget());
        assert_eq!(number(&store, "SELECT sum(stored + evicted) FROM issue_stats").await, 3100);
        store.stop();
    }

    /// Of everything that health keeps, something of each age in days; and who lets go of what first is written down.
    async fn watched(store: &Store) {
        let by = By::tocsin(NOON);
        store.write("project", move |tx| projects::ensure_default(tx, &by)).await.unwrap();
        let days = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400),
            d (n, at) AS (SELECT i, ?1 - i * 86400000000 - 7200000000 FROM n) INSERT INTO";
        let one_of_each = [
            "INSERT INTO probes (id, uid, project_id, key, name, kind, definition, owner, created_at, updated_at)
             VALUES (1, x'01', 1, 'api', 'api', 'tcp', '{}', 'page', 0, ?1)",
            "INSERT INTO heartbeats (id, uid, ping_id, project_id, slug, name, definition, owner, created_at, updated_at)
             VALUES (1, x'01', x'01', 1, 'job', 'job', '{}', 'page', 0, ?1)",
            "INSERT INTO services (id, uid, project_id, key, name, needs, critical, position, owner, created_at,
                 updated_at)
             VALUES (1, x'01', 1, 'api', 'api', 'all', 1, 1, 'page', 0, ?1)",
        ];
        let many = [
            "probe_points (probe_id, hour, points) SELECT 1, at / 3600000000 * 3600000000, randomblob(9000) FROM d",
            "probe_hours (probe_id, hour, good, slow, bad, blind)
             SELECT 1, at / 3600000000 * 3600000000, 1, 0, 0, 0 FROM d",
            "probe_changes (probe_id, at, status) SELECT 1, at, 'healthy' FROM d",
            "heartbeat_changes (heartbeat_id, at, status) SELECT 1, at, 'up' FROM d",
            "service_changes (service_id, at, status) SELECT 1, at, 'healthy' FROM d",
            // Written in the order of time.
            "heartbeat_runs (heartbeat_id, kind, at, body) SELECT 1, 'success', at, randomblob(9000) FROM d ORDER BY at",
            "blind_spells (reason, began_at, ended_at) SELECT 'down', at, at + 1 FROM d",
            "status_posts (id, uid, title, state, impact, began_at, resolved_at, published)
             SELECT n, randomblob(16), 't', 'resolved', 'none', at, at + 1, 1 FROM d",
            "status_updates (post_id, at, state, text, author) SELECT n, at, 'resolved', 'over', 'me' FROM d",
        ];
        let fill = move |tx: &WriteTx<'_>| {
            one_of_each.iter().try_for_each(|sql| tx.execute(sql, [NOON.as_micros()]).map(drop))?;
            for sql in many {
                tx.execute(&format!("{days} {sql}"), [NOON.as_micros()])?;
            }
            tx.execute("CREATE TABLE gone (id INTEGER PRIMARY KEY, name TEXT UNIQUE)", [])?;
            for (table, _) in KEPT {
                let noted = format!("INSERT OR IGNORE INTO gone (name) VALUES ('{table}')");
                tx.execute(
                    &format!("CREATE TRIGGER t_{table} AFTER DELETE ON {table} BEGIN {noted}; END"),
                    [],
                )?;
            }
            Ok::<_, Error>(())
        };
        store.write("fill", fill).await.unwrap();
    }

    /// In the order in which it goes, and how many of 400 days stay however little room there is.
    const KEPT: [(&str, i64); 9] = [
        ("probe_points", 0),
        ("heartbeat_runs", 10),
        ("probe_hours", 0),
        ("probe_changes", 1),
        ("heartbeat_changes", 1),
        ("service_changes", 1),
        ("status_posts", 6),
        ("status_updates", 6),
        ("blind_spells", 6),
    ];

    fn letting_go(store: &Store, recent: RecentIds, room: u64) -> LettingGo {
        LettingGo {
            store: store.clone(),
            clock: Clock::manual(NOON),
            incidents: Arc::new(Incidents { policy: Policy::default(), entropy: Entropy::seeded(7) }),
            recent,
            own: Arc::default(),
            retention: Retention { age: 400 * DAY, audit_age: 400 * DAY, bytes_max: LOG_BYTES + room },
            search: Arc::default(),
            search_time: SEARCH_TIME,
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_watched_goes_by_its_worth_and_how_things_are_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
        watched(&store).await;
        let recent = store.read(RecentIds::load).await.map_err(|error: Error| error).unwrap();
        let full = letting_go(&store, recent.clone(), u64::MAX / 2).used().await.unwrap();

        // A little too much: the oldest readings go, and nothing else.
        let with = letting_go(&store, recent.clone(), full);
        assert!(matches!(with.clone().bytes().await.unwrap(), Report::Did(_)));
        assert!(with.used().await.unwrap() <= full / 100 * FULL_PERCENT && !with.own.is_over_budget());
        assert_eq!(number(&store, "SELECT count(*) FROM gone").await, 1);
        let left =
            "SELECT count(*) + max(hour <= 1800000000000000 - 390 * 86400000000) * 1000 FROM probe_points";
        assert!((1..400).contains(&number(&store, left).await), "the oldest first");

        // No room at all.
        let with = letting_go(&store, recent, 0);
        assert_eq!(with.clone().bytes().await.unwrap(), Report::Did(STUCK.to_owned()));
        assert!(with.used().await.unwrap() < full / 2, "it shrank");
        for (at, (table, kept)) in KEPT.iter().enumerate() {
            let rows: &'static str = String::leak(format!("SELECT count(*) FROM {table}"));
            assert_eq!(number(&store, rows).await, *kept, "{table}");
            let place: &'static str = String::leak(format!(
                "SELECT count(*) FROM gone WHERE id < (SELECT id FROM gone WHERE name = '{table}')"
            ));
            // An update goes with its post, before it.
            let at = match *table {
                "status_posts" => 7,
                "status_updates" => 6,
                _ => i64::try_from(at).unwrap(),
            };
            assert_eq!(number(&store, place).await, at, "{table}");
        }
        store.stop();
    }
}
