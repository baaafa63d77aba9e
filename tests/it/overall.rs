//! How everything is, over HTTP, from every way in which members can be, and with all that is known of them.

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::base::ProjectId;
use tocsin::outbound::Method;
use tocsin::outbound::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use tocsin::probes::board::{LastRun, Live};
use tocsin::probes::seen::Phases;
use tocsin::probes::{Kind, ProbeId, Status};

use crate::services::{becomes, probes, send};
use crate::support::{House, json as body};

/// Three members in three services: one needs all, one any and is critical, one needs two.
async fn house() -> (House, String) {
    let house = House::open().await;
    let token = house.token("read,write,admin").await;
    probes(&house, &["a", "b", "c"]).await;
    let members = ["a", "b", "c"];
    for service in [
        json!({"key": "all", "project": "default", "members": members}),
        json!({"key": "any", "project": "default", "needs": "any", "critical": true, "members": members}),
        json!({"key": "two", "project": "default", "needs": {"quorum": 2}, "members": members}),
    ] {
        let made = send(&house, Method::POST, "/api/v1/services", &token, &service).await;
        assert_eq!(made.status, 201, "{}", made.text());
    }
    (house, token)
}

/// **h**ealthy, **d**egraded, **u**nhealthy, un**r**eachable, unknow**n**, **m**aintenance, **p**aused.
fn status(letter: char) -> &'static str {
    match letter {
        'h' => "healthy",
        'd' => "degraded",
        'u' => "unhealthy",
        'r' => "unreachable",
        'n' => "unknown",
        'm' => "maintenance",
        _ => "paused",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_as_its_services_are_and_they_as_their_members() {
    let (house, token) = house().await;
    // Members; how each service is; how everything is, by three words and by the two of a balancer.
    let table = [
        ("hhh", "hhh", "healthy"),
        ("hhd", "dhh", "degraded"),
        ("hhu", "uhh", "degraded"),
        ("hdu", "uhd", "degraded"),
        ("huu", "uhu", "degraded"),
        // The critical one is not healthy.
        ("ddd", "ddd", "unhealthy"),
        ("duu", "udu", "unhealthy"),
        ("uuu", "uuu", "unhealthy"),
        // What nobody can judge is no outage of anybody.
        ("hhr", "nhh", "degraded"),
        ("hur", "uhn", "degraded"),
        ("rrr", "nnn", "degraded"),
        ("uur", "unu", "degraded"),
        ("nnn", "nnn", "degraded"),
        ("hhm", "mhh", "degraded"),
        // Planned work on two excuses the service that needs two, and not the one that one would do for.
        ("umm", "uum", "unhealthy"),
        ("hhp", "hhh", "healthy"),
        ("uup", "uuu", "unhealthy"),
        ("ppp", "nnn", "degraded"),
    ];
    for (members, services, overall) in table {
        for (probe, letter) in (1..).zip(members.chars()) {
            becomes(&house, probe, status(letter)).await;
        }
        let code = if overall == "unhealthy" { 503 } else { 200 };
        let answer = house.get("/api/health", Some(&token)).await;
        let shown = body(&answer);
        assert_eq!((answer.status, &shown["status"]), (code, &json!(overall)), "{members}: {shown}");
        for (service, letter) in ["all", "any", "two"].into_iter().zip(services.chars()) {
            assert_eq!(
                shown["services"][service]["status"],
                status(letter),
                "{service} of {members}: {shown}"
            );
            let one = house.get(&format!("/api/health/{service}"), Some(&token)).await;
            let code = if letter == 'u' { 503 } else { 200 };
            assert_eq!((one.status, &body(&one)["status"]), (code, &json!(status(letter))), "{members}");
        }
        assert_eq!(body(&house.get("/api/health", None).await), json!({"status": overall}), "a stranger");
        let (words, passed) = health_json(&house, &token).await;
        let expected = match overall {
            "healthy" => "pass",
            "degraded" => "warn",
            _ => "fail",
        };
        assert_eq!((words.as_str(), passed), (expected, code), "{members}");
    }
    house.stop().await;
}

async fn health_json(house: &House, token: &str) -> (String, u16) {
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    let accept = HeaderValue::from_static("application/health+json");
    let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer), (ACCEPT, accept)]);
    let answer = house.send_with(Method::GET, "/api/health", headers, Vec::new()).await;
    let kind = answer.headers["content-type"].to_str().unwrap();
    assert!(kind.starts_with("application/health+json"), "{kind}");
    let shown: Value = body(&answer);
    (shown["status"].as_str().unwrap().to_owned(), answer.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_detailed_form_tells_everything_that_is_known() {
    let (house, token) = house().await;
    // A fact, and the part of the answer in which it stands.
    let facts = [
        ("cert.expires_in", "certificate"),
        ("table.exists", "tables"),
        ("table.rows", "tables"),
        ("newest_row.age", "freshness"),
        ("newest_object.age", "freshness"),
        ("age", "freshness"),
        ("used_memory", "memory"),
        ("rss", "memory"),
        ("load.per_core", "cpu"),
        ("disk.used", "disk"),
    ];
    let now = house.clock.now();
    let millis = |time| Some(Duration::from_millis(time));
    house.state.prober.board.put(Live {
        id: ProbeId(1),
        project: ProjectId(1),
        key: "a".to_owned(),
        name: "a".to_owned(),
        kind: Kind::Postgres,
        status: Status::Unhealthy,
        since: now,
        reason: "table.rows was 3, wanted > 5".to_owned(),
        flapping: true,
        last: Some(LastRun {
            at: now,
            good: false,
            reason: "table.rows was 3, wanted > 5".to_owned(),
            phases: Phases {
                dns: millis(1),
                connect: millis(2),
                total: Duration::from_millis(9),
                ..Phases::default()
            },
            facts: facts.iter().map(|(name, _)| (*name, "7".to_owned())).collect(),
            outcomes: Vec::new(),
        }),
        last_good_at: Some(now - Duration::from_mins(3)),
        next_at: Some(now + Duration::from_secs(5)),
    });
    house.run("health.services").await;
    let shown = body(&house.get("/api/health/detailed", Some(&token)).await);
    let service = &shown["services"]["all"];
    assert_eq!((&service["status"], &service["latency"]), (&json!("unhealthy"), &json!(9.0)), "{service}");
    assert_eq!(service["last_good_at"], json!(now - Duration::from_mins(3)));
    assert_eq!(service["message"], "a is down (table.rows was 3, wanted > 5)");
    for (fact, part) in facts {
        assert_eq!(service[part]["a"][fact], "7", "{fact} stands in {part}: {service}");
    }
    let member = &service["members"][0];
    assert_eq!(
        (&member["flapping"], &member["phases_ms"]["connect"]),
        (&json!(true), &json!(2.0)),
        "{member}"
    );
    for (part, number) in [("store", "disk_bytes"), ("store", "waiting"), ("store", "commits")] {
        assert!(shown["tocsin"][part][number].is_u64(), "{part} {number}: {shown}");
    }
    assert!(shown["tocsin"]["cache"]["sessions"]["hits"].is_u64(), "{shown}");
    assert!(shown["tocsin"]["queues"].as_object().unwrap().contains_key("messages_under_way"), "{shown}");
    let one = body(&house.get("/api/health/all", Some(&token)).await);
    assert_eq!(one["certificate"], service["certificate"], "one service is told as fully: {one}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_badge_says_in_words_how_its_service_is() {
    let (house, token) = house().await;
    let page = json!({"enabled": true, "title": "Shop", "sections": [{"title": "All", "entries": [{"service": "all"}]}]});
    let saved = send(&house, Method::PUT, "/api/v1/status-page", &token, &page).await;
    let badge = body(&saved)["sections"][0]["entries"][0]["badge"].as_str().unwrap().to_owned();
    for (member, words, color) in [
        ("healthy", "up", "brightgreen"),
        ("degraded", "degraded", "yellow"),
        ("unhealthy", "down", "red"),
        ("maintenance", "maintenance", "blue"),
        ("unknown", "not seen", "lightgrey"),
        ("unreachable", "not seen", "lightgrey"),
    ] {
        becomes(&house, 2, member).await;
        house.run("status_page.render").await;
        let picture = house.get(&format!("/badge/{badge}.svg"), None).await;
        assert_eq!(picture.headers["content-type"], "image/svg+xml");
        let text = picture.text();
        assert!(text.contains(&format!("<title>all: {words}</title>")), "{member}: {text}");
        assert!(!text.contains("<script") && !text.contains("href"), "it asks nobody: {text}");
        let shields = body(&house.get(&format!("/badge/{badge}.json"), None).await);
        let shown = (&shields["message"], &shields["color"], &shields["isError"]);
        assert_eq!(shown, (&json!(words), &json!(color), &json!(color == "red")), "{member}");
    }
    house.stop().await;
}
