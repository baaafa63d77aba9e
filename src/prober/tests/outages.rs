use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::bed::{Bed, START, Web, draft};
use crate::accounts::By;
use crate::probes::pushed::{Report, Stored, Word};
use crate::probes::{Owner, ProbeId, Status, points};

const FIRING: &str = "SELECT count(*) FROM witnesses WHERE live = 1 AND state = 'firing'";
const OPEN: &str = "SELECT count(*) FROM incidents WHERE state <> 'resolved'";

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_confirmed_told_once_and_over() {
    let (mut bed, web) = (Bed::new().await, Web::new().await);
    let id = bed.save(web.draft("api")).await;
    bed.start();
    bed.until_status(id, Status::Healthy).await;
    web.says(503);
    bed.until_status(id, Status::Unhealthy).await;
    assert_eq!(bed.number(OPEN).await, 1);
    let summary = bed.text("SELECT summary FROM incidents").await;
    assert_eq!(summary, "The api is down: status was 503, wanted < 300");
    let sample = "SELECT sample ->> '$.sample.head' FROM probe_samples WHERE kind = ";
    assert!(bed.text(&*String::leak(format!("{sample}'good'"))).await.contains("200"));
    assert!(bed.text(&*String::leak(format!("{sample}'bad'"))).await.contains("503"));
    // Dated back to the first bad reading, which came before the second.
    let state = bed.state(id).await;
    assert!(state.checked_at.unwrap().since(state.since) >= Duration::from_secs(5));
    assert_eq!(state.memory.first_bad_at, Some(state.since));
    web.says(200);
    bed.until_status(id, Status::Healthy).await;
    assert_eq!(bed.number(FIRING).await, 0);
    assert_eq!(bed.number("SELECT count(*) FROM probe_changes").await, 3);
    assert_eq!(bed.number("SELECT count(*) FROM incidents").await, 1);
    bed.stop().await;
    // What was seen is on disk after a stop.
    let hours = bed.store.read(move |tx| points::hours(tx, id, START, bed_end())).await;
    let hours: Vec<points::Hour> = hours.map_err(|error: crate::store::Error| error).unwrap();
    assert!(hours[0].good >= 3 && hours[0].bad >= 2, "{hours:?}");
}

fn bed_end() -> crate::base::Timestamp {
    START + Duration::from_hours(24)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_of_an_outage_tells_nothing_twice() {
    let (mut bed, web) = (Bed::new().await, Web::new().await);
    let id = bed.save(web.draft("api")).await;
    web.says(500);
    bed.start();
    bed.until_status(id, Status::Unhealthy).await;
    let since = bed.state(id).await.since;
    bed.stop().await;
    bed.clock.advance(Duration::from_mins(3));
    bed.start();
    let asked = web.asked.load(Ordering::Relaxed);
    bed.until("it was asked no more", async |_| web.asked.load(Ordering::Relaxed) >= asked + 3).await;
    assert_eq!((bed.state(id).await.status, bed.state(id).await.since), (Status::Unhealthy, since));
    assert_eq!(bed.number("SELECT count(*) FROM incidents").await, 1);
    web.says(200);
    bed.until_status(id, Status::Healthy).await;
    assert_eq!(bed.number(OPEN).await, 0);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_is_never_a_verdict() {
    let (mut bed, web) = (Bed::new().await, Web::new().await);
    let id = bed.save(web.draft("api")).await;
    bed.start();
    bed.until_status(id, Status::Healthy).await;
    bed.write(|_, tx| {
        let refuse =
            "CREATE TRIGGER refuse BEFORE UPDATE ON probe_states BEGIN SELECT RAISE(ABORT, 'no'); END";
        Ok(tx.execute(refuse, []).map(drop)?)
    })
    .await
    .unwrap();
    let asked = web.asked.load(Ordering::Relaxed);
    bed.until("it was asked no more", async |_| web.asked.load(Ordering::Relaxed) >= asked + 5).await;
    assert_eq!(bed.live(id).unwrap().status, Status::Healthy);
    web.says(503);
    bed.until("the verdict waited for the store", async |bed| {
        bed.live(id).unwrap().status == Status::Unhealthy
    })
    .await;
    assert_eq!(bed.state(id).await.status, Status::Healthy, "nothing was written");
    bed.write(|_, tx| Ok(tx.execute("DROP TRIGGER refuse", []).map(drop)?)).await.unwrap();
    bed.until_status(id, Status::Unhealthy).await;
    assert_eq!(bed.number(FIRING).await, 1);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_somebody_else_holds_the_database_nothing_is_judged_by_it() {
    let (mut bed, web) = (Bed::new().await, Web::new().await);
    let id = bed.save(web.draft("api")).await;
    bed.start();
    bed.until_status(id, Status::Healthy).await;
    let changes = bed.number("SELECT count(*) FROM probe_changes").await;
    let other = rusqlite::Connection::open(bed.store.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let asked = web.asked.load(Ordering::Relaxed);
    bed.until("it was asked no more", async |_| web.asked.load(Ordering::Relaxed) >= asked + 10).await;
    assert_eq!(bed.live(id).unwrap().status, Status::Healthy);
    web.says(503);
    bed.until("the verdict waited for the store", async |bed| {
        bed.live(id).unwrap().status == Status::Unhealthy
    })
    .await;
    assert_eq!(bed.number("SELECT count(*) FROM probe_changes").await, changes);
    other.execute_batch("ROLLBACK").unwrap();
    bed.until_status(id, Status::Unhealthy).await;
    assert_eq!(bed.number("SELECT count(*) FROM probe_changes").await, changes + 1);
    assert_eq!(bed.number(FIRING).await, 1);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_probes_that_fail_at_once_are_one_incident() {
    let (mut bed, web) = (Bed::new().await, Web::new().await);
    web.says(503);
    let drafts: Vec<_> = (0..1000).map(|n| web.draft(&format!("api-{n}"))).collect();
    bed.write(move |probes, tx| {
        drafts.iter().try_for_each(|draft| probes.save(tx, &By::tocsin(START), draft).map(drop))
    })
    .await
    .unwrap();
    bed.start();
    // A thousand take their time; the clock must not run ahead of them.
    bed.soon("not all were found down", async |bed| {
        tokio::time::sleep(Duration::from_millis(50)).await;
        bed.clock.advance(Duration::from_secs(1));
        bed.number("SELECT count(*) FROM probe_states WHERE status = 'unhealthy'").await == 1000
    })
    .await;
    assert_eq!(bed.number("SELECT count(*) FROM incidents").await, 1);
    assert_eq!(bed.number(FIRING).await, 1000);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_ends_what_rings_and_what_was_removed_comes_not_back() {
    let (mut bed, web) = (Bed::new().await, Web::new().await);
    web.says(503);
    let id = bed.save(web.draft("api")).await;
    bed.start();
    bed.until_status(id, Status::Unhealthy).await;
    let until = bed.clock.now() + Duration::from_mins(2);
    bed.write(move |probes, tx| probes.pause(tx, &By::tocsin(START), id, Some(until))).await.unwrap();
    assert_eq!(bed.number(OPEN).await, 0);
    let reason = bed.text("SELECT resolve_reason FROM incidents").await;
    assert_eq!((bed.state(id).await.status, reason.as_str()), (Status::Paused, "subject_paused"));
    // It resumes by itself, and is found down anew.
    bed.until_status(id, Status::Unhealthy).await;
    assert_eq!(bed.number(OPEN).await, 1);
    bed.write(move |probes, tx| probes.set_grouped(tx, START, id, true)).await.unwrap();
    assert_eq!(bed.number(OPEN).await, 0, "its service rings for it");
    bed.write(move |probes, tx| probes.set_grouped(tx, START, id, false)).await.unwrap();
    assert_eq!(bed.number(OPEN).await, 1, "level again");
    bed.write(move |probes, tx| probes.remove(tx, &By::tocsin(START), id, Owner::File)).await.unwrap();
    assert_eq!(bed.number(OPEN).await, 0);
    bed.soon("it still stands on the board", async |bed| bed.live(id).is_none()).await;
    bed.write(|_, tx| Ok(crate::probes::removed::purge(tx, 100)?)).await.unwrap();
    bed.stop().await;
    assert_eq!(bed.number("SELECT count(*) FROM probe_points").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn planned_work_is_seen_and_not_told() {
    let (mut bed, web) = (Bed::new().await, Web::new().await);
    let covered = Arc::new(AtomicBool::new(true));
    let says = Arc::clone(&covered);
    bed.covers = Arc::new(move |_, key| key == "probe:1" && says.load(Ordering::Relaxed));
    let id = bed.save(web.draft("api")).await;
    assert_eq!(id, ProbeId(1));
    web.says(503);
    bed.start();
    bed.until_status(id, Status::Maintenance).await;
    let asked = web.asked.load(Ordering::Relaxed);
    bed.until("it was asked no more", async |_| web.asked.load(Ordering::Relaxed) >= asked + 4).await;
    assert_eq!(bed.number("SELECT count(*) FROM incidents").await, 0);
    covered.store(false, Ordering::Relaxed);
    bed.until_status(id, Status::Unhealthy).await;
    assert_eq!(bed.number(OPEN).await, 1);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_and_goes_is_told_once() {
    let (mut bed, web) = (Bed::new().await, Web::new().await);
    let mut wanted = web.draft("api");
    (wanted.definition.policy.bad, wanted.definition.policy.of, wanted.definition.policy.good) = (1, 1, 1);
    let id = bed.save(wanted).await;
    bed.start();
    bed.until_status(id, Status::Healthy).await;
    for turn in 0..12 {
        web.says(if turn % 2 == 0 { 503 } else { 200 });
        let asked = web.asked.load(Ordering::Relaxed);
        bed.until("it was asked no more", async |_| web.asked.load(Ordering::Relaxed) > asked).await;
    }
    bed.until("it never flapped", async |bed| bed.state(id).await.flapping).await;
    let flaps = "SELECT count(*) FROM witnesses WHERE key = 'probe:1:flaps'";
    assert_eq!(bed.number(flaps).await, 1);
    let summary = bed.text("SELECT summary FROM witnesses WHERE key = 'probe:1:flaps'").await;
    assert!(summary.starts_with("The api comes and goes"), "{summary}");
    web.says(200);
    bed.until("it never settled", async |bed| !bed.state(id).await.flapping).await;
    assert_eq!(bed.number(OPEN).await, 0);
    assert_eq!(bed.number(flaps).await, 1);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_answer_that_is_bad_is_told_before_it_proves_anything() {
    let (mut bed, web) = (Bed::new().await, Web::new().await);
    web.says(503);
    // Whatever is there at a start is asked later, and what is made after it at once.
    let earlier = bed.save(draft("earlier", serde_json::json!({"kind": "push"}))).await;
    bed.start();
    bed.soon("nothing was taken up", async |bed| bed.live(earlier).is_some()).await;
    let id = bed.save(web.draft("api")).await;
    bed.soon("it was not asked", async |bed| bed.state(id).await.reason.starts_with("not well")).await;
    let state = bed.state(id).await;
    assert_eq!(
        (state.status, state.reason.as_str()),
        (Status::Unknown, "not well so far: status was 503, wanted < 300")
    );
    bed.until_status(id, Status::Unhealthy).await;
    assert_eq!(bed.state(id).await.reason, "status was 503, wanted < 300");
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_says_nothing_before_the_first_report() {
    let mut bed = Bed::new().await;
    let push = serde_json::json!({"kind": "push"});
    let (heard, unheard) =
        (bed.save(draft("heard", push.clone())).await, bed.save(draft("unheard", push)).await);
    bed.start();
    bed.soon("it was not taken up", async |bed| bed.live(heard).is_some()).await;
    bed.prober().report(Stored { id: heard, at: bed.clock.now(), report: Report::default() }).await.unwrap();
    bed.soon("the report does not count", async |bed| bed.state(heard).await.status == Status::Healthy).await;
    bed.until_status(heard, Status::Unhealthy).await;
    let waiting = bed.state(unheard).await;
    assert_eq!((waiting.status, waiting.reason.as_str()), (Status::Unknown, "waiting for its first report"));
    assert_eq!(bed.number(OPEN).await, 1, "that of the one that was heard");
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_reported_is_judged_and_silence_is_bad() {
    let mut bed = Bed::new().await;
    let id = bed.save(draft("job", serde_json::json!({"kind": "push"}))).await;
    bed.start();
    bed.soon("it was not taken up", async |bed| bed.live(id).is_some()).await;
    let report = async |bed: &Bed, status, message: &str| {
        let report = Report { status, message: message.to_owned(), ..Report::default() };
        bed.prober().report(Stored { id, at: bed.clock.now(), report }).await.unwrap();
    };
    report(&bed, Word::Up, "").await;
    bed.soon("the report does not count", async |bed| bed.state(id).await.status == Status::Healthy).await;
    for _ in 0..2 {
        report(&bed, Word::Down, "the tank is empty").await;
    }
    bed.soon("two of three", async |bed| bed.state(id).await.status == Status::Unhealthy).await;
    assert_eq!(bed.state(id).await.reason, "the tank is empty");
    for _ in 0..2 {
        report(&bed, Word::Up, "").await;
    }
    bed.soon("it is well again", async |bed| bed.state(id).await.status == Status::Healthy).await;
    bed.until_status(id, Status::Unhealthy).await;
    assert_eq!(bed.state(id).await.reason, "no report for 32s");
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_that_could_not_be_written_is_told_when_it_can_be() {
    let (mut bed, web) = (Bed::new().await, Web::new().await);
    let id = bed.save(web.draft("api")).await;
    bed.start();
    bed.until_status(id, Status::Healthy).await;
    let refuse = "CREATE TRIGGER refuse BEFORE UPDATE ON probe_states BEGIN SELECT RAISE(ABORT, 'no'); END";
    bed.write(move |_, tx| Ok(tx.execute(refuse, []).map(drop)?)).await.unwrap();
    web.says(503);
    bed.until("it never was down", async |bed| bed.live(id).unwrap().status == Status::Unhealthy).await;
    web.says(200);
    bed.until("it never was back", async |bed| bed.live(id).unwrap().status == Status::Healthy).await;
    assert_eq!(bed.number("SELECT count(*) FROM incidents").await, 0);
    bed.write(|_, tx| Ok(tx.execute("DROP TRIGGER refuse", []).map(drop)?)).await.unwrap();
    let over = "SELECT count(*) FROM incidents WHERE state = 'resolved'";
    bed.until("nobody was told", async |bed| bed.number(over).await == 1).await;
    let changes = "SELECT group_concat(status, ' ') FROM (SELECT status FROM probe_changes ORDER BY id)";
    assert_eq!(bed.text(changes).await, "healthy unhealthy healthy");
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_judges_no_report_twice() {
    let mut bed = Bed::new().await;
    let mut wanted = draft("job", serde_json::json!({"kind": "push"}));
    (wanted.definition.policy.bad, wanted.definition.policy.of, wanted.definition.policy.good) = (1, 1, 1);
    let id = bed.save(wanted).await;
    bed.start();
    bed.soon("it was not taken up", async |bed| bed.live(id).is_some()).await;
    bed.prober().report(Stored { id, at: bed.clock.now(), report: Report::default() }).await.unwrap();
    bed.soon("the report does not count", async |bed| bed.state(id).await.status == Status::Healthy).await;
    bed.until_status(id, Status::Unhealthy).await;
    bed.stop().await;
    let seen = async |bed: &Bed| {
        let hours = bed.store.read(move |tx| points::hours(tx, id, START, bed_end())).await;
        let hours: Vec<points::Hour> = hours.map_err(|error: crate::store::Error| error).unwrap();
        let changes = bed.number("SELECT count(*) FROM probe_changes").await;
        (hours.iter().map(|hour| hour.good + hour.bad).sum::<u32>(), changes)
    };
    let before = seen(&bed).await;
    bed.start();
    bed.soon("it was not taken up again", async |bed| bed.live(id).is_some()).await;
    bed.stop().await;
    assert_eq!(seen(&bed).await, before);
    assert_eq!((bed.state(id).await.status, bed.number(OPEN).await), (Status::Unhealthy, 1));
    // What was stored while nobody judged is judged.
    let stored = Stored { id, at: bed.clock.now() + Duration::from_secs(1), report: Report::default() };
    bed.write(move |_, tx| Ok(crate::probes::pushed::record(tx, &stored)?)).await.unwrap();
    bed.clock.advance(Duration::from_secs(2));
    bed.start();
    bed.soon("what was reported meanwhile counts", async |bed| bed.state(id).await.status == Status::Healthy)
        .await;
    bed.stop().await;
}
