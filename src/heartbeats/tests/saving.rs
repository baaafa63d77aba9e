//! Saving, finding, letting go.

use super::*;
use crate::accounts::Visible;
use crate::heartbeats::queries::Filter;
use crate::store::plans::plans_of;

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_letters_of_every_script_however_they_are_written() {
    let house = House::open().await;
    let name = Some("Nächtliche Sicherung".to_owned());
    let (slug, definition) = ("backup".parse().unwrap(), define("{}"));
    let draft = Draft { project: SHOP, slug, name, definition, owner: Owner::Page };
    house.write(move |tx, incidents| save::save(tx, &By::tocsin(NOON), incidents, &draft)).await.unwrap();
    let found = |text: &str| {
        let filter = Filter { text: Some(text.to_owned()), ..Filter::default() };
        house.read(|tx| queries::list(tx, &Visible::All, &filter, None, 10)).items.len()
    };
    assert_eq!((found("NÄCHT"), found("Back"), found("nacht"), found("İ")), (1, 1, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_saved_once_and_a_file_keeps_what_is_its_own() {
    let house = House::open().await;
    let weekly = r#"{"every":"7d"}"#;
    assert_eq!(house.save(NOON, "job", "{}", Owner::Page).await.unwrap(), Change::Created);
    assert_eq!(house.save(NOON, "job", "{}", Owner::Page).await.unwrap(), Change::Unchanged);
    assert_eq!(house.save(NOON, "job", weekly, Owner::File).await.unwrap(), Change::Updated);
    assert_eq!(house.save(NOON, "job", weekly, Owner::File).await.unwrap(), Change::Unchanged);
    let refused = house.save(NOON, "job", "{}", Owner::Page).await.unwrap_err();
    assert!(refused.to_string().contains("tocsin apply"), "{refused}");
    let (id, by) = (house.find("job").id, By::tocsin(NOON));
    let remove = |owner| {
        let by = by.clone();
        house.write(move |tx, incidents| save::remove(tx, &by, incidents, id, owner))
    };
    assert!(matches!(remove(Owner::Page).await, Err(save::Error::OwnedByFile)));
    remove(Owner::File).await.unwrap();
    assert!(matches!(remove(Owner::File).await, Err(save::Error::NotFound)));
    house.store.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_schedule_clears_a_lateness_and_no_failure() {
    let house = House::open().await;
    for (slug, action) in [("late", Action::Success), ("failed", Action::Fail)] {
        let id = house.make(slug, r#"{"every":"1h","grace":"10m"}"#).await;
        house.ping(id, NOON, action).await;
    }
    let now = NOON + 2 * HOUR;
    house.pass(now).await;
    for (slug, status) in [("late", Status::Up), ("failed", Status::Down)] {
        assert_eq!(house.find(slug).state.status, Status::Down);
        house.save(now, slug, r#"{"every":"1d","grace":"10m"}"#, Owner::Page).await.unwrap();
        assert_eq!(house.find(slug).state.status, status, "{slug}");
    }
    house.store.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_it_rings_follows_its_service() {
    let house = House::open().await;
    let id = house.make("one-of-three", "{}").await;
    let group =
        |grouped| house.write(move |tx, incidents| Ok(set_grouped(tx, incidents, NOON, id, grouped)?));
    group(true).await.unwrap();
    house.ping(id, NOON, Action::Fail).await;
    assert_eq!(house.incidents().len(), 0);
    group(false).await.unwrap();
    assert_eq!(house.incidents(), ["one-of-three failed"]);
    group(true).await.unwrap();
    assert_eq!(house.incidents().len(), 0);
    house.store.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_paged_filtered_and_scoped() {
    let house = House::open().await;
    for n in 0..7 {
        let team = if n % 2 == 0 { "data" } else { "web" };
        let id = house.make(&format!("job-{n}"), &format!(r#"{{"labels":{{"team":"{team}"}}}}"#)).await;
        if n == 5 {
            house.ping(id, NOON, Action::Fail).await;
        }
    }
    let page = |filter: &Filter, visible: &Visible, after: Option<&str>| {
        house.read(|tx| queries::list(tx, visible, filter, after, 3))
    };
    let (all, mut seen, mut cursor) = (Filter::default(), Vec::new(), None);
    loop {
        let found = page(&all, &Visible::All, cursor.as_deref());
        seen.extend(found.items.into_iter().map(|heartbeat| heartbeat.slug));
        cursor = found.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["job-5", "job-0", "job-1", "job-2", "job-3", "job-4", "job-6"], "the worst first");
    let gone = house.make("job-1a", "{}").await;
    let first = house.read(|tx| queries::list(tx, &Visible::All, &all, None, 4));
    assert_eq!(first.items.last().map(|last| &*last.slug), Some("job-1a"));
    let by = By::tocsin(NOON);
    let remove =
        move |tx: &WriteTx<'_>, incidents: &Incidents| save::remove(tx, &by, incidents, gone, Owner::Page);
    house.write(remove).await.unwrap();
    let next = page(&all, &Visible::All, first.next_cursor.as_deref()).items;
    let next: Vec<_> = next.iter().map(|heartbeat| &*heartbeat.slug).collect();
    assert_eq!(
        next,
        ["job-2", "job-3", "job-4"],
        "a list goes on where it ended, whatever was removed meanwhile"
    );
    let slugs = |filter: Filter| {
        let found = page(&filter, &Visible::Only(vec![SHOP]), None).items;
        found.into_iter().map(|heartbeat| heartbeat.slug).collect::<Vec<_>>()
    };
    assert_eq!(slugs(Filter { status: Some(Status::Down), ..Filter::default() }), ["job-5"]);
    assert_eq!(slugs(Filter { text: Some("B-3".to_owned()), ..Filter::default() }), ["job-3"]);
    let label = Some(("team".to_owned(), "web".to_owned()));
    assert_eq!(slugs(Filter { label, ..Filter::default() }), ["job-5", "job-1", "job-3"]);
    assert_eq!(page(&all, &Visible::Only(vec![ProjectId(9)]), None).items.len(), 0);
    let counts = house.read(|tx| queries::counts(tx, &Visible::All, None));
    assert_eq!((counts.new, counts.down), (6, 1));

    let uid = house.find("job-1").uid.to_string();
    for (name, found) in
        [(&*uid, true), ("default/job-1", true), ("1/job-1", true), ("default/none", false), ("x", false)]
    {
        let named = |visible: &Visible| house.read(|tx| queries::find_named(tx, visible, name)).is_some();
        assert_eq!(named(&Visible::All), found, "{name}");
        assert!(!named(&Visible::Only(vec![ProjectId(9)])), "{name}");
    }
    house.store.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn old_runs_go_and_the_last_hundred_stay() {
    let house = House::open().await;
    let (busy, quiet) = (house.make("busy", "{}").await, house.make("quiet", "{}").await);
    for n in 0..120 {
        house.ping(busy, NOON + n * MINUTE, Action::Log).await;
    }
    house.ping(quiet, NOON, Action::Log).await;
    let purge = |before, limit| {
        let kept = retention::RUNS_KEPT_MIN;
        house.store.write("purge", move |tx| {
            let found = retention::find_old_runs(tx, before, kept, limit)?;
            retention::forget_runs(tx, &found)
        })
    };
    assert_eq!(purge(NOON + 5 * MINUTE, 15).await.unwrap(), 5, "what is old");
    assert_eq!(purge(NOON + DAY, 10).await.unwrap(), 10);
    assert_eq!(purge(NOON + DAY, 10).await.unwrap(), 5);
    assert_eq!(purge(NOON + DAY, 15).await.unwrap(), 0);
    assert_eq!(house.number("SELECT count(*) FROM heartbeat_runs"), 101);
    let changes = move |tx: &WriteTx<'_>| retention::purge_changes(tx, NOON + DAY, 10);
    assert_eq!(house.store.write("purge", changes).await.unwrap(), 0, "the last is how it is now");
    house.ping(quiet, NOON + MINUTE, Action::Success).await;
    house.ping(quiet, NOON + 30 * DAY, Action::Fail).await;
    let changes = move |tx: &WriteTx<'_>| retention::purge_changes(tx, NOON + 10 * DAY, 10);
    assert_eq!(house.store.write("purge", changes).await.unwrap(), 1, "how it was made is no more asked for");
    let turns = house.read(|tx| queries::turns(tx, quiet, NOON + 10 * DAY));
    let turns: Vec<_> = turns.iter().map(|turn| turn.status).collect();
    assert_eq!(turns, [Status::Up, Status::Down], "how it was at the border stays");
    house.store.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_is_gone_at_once_and_its_runs_go_in_steps() {
    let house = House::open().await;
    let id = house.make("job", "{}").await;
    for n in 0..25 {
        house.ping(id, NOON + n * MINUTE, if n % 2 == 0 { Action::Fail } else { Action::Success }).await;
    }
    let by = By::tocsin(NOON);
    let remove =
        move |tx: &WriteTx<'_>, incidents: &Incidents| save::remove(tx, &by, incidents, id, Owner::Page);
    house.write(remove).await.unwrap();
    let (runs, changes) = ("SELECT count(*) FROM heartbeat_runs", "SELECT count(*) FROM heartbeat_changes");
    assert_eq!((house.number(runs), house.number(changes)), (25, 26), "not in the write that all wait for");
    assert!(house.read(|tx| queries::find_by_slug(tx, SHOP, "job")).is_none());
    assert_eq!(house.read(|tx| queries::list(tx, &Visible::All, &Filter::default(), None, 10)).items, []);
    assert_eq!(house.send(ping(Target::Known(id), NOON, Action::Success)).await, Taken::Unknown);
    let anew = house.make("job", "{}").await;
    assert!(anew > id, "the slug is free, the number is not");
    house.ping(anew, NOON, Action::Success).await;
    let step = || house.store.write("purge", |tx| removed::purge(tx, 10));
    for rows in [20, 20, 11, 1, 0] {
        let gone = step().await.map_err(|error: Error| error).unwrap();
        assert_eq!(gone, rows);
    }
    assert_eq!((house.number(runs), house.number(changes)), (1, 2), "those of another stay");
    house.store.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_key_leads_to_its_project_until_it_is_renewed() {
    let house = House::open().await;
    house.make("job", "{}").await;
    let addresses = Addresses::new(&house.store);
    let (entropy, by) = (house.incidents.entropy.clone(), By::tocsin(NOON));
    let key = {
        let (entropy, by) = (entropy.clone(), by.clone());
        house.store.write("key", move |tx| keys::ensure(tx, &by, &entropy, SHOP)).await.unwrap()
    };
    assert_eq!(key.len(), keys::KEY_CHARS);
    let find = async |key: &str, slug: &str| {
        let address = Address::Slug { key: key.to_owned(), slug: slug.parse().unwrap() };
        addresses.find(&house.store, NOON, address).await.unwrap()
    };
    assert_eq!(find(&key, "job").await, Known::Heartbeat(house.find("job").id));
    assert_eq!(find(&key, "new").await, Known::Project(SHOP));
    assert_eq!(find("wrong", "job").await, Known::Nothing);
    let new = house.make("new", "{}").await;
    assert_eq!(find(&key, "new").await, Known::Heartbeat(new), "what is made is there at once");
    house.store.write("key", move |tx| keys::renew(tx, &by, &entropy, SHOP)).await.unwrap();
    assert_eq!(find(&key, "job").await, Known::Nothing, "the old key stops to work");
    house.store.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_often_is_found_by_an_index() {
    let house = House::open().await;
    let id = house.make("job", "{}").await;
    let plans = house.read(|tx| {
        Ok(plans_of(tx, || {
            queries::find_by_slug(tx, SHOP, "job").unwrap();
            queries::find(tx, id).unwrap();
            runs::find_open(tx, id, Some([1; 16])).unwrap();
            runs::list(tx, id, None, 10).unwrap();
            queries::turns(tx, id, NOON).unwrap();
            queries::list(tx, &Visible::All, &Filter::default(), None, 10).unwrap();
            due::find_due(tx, NOON, 10).unwrap();
        }))
    });
    for plan in &plans {
        for table in ["heartbeats", "heartbeat_states", "heartbeat_runs", "heartbeat_changes"] {
            assert!(!plan.scans(table), "{plan:?}");
        }
    }
    let listed = &plans[plans.len() - 2];
    assert!(listed.uses("heartbeat_states_in_order") && !listed.sorts(), "{listed:?}");
    assert!(
        plans.last().unwrap().uses("heartbeat_states_due") && !plans.last().unwrap().sorts(),
        "{plans:?}"
    );
    house.store.stop();
}
