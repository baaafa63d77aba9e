use std::sync::atomic::Ordering;
use std::time::Duration;

use super::bed::{Bed, Web};
use crate::base::Clock;
use crate::prober::Sight;
use crate::probes::{Draft, Status};
use crate::store::{Error, ReadTx, WriteTx};
use crate::vigil::{self, Blindness};

const GAP: Duration = Duration::from_secs(1);
const OPEN: &str = "SELECT count(*) FROM incidents WHERE state <> 'resolved'";

#[tokio::test(flavor = "multi_thread")]
async fn the_child_of_a_dead_parent_is_unreachable_and_silent() {
    let (mut bed, web, gateway) = (Bed::new().await, Web::new().await, Web::new().await);
    let parent = bed.save(gateway.draft("gateway")).await;
    let child = bed.save(Draft { parents: vec!["gateway".to_owned()], ..web.draft("api") }).await;
    bed.start();
    bed.until_status(child, Status::Healthy).await;
    bed.until_status(parent, Status::Healthy).await;
    web.says(502);
    gateway.says(500);
    bed.until_status(child, Status::Unreachable).await;
    bed.until_status(parent, Status::Unhealthy).await;
    assert_eq!(bed.number("SELECT count(*) FROM witnesses").await, 1, "the parent alone");
    // The parent is back and the child is not: now it is the child's own.
    gateway.says(200);
    bed.until_status(parent, Status::Healthy).await;
    bed.until_status(child, Status::Unhealthy).await;
    assert_eq!(bed.text("SELECT key FROM witnesses WHERE live = 1").await, child.signal_key());
    web.says(200);
    bed.until_status(child, Status::Healthy).await;
    assert_eq!(bed.number(OPEN).await, 0);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_reading_asks_the_parent_at_once() {
    let (mut bed, web, gateway) = (Bed::new().await, Web::new().await, Web::new().await);
    let mut slow = gateway.draft("gateway");
    slow.definition.policy.interval = Duration::from_hours(1);
    let parent = bed.save(slow).await;
    let child = bed.save(Draft { parents: vec!["gateway".to_owned()], ..web.draft("api") }).await;
    bed.start();
    bed.until_status(parent, Status::Healthy).await;
    bed.until_status(child, Status::Healthy).await;
    let asked = gateway.asked.load(Ordering::Relaxed);
    web.says(503);
    bed.until_status(child, Status::Unhealthy).await;
    assert!(gateway.asked.load(Ordering::Relaxed) >= asked + 2, "once for each bad reading");
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_found_at_the_start_and_told_once() {
    let bed = Bed::new().await;
    let sight = |clock: &Clock| Sight::new(bed.store.clone(), clock.clone(), bed.probes.incidents.clone());
    assert_eq!(sight(&bed.clock).wake().await.unwrap(), None, "a first start is no gap");
    bed.clock.advance(Duration::from_secs(20));
    let restart = sight(&bed.clock).wake().await.unwrap().unwrap();
    assert_eq!(
        restart.length(),
        Duration::from_secs(20),
        "what came meanwhile is lost, however short it was"
    );
    bed.clock.advance(Duration::from_mins(1));
    assert!(sight(&bed.clock).wake().await.unwrap().is_some());
    assert_eq!(sight(&bed.clock).wake().await.unwrap(), None, "no time passed");
    assert_eq!(bed.number("SELECT count(*) FROM incidents").await, 0, "too short to be told");
    bed.clock.advance(Duration::from_mins(12));
    let spell = sight(&bed.clock).wake().await.unwrap().unwrap();
    assert_eq!(spell.reason, Blindness::Down);
    let summary = bed.text("SELECT summary FROM incidents").await;
    assert_eq!(summary, "tocsin was blind from 08:01 to 08:13 UTC: it was not running");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_on_a_full_disk_goes_on_where_it_stopped() {
    let bed = Bed::new().await;
    let sight = Sight::new(bed.store.clone(), bed.clock.clone(), bed.probes.incidents.clone());
    sight.wake().await.unwrap();
    let full_at = bed.clock.now();
    let full = move |tx: &WriteTx<'_>| vigil::begin(tx, Blindness::Full, full_at, "pings were refused");
    bed.store.write("test", full).await.map_err(|error: Error| error).unwrap();
    bed.clock.advance(Duration::from_mins(5));
    sight.mark().await.unwrap();
    let stopped = bed.clock.now();
    bed.clock.advance(Duration::from_secs(8));
    sight.wake().await.unwrap();
    let now = bed.clock.now();
    let spells = bed.store.read(move |tx: &ReadTx<'_>| vigil::between(tx, full_at, now + GAP)).await;
    let spells = spells.map_err(|error: Error| error).unwrap();
    let spells: Vec<_> = spells.iter().map(|spell| (spell.reason, spell.began_at, spell.ended_at)).collect();
    assert_eq!(
        spells,
        [(Blindness::Full, full_at, Some(stopped)), (Blindness::Down, stopped, Some(now))],
        "no moment of it is anybody's fault"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_slept_is_noticed() {
    let bed = Bed::new().await;
    let sight = Sight::new(bed.store.clone(), bed.clock.clone(), bed.probes.incidents.clone());
    sight.wake().await.unwrap();
    bed.clock.advance(Duration::from_secs(10));
    assert_eq!(sight.mark().await.unwrap(), None);
    bed.clock.set(bed.clock.now() + Duration::from_mins(7));
    let spell = sight.mark().await.unwrap().unwrap();
    assert_eq!(spell.reason, Blindness::Suspended);
    assert_eq!(spell.ended_at.unwrap().since(spell.began_at), Duration::from_mins(7));
    bed.clock.advance(Duration::from_secs(10));
    assert_eq!(sight.mark().await.unwrap(), None);
}
