//! Twelve minutes of own outage: what should have happened meanwhile is nobody's fault, what is missing after it is.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{GRACE, PERIOD, SOON, heartbeat, ping, summaries};
use crate::support::{
    server::{Server, Setup, twelve_minutes_ago},
    wait_until,
};

const MISSING: &str = "missing";

#[test]
fn twelve_minutes_of_own_outage_raise_no_false_alarm() {
    let mut server = Server::start(Setup { settings: twelve_minutes_ago(), ..Setup::default() });
    let api = server.api();
    let periods = [
        ("often", json!({"every": "10s"})),
        ("minutely", json!({"every": "1m"})),
        ("by-crontab", json!({"cron": "* * * * *"})),
        ("seldom", json!({"every": "5m"})),
        ("hourly", json!({"every": "1h"})),
        ("running", json!({"every": "1h", "too_long": "1m"})),
        (MISSING, json!({"every": "10s"})),
    ];
    let jobs: Vec<(&str, String)> =
        periods.iter().map(|(slug, schedule)| (*slug, heartbeat(&api, slug, schedule))).collect();
    for (slug, id) in &jobs {
        ping(&server, id, if *slug == "running" { "/start" } else { "" });
    }
    assert!(server.stop(), "{}", server.log_tail());

    server.setup = Setup::default();
    server.launch();
    let (api, back) = (server.api(), Instant::now());
    let down = |slug: &str| api.get(&format!("/api/v1/heartbeats/default/{slug}"))["status"] == "down";
    wait_until("who stays away is missed", PERIOD + GRACE + SOON, || {
        for (slug, id) in jobs.iter().filter(|(slug, _)| *slug != MISSING) {
            // The first look comes before any ping: nobody is missed for what was before.
            assert!(!down(slug), "{slug} is blamed: {:?}", summaries(&api));
            ping(&server, id, "");
        }
        down(MISSING).then_some(())
    });
    let missed_after = back.elapsed();
    assert!(missed_after >= GRACE, "missed after {missed_after:?}: its time begins when tocsin is back");
    let told = summaries(&api);
    println!("missed {missed_after:?} after the return: {told:?}");
    let notes = told.iter().filter(|told| told.starts_with("tocsin was blind from")).collect::<Vec<_>>();
    assert!(notes.len() == 1 && notes[0].ends_with("it was not running"), "one note about the gap: {told:?}");
    let alarms = told.iter().filter(|told| told.starts_with(MISSING)).count();
    assert_eq!((alarms, told.len()), (1, 2), "who is missed and the gap, and nothing else: {told:?}");
    assert!(server.stop(), "{}", server.log_tail());
}

#[test]
fn the_clock_of_a_server_can_be_set_back() {
    let server = Server::start(Setup { settings: twelve_minutes_ago(), ..Setup::default() });
    let made = server.api().get("/api/v1/projects");
    let at = made["items"][0]["created_at"].as_str().unwrap();
    let at = tocsin::base::Timestamp::parse_rfc3339(at).unwrap();
    let behind = tocsin::base::Clock::system().now().since(at);
    let minutes = Duration::from_mins(1);
    assert!(behind > minutes * 11 && behind < minutes * 13, "{behind:?}");
}
