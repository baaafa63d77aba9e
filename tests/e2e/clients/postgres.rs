//! PostgreSQL, well and broken.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    asker::Eye, asker::PATIENCE, certificates::Certificates, database::Postgres, peer::Peer,
};

const SECRETS: &[(&str, &str)] = &[("password", Postgres::PASSWORD)];
/// Longer than any question of this file may take beside its own time limit.
const SLACK: Duration = Duration::from_secs(3);

fn query(server: &Postgres, query: &str) -> Value {
    json!({"kind": "postgres", "url": server.url(""), "query": query})
}

fn table(server: &Postgres, table: &str, column: Option<&str>) -> Value {
    json!({"kind": "postgres", "url": server.url(""), "table": table, "time_column": column})
}

#[tokio::test]
async fn a_database_is_asked_for_rows_of_all_types_and_for_tables() {
    let server = Postgres::start(None);
    let eye = Eye::new(None);
    let all = "SELECT 1 AS one, 2.5::numeric AS price, 'x' AS name, true AS ok, now() AS at, ARRAY[1,2] AS list,
        '{\"a\":{\"b\":3}}'::jsonb AS doc, NULL AS nothing, '10.0.0.1'::inet AS ip, 9e18::bigint AS large -- end";
    let look = eye.ask(query(&server, all), SECRETS).await;
    look.holds(&[
        "rows == 1",
        "result.one == 1",
        "result.price == 2.5",
        "result.name == 'x'",
        "result.ok == true",
        "age(result.at) < 5m",
        "length(result.list) == 2",
        "result.doc.a.b == 3",
        "result.nothing == null",
        "result.ip == '10.0.0.1'",
        "result.large > 8000000000000000000",
        "time.query < 5s",
        "time.connect < 5s",
        "time.total < 10s",
    ]);
    assert!(look.seen.phases.answer.is_some() && look.seen.sample.body.contains("price"));
    eye.ask(json!({"kind": "postgres", "url": server.url("")}), SECRETS).await.holds(&["rows == 1"]);

    let began = Instant::now();
    let endless = "SELECT generate_series(1, 100000000000) AS n;";
    eye.ask(query(&server, endless), SECRETS).await.holds(&["rows == 1000", "result.n == 1"]);
    assert!(began.elapsed() < SLACK);
    let none = eye.ask(query(&server, "SELECT 1 WHERE false"), SECRETS).await;
    none.holds(&["rows == 0", "result.x not exists"]);
    tables(&server, &eye).await;
    nothing_is_changed(&server, &eye).await;
}

async fn tables(server: &Postgres, eye: &Eye) {
    server.run(
        "CREATE TABLE orders (id int, at timestamptz, naive timestamp, day date, seconds bigint, millis bigint, note text);
         INSERT INTO orders SELECT n, now() - n * interval '1 minute', now() AT TIME ZONE 'UTC' - n * interval '1 minute',
             (now() AT TIME ZONE 'UTC')::date, extract(epoch FROM now()) - n * 60, extract(epoch FROM now()) * 1000 - n * 60000
             FROM generate_series(10, 12) AS n;
         CREATE SCHEMA \"odd one\"; CREATE TABLE \"odd one\".\"Orders\" (id int);
         CREATE TABLE large AS SELECT n FROM generate_series(1, 200000) AS n; ANALYZE large;
         GRANT USAGE ON SCHEMA \"odd one\" TO shop; GRANT SELECT ON ALL TABLES IN SCHEMA public, \"odd one\" TO shop",
    );
    for column in ["at", "naive", "seconds", "millis"] {
        let look = eye.ask(table(server, "public.orders", Some(column)), SECRETS).await;
        look.holds(&["table.exists", "table.rows == 3", "newest_row.age > 9m", "newest_row.age < 15m"]);
        look.breaks("table.rows >= 1000", "table.rows was 3");
        look.breaks("newest_row.age < 5m", "newest_row.age was");
    }
    eye.ask(table(server, "orders", Some("day")), SECRETS).await.holds(&["newest_row.age < 25h"]);
    let empty = eye.ask(table(server, "odd one.Orders", None), SECRETS).await;
    empty.holds(&["table.exists", "table.rows == 0", "newest_row.age not exists"]);
    let look = eye.ask(table(server, "large", None), SECRETS).await;
    look.holds(&["table.rows > 150000", "table.rows < 250000"]);
    let said = format!("{:?}", look.seen.sample.lines);
    assert!(said.contains("estimated by the server"), "{said}");

    let missing = eye.ask(table(server, "orders; DROP TABLE orders", None), SECRETS).await;
    missing.holds(&["not table.exists", "table.rows not exists"]);
    missing.breaks("table.exists", "table.exists was false");
    eye.ask(table(server, "orders", Some("no_such")), SECRETS).await.fails_with("no column “no_such”");
    eye.ask(table(server, "orders", Some("note")), SECRETS).await.fails_with("is of type text");
}

async fn nothing_is_changed(server: &Postgres, eye: &Eye) {
    server.run("GRANT ALL ON orders TO shop; CREATE SEQUENCE counter; GRANT ALL ON counter TO shop");
    for (statement, words) in [
        ("WITH gone AS (DELETE FROM orders RETURNING 1) SELECT * FROM gone", "top level"),
        ("SELECT nextval('counter')", "read-only transaction"),
        ("SELECT 1) AS x; DROP TABLE orders; SELECT (1", "multiple commands"),
        ("SELECT 1) AS asked; COMMIT; DELETE FROM orders; --", "syntax error"),
        ("SELECT set_config('transaction_read_only', 'off', false)", "read-write mode must be set before"),
    ] {
        let reason = eye.ask(query(server, statement), SECRETS).await.reason();
        assert!(reason.contains(words), "{statement}: {reason}");
    }
    assert_eq!(server.run("SELECT count(*) FROM orders"), "3");
}

#[tokio::test]
async fn a_broken_database_says_what_is_wrong_and_costs_no_more_than_its_limits() {
    let server = Postgres::start(None);
    let eye = Eye::new(None);
    let wrong = eye.ask(query(&server, "SELECT 1"), &[("password", "wrong-one")]).await;
    wrong.fails_with("password authentication failed for user \"shop\" (28P01)");
    assert!(!wrong.reason().contains("wrong-one"));
    let elsewhere = server.url("").trim_end_matches("shop").to_owned() + "nowhere";
    let target = json!({"kind": "postgres", "url": elsewhere});
    eye.ask(target, SECRETS).await.fails_with("database \"nowhere\" does not exist (3D000)");
    eye.ask(query(&server, "SELECT * FROM nowhere"), SECRETS)
        .await
        .fails_with("\"nowhere\" does not exist (42P01)");
    eye.ask(query(&server, "SELECT 1 +"), SECRETS).await.fails_with("syntax error");
    let encrypted = json!({"kind": "postgres", "url": server.url("?sslmode=require")});
    eye.ask(encrypted, SECRETS).await.fails_with("TLS: the server does not encrypt");
    let huge = eye.ask(query(&server, "SELECT repeat('x', 3000000) AS x"), SECRETS).await;
    huge.fails_with("more than is read");
    server.run("ALTER ROLE shop CONNECTION LIMIT 0");
    eye.ask(query(&server, "SELECT 1"), SECRETS).await.fails_with("too many connections for role");
    server.run("ALTER ROLE shop CONNECTION LIMIT -1; ALTER DATABASE shop CONNECTION LIMIT 0");
    eye.ask(query(&server, "SELECT 1"), SECRETS).await.fails_with("too many connections for database");
    server.run("ALTER DATABASE shop CONNECTION LIMIT -1");
    slow_queries(&server, &eye).await;

    let port = server.daemon.port;
    drop(server);
    let target = json!({"kind": "postgres", "url": format!("postgres://shop@127.0.0.1:{port}/shop")});
    let gone = eye.ask(target, &[]).await;
    gone.fails_with("connection refused");
    assert!(!gone.seen.failed.unwrap().may_be_ours);
    let peer = Peer::start(&[]);
    let target = json!({"kind": "postgres", "url": peer.url("/shop").replace("http://", "postgres://shop@")});
    eye.ask_within(Duration::from_secs(2), target, &[]).await.reason();
}

async fn slow_queries(server: &Postgres, eye: &Eye) {
    let began = Instant::now();
    let limit = Duration::from_secs(1);
    let slow = eye.ask_within(limit, query(server, "SELECT pg_sleep(30)"), SECRETS).await;
    slow.fails_with("answer: the query did not end within the time limit of 1s");
    assert!(!slow.seen.failed.as_ref().unwrap().may_be_ours && began.elapsed() < limit + SLACK);
    let running =
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND pid <> pg_backend_pid()";
    assert_eq!(server.run(running), "0", "the server does not go on with it");

    server.daemon.freeze();
    let frozen = eye.ask_within(limit, query(server, "SELECT 1"), SECRETS).await;
    server.daemon.thaw();
    frozen.fails_with("nothing came within 1s");
    eye.ask(query(server, "SELECT 1"), SECRETS).await.holds(&["rows == 1"]);
}

#[tokio::test]
async fn encryption_is_what_libpq_means_by_its_modes() {
    let certificates = Certificates::for_localhost();
    let server = Postgres::start(Some(&certificates));
    let (trusting, strange) = (Eye::new(Some(&certificates.authority)), Eye::new(None));
    let target = |host: &str, mode: &str| {
        let url = server.url(&format!("?sslmode={mode}")).replace("127.0.0.1", host);
        json!({"kind": "postgres", "url": url, "query": "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"})
    };
    for (mode, host, encrypted) in [
        ("disable", "127.0.0.1", false),
        ("prefer", "127.0.0.1", true),
        ("require", "127.0.0.1", true),
        ("verify-ca", "127.0.0.1", true),
        ("verify-full", "localhost", true),
    ] {
        let look = trusting.ask(target(host, mode), SECRETS).await;
        look.holds(&[&format!("result.ssl == {encrypted}")]);
        assert_eq!(look.seen.phases.tls.is_some(), encrypted, "{mode}");
    }
    trusting.ask(target("127.0.0.1", "verify-full"), SECRETS).await.fails_with("names another server");
    strange
        .ask(target("localhost", "require"), SECRETS)
        .await
        .holds(&["result.ssl == true", "time.tls < 5s"]);
    for mode in ["verify-ca", "verify-full"] {
        strange.ask(target("localhost", mode), SECRETS).await.fails_with("TLS: nobody who is trusted here");
    }

    server.insist_on_encryption();
    trusting.ask(target("localhost", "require"), SECRETS).await.holds(&["result.ssl == true"]);
    // The server takes the new rules in a moment after it was told.
    let began = Instant::now();
    let refused = loop {
        let look = trusting.ask(target("localhost", "disable"), SECRETS).await;
        if look.seen.failed.is_some() || began.elapsed() > PATIENCE {
            break look;
        }
    };
    refused.fails_with("no pg_hba.conf entry for host \"127.0.0.1\"");
    refused.fails_with("no encryption");
}
