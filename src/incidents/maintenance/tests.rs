use std::time::Duration;

use super::*;
use crate::base::owned::Change;
use crate::base::{ProjectId, Severity};
use crate::incidents::tests::{Bed, add_channel};
use crate::incidents::{Incidents, Signal, SignalKind, Source, queries};
use crate::store::WriteTx;
use crate::store::plans::plans_of;

const T0: Timestamp = Timestamp::from_secs(1_800_000_000);
const BY: &str = "ann@example.org";
const SHOP: ProjectId = ProjectId(1);

fn minutes(n: u64) -> Timestamp {
    T0 + Duration::from_mins(n)
}

/// From minute 10 to minute 40.
fn once() -> Draft {
    Draft {
        key: "move".to_owned(),
        project: Some(SHOP),
        subjects: vec!["probe:1".to_owned()],
        title: "Moving the database".to_owned(),
        message: String::new(),
        is_public: true,
        starts_at: minutes(10),
        ends_at: None,
        duration_s: 1800,
        schedule: None,
        time_zone: "UTC".to_owned(),
        owner: Owner::Page,
    }
}

fn fires(tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp, key: &str) {
    let signal = Signal {
        project: Some(SHOP),
        service: None,
        key: key.to_owned(),
        source: Source::Probe,
        severity: Severity::High,
        summary: format!("{key} is down"),
        detail: serde_json::json!({}),
        first_bad_at: now,
        observed_at: now,
        kind: SignalKind::Firing,
    };
    incidents.raise(tx, now, &signal).unwrap();
}

fn count(tx: &WriteTx<'_>, sql: &str) -> i64 {
    tx.one(sql, [], |row| row.get(0)).unwrap()
}

fn told(tx: &WriteTx<'_>) -> i64 {
    count(tx, "SELECT count(*) FROM deliveries")
}

fn keep(tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp) -> Kept {
    let due = is_due(tx, now).unwrap();
    let kept = incidents.keep_maintenance(tx, now, 10).unwrap();
    assert_eq!(due, kept != Kept::default(), "the cheap question answers as the run does: {kept:?}");
    kept
}

fn save(tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp, draft: &Draft) -> (Uid, Change) {
    incidents.save_maintenance(tx, now, draft, BY).unwrap()
}

fn silences(tx: &WriteTx<'_>) -> i64 {
    count(tx, "SELECT count(*) FROM silences WHERE ended_at IS NULL")
}

#[test]
fn a_person_who_plans_the_past_mistook_the_date_and_a_file_goes_on_saying_it() {
    Bed::shared().try_out(|tx, incidents| {
        let past = Draft { schedule: None, ..once() };
        let refused = incidents.save_maintenance(tx, minutes(40), &past, BY).unwrap_err();
        assert_eq!(refused.to_string(), "starts_at: all of it lies in the past: look at the date");
        assert_eq!(count(tx, "SELECT count(*) FROM maintenances"), 0);
        save(tx, incidents, minutes(40), &Draft { owner: Owner::File, ..past.clone() });
        save(tx, incidents, minutes(39), &Draft { key: "now".to_owned(), ..past });
    });
}

#[test]
fn what_fires_meanwhile_is_silent_and_what_still_fires_at_the_end_is_told() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let (uid, change) = save(tx, incidents, T0, &once());
        assert_eq!(change, Change::Created);
        assert_eq!(keep(tx, incidents, minutes(9)), Kept::default());
        assert!(!covers(tx, minutes(9)).unwrap().covers(SHOP, "probe:1"));
        assert_eq!(keep(tx, incidents, minutes(10)).begun, 1);
        assert_eq!(keep(tx, incidents, minutes(11)), Kept::default(), "once");
        fires(tx, incidents, minutes(12), "probe:1");
        assert_eq!(told(tx), 0);
        let covered = covers(tx, minutes(12)).unwrap();
        assert!(covered.covers(SHOP, "probe:1"));
        assert!(!covered.covers(SHOP, "probe:2") && !covered.covers(ProjectId(2), "probe:1"));
        assert_eq!(covered.of(SHOP, "probe:1").unwrap().until, minutes(40));
        fires(tx, incidents, minutes(20), "rate:1");
        assert_eq!(told(tx), 1, "others ring");
        incidents.expire(tx, minutes(40), 100).unwrap();
        assert!(told(tx) > 1, "it still fires");
        assert!(!covers(tx, minutes(40)).unwrap().covers(SHOP, "probe:1"));
        assert_eq!(keep(tx, incidents, minutes(40)).over, 1);
        assert_eq!(find(tx, minutes(41), uid).unwrap().unwrap().ended_at, Some(minutes(40)));
    });
}

#[test]
fn a_heartbeat_is_covered_with_all_that_it_tells() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let subjects = vec!["heartbeat:7".to_owned()];
        save(tx, incidents, T0, &Draft { subjects, ..once() });
        keep(tx, incidents, minutes(10));
        fires(tx, incidents, minutes(11), "heartbeat:7:odd");
        assert_eq!(told(tx), 0, "a run that took too long is of the same heartbeat");
        let covered = covers(tx, minutes(11)).unwrap();
        assert!(covered.covers(SHOP, "heartbeat:7:odd") && !covered.covers(SHOP, "heartbeat:77"));
        fires(tx, incidents, minutes(20), "heartbeat:77");
        assert_eq!(told(tx), 1, "another heartbeat");
    });
}

#[test]
fn after_a_restart_in_the_middle_it_goes_on_and_one_that_was_missed_does_not_begin() {
    Bed::shared().try_out(|tx, incidents| {
        save(tx, incidents, T0, &once());
        save(tx, incidents, T0, &Draft { key: "late".to_owned(), starts_at: minutes(30), ..once() });
        // Down from minute 5 to 35: the first begins late, for what is left of it.
        assert_eq!(keep(tx, incidents, minutes(35)).begun, 2);
        let ends: Vec<_> = covers(tx, minutes(35)).unwrap().all().iter().map(|active| active.until).collect();
        assert!(ends.contains(&minutes(40)), "{ends:?}");
        // Whoever starts in the middle finds all of it in the store, and begins nothing twice.
        assert_eq!(keep(tx, incidents, minutes(36)), Kept::default());
        assert_eq!(silences(tx), 2);
        save(tx, incidents, minutes(36), &Draft { key: "gone".to_owned(), starts_at: minutes(50), ..once() });
        assert_eq!(keep(tx, incidents, minutes(100)), Kept { begun: 0, over: 2, more: false });
        assert_eq!(keep(tx, incidents, minutes(101)), Kept::default());
    });
}

#[test]
fn a_schedule_begins_once_each_time() {
    Bed::shared().try_out(|tx, incidents| {
        let hourly =
            Draft { starts_at: T0, schedule: Some("0 * * * *".to_owned()), duration_s: 600, ..once() };
        save(tx, incidents, T0, &hourly);
        let mut begun = 0;
        for minute in 0..240 {
            begun += keep(tx, incidents, minutes(minute)).begun;
            incidents.expire(tx, minutes(minute), 100).unwrap();
        }
        // T0 is a full hour: that one began as it was saved.
        assert_eq!(begun, 3);
        assert_eq!(count(tx, "SELECT count(*) FROM maintenance_occurrences"), 4);
        assert_eq!(silences(tx), 0);
    });
}

#[test]
fn it_can_be_extended_and_called_off() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let (uid, _) = save(tx, incidents, T0, &once());
        keep(tx, incidents, minutes(10));
        fires(tx, incidents, minutes(12), "probe:1");
        let longer = Draft { duration_s: 3600, ..once() };
        assert_eq!(save(tx, incidents, minutes(20), &longer), (uid, Change::Updated));
        assert_eq!(save(tx, incidents, minutes(20), &longer), (uid, Change::Unchanged));
        incidents.expire(tx, minutes(45), 100).unwrap();
        assert_eq!((told(tx), silences(tx)), (0, 1));
        incidents.call_off_maintenance(tx, minutes(50), uid, Called::ForGood).unwrap();
        assert_eq!((told(tx), silences(tx)), (1, 0), "it still fires");
        assert_eq!(keep(tx, incidents, minutes(51)), Kept::default());
        let again = incidents.call_off_maintenance(tx, minutes(51), uid, Called::ForGood);
        assert!(matches!(again, Err(Error::Invalid(_))));
    });
}

#[test]
fn one_time_of_a_schedule_can_be_called_off_and_the_next_begins() {
    Bed::shared().try_out(|tx, incidents| {
        let hourly =
            Draft { starts_at: T0, schedule: Some("0 * * * *".to_owned()), duration_s: 1800, ..once() };
        let (uid, _) = save(tx, incidents, T0, &hourly);
        incidents.call_off_maintenance(tx, minutes(5), uid, Called::ThisTime).unwrap();
        assert_eq!(silences(tx), 0);
        save(tx, incidents, minutes(6), &Draft { title: "Other words".to_owned(), ..hourly });
        assert_eq!(silences(tx), 0, "it stays off");
        assert_eq!(keep(tx, incidents, minutes(60)).begun, 1);
    });
}

#[test]
fn other_subjects_are_followed_at_once_and_what_it_lets_go_of_is_told() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        save(tx, incidents, minutes(10), &once());
        fires(tx, incidents, minutes(12), "probe:1");
        let whole = Draft { subjects: Vec::new(), ..once() };
        save(tx, incidents, minutes(13), &whole);
        assert_eq!(told(tx), 0, "covered all the time");
        save(tx, incidents, minutes(14), &Draft { subjects: vec!["probe:2*".to_owned()], ..once() });
        assert_eq!(told(tx), 1);
        let covered = covers(tx, minutes(15)).unwrap();
        assert!(covered.covers(SHOP, "probe:23") && !covered.covers(SHOP, "probe:1"));
    });
}

#[test]
fn what_a_file_says_is_read_only_but_can_be_called_off() {
    Bed::shared().try_out(|tx, incidents| {
        let file = Draft { owner: Owner::File, ..once() };
        let (uid, _) = save(tx, incidents, minutes(10), &file);
        let page =
            incidents.save_maintenance(tx, minutes(11), &Draft { title: "x".to_owned(), ..once() }, BY);
        assert!(matches!(page, Err(Error::OwnedByFile)));
        let removed = incidents.remove_maintenance(tx, minutes(11), uid, Owner::Page);
        assert!(matches!(removed, Err(Error::OwnedByFile)));
        let for_good = incidents.call_off_maintenance(tx, minutes(11), uid, Called::ForGood);
        assert!(matches!(for_good, Err(Error::OwnedByFile)));
        incidents.call_off_maintenance(tx, minutes(11), uid, Called::ThisTime).unwrap();
        assert_eq!(save(tx, incidents, minutes(12), &file).1, Change::Unchanged);
        assert_eq!(silences(tx), 0);
        incidents.remove_maintenance(tx, minutes(12), uid, Owner::File).unwrap();
        assert_eq!(list(tx, minutes(12)).unwrap(), []);
    });
}

#[test]
fn mistakes_are_refused_with_their_field() {
    let cases: [(Draft, &str); 11] = [
        (Draft { key: "A b".to_owned(), ..once() }, "key: “A b”"),
        (Draft { title: " ".to_owned(), ..once() }, "title is empty"),
        (Draft { message: "x".repeat(2_001), ..once() }, "message"),
        (Draft { duration_s: 59, ..once() }, "duration"),
        (Draft { duration_s: 32 * 86_400, ..once() }, "31 days"),
        (Draft { time_zone: "Berlin".to_owned(), ..once() }, "time_zone: there is no time zone “Berlin”"),
        (Draft { schedule: Some("0 25 * * *".to_owned()), ..once() }, "schedule: the hour “25”"),
        (Draft { schedule: Some("0 * * * *".to_owned()), duration_s: 3601, ..once() }, "begin again"),
        (Draft { ends_at: Some(minutes(90)), ..once() }, "ends_at"),
        (Draft { subjects: vec!["*x*".to_owned()], ..once() }, "key"),
        (Draft { subjects: (0..51).map(|n| format!("probe:{n}")).collect(), ..once() }, "at most 50"),
    ];
    for (draft, says) in cases {
        let error = draft.check().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn what_is_planned_is_bounded_and_what_is_over_goes() {
    Bed::shared().try_out(|tx, incidents| {
        for n in 0..LIVE_MAX {
            save(tx, incidents, T0, &Draft { key: format!("n{n}"), ..once() });
        }
        let more = incidents.save_maintenance(tx, T0, &once(), BY);
        assert!(matches!(more, Err(Error::Invalid(text)) if text.contains("50 maintenances")));
        incidents.keep_maintenance(tx, minutes(10), 100).unwrap();
        incidents.keep_maintenance(tx, minutes(50), 100).unwrap();
        assert_eq!(purge(tx, minutes(51), 1_000).unwrap(), 100);
        assert_eq!(list(tx, minutes(51)).unwrap(), []);
        assert_eq!(queries::find_live(tx, "probe:1").unwrap(), None);
    });
}

#[test]
fn what_is_over_comes_back_only_where_there_is_room() {
    Bed::shared().try_out(|tx, incidents| {
        let (over, _) = incidents.save_maintenance(tx, T0, &once(), BY).unwrap();
        incidents.call_off_maintenance(tx, T0, over, Called::ForGood).unwrap();
        for n in 0..LIVE_MAX {
            save(tx, incidents, T0, &Draft { key: format!("n{n}"), ..once() });
        }
        let again = Draft { title: "Once more".to_owned(), ..once() };
        let refused = incidents.save_maintenance(tx, T0, &again, BY);
        assert!(matches!(refused, Err(Error::Invalid(text)) if text.contains("50 maintenances")));
        let known = Draft { title: "Another title".to_owned(), key: "n0".to_owned(), ..once() };
        save(tx, incidents, T0, &known);
    });
}

#[test]
fn a_schedule_that_is_not_understood_any_more_holds_nobody_up() {
    Bed::shared().try_out(|tx, incidents| {
        save(tx, incidents, T0, &Draft { key: "odd".to_owned(), starts_at: minutes(5), ..once() });
        tx.execute("UPDATE maintenances SET time_zone = 'Mars/Olympus'", []).unwrap();
        save(tx, incidents, T0, &once());
        assert_eq!(keep(tx, incidents, minutes(10)), Kept { begun: 1, over: 1, more: false });
    });
}

#[test]
fn what_is_asked_each_second_is_answered_by_an_index() {
    Bed::shared().try_out(|tx, _| {
        let plans = plans_of(tx, || (is_due(tx, T0).unwrap(), active(tx, T0).unwrap()));
        for index in ["maintenances_due", "maintenances_live", "maintenance_occurrences_by_end"] {
            assert!(plans.iter().any(|plan| plan.uses(index)), "without {index}: {plans:#?}");
        }
    });
}
