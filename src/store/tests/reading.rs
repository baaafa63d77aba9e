//! Reads: bounded in time, and never in the way of intake.

use std::time::Duration;

use super::*;

/// Never ends by itself.
const ENDLESS: &str =
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

fn started(options: &Options) -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), options).unwrap().start().unwrap();
    (folder, store)
}

#[tokio::test]
async fn every_connection_folds_letters_of_every_script() {
    let (_folder, store) = started(&Options::default());
    let sql =
        "SELECT instr(fold('Ünïcode İ Σ'), fold('ÜNÏCODE İ ς')) AND fold(NULL) IS NULL AND fold(1) IS NULL
               AND fold(CAST(x'ffc4' AS TEXT)) IS NOT NULL";
    assert_eq!(store.read(ask(sql)).await.unwrap(), 1, "the shared ones");
    assert_eq!(store.read_now(ask(sql)).unwrap(), 1, "the reserved ones");
    assert_eq!(store.write("test", |tx| tx.one(sql, [], |row| row.get::<_, i64>(0))).await.unwrap(), 1);
    store.stop();
}

fn ask(sql: &'static str) -> impl FnOnce(&ReadTx<'_>) -> Result<i64, Error> + Send {
    move |tx| tx.one(sql, [], |row| row.get(0))
}

#[tokio::test]
async fn a_read_that_runs_over_is_given_up_and_its_connection_serves_the_next() {
    let options = Options { readers: 1, read_time_max: Duration::from_millis(20), ..Options::default() };
    let (_folder, store) = started(&options);
    for _ in 0..2 {
        let endless = store.read(ask(ENDLESS)).await;
        assert!(matches!(endless, Err(Error::ReadTooLong)), "{endless:?}");
        assert_eq!(store.read(ask("SELECT 7")).await.unwrap(), 7);
    }
    store.stop();
}

#[tokio::test]
async fn intake_reads_while_searches_hold_every_other_connection() {
    let (_folder, store) = started(&Options { readers: 1, ..Options::default() });
    let (begun, begins) = oneshot::channel();
    let (finish, finished) = std::sync::mpsc::channel::<()>();
    let search = store.read(move |_| {
        begun.send(()).ok();
        finished.recv().ok();
        Ok::<_, Error>(())
    });
    let intake = async {
        begins.await.unwrap();
        let read = store.read_reserved(ask("SELECT 7")).await;
        drop(finish);
        read
    };
    let (searched, read) = tokio::join!(search, intake);
    searched.unwrap();
    assert_eq!(read.unwrap(), 7);
    store.stop();
}

#[tokio::test]
async fn what_the_engine_reads_may_take_its_time() {
    let options = Options { read_time_max: Duration::ZERO, ..Options::default() };
    let (_folder, store) = started(&options);
    let long =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 50000) SELECT count(*) FROM n";
    assert!(matches!(store.read(ask(long)).await, Err(Error::ReadTooLong)));
    assert_eq!(store.read_reserved(ask(long)).await.unwrap(), 50_000);
    store.stop();
}
