//! What the two tasks of retention let go of, and what happens when that is not enough.

use std::time::Duration;

use serde_json::{Value, json};

use super::support::{House, START};

const DAY: Duration = Duration::from_hours(24);
/// What the write-ahead log may take of the budget.
const LOG_BYTES: u64 = 140_000_000;
/// Half a megabyte beside an empty schema.
const ROOM_BYTES: u64 = 2_400_000;

/// Sends one error; the answer's status.
async fn send(house: &House, key: &str, error: &Value) -> u16 {
    house.post(&format!("/api/v1/errors?sentry_key={key}"), error).await.status
}

async fn dsn_key(house: &House) -> String {
    let found = house
        .state
        .store
        .read(|tx| tx.one("SELECT lower(hex(public_key)) FROM dsn_keys", [], |row| row.get::<_, String>(0)));
    found.await.map_err(|error: tocsin::store::Error| error).unwrap()
}

/// Runs a statement as a domain would have long ago.
async fn was(house: &House, sql: &'static str) {
    let long_ago = (START - 400 * DAY).as_micros();
    let write = house.state.store.write("test.was", move |tx| tx.execute(sql, [long_ago]));
    write.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_past_its_age_goes_whosever_it_is() {
    let house = House::open().await;
    was(&house, "INSERT INTO outcomes VALUES (0, ?1 / 3600000000, 'filtered', 'error', 1)").await;
    was(&house, "INSERT INTO outcomes VALUES (1, ?1 / 3600000000, 'filtered', 'error', 1)").await;
    was(&house, "INSERT INTO audit_log (at, actor, action, subject) VALUES (?1, 'a', 'b', 'c')").await;
    was(&house, "INSERT INTO issue_births VALUES (1, ?1 / 3600000000, 9)").await;
    was(&house, "INSERT INTO error_rate VALUES (1, ?1 / 10000000, 9, ?1)").await;
    was(
        &house,
        "INSERT INTO metric_points (id, project_id, type, value, at, received_at) VALUES (7, 1, 'x', 1, ?1, ?1)",
    )
    .await;
    was(&house, "INSERT INTO slow_points VALUES (1, 'database_query', ?1, 7, 2000)").await;
    was(
        &house,
        "INSERT INTO deploys (uid, project_id, release, environment, at, created_at)
         VALUES (randomblob(16), 1, 'r', 'e', ?1, ?1)",
    )
    .await;
    house.run("retention.age").await;
    let left = house.number(
        "SELECT (SELECT count(*) FROM outcomes) + (SELECT count(*) FROM issue_births)
             + (SELECT count(*) FROM error_rate) + (SELECT count(*) FROM metric_points)
             + (SELECT count(*) FROM slow_points) + (SELECT count(*) FROM deploys)
             + (SELECT count(*) FROM audit_log WHERE actor = 'a')",
    );
    assert_eq!(left.await, 0);
    assert!(house.number("SELECT count(*) FROM audit_log").await > 0, "what is young stays");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_byte_budget_is_kept_by_what_there_is_most_of() {
    let house = House::with(|config| {
        config.retention.bytes_max = LOG_BYTES + ROOM_BYTES;
        config.ingest.events_per_minute = 100_000;
        config.issues.sample_floor = 100_000;
    })
    .await;
    let key = dsn_key(&house).await;
    assert_eq!(send(&house, &key, &json!({"error_type": "Rare", "message": "once"})).await, 201);
    // Digits of a counter's hash do not compress away.
    for number in 0..250_u64 {
        let word = |at: u64| (number * 7919 + at).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string();
        let noise = (0..2_000).map(word).collect::<Vec<_>>().concat();
        let error = json!({"error_type": "Busy", "message": "often", "metadata": {"noise": noise}});
        assert_eq!(send(&house, &key, &error).await, 201);
    }
    house.run("retention.bytes").await;
    let evicted = house.number("SELECT sum(evicted) FROM issue_stats").await;
    assert!(evicted > 0, "{evicted}");
    assert_eq!(house.number("SELECT sum(stored + sampled + evicted) FROM issue_stats").await, 251);
    assert_eq!(house.number("SELECT sum(count) FROM issue_stats").await, 251);
    assert_eq!(house.number("SELECT count(*) FROM issue_stats WHERE count = 1 AND stored = 1").await, 1);
    let used = house.number(
        "SELECT (page_count - freelist_count) * page_size
         FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
    );
    assert!(used.await <= i64::try_from(ROOM_BYTES).unwrap());
    assert_eq!(send(&house, &key, &json!({"error_type": "Later", "message": "m"})).await, 201);
    house.run("store.give_back").await;
    let free = house.number("SELECT freelist_count FROM pragma_freelist_count").await;
    assert!(free <= 300, "{free} pages are still free");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_cannot_be_kept_rings_and_intake_rests() {
    let house = House::with(|config| config.retention.bytes_max = 1).await;
    let key = dsn_key(&house).await;
    let error = json!({"error_type": "E", "message": "m"});
    assert_eq!(send(&house, &key, &error).await, 201);
    assert!(house.run("retention.bytes").await.contains("retention.max_gb"));
    assert_eq!(send(&house, &key, &error).await, 503);
    let deploy = json!({"release": "1", "environment": "production"});
    assert_eq!(house.post(&format!("/api/v1/deploys?sentry_key={key}"), &deploy).await.status, 503);
    assert_eq!(house.number("SELECT count(*) FROM deploys").await, 0);
    house.run("self.watch").await;
    let open = "SELECT count(*) FROM witnesses JOIN incidents ON incidents.id = incident_id
                WHERE key = 'self:budget' AND incidents.severity = 'critical' AND incidents.state = 'open'";
    assert_eq!(house.number(open).await, 1);
    house.stop().await;
}
