//! What a call meets, and what is kept of those that were turned away.

use std::time::Duration;

use super::*;
use crate::webhooks::refused::{KEPT, Refusals, Refused};

fn refused(at: Timestamp, reason: &'static str) -> Refused {
    let headers = vec![("x-sig".to_owned(), "v0".to_owned())];
    Refused { at, reason, address: "192.0.2.1".to_owned(), headers }
}

#[tokio::test]
async fn a_change_is_seen_by_the_next_call_and_an_archived_project_a_little_later() {
    let bed = tokio::task::spawn_blocking(Bed::new).await.unwrap();
    let doors = Doors::new(&bed.store, bed.webhooks.clone());
    assert!(doors.find(&bed.store, T0, "stripe").await.unwrap().is_none());
    let webhooks = bed.webhooks.clone();
    bed.store
        .write("test", move |tx| {
            let (id, _) = webhooks.save_source(tx, &By::tocsin(T0), &source("stripe"))?;
            webhooks.save_destination(tx, &By::tocsin(T0), &destination("app", id)).map(drop)
        })
        .await
        .unwrap();
    let door = doors.find(&bed.store, T0, "stripe").await.unwrap().unwrap();
    assert_eq!((door.secrets.len(), door.exits.len(), door.provider.id.as_str()), (1, 1, "stripe"));
    let webhooks = bed.webhooks.clone();
    let (id, new) = (door.id, Secret::new("whsec_two"));
    bed.store.write("test", move |tx| webhooks.add_secret(tx, &By::tocsin(T0), id, &new)).await.unwrap();
    let door = doors.find(&bed.store, T0, "stripe").await.unwrap().unwrap();
    assert_eq!(door.secrets[0].expose(), "whsec_two");
    bed.store.write("test", |tx| projects::archive(tx, &By::tocsin(T0), SHOP)).await.unwrap();
    let later = T0 + Duration::from_mins(1);
    assert!(doors.find(&bed.store, later, "stripe").await.unwrap().is_none());
}

#[tokio::test]
async fn what_one_source_is_costs_the_others_nothing() {
    let bed = tokio::task::spawn_blocking(Bed::new).await.unwrap();
    for key in ["stripe", "newer", "sealed"] {
        let webhooks = bed.webhooks.clone();
        let draft = source(key);
        let save = move |tx: &WriteTx<'_>| webhooks.save_source(tx, &By::tocsin(T0), &draft).map(drop);
        bed.store.write("test", save).await.unwrap();
    }
    let spoil = |tx: &WriteTx<'_>| {
        let newer = r#"{"provider": "stripe", "mood": "of a newer program"}"#;
        tx.execute("UPDATE webhook_sources SET definition = ?1 WHERE key = 'newer'", [newer])?;
        tx.execute("UPDATE webhook_sources SET sealed = x'00' WHERE key = 'sealed'", [])
    };
    bed.store.write("test", spoil).await.map_err(|error: crate::store::Error| error).unwrap();
    let doors = Doors::new(&bed.store, bed.webhooks.clone());
    assert!(doors.find(&bed.store, T0, "stripe").await.unwrap().is_some());
    assert!(doors.find(&bed.store, T0, "newer").await.unwrap().is_none());
    let sealed = doors.find(&bed.store, T0, "sealed").await.unwrap().unwrap();
    assert!(sealed.secrets.is_empty(), "it refuses every call");
}

#[tokio::test]
async fn of_what_was_turned_away_all_is_counted_and_the_last_is_kept() {
    let bed = tokio::task::spawn_blocking(Bed::new).await.unwrap();
    let webhooks = bed.webhooks.clone();
    let save = move |tx: &WriteTx<'_>| webhooks.save_source(tx, &By::tocsin(T0), &source("stripe"));
    let (id, _) = bed.store.write("test", save).await.unwrap();
    let refusals = Refusals::default();
    let words = ["signature_wrong", "too_old"];
    let at = |n: u64| T0 + Duration::from_secs(n);
    for n in 0..60 {
        refusals.count(id, refused(at(n), words[usize::try_from(n % 2).unwrap()]));
    }
    for n in 60..63 {
        refusals.count(id, refused(at(n), "too_new"));
    }
    refusals.count(SourceId(99), refused(at(0), "of one that was removed"));
    assert_eq!(refusals.flush(&bed.store).await.unwrap(), 64);
    assert_eq!(refusals.flush(&bed.store).await.unwrap(), 0);
    refusals.count(id, refused(at(63), "no_secret"));
    refusals.flush(&bed.store).await.unwrap();
    let read = move |tx: &ReadTx<'_>| {
        let line = queries::find_source(tx, &crate::accounts::Visible::All, "stripe")?.unwrap();
        Ok::<_, crate::store::Error>((queries::refusals(tx, id)?, line, queries::points(tx, id, T0)?))
    };
    let (kept, line, points) = bed.store.read(read).await.unwrap();
    assert_eq!(kept.len(), usize::try_from(KEPT).unwrap());
    let told: Vec<_> = kept.iter().take(3).map(|one| (one.reason.as_str(), one.count)).collect();
    assert_eq!(told, [("no_secret", 1), ("too_new", 3), ("too_old", 1)]);
    assert_eq!((line.counters.refused, line.counters.refused_at), (64, Some(at(63))));
    assert_eq!(points.iter().map(|point| point.came.refused).sum::<i64>(), 64);
}

#[tokio::test]
async fn what_could_not_be_written_of_them_is_kept_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let stopped = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
    stopped.stop();
    let refusals = Refusals::default();
    refusals.count(SourceId(1), refused(T0, "too_old"));
    assert!(refusals.flush(&stopped).await.is_err());
    refusals.count(SourceId(1), refused(T0, "too_old"));
    drop(stopped);
    let bed = tokio::task::spawn_blocking(Bed::new).await.unwrap();
    assert_eq!(refusals.flush(&bed.store).await.unwrap(), 2);
}
