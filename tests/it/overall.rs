//! How everything is, over HTTP, from every way in which members can be.

use serde_json::{Value, json};
use tocsin::outbound::Method;
use tocsin::outbound::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};

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
        ("umm", "umm", "degraded"),
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
