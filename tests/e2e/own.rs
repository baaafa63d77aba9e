//! tocsin about itself, to those who watch it: Prometheus, systemd, a person with a shell.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use reqwest::Method;

use super::support::{
    api::Api,
    events::{accept, event, event_id},
    manager::Manager,
    server::{Server, Setup},
    tools::promtool,
};

#[test]
fn the_metrics_are_clean_in_the_eyes_of_promtool() {
    let mut server = Server::start(Setup::default());
    let project = server.project("shop");
    let stranger = server.stranger();
    accept(&stranger, &project, &event(&event_id(), "Payment", "error"));
    let shown = stranger.try_get("/metrics").unwrap();
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
