//! Times in which tocsin did not run: nobody else is blamed for them, and what changes meanwhile is seen at once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tocsin::base::Timestamp;
use tocsin::outbound::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tocsin::outbound::{Method, Response};
use tocsin::store::{Error, Options, ReadTx, Store, WriteTx};
use tocsin::vigil;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::support::{House, json};

const MINUTE: Duration = Duration::from_mins(1);
const PATIENCE: Duration = Duration::from_secs(20);

async fn call(house: &House, token: &str, method: Method, path: &str, body: Value) -> Response {
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
    let answer =
        house.send_with(method, &format!("/api/v1{path}"), headers, body.to_string().into_bytes()).await;
    assert!(answer.status < 300, "{path}: {}", answer.text());
    answer
}

/// A heartbeat's id, and where it is pinged.
struct Job {
    id: String,
    ping: String,
}

/// A job that runs every ten minutes, and did so just now.
async fn watched() -> (House, String, Job) {
    let house = House::open().await;
    let token = house.token("read,write,admin").await;
    let job = json!({"project": "default", "slug": "sync", "every": "10m", "grace": "1m"});
    let made = call(&house, &token, Method::POST, "/heartbeats", job).await;
    let made = json(&made);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let url = text("ping_url");
    let job = Job { id: text("id"), ping: url[url.find("/ping/").unwrap()..].to_owned() };
    let pinged = house.send_with(Method::GET, &job.ping, HeaderMap::new(), Vec::new()).await;
    assert_eq!(pinged.status, 200);
    (house, token, job)
}

async fn mark_alive(house: &House) {
    let now = house.clock.now();
    let mark = move |tx: &WriteTx<'_>| vigil::mark_alive(tx, now);
    house.state.store.write("test.alive", mark).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_could_not_be_heard_while_the_machine_slept_rings_nobody() {
    let (house, ..) = watched().await;
    mark_alive(&house).await;
    house.clock.set(house.clock.now() + 12 * MINUTE);
    // Whoever looks first notices the gap, and writes it down before anybody is judged.
    house.run("heartbeats.due").await;
    let spells =
        "SELECT count(*) FROM blind_spells WHERE reason = 'suspended' AND ended_at - began_at = 720000000";
    assert_eq!(house.number(spells).await, 1);
    house.run("vigil.alive").await;
    assert_eq!(house.number("SELECT count(*) FROM blind_spells").await, 1, "it is noticed once");
    for _ in 0..9 {
        house.clock.advance(MINUTE);
        mark_alive(&house).await;
        house.run("heartbeats.due").await;
    }
    assert_eq!(house.text("SELECT status FROM heartbeat_states").await, "up");
    let rung = "SELECT count(*) FROM witnesses WHERE key LIKE 'heartbeat:%'";
    assert_eq!(house.number(rung).await, 0);
    // A job that stays away although it could be heard is missed.
    for _ in 0..20 {
        house.clock.advance(MINUTE);
        mark_alive(&house).await;
        house.run("heartbeats.due").await;
    }
    assert_eq!(house.text("SELECT status FROM heartbeat_states").await, "down");
    assert_eq!(house.number(rung).await, 1);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn that_pings_are_refused_is_on_disk_from_the_first_moment() {
    let (house, ..) = watched().await;
    mark_alive(&house).await;
    let began = house.clock.now();
    house.state.own.set_disk_full(true);
    for _ in 0..3 {
        house.run("heartbeats.due").await;
        house.clock.advance(MINUTE);
        mark_alive(&house).await;
    }
    let open = "SELECT began_at FROM blind_spells WHERE reason = 'full' AND ended_at IS NULL";
    assert_eq!(house.number(open).await, began.as_micros(), "a restart must know of it");
    house.state.own.set_disk_full(false);
    house.run("heartbeats.due").await;
    let over = "SELECT ended_at - began_at FROM blind_spells WHERE reason = 'full'";
    assert_eq!(house.number(over).await, 180_000_000);
    house.run("heartbeats.due").await;
    assert_eq!(house.number("SELECT count(*) FROM blind_spells").await, 1);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_orderly_stop_blindness_begins_at_the_stop() {
    let (house, ..) = watched().await;
    house.clock.advance(Duration::from_secs(25));
    let stopped = house.clock.now();
    let folder = house.stop().await;
    let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
    let alive = store.read(|tx: &ReadTx<'_>| vigil::last_alive(tx)).await;
    let alive: Option<Timestamp> = alive.map_err(|error: Error| error).unwrap();
    assert_eq!(alive, Some(stopped));
    store.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_a_service_is_seen_without_waiting_for_the_schedule() {
    let (house, token, job) = watched().await;
    let Job { id, ping } = job;
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    for (_, running) in house.state.engine.loops(&stop) {
        tasks.spawn(running);
    }
    // No schedule comes due: the clock stands still from here on.
    let sees = async |what: &str, wanted: Value| {
        let given_up = Instant::now() + PATIENCE;
        loop {
            let shown = json(&house.get("/api/health", Some(&token)).await);
            if shown["services"].get("jobs").unwrap_or(&Value::Null) == &wanted
                || shown["services"]["jobs"]["status"] == wanted && !wanted.is_null()
            {
                return;
            }
            assert!(Instant::now() < given_up, "{what}: {shown}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    sees("there is none", Value::Null).await;
    let service = json!({"key": "jobs", "project": "default", "critical": true, "members": ["default/sync"]});
    call(&house, &token, Method::POST, "/services", service).await;
    sees("it was made", json!("healthy")).await;
    call(&house, &token, Method::POST, &format!("/heartbeats/{id}/pause"), json!({})).await;
    sees("its only member was paused", json!("unknown")).await;
    call(&house, &token, Method::POST, &format!("/heartbeats/{id}/resume"), json!({})).await;
    house.send_with(Method::GET, &format!("{ping}/fail"), HeaderMap::new(), Vec::new()).await;
    sees("its only member failed", json!("unhealthy")).await;
    call(&house, &token, Method::DELETE, "/services/jobs", Value::Null).await;
    sees("it was removed", Value::Null).await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    house.stop().await;
}
