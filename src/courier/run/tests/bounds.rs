//! How much goes at once.

use std::time::Duration;

use super::app::{App, Say};
use super::bed::Bed;

fn lines(line: &str, count: usize) -> String {
    vec![line; count].join("\n")
}

#[tokio::test]
async fn no_more_goes_at_once_than_the_destination_takes() {
    let (mut bed, app) = (Bed::new().await, App::new().await);
    app.then(Say::Wait);
    let there = bed.destination("file", "app", &format!(r#"{{"url":"{}","concurrency":3}}"#, app.url)).await;
    for _ in 0..10 {
        bed.arrive(there, None, "{}").await;
    }
    bed.start();
    app.heard(3).await;
    bed.until(&format!("{}\n{}", lines("processing 1", 3), lines("pending 0", 7))).await;
    app.release();
    bed.until(&lines("completed 1", 10)).await;
    assert_eq!(app.most(), 3);
}

#[tokio::test]
async fn no_more_goes_at_once_than_all_together_may_and_each_has_a_turn() {
    let (mut bed, app) = (Bed::new().await, App::new().await);
    app.then(Say::Wait);
    let definition = format!(r#"{{"url":"{}"}}"#, app.url);
    let first = bed.destination("file", "first", &definition).await;
    let second = bed.destination("file", "second", &definition).await;
    for there in [first, first, first, second] {
        bed.arrive(there, None, "{}").await;
    }
    bed.start_with(2);
    app.heard(2).await;
    bed.until("processing 1\npending 0\npending 0\nprocessing 1").await;
    app.release();
    bed.until(&lines("completed 1", 4)).await;
    assert_eq!(app.most(), 2);
}

#[tokio::test]
async fn large_bodies_wait_for_each_other() {
    let (mut bed, app) = (Bed::new().await, App::new().await);
    app.then(Say::Wait);
    let there = bed.destination("file", "app", &format!(r#"{{"url":"{}"}}"#, app.url)).await;
    for bytes in [20_000_000, 25_000_000, 40_000_000] {
        bed.arrive_as(there, None, super::bed::payload("{}"), Some(bytes)).await;
    }
    bed.start();
    app.heard(1).await;
    bed.until("processing 1\npending 0\npending 0").await;
    app.release();
    bed.until(&lines("completed 1", 3)).await;
    assert_eq!(app.most(), 1);
}

#[tokio::test]
async fn a_destination_is_sent_so_many_a_second() {
    let (mut bed, app) = (Bed::new().await, App::new().await);
    let there = bed.destination("file", "app", &format!(r#"{{"url":"{}","per_second":2}}"#, app.url)).await;
    for _ in 0..5 {
        bed.arrive(there, None, "{}").await;
    }
    bed.start();
    bed.until(&format!("{}\n{}", lines("completed 1", 2), lines("pending 0", 3))).await;
    bed.clock.advance(Duration::from_secs(1));
    bed.until(&format!("{}\npending 0", lines("completed 1", 4))).await;
    bed.clock.advance(Duration::from_secs(1));
    bed.until(&lines("completed 1", 5)).await;
}
