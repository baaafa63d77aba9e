use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

mod faults;
mod log;
mod reading;

fn open() -> (tempfile::TempDir, Opened) {
    let folder = tempfile::tempdir().unwrap();
    let opened = Store::open(folder.path(), &Options::default()).unwrap();
    (folder, opened)
}

fn put(tx: &WriteTx<'_>, key: &str) -> Result<(), Error> {
    tx.execute("INSERT INTO store_meta (key, value) VALUES (?1, '1')", [key]).map(|_| ())
}

fn count(store: &Store) -> i64 {
    store
        .read_now(|tx| tx.one("SELECT count(*) FROM store_meta WHERE key LIKE 'k%'", [], |row| row.get(0)))
        .map_err(|e: Error| e)
        .unwrap()
}

#[test]
fn the_database_is_opened_as_designed() {
    let (_folder, opened) = open();
    let store = opened.start().unwrap();
    let pragma = |name: &str| -> String {
        let sql = format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}");
        store.read_now(|tx| tx.one(&sql, [], |row| row.get(0))).map_err(|e: Error| e).unwrap()
    };
    assert_eq!(pragma("journal_mode"), "wal");
    assert_eq!(pragma("auto_vacuum"), "2");
    assert_eq!(pragma("page_size"), "8192");
    store.stop();
}

#[test]
fn a_reading_connection_cannot_write() {
    let (_folder, opened) = open();
    let store = opened.start().unwrap();
    let refused: Result<usize, Error> =
        store.read_now(|tx| Ok(tx.connection().execute("DELETE FROM store_meta", [])?));
    assert!(refused.is_err());
    store.stop();
}

#[tokio::test]
async fn a_failing_closure_takes_only_its_own_work_back() {
    let (_folder, opened) = open();
    let store = opened.start().unwrap();
    let good = (0..50).map(|n| store.write("good", move |tx| put(tx, &format!("k{n}"))));
    let bad = (0..50).map(|n| {
        store.write("bad", move |tx| {
            put(tx, &format!("kbad{n}"))?;
            if n % 2 == 0 { put(tx, "k0").and_then(|()| put(tx, "k0")) } else { Err(Error::Panicked) }
        })
    });
    let (good, bad) = tokio::join!(join_all(good), join_all(bad));
    assert!(good.iter().all(Result::is_ok), "{good:?}");
    assert!(bad.iter().all(Result::is_err));
    assert_eq!(count(&store), 50);
    store.stop();
}

#[tokio::test]
async fn a_panic_in_a_closure_is_an_error_and_the_writer_lives_on() {
    let (_folder, opened) = open();
    let store = opened.start().unwrap();
    let broken = store
        .write("broken", |tx| -> Result<(), Error> {
            put(tx, "k1")?;
            panic!("a fault");
        })
        .await;
    assert!(matches!(broken, Err(Error::Panicked)));
    store.write("next", |tx| put(tx, "k2")).await.unwrap();
    assert_eq!(count(&store), 1);
    store.stop();
}

#[tokio::test]
async fn a_stopped_store_has_written_what_it_took_and_refuses_the_rest() {
    let (folder, opened) = open();
    let waiting: Vec<_> =
        (0..200).map(|n| faults::queue(&opened, move |tx| put(tx, &format!("k{n}")))).collect();
    let store = opened.start().unwrap();
    store.stop();
    for answer in waiting {
        answer.await.unwrap().unwrap();
    }
    assert!(matches!(store.write_now("late", |tx| put(tx, "klate")), Err(Error::Stopped)));
    drop(store);
    let again = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
    assert_eq!(count(&again), 200);
    again.stop();
}

#[tokio::test]
async fn topics_are_announced_after_the_commit_and_not_after_a_failure() {
    const TOPIC: Topic = Topic("things");
    let (_folder, opened) = open();
    let store = opened.start().unwrap();
    let changes = store.changes(TOPIC);
    let failed = store.write("f", |tx| -> Result<(), Error> {
        tx.touch(TOPIC);
        Err(Error::Panicked)
    });
    assert!(failed.await.is_err());
    assert!(!changes.has_changed().unwrap());
    store
        .write("t", |tx| {
            tx.touch(TOPIC);
            put(tx, "k1")
        })
        .await
        .unwrap();
    assert!(changes.has_changed().unwrap(), "told before the answer");
    assert_eq!(count(&store), 1);
    store.stop();
}

/// Remembers how many items it has seen committed; an item `"bad"` fails.
struct Names(Arc<AtomicUsize>);

impl Record for Names {
    type Item = String;
    type Outcome = usize;
    type Staged = usize;

    fn bytes(name: &String) -> usize {
        name.len()
    }

    fn record(&self, tx: &WriteTx<'_>, items: &[String], staged: &mut usize) -> Result<Vec<usize>, Error> {
        items
            .iter()
            .map(|name| {
                *staged += 1;
                put(tx, name)?;
                if name == "kbad" { Err(Error::Panicked) } else { Ok(items.len()) }
            })
            .collect()
    }

    fn apply(&mut self, staged: usize) {
        self.0.fetch_add(staged, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_lane_commits_its_items_together_and_a_bad_item_alone_fails() {
    let seen = Arc::new(AtomicUsize::new(0));
    let (_folder, mut opened) = open();
    let lane = opened.lane("names", 100, Names(Arc::clone(&seen)));
    let store = opened.start().unwrap();
    let names = ["k1", "k2", "kbad", "k3"];
    let results = join_all(names.map(|name| lane.submit(name.to_owned()))).await;
    let failed: Vec<_> = results.iter().map(Result::is_err).collect();
    assert_eq!(failed, [false, false, true, false]);
    assert_eq!(count(&store), 3);
    assert_eq!(seen.load(Ordering::SeqCst), 3);
    store.stop();
    assert!(matches!(lane.submit("k9".to_owned()).await, Err(Error::Stopped)));
}

#[tokio::test]
async fn a_full_lane_refuses_before_anything_is_written() {
    let (_folder, mut opened) = open();
    let lane = opened.lane("names", 2, Names(Arc::default()));
    // The writer does not run yet, so the lane fills up.
    let mut waiting = Box::pin(join_all(["k1", "k2", "k3"].map(|name| lane.submit(name.to_owned()))));
    let first = std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx))).await;
    assert!(first.is_pending());
    assert_eq!(lane.depth(), 2);
    let store = opened.start().unwrap();
    let results = waiting.await;
    assert!(results[0].is_ok() && results[1].is_ok());
    assert!(matches!(results[2], Err(Error::Busy)));
    assert_eq!(count(&store), 2);
    store.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn items_that_come_while_a_batch_is_filled_do_not_wait_for_somebody_else() {
    let (_folder, mut opened) = open();
    let lane = opened.lane("names", 1000, Names(Arc::default()));
    let store = opened.start().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for client in 0..8 {
        let lane = lane.clone();
        tasks.spawn(async move {
            for n in 0..200 {
                lane.submit(format!("k{client}-{n}")).await.unwrap();
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert_eq!(count(&store), 1600);
    store.stop();
}

async fn join_all<T>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.into_iter().map(|f| Some(Box::pin(f))).collect();
    let mut out: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (slot, future) in out.iter_mut().zip(&mut futures) {
            if let Some(running) = future
                && let std::task::Poll::Ready(value) = running.as_mut().poll(cx)
            {
                *slot = Some(value);
                *future = None;
            }
        }
        if futures.iter().all(Option::is_none) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    out.into_iter().flatten().collect()
}
