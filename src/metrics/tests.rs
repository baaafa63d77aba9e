use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::accounts::{By, projects};
use crate::base::{Entropy, ProjectId, Timestamp};
use crate::incidents::rules::{self, Rule, RuleChange, RuleKind, RuleParams};
use crate::incidents::{Incidents, Policy};
use crate::scrub::Scrubber;
use crate::store::plans::plans_of;
use crate::store::{Error, Lane, Options, Store, WriteTx};

const NOON: Timestamp = Timestamp::from_secs(1_800_000_000);
const SHOP: ProjectId = ProjectId(1);

struct House {
    _folder: tempfile::TempDir,
    store: Store,
    lane: Lane<MetricRecord>,
}

impl House {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let incidents = Arc::new(Incidents { policy: Policy::default(), entropy: Entropy::seeded(7) });
        let mut opened = Store::open(folder.path(), &Options::default()).unwrap();
        let lane = opened.lane("metrics", 100, MetricRecord::new(incidents));
        let store = opened.start().unwrap();
        let by = By::tocsin(NOON);
        store.write("project", move |tx| projects::ensure_default(tx, &by)).await.unwrap();
        Self { _folder: folder, store, lane }
    }

    /// Sends so many queries of this duration in one request.
    async fn send(&self, at: Timestamp, count: usize, ms: u32) {
        self.send_of("database_query", at, count, ms).await;
    }

    async fn send_of(&self, kind: &str, at: Timestamp, count: usize, ms: u32) {
        let point = format!(r#"{{"type":"{kind}","value":{ms},"unit":"ms"}}"#);
        let body = format!("[{}]", vec![point; count].join(","));
        let points = parse_points(body.as_bytes(), &Scrubber::default(), SHOP, at).unwrap();
        assert_eq!(self.lane.submit(points).await.unwrap(), count);
    }

    /// What the rule asks for from now on.
    async fn ask(&self, metric: &str, above_ms: f64) {
        let rule = RuleKind::SlowMetrics.built_in();
        let params = RuleParams::SlowMetrics { metric: metric.to_owned(), above_ms };
        let (severity, threshold, window) = (rule.severity, rule.threshold, rule.window);
        let change = RuleChange { enabled: true, severity, threshold, window, params };
        let write = move |tx: &WriteTx<'_>| rules::change(tx, NOON, None, RuleKind::SlowMetrics, &change);
        self.store.write("rule", write).await.unwrap();
    }

    fn number(&self, sql: &'static str) -> i64 {
        let read = |tx: &crate::store::ReadTx<'_>| tx.one(sql, [], |row| row.get(0));
        self.store.read_now(read).map_err(|error: Error| error).unwrap()
    }

    fn signals(&self) -> i64 {
        self.number("SELECT ifnull(sum(signal_count), 0) FROM witnesses")
    }
}

#[tokio::test]
async fn more_than_five_slow_queries_in_an_hour_are_raised() {
    let house = House::open().await;
    house.send(NOON, 100, 1000).await;
    house.send(NOON, 5, 1001).await;
    assert_eq!(house.signals(), 0, "five are not more than five");
    house.send(NOON + Duration::from_hours(2), 1, 1001).await;
    assert_eq!(house.signals(), 0, "the others were more than an hour ago");
    house.send(NOON + Duration::from_hours(2), 5, 1001).await;
    assert_eq!(house.signals(), 1);
    house.store.stop();
}

#[tokio::test]
async fn a_project_that_is_slow_for_long_is_not_raised_with_every_commit() {
    let house = House::open().await;
    for second in 0..20 {
        house.send(NOON + Duration::from_secs(second), 6, 2000).await;
    }
    assert_eq!(house.signals(), 2, "one every ten seconds");
    house.send(NOON + Duration::from_mins(2), 6, 5).await;
    assert_eq!(house.signals(), 2, "quick queries make nothing worse");
    assert_eq!(house.number("SELECT count(*) FROM slow_points"), 120);
    house.store.stop();
}

#[tokio::test]
async fn a_window_is_counted_and_searched_only_so_far() {
    let house = House::open().await;
    house.send(NOON, 1, 9000).await;
    // The slowest of all, but long before the newest.
    house
        .store
        .write("many", |tx| {
            tx.execute(
                "INSERT INTO slow_points (project_id, type, at, point_id, duration_ms)
                 WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10500)
                 SELECT 1, type, at + i, 1, duration_ms FROM n, slow_points",
                [],
            )
        })
        .await
        .unwrap();
    house.send(NOON + Duration::from_mins(1), 600, 2000).await;
    let told = "SELECT count(*) FROM witnesses WHERE summary LIKE '10000+ database_query over 1000 ms%'";
    assert_eq!(house.number(told), 1);
    let named = "SELECT max(json_extract(queries.value, '$.duration_ms')) = 2000.0 AND count(*) = 5
                 FROM witnesses, json_each(witnesses.detail, '$.queries') AS queries";
    assert_eq!(house.number(named), 1);
    house.store.stop();
}

#[tokio::test]
async fn a_window_is_a_range_of_slow_points_and_what_is_old_is_found_by_its_time() {
    let house = House::open().await;
    house.send(NOON, 1, 1001).await;
    let ask = |tx: &WriteTx<'_>| {
        let incidents = Incidents { policy: Policy::default(), entropy: Entropy::seeded(7) };
        let rule = Rule { threshold: Some(0.0), ..RuleKind::SlowMetrics.built_in() };
        Ok::<_, Error>(plans_of(tx, || {
            assert!(slow::raise(tx, &incidents, NOON, SHOP, &rule).unwrap());
            purge_slow(tx, NOON, 10).unwrap();
            purge(tx, NOON, 10).unwrap();
        }))
    };
    let plans = house.store.write("plans", ask).await.unwrap();
    let of_window: Vec<_> = plans
        .iter()
        .filter(|plan| plan.has("SEARCH slow_points USING PRIMARY KEY (project_id=? AND type=? AND at>?)"))
        .collect();
    assert_eq!(of_window.len(), 2, "the count and the slowest: {plans:?}");
    for index in ["slow_points_by_time", "metric_points_by_time"] {
        assert!(plans.iter().any(|plan| plan.uses(index)), "{index}: {plans:?}");
    }
    house.store.stop();
}

#[tokio::test]
async fn points_count_by_the_rule_as_it_is_now() {
    let house = House::open().await;
    house.ask("database_query", 100.0).await;
    house.send(NOON, 5, 200).await;
    house.ask("job", 1000.0).await;
    house.send_of("job", NOON, 5, 3000).await;
    house.ask("database_query", 1000.0).await;
    house.send(NOON + Duration::from_mins(1), 5, 2000).await;
    assert_eq!(house.signals(), 0, "neither what is quick by now nor what is of another type");
    house.send(NOON + Duration::from_mins(2), 1, 2000).await;
    assert_eq!(house.signals(), 1);
    let named = "SELECT count(*) FROM witnesses, json_each(witnesses.detail, '$.queries') AS queries
                 WHERE json_extract(queries.value, '$.duration_ms') = 2000.0";
    assert_eq!(house.number(named), 5);
    house.store.stop();
}
