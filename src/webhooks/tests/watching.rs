//! What only time shows of sources and destinations: who is told, with what to do, and that it is told when it is over.

use std::time::Duration;

use super::laying::Row;
use super::*;
use crate::vigil::{self, Blindness, Spell};
use crate::webhooks::points::{Durations, POINT, Point};
use crate::webhooks::tally::{self, Tally};
use crate::webhooks::watch::{self, Told};

impl Bed {
    /// As the task looks.
    fn look(&self, now: Timestamp) -> Told {
        let changes = self.read(|tx| watch::look(tx, now));
        let incidents = Arc::clone(&self.webhooks.incidents);
        self.store.write_now("tell", move |tx| watch::tell(tx, &incidents, now, &changes)).unwrap()
    }

    /// What fires, in the order of its keys.
    fn firing(&self) -> Vec<String> {
        self.read(|tx| {
            tx.all(
                "SELECT severity || ' ' || key || ': ' || summary FROM witnesses
                 WHERE live = 1 AND state = 'firing' ORDER BY key",
                [],
                |row| row.get(0),
            )
        })
    }

    fn execute(&self, sql: &'static str) {
        self.store.write_now("test", move |tx| tx.execute(sql, [])).unwrap();
    }

    fn blind(&self, reason: Blindness, from: Timestamp, to: Timestamp) {
        let spell = Spell { reason, began_at: from, ended_at: Some(to), detail: String::new() };
        self.store.write_now("blind", move |tx| vigil::note(tx, &spell)).unwrap();
    }

    /// Attempts at a destination, of which some failed and some took two seconds.
    fn attempts(&self, at: Timestamp, all: u32, failures: u32, slow: u32) {
        let there = self.destination("app").id;
        let mut latency = Durations::default();
        for n in 0..all {
            latency.add(Duration::from_millis(if n < slow { 2_000 } else { 20 }));
        }
        let point = Point { attempts: all, failures, slow, latency, ..Point::default() };
        let at = at.floor_to(POINT);
        self.store.write_now("point", move |tx| point.save(tx, there, at)).unwrap();
    }

    fn came(&self, at: Timestamp, accepted: i64, refused: i64) {
        let source = self.source("stripe").id;
        let tally = Tally { accepted, duplicates: 0, refused };
        self.store.write_now("tally", move |tx| tally::add(tx, source, at, tally)).unwrap();
    }
}

const BEGUN: Told = Told { begun: 1, over: 0 };
const OVER: Told = Told { begun: 0, over: 1 };
const NOTHING: Told = Told { begun: 0, over: 0 };

fn at(minutes: u64) -> Timestamp {
    T0 + Duration::from_mins(minutes)
}

#[test]
fn who_falls_behind_is_told_of_after_ten_minutes_until_it_has_caught_up() {
    let bed = Bed::with_destinations(&["app", "crm"]);
    bed.lay(&[Row { status: DeliveryStatus::Pending, ..bed.dead("app") }]);
    assert_eq!(bed.look(at(9)), NOTHING);
    assert_eq!(bed.look(at(10)), BEGUN);
    let told = "high webhook_backlog:1: Deliveries to The app wait for more than 10 min: \
                see whether its app answers, or let more go at once";
    assert_eq!(bed.firing(), [told]);
    assert_eq!(bed.look(at(11)), NOTHING, "it is told once");
    bed.execute("UPDATE webhook_deliveries SET due_at = NULL, status = 'completed'");
    assert_eq!(bed.look(at(12)), OVER);
    assert_eq!(bed.firing(), [""; 0]);
}

#[test]
fn what_waits_behind_another_of_its_order_key_waits_too() {
    let bed = Bed::with_destinations(&["app", "crm"]);
    let behind = Row { status: DeliveryStatus::Pending, order_key: Some("cus_1"), ..bed.dead("app") };
    bed.lay(&[behind]);
    bed.execute("UPDATE webhook_deliveries SET due_at = NULL");
    assert_eq!(bed.look(at(20)), NOTHING, "who keeps no order has nothing waiting");
    bed.execute(
        "UPDATE webhook_destinations SET definition = json_set(definition, '$.in_order', json('true'))",
    );
    assert_eq!(bed.look(at(20)), BEGUN);
}

#[test]
fn what_somebody_holds_or_put_away_falls_behind_in_peace() {
    let bed = Bed::with_destinations(&["app"]);
    bed.lay(&[Row { status: DeliveryStatus::Pending, ..bed.dead("app") }]);
    bed.execute("UPDATE webhook_destinations SET held_at = 1, held_by = 'ann'");
    assert_eq!(bed.look(at(60)), NOTHING);
    bed.execute("UPDATE webhook_destinations SET held_at = NULL");
    bed.execute("UPDATE projects SET archived_at = 1");
    assert_eq!(bed.look(at(60)), NOTHING);
}

#[test]
fn nobody_falls_behind_while_tocsin_did_not_run() {
    let bed = Bed::with_destinations(&["app"]);
    bed.lay(&[Row { status: DeliveryStatus::Pending, ..bed.dead("app") }]);
    bed.blind(Blindness::Down, at(1), at(61));
    assert_eq!(bed.look(at(62)), NOTHING);
    assert_eq!(bed.look(at(69)), NOTHING);
    assert_eq!(bed.look(at(70)), BEGUN);
}

#[test]
fn an_app_that_fails_half_of_the_time_is_told_of_until_it_fails_less() {
    let bed = Bed::with_destinations(&["app"]);
    bed.attempts(at(0), 19, 19, 0);
    assert_eq!(bed.look(at(1)), NOTHING, "too few to know");
    bed.attempts(at(0), 1, 0, 0);
    assert_eq!(bed.look(at(1)), BEGUN);
    let told = "high webhook_failing:1: 19 of 20 deliveries to The app failed within 15 min: see what its app answers";
    assert_eq!(bed.firing(), [told]);
    bed.lay(&[Row { status: DeliveryStatus::Failed, received_at: at(29), ..bed.dead("app") }]);
    assert_eq!(bed.look(at(30)), NOTHING, "something is to be sent, and nobody knows how it would go");
    bed.attempts(at(30), 5, 1, 0);
    assert_eq!(bed.look(at(30)), OVER);
}

#[test]
fn failures_while_the_own_network_was_gone_are_not_the_apps() {
    let bed = Bed::with_destinations(&["app"]);
    bed.attempts(at(0), 50, 50, 50);
    bed.blind(Blindness::Uplink, at(0), at(1));
    assert_eq!(bed.look(at(2)), NOTHING);
}

#[test]
fn an_app_that_takes_its_time_is_told_of_as_a_warning() {
    let bed = Bed::with_destinations(&["app"]);
    bed.attempts(at(0), 20, 0, 1);
    assert_eq!(bed.look(at(1)), NOTHING);
    bed.attempts(at(5), 10, 0, 1);
    assert_eq!(bed.look(at(6)), BEGUN);
    let told = "medium webhook_slow:1: 2 of 30 answers of The app took over a second within 15 min: \
                let the app answer first and work afterwards";
    assert_eq!(bed.firing(), [told]);
    assert_eq!(bed.look(at(40)), OVER, "nothing is sent any more, and nothing is to be");
}

#[test]
fn a_provider_that_stays_away_is_told_of_but_for_blind_time() {
    let bed = Bed::new();
    let mut draft = source("stripe");
    draft.definition.silent_after = Some(Duration::from_mins(30));
    bed.save_source(&draft).unwrap();
    assert_eq!(bed.look(at(29)), NOTHING, "it was never heard from");
    bed.came(at(20), 1, 0);
    bed.blind(Blindness::Down, at(30), at(40));
    assert_eq!(bed.look(at(50)), NOTHING);
    assert_eq!(bed.look(at(60)), BEGUN);
    let told =
        "high webhook_silent:1: Nothing came from The stripe for 30m: see whether its provider still sends";
    assert_eq!(bed.firing(), [told]);
    bed.came(at(61), 1, 0);
    assert_eq!(bed.look(at(61)), OVER);
    // Nobody asks any more.
    assert_eq!(bed.look(at(120)), BEGUN);
    bed.save_source(&source("stripe")).unwrap();
    assert_eq!(bed.look(at(121)), OVER);
}

#[test]
fn most_calls_that_are_not_believed_are_told_of() {
    let bed = Bed::with_destinations(&[]);
    bed.came(at(0), 9, 9);
    assert_eq!(bed.look(at(1)), NOTHING);
    bed.came(at(1), 0, 2);
    assert_eq!(bed.look(at(1)), BEGUN);
    let told = "high webhook_refused:1: 11 of 20 calls to The stripe were not believed: check its signing secret on both sides";
    assert_eq!(bed.firing(), [told]);
    assert_eq!(bed.look(at(12)), OVER);
}

#[test]
fn what_was_removed_meanwhile_is_not_told_of() {
    let bed = Bed::with_destinations(&["app"]);
    bed.attempts(at(0), 50, 50, 0);
    let changes = bed.read(|tx| watch::look(tx, at(1)));
    assert_eq!(changes.len(), 1);
    let id = bed.destination("app").id;
    bed.write(move |webhooks, tx| webhooks.remove_destination(tx, &By::tocsin(T0), id, Owner::Page)).unwrap();
    let incidents = Arc::clone(&bed.webhooks.incidents);
    let told = bed.store.write_now("tell", move |tx| watch::tell(tx, &incidents, at(1), &changes)).unwrap();
    assert_eq!((told, bed.firing().len()), (NOTHING, 0));
}
