//! What the suites share: a server to start and kill, its API, counterparts to ring, and waiting with a deadline.

pub(crate) mod api;
pub(crate) mod asker;
pub(crate) mod certificates;
pub(crate) mod database;
pub(crate) mod events;
pub(crate) mod mail;
pub(crate) mod manager;
pub(crate) mod peer;
pub(crate) mod server;
pub(crate) mod tools;
pub(crate) mod web;

use std::{
    thread,
    time::{Duration, Instant},
};

/// How often a condition is looked at: short beside every deadline, long beside one look.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Looks until `condition` gives something; panics with `what` after `deadline`.
#[track_caller]
pub(crate) fn wait_until<T>(what: &str, deadline: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(started.elapsed() < deadline, "not within {deadline:?}: {what}");
        thread::sleep(LOOK_EVERY);
    }
}

/// Watches for the whole of `period` that `condition` holds: for what must *not* happen.
#[track_caller]
pub(crate) fn holds_for(what: &str, period: Duration, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while started.elapsed() < period {
        assert!(condition(), "did not hold for {period:?}: {what}");
        thread::sleep(LOOK_EVERY);
    }
}

#[test]
fn waiting_ends_with_the_condition() {
    let mut looks = 0;
    let found = wait_until("the third look", Duration::from_secs(5), || {
        looks += 1;
        (looks == 3).then_some("found")
    });
    assert_eq!(found, "found");
}

#[test]
#[should_panic(expected = "not within 60ms: nothing")]
fn waiting_says_what_did_not_come() {
    wait_until("nothing", Duration::from_millis(60), || None::<()>);
}
