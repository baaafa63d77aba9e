use std::sync::atomic::Ordering;
use std::time::Duration;

use super::bed::{Bed, Web};
use crate::base::Clock;
use crate::prober::Sight;
use crate::probes::{Draft, Status};
use crate::vigil;

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
    assert_eq!(sight(&bed.clock).wake().await.unwrap(), None, "a restart is none");
    bed.clock.advance(Duration::from_secs(60));
    assert!(sight(&bed.clock).wake().await.unwrap().is_some());
    assert_eq!(bed.number("SELECT count(*) FROM incidents").await, 0, "too short to be told");
    bed.clock.advance(Duration::from_mins(12));
    let spell = sight(&bed.clock).wake().await.unwrap().unwrap();
    assert_eq!(spell.reason, vigil::Blindness::Down);
    let summary = bed.text("SELECT summary FROM incidents").await;
    assert_eq!(summary, "tocsin was blind from 08:01 to 08:13 UTC: it was not running");
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
    assert_eq!(spell.reason, vigil::Blindness::Suspended);
    assert_eq!(spell.ended_at.unwrap().since(spell.began_at), Duration::from_mins(7));
    bed.clock.advance(Duration::from_secs(10));
    assert_eq!(sight.mark().await.unwrap(), None);
}
