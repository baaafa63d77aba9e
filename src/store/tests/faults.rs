//! What goes wrong: transactions that cannot begin or are lost, a writer that dies, memory that is used up.

use std::task::Poll;
use std::time::Duration;

use super::*;
use crate::store::inbox::Message;

/// Long enough for every closure of a test to be in one batch.
const UNHURRIED: Duration = Duration::from_hours(1);

pub(super) type Waits = oneshot::Receiver<Result<(), Error>>;

/// Queues a closure for a writer that does not run yet.
pub(super) fn queue(
    opened: &Opened,
    work: impl FnOnce(&WriteTx<'_>) -> Result<(), Error> + Send + 'static,
) -> Waits {
    let (sender, receiver) = oneshot::channel();
    opened.sender.try_send(Message::Job(Job::new("test", work, sender, &opened.stats))).ok().unwrap();
    receiver
}

/// A database whose writer does not run yet, with a lane of rows.
fn open_with_lane() -> (tempfile::TempDir, Opened, Lane<Rows>) {
    let (folder, mut opened) = open();
    let lane = opened.lane("rows", 10, Rows);
    (folder, opened, lane)
}

/// Needs more pages than [`fill`] leaves.
fn put_large(tx: &WriteTx<'_>) -> Result<(), Error> {
    tx.execute("INSERT INTO store_meta (key, value) VALUES ('klarge', hex(zeroblob(4000000)))", [])
        .map(|_| ())
}

/// From here on the database cannot grow by more than a few pages: SQLite's own full disk.
fn fill(opened: &Opened) {
    let connection = opened.writer.connection();
    let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    connection.pragma_update_and_check(None, "max_page_count", pages + 20, |_| Ok(())).unwrap();
}

/// Items as [`Names`] knows them, and `"klarge"`, for which there is no room.
struct Rows;

impl Record for Rows {
    type Item = String;
    type Outcome = ();
    type Staged = ();

    fn bytes(name: &String) -> usize {
        name.len()
    }

    fn record(&self, tx: &WriteTx<'_>, items: &[String], (): &mut ()) -> Result<Vec<()>, Error> {
        let row = |name: &String| match name.as_str() {
            "klarge" => put_large(tx),
            "kbad" => Err(Error::Panicked),
            name => put(tx, name),
        };
        items.iter().map(row).collect()
    }

    fn apply(&mut self, (): ()) {}
}

/// Queues `names` in `lane`; the writer does not run yet.
async fn submit_all<R: Record<Item = String>>(
    lane: &Lane<R>,
    names: &'static [&'static str],
) -> impl Future<Output = Vec<Result<R::Outcome, Error>>> {
    let mut waiting = Box::pin(join_all(names.iter().map(|name| {
        let lane = lane.clone();
        async move { lane.submit((*name).to_owned()).await }
    })));
    std::future::poll_fn(|cx| {
        let polled = waiting.as_mut().poll(cx);
        assert!(polled.is_pending());
        Poll::Ready(())
    })
    .await;
    waiting
}

#[tokio::test]
async fn where_no_transaction_begins_nothing_runs_and_all_are_told() {
    let (folder, mut opened, lane) = open_with_lane();
    opened.writer.connection().busy_timeout(Duration::ZERO).unwrap();
    let other = rusqlite::Connection::open(folder.path().join("tocsin.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let jobs = ["k1", "k2"].map(|key| queue(&opened, move |tx| put(tx, key)));
    let items = submit_all(&lane, &["k3", "k4"]).await;
    opened.writer.batch();
    for job in jobs {
        assert!(matches!(job.await, Ok(Err(Error::Sqlite(_)))));
    }
    assert!(items.await.iter().all(|item| matches!(item, Err(Error::Sqlite(_)))));
    assert_eq!(opened.stats.snapshot().queued, 0);

    other.execute_batch("ROLLBACK").unwrap();
    let store = opened.start().unwrap();
    assert_eq!(count(&store), 0);
    store.write("next", |tx| put(tx, "k5")).await.unwrap();
    store.stop();
}

#[tokio::test]
async fn a_disk_that_is_read_only_is_told_to_all_and_does_no_harm() {
    let (_folder, mut opened, lane) = open_with_lane();
    let read_only = |opened: &Opened, on: bool| {
        opened.writer.connection().pragma_update(None, "query_only", on).unwrap();
    };
    read_only(&opened, true);
    let job = queue(&opened, |tx| put(tx, "k1"));
    let items = submit_all(&lane, &["k2"]).await;
    opened.writer.batch();
    assert!(matches!(job.await, Ok(Err(Error::ReadOnly))));
    assert!(items.await.iter().all(|item| matches!(item, Err(Error::ReadOnly))));
    read_only(&opened, false);
    let store = opened.start().unwrap();
    assert_eq!(count(&store), 0);
    store.write("next", |tx| put(tx, "k3")).await.unwrap();
    assert_eq!(count(&store), 1);
    store.stop();
}

#[tokio::test]
async fn a_transaction_that_sqlite_takes_back_is_told_to_all_in_it_and_the_rest_waits_for_the_next() {
    let (_folder, mut opened) = open();
    opened.writer.inbox.batch_time = UNHURRIED;
    fill(&opened);
    let before = queue(&opened, |tx| put(tx, "k1"));
    let large = queue(&opened, |tx| {
        // Whoever does not look at the error must not write outside the transaction.
        let lost = put_large(tx);
        assert!(matches!(put(tx, "k2"), Err(Error::DiskFull)));
        assert!(matches!(tx.attempt(|tx| put(tx, "k2")), Err(Error::DiskFull)));
        assert!(lost.is_err());
        Ok(())
    });
    let after = queue(&opened, |tx| put(tx, "k3"));
    opened.writer.batch();
    assert!(matches!(before.await, Ok(Err(Error::DiskFull))));
    assert!(matches!(large.await, Ok(Err(Error::DiskFull))));
    assert_eq!(opened.stats.snapshot().queued, 1);

    let store = opened.start().unwrap();
    after.await.unwrap().unwrap();
    assert_eq!(count(&store), 1);
    assert_eq!(store.stats().snapshot().disk_full, 1);
    store.stop();
}

#[tokio::test]
async fn a_panic_inside_two_attempts_undoes_both() {
    let (_folder, opened) = open();
    let store = opened.start().unwrap();
    let failed = store.write("test", |tx| {
        put(tx, "k1")?;
        tx.attempt(|tx| -> Result<(), Error> {
            put(tx, "k2")?;
            panic!("a fault in the inner one")
        })
    });
    assert!(matches!(failed.await, Err(Error::Panicked)));
    store.write("next", |tx| put(tx, "k3")).await.unwrap();
    assert_eq!(count(&store), 1);
    store.stop();
}

#[tokio::test]
async fn an_attempt_that_fails_takes_back_only_what_it_did() {
    let (_folder, opened) = open();
    let store = opened.start().unwrap();
    let kept = store.write("test", |tx| {
        put(tx, "k1")?;
        let failed = tx.attempt(|tx| -> Result<(), Error> {
            put(tx, "k2")?;
            tx.attempt(|tx| put(tx, "k3"))?;
            Err(Error::Busy)
        });
        assert!(matches!(failed, Err(Error::Busy)));
        tx.attempt(|tx| put(tx, "k4"))
    });
    kept.await.unwrap();
    assert_eq!(count(&store), 2);
    store.stop();
}

#[tokio::test]
async fn a_lane_whose_transaction_is_lost_writes_nothing_outside_of_it() {
    let (_folder, mut opened, lane) = open_with_lane();
    fill(&opened);
    // The bad item comes first, so that the others are tried without it.
    let items = submit_all(&lane, &["kbad", "k1", "klarge", "k2"]).await;
    opened.writer.batch();
    let items = items.await;
    assert!(matches!(items[0], Err(Error::Panicked)));
    assert!(items[1..].iter().all(|item| matches!(item, Err(Error::DiskFull))), "{items:?}");
    let store = opened.start().unwrap();
    assert_eq!(count(&store), 0);
    store.stop();
}

#[tokio::test]
async fn a_lane_that_loses_every_transaction_does_not_keep_the_others_from_their_turn() {
    let (_folder, mut opened) = open();
    let (losing, other) = (opened.lane("losing", 1000, Rows), opened.lane("other", 10, Rows));
    fill(&opened);
    let lost = submit_all(&losing, &["klarge"; 600]).await;
    let item = submit_all(&other, &["k1"]).await;
    let job = queue(&opened, |tx| put(tx, "k2"));
    opened.writer.batch();
    opened.writer.batch();
    assert!(job.await.unwrap().is_ok(), "it has a transaction of its own");
    opened.writer.batch();
    assert!(matches!(item.await[..], [Err(Error::DiskFull)]));
    let store = opened.start().unwrap();
    assert!(lost.await.iter().all(|item| matches!(item, Err(Error::DiskFull))));
    assert_eq!(count(&store), 1);
    store.stop();
}

#[tokio::test]
async fn a_stop_that_comes_with_a_lost_transaction_is_heard() {
    let (_folder, opened, lane) = open_with_lane();
    fill(&opened);
    opened.sender.try_send(Message::Stop).ok().unwrap();
    let lost = submit_all(&lane, &["klarge"]).await;
    let store = opened.start().unwrap();
    store.ended().await;
    assert!(lost.await[0].is_err());
    assert!(matches!(lane.submit("k1".to_owned()).await, Err(Error::Stopped)));
    store.stop();
}

/// Forgets itself where it should remember.
struct Broken;

impl Record for Broken {
    type Item = String;
    type Outcome = ();
    type Staged = ();

    fn bytes(name: &String) -> usize {
        name.len()
    }

    fn record(&self, tx: &WriteTx<'_>, items: &[String], (): &mut ()) -> Result<Vec<()>, Error> {
        items.iter().map(|name| put(tx, name)).collect()
    }

    fn apply(&mut self, (): ()) {
        panic!("on purpose");
    }
}

#[tokio::test]
async fn a_writer_that_cannot_trust_its_memory_ends_and_nobody_waits_for_it() {
    let (folder, mut opened) = open();
    let (broken, other) = (opened.lane("broken", 10, Broken), opened.lane("rows", 1000, Rows));
    let item = submit_all(&broken, &["k1"]).await;
    // More than one batch takes: the rest still waits when the writer ends.
    let left = submit_all(&other, &["kbad"; 600]).await;
    let job = queue(&opened, |tx| put(tx, "k2"));
    let store = opened.start().unwrap();
    store.ended().await;
    assert!(item.await[0].is_ok(), "it is on disk, whatever memory says");
    assert!(job.await.unwrap().is_ok());
    let left = left.await;
    assert!(matches!(left.last(), Some(Err(Error::Stopped))), "{:?}", left.last());
    assert!(matches!(store.write("late", |tx| put(tx, "k3")).await, Err(Error::Stopped)));
    assert!(matches!(broken.submit("k4".to_owned()).await, Err(Error::Stopped)));
    store.stop();
    drop(store);
    let again = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
    assert_eq!(count(&again), 2);
    again.stop();
}

#[tokio::test]
async fn what_was_queued_for_a_writer_that_never_ran_is_refused_and_counted_out() {
    let (_folder, opened, lane) = open_with_lane();
    let items = submit_all(&lane, &["k1"]).await;
    let job = queue(&opened, |tx| put(tx, "k2"));
    let stats = Arc::clone(&opened.stats);
    assert_eq!(stats.snapshot().queued, 1);
    drop(opened);
    assert_eq!(stats.snapshot().queued, 0);
    assert!(job.await.is_err());
    assert!(matches!(items.await[0], Err(Error::Stopped)));
    assert_eq!(lane.depth(), 0);
}

#[tokio::test]
async fn what_waits_in_all_lanes_together_is_bounded_in_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { waiting_bytes_max: 10, ..Options::default() };
    let mut opened = Store::open(folder.path(), &options).unwrap();
    let (one, other) = (opened.lane("one", 100, Rows), opened.lane("other", 100, Rows));
    let waiting = submit_all(&one, &["k1234", "k2345"]).await;
    assert!(matches!(other.submit("k".to_owned()).await, Err(Error::Busy)));
    assert_eq!((one.refused(), other.refused()), (0, 1));
    let store = opened.start().unwrap();
    assert_eq!(store.memory().held(), 10);
    assert!(waiting.await.iter().all(Result::is_ok));
    other.submit("k".to_owned()).await.unwrap();
    store.stop();
    assert_eq!(store.memory().held(), 0);
    assert_eq!(count(&store), 3);
}

#[tokio::test]
async fn a_proof_is_a_row_that_was_written() {
    let (_folder, opened) = open();
    let store = opened.start().unwrap();
    let proofs = || -> Option<String> {
        let sql = "SELECT value FROM store_meta WHERE key = 'proofs'";
        store.read_now(|tx| tx.first(sql, [], |row| row.get(0))).map_err(|e: Error| e).unwrap()
    };
    for expected in ["1", "2", "3"] {
        store.prove().await.unwrap();
        assert_eq!(proofs().as_deref(), Some(expected));
    }
    store.stop();
    assert!(matches!(store.prove().await, Err(Error::Stopped)));
}

/// Overwrites a page of a stopped store, pages counted from 1, with what no page begins with.
fn damage(folder: &Path, page: u64) {
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::File::options().write(true).open(folder.join("tocsin.db")).unwrap();
    file.write_all_at(&[0xa5; 8192], (page - 1) * 8192).unwrap();
}

#[test]
fn damage_that_a_statement_meets_is_told_and_remembered() {
    let (folder, opened) = open();
    let root = opened.writer.connection().query_row(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'projects'",
        [],
        |row| row.get::<_, i64>(0),
    );
    opened.start().unwrap().stop();
    damage(folder.path(), root.unwrap().unsigned_abs());

    let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
    store.write_now("test", |tx| put(tx, "kwell")).unwrap();
    assert!(store.stats().damage().is_none(), "nobody looked there yet");
    let names = |tx: &ReadTx<'_>| tx.all("SELECT name FROM projects", [], |row| row.get(0));
    let met: Result<Vec<String>, Error> = store.read_now(names);
    assert!(matches!(met, Err(Error::Damaged(_))), "{met:?}");
    store.write_now("test", |tx| put(tx, "kgood")).unwrap();
    assert!(store.stats().damage().is_some(), "a commit elsewhere mends nothing");
    store.stop();

    damage(folder.path(), 1);
    let error = Store::open(folder.path(), &Options::default()).err().unwrap();
    assert!(matches!(error, Error::Damaged(_)), "{error}");
}

#[test]
fn a_slow_batch_is_logged_with_the_names_of_its_callers() {
    use tracing_subscriber::layer::SubscriberExt as _;

    let (folder, mut opened) = open();
    let _waits = queue(&opened, |_| {
        let began = std::time::Instant::now();
        while began.elapsed() < Duration::from_millis(51) {
            std::hint::spin_loop();
        }
        Ok(())
    });
    let log = folder.path().join("log");
    let output = std::sync::Mutex::new(std::fs::File::create(&log).unwrap());
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(output);
    let subscriber = tracing_subscriber::registry().with(lines);
    tracing::subscriber::with_default(subscriber, || opened.writer.batch());
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("a batch of writes was slow") && said.contains("store.callers=\"test\""), "{said}");
    assert_eq!(opened.stats.snapshot().slow_batches, 1);
}
