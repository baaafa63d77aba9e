//! What /metrics shows of parts that count for themselves: the store, the caches, the limiter, the lanes, the
//! tasks, the outbox, the incidents, the ledger.

use std::time::Duration;

use super::visible::ledger_projects;
use super::{AppState, exposition_probes, exposition_webhooks};
use crate::accounts::Visible;
use crate::accounts::cache::Counts;
use crate::base::{Severity, Timestamp};
use crate::health::own::{Outbox, read_outbox};
use crate::ledger;
use crate::store::{Error, ReadTx};
use crate::telemetry::{Exposition, RegistryError, lines_dropped};
use crate::webhooks::queries::{Gauges, gauges};

/// The ledger is shown for this long: a gauge, because its lines go with their age.
const LEDGER_SHOWN: Duration = Duration::from_hours(24);
/// Reasons times categories are few; a bound all the same.
const LEDGER_LINES_MAX: usize = 500;

/// What is read for one answer. Empty where the database cannot be read: the rest is worth showing all the same.
#[derive(Default)]
struct Read {
    outbox: Outbox,
    ledger: Vec<ledger::Line>,
    webhooks: Gauges,
}

/// The families in the Prometheus text format.
pub async fn render(state: &AppState) -> Result<String, RegistryError> {
    let now = state.clock.now();
    let read = state.store.read(move |tx| read(tx, now)).await.unwrap_or_else(|error: Error| {
        tracing::warn!(%error, "/metrics is shown in part");
        Read::default()
    });
    let out = Exposition::default();
    store(&out, state)?;
    out.counter(
        "tocsin_log_lines_dropped_total",
        "Log lines dropped because nobody took them in time.",
        number(lines_dropped()),
    )?;
    memory(&out, state)?;
    tasks(&out, state)?;
    messages(&out, state, &read)?;
    exposition_probes::probes(&out, state)?;
    exposition_webhooks::webhooks(&out, &read.webhooks)?;
    out.render()
}

fn read(tx: &ReadTx<'_>, now: Timestamp) -> Result<Read, Error> {
    let projects = ledger_projects(tx, &Visible::All)?;
    let ledger = ledger::list(tx, &projects, now - LEDGER_SHOWN, None, LEDGER_LINES_MAX)?.items;
    Ok(Read { outbox: read_outbox(tx)?, ledger, webhooks: gauges(tx, now)? })
}

fn store(out: &Exposition, state: &AppState) -> Result<(), RegistryError> {
    let stats = state.store.stats().snapshot();
    let known = state.own.known();
    let slowest = known.look.as_ref().map_or(Duration::ZERO, |look| look.slowest_batch).max(stats.slowest);
    let seconds = |time: Duration| time.as_secs_f64();
    out.gauge("tocsin_store_queued", "Jobs that wait for the writer.", number(stats.queued))?;
    out.gauge(
        "tocsin_store_waiting_bytes",
        "Memory held by what waits in the lanes and by bodies that are being read.",
        size(state.store.memory().held()),
    )?;
    out.counter(
        "tocsin_store_refused_total",
        "Jobs refused because the queue was full.",
        number(stats.refused),
    )?;
    out.counter("tocsin_store_commits_total", "Group commits.", number(stats.commits))?;
    out.counter(
        "tocsin_store_failed_commits_total",
        "Group commits that failed; their callers were told.",
        number(stats.failed_commits),
    )?;
    out.counter("tocsin_store_jobs_total", "Closures and lane items run by the writer.", number(stats.jobs))?;
    out.counter(
        "tocsin_store_commit_seconds_total",
        "Time spent in commits, the sync included.",
        seconds(stats.commit_time),
    )?;
    out.gauge(
        "tocsin_store_slowest_batch_seconds",
        "The slowest batch of the last ten to twenty seconds.",
        seconds(slowest),
    )?;
    out.counter("tocsin_store_slow_batches_total", "Batches over 50 ms.", number(stats.slow_batches))?;
    out.gauge("tocsin_store_wal_pages", "Pages in the write-ahead log.", number(stats.wal_pages))?;
    out.counter("tocsin_store_checkpoints_total", "Checkpoints.", number(stats.checkpoints))?;
    out.counter(
        "tocsin_store_truncations_total",
        "Times the writer itself had to truncate the log.",
        number(stats.truncations),
    )?;
    out.counter(
        "tocsin_store_checkpoints_held_total",
        "Checkpoints of the writer that somebody who reads held up.",
        number(stats.checkpoints_held),
    )?;
    out.counter("tocsin_store_disk_full_total", "Commits refused by a full disk.", number(stats.disk_full))?;
    let on_disk = number(state.store.disk_bytes());
    out.gauge("tocsin_store_disk_bytes", "Database, log and shared memory on disk.", on_disk)?;
    if let Some(disk) = known.look.and_then(|look| look.disk) {
        out.gauge(
            "tocsin_disk_free_bytes",
            "Free on the data folder's file system.",
            number(disk.free_bytes),
        )?;
        out.gauge(
            "tocsin_disk_size_bytes",
            "Size of the data folder's file system.",
            number(disk.total_bytes),
        )?;
    }
    Ok(())
}

/// Caches, limiter, lanes.
fn memory(out: &Exposition, state: &AppState) -> Result<(), RegistryError> {
    let caches = [
        ("keys", state.cache.keys.counts()),
        ("sessions", state.cache.sessions.counts()),
        ("tokens", state.cache.tokens.counts()),
    ];
    let of = |pick: fn(&Counts) -> u64| caches.map(|(name, counts)| ([name], number(pick(&counts))));
    let rows = of(|counts| counts.hits);
    out.counters("tocsin_cache_hits_total", "Answers from memory.", &["cache"], &series(&rows))?;
    let rows = of(|counts| counts.misses);
    out.counters("tocsin_cache_misses_total", "Answers read from the store.", &["cache"], &series(&rows))?;
    let rows = of(|counts| counts.entries);
    out.gauges("tocsin_cache_entries", "Answers remembered.", &["cache"], &series(&rows))?;
    let keys = size(state.key_limits.keys());
    out.gauge("tocsin_limiter_keys", "Keys whose quota is being counted.", keys)?;
    out.counter(
        "tocsin_limiter_crowded_total",
        "Decisions in a shared window because too many keys were in use.",
        number(state.key_limits.crowded()),
    )?;
    let depths = [
        (["events"], size(state.events.depth())),
        (["metrics"], size(state.points.depth())),
        (["pings"], size(state.pings.depth())),
        (["webhooks"], size(state.hooks.depth())),
    ];
    out.gauges("tocsin_lane_depth", "Items that wait for the writer.", &["lane"], &series(&depths))?;
    let refused = [
        (["events"], number(state.events.refused())),
        (["metrics"], number(state.points.refused())),
        (["pings"], number(state.pings.refused())),
        (["webhooks"], number(state.hooks.refused())),
    ];
    out.counters("tocsin_lane_refused_total", "Items refused at a full lane.", &["lane"], &series(&refused))
}

fn tasks(out: &Exposition, state: &AppState) -> Result<(), RegistryError> {
    let tasks = state.engine.status();
    let runs: Vec<_> = tasks.iter().map(|task| ([task.name], number(task.runs))).collect();
    out.counters("tocsin_task_runs_total", "Runs of background tasks.", &["task"], &series(&runs))?;
    let failures: Vec<_> = tasks.iter().map(|task| ([task.name], number(task.failures))).collect();
    out.counters("tocsin_task_failures_total", "Runs that failed.", &["task"], &series(&failures))?;
    let last: Vec<_> = tasks
        .iter()
        .filter_map(|task| task.last_duration_ms.map(|millis| ([task.name], millis / 1e3)))
        .collect();
    out.gauges("tocsin_task_last_duration_seconds", "How long the last run took.", &["task"], &series(&last))
}

/// Outbox, incidents, ledger.
fn messages(out: &Exposition, state: &AppState, read: &Read) -> Result<(), RegistryError> {
    let outbox = &read.outbox;
    let states = [(["pending"], number(outbox.pending)), (["waiting"], number(outbox.waiting))];
    out.gauges(
        "tocsin_outbox_messages",
        "Messages not delivered yet: on their way, or waiting for a channel.",
        &["state"],
        &series(&states),
    )?;
    let age = outbox.oldest.map_or(Duration::ZERO, |oldest| state.clock.now().since(oldest));
    out.gauge(
        "tocsin_outbox_oldest_age_seconds",
        "Age of the oldest message on its way to a channel's recipients; 0 without one.",
        age.as_secs_f64(),
    )?;
    let open: Vec<_> = outbox
        .open_by_severity()
        .map(|(severity, count)| ([Severity::as_str(severity)], number(count)))
        .collect();
    out.gauges("tocsin_incidents_open", "Open incidents.", &["severity"], &series(&open))?;
    out.gauge(
        "tocsin_incidents_acknowledged",
        "Incidents that somebody acknowledged and that go on.",
        number(outbox.acknowledged),
    )?;
    let lines: Vec<_> = read
        .ledger
        .iter()
        .map(|line| {
            let (reason, category) = (line.reason.to_string(), line.category.to_string());
            (reason, category, number(line.quantity))
        })
        .collect();
    let lines: Vec<_> = lines
        .iter()
        .map(|(reason, category, count)| ([reason.as_str(), category.as_str()], *count))
        .collect();
    out.gauges(
        "tocsin_not_kept_last_day",
        "What was not kept in the last 24 hours, by reason.",
        &["reason", "category"],
        &series(&lines),
    )
}

fn series<'a, const N: usize>(rows: &'a [([&'a str; N], f64)]) -> Vec<(&'a [&'a str], f64)> {
    rows.iter().map(|(labels, value)| (labels.as_slice(), *value)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows floating point only")]
fn number(count: u64) -> f64 {
    count as f64
}

fn size(count: usize) -> f64 {
    number(u64::try_from(count).unwrap_or(u64::MAX))
}
