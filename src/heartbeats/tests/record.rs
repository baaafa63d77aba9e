//! The lane and the task that waits, on a store.

use super::*;
use crate::heartbeats::rules::RunKind;
use crate::vigil::{self, Blindness, Spell};

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_opens_an_incident_and_the_next_success_ends_it() {
    let house = House::open().await;
    let id = house.make("nightly-backup", r#"{"cron":"0 3 * * *"}"#).await;
    let mut failing = ping(Target::Known(id), NOON, Action::Exit(2));
    (failing.body, failing.body_bytes) = (b"rsync: no space left".to_vec(), 20);
    assert_eq!(house.send(failing).await, Taken::Recorded);
    assert_eq!(house.incidents(), ["nightly-backup failed with exit status 2"]);
    let detail = house.read(|tx| tx.one("SELECT detail FROM witnesses", [], |row| row.get::<_, String>(0)));
    assert!(detail.contains("no space left") && detail.contains("\"exit_status\":2"), "{detail}");
    // More of the same is the same incident.
    house.ping(id, NOON + MINUTE, Action::Fail).await;
    assert_eq!(house.number("SELECT count(*) FROM incidents"), 1);
    house.ping(id, NOON + 2 * MINUTE, Action::Success).await;
    assert_eq!(house.number("SELECT count(*) FROM witnesses WHERE state = 'firing'"), 0);
    house.store.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_late_again_is_not_told_as_well() {
    let house = House::open().await;
    let id = house.make("sync", r#"{"every":"1m","grace":"10m"}"#).await;
    house.ping(id, NOON, Action::Fail).await;
    house.ping(id, NOON + SECOND, Action::Success).await;
    assert_eq!(house.number("SELECT count(*) FROM witnesses WHERE state = 'holding'"), 1);
    assert_eq!(house.pass(NOON + SECOND + MINUTE).await, Passed { late: 1, ..Passed::default() });
    assert_eq!(house.number("SELECT count(*) FROM witnesses WHERE state = 'firing'"), 1);
    house.ping(id, NOON + 2 * MINUTE, Action::Success).await;
    assert_eq!(house.number("SELECT count(*) FROM witnesses WHERE state = 'holding'"), 1);
    assert_eq!(house.number("SELECT count(*) FROM incidents"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_come_is_told_once_and_counted_on() {
    let house = House::open().await;
    let id = house.make("sync", r#"{"every":"1h","grace":"10m"}"#).await;
    house.ping(id, NOON, Action::Success).await;
    assert_eq!(house.pass(NOON + HOUR).await, Passed { late: 1, ..Passed::default() });
    assert_eq!(house.incidents().len(), 0, "late is no alarm");
    assert_eq!(house.pass(NOON + HOUR + 10 * MINUTE).await, Passed { down: 1, ..Passed::default() });
    let [told] = &house.incidents()[..] else { panic!("{:?}", house.incidents()) };
    assert!(told.starts_with("sync did not run: expected ") && told.ends_with(" UTC"), "{told}");
    assert_eq!(house.pass(NOON + 5 * HOUR).await, Passed::default());
    let state = house.find("sync").state;
    assert_eq!((state.missed_now, house.incidents().len()), (4, 1));
    let began = house.number("SELECT impact_started_at FROM incidents");
    assert_eq!(began, (NOON + HOUR).as_micros(), "since it was expected");
    let kinds = house.read(|tx| runs::list(tx, id, None, 10)).items;
    let kinds: Vec<_> = kinds.iter().map(|run| run.kind).collect();
    assert_eq!(kinds, [RunKind::Missed, RunKind::Missed, RunKind::Missed, RunKind::Missed, RunKind::Success]);
    house.store.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_twelve_minutes_of_our_own_outage_only_what_was_missed_before_rings() {
    let house = House::open().await;
    for n in 0..50 {
        let id = house.make(&format!("job-{n}"), r#"{"every":"1m","grace":"1m"}"#).await;
        house.ping(id, NOON, Action::Success).await;
    }
    let hourly = house.make("hourly", r#"{"every":"1h","grace":"5m"}"#).await;
    house.ping(hourly, NOON + 10 * MINUTE - HOUR, Action::Success).await;
    let missed = house.make("missed", r#"{"every":"30m","grace":"10m"}"#).await;
    house.ping(missed, NOON - 38 * MINUTE, Action::Success).await;
    house.pass(NOON).await;
    // Away from a little after noon for twelve minutes; the task wakes before anybody has said so.
    let (began, back) = (NOON + Duration::from_secs(5), NOON + 12 * MINUTE + Duration::from_secs(5));
    let mark = move |tx: &WriteTx<'_>| vigil::mark_alive(tx, began);
    house.store.write("alive", mark).await.unwrap();
    assert_eq!(house.pass(back).await, Passed::default());
    let spell =
        Spell { reason: Blindness::Down, began_at: began, ended_at: Some(back), detail: String::new() };
    let note = move |tx: &WriteTx<'_>| vigil::note(tx, &spell).and_then(|()| vigil::mark_alive(tx, back));
    house.store.write("spell", note).await.unwrap();
    let mut now = back;
    for _ in 0..10 {
        let mark = move |tx: &WriteTx<'_>| vigil::mark_alive(tx, now);
        house.store.write("alive", mark).await.unwrap();
        house.pass(now).await;
        for n in 0..50 {
            let id = house.find(&format!("job-{n}")).id;
            house.ping(id, now, Action::Success).await;
        }
        now = now + MINUTE;
    }
    let told = house.incidents();
    assert!(told.len() == 1 && told[0].starts_with("missed did not run"), "{told:?}");
    house.store.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_of_one_batch_are_taken_in_order() {
    let house = House::open().await;
    let id = house.make("busy", "{}").await;
    let rid = Some([7; 16]);
    let send = |n: u32, action, rid| {
        let ping = Ping { rid, ..ping(Target::Known(id), NOON + n * Duration::from_millis(1), action) };
        house.lane.submit(ping)
    };
    let all = [
        send(0, Action::Start, rid),
        send(1, Action::Start, None),
        send(2, Action::Fail, None),
        send(3, Action::Success, rid),
        send(4, Action::Log, rid),
    ];
    for taken in futures_util::future::join_all(all).await {
        assert_eq!(taken.unwrap(), Taken::Recorded);
    }
    let runs = house.read(|tx| runs::list(tx, id, None, 10)).items;
    let kinds: Vec<_> =
        runs.iter().rev().map(|run| (run.kind, run.took.map(|took| took.as_millis()))).collect();
    assert_eq!(kinds, [(RunKind::Success, Some(3)), (RunKind::Fail, Some(1)), (RunKind::Log, None)]);
    let state = house.find("busy").state;
    assert_eq!((state.status, state.pings), (Status::Up, 5));
    house.store.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_runs_that_never_ended_the_newest_are_given_up() {
    let house = House::open().await;
    let id = house.make("busy", "{}").await;
    for n in 0..12_u8 {
        let start = Ping {
            rid: Some([n; 16]),
            ..ping(Target::Known(id), NOON + u32::from(n) * MINUTE, Action::Start)
        };
        assert_eq!(house.send(start).await, Taken::Recorded);
    }
    house.write(move |tx, _| Ok(runs::give_up_all(tx, id, "lost")?)).await.unwrap();
    let left = house.read(|tx| runs::list(tx, id, None, 20)).items;
    let left: Vec<_> = left.iter().filter(|run| run.kind == RunKind::Running).map(|run| run.at).collect();
    assert_eq!(left, [NOON + MINUTE, NOON]);
    house.store.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_makes_its_heartbeat_where_it_may() {
    let house = House::open().await;
    let create = || Target::Create { project: SHOP, slug: "fresh".parse().unwrap() };
    assert_eq!(house.send(ping(create(), NOON, Action::Success)).await, Taken::Created);
    assert_eq!(house.send(ping(create(), NOON, Action::Success)).await, Taken::Recorded);
    assert_eq!(house.find("fresh").owner, Owner::Ping);
    assert_eq!(house.send(ping(Target::Known(HeartbeatId(99)), NOON, Action::Success)).await, Taken::Unknown);

    let upsert = |json: Option<&str>, slug: &str| Target::Upsert {
        project: SHOP,
        slug: slug.parse().unwrap(),
        definition: json.map(|json| Box::new(serde_json::from_str(json).unwrap())),
    };
    let hourly = Some(r#"{"cron":"0 * * * *"}"#);
    assert_eq!(house.send(ping(upsert(None, "job"), NOON, Action::Success)).await, Taken::Unknown);
    assert_eq!(house.send(ping(upsert(hourly, "job"), NOON, Action::Success)).await, Taken::Created);
    assert_eq!(house.send(ping(upsert(None, "job"), NOON, Action::Success)).await, Taken::Recorded);
    assert_eq!(house.find("job").definition.schedule.describe(), "0 * * * * UTC");
    // What a person or a file says stands.
    house.save(NOON, "job", r#"{"every":"2h"}"#, Owner::File).await.unwrap();
    assert_eq!(house.send(ping(upsert(hourly, "job"), NOON, Action::Success)).await, Taken::Recorded);
    assert_eq!(house.find("job").definition.schedule.describe(), "every 2h");
    house.store.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_in_that_comes_twice_counts_once() {
    let house = House::open().await;
    let id = house.make("job", r#"{"failures":2}"#).await;
    let check_in = |rid: u8, minute: u32, action| Ping {
        rid: Some([rid; 16]),
        source: Origin::Sentry,
        ..ping(Target::Known(id), NOON + minute * MINUTE, action)
    };
    let sent = [(1, 0, Action::Start), (1, 1, Action::Success), (2, 5, Action::Start), (2, 6, Action::Fail)];
    for later in 0..3 {
        for (rid, minute, action) in sent {
            assert_eq!(house.send(check_in(rid, minute + later, action)).await, Taken::Recorded);
        }
    }
    let runs = house.read(|tx| runs::list(tx, id, None, 10)).items;
    let runs: Vec<_> = runs.iter().map(|run| (run.kind, run.took)).collect();
    assert_eq!(runs, [(RunKind::Fail, Some(MINUTE)), (RunKind::Success, Some(MINUTE))]);
    let state = house.find("job").state;
    assert_eq!((state.status, state.pings, state.bad_now), (Status::Up, 4, 1));
    // The next run is none of them, nor is another word on the same.
    for (rid, action) in [(3, Action::Start), (3, Action::Success), (3, Action::Fail)] {
        house.send(check_in(rid, 30, action)).await;
    }
    assert_eq!(house.find("job").state.pings, 7);
    house.store.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_make_and_change_only_so_many_heartbeats_in_a_minute() {
    let house = House::open().await;
    let create = |n: u32, at| {
        let slug = format!("job-{n}").parse().unwrap();
        house.lane.submit(ping(Target::Create { project: SHOP, slug }, at, Action::Success))
    };
    let all = futures_util::future::join_all((0..130).map(|n| create(n, NOON))).await;
    let made = all.iter().filter(|one| matches!(one, Ok(Taken::Created))).count();
    assert_eq!((made, all.len() - made), (120, 10));
    assert!(matches!(all.last(), Some(Ok(Taken::TooFast))));
    let changing = |at| {
        let definition = Some(Box::new(serde_json::from_str(r#"{"every":"2h"}"#).unwrap()));
        ping(
            Target::Upsert { project: SHOP, slug: "job-0".parse().unwrap(), definition },
            at,
            Action::Success,
        )
    };
    assert_eq!(house.send(changing(NOON)).await, Taken::Recorded);
    let job = house.find("job-0");
    assert_eq!((job.owner, job.state.pings), (Owner::Ping, 2), "heard, and not changed");
    assert_eq!(house.send(changing(NOON + MINUTE)).await, Taken::Recorded);
    assert_eq!(house.find("job-0").owner, Owner::Sentry);
    assert!(matches!(create(129, NOON + MINUTE).await, Ok(Taken::Created)));
    house.store.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_pings_make_leaves_room_for_people_and_other_projects() {
    let house = House::open().await;
    let fill = |tx: &WriteTx<'_>| {
        tx.execute("INSERT INTO projects (id, slug, name, created_at) VALUES (2, 'blog', 'Blog', 0)", [])?;
        tx.execute(
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000)
             INSERT INTO heartbeats (uid, ping_id, project_id, slug, name, definition, owner, created_at, updated_at)
             SELECT randomblob(16), randomblob(16), 1, 'made-' || n, 'made', '{}', 'sentry', 0, 0 FROM n",
            [],
        )
    };
    house.store.write("fill", fill).await.map_err(|error: Error| error).unwrap();
    let create = |project| Target::Create { project: ProjectId(project), slug: "one-more".parse().unwrap() };
    assert_eq!(house.send(ping(create(1), NOON, Action::Success)).await, Taken::Full);
    assert_eq!(house.send(ping(create(2), NOON, Action::Success)).await, Taken::Created);
    assert_eq!(house.save(NOON, "one-more", "{}", Owner::Page).await.unwrap(), Change::Created);
    house.store.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_resumes_what_is_paused() {
    let house = House::open().await;
    let id = house.make("job", "{}").await;
    house.ping(id, NOON, Action::Fail).await;
    let by = By::tocsin(NOON + MINUTE);
    house.write(move |tx, incidents| save::pause(tx, &by, incidents, id)).await.unwrap();
    assert_eq!((house.find("job").state.status, house.incidents().len()), (Status::Paused, 0));
    assert_eq!(house.pass(NOON + 10 * DAY).await, Passed::default());
    house.ping(id, NOON + 2 * MINUTE, Action::Success).await;
    let job = house.find("job");
    assert_eq!((job.state.status, job.paused_at), (Status::Up, None));
    house.store.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_be_read_keeps_no_other_from_being_missed() {
    let house = House::open().await;
    for slug in ["later", "sync"] {
        let id = house.make(slug, r#"{"every":"1h","grace":"10m"}"#).await;
        house.ping(id, NOON, Action::Success).await;
    }
    let newer = "UPDATE heartbeats SET definition = '[\"telepathy\"]' WHERE slug = 'later'";
    house.write(move |tx, _| Ok(tx.execute(newer, []).map(drop)?)).await.unwrap();
    house.pass(NOON + HOUR).await;
    assert_eq!(house.pass(NOON + HOUR + 10 * MINUTE).await, Passed { down: 1, ..Passed::default() });
    assert!(house.incidents()[0].starts_with("sync did not run"));
    let due = house.number(
        "SELECT due_at FROM heartbeat_states JOIN heartbeats ON heartbeats.id = heartbeat_id WHERE slug = 'later'",
    );
    assert_eq!(due, (NOON + 2 * HOUR).as_micros(), "it is put off, alone");
    house.store.stop();
}
