//! The door of intake: quotas, strangers, secrets.

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::accounts::keys::{self, KeySettings};
use tocsin::accounts::tokens::{self, NewToken};
use tocsin::accounts::{By, KeyKind, PublicKey, projects};
use tocsin::app::first_words;
use tocsin::base::ProjectId;
use tocsin::outbound::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use tocsin::outbound::{Method, Response};
use tocsin::store::WriteTx;

use super::support::{House, json};

const EVENT: &str = "{}\n{\"type\":\"event\"}\n{\"message\":\"m\"}\n";
const SESSION: &str = "{\"type\":\"session\"}\n{}\n";

impl House {
    /// A key of the first project.
    async fn key(&self, kind: KeyKind, events_per_minute: u32) -> PublicKey {
        let (by, entropy) = (By::command_line(self.clock.now()), self.state.entropy.clone());
        let settings =
            KeySettings { events_per_minute: Some(events_per_minute), ..KeySettings::new(kind, "test") };
        let write = self
            .state
            .store
            .write("test.key", move |tx| keys::create(tx, &by, &entropy, ProjectId(1), &settings));
        write.await.unwrap().public_key
    }

    async fn send_text(&self, path: &str, body: &str) -> Response {
        self.send_with(Method::POST, path, HeaderMap::new(), body.as_bytes().to_vec()).await
    }

    /// Sends what its encoding does not fit.
    async fn send_broken(&self, path: &str) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        self.send_with(Method::POST, path, headers, b"no gzip".to_vec()).await
    }

    /// The ledger's lines as `reason.category`, once what waits in memory is written.
    async fn ledger(&self) -> Vec<(String, i64)> {
        self.run("ledger.refusals").await;
        self.lines("SELECT reason || '.' || category || '@' || project_id, quantity FROM outcomes ORDER BY 1")
            .await
    }

    async fn lines(&self, sql: &'static str) -> Vec<(String, i64)> {
        let read = self.state.store.read(move |tx| tx.all(sql, [], |row| Ok((row.get(0)?, row.get(1)?))));
        read.await.map_err(|error: tocsin::store::Error| error).unwrap()
    }
}

fn points(count: usize) -> Value {
    Value::from(vec![json!({ "type": "a", "value": 1 }); count])
}

fn line(name: &str, quantity: i64) -> (String, i64) {
    (name.to_owned(), quantity)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_a_metric_or_a_deploy_reaches_the_disk() {
    let house = House::open().await;
    let key = house.key(KeyKind::Server, 600).await;
    let metric = json!({
        "type": "database_query", "value": 1200, "unit": "4111 1111 1111 1111",
        "metadata": { "password": "hunter2-metric", "query": "card 4111111111111111",
                      "headers": { "authorization": "Bearer abcdefmetric0123456789" } },
    });
    let taken = house.post(&format!("/api/v1/metrics?sentry_key={key}"), &metric).await;
    assert_eq!(taken.status, 201, "{}", taken.text());
    let deploy = json!({
        "release": "shop Bearer abcdefdeploy0123456789", "environment": "production",
        "url": "https://bob:hunter2-deploy@ci.example.com/?card=4111111111111111",
    });
    let taken = house.post(&format!("/api/v1/deploys?sentry_key={key}"), &deploy).await;
    assert_eq!(taken.status, 201, "{}", taken.text());
    let folder = house.folder().to_owned();
    let secrets = ["hunter2", "4111111111111111", "4111 1111", "abcdefmetric", "abcdefdeploy"];
    let seen = |when: &str| {
        for file in ["tocsin.db", "tocsin.db-wal"] {
            let bytes = std::fs::read(folder.join(file)).unwrap_or_default();
            for secret in secrets {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{secret} stands in {file} {when}");
            }
        }
    };
    seen("while it runs");
    assert_eq!(house.number("SELECT count(*) FROM metric_points").await, 1);
    assert_eq!(house.number("SELECT count(*) FROM deploys").await, 1);
    house.state.store.stop();
    seen("after the stop");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_held_against_the_quota_before_anything_is_written() {
    let house = House::open().await;
    let key = house.key(KeyKind::Server, 5).await;
    let metrics = format!("/api/v1/metrics?sentry_key={key}");
    let many = house.post(&metrics, &points(6)).await;
    assert_eq!(many.status, 413, "more than will ever be let through at once");
    assert!(json(&many)["detail"].as_str().unwrap().contains('5'), "{}", many.text());
    assert_eq!(house.post(&metrics, &points(2)).await.status, 201);
    let refused = house.post(&metrics, &points(3)).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.headers["retry-after"], "60");
    let deploy = json!({ "release": "1", "environment": "production" });
    let deploys = format!("/api/v1/deploys?sentry_key={key}");
    assert_eq!(house.post(&deploys, &deploy).await.status, 201);
    assert_eq!(house.post(&deploys, &deploy).await.status, 429);
    assert_eq!(house.number("SELECT count(*) FROM metric_points").await, 2);
    assert_eq!(house.number("SELECT count(*) FROM deploys").await, 1);

    let envelope = format!("/api/1/envelope/?sentry_key={key}");
    let refused = house.send_text(&envelope, &format!("{{}}\n{SESSION}{SESSION}")).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.headers["x-sentry-rate-limits"], "60:session:key:key_quota");
    assert_eq!(house.send_text(&envelope, "{}\n").await.status, 429, "an empty one is a request too");
    for _ in 0..5 {
        assert_eq!(house.send_text(&envelope, &format!("{EVENT}{SESSION}")).await.status, 200);
    }
    assert_eq!(house.number("SELECT count(*) FROM events").await, 5, "errors have the quota to themselves");
    let refused = house.send_text(&envelope, EVENT).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.headers["x-sentry-rate-limits"], "60:default;error:key:key_quota");
    assert_eq!(house.send_text(&format!("/api/1/store/?sentry_key={key}"), "{}").await.status, 429);
    let error = format!("/api/v1/errors?sentry_key={key}");
    assert_eq!(house.post(&error, &json!({ "message": "m" })).await.status, 429);
    assert_eq!(house.number("SELECT count(*) FROM events").await, 5);
    assert_eq!(
        house.ledger().await,
        [
            line("over_limit.deploy@1", 1),
            line("over_limit.error@1", 3),
            line("over_limit.metric@1", 9),
            line("over_limit.session@1", 7),
        ]
    );
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_over_the_quota_is_refused_before_its_body_is_looked_at() {
    let house = House::open().await;
    let key = house.key(KeyKind::Server, 1).await;
    assert_eq!(house.post(&format!("/api/v1/metrics?sentry_key={key}"), &points(1)).await.status, 201);
    assert_eq!(
        house.post(&format!("/api/v1/errors?sentry_key={key}"), &json!({ "message": "m" })).await.status,
        201
    );
    for path in ["/api/v1/metrics", "/api/v1/deploys", "/api/v1/errors"] {
        let refused = house.send_broken(&format!("{path}?sentry_key={key}")).await;
        assert_eq!(refused.status, 429, "{path}: {}", refused.text());
        assert_eq!(refused.headers["retry-after"], "60", "{path}");
        assert!(json(&refused)["detail"].as_str().unwrap().contains("quota"), "{}", refused.text());
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_when_told_gets_as_many_points_through_as_the_quota_has() {
    let house = House::open().await;
    let key = house.key(KeyKind::Server, 3).await;
    let metrics = format!("/api/v1/metrics?sentry_key={key}");
    assert_eq!(house.post(&metrics, &points(1)).await.status, 201);
    house.clock.advance(Duration::from_secs(10));
    let refused = house.post(&metrics, &points(3)).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.headers["retry-after"], "60", "the refused request itself counted as one");
    house.clock.advance(Duration::from_mins(1));
    assert_eq!(house.post(&metrics, &points(3)).await.status, 201);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_odd_about_an_error_stands_on_its_event() {
    let house = House::open().await;
    let key = house.key(KeyKind::Server, 600).await;
    let odd = json!({ "message": 5, "severity": "loud", "retryable": "yes", "event_id": "zz" });
    let taken = house.post(&format!("/api/v1/errors?sentry_key={key}"), &odd).await;
    assert_eq!(taken.status, 201, "{}", taken.text());
    let taken = json(&taken);
    let token = house.token("read").await;
    let issue = taken["issue_id"].as_str().unwrap();
    let listed = json(&house.get(&format!("/api/v1/issues/{issue}/events"), Some(&token)).await);
    assert_eq!(listed["items"][0]["event_id"], taken["event_id"]);
    let id = taken["event_id"].as_str().unwrap();
    let event = json(&house.get(&format!("/api/v1/events/{id}"), Some(&token)).await);
    let warnings = event["warnings"].as_array().unwrap();
    for path in ["message", "severity", "retryable", "event_id"] {
        assert!(warnings.iter().any(|warning| warning["path"] == path), "{path}: {event}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_can_read_a_browser_key_so_it_reports_no_deploys() {
    let house = House::open().await;
    let key = house.key(KeyKind::Browser, 600).await;
    let deploy = json!({ "release": "1", "environment": "production" });
    let refused = house.post(&format!("/api/v1/deploys?sentry_key={key}"), &deploy).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    for (scope, status) in [("ingest", 201), ("read", 403)] {
        let mut headers = HeaderMap::new();
        let bearer = format!("Bearer {}", house.token(scope).await);
        headers.insert(HeaderName::from_static("authorization"), HeaderValue::from_str(&bearer).unwrap());
        let body = deploy.to_string().into_bytes();
        let answer = house.send_with(Method::POST, "/api/v1/deploys?project=1", headers, body).await;
        assert_eq!(answer.status, status, "{scope}: {}", answer.text());
    }
    assert_eq!(house.number("SELECT count(*) FROM deploys").await, 1);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_envelope_loses_is_counted_item_by_item() {
    let house = House::open().await;
    let key = house.key(KeyKind::Server, 600).await;
    let scarce = house.key(KeyKind::Server, 2).await;
    let logs = "{\"type\":\"log\",\"item_count\":5}\n{\"items\":[]}\n";
    let place = |key| format!("/api/1/envelope/?sentry_key={key}");

    let unreadable = format!("{{}}\n{{\"type\":\"event\"}}\nnonsense\n{SESSION}{logs}");
    assert_eq!(house.send_text(&place(key), &unreadable).await.status, 400);
    let invalid = [line("invalid.error@1", 1), line("invalid.log_item@1", 5), line("invalid.session@1", 1)];
    assert_eq!(house.ledger().await, invalid);

    house.state.own.set_disk_full(true);
    assert_eq!(house.send_text(&place(key), &format!("{EVENT}{SESSION}{logs}")).await.status, 503);
    house.state.own.set_disk_full(false);
    let of = |reason: &str, lines: Vec<(String, i64)>| -> Vec<_> {
        lines.into_iter().filter(|(name, _)| name.starts_with(reason)).collect()
    };
    let busy = [line("busy.error@1", 1), line("busy.log_item@1", 5), line("busy.session@1", 1)];
    assert_eq!(of("busy", house.ledger().await), busy);

    let over = house.send_text(&place(scarce), &format!("{EVENT}{SESSION}{SESSION}{logs}")).await;
    assert_eq!(over.status, 200, "its error is taken");
    let over_limit = [line("over_limit.log_item@1", 5), line("over_limit.session@1", 2)];
    assert_eq!(of("over_limit", house.ledger().await), over_limit);
    assert_eq!(house.send_text(&place(scarce), &format!("{{}}\n{SESSION}{SESSION}{logs}")).await.status, 429);
    let over_limit = [line("over_limit.log_item@1", 10), line("over_limit.session@1", 4)];
    assert_eq!(of("over_limit", house.ledger().await), over_limit);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archived_project_takes_nothing_by_a_token_either() {
    let house = House::open().await;
    let (by, entropy) = (By::command_line(house.clock.now()), house.state.entropy.clone());
    let new =
        NewToken { name: "one".to_owned(), scopes: "ingest".parse().unwrap(), project: Some(ProjectId(1)) };
    let make = move |tx: &WriteTx<'_>| tokens::create(tx, &by, &entropy, &new);
    let one = house.state.store.write("test.token", make).await.unwrap().1.expose().to_owned();
    let all = house.token("ingest").await;
    let statuses = async || {
        let mut statuses = Vec::new();
        for (path, token) in [("/api/v1/errors", &one), ("/api/v1/errors?project=1", &all)] {
            let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
            let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
            let body = json!({ "error_type": "E", "message": "m" }).to_string().into_bytes();
            statuses.push(house.send_with(Method::POST, path, headers, body).await.status);
        }
        statuses
    };
    assert_eq!(statuses().await, [201, 201]);
    let by = By::command_line(house.clock.now());
    let archive = move |tx: &WriteTx<'_>| projects::archive(tx, &by, ProjectId(1));
    house.state.store.write("test.archive", archive).await.unwrap();
    assert_eq!(statuses().await, [403, 403]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_strangers_send_is_counted_under_no_project() {
    let house = House::open().await;
    let unknown = "0123456789abcdef0123456789abcdef";
    for (path, status) in [
        ("/api/1/envelope/".to_owned(), 400),
        (format!("/api/1/envelope/?sentry_key={unknown}"), 403),
        (format!("/api/1/store/?sentry_key={unknown}"), 403),
        (format!("/api/v1/errors?sentry_key={unknown}"), 403),
    ] {
        assert_eq!(house.send_broken(&path).await.status, status, "{path}");
    }
    let named = format!("{{\"dsn\":\"http://{unknown}@host/1\"}}\n");
    assert_eq!(house.send_text("/api/1/envelope/", &named).await.status, 403);
    assert_eq!(house.send_text("/api/1/envelope/", "nonsense").await.status, 401);
    let strangers = [line("invalid.default@0", 1), line("unknown_key.default@0", 5)];
    assert_eq!(house.ledger().await, strangers);

    let known = first_words(&house.state).await.unwrap().public_key;
    for path in ["/api/1/envelope/", "/api/1/store/", "/api/v1/errors", "/api/v1/metrics", "/api/v1/deploys"]
    {
        assert_eq!(house.send_broken(&format!("{path}?sentry_key={known}")).await.status, 400, "{path}");
    }
    let of_project: Vec<_> =
        house.ledger().await.into_iter().filter(|(name, _)| name.ends_with("@1")).collect();
    assert_eq!(
        of_project,
        [
            line("invalid.default@1", 1),
            line("invalid.deploy@1", 1),
            line("invalid.error@1", 2),
            line("invalid.metric@1", 1),
        ]
    );
    house.stop().await;
}
