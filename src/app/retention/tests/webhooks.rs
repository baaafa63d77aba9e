//! What goes of webhooks where there is no room.

use super::*;

/// Of each of 60 days a request that was delivered, one that died, and one that died and was dealt with, in this order.
async fn called(store: &Store) {
    let by = By::tocsin(NOON);
    store.write("project", move |tx| projects::ensure_default(tx, &by)).await.unwrap();
    // Numbers grow with time.
    let days = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 180),
        d (n, at, kind) AS (SELECT i, ?1 - (60 - (i - 1) / 3) * 86400000000 + 3600000000, i % 3 FROM n) INSERT INTO";
    let many = [
        "webhook_requests (id, uid, source_id, project_id, received_at, event_id, body_bytes)
         SELECT n, randomblob(16), 1, 1, at, n, 1 FROM d",
        "webhook_payloads (request_id, payload) SELECT n, randomblob(20000) FROM d",
        "webhook_deliveries (id, uid, request_id, destination_id, source_id, project_id, status, began_at,
             completed_at, settled_at)
         SELECT n, randomblob(16), n, 1, 1, 1, iif(kind = 1, 'completed', 'dead_letter'), at, iif(kind = 1, at, NULL),
             iif(kind = 0, at, NULL) FROM d",
        "webhook_attempts (delivery_id, number, cause, started_at, answer)
         SELECT n, 1, 'first', at, hex(randomblob(100)) FROM d",
        "webhook_source_points (source_id, at) SELECT 1, at FROM d WHERE kind = 1",
    ];
    let fill = move |tx: &WriteTx<'_>| {
        for sql in many {
            tx.execute(&format!("{days} {sql}"), [NOON.as_micros()])?;
        }
        Ok::<_, Error>(())
    };
    store.write("fill", fill).await.unwrap();
}

async fn text(store: &Store, sql: &'static str) -> String {
    store.read(move |tx| tx.one(sql, [], |row| row.get(0))).await.map_err(|error: Error| error).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_goes_first_and_what_died_last() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
    called(&store).await;
    let recent = store.read(RecentIds::load).await.map_err(|error: Error| error).unwrap();
    let full = letting_go(&store, recent.clone(), u64::MAX / 2).used().await.unwrap();

    // A little too much: payloads of what is done, or dealt with, and of what has been dead for long; the oldest.
    let with = letting_go(&store, recent.clone(), full);
    assert!(matches!(with.clone().bytes().await.unwrap(), Report::Did(_)));
    let payloads = "SELECT count(*) FROM webhook_payloads";
    assert!((1..180).contains(&number(&store, payloads).await) && !with.own.is_over_budget());
    assert_eq!(number(&store, "SELECT count(*) FROM webhook_requests").await, 180);

    // No room at all: what died within the last month is all that stays.
    let with = letting_go(&store, recent, 0);
    assert_eq!(with.clone().bytes().await.unwrap(), Report::Did(STUCK.to_owned()));
    let left = "SELECT count(*) || ' ' || min(status) || ' ' || max(status) || ' ' || count(settled_at)
                FROM webhook_deliveries CROSS JOIN webhook_payloads USING (request_id)
                    CROSS JOIN webhook_requests ON webhook_requests.id = request_id";
    assert_eq!(text(&store, left).await, "30 dead_letter dead_letter 0");
    for rows in [
        "SELECT count(*) FROM webhook_requests",
        "SELECT count(*) FROM webhook_deliveries",
        "SELECT count(*) FROM webhook_attempts",
    ] {
        assert_eq!(number(&store, rows).await, 30, "{rows}");
    }
    assert_eq!(number(&store, "SELECT count(*) FROM webhook_source_points").await, 1, "those of a day");
    store.stop();
}
