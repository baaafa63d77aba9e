//! One outage, seen by many, is one incident in one thread: by a new issue, the error rate and slow queries; by an
//! error, a probe and a heartbeat.

mod shop;

use std::{collections::BTreeSet, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    api::Api,
    events::{accept, event, event_id},
    peer::{Peer, Request},
    server::{Project, Server, Setup},
    wait_until,
};

/// Over the default rule of more than 10 errors in 5 minutes.
const ERRORS: usize = 15;
/// Over the default rule of more than 5 `database_query` metrics above 1000 ms in an hour.
const SLOW_QUERIES: usize = 8;
const SEEN_WITHIN: Duration = Duration::from_secs(20);

#[test]
fn one_outage_is_one_incident_in_one_thread_with_three_witnesses() {
    let slack = Peer::start(&[]);
    let server = Server::start(Setup::with(&[
        ("TOCSIN_SLACK__API_URL", &slack.url("/api")),
        ("TOCSIN_ALERTS__SLACK_BOT_TOKEN", "xoxb-for-the-stand-in"),
        ("TOCSIN_ALERTS__SLACK_CHANNEL", "C0ALERTS"),
        ("TOCSIN_ALERTS__GATHER_S", "5"),
    ]));
    let (api, project) = (server.api(), server.project("shop"));
    for _ in 0..ERRORS {
        accept(&server.stranger(), &project, &event(&event_id(), "Database", "fatal"));
    }
    report_slow_queries(&server.stranger(), &project);

    let incident = wait_until("an incident with three witnesses", SEEN_WITHIN, || {
        let own: Vec<Value> = api
            .list("/api/v1/incidents")
            .into_iter()
            .filter(|incident| incident["project"] == project.slug.as_str())
            .collect();
        assert!(own.len() <= 1, "one outage, one incident: {own:?}");
        own.into_iter()
            .next()
            .filter(|incident| incident["witnesses"].as_array().is_some_and(|all| all.len() == 3))
    });
    let witnesses = incident["witnesses"].as_array().unwrap();
    let sources: BTreeSet<&str> = witnesses.iter().filter_map(|witness| witness["source"].as_str()).collect();
    assert_eq!(sources.len(), 3, "three different sources: {witnesses:?}");
    for witness in witnesses {
        // RFC 3339 in UTC sorts as text: detected at or after it began.
        let (began, detected) = (witness["first_bad_at"].as_str(), witness["detected_at"].as_str());
        assert!(began.is_some() && detected >= began, "a time-to-detect of {witness}");
        assert!(witness["time_to_detect_ms"].as_u64().is_some(), "a time-to-detect in {witness}");
    }
    assert_eq!(incident["severity"], "critical", "{incident}");

    // What joined is told together, with what each saw.
    let gathered = wait_until("the message that tells of both others", SEEN_WITHIN, || {
        let posts = slack.requests();
        posts.iter().map(Request::json).find(|post| post["text"].to_string().contains("Also seen: "))
    });
    let told = gathered["blocks"].to_string();
    assert!(told.contains("and 1 more") && told.contains("errors in 5 minutes"), "{gathered}");
    assert!(told.contains("database_query over 1000 ms"), "{gathered}");
    let roots = slack.requests().iter().filter(|request| request.json()["thread_ts"].is_null()).count();
    assert_eq!(
        (roots, slack.requests().len()),
        (1, 2),
        "one message begins the thread, the other stands in it"
    );
}

fn report_slow_queries(stranger: &Api, project: &Project) {
    let points: Vec<Value> = (0..SLOW_QUERIES)
        .map(|number| {
            let metadata = json!({"query": format!("SELECT * FROM orders WHERE id = {number}")});
            json!({"type": "database_query", "value": 1500 + number, "unit": "ms", "metadata": metadata})
        })
        .collect();
    let headers = [("content-type".to_owned(), "application/json".to_owned())];
    let path = format!("/api/v1/metrics?sentry_key={}", project.public_key);
    let body = Value::from(points).to_string().into_bytes();
    let answer = stranger.send(Method::POST, &path, &headers, body).expect("the server answers");
    assert!((200..300).contains(&answer.status), "{} {}", answer.status, answer.text());
}
