//! Certificates near and past their end, from an authority of our own, as the product sees and tells them.

use std::{fs, time::Duration};

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    certificates::Certificates,
    server::{Server, Setup},
    wait_until,
    web::Nginx,
};

/// A first answer, its confirmation after a second, and the task that looks at the services.
const JUDGED_WITHIN: Duration = Duration::from_secs(20);

#[test]
fn certificates_near_and_past_their_end_are_told_with_the_reason() {
    let (good, near, past) = (
        Certificates::for_localhost(),
        Certificates::for_localhost_until(5),
        Certificates::for_localhost_until(-3),
    );
    let folder = TempDir::new().expect("a temporary folder can be made");
    let trusted = folder.path().join("authorities.pem");
    let authorities = [&good, &near, &past].map(|one| one.authority.as_str()).concat();
    fs::write(&trusted, authorities).expect("a temporary folder can be filled");
    let server = Server::start(Setup::with(&[
        ("TOCSIN_OUTBOUND__CA_FILE", &trusted.display().to_string()),
        ("TOCSIN_PROBES__PRIVATE_TARGETS", "127.0.0.0/8,::1/128"),
        ("TOCSIN_PROBES__CANARIES", ""),
    ]));
    let api = server.api();
    let webs = [("good", &good), ("near", &near), ("past", &past)].map(|(key, papers)| {
        let web = Nginx::start(papers, "TLSv1.3");
        let target = json!({"kind": "tls", "host": "localhost", "port": web.tls_port});
        let policy = json!({"interval": "5s", "retry_interval": "1s", "timeout": "2s"});
        let probe = json!({"key": key, "name": key, "project": "default",
                           "definition": {"target": target, "policy": policy}});
        api.write(Method::POST, "/api/v1/probes", &probe);
        web
    });
    let service =
        json!({"key": "web", "project": "default", "name": "Web", "members": ["good", "near", "past"]});
    api.write(Method::POST, "/api/v1/services", &service);

    for (key, status, reason) in [
        ("good", "healthy", ""),
        ("near", "unhealthy", "cert.expires_in was 4d"),
        ("past", "unhealthy", "cert.trusted was false, wanted true: the certificate has expired"),
    ] {
        let probe = wait_until(&format!("{key} is {status}"), JUDGED_WITHIN, || {
            Some(api.get(&format!("/api/v1/probes/{key}"))).filter(|probe| probe["status"] == status)
        });
        assert!(probe["reason"].as_str().is_some_and(|told| told.starts_with(reason)), "{reason}: {probe}");
    }
    let told: Vec<String> = wait_until("both are told", JUDGED_WITHIN, || {
        let all = api.list("/api/v1/incidents");
        let witnesses = all.iter().flat_map(|one| one["witnesses"].as_array().cloned().unwrap_or_default());
        let told = witnesses.map(|one| one["summary"].as_str().unwrap_or_default().to_owned());
        Some(told.collect::<Vec<_>>()).filter(|told| told.len() == 2)
    });
    println!("told: {told:?}");
    let health = wait_until("the service knows", JUDGED_WITHIN, || {
        let health = api.try_get("/api/health/detailed").expect("the server answers").json();
        Some(health).filter(|health| health["services"]["web"]["status"] == "unhealthy")
    });
    let shown = &health["services"]["web"]["certificate"];
    for (key, is_trusted) in [("good", "true"), ("near", "true"), ("past", "false")] {
        let of = &shown[key];
        assert_eq!(of["cert.trusted"], is_trusted, "{key}: {shown}");
        assert!(of["cert.expires_at"].is_string() && of["cert.expires_in"].is_string(), "{key}: {shown}");
    }
    assert_eq!(webs.len(), 3);
}
