//! tocsin about itself: its own trouble rings, its health is told, its metrics are shown.

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::app::{first_words, send_test};
use tocsin::base::Timestamp;
use tocsin::config::BaseUrl;
use tocsin::lifecycle::StopReason;
use tocsin::lifecycle::control::{Answer, TestKind};
use tocsin::outbound::Method;
use tocsin::outbound::header::{self, HeaderMap, HeaderValue};
use tocsin::store::{Error, Options, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::support::{House, Peer, START, json, ring_at};

/// Nobody listens on a port that was just given back.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/hook", listener.local_addr().unwrap())
}

/// Severity and state of the newest incident of tocsin itself under this key.
async fn own_incident(house: &House, key: &str) -> Option<String> {
    let key = key.to_owned();
    let found = house.state.store.read(move |tx| {
        tx.first(
            "SELECT i.severity, i.state FROM incidents i JOIN witnesses w ON w.incident_id = i.id
             WHERE w.key = ?1 AND w.source = 'self' AND i.project_id IS NULL ORDER BY i.id DESC",
            [key],
            |row| Ok(format!("{} {}", row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
        )
    });
    found.await.map_err(|error: Error| error).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_that_is_stuck_rings_and_is_over_when_it_moves_again() {
    let house = House::with(|config| ring_at(config, &nobody())).await;
    house.run("self.watch").await;
    let sent = send_test(&house.state, house.address, TestKind::Error).await;
    assert!(matches!(sent, Answer::Sent { .. }), "{sent:?}");
    let stuck = |tx: &tocsin::store::WriteTx<'_>| {
        tx.insert(
            "INSERT INTO deliveries (uid, cause, purpose, severity, channel_id, content, state, created_at,
                                     next_attempt_at)
             SELECT randomblob(16), 'test', 'test', 'low', id, '{\"asked_by\":\"x\"}', 'pending', ?1, ?2
             FROM channels",
            [START.as_micros(), Timestamp::MAX.as_micros()],
        )
    };
    house.state.store.write("test.stuck", stuck).await.unwrap();
    // One recipient's mailbox that is full is no outbox that is stuck.
    let put_off = |tx: &tocsin::store::WriteTx<'_>| {
        tx.insert(
            "INSERT INTO deliveries (uid, cause, purpose, severity, channel_id, content, state, created_at,
                                     next_attempt_at, recipient, follows)
             SELECT randomblob(16), 'incident', 'opened', 'low', id, '{}', 'pending', ?1, ?2, 'a@example.com', 1
             FROM channels",
            [(START - Duration::from_hours(1)).as_micros(), Timestamp::MAX.as_micros()],
        )
    };
    house.state.store.write("test.put_off", put_off).await.unwrap();
    house.clock.advance(Duration::from_mins(9));
    house.run("self.watch").await;
    assert_eq!(own_incident(&house, "self:outbox").await, None);
    house.clock.advance(Duration::from_mins(2));
    house.run("self.watch").await;
    assert_eq!(own_incident(&house, "self:outbox").await.as_deref(), Some("high open"));
    assert_eq!(json(&house.get("/health", None).await), json!({ "status": "degraded" }));

    let moved = |tx: &tocsin::store::WriteTx<'_>| {
        tx.execute("UPDATE deliveries SET state = 'delivered' WHERE state = 'pending'", [])
    };
    house.state.store.write("test.moved", moved).await.unwrap();
    house.run("self.watch").await;
    house.clock.advance(Duration::from_mins(2));
    house.run("incidents.expire").await;
    assert_eq!(own_incident(&house, "self:outbox").await.as_deref(), Some("high resolved"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_answered_wherever_get_is() {
    let house = House::open().await;
    for path in ["/health/live", "/api/ping", "/", "/sign-in", "/static/nothing", "/api/v1/errors"] {
        let get = house.get(path, None).await;
        let head = house.send_with(Method::HEAD, path, HeaderMap::new(), Vec::new()).await;
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.headers.get("content-type"), get.headers.get("content-type"), "{path}");
        assert!(head.body.is_empty(), "{path}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_is_told_and_time_that_passes_is_not() {
    let house = House::open().await;
    house.run("self.watch").await;
    house.clock.advance(Duration::from_hours(5));
    house.run("self.watch").await;
    assert_eq!(own_incident(&house, "self:clock").await, None);
    house.clock.set(START);
    house.run("self.watch").await;
    assert_eq!(own_incident(&house, "self:clock").await.as_deref(), Some("medium open"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rule_about_tocsin_itself_can_be_off() {
    let house = House::open().await;
    let off = |tx: &tocsin::store::WriteTx<'_>| {
        tx.insert(
            "INSERT INTO rules (kind, enabled, severity, updated_at) VALUES ('self_trouble', 0, 'high', 0)",
            [],
        )
    };
    house.state.store.write("test.rule", off).await.unwrap();
    house.run("self.watch").await;
    house.clock.set(START + Duration::from_hours(1));
    house.run("self.watch").await;
    assert_eq!(own_incident(&house, "self:clock").await, None);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_see_the_status_alone_and_a_token_sees_the_parts() {
    let house = House::open().await;
    house.run("self.watch").await;
    let token = house.token("read").await;
    for path in
        ["/health", "/health/ready", "/health/startup", "/health/live", "/api/health", "/api/health/detailed"]
    {
        let answer = house.get(path, None).await;
        assert_eq!((answer.status, json(&answer)), (200, json!({ "status": "healthy" })), "{path}");
    }
    let whole = json(&house.get("/health", Some(&token)).await);
    let names: Vec<_> = whole["parts"].as_array().unwrap().iter().map(|part| part["name"].clone()).collect();
    assert_eq!(names, ["store", "disk", "outbox", "tasks", "intake"]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_no_services_the_watched_are_healthy_and_nothing_is_invented() {
    let house = House::open().await;
    let token = house.token("read").await;
    for path in ["/api/health", "/api/health/detailed"] {
        let answer = house.get(path, Some(&token)).await;
        let body = json(&answer);
        assert_eq!(answer.status, 200);
        assert_eq!((&body["status"], &body["services"]), (&json!("healthy"), &json!({})), "{path}");
        assert_eq!(body["timestamp"], json!(START));
        assert_eq!(body["version"], env!("CARGO_PKG_VERSION"));
        for name in ["response_time_ms", "active_users", "queue_depth", "error_rate"] {
            assert_eq!(body["metrics"].get(name), Some(&Value::Null), "{name}");
            assert!(body["metric_sources"][name].is_string(), "{name}");
        }
    }
    let unknown = house.get("/api/health/payments", Some(&token)).await;
    assert_eq!((unknown.status, &json(&unknown)["status"]), (404, &json!(404)));
    assert!(json(&unknown)["request_id"].is_string());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_intake_rests_and_reading_goes_on() {
    let house = House::open().await;
    let words = first_words(&house.state).await.unwrap();
    let path = format!("/api/v1/errors?sentry_key={}", words.public_key);
    let error = json!({ "error_type": "E", "message": "m" });
    assert_eq!(house.post(&path, &error).await.status, 201);
    house.state.own.set_disk_full(true);
    let refused = house.post(&path, &error).await;
    assert_eq!(refused.status, 503);
    assert!(refused.retry_after.is_some());
    let ready = house.get("/health/ready", None).await;
    assert_eq!((ready.status, json(&ready)), (200, json!({ "status": "degraded" })));
    // There is room here: the next look notices.
    house.run("self.watch").await;
    assert_eq!(house.post(&path, &error).await.status, 201);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_read_only_disk_nothing_is_taken_it_is_told_and_reading_goes_on() {
    let house = House::open().await;
    let token = house.token("read").await;
    let words = first_words(&house.state).await.unwrap();
    let path = format!("/api/v1/errors?sentry_key={}", words.public_key);
    let error = json!({ "error_type": "E", "message": "m" });
    assert_eq!(house.post(&path, &error).await.status, 201);
    // Of the writer's connection: from here on it refuses to begin, as it does where the disk is read-only.
    let refuse = |tx: &tocsin::store::WriteTx<'_>| {
        Ok::<_, Error>(tx.connection().pragma_update(None, "query_only", true)?)
    };
    house.state.store.write("test.read_only", refuse).await.unwrap();
    let refused = house.post(&path, &error).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(
        refused.retry_after.is_some() && refused.text().contains("takes no writes"),
        "{}",
        refused.text()
    );
    // The look cannot write what it sees, and tells it from memory.
    house.state.engine.run_now("self.watch").await.unwrap().ok();
    let health = json(&house.get("/health", Some(&token)).await);
    assert_eq!(health["status"], "unhealthy");
    assert!(health.to_string().contains("mount it writable again"), "{health}");
    let issues = json(&house.get("/api/v1/issues", Some(&token)).await);
    assert_eq!(issues["items"].as_array().unwrap().len(), 1, "what is stored can be read");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_came_and_what_runs() {
    let house = House::open().await;
    let words = first_words(&house.state).await.unwrap();
    let path = format!("/api/v1/errors?sentry_key={}", words.public_key);
    let event = json!({ "message": "m", "event_id": "0123456789abcdef0123456789abcdef" });
    for _ in 0..2 {
        house.post(&path, &event).await;
    }
    house.run("self.watch").await;
    let answer = house.get("/metrics", None).await;
    assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    let text = answer.text();
    for line in [
        "tocsin_events_total{outcome=\"stored\"} 1",
        "tocsin_events_total{outcome=\"duplicate\"} 1",
        "tocsin_task_runs_total{task=\"self.watch\"} 1",
        "tocsin_lane_depth{lane=\"events\"} 0",
        "tocsin_cache_hits_total{cache=\"keys\"} 1",
        "tocsin_outbox_oldest_age_seconds 0",
        "tocsin_incidents_open{severity=\"critical\"} 0",
        "tocsin_not_kept_last_day{category=\"error\",reason=\"duplicate\"} 1",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line:?} is missing:\n{text}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_others_reach_tocsin_metrics_need_a_token_from_everywhere() {
    let house = House::with(|config| {
        config.server.base_url = Some(BaseUrl::parse("https://tocsin.example.com").unwrap());
    })
    .await;
    let refused = house.get("/metrics", None).await;
    assert_eq!(refused.status, 401);
    assert!(refused.text().contains("a token with the scope metrics"), "{}", refused.text());
    let token = house.token("metrics").await;
    assert_eq!(house.get("/metrics", Some(&token)).await.status, 200);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_cannot_be_read_is_refused_in_the_frame_of_a_page() {
    let house = House::open().await;
    let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("text/html"))]);
    let page = house.send_with(Method::GET, "/sign-in?next=/&next=/", headers, Vec::new()).await;
    assert_eq!(page.status, 400);
    let text = page.text();
    assert!(text.contains("<html") && text.contains("This address cannot be read"), "{text}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_method_is_told_in_the_words_of_its_path() {
    let house = House::open().await;
    for (path, media_type) in [
        ("/api/1/envelope/", "application/json"),
        ("/api/1/store", "application/json"),
        ("/api/v1/errors", "application/problem+json"),
        ("/api/v1/metrics", "application/problem+json"),
        ("/api/v1/deploys", "application/problem+json"),
    ] {
        let answer = house.send_with(Method::PUT, path, HeaderMap::new(), Vec::new()).await;
        assert_eq!(answer.status, 405, "{path}");
        assert_eq!(answer.headers["content-type"], media_type, "{path}");
        assert_eq!(answer.headers["access-control-allow-origin"], "*", "{path}");
        assert_eq!(json(&answer)["detail"], "PUT is not possible here: send POST.", "{path}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_error_goes_through_the_real_door_and_is_found_again() {
    let house = House::open().await;
    let Answer::Sent { items } = send_test(&house.state, house.address, TestKind::Error).await else {
        panic!("nothing was sent");
    };
    assert!(items[0].ok && items[0].text.contains("project default"), "{items:?}");
    assert_eq!(house.number("SELECT count(*) FROM events").await, 1);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_message_says_where_it_arrived_or_why_not() {
    let house = House::open().await;
    let none = send_test(&house.state, house.address, TestKind::Email).await;
    assert!(matches!(&none, Answer::Refused { text } if text.contains("TOCSIN_SMTP__HOST")), "{none:?}");
    house.stop().await;

    let peer = Peer::answering(200);
    let house = House::with(|config| ring_at(config, &peer.url)).await;
    let Answer::Sent { items } = send_test(&house.state, house.address, TestKind::Alert).await else {
        panic!("nothing was sent");
    };
    assert!(items.len() == 1 && items[0].ok, "{items:?}");
    assert_eq!(peer.received().len(), 1);
    house.stop().await;

    let house = House::with(|config| ring_at(config, &nobody())).await;
    let Answer::Sent { items } = send_test(&house.state, house.address, TestKind::Alert).await else {
        panic!("nothing was sent");
    };
    assert!(!items[0].ok && !items[0].text.is_empty(), "{items:?}");
    let left = house.number("SELECT count(*) FROM deliveries WHERE state IN ('pending', 'sending')").await;
    assert_eq!(left, 0, "a test that failed is not sent tomorrow");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_words_hold_a_dsn_that_works_and_a_link_while_there_is_no_user() {
    let house = House::open().await;
    let words = first_words(&house.state).await.unwrap();
    assert_eq!(words.project, "default");
    assert_eq!(words.dsn, format!("http://{}@{}/1", words.public_key, house.address));
    assert!(words.link.is_some());
    let again = first_words(&house.state).await.unwrap();
    assert_eq!(again.public_key, words.public_key, "one key is enough");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_errors_can_be_asked_for_in_sql() {
    let house = House::open().await;
    let words = first_words(&house.state).await.unwrap();
    let reported = json!({
        "error_type": "PaymentError", "message": "card refused", "context": { "cart": 3 },
        "severity": "critical", "user_id": "u-7", "metadata": { "attempt": 2 }, "stack_trace": "at pay (shop.js:9)",
        "event_id": "0123456789abcdef0123456789abcdef",
    });
    let taken = house.post(&format!("/api/v1/errors?sentry_key={}", words.public_key), &reported).await;
    assert_eq!(taken.status, 201, "{}", taken.text());
    let row: Vec<Option<String>> = house
        .state
        .store
        .read(|tx| {
            tx.one(
                "SELECT id, error_type, message, context, severity, user_id, metadata, stack_trace, created_at
                 FROM system_errors",
                [],
                |row| (0..9).map(|at| row.get(at)).collect(),
            )
        })
        .await
        .map_err(|error: Error| error)
        .unwrap();
    let row: Vec<&str> = row.iter().map(|cell| cell.as_deref().unwrap()).collect();
    assert_eq!(
        row[..6],
        [
            "0123456789abcdef0123456789abcdef",
            "PaymentError",
            "card refused",
            "{\"cart\":3}",
            "critical",
            "u-7"
        ]
    );
    assert_eq!(serde_json::from_str::<Value>(row[6]).unwrap()["attempt"], 2);
    assert_eq!(row[7..], ["at pay (shop.js:9)", "2027-01-15 08:00:00.000"]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_metrics_can_be_asked_for_in_sql() {
    let house = House::open().await;
    let key = first_words(&house.state).await.unwrap().public_key;
    let reported = json!({ "type": "database_query", "value": 1500.5, "metadata": { "query": "SELECT 1" } });
    let taken = house.post(&format!("/api/v1/metrics?sentry_key={key}"), &reported).await;
    assert_eq!(taken.status, 201, "{}", taken.text());
    let row = "SELECT type || '|' || value || '|' || (metadata ->> '$.query') || '|' || created_at
               FROM system_metrics WHERE id > 0";
    assert_eq!(house.text(row).await, "database_query|1500.5|SELECT 1|2027-01-15 08:00:00.000");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_ends_by_itself_ends_the_process_as_a_failure() {
    let house = House::open().await;
    // Nothing else ends it from outside; to those around it a fault looks the same.
    house.state.store.stop();
    let reason = house.asks_to_stop().await;
    assert_eq!(reason, StopReason::TaskEnded("store writer"));
    assert!(reason.is_failure());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_turned_away_last_stands_in_the_ledger_after_a_stop() {
    let house = House::open().await;
    assert_eq!(house.post("/api/v1/errors", &json!({ "message": "m" })).await.status, 401);
    let folder = house.stop().await;
    let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
    let refused =
        store.read_now(|tx| tx.one("SELECT sum(quantity) FROM outcomes", [], |row| row.get::<_, i64>(0)));
    assert_eq!(refused.map_err(|error: Error| error).unwrap(), 1);
    store.stop();
}

/// One request on a connection that stays open, and the head of its answer; nothing where the server closed it.
async fn ask_on(connection: &mut TcpStream) -> String {
    // A connection that was closed may refuse this, or take it and answer nothing.
    let asked = connection.write_all(b"GET /api/ping HTTP/1.1\r\nhost: tocsin\r\n\r\n").await;
    let mut answer = Vec::new();
    while asked.is_ok() && !answer.ends_with(b"}") {
        let mut part = [0; 4096];
        match connection.read(&mut part).await {
            Ok(0) | Err(_) => break,
            Ok(count) => answer.extend(&part[..count]),
        }
    }
    String::from_utf8(answer).unwrap().to_lowercase()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_nobody_in_and_answers_who_is_connected() {
    let house = House::open().await;
    let mut connected = TcpStream::connect(house.address).await.unwrap();
    let answer = ask_on(&mut connected).await;
    assert!(answer.starts_with("http/1.1 200") && !answer.contains("connection: close"), "{answer}");
    house.begin_stop();
    loop {
        let answer = ask_on(&mut connected).await;
        assert!(answer.starts_with("http/1.1 200"), "it was cut off: {answer:?}");
        if answer.contains("connection: close") {
            break;
        }
    }
    assert!(
        TcpStream::connect(house.address).await.is_err(),
        "the door is shut before anybody is told to leave"
    );
    assert_eq!(connected.read(&mut [0]).await.unwrap(), 0, "the connection ends as it was told");
    house.stop().await;
}
