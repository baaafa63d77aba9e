//! Pings, check-ins, the JSON API of heartbeats, and what follows when nothing comes.

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::accounts::keys::{self, KeySettings};
use tocsin::accounts::{By, KeyKind, PublicKey};
use tocsin::base::ProjectId;
use tocsin::outbound::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tocsin::outbound::{Method, Response};
use tocsin::store::WriteTx;
use tocsin::vigil;

use super::support::{House, json};

const MINUTE: Duration = Duration::from_mins(1);

impl House {
    async fn ask(&self, method: Method, path: &str, token: &str, body: Value) -> Response {
        let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.send_with(method, path, headers, body).await
    }

    /// A heartbeat made through the API; answers its id.
    async fn heartbeat(&self, token: &str, body: Value) -> String {
        let made = self.ask(Method::POST, "/api/v1/heartbeats", token, body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        json(&made)["id"].as_str().unwrap().to_owned()
    }

    /// Where it is pinged.
    async fn ping_path(&self, token: &str, id: &str) -> String {
        let url = self.shown(token, id).await["ping_url"].as_str().unwrap().to_owned();
        url[url.find("/ping/").unwrap()..].to_owned()
    }

    async fn ping_key(&self, token: &str) -> String {
        let shown = self.ask(Method::GET, "/api/v1/projects/default/ping-key", token, Value::Null).await;
        json(&shown)["key"].as_str().unwrap_or_else(|| panic!("{}", shown.text())).to_owned()
    }

    async fn ping(&self, method: Method, path: &str, body: &str) -> Response {
        self.send_with(method, path, HeaderMap::new(), body.as_bytes().to_vec()).await
    }

    async fn dsn_key(&self, kind: KeyKind, events_per_minute: u32) -> PublicKey {
        let (by, entropy) = (By::command_line(self.clock.now()), self.state.entropy.clone());
        let settings =
            KeySettings { events_per_minute: Some(events_per_minute), ..KeySettings::new(kind, "test") };
        let write = move |tx: &WriteTx<'_>| keys::create(tx, &by, &entropy, ProjectId(1), &settings);
        self.state.store.write("test.key", write).await.unwrap().public_key
    }

    async fn shown(&self, token: &str, named: &str) -> Value {
        let shown = self.ask(Method::GET, &format!("/api/v1/heartbeats/{named}"), token, Value::Null).await;
        assert_eq!(shown.status, 200, "{named}: {}", shown.text());
        json(&shown)
    }

    /// As if tocsin had been awake all the time.
    async fn wait(&self, time: Duration) {
        self.clock.advance(time);
        let now = self.clock.now();
        let mark = move |tx: &WriteTx<'_>| vigil::mark_alive(tx, now);
        self.state.store.write("test.alive", mark).await.unwrap();
    }

    async fn runs(&self, token: &str, id: &str) -> Vec<Value> {
        let shown = self.ask(Method::GET, &format!("/api/v1/heartbeats/{id}/runs"), token, Value::Null).await;
        json(&shown)["items"].as_array().unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_are_answered_as_healthchecks_documents() {
    let house = House::open().await;
    let token = house.token("read,write,admin").await;
    let id = house.heartbeat(&token, json!({"project": "default", "slug": "job"})).await;
    let ping = house.ping_path(&token, &id).await;
    let key = house.ping_key(&token).await;
    let unknown = "11111111-2222-4333-8444-555555555555";
    for (method, path, status, text) in [
        (Method::GET, ping.clone(), 200, "OK"),
        (Method::POST, format!("{ping}/"), 200, "OK"),
        (Method::GET, format!("{ping}/start"), 200, "OK"),
        (Method::POST, format!("/ping/{key}/job/fail"), 200, "OK"),
        (Method::GET, format!("/ping/{key}/job/log/"), 200, "OK"),
        (Method::GET, format!("/ping/{key}/job/0?rid={unknown}"), 200, "OK"),
        (Method::GET, ping.to_uppercase().replace("/PING/", "/ping/"), 200, "OK"),
        (Method::GET, format!("/ping/{unknown}"), 404, "not found"),
        (Method::GET, format!("/ping/{key}/nothing"), 404, "not found"),
        (Method::GET, "/ping/wrong-key/job".to_owned(), 404, "not found"),
        (Method::GET, "/ping/wrong-key/job?create=1".to_owned(), 404, "not found"),
        (Method::GET, format!("{ping}/256"), 400, "invalid url format"),
        (Method::GET, format!("/ping/{key}/Job"), 400, "invalid url format"),
        (Method::GET, "/ping/".to_owned(), 400, "invalid url format"),
        (Method::GET, format!("{ping}?rid=7"), 400, "invalid uuid format"),
        (Method::GET, format!("/ping/{key}/fresh?create=1"), 201, "Created"),
        (Method::GET, format!("/ping/{key}/fresh?create=1"), 200, "OK"),
        (Method::GET, format!("/ping/{key}/fresh"), 200, "OK"),
        (Method::PUT, ping.clone(), 405, "send GET, HEAD or POST"),
        (Method::DELETE, ping.clone(), 405, "send GET, HEAD or POST"),
    ] {
        let answer = house.ping(method.clone(), &path, "").await;
        assert_eq!((answer.status, &*answer.text()), (status, text), "{method} {path}");
        let header = |name: &str| answer.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("ping-body-limit").as_deref(), Some("10000"), "{path}");
        assert_eq!(header("access-control-allow-origin").as_deref(), Some("*"), "{path}");
        assert_eq!(header("cache-control").as_deref(), Some("no-store"), "{path}");
        assert!(header("content-type").unwrap().starts_with("text/plain"), "{path}");
    }
    let head = house.ping(Method::HEAD, &ping, "").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(house.shown(&token, "default/fresh").await["owner"], "ping");
    // A new key takes the old one's place at once.
    house.ask(Method::POST, "/api/v1/projects/default/ping-key", &token, Value::Null).await;
    assert_eq!(house.ping(Method::GET, &format!("/ping/{key}/job"), "").await.status, 404);
    let renewed = house.ping_key(&token).await;
    assert_eq!(house.ping(Method::GET, &format!("/ping/{renewed}/job"), "").await.status, 200);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_exit_status_is_told_from_every_other() {
    let house = House::open().await;
    let token = house.token("read,write,admin").await;
    let id = house.heartbeat(&token, json!({"project": "default", "slug": "job"})).await;
    let path = house.ping_path(&token, &id).await;
    let rid = "0190c2f4-8c1e-7d3a-9b5e-3f2a1c4d5e6f";
    for status in 0..=255 {
        let method = [Method::GET, Method::POST, Method::HEAD][status % 3].clone();
        assert_eq!(house.ping(method.clone(), &format!("{path}/start?rid={rid}"), "").await.status, 200);
        let ended = house.ping(method, &format!("{path}/{status}?rid={}", rid.to_uppercase()), "").await;
        assert_eq!(ended.status, 200, "{status}");
        let shown = house.shown(&token, &id).await;
        let (word, reason) = match status {
            0 => ("up", json!("")),
            _ => ("down", json!(format!("failed with exit status {status}"))),
        };
        assert_eq!((&shown["status"], &shown["reason"]), (&json!(word), &reason));
        let run = house.runs(&token, &id).await.remove(0);
        assert_eq!((&run["exit_status"], &run["duration_ms"]), (&json!(status), &json!(0)), "{run}");
    }
    for wrong in ["256", "1000", "99999999999999999999", "-1", "+1", "1.5", "0x1", "%31%20", "START"] {
        let refused = house.ping(Method::GET, &format!("{path}/{wrong}"), "").await;
        assert_eq!((refused.status, &*refused.text()), (400, "invalid url format"), "{wrong}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_job_sends_is_kept_up_to_its_bound_and_without_secrets() {
    let house = House::with(|config| config.heartbeats.body_bytes_max = 100).await;
    let token = house.token("read,write,admin").await;
    let id = house.heartbeat(&token, json!({"project": "default", "slug": "job"})).await;
    let path = house.ping_path(&token, &id).await;
    for body in ["password=hunter2-ping ok".to_owned(), "x".repeat(300_000), "y".repeat(3_000_000)] {
        let answer = house.ping(Method::POST, &path, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let runs = house.runs(&token, &id).await;
    assert_eq!(runs[2]["body"], "password=[Filtered] ok");
    assert_eq!((runs[1]["body"].as_str().unwrap().len(), &runs[1]["body_bytes"]), (100, &json!(300_000)));
    assert_eq!(runs[0]["body"].as_str().unwrap().len(), 100);
    let folder = house.stop().await;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        assert!(!bytes.windows(12).any(|window| window == b"hunter2-ping"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_leaked_is_renewed_and_the_one_before_is_like_any_unknown() {
    let house = House::open().await;
    let token = house.token("read,write,admin").await;
    let id = house.heartbeat(&token, json!({"project": "default", "slug": "job"})).await;
    let (before, key) = (house.ping_path(&token, &id).await, house.ping_key(&token).await);
    assert_eq!(house.ping(Method::GET, &before, "").await.status, 200);
    let renew = format!("/api/v1/heartbeats/{id}/renew-address");
    let writer = house.token("read,write").await;
    assert_eq!(house.ask(Method::POST, &renew, &writer, Value::Null).await.status, 403);
    assert_eq!(house.ping(Method::GET, &before, "").await.status, 200, "refused: it stays");
    let renewed = json(&house.ask(Method::POST, &renew, &token, Value::Null).await);
    let after = house.ping_path(&token, &id).await;
    assert!(renewed["ping_url"].as_str().unwrap().ends_with(&after) && after != before, "{renewed}");
    let (old, unknown) = (
        house.ping(Method::GET, &before, "").await,
        house.ping(Method::GET, "/ping/11111111-2222-4333-8444-555555555555", "").await,
    );
    assert_eq!((old.status, old.text()), (unknown.status, unknown.text()));
    assert_eq!(house.ping(Method::GET, &after, "").await.status, 200);
    assert_eq!(
        house.ping(Method::GET, &format!("/ping/{key}/job"), "").await.status,
        200,
        "by name as before"
    );
    assert_eq!(house.shown(&token, &id).await["pings"], json!(4));
    let noted = "SELECT count(*) FROM audit_log WHERE action = 'heartbeat.address' AND subject = 'job'";
    let noted: i64 = house.state.store.read(move |tx| tx.one(noted, [], |row| row.get(0))).await.unwrap();
    assert_eq!(noted, 1);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_is_made_changed_paused_and_removed() {
    let house = House::open().await;
    let token = house.token("read,write,admin").await;
    let new = json!({"project": "default", "name": "Nightly Backup", "cron": "0 3 * * *", "zone": "Europe/Berlin",
                     "labels": {"team": "data"}});
    let id = house.heartbeat(&token, new.clone()).await;
    let shown = house.shown(&token, "default/nightly-backup").await;
    assert_eq!((&shown["id"], &shown["schedule"]), (&json!(id), &json!("0 3 * * * Europe/Berlin")));
    assert_eq!(shown["next_runs"].as_array().unwrap().len(), 5);
    let again = house.ask(Method::POST, "/api/v1/heartbeats", &token, new).await;
    assert_eq!(again.status, 409, "{}", again.text());
    for (body, says) in [
        (json!({"project": "default", "slug": "x", "cron": "61 * * * *"}), "The minute “61”"),
        (json!({"project": "default", "slug": "x", "grace": "1s"}), "Grace: between"),
        (json!({"project": "default", "slug": "X"}), "slug has 1 to"),
        (json!({"project": "default", "slug": "x", "period": "1m"}), "unknown field"),
        (json!({"project": "default"}), "Say in `name`"),
    ] {
        let refused = house.ask(Method::POST, "/api/v1/heartbeats", &token, body.clone()).await;
        let detail = json(&refused)["detail"].as_str().unwrap().to_lowercase();
        assert_eq!(refused.status, 400, "{body}");
        assert!(detail.contains(&says.to_lowercase()), "{body}: {detail}");
    }
    let path = format!("/api/v1/heartbeats/{id}");
    let ping = house.ping_path(&token, &id).await;
    let patch = json!({"every": "1h", "grace": "5m", "labels": null, "name": "Backup"});
    let changed = json(&house.ask(Method::PATCH, &path, &token, patch).await);
    assert_eq!((&changed["schedule"], &changed["name"]), (&json!("every 1h"), &json!("Backup")));
    assert_eq!(changed["definition"], json!({"every": "1h", "grace": "5m"}));
    let paused = json(&house.ask(Method::POST, &format!("{path}/pause"), &token, Value::Null).await);
    assert_eq!((&paused["status"], &paused["paused_by"]), (&json!("paused"), &json!("token test")));
    let resumed = json(&house.ask(Method::POST, &format!("{path}/resume"), &token, Value::Null).await);
    assert_eq!((&resumed["status"], &resumed["paused_by"]), (&json!("new"), &Value::Null));
    let reader = house.token("read").await;
    assert_eq!(house.ask(Method::PATCH, &path, &reader, json!({"every": "2h"})).await.status, 403);
    let key = house.ask(Method::GET, "/api/v1/projects/default/ping-key", &reader, Value::Null).await;
    assert_eq!(key.status, 403, "a ping key is not for those who only read");
    let listed =
        house.ask(Method::GET, "/api/v1/heartbeats?status=new&query=BACK", &reader, Value::Null).await;
    assert_eq!(json(&listed)["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        house.ask(Method::GET, "/api/v1/heartbeats?status=gone", &reader, Value::Null).await.status,
        400
    );
    assert_eq!(house.ask(Method::DELETE, &path, &token, Value::Null).await.status, 204);
    assert_eq!(house.ask(Method::GET, &path, &token, Value::Null).await.status, 404);
    assert_eq!(house.ping(Method::GET, &ping, "").await.status, 404);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_ins_make_and_move_heartbeats_whatever_the_quota_says() {
    let house = House::open().await;
    let token = house.token("read,write,admin").await;
    let key = house.dsn_key(KeyKind::Server, 1).await;
    let config = json!({"schedule": {"type": "crontab", "value": "0 * * * *"}, "checkin_margin": 5, "max_runtime": 30});
    let run = "83a7c03ed0a04e1b97e2e3b18d38f244";
    let envelope = |status: &str, config: &Value| {
        let item = json!({"check_in_id": run, "monitor_slug": "hourly", "status": status, "monitor_config": config,
                          "environment": "production"});
        format!("{{}}\n{{\"type\":\"check_in\"}}\n{item}\n")
    };
    let place = format!("/api/1/envelope/?sentry_key={key}");
    for _ in 0..5 {
        let begun = house.ping(Method::POST, &place, &envelope("in_progress", &config)).await;
        assert_eq!(begun.status, 200, "{}", begun.text());
    }
    house.clock.advance(MINUTE);
    assert_eq!(house.ping(Method::POST, &place, &envelope("ok", &Value::Null)).await.status, 200);
    let hourly = house.shown(&token, "default/hourly").await;
    assert_eq!((&hourly["status"], &hourly["owner"]), (&json!("up"), &json!("sentry")));
    assert_eq!(hourly["usual_duration_ms"], 60_000);
    let last = house.runs(&token, hourly["id"].as_str().unwrap()).await.remove(0);
    assert_eq!((&last["note"], &last["kind"]), (&json!("environment production"), &json!("success")));

    let cron = format!("/api/1/cron/hourly/{key}");
    for (method, path, body, status) in [
        (Method::GET, format!("{cron}/?status=error&duration=2"), Value::Null, 202),
        (Method::POST, format!("{cron}?status=ok"), Value::Null, 202),
        (Method::POST, format!("{cron}/"), json!({"status": "in_progress", "monitor_config": config}), 202),
        (Method::POST, format!("/api/1/cron/hourly/?sentry_key={key}"), json!({"status": "ok"}), 202),
        (Method::GET, format!("/api/1/cron/unknown/{key}/?status=ok"), Value::Null, 202),
        (Method::GET, format!("{cron}/?status=fine"), Value::Null, 400),
        (Method::GET, format!("/api/1/cron/hourly/{}/?status=ok", "0".repeat(32)), Value::Null, 403),
        (Method::PUT, format!("{cron}/"), Value::Null, 405),
    ] {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = house.ping(method.clone(), &path, &body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert!(answer.headers.contains_key("access-control-allow-origin"), "{path}");
        if status == 202 {
            assert_eq!(json(&answer)["id"].as_str().unwrap().len(), 32, "{path}");
        }
    }
    house.run("ledger.refusals").await;
    let none = "SELECT count(*) FROM outcomes WHERE category = 'monitor' AND reason <> 'invalid'";
    assert_eq!(house.number(none).await, 0, "nothing of it is called unsupported or over a limit");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_can_read_a_browser_key_so_it_speaks_for_no_job() {
    let house = House::open().await;
    let (browser, server) =
        (house.dsn_key(KeyKind::Browser, 600).await, house.dsn_key(KeyKind::Server, 600).await);
    let config = json!({"schedule": {"type": "crontab", "value": "0 * * * *"}});
    let item = json!({"monitor_slug": "hourly", "status": "error", "monitor_config": config});
    let envelope = format!("{{}}\n{{\"type\":\"check_in\"}}\n{item}\n");
    let send = async |key: PublicKey| {
        let path = format!("/api/1/envelope/?sentry_key={key}");
        house.ping(Method::POST, &path, &envelope).await.status
    };
    assert_eq!(send(browser).await, 200);
    assert_eq!(house.number("SELECT count(*) FROM heartbeats").await, 0);
    assert_eq!(send(server).await, 200);
    let pings = "SELECT pings FROM heartbeat_states";
    assert_eq!((house.number(pings).await, send(browser).await, house.number(pings).await), (1, 200, 1));
    let refused = house.ping(Method::GET, &format!("/api/1/cron/hourly/{browser}/?status=ok"), "").await;
    assert!(refused.status == 403 && refused.text().contains("server key"), "{}", refused.text());
    house.run("ledger.refusals").await;
    let lost = "SELECT quantity FROM outcomes WHERE category = 'monitor' AND reason = 'unknown_key'";
    assert_eq!(house.number(lost).await, 3);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_ins_of_one_envelope_are_committed_together_and_in_order() {
    let house = House::open().await;
    let token = house.token("read,write,admin").await;
    let key = house.dsn_key(KeyKind::Server, 600).await;
    house.heartbeat(&token, json!({"project": "default", "slug": "often", "every": "1h"})).await;
    let item = |n: usize| {
        let item = json!({"monitor_slug": "often", "status": "ok", "environment": format!("e{n}")});
        format!("{{\"type\":\"check_in\"}}\n{item}\n")
    };
    let envelope = format!("{{}}\n{}", (0..40).map(item).collect::<String>());
    let commits = || house.state.store.stats().snapshot().commits;
    let before = commits();
    let path = format!("/api/1/envelope/?sentry_key={key}");
    assert_eq!(house.ping(Method::POST, &path, &envelope).await.status, 200);
    assert!(commits() - before < 5, "{} commits", commits() - before);
    let notes =
        house.text("SELECT group_concat(note) FROM (SELECT note FROM heartbeat_runs ORDER BY id)").await;
    let expected: Vec<String> = (0..40).map(|n| format!("environment e{n}")).collect();
    let told: Vec<_> = notes.split(',').filter_map(|note| note.split(';').next()).collect();
    assert_eq!(told, expected);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_addresses_is_told_to_wait_and_known_ones_are_heard() {
    let house = House::open().await;
    let token = house.token("read,write,admin").await;
    let id = house.heartbeat(&token, json!({"project": "default", "slug": "job", "every": "1h"})).await;
    let ping = house.ping_path(&token, &id).await;
    let known = async || house.ping(Method::GET, &ping, "").await.status;
    assert_eq!(known().await, 200);
    let guess = async |n: u32| {
        let path = if n.is_multiple_of(2) {
            format!("/ping/00000000-0000-4000-8000-{n:012}")
        } else {
            format!("/api/push/{n:032}")
        };
        house.ping(Method::GET, &path, "").await
    };
    for n in 0..300 {
        assert_eq!(guess(n).await.status, 404, "{n}");
    }
    for n in [300, 301] {
        let refused = guess(n).await;
        assert_eq!(refused.status, 429);
        assert_eq!(refused.headers["retry-after"], "61", "{n}");
    }
    assert_eq!(known().await, 200, "what is remembered costs no question");
    house.clock.advance(MINUTE);
    assert_eq!((guess(300).await.status, known().await), (404, 200));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_come_rings_and_the_next_run_ends_it() {
    let house = House::open().await;
    let token = house.token("read,write,admin").await;
    let new = json!({"project": "default", "slug": "sync", "every": "10m", "grace": "1m", "runbook": "https://wiki/sync"});
    let id = house.heartbeat(&token, new).await;
    let path = house.ping_path(&token, &id).await;
    assert_eq!(house.ping(Method::GET, &path, "").await.status, 200);
    house.wait(10 * MINUTE).await;
    assert_eq!(house.run("heartbeats.due").await, "1 late, 0 down");
    house.wait(MINUTE).await;
    assert_eq!(house.run("heartbeats.due").await, "0 late, 1 down");
    let down = house.shown(&token, &id).await;
    assert_eq!((&down["status"], &down["missed_now"]), (&json!("down"), &json!(1)));
    let told = house.text("SELECT summary FROM incidents WHERE state = 'open'").await;
    assert_eq!(told, "sync did not run: expected 08:10 UTC");
    assert_eq!(house.number("SELECT count(*) FROM deliveries").await, 1);
    house.ping(Method::POST, &format!("{path}/3"), "disk full").await;
    assert_eq!(house.shown(&token, &id).await["reason"], "failed with exit status 3");
    house.ping(Method::GET, &path, "").await;
    house.wait(10 * MINUTE).await;
    house.run("incidents.expire").await;
    assert_eq!(house.number("SELECT count(*) FROM incidents WHERE state <> 'resolved'").await, 0);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_makes_no_job_late_and_a_spent_budget_costs_only_bodies() {
    let house = House::open().await;
    let token = house.token("read,write,admin").await;
    let id = house
        .heartbeat(&token, json!({"project": "default", "slug": "sync", "every": "10m", "grace": "1m"}))
        .await;
    let path = house.ping_path(&token, &id).await;
    house.state.own.set_over_budget(true);
    assert_eq!(house.ping(Method::POST, &path, "a body").await.status, 200);
    house.state.own.set_over_budget(false);
    assert_eq!(house.runs(&token, &id).await[0]["body"], Value::Null);

    house.wait(9 * MINUTE).await;
    house.state.own.set_disk_full(true);
    house.run("heartbeats.due").await;
    let refused = house.ping(Method::GET, &path, "").await;
    assert_eq!(refused.status, 503);
    assert!(refused.headers.contains_key("retry-after"));
    house.wait(20 * MINUTE).await;
    house.run("heartbeats.due").await;
    house.state.own.set_disk_full(false);
    house.run("heartbeats.due").await;
    assert_eq!(house.shown(&token, &id).await["status"], "up", "nobody could be heard");
    house.wait(12 * MINUTE).await;
    house.run("heartbeats.due").await;
    assert_eq!(house.shown(&token, &id).await["status"], "down", "now it could");
    house.stop().await;
}
