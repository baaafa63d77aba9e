//! What retention removes, and what it leaves.

use super::*;
use crate::issues::retention::{
    Busy, Cut, Mark, evict, evict_these, find_busy, find_forgotten, forget_hours, forget_issues,
};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

impl House {
    async fn evict(&self, at: Timestamp, cut: Cut) -> usize {
        let evicted = self.store.write("evict", move |tx| evict(tx, at, cut)).await.unwrap();
        self.recent.forget(&evicted);
        evicted.len()
    }

    /// Events stored, sampled and evicted, and their sum as it is counted.
    fn sums(&self) -> (i64, i64, i64, i64) {
        self.read(|tx| {
            tx.one("SELECT sum(stored), sum(sampled), sum(evicted), sum(count) FROM issue_stats", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
        })
    }

    async fn merge_ids(&self) {
        let merge = self.read(ids::Merge::of_everything).unwrap();
        let merged = merge.entries().to_vec();
        self.store.write("merge", move |tx| merge.step(tx)).await.unwrap();
        self.recent.forget(&merged);
    }
}

#[tokio::test]
async fn eviction_takes_the_oldest_keeps_the_sum_and_forgets_their_ids() {
    let house = House::new().await;
    house.send(1, NOON, json!({})).await;
    let later = NOON + Duration::from_hours(2);
    house.send(2, later, json!({})).await;
    let cut = Cut::Before(NOON + Duration::from_hours(1));
    let evicted = house.store.write("evict", move |tx| evict(tx, later, cut)).await.unwrap();
    house.recent.forget(&evicted);
    assert_eq!(evicted.len(), 1);
    let sums: (i64, i64, i64) = house.read(|tx| {
        tx.one("SELECT count, stored, evicted FROM issue_stats", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
    });
    assert_eq!(sums, (2, 1, 1));
    assert_eq!(house.title_of(1), None);
    assert!(house.title_of(2).is_some());
    house.store.stop();
}

#[tokio::test]
async fn a_clock_that_was_ahead_does_not_keep_what_came_after() {
    let house = House::new().await;
    house.send(1, NOON + 365 * DAY, json!({})).await;
    house.send(2, NOON, json!({})).await;
    house.send(3, NOON + 2 * HOUR, json!({})).await;
    assert_eq!(house.evict(NOON + 3 * HOUR, Cut::Before(NOON + HOUR)).await, 1);
    assert!(house.title_of(2).is_none() && house.title_of(1).is_some() && house.title_of(3).is_some());
    house.store.stop();
}

#[tokio::test]
async fn an_id_that_was_sent_again_outlives_its_first_event() {
    let house = House::new().await;
    house.send(1, NOON, json!({})).await;
    house.merge_ids().await;
    house.evict(NOON + 2 * HOUR, Cut::Before(NOON + HOUR)).await;
    assert!(matches!(house.send(1, NOON + 3 * HOUR, json!({})).await, Recorded::Stored(_)));
    house.merge_ids().await;
    assert_eq!(house.send(1, NOON + 3 * HOUR, json!({})).await, Recorded::Duplicate);
    assert!(house.title_of(1).is_some());
    house.store.stop();
}

#[tokio::test]
async fn over_the_budget_busy_issues_give_first_and_rare_ones_keep_theirs() {
    let house = House::new().await;
    house.send(100, NOON, json!({"fingerprint": ["rare"]})).await;
    for id in 0..15 {
        house.send(id, NOON + HOUR, json!({})).await;
    }
    let Busy { seqs, next } = house.read(|tx| find_busy(tx, Mark::default()));
    assert_eq!((seqs.len(), next), (5, None));
    let evicted = house.store.write("evict", move |tx| evict_these(tx, NOON, &seqs)).await.unwrap();
    house.recent.forget(&evicted);
    assert_eq!(house.sums(), (11, 0, 5, 16));
    assert!(house.title_of(100).is_some() && house.title_of(4).is_none() && house.title_of(5).is_some());
    assert_eq!(house.read(|tx| find_busy(tx, Mark::default())), Busy { seqs: Vec::new(), next: None });
    // When that is not enough, the oldest goes, however rare.
    assert_eq!(house.evict(NOON, Cut::OverBudget).await, 11);
    assert_eq!(house.sums(), (0, 0, 16, 16));
    let ledger: i64 = house.read(|tx| {
        tx.one("SELECT sum(quantity) FROM outcomes WHERE reason = 'evicted'", [], |row| row.get(0))
    });
    assert_eq!(ledger, 16);
    house.store.stop();
}

#[tokio::test]
async fn an_issue_goes_when_it_has_no_payload_and_was_not_heard_of() {
    let house = House::new().await;
    house.send(1, NOON, json!({})).await;
    let before = NOON + 10 * DAY;
    let forgotten = || house.read(|tx| find_forgotten(tx, before));
    assert_eq!(forgotten(), [0_i64; 0]);
    house.evict(before, Cut::Before(before)).await;
    // Its hours go first, so that little goes with it.
    house.store.write("hours", move |tx| forget_hours(tx, before)).await.unwrap();
    let found = forgotten();
    assert_eq!(found.len(), 1);
    let gone = house.store.write("forget", move |tx| forget_issues(tx, before, &found)).await.unwrap();
    assert_eq!((gone, house.issues().len()), (1, 0));
    // Its number is not given again.
    house.send(2, before, json!({})).await;
    let numbers = house.read(|tx| {
        tx.one("SELECT id, number FROM issues", [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
    });
    assert_eq!(numbers, (2, 2));
    house.store.stop();
}

#[tokio::test]
async fn an_issue_whose_client_lives_in_the_past_is_kept_while_it_is_heard_of() {
    let house = House::new().await;
    let before = NOON + 2 * DAY;
    house.send(1, NOON + 3 * DAY, json!({"timestamp": NOON})).await;
    house.evict(NOON + 3 * DAY, Cut::OverBudget).await;
    assert_eq!(house.read(|tx| find_forgotten(tx, before)), [0_i64; 0]);
    house.store.stop();
}

#[tokio::test]
async fn an_old_dictionary_is_learned_anew_and_goes_with_the_last_payload_that_needs_it() {
    let house = House::new().await;
    for id in 1..=8 {
        house.send(id, NOON, json!({})).await;
    }
    let kept = |house: &House| -> Vec<i64> {
        house.read(|tx| tx.all("SELECT id FROM payload_dictionaries ORDER BY id", [], |row| row.get(0)))
    };
    let needed = |house: &House, id: u8| -> Option<i64> {
        let sql = "SELECT dictionary_id FROM events WHERE event_id = ?1";
        house.read(|tx| tx.one(sql, [EventId([id; 16]).0], |row| row.get(0)))
    };
    assert_eq!((needed(&house, 8), kept(&house).len()), (kept(&house).first().copied(), 1));
    let later = NOON + 90 * DAY;
    let retire = house.store.write("retire", move |tx| dictionaries::retire(tx, later, NOON + DAY));
    assert_eq!(retire.await.unwrap(), 1);
    for id in 9..=12 {
        house.send(id, later, json!({})).await;
    }
    let [old, new] = kept(&house)[..] else { panic!("{:?}", kept(&house)) };
    assert_eq!([9, 12].map(|id| needed(&house, id)), [None, Some(new)]);
    let unused = || house.read(|tx| dictionaries::find_unused(tx, later + DAY));
    assert_eq!(unused(), [0; 0]);
    assert_eq!(house.evict(later, Cut::Before(later)).await, 8);
    assert_eq!(unused(), [old]);
    house.store.write("forget", move |tx| dictionaries::forget_unused(tx, &[old])).await.unwrap();
    assert_eq!(kept(&house), [new]);
    assert_eq!(house.title_of(12).as_deref(), Some("PaymentError: card declined"));
    house.store.stop();
}
