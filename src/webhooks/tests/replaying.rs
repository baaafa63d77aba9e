//! Replays of many: what they are of, how fast they go, and that they reach everything once and nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::laying::Row;
use super::*;
use crate::accounts::Visible;
use crate::base::Uid;
use crate::webhooks::replays::{
    self, Among, Counted, New, PER_SECOND, Progress, RUNNING_MAX, Replay, ReplayId, State, Stepped, What,
};

impl Bed {
    fn count(&self, what: &What) -> Counted {
        self.read(|tx| replays::count(tx, SHOP, what))
    }

    fn begin(&self, what: &What, per_second: u32) -> Result<(ReplayId, Uid), replays::Error> {
        self.begin_as(By::command_line(T0), what, per_second)
    }

    fn begin_as(&self, by: By, what: &What, per_second: u32) -> Result<(ReplayId, Uid), replays::Error> {
        let new = New { project: SHOP, what: what.clone(), per_second, counted: self.count(what) };
        let entropy = self.webhooks.incidents.entropy.clone();
        self.store.write_now("begin", move |tx| replays::begin(tx, &entropy, &by, &new))
    }

    /// All replays, once.
    fn step_all(&self, now: Timestamp) -> Stepped {
        let mut all = Stepped::default();
        for id in self.read(replays::running) {
            let incidents = Arc::clone(&self.webhooks.incidents);
            let did = self.store.write_now("step", move |tx| replays::step(tx, &incidents, now, id)).unwrap();
            all.released += did.released;
            all.skipped += did.skipped;
            all.has_more |= did.has_more;
        }
        all
    }

    /// Every second, as the task does.
    fn step_until(&self, seconds: std::ops::RangeInclusive<u64>) -> Vec<u32> {
        seconds.map(|second| self.step_all(T0 + Duration::from_secs(second)).released).collect()
    }

    fn replay(&self, uid: Uid) -> Replay {
        self.read(|tx| replays::find(tx, &Visible::All, uid)).unwrap()
    }
}

#[test]
fn a_dry_run_says_what_a_replay_would_do_and_does_nothing() {
    let bed = Bed::with_destinations(&["app", "crm"]);
    let (app, crm) = (bed.dead("app"), bed.dead("crm"));
    bed.lay(&[
        app.clone(),
        Row { received_at: T0 + Duration::from_mins(5), has_payload: false, ..app.clone() },
        Row { received_at: T0 - Duration::from_mins(5), ..crm.clone() },
        Row { is_settled: true, ..crm.clone() },
        Row { status: DeliveryStatus::Completed, ..app.clone() },
    ]);
    let counted = bed.count(&What::default());
    assert_eq!((counted.matching, counted.gone, counted.is_more), (3, 1, false));
    assert_eq!(counted.first, Some(T0 - Duration::from_mins(5)));
    assert_eq!(counted.last, Some(T0 + Duration::from_mins(5)));
    let there: Vec<_> = counted.by_destination.values().map(|there| (there.matching, there.gone)).collect();
    assert_eq!(there, [(2, 1), (1, 0)]);
    assert_eq!(bed.number("SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'"), 0);
}

#[test]
fn what_died_of_a_bug_goes_out_again_at_the_pace_that_was_asked_for() {
    let bed = Bed::with_destinations(&["app"]);
    bed.lay(&vec![bed.dead("app"); 23]);
    let (id, uid) = bed.begin(&What::default(), PER_SECOND).unwrap();
    assert_eq!(bed.replay(uid).state, State::Running);
    // In its first second and in the last, too, no more than its pace.
    assert_eq!(bed.step_until(0..=6), [0, 5, 5, 5, 5, 3, 0]);
    let replay = bed.replay(uid);
    assert_eq!((replay.state, replay.total, replay.released, replay.skipped), (State::Done, 23, 23, 0));
    assert_eq!(replay.ended_at, Some(T0 + Duration::from_secs(5)));
    let due = "SELECT count(*) FROM webhook_deliveries
               WHERE status = 'pending' AND due_at = began_at AND began_after = 1 AND replay_id = 1";
    assert_eq!(bed.number(due), 23);
    let deal = "UPDATE webhook_deliveries SET due_at = NULL, status = iif(id <= 20, 'completed', 'dead_letter') WHERE id > 1";
    bed.store.write_now("deal", |tx| tx.execute(deal, [])).unwrap();
    let progress = bed.read(|tx| Progress::of(tx, id));
    assert_eq!(progress, Progress { completed: 19, waiting: 1, dead: 3 });
}

#[test]
fn what_cannot_be_sent_is_left_out_and_costs_no_time() {
    let bed = Bed::with_destinations(&["app", "crm"]);
    let gone = Row { has_payload: false, ..bed.dead("app") };
    let homeless = Row { destination: DestinationId(999), ..bed.dead("app") };
    let mut rows = vec![gone; 10];
    rows.extend(vec![homeless; 10]);
    rows.push(bed.dead("app"));
    bed.lay(&rows);
    let (_, uid) = bed.begin(&What::default(), 1).unwrap();
    assert_eq!(
        bed.step_all(T0 + Duration::from_secs(1)),
        Stepped { released: 1, skipped: 20, has_more: false }
    );
    let replay = bed.replay(uid);
    assert_eq!((replay.state, replay.released, replay.skipped), (State::Done, 1, 20));
}

#[test]
fn what_dies_after_it_began_is_not_of_it() {
    let bed = Bed::with_destinations(&["app"]);
    bed.lay(&[bed.dead("app")]);
    let (_, uid) = bed.begin(&What::default(), 5).unwrap();
    bed.lay(&[bed.dead("app")]);
    assert_eq!(bed.step_until(1..=3), [1, 0, 0]);
    assert_eq!(bed.replay(uid).released, 1);
}

#[test]
fn somebody_stops_it_and_what_was_begun_stays_so() {
    let bed = Bed::with_destinations(&["app"]);
    bed.lay(&vec![bed.dead("app"); 10]);
    let (_, uid) = bed.begin(&What::default(), 3).unwrap();
    bed.step_until(1..=2);
    let cancel = |by: By| bed.store.write_now("cancel", move |tx| replays::cancel(tx, &by, uid));
    assert!(matches!(cancel(member_of(BLOG)), Err(replays::Error::NotFound)));
    cancel(member_of(SHOP)).unwrap();
    assert!(matches!(cancel(By::command_line(T0)), Err(replays::Error::Ended)));
    assert_eq!(bed.step_until(3..=5), [0, 0, 0]);
    assert_eq!((bed.replay(uid).state, bed.replay(uid).released), (State::Cancelled, 6));
    let lines = "SELECT group_concat(action || ' ' || detail, '; ') FROM (
                     SELECT action, detail FROM audit_log WHERE action LIKE 'webhook_replay%' ORDER BY id)";
    let lines: String = bed.read(|tx| tx.one(lines, [], |row| row.get(0)));
    assert_eq!(
        lines,
        r#"webhook_replay.begin {"deliveries":10,"per_second":3,"what":{"status":"dead_letter"}}; "#
            .to_owned()
            + r#"webhook_replay.cancel {"deliveries":10,"released":6}"#
    );
}

#[test]
fn a_replay_that_would_do_nothing_or_too_much_is_refused() {
    let bed = Bed::with_destinations(&["app"]);
    assert!(matches!(bed.begin(&What::default(), 5), Err(replays::Error::Nothing)));
    bed.lay(&[bed.dead("app")]);
    for pace in [0, 101] {
        assert!(matches!(bed.begin(&What::default(), pace), Err(replays::Error::Pace)), "{pace}");
    }
    let many = What { ids: Some((0..10_001).map(DeliveryId).collect()), ..What::default() };
    assert!(matches!(bed.begin(&many, 5), Err(replays::Error::TooManyIds)));
    for _ in 0..RUNNING_MAX {
        bed.begin(&What::default(), 5).unwrap();
    }
    assert!(matches!(bed.begin(&What::default(), 5), Err(replays::Error::TooMany)));
    // The first of them does it all, the others end with nothing to do.
    assert_eq!(bed.step_until(1..=2), [1, 0]);
    bed.lay(&[bed.dead("app")]);
    bed.begin(&What::default(), 5).unwrap();
}

#[test]
fn events_of_one_order_key_go_one_after_the_other_also_when_replayed() {
    let bed = Bed::with_destinations(&["app"]);
    bed.lay(&vec![Row { order_key: Some("cus_1"), ..bed.dead("app") }; 3]);
    bed.begin(&What::default(), 5).unwrap();
    bed.step_until(1..=1);
    let due = "SELECT group_concat(due_at IS NOT NULL) FROM webhook_deliveries WHERE status = 'pending'";
    let due: String = bed.read(|tx| tx.one(due, [], |row| row.get(0)));
    assert_eq!(due, "1,0,0");
}

#[test]
fn the_alarm_of_dead_letters_ends_with_the_last_that_is_begun_anew() {
    let bed = Bed::with_destinations(&["app"]);
    let (_, there) = (bed.lay(&vec![bed.dead("app"); 2]), bed.destination("app"));
    let (incidents, source) = (Arc::clone(&bed.webhooks.incidents), bed.source("stripe"));
    let subject = alarms::Subject::of(&source, &there);
    let died =
        move |tx: &WriteTx<'_>| alarms::died(tx, &incidents, T0, (&subject, 2, "the app answered 500"));
    bed.store.write_now("died", died).unwrap();
    let open = "SELECT count(*) FROM incidents WHERE state <> 'resolved'";
    assert_eq!(bed.number(open), 1);
    bed.begin(&What::default(), 1).unwrap();
    bed.step_until(1..=1);
    assert_eq!(bed.number(open), 1);
    bed.step_until(2..=2);
    assert_eq!(bed.number(open), 0);
}

#[derive(Clone, Debug)]
struct Case {
    /// destination, type, status, minute, settled, payload
    rows: Vec<(usize, usize, usize, u64, bool, bool)>,
    destination: Option<usize>,
    types: Vec<usize>,
    status: Among,
    minutes: Option<(u64, u64)>,
    named: Option<Vec<usize>>,
    per_second: u32,
    waits: Vec<u64>,
    cancelled_at: Option<usize>,
}

const TYPES: [&str; 3] = ["invoice.paid", "invoice.voided", "ping"];

fn case() -> impl Strategy<Value = Case> {
    let row =
        (0..3usize, 0..TYPES.len(), 0..DeliveryStatus::ALL.len(), 0..60u64, any::<bool>(), any::<bool>());
    let status =
        prop_oneof![3 => Just(Among::DeadLetter), 1 => Just(Among::Failed), 1 => Just(Among::Completed)];
    (
        (prop::collection::vec(row, 0..30), prop::option::of(0..3usize)),
        (prop::collection::vec(0..TYPES.len(), 0..2), status, prop::option::of((0..60u64, 0..60u64))),
        prop::option::weighted(0.2, prop::collection::vec(0..40usize, 0..10)),
        (1u32..10, prop::collection::vec(1u64..2_500, 1..30), prop::option::weighted(0.3, 0..30usize)),
    )
        .prop_map(
            |((rows, destination), (types, status, minutes), named, (per_second, waits, cancelled_at))| {
                Case { rows, destination, types, status, minutes, named, per_second, waits, cancelled_at }
            },
        )
}

impl Case {
    fn laid(&self, bed: &Bed) -> Vec<Row> {
        // The third is in another project.
        let (app, crm) = (bed.dead("app"), bed.dead("crm"));
        let other = Row { project: BLOG, ..app.clone() };
        let of = |(there, kind, status, minute, is_settled, has_payload): (
            usize,
            usize,
            usize,
            u64,
            bool,
            bool,
        )| {
            let status = DeliveryStatus::ALL[status];
            Row {
                event_type: TYPES[kind],
                status,
                received_at: T0 + Duration::from_mins(minute),
                is_settled: is_settled && status == DeliveryStatus::DeadLetter,
                has_payload,
                ..[&app, &crm, &other][there].clone()
            }
        };
        self.rows.iter().copied().map(of).collect()
    }

    fn what(&self, bed: &Bed, ids: &[DeliveryId]) -> What {
        let keys = ["app", "crm", "app"];
        let at = |minute| T0 + Duration::from_mins(minute);
        What {
            destination: self.destination.map(|there| bed.destination(keys[there]).id),
            types: self.types.iter().map(|kind| TYPES[*kind].to_owned().try_into().unwrap()).collect(),
            status: self.status,
            since: self.minutes.map(|(since, _)| at(since)),
            until: self.minutes.map(|(_, until)| at(until)),
            ids: self
                .named
                .as_ref()
                .map(|named| named.iter().filter_map(|at| ids.get(*at)).copied().collect()),
            ..What::default()
        }
    }

    /// Said once more, in other words.
    fn fits(&self, bed: &Bed, what: &What, (id, row): (DeliveryId, &Row)) -> bool {
        let types: Vec<&str> = self.types.iter().map(|kind| TYPES[*kind]).collect();
        row.project == SHOP
            && row.status == self.status.status()
            && !row.is_settled
            && self
                .destination
                .is_none_or(|at| row.destination == bed.destination(["app", "crm", "app"][at]).id)
            && (types.is_empty() || types.contains(&row.event_type))
            && what.since.is_none_or(|since| since <= row.received_at)
            && what.until.is_none_or(|until| row.received_at < until)
            && what.ids.as_ref().is_none_or(|ids| ids.contains(&id))
    }
}

fn agree(case: &Case) {
    let bed = Bed::with_destinations(&["app", "crm"]);
    let rows = case.laid(&bed);
    let ids = bed.lay(&rows);
    let what = case.what(&bed, &ids);
    let fitting: Vec<_> =
        ids.iter().copied().zip(&rows).filter(|(id, row)| case.fits(&bed, &what, (*id, row))).collect();
    let expected: BTreeSet<DeliveryId> =
        fitting.iter().filter(|(_, row)| row.has_payload).map(|(id, _)| *id).collect();
    let counted = bed.count(&what);
    assert_eq!(
        (counted.matching as usize, counted.gone as usize),
        (fitting.len(), fitting.len() - expected.len())
    );
    let Ok((_, uid)) = bed.begin(&what, case.per_second) else {
        assert!(fitting.is_empty());
        return;
    };
    let mut now = T0;
    let mut released = 0;
    for (at, wait) in case.waits.iter().chain(std::iter::repeat_n(&1_000, 40)).enumerate() {
        if case.cancelled_at == Some(at) && bed.replay(uid).state == State::Running {
            bed.store.write_now("cancel", move |tx| replays::cancel(tx, &By::tocsin(T0), uid)).unwrap();
        }
        now = now + Duration::from_millis(*wait);
        released += bed.step_all(now).released;
    }
    let read = |tx: &ReadTx<'_>| {
        tx.all("SELECT id FROM webhook_deliveries WHERE replay_id IS NOT NULL", [], |row| row.get(0))
    };
    let begun: BTreeSet<DeliveryId> = bed.read(read).into_iter().map(DeliveryId).collect();
    assert_eq!(released as usize, begun.len(), "each once");
    let replay = bed.replay(uid);
    assert_eq!(replay.released as usize, begun.len());
    match replay.state {
        State::Done => assert_eq!(begun, expected),
        State::Cancelled => assert!(begun.is_subset(&expected)),
        State::Running => panic!("it never ends: {replay:?}"),
    }
}

#[test]
fn everything_that_fits_is_begun_once_and_nothing_else() {
    let mut runner = TestRunner::new(Config { cases: 48, ..Config::default() });
    runner
        .run(&case(), |case| {
            agree(&case);
            Ok(())
        })
        .unwrap();
}

#[test]
fn what_is_looked_for_is_found_by_an_index() {
    use crate::store::plans::plans_of;
    let bed = Bed::with_destinations(&["app"]);
    let there = Some(bed.destination("app").id);
    for (what, index) in [
        (What::default(), "SEARCH d USING INDEX webhook_deliveries_dead "),
        (
            What { destination: there, ..What::default() },
            "SEARCH d USING INDEX webhook_deliveries_dead_there ",
        ),
        (
            What { destination: there, status: Among::Completed, ..What::default() },
            "SEARCH d USING INDEX webhook_deliveries_by_destination ",
        ),
        (What { status: Among::Completed, ..What::default() }, "SEARCH d USING INTEGER PRIMARY KEY"),
    ] {
        let plans = bed.read(|tx| Ok(plans_of(tx, || drop(replays::count(tx, SHOP, &what).unwrap()))));
        assert!(plans.iter().any(|plan| plan.has(index)), "{index}: {plans:?}");
        assert!(plans.iter().all(|plan| !plan.sorts()), "{plans:?}");
    }
}
