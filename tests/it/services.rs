//! Services, planned work and the status page, as those who ask over HTTP see them.

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::accounts::By;
use tocsin::base::ProjectId;
use tocsin::http::acts;
use tocsin::outbound::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, IF_NONE_MATCH};
use tocsin::outbound::{Method, Response};
use tocsin::probes::board::Live;
use tocsin::probes::{Kind, ProbeId, Status};
use tocsin::store::{Error, WriteTx, params};
use tocsin::{probes, vigil};

use crate::support::{House, json as body};

/// A house with three probes, as if they had been asked.
async fn watched() -> (House, String) {
    let house = House::open().await;
    let token = house.token("read,write,admin").await;
    probes(&house, &["openai", "anthropic", "postgres"]).await;
    for service in [
        json!({"key": "database", "project": "default", "critical": true, "members": ["postgres"]}),
        json!({"key": "ai_providers", "name": "AI", "project": "default", "needs": "any", "members": ["openai", "anthropic"]}),
    ] {
        let made = send(&house, Method::POST, "/api/v1/services", &token, &service).await;
        assert_eq!(made.status, 201, "{}", made.text());
    }
    house.run("health.services").await;
    (house, token)
}

/// Probes with the numbers 1, 2, …, all healthy, that nobody asks.
pub(crate) async fn probes(house: &House, keys: &'static [&'static str]) {
    house
        .state
        .store
        .write("test.probes", move |tx| {
            for (id, key) in (1..).zip(keys) {
                tx.execute(
                    "INSERT INTO probes (id, uid, project_id, key, name, kind, definition, owner, created_at, updated_at)
                     VALUES (?1, randomblob(16), 1, ?2, ?2, 'tcp', ?3, 'page', 0, 0)",
                    params![id, key, r#"{"target":{"kind":"tcp","host":"example.org","port":1}}"#],
                )?;
                tx.execute(
                    "INSERT INTO probe_states (probe_id, project_id, status, rank, since, latency_us)
                     VALUES (?1, 1, 'healthy', 5, 0, 1500)",
                    [id],
                )?;
            }
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
}

pub(crate) async fn send(house: &House, method: Method, path: &str, token: &str, sent: &Value) -> Response {
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
    house.send_with(method, path, headers, sent.to_string().into_bytes()).await
}

pub(crate) async fn becomes(house: &House, probe: i64, status: &'static str) {
    let now = house.clock.now().as_micros();
    let write = house.state.store.write("test.state", move |tx| {
        tx.execute(
            "UPDATE probe_states SET status = ?2, since = ?3, reason = 'connection refused' WHERE probe_id = ?1",
            params![probe, status, now],
        )
    });
    write.await.map_err(|error: Error| error).unwrap();
    house.run("health.services").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_memory_knows_is_told_though_the_store_does_not_take_it() {
    let (house, token) = watched().await;
    let refuse = |tx: &WriteTx<'_>| {
        tx.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON service_changes BEGIN SELECT RAISE(ABORT, 'refused'); END",
            [],
        )
    };
    house.state.store.write("test.refuse", refuse).await.map_err(|error: Error| error).unwrap();
    // Written of the probes, while what follows from it for the services cannot be.
    for probe in [1, 2] {
        let write = house.state.store.write("test.state", move |tx| {
            tx.execute("UPDATE probe_states SET status = 'unhealthy' WHERE probe_id = ?1", [probe])
        });
        write.await.map_err(|error: Error| error).unwrap();
    }
    // Known in memory alone.
    house.state.prober.board.put(Live {
        id: ProbeId(3),
        project: ProjectId(1),
        key: "postgres".to_owned(),
        name: "postgres".to_owned(),
        kind: Kind::Tcp,
        status: Status::Unhealthy,
        since: house.clock.now(),
        reason: "connection refused".to_owned(),
        flapping: false,
        last: None,
        last_good_at: None,
        next_at: None,
    });
    let ran = house.state.engine.run_now("health.services").await.unwrap();
    assert!(ran.is_err(), "the services could not be written");
    let shown = body(&house.get("/api/health", Some(&token)).await);
    let database =
        json!({"status": "unhealthy", "latency": 1.5, "error": "postgres is down (connection refused)"});
    assert_eq!(shown["services"]["database"], database);
    assert_eq!(shown["services"]["ai_providers"]["status"], "unhealthy");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archived_project_is_silent_and_what_it_watches_begins_anew_when_it_is_restored() {
    let (house, token) = watched().await;
    let shop = ProjectId(1);
    let job = json!({"project": "default", "slug": "sync", "every": "10m", "grace": "1m"});
    let made = send(&house, Method::POST, "/api/v1/heartbeats", &token, &job).await;
    let url = body(&made)["ping_url"].as_str().unwrap().to_owned();
    assert_eq!(house.get(&url[url.find("/ping/").unwrap()..], None).await.status, 200);
    becomes(&house, 1, "unhealthy").await;
    becomes(&house, 2, "unhealthy").await;
    let open = "SELECT count(*) FROM incidents WHERE state <> 'resolved'";
    assert_eq!(house.number(open).await, 1);

    let by = By::command_line(house.clock.now());
    acts::project::archive(&house.state, by, shop).await.unwrap();
    house.run("health.services").await;
    assert_eq!(house.number(open).await, 0);
    assert_eq!(house.text("SELECT resolve_reason FROM incidents").await, "subject_archived");
    assert_eq!(body(&house.get("/api/health", Some(&token)).await)["services"], json!({}));
    let asked = async || {
        house.state.store.read(probes::queries::versions).await.map_err(|error: Error| error).unwrap().len()
    };
    assert_eq!(asked().await, 0);
    let later = async |days: u32| {
        house.clock.advance(days * Duration::from_hours(24));
        let now = house.clock.now();
        house
            .state
            .store
            .write("test.alive", move |tx| vigil::mark_alive(tx, now))
            .await
            .map_err(|error: Error| error)
            .unwrap();
        house.run("heartbeats.due").await;
    };
    later(90).await;

    let by = By::command_line(house.clock.now());
    acts::project::restore(&house.state, by, shop).await.unwrap();
    later(0).await;
    house.run("health.services").await;
    assert_eq!((asked().await, house.number(open).await), (3, 0));
    assert_eq!(house.number("SELECT count(*) FROM probe_states WHERE status = 'unknown'").await, 3);
    let expected = "SELECT expected_at FROM heartbeat_states WHERE status = 'up'";
    assert_eq!(house.number(expected).await, (house.clock.now() + Duration::from_mins(10)).as_micros());
    later(1).await;
    assert_eq!(house.number(open).await, 1, "from now on it is expected again");
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_keyed_as_the_team_names_them() {
    let (house, token) = watched().await;
    let shown = body(&house.get("/api/health", Some(&token)).await);
    assert_eq!(shown["status"], "healthy");
    assert_eq!(shown["services"]["database"], json!({"status": "healthy", "latency": 1.5, "error": null}));
    assert_eq!(shown["metrics"]["response_time_ms"], 1.5);
    becomes(&house, 1, "unhealthy").await;
    let shown = body(&house.get("/api/health", Some(&token)).await);
    assert_eq!(shown["status"], "healthy", "one provider is enough");
    let providers = json!([
        {"provider": "openai", "status": "unhealthy", "latency": 1.5, "error": "connection refused"},
        {"provider": "anthropic", "status": "healthy", "latency": 1.5, "error": null},
    ]);
    assert_eq!(shown["services"]["ai_providers"]["providers"], providers);
    becomes(&house, 2, "unhealthy").await;
    let answer = house.get("/api/health", Some(&token)).await;
    assert_eq!((answer.status, &body(&answer)["status"]), (200, &json!("degraded")), "it is not critical");
    let detailed = body(&house.get("/api/health/detailed", Some(&token)).await);
    let ai = &detailed["services"]["ai_providers"];
    assert!(ai["message"].as_str().unwrap().starts_with("0 of 2 well, 1 needed"), "{ai}");
    assert_eq!(ai["members"][0]["kind"], "tcp");
    assert!(detailed["tocsin"]["store"]["disk_bytes"].is_u64());
    let incidents = body(&house.get("/api/v1/incidents", Some(&token)).await);
    assert_eq!(incidents["items"][0]["keys"], json!(["service:2"]), "the service rings, its members do not");
    becomes(&house, 3, "unhealthy").await;
    let answer = house.get("/api/health", None).await;
    assert_eq!((answer.status, body(&answer)), (503, json!({"status": "unhealthy"})), "a stranger");
    for path in ["/api/health", "/api/health/detailed", "/api/health/database"] {
        let refused = house.get(path, Some("wrong")).await;
        assert_eq!(refused.status, 401, "{path}");
        assert!(refused.text().contains("tocsin token create"), "{}", refused.text());
    }
    let one = house.get("/api/health/database", Some(&token)).await;
    assert_eq!((one.status, &body(&one)["error"]), (503, &json!("postgres is down (connection refused)")));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_the_standard_form_gets_it() {
    let (house, token) = watched().await;
    becomes(&house, 3, "unhealthy").await;
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    let accept = HeaderValue::from_static("application/health+json");
    let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer), (ACCEPT, accept.clone())]);
    let answer = house.send_with(Method::GET, "/api/health", headers, Vec::new()).await;
    assert_eq!(answer.status, 503);
    let shown = body(&answer);
    assert_eq!(shown["status"], "fail");
    let check = &shown["checks"]["database:responseTime"][0];
    assert_eq!(
        (&check["status"], &check["observedValue"], &check["observedUnit"]),
        (&json!("fail"), &json!(1.5), &json!("ms"))
    );
    let stranger = house
        .send_with(Method::GET, "/api/health", HeaderMap::from_iter([(ACCEPT, accept)]), Vec::new())
        .await;
    assert_eq!(body(&stranger), json!({"status": "fail"}));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reported_numbers_are_shown_with_their_source() {
    let (house, token) = watched().await;
    let now = house.clock.now().as_micros();
    let write = house.state.store.write("test.metric", move |tx| {
        tx.execute(
            "INSERT INTO metric_points (project_id, type, value, at, received_at) VALUES (1, 'active_users', 42, ?1, ?1)",
            [now],
        )
    });
    write.await.map_err(|error: Error| error).unwrap();
    house.run("health.services").await;
    let shown = body(&house.get("/api/health", Some(&token)).await);
    assert_eq!(
        (&shown["metrics"]["active_users"], &shown["metrics"]["queue_depth"]),
        (&json!(42.0), &Value::Null)
    );
    assert!(shown["metric_sources"]["active_users"].as_str().unwrap().contains("metric active_users"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn planned_work_is_made_called_off_and_refused_where_it_is_wrong() {
    let (house, token) = watched().await;
    let plan = json!({
        "key": "move", "project": "default", "title": "Moving the database", "duration": "1h",
        "subjects": ["service:database"], "is_public": true,
    });
    let made = send(&house, Method::POST, "/api/v1/maintenances", &token, &plan).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = body(&made);
    assert_eq!(made["subjects"], json!(["probe:3", "service:1"]));
    assert!(made["current"].is_object());
    becomes(&house, 3, "unhealthy").await;
    let shown = body(&house.get("/api/health", Some(&token)).await);
    let database = &shown["services"]["database"];
    assert_eq!((&shown["status"], &database["status"]), (&json!("degraded"), &json!("maintenance")));
    let path = format!("/api/v1/maintenances/{}/end", made["id"].as_str().unwrap());
    let ended = send(&house, Method::POST, &path, &token, &json!({})).await;
    assert_eq!(ended.status, 200, "{}", ended.text());
    house.run("health.services").await;
    let shown = body(&house.get("/api/health", Some(&token)).await);
    assert_eq!(shown["status"], "unhealthy");
    for (wrong, says) in [
        (json!({"title": "x", "duration": "1h", "schedule": "0 25 * * *"}), "hour “25”"),
        (
            json!({"title": "x", "duration": "1h", "subjects": ["nobody"], "project": "default"}),
            "no probe “nobody”",
        ),
        (json!({"title": "x", "duration": "1 hour"}), "no length of time"),
    ] {
        let refused = send(&house, Method::POST, "/api/v1/maintenances", &token, &wrong).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
        assert!(refused.text().contains(says), "{}", refused.text());
    }
    house.stop().await;
}

fn page() -> Value {
    json!({
        "enabled": true, "title": "Shop status", "settings": {"publish": "automatically"},
        "sections": [{"title": "Shop", "entries": [
            {"service": "database", "title": "Checkout <b>", "latency": true}, {"service": "ai_providers"},
        ]}],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn until_it_is_on_there_is_no_status_page() {
    let (house, token) = watched().await;
    let never = house.get("/never-there", None).await;
    for path in
        ["/status", "/status/history", "/status/feed.atom", "/status/api/v2/summary.json", "/badge/x.svg"]
    {
        let answer = house.get(path, None).await;
        assert_eq!((answer.status, &answer.body), (404, &never.body), "{path}");
    }
    let mut off = page();
    off["enabled"] = json!(false);
    assert_eq!(send(&house, Method::PUT, "/api/v1/status-page", &token, &off).await.status, 200);
    house.run("status_page.render").await;
    assert_eq!(house.get("/status", None).await.status, 404);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_see_the_page_and_what_happens_and_nothing_of_the_inside() {
    let (house, token) = watched().await;
    let saved = send(&house, Method::PUT, "/api/v1/status-page", &token, &page()).await;
    assert_eq!(saved.status, 200, "{}", saved.text());
    let badge = body(&saved)["sections"][0]["entries"][0]["badge"].as_str().unwrap().to_owned();
    house.clock.advance(Duration::from_hours(5));
    becomes(&house, 3, "unhealthy").await;
    raise(&house).await;
    house.run("status_page.render").await;
    let shown = house.get("/status", None).await;
    assert_eq!(shown.status, 200);
    let text = shown.text();
    for part in [
        "Checkout &#60;b&#62; is not available",
        "We are looking into it",
        "<svg class=\"bars\"",
        "90 days ago",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    for inside in ["postgres", "connection refused", "example.org", "probe:3", "<b> is"] {
        assert!(!text.contains(inside), "{inside}");
    }
    let etag = shown.headers["etag"].clone();
    let again = house
        .send_with(Method::GET, "/status", HeaderMap::from_iter([(IF_NONE_MATCH, etag)]), Vec::new())
        .await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    let summary = body(&house.get("/status/api/v2/summary.json", None).await);
    assert_eq!(summary["status"]["indicator"], "critical");
    assert_eq!(summary["components"][0]["status"], "major_outage");
    assert_eq!(summary["incidents"][0]["status"], "investigating");
    let feed = house.get("/status/feed.atom", None).await.text().clone();
    assert!(feed.contains("<title>Checkout &lt;b&gt; is not available</title>"), "{feed}");
    let picture = house.get(&format!("/badge/{badge}.svg"), None).await.text().clone();
    assert!(picture.contains("Checkout &lt;b&gt;: down"), "{picture}");
    let shields = body(&house.get(&format!("/badge/{badge}.json?show=uptime-30"), None).await);
    assert_eq!((&shields["schemaVersion"], &shields["message"]), (&json!(1), &json!("100%")));
    assert_eq!(house.get("/badge/guessed.svg", None).await.status, 404);
    house.stop().await;
}

/// As the loop that asks does.
async fn raise(house: &House) {
    use tocsin::base::{ProjectId, Severity};
    use tocsin::incidents::{Error as Refused, Signal, SignalKind, Source};
    let (now, incidents) = (house.clock.now(), house.state.incidents.clone());
    let signal = Signal {
        project: Some(ProjectId(1)),
        service: None,
        key: "probe:3".to_owned(),
        source: Source::Probe,
        severity: Severity::High,
        summary: "postgres is down (connection refused)".to_owned(),
        detail: json!({}),
        first_bad_at: now,
        observed_at: now,
        kind: SignalKind::Firing,
    };
    let write = house.state.store.write("test.raise", move |tx| incidents.raise(tx, now, &signal));
    write.await.map_err(|error: Refused| error).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn unseen_time_is_shown_as_such() {
    use tocsin::vigil::{self, Blindness, Spell};
    let (house, token) = watched().await;
    send(&house, Method::PUT, "/api/v1/status-page", &token, &page()).await;
    let began_at = house.clock.now() + Duration::from_hours(1);
    house.clock.advance(Duration::from_hours(5));
    let spell = Spell {
        reason: Blindness::Down,
        began_at,
        ended_at: Some(began_at + Duration::from_mins(12)),
        detail: String::new(),
    };
    let write = house.state.store.write("test.spell", move |tx| vigil::note(tx, &spell));
    write.await.unwrap();
    house.run("status_page.render").await;
    let text = house.get("/status", None).await.text().clone();
    assert!(text.contains("100%, not seen for 12 min"), "{text}");
    house.stop().await;
}
