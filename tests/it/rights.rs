//! Who may see and do what, the same on page and API: keys of jobs, pausing, and what belongs to others.

use std::time::Duration;

use actix_web::http::StatusCode;
use serde_json::{Value, json};
use tocsin::accounts::projects::{self, NewProject};
use tocsin::accounts::tokens::{self, NewToken};
use tocsin::accounts::{By, Error as AccountError};
use tocsin::base::ProjectId;
use tocsin::outbound::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tocsin::outbound::{Method, Response};
use tocsin::store::{Error, ReadTx, WriteTx, params};

use crate::pages::Visitor;
use crate::people::{Team, between};
use crate::support::{House, START, json as body};

async fn call(house: &House, token: &str, method: Method, path: &str, sent: Value) -> Response {
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
    let sent = if sent.is_null() { Vec::new() } else { sent.to_string().into_bytes() };
    house.send_with(method, &format!("/api/v1{path}"), headers, sent).await
}

async fn made(house: &House, token: &str, path: &str, sent: Value) -> Value {
    let answer = call(house, token, Method::POST, path, sent).await;
    assert_eq!(answer.status, 201, "{path}: {}", answer.text());
    body(&answer)
}

/// A house with the project `blog` beside the default one, a token for everything, and one for all of the default
/// project alone.
async fn two_projects() -> (House, String, String) {
    let house = House::open().await;
    let entropy = house.state.entropy.clone();
    let write = move |tx: &WriteTx<'_>| {
        let by = By::command_line(START);
        projects::create(tx, &by, &NewProject { name: "Blog".to_owned(), slug: None })?;
        let project = Some(ProjectId(1));
        let new = NewToken { name: "one".to_owned(), scopes: "read,write,admin".parse()?, project };
        Ok::<_, AccountError>(tokens::create(tx, &by, &entropy, &new)?.1)
    };
    let one = house.state.store.write("test.two", write).await.unwrap().expose().to_owned();
    let all = house.token("read,write,admin").await;
    (house, all, one)
}

fn tcp(key: &str, project: &str) -> Value {
    let target = json!({"kind": "tcp", "host": "example.org", "port": 1});
    json!({"key": key, "name": key, "project": project, "definition": {"target": target}})
}

async fn number(team: &Team, sql: &'static str) -> i64 {
    let read = move |tx: &ReadTx<'_>| tx.one(sql, [], |row| row.get(0));
    team.house.state.store.read(read).await.map_err(|error: Error| error).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_job_pings_is_told_to_those_who_may_change_it() {
    let house = House::open().await;
    let admin = house.token("read,write,admin").await;
    let job = json!({"project": "default", "slug": "job", "every": "1h"});
    let job = made(&house, &admin, "/heartbeats", job).await;
    let url = job["ping_url"].as_str().unwrap();
    let ping = &url[url.find("/ping/").unwrap()..];
    let key = ping.rsplit('/').next().unwrap().to_owned();
    let id = job["id"].as_str().unwrap();
    assert_ne!(id, key, "its id stands in addresses that everybody reads");
    assert_eq!(house.get(&format!("/ping/{id}"), None).await.status, 404);
    assert_eq!(house.get(ping, None).await.status, 200);
    house.get(&format!("{ping}/fail"), None).await;
    for (scopes, told) in [("read", false), ("read,write", false), ("admin", true)] {
        let token = house.token(scopes).await;
        for path in [format!("/heartbeats/{id}"), "/heartbeats/default/job".to_owned()] {
            let shown = call(&house, &token, Method::GET, &path, Value::Null).await;
            assert_eq!(body(&shown)["ping_url"].as_str().is_some(), told, "{scopes} {path}");
        }
        let listed = body(&call(&house, &token, Method::GET, "/heartbeats", Value::Null).await);
        assert_eq!(listed["items"][0]["ping_url"].as_str().is_some(), told, "{scopes}");
        for path in ["/heartbeats", "/incidents", "/deliveries"] {
            let text = call(&house, &token, Method::GET, path, Value::Null).await.text();
            assert!(told || !text.contains(&key), "{scopes} {path}: {text}");
        }
    }
    let write = house.token("read,write").await;
    let paused = call(&house, &write, Method::POST, &format!("/heartbeats/{id}/pause"), Value::Null).await;
    assert_eq!((paused.status, &body(&paused)["ping_url"]), (200, &Value::Null));
    let push = json!({"key": "push", "name": "Push", "project": "default",
                      "definition": {"target": {"kind": "push"}}});
    let push = made(&house, &admin, "/probes", push).await["push_path"].as_str().unwrap().to_owned();
    for scopes in ["read", "read,write", "admin"] {
        let token = house.token(scopes).await;
        for path in ["/probes", "/probes/push"] {
            let text = call(&house, &token, Method::GET, path, Value::Null).await.text();
            assert!(!text.contains("push_path"), "{scopes} {path}: {text}");
        }
        let renewed = call(&house, &token, Method::POST, "/probes/push/token", Value::Null).await;
        assert_eq!(renewed.status, if scopes == "admin" { 201 } else { 403 }, "{scopes}");
    }
    let audited = house.text("SELECT group_concat(subject || detail) FROM audit_log").await;
    let token = push.rsplit('/').next().unwrap();
    assert!(!audited.contains(&key) && !audited.contains(token), "{audited}");
    house.stop().await;
}

#[actix_web::test]
async fn pages_tell_where_a_job_pings_to_those_who_may_change_it() {
    let team = Team::gather().await;
    let job = [
        ("project", "default"),
        ("name", "Job"),
        ("slug", "job"),
        ("kind", "every"),
        ("every", "1h"),
        ("grace", "10m"),
        ("severity", "high"),
    ];
    let place = team.post(&team.member, "/heartbeats", &job).await.location;
    let place = place.trim_end_matches("#ping");
    let page = team.get(&team.member, place).await.text;
    let key = between(&page, "/ping/", "<").to_owned();
    assert!(!place.contains(&key));
    let push =
        [("kind", "push"), ("project", "default"), ("name", "Push"), ("key", "push"), ("interval", "30s")];
    let shown = team.post(&team.member, "/probes/new", &push).await;
    let token = between(&shown.text, "/api/push/", "<").to_owned();
    for place in [place, "/heartbeats", "/probes/push", "/probes", "/", "/services", "/incidents"] {
        for (visitor, may) in [(&team.owner, true), (&team.member, true), (&team.viewer, false)] {
            let page = team.get(visitor, place).await;
            assert_eq!(page.status, StatusCode::OK, "{place}");
            assert!(may || !page.text.contains(&key), "{place}");
            assert!(!page.text.contains(&token), "{place}");
        }
    }
    assert_eq!(team.get(&team.viewer, &format!("{place}/edit")).await.status, StatusCode::FORBIDDEN);
    let audit = team.get(&team.owner, "/audit").await.text;
    assert!(!audit.contains(&key) && !audit.contains(&token), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pausing_needs_the_same_of_probes_and_heartbeats() {
    let house = House::open().await;
    let admin = house.token("read,write,admin").await;
    let id = made(&house, &admin, "/heartbeats", json!({"project": "default", "slug": "job"})).await;
    let id = id["id"].as_str().unwrap();
    made(&house, &admin, "/probes", tcp("api", "default")).await;
    for (scopes, status) in [("read", 403), ("read,write", 200), ("admin", 200)] {
        let token = house.token(scopes).await;
        for place in [format!("/heartbeats/{id}"), "/probes/api".to_owned()] {
            for act in ["pause", "resume"] {
                let answer = call(&house, &token, Method::POST, &format!("{place}/{act}"), Value::Null).await;
                assert_eq!(answer.status, status, "{scopes} {place} {act}: {}", answer.text());
            }
        }
    }
    house.stop().await;
}

/// What lies in the other project: the ids of its heartbeat and its planned work, beside what is called `theirs`.
async fn with_theirs(house: &House, all: &str) -> (String, String) {
    made(house, all, "/probes", tcp("theirs", "blog")).await;
    made(house, all, "/probes", tcp("mine", "default")).await;
    let job = made(house, all, "/heartbeats", json!({"project": "blog", "slug": "job"})).await;
    let service = json!({"key": "theirs", "project": "blog", "members": ["theirs"]});
    made(house, all, "/services", service).await;
    let work = json!({"key": "theirs", "title": "Theirs", "project": "blog", "duration": "2h"});
    let work = made(house, all, "/maintenances", work).await;
    let id = |made: &Value| made["id"].as_str().unwrap().to_owned();
    (id(&job), id(&work))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_others_is_named_like_what_is_not_there() {
    let (house, all, one) = two_projects().await;
    with_theirs(&house, &all).await;
    let of = |members: &str| json!({"key": "new", "project": "default", "members": [members]});
    let on =
        |subject: &str| json!({"title": "W", "project": "default", "duration": "1h", "subjects": [subject]});
    let mut pairs: Vec<(Method, &str, Value, &str, Value, &str)> = Vec::new();
    let names = [
        ("theirs", "nothing"),
        ("probe:1", "probe:99"),
        ("blog/job", "blog/none"),
        ("blog/job", "none/job"),
        ("heartbeat:1", "heartbeat:99"),
    ];
    for (there, missing) in names {
        pairs.push((Method::POST, "/services", of(there), there, of(missing), missing));
        pairs.push((Method::POST, "/maintenances", on(there), there, on(missing), missing));
    }
    for (there, missing) in [("service:theirs", "service:nothing"), ("rate:2", "rate:99")] {
        pairs.push((Method::POST, "/maintenances", on(there), there, on(missing), missing));
    }
    let depends = |on: &str| json!({"depends_on": [on]});
    let (there, missing) = (depends("theirs"), depends("nothing"));
    pairs.push((Method::PATCH, "/probes/mine", there, "theirs", missing, "nothing"));
    let moved = |to: &str| json!({"project": to});
    let (there, missing) = (moved("blog"), moved("nowhere"));
    pairs.push((Method::PATCH, "/probes/mine", there, "blog", missing, "nowhere"));
    for (method, path, with, name, without, other) in pairs {
        let there = call(&house, &one, method.clone(), path, with).await;
        let missing = call(&house, &one, method, path, without).await;
        let said = |answer: &Response| body(answer)["detail"].as_str().unwrap().to_owned();
        assert_eq!(there.status, missing.status, "{path} {name}: {}", there.text());
        let (name, other) = (name.trim_start_matches("service:"), other.trim_start_matches("service:"));
        assert_eq!(said(&there).replace(name, "it"), said(&missing).replace(other, "it"), "{path}");
        assert!(there.status >= 400, "{path} {name}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_others_is_asked_for_like_what_is_not_there() {
    let (house, all, one) = two_projects().await;
    let (job, work) = with_theirs(&house, &all).await;
    let nobody = "01a00000-0000-7000-8000-000000000000";
    let trial = json!({"key": "theirs", "project": "default", "definition": tcp("x", "x")["definition"]});
    let missing = json!({"key": "nothing", "project": "default", "definition": tcp("x", "x")["definition"]});
    let tried = call(&house, &one, Method::POST, "/probe-trials", trial).await;
    assert_eq!(tried.status, call(&house, &one, Method::POST, "/probe-trials", missing).await.status);
    let places = [
        ("/probes/theirs".to_owned(), "/probes/nothing".to_owned()),
        (format!("/heartbeats/{job}"), format!("/heartbeats/{nobody}")),
        ("/heartbeats/blog/job".to_owned(), "/heartbeats/blog/none".to_owned()),
        ("/services/theirs".to_owned(), "/services/nothing".to_owned()),
        (format!("/maintenances/{work}"), format!("/maintenances/{nobody}")),
    ];
    for (there, missing) in &places {
        for (method, end) in [
            (Method::GET, ""),
            (Method::PATCH, ""),
            (Method::DELETE, ""),
            (Method::POST, "/pause"),
            (Method::POST, "/resume"),
            (Method::POST, "/try"),
            (Method::POST, "/token"),
            (Method::POST, "/end"),
        ] {
            let there = call(&house, &one, method.clone(), &format!("{there}{end}"), json!({})).await;
            let missing = call(&house, &one, method.clone(), &format!("{missing}{end}"), json!({})).await;
            assert_eq!(there.status, missing.status, "{method} {end}: {}", there.text());
            assert_eq!(body(&there)["detail"], body(&missing)["detail"], "{method} {end}");
        }
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_taken_key_nothing_is_told_but_that_it_is_taken() {
    let (house, all, one) = two_projects().await;
    with_theirs(&house, &all).await;
    // Keys are everybody's: that one is taken has to be told, and nothing more.
    for (path, wanted) in [
        ("/probes", tcp("theirs", "default")),
        ("/services", json!({"key": "theirs", "project": "default", "members": []})),
        ("/maintenances", json!({"key": "theirs", "title": "W", "project": "default", "duration": "1h"})),
    ] {
        let taken = call(&house, &one, Method::POST, path, wanted).await;
        let detail = body(&taken)["detail"].as_str().unwrap().to_owned();
        assert_eq!((taken.status, &*detail), (409, "The key theirs is taken: choose another one."), "{path}");
    }
    let untouched = "SELECT count(*) FROM maintenances WHERE project_id = 2 AND title = 'Theirs'";
    assert_eq!(house.number(untouched).await, 1);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_probe_depends_on_elsewhere_is_not_told_and_stays() {
    let (house, all, one) = two_projects().await;
    made(&house, &all, "/probes", tcp("router", "blog")).await;
    made(&house, &all, "/probes", tcp("base", "default")).await;
    let mut wanted = tcp("api", "default");
    wanted["depends_on"] = json!(["router", "base"]);
    made(&house, &all, "/probes", wanted).await;
    let depends = async |token: &str| {
        let shown = call(&house, token, Method::GET, "/probes/api", Value::Null).await;
        let mut on: Vec<String> = serde_json::from_value(body(&shown)["depends_on"].clone()).unwrap();
        on.sort();
        on
    };
    assert_eq!(depends(&one).await, ["base"]);
    for change in [json!({"name": "API"}), json!({"depends_on": []})] {
        let changed = call(&house, &one, Method::PATCH, "/probes/api", change).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        assert!(!changed.text().contains("router"), "{}", changed.text());
    }
    assert_eq!(depends(&all).await, ["router"]);
    // Nor is it named where a circle leads through it.
    call(&house, &all, Method::PATCH, "/probes/router", json!({"depends_on": ["base"]})).await;
    let circle = call(&house, &one, Method::PATCH, "/probes/base", json!({"depends_on": ["api"]})).await;
    assert_eq!(circle.status, 400, "{}", circle.text());
    assert!(!circle.text().contains("router"), "{}", circle.text());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_found_by_its_key_however_many_there_are() {
    let (house, all, one) = two_projects().await;
    let work = json!({"key": "work", "title": "Theirs", "project": "blog", "duration": "2h"});
    let work = made(&house, &all, "/maintenances", work).await;
    let end = format!("/maintenances/{}/end", work["id"].as_str().unwrap());
    call(&house, &all, Method::POST, &end, json!({"for_good": true})).await;
    let fill = |tx: &WriteTx<'_>| {
        tx.execute(
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 310)
             INSERT INTO maintenances (uid, key, title, starts_at, duration_s, time_zone, owner, created_by,
                 created_at, ended_at)
             SELECT randomblob(16), 'old-' || n, 'old', 0, 60, 'UTC', 'page', 'x', 0, ?1 FROM n",
            params![START.as_micros() + 1_000_000],
        )
    };
    house.state.store.write("test.fill", fill).await.map_err(|error: Error| error).unwrap();
    let mine = json!({"key": "work", "title": "Mine", "project": "default", "duration": "1h"});
    for token in [&one, &all] {
        let taken = call(&house, token, Method::POST, "/maintenances", mine.clone()).await;
        assert_eq!(taken.status, 409, "{}", taken.text());
    }
    let untouched =
        "SELECT count(*) FROM maintenances WHERE key = 'work' AND project_id = 2 AND title = 'Theirs'";
    assert_eq!(house.number(untouched).await, 1);
    let again = json!({"key": "work", "title": "Again", "project": "blog", "duration": "1h"});
    let again = call(&house, &all, Method::POST, "/maintenances", again).await;
    assert_eq!(again.status, 200, "the same key of the same project changes it: {}", again.text());
    house.stop().await;
}

#[actix_web::test]
async fn a_plan_of_the_page_takes_no_other_plans_key() {
    let team = Team::gather().await;
    let plan = |title| {
        [
            ("project", "default"),
            ("title", title),
            ("kind", "repeat"),
            ("cron", "0 3 * * SUN"),
            ("duration", "2h"),
            ("zone", "UTC"),
        ]
    };
    for _ in 0..2 {
        let planned = team.post(&team.member, "/maintenance", &plan("Backup")).await;
        assert_eq!(planned.status, StatusCode::SEE_OTHER, "{}", planned.text);
        team.house.state.clock.advance(Duration::from_mins(1));
    }
    assert_eq!(
        number(&team, "SELECT count(*) FROM maintenances WHERE key IN ('backup', 'backup-2')").await,
        2
    );
}

#[actix_web::test]
async fn what_looks_at_this_machine_is_tried_by_owners_alone() {
    let team = Team::gather().await;
    let disk =
        [("kind", "disk"), ("project", "default"), ("name", "Disk"), ("key", "disk"), ("interval", "30s")];
    let made = team.post(&team.owner, "/probes/new", &disk).await;
    assert_eq!(made.location, "/probes/disk", "{}", made.text);
    for (visitor, status) in [(&team.member, StatusCode::FORBIDDEN), (&team.owner, StatusCode::OK)] {
        assert_eq!(team.part(visitor, "/probes/disk/try", &[]).await.status, status);
        let mut draft = disk.to_vec();
        draft.push(("act", "try"));
        assert_eq!(team.part(visitor, "/probes/new", &draft).await.status, status);
    }
    let paused = team.post(&team.member, "/probes/disk/pause", &[]).await;
    assert_eq!(paused.status, StatusCode::SEE_OTHER, "whoever is on duty quiets it: {}", paused.text);
    let removed = team.post(&team.member, "/probes/disk/remove", &[]).await;
    assert_eq!(removed.status, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secrets_of_a_files_probe_go_with_its_target_alone() {
    let (house, all, _) = two_projects().await;
    let target = |path: &str, to: &str| {
        json!({"target": {"kind": "http", "url": format!("https://api.example.invalid/{path}"),
                          "headers": {to: "Bearer {{token}}"}}})
    };
    let wanted = json!({"key": "api", "name": "API", "project": "default", "secrets": {"token": "t0p-secret"},
                        "definition": target("health", "authorization")});
    made(&house, &all, "/probes", wanted).await;
    let trial = async |definition: Value| {
        let trial = json!({"key": "api", "project": "default", "definition": definition});
        call(&house, &all, Method::POST, "/probe-trials", trial).await
    };
    let moved = async |definition: Value| {
        let refused = trial(definition).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
        assert!(refused.text().contains("The secret token goes to another place"), "{}", refused.text());
    };
    assert_eq!(trial(target("echo", "authorization")).await.status, 200, "the page's own goes to its host");
    let file = |tx: &WriteTx<'_>| tx.execute("UPDATE probes SET owner = 'file'", []);
    house.state.store.write("test.file", file).await.map_err(|error: Error| error).unwrap();
    moved(target("echo", "authorization")).await;
    moved(target("health", "x-shown")).await;
    let mut same = target("health", "authorization");
    same["conditions"] = json!(["status < 500"]);
    let mut asked = trial(same.clone()).await;
    while asked.status == 429 {
        house.clock.advance(Duration::from_mins(1));
        asked = trial(same.clone()).await;
    }
    assert_eq!(asked.status, 200, "{}", asked.text());
    house.stop().await;
}

/// Two who opened the same form: the second is told, with what they typed, and what the first saved stays.
async fn second_of_two(
    team: &Team,
    visitor: &Visitor,
    (show, send): (&str, &str),
    form: impl Fn(&'static str) -> Vec<(&'static str, &'static str)>,
) {
    let page = team.get(visitor, show).await.text;
    let seen = between(&page, "name=\"seen\" value=\"", "\"").to_owned();
    let with = |text, seen: &'static str| {
        let mut fields = form(text);
        fields.push(("seen", seen));
        fields
    };
    let seen: &'static str = seen.leak();
    let first = team.post(visitor, send, &with("First one", seen)).await;
    assert_eq!(first.status, StatusCode::SEE_OTHER, "{send}: {}", first.text);
    let second = team.post(visitor, send, &with("Second one", seen)).await;
    assert_eq!(second.status, StatusCode::CONFLICT, "{send}: {}", second.text);
    assert!(second.text.contains("meanwhile") && second.text.contains("role=\"alert\""), "{send}");
    assert!(second.text.contains("value=\"Second one\""), "{send}: what was typed stays: {}", second.text);
    assert!(team.get(visitor, show).await.text.contains("value=\"First one\""), "{send}: the first stays");
    let seen: &'static str = between(&second.text, "name=\"seen\" value=\"", "\"").to_owned().leak();
    let again = team.post(visitor, send, &with("Second one", seen)).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER, "{send}: who knows of it may replace it: {}", again.text);
    assert!(team.get(visitor, show).await.text.contains("value=\"Second one\""), "{send}");
}

#[actix_web::test]
async fn the_second_of_two_who_change_a_thing_is_told_and_loses_nothing() {
    let team = Team::gather().await;
    let heartbeat = |name| {
        vec![
            ("project", "default"),
            ("name", name),
            ("slug", "job"),
            ("kind", "every"),
            ("every", "1h"),
            ("grace", "10m"),
            ("severity", "high"),
        ]
    };
    let place = team.post(&team.member, "/heartbeats", &heartbeat("Job")).await.location;
    let edit = format!("{}/edit", place.trim_end_matches("#ping"));
    second_of_two(&team, &team.member, (&edit, &edit), heartbeat).await;
    let service = |name| vec![("project", "default"), ("name", name), ("key", "web"), ("needs", "all")];
    team.post(&team.member, "/services", &service("Web")).await;
    second_of_two(&team, &team.member, ("/services/web/edit", "/services/web/edit"), service).await;
    let page = |title| vec![("enabled", "1"), ("title", title)];
    second_of_two(&team, &team.owner, ("/status-page", "/status-page"), page).await;
    let probe = |name| {
        vec![
            ("kind", "tcp"),
            ("project", "default"),
            ("name", name),
            ("key", "db"),
            ("target.host", "db.example"),
            ("target.port", "1"),
            ("interval", "30s"),
            ("retry_interval", "5s"),
            ("timeout", "2s"),
            ("bad", "2"),
            ("of", "2"),
            ("good", "1"),
        ]
    };
    let made = team.post(&team.member, "/probes/new", &probe("Database")).await;
    assert_eq!(made.location, "/probes/db", "{}", made.text);
    second_of_two(&team, &team.member, ("/probes/db/edit", "/probes/db/edit"), probe).await;
    let plan = |title| {
        vec![
            ("project", "default"),
            ("title", title),
            ("kind", "repeat"),
            ("cron", "0 3 * * SUN"),
            ("duration", "2h"),
            ("zone", "UTC"),
        ]
    };
    let place = team.post(&team.member, "/maintenance", &plan("Work")).await.location.replace('#', "/");
    second_of_two(&team, &team.member, (&place, &place), plan).await;
    let missing = team.post(&team.member, "/services/none/edit", &service("None")).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND, "a form that changes makes nothing");
    let taken = team.post(&team.member, "/services", &service("Web again")).await;
    assert_eq!(taken.status, StatusCode::BAD_REQUEST);
    assert!(
        taken.text.contains("The key web is taken") && taken.text.contains("Web again"),
        "{}",
        taken.text
    );
}

#[actix_web::test]
async fn the_status_page_is_shown_as_far_as_its_services_may_be_known() {
    let team = Team::gather().await;
    team.project("Blog").await;
    let leave = |tx: &WriteTx<'_>| tx.execute("DELETE FROM project_members WHERE project_id = 2", []);
    team.house.state.store.write("test.leave", leave).await.map_err(|error: Error| error).unwrap();
    for (key, project) in [("web", "default"), ("blog-inside", "blog")] {
        let form = [("project", project), ("name", key), ("key", key), ("needs", "all")];
        let made = team.post(&team.owner, "/services", &form).await;
        assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text);
    }
    let form = [
        ("enabled", "1"),
        ("title", "Shop"),
        ("service", "web"),
        ("service", "blog-inside"),
        ("section:web", "Shop"),
        ("section:blog-inside", "Blog"),
    ];
    team.post(&team.owner, "/status-page", &form).await;
    let post = [
        ("title", "Blog is slow"),
        ("impact", "minor"),
        ("stage", "investigating"),
        ("text", "We look."),
        ("service", "blog-inside"),
    ];
    team.post(&team.owner, "/status-page/posts", &post).await;
    let page = team.get(&team.owner, "/status-page").await.text;
    assert!(page.contains("blog-inside") && page.contains("Blog is slow"), "{page}");
    let page = team.get(&team.member, "/status-page").await.text;
    assert!(!page.contains("blog-inside") && !page.contains("Blog is slow"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_two_projects_think_of_moves_no_service() {
    let (house, all, _) = two_projects().await;
    made(&house, &all, "/services", json!({"key": "cache", "project": "blog", "members": []})).await;
    let second = json!({"key": "cache", "project": "default", "name": "Another", "members": []});
    let refused = call(&house, &all, Method::POST, "/services", second).await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    let shown = body(&call(&house, &all, Method::GET, "/services/cache", Value::Null).await);
    assert_eq!((&shown["project"], &shown["name"]), (&json!("blog"), &json!("cache")), "{shown}");
    house.stop().await;
}
