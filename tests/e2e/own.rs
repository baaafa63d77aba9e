//! tocsin about itself, to those who watch it: Prometheus, systemd, a person with a shell.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

use reqwest::Method;
use serde_json::json;

use super::support::{
    api::Api,
    certificates::Certificates,
    events::{accept, event, event_id},
    manager::Manager,
    server::{Server, Setup},
    tools::promtool,
    wait_until,
    web::Nginx,
};

/// A report or an answer, and the task that looks at the services.
const SEEN_WITHIN: Duration = Duration::from_secs(20);

#[test]
fn the_metrics_are_clean_in_the_eyes_of_promtool() {
    let settings =
        [("TOCSIN_PROBES__PRIVATE_TARGETS", "127.0.0.0/8,::1/128"), ("TOCSIN_PROBES__CANARIES", "")];
    let mut server = Server::start(Setup::with(&settings));
    let project = server.project("shop");
    let stranger = server.stranger();
    accept(&stranger, &project, &event(&event_id(), "Payment", "error"));
    let certificates = Certificates::for_localhost();
    let web = Nginx::start(&certificates, "TLSv1.3");
    watch(&server.api(), &web);
    let shown = wait_until("every probe has a series", SEEN_WITHIN, || {
        let shown = stranger.try_get("/metrics").unwrap();
        let text = shown.text();
        PROBED.iter().all(|series| text.contains(series)).then_some(shown)
    });
    assert_eq!(shown.status, 200);
    let mut checking = Command::new(promtool())
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    checking.stdin.take().unwrap().write_all(&shown.body).expect("promtool reads");
    let checked = checking.wait_with_output().expect("promtool ends");
    let said =
        format!("{}{}", String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
    assert!(checked.status.success() && said.trim().is_empty(), "{}: {said}", checked.status);
    assert!(server.stop(), "{}", server.log_tail());
}

/// Of each kind of series one, with a label that must be quoted.
const PROBED: [&str; 3] = [
    "\ntocsin_probe_success{probe=\"web\"} 1\n",
    "\ntocsin_probe_duration_seconds{probe=\"certificate\"} 0.",
    "\ntocsin_probe_certificate_expiry_timestamp_seconds{probe=\"certificate\"} ",
];

/// Probes and a heartbeat, heard of.
fn watch(api: &Api, web: &Nginx) {
    for (key, target) in [
        ("web", json!({"kind": "http", "url": web.url("/health")})),
        ("certificate", json!({"kind": "tls", "host": "localhost", "port": web.tls_port})),
    ] {
        let probe = json!({"key": key, "name": key, "project": "shop", "definition": {"target": target}});
        api.write(Method::POST, "/api/v1/probes", &probe);
    }
    let job = api.write(Method::POST, "/api/v1/heartbeats", &json!({"project": "shop", "slug": "backup"}));
    let ping = format!("/ping/{}", job["ping_url"].as_str().unwrap().rsplit('/').next().unwrap());
    assert_eq!(api.try_get(&ping).unwrap().status, 200);
}

#[test]
fn the_service_manager_is_told_how_it_is_and_the_watchdog_is_fed() {
    let mut manager = Manager::listen();
    let mut server = Server::start(Setup::with(&manager.settings()));
    manager.hears("READY=1");
    manager.hears("WATCHDOG=1");
    manager.hears("STATUS=healthy · 0 open incidents · 0 messages to send · 0.0 events/s");
    assert!(server.stop(), "{}", server.log_tail());
    manager.hears("STOPPING=1");
}

/// Hashing a password takes 19 MiB; what it took must not stay behind in every thread that hashed once.
#[test]
fn guessing_passwords_does_not_fill_the_memory() {
    let settings = [
        ("TOCSIN_ADMIN_EMAIL", "ada@example.com"),
        ("TOCSIN_ADMIN_PASSWORD", "tin whistle parade"),
        ("TOCSIN_HTTP__TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let mut server = Server::start(Setup::with(&settings));
    std::thread::scope(|guessing| {
        for guesser in 0..16 {
            let stranger = server.stranger();
            guessing.spawn(move || (0..4).for_each(|guess| guess_password(&stranger, guesser, guess)));
        }
    });
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 150_000, "{peak} kB at most");
    assert!(server.stop(), "{}", server.log_tail());
}

/// Each guess comes from an address and for an account of its own: no limit of either holds it up.
fn guess_password(stranger: &Api, guesser: u8, guess: u8) {
    let headers = [
        ("x-forwarded-for", format!("198.51.{guesser}.{guess}")),
        ("sec-fetch-site", "same-origin".to_owned()),
        ("content-type", "application/x-www-form-urlencoded".to_owned()),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value));
    let body = format!("email=nobody{guesser}x{guess}%40example.com&password=wrong+horse+battery");
    let answer = stranger.send(Method::POST, "/sign-in", &headers, body.into_bytes()).unwrap();
    assert!([401, 429, 503].contains(&answer.status), "{}: {}", answer.status, answer.text());
}

#[test]
fn a_failure_stands_in_the_log_under_the_id_that_was_answered() {
    let mut server = Server::start(Setup::default());
    let database = rusqlite::Connection::open(server.folder().join("tocsin.db")).unwrap();
    database.execute_batch("ALTER TABLE outcomes RENAME TO elsewhere").unwrap();
    let asked = [("x-request-id".to_owned(), "lost-page-7".to_owned())];
    let answer = server.api().send(Method::GET, "/api/v1/outcomes", &asked, Vec::new()).unwrap();
    assert_eq!(answer.status, 500, "{}", answer.text());
    let log = server.log_tail();
    let is_named =
        |line: &&str| line.contains("a request failed") && line.contains("\"request_id\":\"lost-page-7\"");
    assert!(log.lines().any(|line| is_named(&line)), "{log}");
    database.execute_batch("ALTER TABLE elsewhere RENAME TO outcomes").unwrap();
    assert!(server.stop(), "{}", server.log_tail());
}

/// By its exit code a script knows how they are.
#[test]
fn a_person_with_a_shell_sees_how_the_services_are() {
    let server = Server::start(Setup::default());
    let api = server.api();
    let push = |key: &str, critical: bool| {
        let definition = json!({"target": {"kind": "push"}, "policy": {"bad": 1, "of": 1, "good": 1}});
        let probe = json!({"key": key, "name": key, "project": "default", "definition": definition});
        let made = api.write(Method::POST, "/api/v1/probes", &probe);
        let service =
            json!({"key": key, "project": "default", "name": key, "critical": critical, "members": [key]});
        api.write(Method::POST, "/api/v1/services", &service);
        made["push_path"].as_str().expect("results are reported to an address").to_owned()
    };
    let (database, cache) = (push("database", true), push("cache", false));
    let report = |path: &str, status: &str, message: &str| {
        server.stranger().write(Method::POST, path, &json!({"status": status, "message": message}));
    };
    let says = |code: i32, words: &[&str]| {
        let mut said = String::new();
        wait_until(&format!("{words:?} with {code}"), SEEN_WITHIN, || {
            let output = server.command().args(["status", "--of", "services"]).output().unwrap();
            said = String::from_utf8(output.stdout).unwrap();
            let is_right = words.iter().all(|word| said.contains(word)) && output.status.code() == Some(code);
            is_right.then_some(())
        });
        said
    };
    says(1, &["unknown", "database", "cache"]);
    report(&database, "up", "");
    report(&cache, "up", "");
    says(0, &["healthy · tocsin"]);
    report(&cache, "down", "no memory left");
    says(1, &["degraded · tocsin", "no memory left"]);
    report(&database, "down", "too many connections");
    let said = says(2, &["unhealthy · tocsin", "too many connections"]);
    assert_eq!(said.lines().count(), 3, "a line for all and one for each: {said}");
    let as_json = server.command().args(["status", "--of", "services", "--json"]).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&as_json.stdout).unwrap();
    assert_eq!(report["status"], "unhealthy");
    assert_eq!(report["parts"].as_array().map(Vec::len), Some(2), "{report}");
}
