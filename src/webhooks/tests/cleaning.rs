//! What goes once it is old, and what stays whatever its age.

use std::time::Duration;

use super::laying::Row;
use super::*;
use crate::webhooks::retention::{
    Bounds, STEP_REQUESTS, STEP_ROWS, find_payloads, find_requests, forget_keys, forget_payloads,
    forget_points, forget_requests,
};

const HOUR: Duration = Duration::from_hours(1);
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000 + 100 * 3_600);

impl Bed {
    /// Everything of a kind that may go.
    fn clean_payloads(&self, bounds: Bounds) -> usize {
        let (mut gone, mut after) = (0, Some(0));
        while let Some(from) = after {
            let found = self.read(|tx| find_payloads(tx, &bounds, from));
            after = found.next;
            gone += self
                .store
                .write_now("clean", move |tx| forget_payloads(tx, &bounds, &found.requests))
                .unwrap();
        }
        gone
    }

    fn clean_log(&self, bounds: Bounds) {
        let mut after = Some(0);
        while let Some(from) = after {
            let found = self.read(|tx| find_requests(tx, &bounds, from));
            after = found.next;
            self.store.write_now("clean", move |tx| forget_requests(tx, &bounds, &found.requests)).unwrap();
        }
    }

    /// Which requests have a payload.
    fn payloads(&self) -> Vec<i64> {
        self.read(|tx| tx.all("SELECT request_id FROM webhook_payloads ORDER BY 1", [], |row| row.get(0)))
    }

    fn requests(&self) -> Vec<i64> {
        self.read(|tx| tx.all("SELECT id FROM webhook_requests ORDER BY 1", [], |row| row.get(0)))
    }
}

fn older_than(hours: u32) -> Bounds {
    Bounds { before: NOW - HOUR * hours, dead_before: None }
}

/// Of each status one, received 100 hours ago; a dead one that was dealt with; one that was delivered just now; and one
/// of today.
fn of_each(bed: &Bed) -> Vec<Row> {
    let dead = bed.dead("app");
    let mut rows: Vec<Row> =
        DeliveryStatus::ALL.into_iter().map(|status| Row { status, ..dead.clone() }).collect();
    rows.push(Row { is_settled: true, ..dead.clone() });
    rows.push(Row { status: DeliveryStatus::Completed, ..dead.clone() });
    rows.push(Row { status: DeliveryStatus::Completed, received_at: NOW - HOUR, ..dead });
    rows
}

#[test]
fn payloads_go_but_for_what_is_open_or_dead_and_not_dealt_with() {
    let bed = Bed::with_destinations(&["app"]);
    bed.lay(&of_each(&bed));
    let late = "UPDATE webhook_deliveries SET completed_at = ?1 WHERE id = 7";
    bed.store.write_now("late", |tx| tx.execute(late, [NOW.as_micros()])).unwrap();
    // Completed (3) and dealt with (6) go. Pending, under way, failed, dead, delivered late and young stay.
    assert_eq!(bed.clean_payloads(older_than(24)), 2);
    assert_eq!(bed.payloads(), [1, 2, 4, 5, 7, 8]);
    assert_eq!(bed.requests().len(), 8, "what is known of them stays");
}

#[test]
fn the_log_goes_with_everything_that_hangs_on_it() {
    let bed = Bed::with_destinations(&["app"]);
    bed.lay(&of_each(&bed));
    bed.clean_log(older_than(72));
    assert_eq!(bed.requests(), [1, 2, 4, 5, 8]);
    for table in ["webhook_payloads", "webhook_deliveries", "webhook_attempts"] {
        assert_eq!(bed.number(&format!("SELECT count(*) FROM {table}")), 5, "{table}");
    }
    assert_eq!(bed.number("SELECT count(*) FROM processed_webhook_events"), 8, "known for longer");
}

#[test]
fn what_is_sent_again_while_it_is_looked_for_keeps_what_it_brought() {
    let bed = Bed::with_destinations(&["app"]);
    bed.lay(&[Row { is_settled: true, ..bed.dead("app") }]);
    let bounds = older_than(24);
    let found = bed.read(|tx| find_payloads(tx, &bounds, 0));
    assert_eq!(found.requests, [1]);
    let incidents = Arc::clone(&bed.webhooks.incidents);
    let replay = move |tx: &WriteTx<'_>| replay_one::replay(tx, &incidents, &By::tocsin(NOW), DeliveryId(1));
    bed.store.write_now("replay", replay).unwrap();
    let requests = found.requests.clone();
    let gone = bed.store.write_now("clean", move |tx| {
        Ok::<_, crate::store::Error>(
            forget_payloads(tx, &bounds, &requests)? + forget_requests(tx, &bounds, &requests)?,
        )
    });
    assert_eq!((gone.unwrap(), bed.payloads().len()), (0, 1));
}

#[test]
fn many_dead_ones_in_front_hide_nothing_behind_them() {
    let bed = Bed::with_destinations(&["app"]);
    let done = Row { status: DeliveryStatus::Completed, ..bed.dead("app") };
    let mut rows = vec![bed.dead("app"); 1_500];
    rows.extend(vec![done; STEP_REQUESTS + 20]);
    bed.lay(&rows);
    assert_eq!(bed.clean_payloads(older_than(24)), STEP_REQUESTS + 20);
    assert_eq!(bed.payloads().len(), 1_500);
    // However little room there is, the dead stay for a while.
    let room = |days: u32| Bounds { before: NOW, dead_before: Some(NOW - HOUR * 24 * days) };
    assert_eq!(bed.clean_payloads(room(30)), 0);
    assert_eq!(bed.clean_payloads(room(4)), 1_500);
}

#[test]
fn an_event_is_known_for_its_time_and_no_longer() {
    let bed = Bed::with_destinations(&["app"]);
    let old = bed.dead("app");
    let young = Row { received_at: NOW, ..old.clone() };
    // One that came again after it died stands among the old ones.
    bed.lay(&[old.clone(), young.clone(), old, young]);
    let mut after = Some(0);
    while let Some(from) = after {
        after = bed.store.write_now("clean", move |tx| forget_keys(tx, NOW - HOUR, from)).unwrap().1;
    }
    let left = "SELECT group_concat(id) FROM (SELECT id FROM processed_webhook_events ORDER BY id)";
    assert_eq!(bed.read(|tx| tx.one(left, [], |row| row.get::<_, String>(0))), "2,4");
}

#[test]
fn points_go_by_their_time() {
    let bed = Bed::with_destinations(&["app"]);
    let fill = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 299)
                INSERT INTO webhook_source_points (source_id, at) SELECT 1, i FROM n";
    bed.store.write_now("fill", |tx| tx.execute(fill, [])).unwrap();
    let fill =
        "INSERT INTO webhook_destination_points (destination_id, at) SELECT 1, at FROM webhook_source_points";
    bed.store.write_now("fill", |tx| tx.execute(fill, [])).unwrap();
    let clean = |before| {
        bed.store.write_now("clean", move |tx| forget_points(tx, Timestamp::from_micros(before))).unwrap()
    };
    assert_eq!(clean(290), 2 * STEP_ROWS as usize);
    assert_eq!(clean(290), 2 * 90);
    assert_eq!(clean(290), 0);
    assert_eq!(bed.number("SELECT min(at) FROM webhook_destination_points"), 290);
}
