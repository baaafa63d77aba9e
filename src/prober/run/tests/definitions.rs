//! What changes while the loop runs: definitions, pauses, and what cannot be read.

use super::*;
use crate::probes::condition::Facts;
use crate::probes::pushed::{self, Report, Word};
use crate::probes::record::forget_project;
use crate::probes::seen::{Failed, Phase, Raw};
use crate::probes::{Draft, Owner, Probe};

fn far(port: u16) -> Draft {
    let mut wanted = draft("far", serde_json::json!({"kind": "tcp", "host": "far.example", "port": port}));
    (wanted.definition.policy.bad, wanted.definition.policy.of) = (1, 1);
    wanted
}

impl Loop {
    async fn reads(&mut self) {
        self.load();
        self.settle_all().await;
    }

    fn probe(&self, id: ProbeId) -> &Probe {
        &self.subjects[&id].probe
    }
}

/// What a machine says that does not want to be asked.
fn refused() -> Box<Seen> {
    let failed = Failed { phase: Phase::Connect, reason: "refused".to_owned(), may_be_ours: false };
    let facts = Facts::new(Timestamp::EPOCH);
    Box::new(
        Raw {
            failed: Some(failed),
            facts,
            phases: Phases::default(),
            sample: Sample::default(),
            words: None,
        }
        .seen(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_an_earlier_definition_proves_nothing_of_the_new_one() {
    let bed = Bed::new().await;
    let (mut asking, id) = still(&bed, Vec::new()).await;
    let (version, at, began) = (asking.probe(id).version, bed.clock.now(), asking.now());
    asking.subjects.get_mut(&id).unwrap().is_busy = true;
    asking.asking = 1;
    bed.save(far(10)).await;
    asking.reads().await;
    assert!(asking.probe(id).version > version);
    // Its first run is due at once, and cannot begin while the other is under way.
    asking.begin_due();
    assert_eq!(asking.asking, 1);
    bed.clock.advance(Duration::from_secs(1));
    asking.take(Event::Asked(Asked { id, version, at, began, seen: refused() }));
    asking.work_off();
    assert_eq!(asking.subjects[&id].status, Status::Unknown);
    assert!(!asking.subjects[&id].is_busy);
    assert_eq!(asking.wheel.next(), Some(asking.now()), "it is asked anew");
    let version = asking.probe(id).version;
    asking.asking = 1;
    asking.take(Event::Asked(Asked { id, version, at, began, seen: refused() }));
    asking.work_off();
    assert_eq!(asking.subjects[&id].status, Status::Unhealthy);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_in_doubt_goes_with_its_definition() {
    let bed = Bed::new().await;
    let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut asking, id) = still(&bed, vec![canary.local_addr().unwrap().to_string()]).await;
    bed.clock.advance(Duration::from_mins(1));
    asking.subjects.get_mut(&id).unwrap().is_busy = true;
    let run = Run::of(&asking.subjects[&id].checked, bed.clock.now(), asking.now(), *refused());
    asking.judge(id, Run { may_be_ours: true, ..run });
    assert_eq!(asking.doubted.len(), 1);
    // The canaries take their time.
    asking.flying.clear();
    bed.save(far(10)).await;
    asking.reads().await;
    assert_eq!((asking.doubted.len(), asking.subjects[&id].status), (0, Status::Unknown));
    assert!(!asking.subjects[&id].is_busy);
    assert_eq!(asking.wheel.next(), Some(asking.now()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_while_they_are_read_is_read_afterwards_and_not_before() {
    let bed = Bed::new().await;
    let (mut asking, _) = still(&bed, Vec::new()).await;
    let (_changes, definitions) = watch::channel(0);
    asking.definitions = definitions;
    asking.load();
    asking.load();
    assert!(!asking.definitions.has_changed().unwrap(), "the loop would find it changed until it is read");
    assert_eq!(asking.flying.len(), 1);
    let Some(event) = asking.flying.next().await else { panic!("nothing is read") };
    asking.take(event);
    assert_eq!(asking.flying.len(), 1, "once more");
    asking.settle_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_probe_is_asked_at_once_and_many_are_spread() {
    let bed = Bed::new().await;
    let (mut asking, id) = still(&bed, Vec::new()).await;
    bed.write(move |probes, tx| probes.remove(tx, &By::tocsin(START), id, Owner::File)).await.unwrap();
    asking.reads().await;
    assert!(asking.subjects.is_empty());
    bed.clock.advance(Duration::from_mins(5));
    let by = By::tocsin(bed.clock.now());
    bed.write(move |probes, tx| probes.save(tx, &by, &far(9)).map(drop)).await.unwrap();
    asking.reads().await;
    assert_eq!(asking.wheel.next(), Some(asking.now()));
    bed.write(|probes, tx| {
        let many = (0..200).map(|n| Draft { key: format!("far-{n}"), ..far(9) });
        many.into_iter().try_for_each(|draft| probes.save(tx, &By::tocsin(START), &draft).map(drop))
    })
    .await
    .unwrap();
    asking.reads().await;
    let soon = asking.now() + Duration::from_secs(1);
    let at_once = std::iter::from_fn(|| asking.wheel.pop_due(soon)).count();
    assert!(at_once < 50, "{at_once}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_with_its_project_is_spread() {
    let bed = Bed::new().await;
    let (mut asking, id) = still(&bed, Vec::new()).await;
    bed.write(move |probes, tx| {
        probes.remove(tx, &By::tocsin(START), id, Owner::File)?;
        let some = (0..20).map(|n| Draft { key: format!("far-{n}"), ..far(9) });
        some.into_iter().try_for_each(|draft| probes.save(tx, &By::tocsin(START), &draft).map(drop))
    })
    .await
    .unwrap();
    let put_away = async |at: Option<i64>| {
        let set = "UPDATE projects SET archived_at = ?1";
        bed.write(move |_, tx| Ok(tx.execute(set, [at]).map(drop)?)).await.unwrap();
    };
    put_away(Some(1)).await;
    asking.reads().await;
    assert!(asking.subjects.is_empty());
    bed.clock.advance(Duration::from_mins(5));
    put_away(None).await;
    asking.reads().await;
    let now = asking.now();
    let within = |asking: &mut Loop, span| std::iter::from_fn(|| asking.wheel.pop_due(now + span)).count();
    let at_once = within(&mut asking, Duration::from_secs(1));
    assert!(at_once < 10, "{at_once}");
    assert_eq!(at_once + within(&mut asking, Duration::from_mins(1)), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_ends_although_its_end_could_not_be_written_at_first() {
    let bed = Bed::new().await;
    let (mut asking, id) = still(&bed, Vec::new()).await;
    let until = bed.clock.now() + Duration::from_secs(30);
    bed.write(move |probes, tx| probes.pause(tx, &By::tocsin(START), id, Some(until))).await.unwrap();
    asking.reads().await;
    let refuse = "CREATE TRIGGER refuse BEFORE UPDATE ON probes BEGIN SELECT RAISE(ABORT, 'no'); END";
    bed.write(move |_, tx| Ok(tx.execute(refuse, []).map(drop)?)).await.unwrap();
    bed.clock.advance(Duration::from_secs(30));
    asking.begin_due();
    asking.settle_all().await;
    bed.write(|_, tx| Ok(tx.execute("DROP TRIGGER refuse", []).map(drop)?)).await.unwrap();
    asking.begin_due();
    assert_eq!(asking.flying.len(), 0, "not at once");
    bed.clock.advance(Duration::from_secs(2));
    asking.begin_due();
    asking.settle_all().await;
    asking.reads().await;
    assert_eq!(asking.probe(id).paused, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_ends_by_the_wall_clock_whoever_sets_it() {
    let bed = Bed::new().await;
    let (mut asking, id) = still(&bed, Vec::new()).await;
    let until = bed.clock.now() + Duration::from_secs(30);
    bed.write(move |probes, tx| probes.pause(tx, &By::tocsin(START), id, Some(until))).await.unwrap();
    asking.reads().await;
    bed.clock.advance(Duration::from_secs(30));
    bed.clock.set(until - Duration::from_mins(10));
    asking.begin_due();
    asking.settle_all().await;
    asking.reads().await;
    assert!(asking.probe(id).paused.is_some());
    bed.clock.advance(Duration::from_mins(1));
    bed.clock.set(until);
    asking.begin_due();
    asking.settle_all().await;
    asking.reads().await;
    assert_eq!(asking.probe(id).paused, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_reported_in_time_is_no_silence_however_late_the_loop_is() {
    let bed = Bed::new().await;
    let mut wanted = draft("job", serde_json::json!({"kind": "push"}));
    (wanted.definition.policy.bad, wanted.definition.policy.of) = (1, 1);
    let id = bed.save(wanted).await;
    let (mut asking, _) = still(&bed, Vec::new()).await;
    let (sender, reports) = mpsc::channel(8);
    asking.parts.reports = reports;
    asking.parts.settings.concurrency = 8;
    sender.try_send(Stored { id, at: bed.clock.now(), report: Report::default() }).unwrap();
    bed.clock.advance(Duration::from_secs(33));
    asking.turn();
    asking.work_off();
    assert_ne!(asking.subjects[&id].status, Status::Unhealthy);
    bed.clock.advance(Duration::from_secs(33));
    asking.turn();
    asking.work_off();
    assert_eq!(asking.subjects[&id].status, Status::Unhealthy);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_cannot_be_read_keeps_no_other_from_being_asked() {
    let bed = Bed::new().await;
    let later = bed.save(Draft { key: "later".to_owned(), ..far(9) }).await;
    let newer =
        "UPDATE probes SET definition = '{\"target\": {\"kind\": \"telepathy\"}}' WHERE key = 'later'";
    bed.write(move |_, tx| Ok(tx.execute(newer, []).map(drop)?)).await.unwrap();
    let (mut asking, id) = still(&bed, Vec::new()).await;
    assert_eq!(asking.subjects.keys().collect::<Vec<_>>(), [&id], "and not {later:?}");
    // It shows as what it is, and that is told once.
    let told = bed.state(later).await;
    assert_eq!(told.status, Status::Unknown);
    assert!(
        told.reason.contains("cannot read it") && told.reason.contains("Upgrade again"),
        "{}",
        told.reason
    );
    bed.write(|_, tx| Ok(tx.execute("UPDATE probe_states SET reason = ''", []).map(drop)?)).await.unwrap();
    asking.reads().await;
    assert_eq!(bed.state(later).await.reason, "", "not again");
    let known = "UPDATE probes SET version = version + 1,
                     definition = (SELECT definition FROM probes WHERE key = 'far') WHERE key = 'later'";
    bed.write(move |_, tx| Ok(tx.execute(known, []).map(drop)?)).await.unwrap();
    asking.reads().await;
    assert!(asking.subjects.contains_key(&later), "it was upgraded again");
}

const OPEN: &str = "SELECT count(*) FROM incidents WHERE state <> 'resolved'";

async fn pause_and_resume(bed: &Bed, id: ProbeId) {
    bed.write(move |probes, tx| probes.pause(tx, &By::tocsin(START), id, None)).await.unwrap();
    bed.write(move |probes, tx| probes.resume(tx, &By::tocsin(START), id)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_was_over_before_the_loop_saw_it_loses_no_alarm() {
    let bed = Bed::new().await;
    let (mut asking, id) = still(&bed, Vec::new()).await;
    assert_eq!(asking.sees_nothing(id).await, Status::Unhealthy);
    asking.spells(&bed).await;
    assert_eq!(bed.number(OPEN).await, 1);
    bed.clock.advance(Duration::from_secs(1));
    pause_and_resume(&bed, id).await;
    assert_eq!(bed.number(OPEN).await, 0);
    asking.reads().await;
    assert_eq!(asking.subjects[&id].status, Status::Unknown);
    assert_eq!(asking.sees_nothing(id).await, Status::Unhealthy);
    asking.spells(&bed).await;
    assert_eq!(bed.number(OPEN).await, 1, "it is down, and rings");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_before_a_pause_is_not_written_after_it() {
    let bed = Bed::new().await;
    let (mut asking, id) = still(&bed, Vec::new()).await;
    assert_eq!(asking.sees_nothing(id).await, Status::Unhealthy);
    pause_and_resume(&bed, id).await;
    asking.spells(&bed).await;
    assert_eq!((bed.state(id).await.status, bed.number(OPEN).await), (Status::Unknown, 0));
    bed.clock.advance(Duration::from_secs(1));
    asking.reads().await;
    assert_eq!(asking.sees_nothing(id).await, Status::Unhealthy);
    asking.spells(&bed).await;
    assert_eq!((bed.state(id).await.status, bed.number(OPEN).await), (Status::Unhealthy, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_came_back_before_the_loop_saw_it_go_is_judged_anew() {
    let bed = Bed::new().await;
    let (mut asking, id) = still(&bed, Vec::new()).await;
    assert_eq!(asking.sees_nothing(id).await, Status::Unhealthy);
    asking.spells(&bed).await;
    bed.clock.advance(Duration::from_secs(1));
    let project = ProjectId(1);
    for reason in ["its project is archived", "its project was restored"] {
        bed.write(move |_, tx| Ok(forget_project(tx, START, project, reason)?)).await.unwrap();
    }
    asking.reads().await;
    assert_eq!(asking.sees_nothing(id).await, Status::Unhealthy);
    asking.spells(&bed).await;
    assert_eq!(bed.state(id).await.status, Status::Unhealthy);
}

fn job() -> Draft {
    draft("job", serde_json::json!({"kind": "push"}))
}

fn says_down(id: ProbeId, at: Timestamp) -> Stored {
    let report = Report { status: Word::Down, message: "no space left".to_owned(), ..Report::default() };
    Stored { id, at, report }
}

async fn store(bed: &Bed, report: &Stored) {
    let report = report.clone();
    bed.write(move |_, tx| Ok(pushed::record(tx, &report)?)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_report_of_trouble_the_next_one_has_its_whole_time() {
    let bed = Bed::new().await;
    let mut wanted = job();
    (wanted.definition.policy.bad, wanted.definition.policy.of) = (2, 3);
    let id = bed.save(wanted).await;
    let (_prober, mut asking) = idle(&bed, Vec::new()).await;
    asking.reported(&says_down(id, bed.clock.now()));
    asking.work_off();
    for _ in 0..6 {
        bed.clock.advance(Duration::from_secs(5));
        asking.turn();
        asking.work_off();
        let known = asking.subjects[&id].live(None, None);
        assert_eq!(
            (known.status, known.reason.as_str()),
            (Status::Unknown, "not well so far: no space left")
        );
    }
    bed.clock.advance(Duration::from_secs(2));
    asking.turn();
    asking.work_off();
    let known = asking.subjects[&id].live(None, None);
    assert_eq!((known.status, known.reason.as_str()), (Status::Unhealthy, "no report for 32s"));
}

/// Down after one report.
fn strict() -> Draft {
    let mut wanted = job();
    (wanted.definition.policy.bad, wanted.definition.policy.of) = (1, 1);
    wanted
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_to_a_probe_that_was_not_taken_up_yet_is_judged_once_it_is() {
    let bed = Bed::new().await;
    let (mut asking, _) = still(&bed, Vec::new()).await;
    let id = bed.save(strict()).await;
    bed.clock.advance(Duration::from_secs(1));
    let report = says_down(id, bed.clock.now());
    store(&bed, &report).await;
    asking.reported(&report);
    asking.reads().await;
    assert_eq!(asking.subjects[&id].status, Status::Unhealthy);
    assert_eq!(asking.subjects[&id].points.len(), 1, "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_comes_while_its_probe_is_read_is_judged() {
    let bed = Bed::new().await;
    let (mut asking, _) = still(&bed, Vec::new()).await;
    let id = bed.save(strict()).await;
    asking.load();
    let read = asking.flying.next().await.unwrap();
    bed.clock.advance(Duration::from_secs(1));
    let report = says_down(id, bed.clock.now());
    store(&bed, &report).await;
    asking.reported(&report);
    asking.take(read);
    asking.turn();
    asking.settle_all().await;
    assert_eq!(asking.subjects[&id].status, Status::Unhealthy);
    assert_eq!(asking.subjects[&id].points.len(), 1, "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_found_no_room_is_judged_all_the_same() {
    let bed = Bed::new().await;
    let id = bed.save(strict()).await;
    let other = bed.save(Draft { key: "other".to_owned(), ..strict() }).await;
    let (prober, mut asking) = idle(&bed, Vec::new()).await;
    bed.clock.advance(Duration::from_secs(1));
    let at = bed.clock.now();
    while prober.reports.try_send(Stored { id: other, at, report: Report::default() }).is_ok() {}
    prober.report(says_down(id, at)).await.unwrap();
    asking.turn();
    asking.settle_all().await;
    assert_eq!(asking.subjects[&id].status, Status::Unhealthy);
    // It is judged no second time when something else is read.
    bed.save(Draft { name: "Another name".to_owned(), ..strict() }).await;
    asking.reads().await;
    assert_eq!(asking.subjects[&id].points.len(), 1, "once");
}
