//! The one table of background tasks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::retention::{LettingGo, SEARCH_TIME};
use super::watch::Watch;
use super::watching::Watching;
use crate::accounts::{links, sessions};
use crate::base::{Clock, Timestamp};
use crate::config::Retention;
use crate::engine::{Report, Schedule, Task, Wake};
use crate::heartbeats::{self, HEARTBEATS};
use crate::http::WATCH_TASK;
use crate::http::ingest::Refusals;
use crate::incidents::windows::Looked;
use crate::incidents::{DELIVERIES, INCIDENTS, Incidents};
use crate::issues::error_rate::expire_rates;
use crate::issues::ids::{Merge, RecentIds};
use crate::issues::retention::STEP_ROWS;
use crate::metrics;
use crate::notify::outbox::{Outbox, RunReport};
use crate::store::{Error, GROWN, Store, WriteTx};
use crate::vigil::{self, Blindness};
use crate::webhooks::Doors;

/// What tasks work with.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) incidents: Arc<Incidents>,
    pub(super) recent: RecentIds,
    pub(super) refusals: Arc<Refusals>,
    pub(super) doors: Arc<Doors>,
    pub(super) retention: Retention,
    pub(super) outbox: Outbox,
    pub(super) watching: Watching,
    pub(super) watch: Watch,
    pub(super) deaf: Arc<Mutex<Option<Deaf>>>,
}

/// The disk has no room for pings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deaf {
    since: Timestamp,
    /// The spell is on disk.
    is_written: bool,
}

/// Of a spell in which the disk was full.
const REFUSED: &str = "pings were refused";

impl Work {
    fn letting_go(self) -> LettingGo {
        let Self { store, clock, incidents, recent, retention, watch, .. } = self;
        let (own, search) = (watch.own, Arc::default());
        LettingGo { store, clock, incidents, recent, own, retention, search, search_time: SEARCH_TIME }
    }
}

/// Rows that one run of `incidents.expire` handles per step.
const EXPIRE_ROWS: u32 = 100;
/// Heartbeats that one step of `heartbeats.due` looks at; each may open an incident.
const DUE_ROWS: u32 = 100;

pub(super) fn table(work: &Work) -> Result<Vec<Task>, cron::error::Error> {
    let every = |seconds| Schedule::Every(Duration::from_secs(seconds));
    let task = |name, does, schedule, wake, run: fn(Work) -> Run| {
        let work = work.clone();
        Task::new(name, does, schedule, wake, move || run(work.clone()))
    };
    let mut tasks = vec![
        task(
            "incidents.expire",
            "Ends holds and quiet incidents, rings what nobody acknowledged, writes digests",
            every(1),
            Wake::OnCommit(&[INCIDENTS]),
            |work| Box::pin(expire(work)),
        ),
        task(
            "notify.deliver",
            "Sends the messages that are due",
            every(2),
            Wake::OnCommit(&[DELIVERIES]),
            |work| Box::pin(deliver(work)),
        ),
        channel_tests(work.clone()),
        task(
            "rules.windows",
            "Notices that an error rate or the number of slow queries fell again",
            every(10),
            Wake::ScheduleOnly,
            |work| Box::pin(windows(work)),
        ),
        heartbeats_due_task(work.clone()),
        task(
            WATCH_TASK,
            "Looks at tocsin itself and raises what is wrong with it",
            every(10),
            Wake::ScheduleOnly,
            |work| Box::pin(async move { work.watch.run().await }),
        ),
        task(
            "ledger.refusals",
            "Writes what was turned away into the ledger",
            every(10),
            Wake::ScheduleOnly,
            |work| Box::pin(refusals(work)),
        ),
        unbelieved_task(work.clone()),
        task("issues.merge_ids", "Sorts event ids into their index", every(5), Wake::ScheduleOnly, |work| {
            Box::pin(merge_ids(work))
        }),
        task("retention.age", "Lets go of what is past its age", every(60), Wake::ScheduleOnly, |work| {
            Box::pin(work.letting_go().age())
        }),
        budget(work.clone().letting_go()),
        task(
            "store.give_back",
            "Gives free pages back to the file system",
            every(300),
            Wake::ScheduleOnly,
            |work| Box::pin(work.letting_go().give_back()),
        ),
        task(
            "accounts.expire",
            "Forgets sessions and links that are over",
            Schedule::cron("0 17 * * * *")?,
            Wake::ScheduleOnly,
            |work| Box::pin(accounts_expire(work)),
        ),
    ];
    tasks.extend(work.watching.tasks());
    Ok(tasks)
}

type Run = std::pin::Pin<Box<dyn Future<Output = anyhow::Result<Report>> + Send>>;

async fn expire(work: Work) -> anyhow::Result<Report> {
    let (now, incidents) = (work.clock.now(), Arc::clone(&work.incidents));
    let did = work.store.write("incidents.expire", move |tx| incidents.expire(tx, now, EXPIRE_ROWS)).await?;
    let total = did.witnesses_over + did.silences_ended + did.rang + did.digests + did.handed_over;
    if total == 0 {
        return Ok(Report::Idle);
    }
    let text = format!(
        "{} over, {} rang again, {} digests, {} handed over",
        did.witnesses_over, did.rang, did.digests, did.handed_over
    );
    Ok(if did.more { Report::More(text) } else { Report::Did(text) })
}

async fn heartbeats_due(work: Work) -> anyhow::Result<Report> {
    work.watching.sight.settle().await?;
    let (now, incidents) = (work.clock.now(), Arc::clone(&work.incidents));
    if !heard_all(&work, now).await?
        || !work.store.read_reserved(move |tx| heartbeats::is_due(tx, now)).await?
    {
        return Ok(Report::Idle);
    }
    let write = move |tx: &WriteTx<'_>| heartbeats::pass(tx, &incidents, now, DUE_ROWS);
    let did = work.store.write("heartbeats.due", write).await?;
    let text = format!("{} late, {} down", did.late, did.down);
    Ok(match (did.more, did.late + did.down) {
        (true, _) => Report::More(text),
        (false, 0) => Report::Idle,
        (false, _) => Report::Did(text),
    })
}

/// Whether pings are taken. While the disk is full they are not, and afterwards that time is nobody's fault.
async fn heard_all(work: &Work, now: Timestamp) -> Result<bool, Error> {
    let deaf = || work.deaf.lock().unwrap_or_else(PoisonError::into_inner);
    let known = *deaf();
    match (work.watch.own.is_disk_full(), known) {
        (false, None) => Ok(true),
        (true, Some(Deaf { is_written: true, .. })) => Ok(false),
        (true, known) => {
            // A restart must know of it. The reserve was let go of, so there is room.
            let since = known.map_or(now, |deaf| deaf.since);
            *deaf() = Some(Deaf { since, is_written: false });
            let begin = move |tx: &WriteTx<'_>| vigil::begin(tx, Blindness::Full, since, REFUSED);
            work.store.write("vigil.full", begin).await?;
            *deaf() = Some(Deaf { since, is_written: true });
            Ok(false)
        }
        (false, Some(Deaf { since, .. })) => {
            let end = move |tx: &WriteTx<'_>| {
                // Where its beginning could not be written, all of it is now.
                vigil::begin(tx, Blindness::Full, since, REFUSED)?;
                vigil::end(tx, Blindness::Full, now)
            };
            work.store.write("vigil.full", end).await?;
            *deaf() = None;
            Ok(true)
        }
    }
}

async fn deliver(work: Work) -> anyhow::Result<Report> {
    let did = work.outbox.run().await?;
    if did == RunReport::default() {
        return Ok(Report::Idle);
    }
    Ok(Report::Did(format!(
        "{} begun; {} delivered, {} to be tried again, {} put off, {} failed",
        did.begun, did.delivered, did.retried, did.deferred, did.failed
    )))
}

async fn windows(work: Work) -> anyhow::Result<Report> {
    let fell =
        look_at_windows(&work, expire_rates).await? + look_at_windows(&work, metrics::expire_slow).await?;
    Ok(if fell == 0 { Report::Idle } else { Report::Did(format!("{fell} fell below their bound")) })
}

type Look = fn(&WriteTx<'_>, &Incidents, Timestamp, &str) -> Result<Looked, Error>;

/// Looks at all keys, each page in a write of its own.
async fn look_at_windows(work: &Work, look: Look) -> Result<u64, Error> {
    let (mut fell, mut after) = (0, String::new());
    loop {
        let (now, incidents) = (work.clock.now(), Arc::clone(&work.incidents));
        let looked = work.store.write("rules.windows", move |tx| look(tx, &incidents, now, &after)).await?;
        fell += looked.fell;
        match looked.next {
            Some(next) => after = next,
            None => return Ok(fell),
        }
    }
}

fn heartbeats_due_task(work: Work) -> Task {
    Task::new(
        "heartbeats.due",
        "Notices jobs that were not heard from in time",
        Schedule::Every(Duration::from_secs(1)),
        Wake::OnCommit(&[HEARTBEATS]),
        move || Box::pin(heartbeats_due(work.clone())),
    )
}

fn unbelieved_task(work: Work) -> Task {
    Task::new(
        "webhooks.refusals",
        "Writes which calls of webhooks were turned away",
        Schedule::Every(Duration::from_secs(10)),
        Wake::ScheduleOnly,
        move || Box::pin(unbelieved(work.clone())),
    )
}

fn channel_tests(work: Work) -> Task {
    Task::new(
        "notify.tests",
        "Sends the tests that people ask for, once each",
        Schedule::Every(Duration::from_secs(5)),
        Wake::OnCommit(&[DELIVERIES]),
        move || Box::pin(tests(work.clone())),
    )
}

/// All its runs share one search.
fn budget(letting_go: LettingGo) -> Task {
    Task::new(
        "retention.bytes",
        "Keeps the disk inside its budget",
        Schedule::Every(Duration::from_secs(5)),
        Wake::OnCommit(&[GROWN]),
        move || Box::pin(letting_go.clone().bytes()),
    )
}

async fn tests(work: Work) -> anyhow::Result<Report> {
    let sent = work.outbox.run_tests().await?;
    Ok(if sent == 0 {
        Report::Idle
    } else {
        Report::Did(format!("{sent} {}", if sent == 1 { "test" } else { "tests" }))
    })
}

async fn refusals(work: Work) -> anyhow::Result<Report> {
    let written = work.refusals.flush(&work.store, work.clock.now()).await?;
    Ok(if written == 0 { Report::Idle } else { Report::Did(format!("{written} refusals written")) })
}

async fn unbelieved(work: Work) -> anyhow::Result<Report> {
    let written = work.doors.refusals.flush(&work.store).await?;
    Ok(if written == 0 { Report::Idle } else { Report::Did(format!("{written} calls turned away")) })
}

async fn merge_ids(work: Work) -> anyhow::Result<Report> {
    let Some(merge) = work.store.read_reserved(Merge::plan).await? else { return Ok(Report::Idle) };
    let merge = Arc::new(Mutex::new(merge));
    loop {
        let step = Arc::clone(&merge);
        let write = move |tx: &WriteTx<'_>| step.lock().unwrap_or_else(PoisonError::into_inner).step(tx);
        work.store.write("issues.merge_ids", write).await?;
        if !merge.lock().unwrap_or_else(PoisonError::into_inner).advance() {
            break;
        }
    }
    let merge = merge.lock().unwrap_or_else(PoisonError::into_inner);
    work.recent.forget(merge.entries());
    Ok(Report::More(format!("{} ids merged", merge.entries().len())))
}

async fn accounts_expire(work: Work) -> anyhow::Result<Report> {
    let now = work.clock.now();
    let gone = work
        .store
        .write("accounts.expire", move |tx| {
            let sessions = sessions::purge(tx, now, STEP_ROWS)?;
            Ok::<_, crate::accounts::Error>(sessions + links::purge(tx, now, STEP_ROWS)?)
        })
        .await?;
    Ok(if gone == 0 { Report::Idle } else { Report::Did(format!("{gone} sessions and links")) })
}
