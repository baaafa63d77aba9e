//! What rings, and when again.

use super::*;
use crate::issues::error_rate;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);
/// Longer than an incident of errors stays awake.
const QUIET: Duration = Duration::from_mins(45);

/// A house whose project is past its first day, and when that is.
async fn grown() -> (House, Timestamp) {
    let house = House::new().await;
    house.send(250, NOON, json!({"level": "info", "fingerprint": ["first"]})).await;
    (house, NOON + 2 * DAY)
}

#[tokio::test]
async fn a_resolved_issue_that_comes_back_is_a_regression_and_rings() {
    let (house, now) = grown().await;
    house.send(1, now, json!({})).await;
    let resolved_at = now + Duration::from_mins(1);
    house.set_status(Status::Resolved, resolved_at).await;
    assert_eq!(house.open_incidents(), 0);
    // An event that happened before it was resolved changes nothing, however bad it is.
    house.send(2, resolved_at + 5 * SECOND, json!({"timestamp": now})).await;
    house.send(4, resolved_at + 6 * SECOND, json!({"timestamp": now, "level": "fatal"})).await;
    assert_eq!(house.issues()[0].status, "resolved");
    assert_eq!((house.severities().len(), house.open_incidents()), (1, 0));
    house.send(3, resolved_at + 10 * SECOND, json!({})).await;
    let issue = &house.issues()[0];
    assert_eq!(issue.status, "unresolved");
    assert!(issue.regressed_at.is_some());
    assert_eq!(house.open_incidents(), 1);
    house.store.stop();
}

#[tokio::test]
async fn a_critical_event_rings_at_once_and_a_storm_of_them_is_one_incident() {
    let house = House::new().await;
    for id in 0..50 {
        house.send(id, NOON, json!({"level": "fatal"})).await;
    }
    assert_eq!(house.open_incidents(), 1);
    let waiting: i64 = house
        .read(|tx| tx.one("SELECT count(*) FROM deliveries WHERE purpose = 'opened'", [], |row| row.get(0)));
    assert_eq!(waiting, 1);
    house.store.stop();
}

#[tokio::test]
async fn a_new_issue_of_a_young_project_waits_for_the_digest_and_later_rings() {
    let house = House::new().await;
    house.send(1, NOON, json!({})).await;
    assert_eq!((house.open_incidents(), house.digest()), (0, 1));
    let later = NOON + Duration::from_hours(25);
    let other = json!({"exception": {"values": [{"type": "OtherError", "value": "x"}]}});
    house.send(2, later, other).await;
    assert_eq!(house.open_incidents(), 1);
    house.store.stop();
}

#[tokio::test]
async fn more_than_ten_errors_in_five_minutes_open_an_incident_of_their_own() {
    let (house, at) = (House::new().await, NOON + 3 * SECOND);
    for id in 0..10 {
        house.send(id, at, json!({})).await;
    }
    assert_eq!(house.open_incidents(), 0);
    house.send(10, at, json!({})).await;
    let keys = house.read(|tx| incident_queries::firing_keys(tx, crate::incidents::Source::ErrorRate, ""));
    assert_eq!(keys, ["rate:1"]);
    let began = "SELECT min(first_bad_at) FROM witnesses WHERE source = 'error_rate'";
    let began: i64 = house.read(|tx| tx.one(began, [], |row| row.get(0)));
    assert_eq!(Timestamp::from_micros(began), at, "not when its step began");
    // Six minutes later nothing of it is in the window.
    let (incidents, later) = (Arc::clone(&house.incidents), NOON + Duration::from_mins(6));
    let fell = house.store.write("windows", move |tx| error_rate::expire_rates(tx, &incidents, later, ""));
    assert_eq!(fell.await.unwrap().fell, 1);
    house.store.stop();
}

#[tokio::test]
async fn a_client_whose_clock_is_behind_cannot_hide_a_regression() {
    let house = House::new().await;
    house.send(1, NOON, json!({})).await;
    house.set_status(Status::Resolved, NOON + SECOND).await;
    let later = NOON + Duration::from_mins(10);
    house.send(2, later, json!({"timestamp": NOON - Duration::from_hours(3)})).await;
    assert_eq!(house.issues()[0].status, "unresolved");
    house.store.stop();
}

#[tokio::test]
async fn a_fatal_event_is_heard_however_lately_its_issue_was_touched() {
    let (house, now) = grown().await;
    house.send(1, now, json!({})).await;
    assert_eq!(house.severities(), ["high"]);
    // Seconds after its incident opened, and right after it was kept awake.
    house.send(2, now + 2 * SECOND, json!({"level": "fatal"})).await;
    assert_eq!(house.severities(), ["critical"]);
    house.send(3, now + 25 * SECOND, json!({})).await;
    house.send(4, now + 26 * SECOND, json!({"level": "fatal"})).await;
    assert_eq!(house.severities(), ["critical"]);
    house.store.stop();
}

#[tokio::test]
async fn a_fatal_event_right_after_its_incident_was_closed_opens_another() {
    let (house, now) = grown().await;
    house.send(1, now, json!({"level": "fatal"})).await;
    let (incidents, at) = (Arc::clone(&house.incidents), now + SECOND);
    let close = house.store.write("close", move |tx| {
        incidents.resolve(tx, at, crate::incidents::IncidentId(1), "ann@example.com")
    });
    close.await.unwrap();
    house.send(2, now + 2 * SECOND, json!({"level": "fatal"})).await;
    assert_eq!((house.severities().len(), house.open_incidents()), (2, 1));
    house.store.stop();
}

#[tokio::test]
async fn an_issue_that_rang_rings_again_when_it_returns_after_its_incident() {
    let (house, now) = grown().await;
    house.send(1, now, json!({})).await;
    let later = now + QUIET;
    house.expire(later).await;
    assert_eq!(house.open_incidents(), 0);
    house.send(2, later, json!({})).await;
    assert_eq!((house.severities().len(), house.open_incidents()), (2, 1));
    // Awake, it is one incident however long it goes on.
    for minutes in 1..40 {
        let id = u8::try_from(minutes).unwrap() + 10;
        house.send(id, later + Duration::from_mins(minutes), json!({})).await;
    }
    house.expire(later + QUIET).await;
    assert_eq!((house.severities().len(), house.open_incidents()), (2, 1));
    house.store.stop();
}

#[tokio::test]
async fn an_issue_that_never_rang_stays_silent_when_it_returns() {
    let house = House::new().await;
    // Of the first day: told in the digest. And of an environment that does not ring.
    house.send(1, NOON, json!({})).await;
    house.send(2, NOON, json!({"fingerprint": ["test"], "environment": "test"})).await;
    let later = NOON + 3 * DAY;
    house.send(3, later, json!({})).await;
    house.send(4, later, json!({"fingerprint": ["test"], "environment": "test"})).await;
    assert_eq!(house.open_incidents(), 0);
    house.store.stop();
}

#[tokio::test]
async fn an_event_of_a_quiet_environment_does_not_hide_one_that_rings() {
    let (house, now) = grown().await;
    let (quiet, loud) =
        (json!({"environment": "test", "level": "fatal"}), json!({"environment": "production"}));
    house.switch_rule(RuleKind::Critical, false).await;
    tokio::join!(house.send(1, now, loud), house.send(2, now, quiet));
    assert_eq!(house.open_incidents(), 1);
    house.store.stop();
}

#[tokio::test]
async fn an_incident_is_as_grave_as_its_rule_says() {
    let (house, now) = grown().await;
    house.set_rule(RuleKind::NewIssue, Severity::Critical).await;
    house.set_rule(RuleKind::Critical, Severity::Medium).await;
    house.send(1, now, json!({})).await;
    house.send(2, now + Duration::from_mins(20), json!({"level": "fatal", "fingerprint": ["b"]})).await;
    assert_eq!(house.severities(), ["critical", "medium"]);
    house.store.stop();
}

#[tokio::test]
async fn endless_new_issues_are_counted_in_one_and_ring_once() {
    let (house, now) = grown().await;
    for id in 0..30 {
        house.send(id, now, json!({"fingerprint": [format!("order {id}")]})).await;
    }
    let issues = house.issues();
    let others: Vec<_> = issues.iter().filter(|issue| issue.title.starts_with("(other)")).collect();
    assert_eq!(issues.len(), 1 + 12 + 1);
    assert_eq!((others.len(), others[0].count), (1, 18));
    let total: i64 = issues.iter().map(|issue| issue.count).sum();
    assert_eq!(total, 31);
    let keys: Vec<String> = house
        .read(|tx| tx.all("SELECT key FROM witnesses WHERE key LIKE 'new_issues:%'", [], |row| row.get(0)));
    assert_eq!(keys, ["new_issues:1"]);
    let Found::Event(event) =
        house.read(|tx| find_event(tx, &house.recent, &Visible::All, None, EventId([29; 16])))
    else {
        panic!("the event is stored");
    };
    assert!(event.warnings.iter().any(|warning| warning.path == "issue"), "{:?}", event.warnings);
    // The next hour has room again, also for what had none.
    house.send(40, now + Duration::from_hours(1), json!({"fingerprint": ["order 29"]})).await;
    assert_eq!(house.issues().len(), issues.len() + 1);
    house.store.stop();
}

/// An event of an environment where no issue rings.
fn quiet() -> serde_json::Value {
    json!({"environment": "development"})
}

#[tokio::test]
async fn an_issue_that_no_rule_looked_at_is_new_with_its_first_event_that_one_covers() {
    let (house, mut now) = grown().await;
    let mild = json!({"level": "warning", "fingerprint": ["mild"]});
    let grave = json!({"fingerprint": ["mild"]});
    let unruled = json!({"fingerprint": ["unruled"]});
    // Seen where it does not ring, as something mild, and while the rule is off.
    house.send(1, now, quiet()).await;
    house.send(2, now, mild).await;
    house.switch_rule(RuleKind::NewIssue, false).await;
    house.send(3, now, unruled.clone()).await;
    house.switch_rule(RuleKind::NewIssue, true).await;
    assert_eq!(house.alerts(), Vec::<String>::new());
    for (id, loud) in [(10, json!({})), (20, grave), (30, unruled)] {
        now = now + Duration::from_mins(10);
        house.send(id, now, loud.clone()).await;
        house.send(id + 1, now + SECOND, loud).await;
    }
    assert_eq!(house.alerts(), ["new_issue"; 3]);
    assert_eq!(house.severities(), ["high"; 3], "each rings, and once");
    house.store.stop();
}

#[tokio::test]
async fn an_issue_of_a_quiet_environment_is_in_the_digest_of_the_first_day_once_it_is_covered() {
    let house = House::new().await;
    house.send(1, NOON, quiet()).await;
    assert_eq!(house.digest(), 0);
    house.send(2, NOON + SECOND, json!({})).await;
    house.send(3, NOON + 2 * SECOND, json!({})).await;
    assert_eq!(house.digest(), 1);
    // Told by then: it is not new a second time.
    house.send(4, NOON + 2 * DAY, json!({})).await;
    assert_eq!(house.open_incidents(), 0);
    house.store.stop();
}

#[tokio::test]
async fn an_issue_that_was_ignored_before_anybody_heard_of_it_rings_when_that_is_taken_back() {
    let (house, now) = grown().await;
    house.send(1, now, quiet()).await;
    house.set_status(Status::Ignored, now + SECOND).await;
    house.send(2, now + 2 * SECOND, json!({"level": "fatal"})).await;
    assert_eq!(house.open_incidents(), 0);
    house.set_status(Status::Unresolved, now + 3 * SECOND).await;
    house.send(3, now + 4 * SECOND, quiet()).await;
    assert_eq!(house.open_incidents(), 0);
    house.send(4, now + 5 * SECOND, json!({})).await;
    assert_eq!(house.alerts(), ["new_issue"]);
    house.store.stop();
}

#[tokio::test]
async fn a_return_where_nobody_listens_is_a_regression_where_somebody_does() {
    let (house, mut now) = grown().await;
    house.send(1, now, json!({})).await;
    for round in 1..=2_u8 {
        now = now + Duration::from_mins(20);
        house.set_status(Status::Resolved, now).await;
        house.send(10 * round, now + SECOND, quiet()).await;
        assert_eq!(house.issues()[0].status, "unresolved", "the list tells the truth");
        assert_eq!(house.open_incidents(), 0);
        house.send(10 * round + 1, now + 2 * SECOND, json!({})).await;
        house.send(10 * round + 2, now + 3 * SECOND, json!({})).await;
        assert_eq!(house.open_incidents(), 1);
    }
    assert_eq!(house.alerts(), ["new_issue", "regression", "regression"]);
    // Back in silence and resolved again: what arrives late is no return.
    now = now + Duration::from_mins(20);
    house.set_status(Status::Resolved, now).await;
    house.send(40, now + SECOND, quiet()).await;
    house.set_status(Status::Resolved, now + 2 * SECOND).await;
    house.send(41, now + 3 * SECOND, json!({"timestamp": now})).await;
    assert_eq!((house.issues()[0].status.as_str(), house.open_incidents()), ("resolved", 0));
    house.store.stop();
}

#[tokio::test]
async fn a_late_event_does_not_ring_for_a_return_where_nobody_listens() {
    let (house, now) = grown().await;
    house.send(1, now, json!({})).await;
    house.set_status(Status::Resolved, now + SECOND).await;
    house.send(2, now + 2 * SECOND, quiet()).await;
    house.send(3, now + 3 * SECOND, json!({"timestamp": now})).await;
    assert_eq!((house.issues()[0].status.as_str(), house.open_incidents()), ("unresolved", 0));
    house.store.stop();
}

#[tokio::test]
async fn an_issue_that_was_dealt_with_is_taken_out_of_the_digest_and_is_news_again() {
    let house = House::new().await;
    house.send(1, NOON, json!({})).await;
    house.set_status(Status::Ignored, NOON + SECOND).await;
    assert_eq!(house.digest(), 0);
    house.set_status(Status::Unresolved, NOON + 2 * SECOND).await;
    house.send(2, NOON + 3 * SECOND, json!({})).await;
    assert_eq!(house.digest(), 1);
    house.set_status(Status::Resolved, NOON + 4 * SECOND).await;
    house.expire(NOON + 2 * DAY).await;
    let digests = "SELECT count(*) FROM deliveries WHERE purpose = 'digest'";
    assert_eq!(house.read(|tx| tx.one(digests, [], |row| row.get::<_, i64>(0))), 0);
    house.send(3, NOON + 2 * DAY, json!({})).await;
    assert_eq!(house.alerts(), ["regression"]);
    house.store.stop();
}

#[tokio::test]
async fn the_error_rate_counts_the_oldest_step_of_its_window() {
    let house = House::new().await;
    // In one step, whose beginning lies outside of the window by the time that the last one comes.
    let first = NOON + 9 * SECOND;
    for id in 0..10 {
        house.send(id, first, json!({})).await;
    }
    house.send(10, first + 299 * SECOND, json!({})).await;
    let keys = house.read(|tx| incident_queries::firing_keys(tx, crate::incidents::Source::ErrorRate, ""));
    assert_eq!(keys, ["rate:1"], "eleven within five minutes");
    house.store.stop();
}
