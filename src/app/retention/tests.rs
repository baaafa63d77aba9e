//! What goes first where there is no room, and what stays whatever happens.

use super::*;
use crate::accounts::{By, projects};
use crate::base::Entropy;
use crate::incidents::Policy;
use crate::store::Options;

mod webhooks;

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
    let stats =
        "INSERT INTO issue_stats (issue_id, project_id, count, stored, sampled, evicted, day, stored_today,
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
            tx.execute(&format!("CREATE TRIGGER t_{table} AFTER DELETE ON {table} BEGIN {noted}; END"), [])?;
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
    let left = "SELECT count(*) + max(hour <= 1800000000000000 - 390 * 86400000000) * 1000 FROM probe_points";
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
