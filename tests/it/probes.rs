//! Probes by the API, asked by the real loop of the application in process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tocsin::outbound::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tocsin::outbound::{Method, Response};
use tocsin::store::WriteTx;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::support::{self, House};

/// A web server that answers with the status that is set.
struct Web {
    url: String,
    status: Arc<AtomicU16>,
    _serving: JoinSet<()>,
}

impl Web {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/health", listener.local_addr().unwrap());
        let (status, mut serving) = (Arc::new(AtomicU16::new(200)), JoinSet::new());
        let set = Arc::clone(&status);
        serving.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 2048];
                if stream.read(&mut head).await.is_err() {
                    continue;
                }
                let said = set.load(Ordering::Relaxed);
                let answer =
                    format!("HTTP/1.1 {said} Said\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
                stream.write_all(answer.as_bytes()).await.ok();
            }
        });
        Self { url, status, _serving: serving }
    }
}

async fn call(house: &House, token: &str, method: Method, path: &str, body: Value) -> Response {
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
    house.send_with(method, &format!("/api/v1{path}"), headers, body.to_string().into_bytes()).await
}

async fn open_house() -> (House, String) {
    let house = House::asking(|config| {
        config.probes.private_targets = vec!["127.0.0.0/8".parse().unwrap()];
        config.probes.canaries = Vec::new();
    })
    .await;
    let token = house.token("read,write,admin").await;
    (house, token)
}

fn api_probe(url: &str) -> Value {
    json!({
        "key": "api", "name": "API", "project": "default",
        "definition": {
            "target": {"kind": "http", "url": url, "headers": {"authorization": "Bearer {{token}}"}},
            "policy": {"interval": "30s", "retry_interval": "5s", "timeout": "2s"},
        },
        "secrets": {"token": "t0p-secret"},
    })
}

/// Moves the clock until the probe is as it should be.
async fn until_status(house: &House, token: &str, key: &str, status: &str) -> Value {
    let given_up = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let shown = support::json(&house.get(&format!("/api/v1/probes/{key}"), Some(token)).await);
        if shown["status"] == status {
            return shown;
        }
        assert!(tokio::time::Instant::now() < given_up, "{key} never was {status}: {shown}");
        house.clock.advance(Duration::from_secs(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_is_made_asked_changed_paused_and_removed() {
    let ((house, token), web) = (open_house().await, Web::new().await);
    let made = call(&house, &token, Method::POST, "/probes", api_probe(&web.url)).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert!(!made.text().contains("t0p-secret"));
    assert_eq!(support::json(&made)["detects_within"], "39s");
    let again = call(&house, &token, Method::POST, "/probes", api_probe(&web.url)).await;
    assert_eq!(again.status, 409, "{}", again.text());

    let shown = until_status(&house, &token, "api", "healthy").await;
    assert_eq!(shown["last_run"]["good"], true, "{shown}");
    web.status.store(503, Ordering::Relaxed);
    let shown = until_status(&house, &token, "api", "unhealthy").await;
    assert_eq!(shown["reason"], "status was 503, wanted < 300");
    assert_eq!(house.number("SELECT count(*) FROM incidents WHERE state = 'open'").await, 1);
    let metrics = house.get("/metrics", None).await;
    assert!(metrics.text().contains("tocsin_probe_success{probe=\"api\"} 0"), "{}", metrics.text());

    let listed = support::json(&house.get("/api/v1/probes?status=unhealthy&query=API", Some(&token)).await);
    assert_eq!(listed["items"][0]["key"], "api", "{listed}");
    let none = support::json(&house.get("/api/v1/probes?status=healthy", Some(&token)).await);
    assert_eq!(none["items"], json!([]));

    let tried = call(&house, &token, Method::POST, "/probes/api/try", Value::Null).await;
    let tried = support::json(&tried);
    assert_eq!(
        (&tried["reading"], &tried["reason"]),
        (&json!("bad"), &json!("status was 503, wanted < 300"))
    );
    let refused = loop {
        let tried = call(&house, &token, Method::POST, "/probes/api/try", Value::Null).await;
        if tried.status != 200 {
            break tried;
        }
    };
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert!(refused.headers.contains_key("retry-after"));

    let renamed = call(&house, &token, Method::PATCH, "/probes/api", json!({"name": "The API"})).await;
    assert_eq!(support::json(&renamed)["name"], "The API", "{}", renamed.text());
    let paused = call(&house, &token, Method::POST, "/probes/api/pause", json!({})).await;
    assert_eq!(support::json(&paused)["status"], "paused", "{}", paused.text());
    assert_eq!(house.number("SELECT count(*) FROM incidents WHERE state = 'open'").await, 0);
    call(&house, &token, Method::POST, "/probes/api/resume", Value::Null).await;
    web.status.store(200, Ordering::Relaxed);
    until_status(&house, &token, "api", "healthy").await;
    let removed = call(&house, &token, Method::DELETE, "/probes/api", Value::Null).await;
    assert_eq!(removed.status, 204);
    assert_eq!(house.get("/api/v1/probes/api", Some(&token)).await.status, 404);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_version_wrote_is_not_asked_and_can_be_paused_and_removed() {
    let ((house, token), web) = (open_house().await, Web::new().await);
    call(&house, &token, Method::POST, "/probes", api_probe(&web.url)).await;
    until_status(&house, &token, "api", "healthy").await;
    let write = |tx: &WriteTx<'_>| {
        tx.touch(tocsin::probes::PROBES);
        tx.execute(
            "UPDATE probes SET definition = json_set(definition, '$.mood', 'calm'), version = version + 1",
            [],
        )
    };
    house.state.store.write("newer", write).await.unwrap();
    web.status.store(503, Ordering::Relaxed);
    let shown = until_status(&house, &token, "api", "unknown").await;
    let reason = shown["reason"].as_str().unwrap();
    assert!(reason.contains("newer version") && reason.contains("Upgrade again, or remove it"), "{reason}");
    assert_eq!((&shown["kind"], &shown["name"]), (&Value::Null, &json!("API")));
    let changed = call(&house, &token, Method::PATCH, "/probes/api", json!({"name": "A"})).await;
    assert!(changed.status == 409 && changed.text().contains("upgrade again"), "{}", changed.text());
    let paused = call(&house, &token, Method::POST, "/probes/api/pause", json!({})).await;
    assert_eq!((paused.status, &support::json(&paused)["status"]), (200, &json!("paused")));
    let resumed = call(&house, &token, Method::POST, "/probes/api/resume", Value::Null).await;
    assert_eq!((resumed.status, &support::json(&resumed)["status"]), (200, &json!("unknown")));
    assert_eq!(house.number("SELECT count(*) FROM incidents").await, 0, "nobody asked it");
    assert_eq!(call(&house, &token, Method::DELETE, "/probes/api", Value::Null).await.status, 204);
    assert_eq!(house.get("/api/v1/probes/api", Some(&token)).await.status, 404);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_names_only_what_is_to_be_different() {
    let (house, token) = open_house().await;
    let definition = json!({
        "target": {"kind": "http", "url": "https://example.org/", "redirects": 2},
        "conditions": ["status < 300"], "slow_after": "1s", "policy": {"interval": "5m"},
    });
    let new = json!({"key": "api", "name": "API", "project": "default", "definition": definition});
    assert_eq!(call(&house, &token, Method::POST, "/probes", new).await.status, 201);
    let change = async |definition: Value| {
        let sent = json!({"definition": definition});
        call(&house, &token, Method::PATCH, "/probes/api", sent).await
    };
    let slow = change(json!({"slow_after": "100ms", "target": {"redirects": null}})).await;
    assert_eq!(slow.status, 200, "{}", slow.text());
    let now = &support::json(&slow)["definition"];
    assert_eq!((&now["slow_after"], &now["policy"]["interval"]), (&json!("100ms"), &json!("5m")));
    assert_eq!(now["target"]["url"], "https://example.org/");
    let other =
        change(json!({"target": {"kind": "tcp", "host": "example.org", "port": 443}, "conditions": []}))
            .await;
    assert_eq!(support::json(&other)["definition"]["target"]["port"], 443, "{}", other.text());
    let wrong = change(json!({"sloww_after": "1s"})).await;
    assert_eq!(wrong.status, 400);
    assert!(
        support::json(&wrong)["detail"].as_str().unwrap().contains("unknown field `sloww_after`"),
        "{}",
        wrong.text()
    );
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_refused_with_its_place() {
    let (house, token) = open_house().await;
    let refused = async |change: fn(&mut Value)| {
        let mut wanted = api_probe("https://api.example.com/");
        change(&mut wanted);
        let answer = call(&house, &token, Method::POST, "/probes", wanted).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        support::json(&answer)["detail"].as_str().unwrap().to_owned()
    };
    let told = refused(|wanted| wanted["definition"]["conditions"] = json!(["status <"])).await;
    assert!(told.contains("at character 9"), "{told}");
    let told = refused(|wanted| wanted["definition"]["target"]["url"] = json!("ftp://x")).await;
    assert!(told.contains("Url:") || told.contains("url:"), "{told}");
    let told = refused(|wanted| wanted["secrets"] = json!({})).await;
    assert!(told.contains("{{token}}"), "{told}");
    let told = refused(|wanted| wanted["definition"]["policy"]["interval"] = json!("1s")).await;
    assert!(told.contains("between 5 seconds and one day"), "{told}");
    let told = refused(|wanted| wanted["depends_on"] = json!(["none"])).await;
    assert!(told.contains("there is no probe none"), "{told}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_made_probe_reaches_no_private_network_that_is_not_opened() {
    let web = Web::new().await;
    let house = House::asking(|config| config.probes.canaries = Vec::new()).await;
    let token = house.token("read,write,admin").await;
    let trial = json!({
        "project": "default", "definition": {"target": {"kind": "http", "url": web.url}},
    });
    let tried = support::json(&call(&house, &token, Method::POST, "/probe-trials", trial).await);
    assert_eq!(tried["reading"], "bad");
    assert!(tried["reason"].as_str().unwrap().contains("probes.private_targets"), "{tried}");
    let made = call(&house, &token, Method::POST, "/probes", api_probe(&web.url)).await;
    assert_eq!(made.status, 400, "refused when it is saved: {}", made.text());
    assert!(made.text().contains("probes.private_targets"), "{}", made.text());
    call(&house, &token, Method::POST, "/probes", api_probe("https://api.example.com/")).await;
    let moved = json!({"definition": api_probe(&web.url)["definition"], "secrets": {"token": "t0p-secret"}});
    let moved = call(&house, &token, Method::PATCH, "/probes/api", moved).await;
    assert_eq!(moved.status, 400, "nor moved there: {}", moved.text());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_only_a_file_may_name_is_refused_with_its_cure() {
    let house = House::asking(|config| config.probes.canaries = Vec::new()).await;
    let token = house.token("read,write,admin").await;
    call(&house, &token, Method::POST, "/probes", api_probe("https://api.example.com/")).await;
    let (opened, never) = (
        "open the network with `probes.private_targets`, or define the probe in a file",
        "no probe may ask there",
    );
    for (host, cure) in [
        ("127.0.0.1", opened),
        ("localhost", opened),
        ("[::1]", opened),
        ("10.1.2.3", opened),
        ("192.168.0.7", opened),
        ("0x7f.1", opened),
        ("[::ffff:10.0.0.1]", opened),
        ("169.254.169.254", never),
        ("[fe80::1]", never),
    ] {
        let mut wanted = api_probe(&format!("http://{host}/latest/meta-data/"));
        wanted["key"] = json!("inside");
        let patch = json!({"definition": wanted["definition"], "secrets": wanted["secrets"]});
        for (method, path, sent) in [(Method::POST, "/probes", wanted), (Method::PATCH, "/probes/api", patch)]
        {
            let refused = call(&house, &token, method, path, sent).await;
            let told = support::json(&refused)["detail"].as_str().unwrap_or_default().to_owned();
            assert_eq!(refused.status, 400, "{path} {host}: {told}");
            assert!(told.contains(cure), "{path} {host}: {told}");
        }
    }
    assert_eq!(house.number("SELECT count(*) FROM probes WHERE key = 'inside'").await, 0);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_looks_at_this_machine_is_for_owners() {
    let (house, _) = open_house().await;
    let reader = house.token("read").await;
    let wanted = json!({
        "key": "disk", "name": "Disk", "project": "default", "definition": {"target": {"kind": "disk"}},
    });
    let answer = call(&house, &reader, Method::POST, "/probes", wanted).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_reported_to_an_address_of_their_own() {
    let (house, token) = open_house().await;
    let wanted = json!({
        "key": "backup", "name": "Backup", "project": "default", "definition": {"target": {"kind": "push"}},
    });
    let made = support::json(&call(&house, &token, Method::POST, "/probes", wanted).await);
    let path = made["push_path"].as_str().unwrap().to_owned();
    // The loop knows of it.
    until_status(&house, &token, "backup", "unknown").await;
    let mut known = false;
    while !known {
        known =
            support::json(&house.get("/api/v1/probes/backup", Some(&token)).await)["next_run_at"].is_string();
    }
    let taken = house.get(&format!("{path}?status=up&msg=OK&ping=12"), None).await;
    assert_eq!((taken.status, support::json(&taken)), (200, json!({"ok": true})));
    until_status(&house, &token, "backup", "healthy").await;
    for _ in 0..2 {
        let taken = house.post(&path, &json!({"status": "down", "message": "no space left"})).await;
        assert_eq!(taken.status, 200, "{}", taken.text());
    }
    let shown = until_status(&house, &token, "backup", "unhealthy").await;
    assert_eq!(shown["reason"], "no space left");
    assert_eq!(house.number("SELECT count(*) FROM probe_reports").await, 1);

    let refused = house.get("/api/push/unknown?status=up", None).await;
    assert_eq!((refused.status, &support::json(&refused)["ok"]), (404, &json!(false)));
    let refused = house.post(&path, &json!({"status": "sideways"})).await;
    assert_eq!(refused.status, 400);
    for (words, says) in [("value=12ms", "number"), ("ping=fast", "number"), ("latency=NaN", "number")] {
        let refused = house.get(&format!("{path}?{words}"), None).await;
        assert_eq!(refused.status, 400, "{words}");
        assert!(support::json(&refused)["msg"].as_str().unwrap().contains(says), "{}", refused.text());
    }
    for body in [json!({"value": "12ms"}), json!({"value": [1]}), json!({"status": 1})] {
        assert_eq!(house.post(&path, &body).await.status, 400, "{body}");
    }
    let told = [("value=1.5&message=a", 1015), ("latency=2&message=a", 1020), ("ping=3&value=&msg=a", 1030)];
    for (words, kept) in told {
        assert_eq!(house.get(&format!("{path}?{words}"), None).await.status, 200, "{words}");
        let sql = "SELECT 1000 * (report ->> 'message' = 'a') + CAST(10 * (report ->> 'value') AS INTEGER)
                   FROM probe_reports";
        assert_eq!(house.number(sql).await, kept, "{words}");
    }
    let refused = house.post(&path, &json!({"message": "x".repeat(70_000)})).await;
    assert_eq!(refused.status, 413, "{}", refused.text());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preset_makes_a_probe_and_actions_need_no_body() {
    let (house, token) = open_house().await;
    let wanted = json!({
        "key": "stripe", "name": "Stripe", "project": "default",
        "preset": "stripe", "inputs": {"key": "sk_live_0123456789"},
    });
    let made = call(&house, &token, Method::POST, "/probes", wanted.clone()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let shown = support::json(&made);
    assert_eq!((&shown["definition"]["preset"], &shown["secrets"]), (&json!("stripe"), &json!(["key"])));
    assert!(!made.text().contains("sk_live"), "{}", made.text());
    for (change, says) in [
        (json!({"preset": "strip"}), "`preset` is one of website, "),
        (json!({"inputs": {}}), "inputs.key: Secret key is needed: "),
        (json!({"inputs": {"key": "k", "kee": "x"}}), "inputs: stripe asks for "),
        (json!({"definition": {"target": {"kind": "push"}}}), "either `definition` or `preset`"),
        (
            json!({"preset": null, "definition": {"target": {"kind": "tcp", "host": "h.example", "port": 70_000}}}),
            "expected a whole number from 0 to 65535",
        ),
    ] {
        let mut wanted = wanted.clone();
        wanted["key"] = json!("other");
        wanted.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refused = call(&house, &token, Method::POST, "/probes", wanted).await;
        let told = support::json(&refused)["detail"].as_str().unwrap().to_owned();
        assert!(refused.status == 400 && told.contains(says), "{told}");
    }
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
    let path = "/api/v1/probes/stripe/pause";
    let paused = house.send_with(Method::POST, path, headers.clone(), Vec::new()).await;
    assert_eq!((paused.status, &support::json(&paused)["status"]), (200, &json!("paused")));
    let planned = json!({"title": "Work", "project": "default", "duration": "2h"});
    let planned = support::json(&call(&house, &token, Method::POST, "/maintenances", planned).await);
    let path = format!("/api/v1/maintenances/{}/end", planned["id"].as_str().unwrap());
    let ended = house.send_with(Method::POST, &path, headers, Vec::new()).await;
    assert_eq!(ended.status, 200, "{}", ended.text());
    house.stop().await;
}
