//! The write-ahead log stays short, and whoever reads for long does not slow those who write.

use super::*;
use crate::store::log_care::LogBounds;

const SMALL: LogBounds = LogBounds { start: 8, finish: 16, cap: 32 };
const WRITES: u64 = 200;

fn write(store: &Store, n: u64) {
    store.write_now("log", move |tx| put(tx, &format!("k{n}"))).unwrap();
}

#[test]
fn a_long_reader_costs_few_attempts_and_when_it_ends_the_log_shrinks() {
    let (folder, mut opened) = open();
    opened.writer.log.bounds = SMALL;
    let store = opened.start().unwrap();
    write(&store, 0);
    let reader = rusqlite::Connection::open(folder.path().join("tocsin.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM store_meta").unwrap();
    // Behind this one the log was cared for after the first, which the reader could not hold up.
    write(&store, 1);
    let cut_before = store.stats().snapshot().truncations;
    for n in 2..=WRITES {
        write(&store, n);
    }
    let held_up = store.stats().snapshot();
    // The last one may be answered before it is counted.
    assert!(held_up.wal_pages + 1 >= WRITES, "the reader pins the log: {held_up:?}");
    assert!(held_up.checkpoints_held > 0, "{held_up:?}");
    // An attempt for as much as a pass of the checkpointer copies, not one per commit.
    assert!(held_up.checkpoints_held <= held_up.wal_pages / SMALL.start, "{held_up:?}");
    assert_eq!(held_up.truncations, cut_before);

    reader.execute_batch("COMMIT").unwrap();
    let shrunk = (WRITES + 1..10 * WRITES).find(|n| {
        write(&store, *n);
        store.stats().snapshot().wal_pages < SMALL.cap
    });
    assert!(shrunk.is_some(), "{:?}", store.stats().snapshot());
    store.stop();
}

#[test]
fn without_readers_the_log_begins_anew_and_a_stop_leaves_none() {
    let (folder, mut opened) = open();
    opened.writer.log.bounds = SMALL;
    let store = opened.start().unwrap();
    let mut longest = 0;
    let anew = (0..10 * WRITES).find(|n| {
        write(&store, *n);
        let pages = store.stats().snapshot().wal_pages;
        longest = pages.max(longest);
        pages < longest
    });
    assert!(anew.is_some(), "{longest} pages and never anew");
    store.stop();
    let log = std::fs::metadata(folder.path().join("tocsin.db-wal")).map_or(0, |meta| meta.len());
    assert_eq!(log, 0);
}
