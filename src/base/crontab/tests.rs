use std::collections::BTreeSet;

use chrono::{Datelike as _, NaiveDateTime, TimeDelta, Timelike as _};
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn next(source: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let crontab = Crontab::parse(source, zone).unwrap();
    crontab.after(at(after)).take(count).map(|t| t.to_rfc3339()[..16].to_owned()).collect()
}

#[test]
fn fields_mean_what_vixie_said() {
    // 2026-11-02 is a Monday; the day of the month or of the week is enough.
    assert_eq!(next("0 9 * * 1", "UTC", "2026-11-01T00:00:00Z", 1), ["2026-11-02T09:00"]);
    assert_eq!(
        next("0 0 13 * FRI", "UTC", "2026-11-01T00:00:00Z", 3),
        ["2026-11-06T00:00", "2026-11-13T00:00", "2026-11-20T00:00"]
    );
    assert_eq!(next("@daily", "UTC", "2026-11-01T00:00:00Z", 1), ["2026-11-02T00:00"]);
}

#[test]
fn an_hour_that_is_missing_is_made_up_for_and_one_that_comes_twice_counts_once() {
    let zone = "America/New_York";
    assert_eq!(
        next("30 2 * * *", zone, "2026-03-07T12:00:00Z", 2),
        ["2026-03-08T07:00", "2026-03-09T06:30"],
        "after the gap"
    );
    assert_eq!(
        next("30 1 * * *", zone, "2026-10-31T12:00:00Z", 2),
        ["2026-11-01T05:30", "2026-11-02T06:30"],
        "once in the overlap"
    );
}

#[test]
fn times_in_lists_and_ranges_come_once_each_when_clocks_change() {
    // 2026-10-25, 03:00 summer time is 02:00 again; 2026-03-29, 02:00 is 03:00.
    assert_eq!(
        next("0 2,14 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 3),
        ["2026-10-25T00:00", "2026-10-25T13:00", "2026-10-26T01:00"],
        "not a second time at 01:00 UTC"
    );
    assert_eq!(
        next("30 1-3 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 4),
        ["2026-10-24T23:30", "2026-10-25T00:30", "2026-10-25T02:30", "2026-10-26T00:30"]
    );
    assert_eq!(
        next("30 2,14 * * *", "Europe/Berlin", "2026-03-28T13:30:00Z", 3),
        ["2026-03-29T01:00", "2026-03-29T12:30", "2026-03-30T00:30"],
        "what falls into the gap comes at its end"
    );
    assert_eq!(
        next("10,50 2-3 * * *", "Europe/Berlin", "2026-03-28T13:30:00Z", 3),
        ["2026-03-29T01:00", "2026-03-29T01:10", "2026-03-29T01:50"]
    );
    assert_eq!(
        next("*/30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 5),
        ["2026-10-25T00:00", "2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30", "2026-10-26T01:00"],
        "a star goes by the clock"
    );
}

#[test]
fn a_day_that_begins_with_a_star_must_be_right_beside_the_other() {
    // November 2026: Mondays are 2, 9, 16, 23 and 30, Sundays 1, 8, 15.
    assert_eq!(
        next("0 3 */2 * 1", "UTC", "2026-11-01T00:00:00Z", 3),
        ["2026-11-09T03:00", "2026-11-23T03:00", "2026-12-07T03:00"]
    );
    assert_eq!(
        next("0 9 1-7 * */7", "UTC", "2026-11-01T00:00:00Z", 2),
        ["2026-11-01T09:00", "2026-12-06T09:00"],
        "the first Sunday of the month"
    );
}

#[test]
fn more_than_five_plain_fields_is_understood() {
    assert_eq!(next("0 0 L * *", "UTC", "2026-02-01T00:00:00Z", 1), ["2026-02-28T00:00"]);
    assert_eq!(next("0 0 * * sun#2", "UTC", "2026-11-01T00:00:00Z", 1), ["2026-11-08T00:00"]);
    for word in ["@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@annually"] {
        assert!(Crontab::parse(word, "UTC").is_ok(), "{word}");
    }
    assert_eq!(
        next("*/30 * * * *", "America/New_York", "2026-03-08T06:20:00Z", 3),
        ["2026-03-08T06:30", "2026-03-08T07:00", "2026-03-08T07:30"],
        "steps go on after the gap"
    );
}

#[test]
fn what_is_wrong_is_named() {
    for (source, zone, says) in [
        ("", "UTC", "five fields"),
        ("* * * *", "UTC", "has 4"),
        ("0 0 * * * *", "UTC", "has 6"),
        ("61 * * * *", "UTC", "minute “61”"),
        ("0 25 * * *", "UTC", "hour “25”"),
        ("0 0 0 * *", "UTC", "day of the month"),
        ("0 0 * BAD *", "UTC", "month “BAD”"),
        ("0 0 * * 8", "UTC", "day of the week “8”"),
        ("0 0 30 2 *", "UTC", "never"),
        ("@never", "UTC", "@never"),
        ("0 5-1 * * *", "UTC", "hour “5-1” is not understood: a range goes upwards, as in 1-5"),
        ("*/0 * * * *", "UTC", "minute “*/0” is not understood: a step is 1 or more"),
        ("1,2,,3 * * * *", "UTC", "minute “1,2,,3” is not understood: nothing stands in place 3"),
        ("0 0 1, * *", "UTC", "day of the month “1,” is not understood: nothing stands in place 2"),
        ("* * * * *", "Mars/Olympus", "Mars/Olympus"),
    ] {
        let error = Crontab::parse(source, zone).unwrap_err().to_string();
        assert!(error.contains(says), "{source}: {error}");
    }
}

proptest::proptest! {
    #[test]
    fn nothing_that_is_typed_panics(source in ".{0,60}", zone in "UTC|Europe/Berlin|.{0,10}") {
        if let Ok(crontab) = Crontab::parse(&source, &zone) {
            let times: Vec<_> = crontab.after(Timestamp::from_secs(1_800_000_000)).take(3).collect();
            proptest::prop_assert!(times.is_sorted());
        }
    }
}

/// A field as it is written, what it matches, and whether it begins with a star.
#[derive(Clone, Debug)]
struct Field {
    text: String,
    set: BTreeSet<u32>,
    is_star: bool,
}

fn field(low: u32, high: u32) -> impl Strategy<Value = Field> {
    let star = (1..=high).prop_map(move |step| Field {
        text: if step == 1 { "*".to_owned() } else { format!("*/{step}") },
        set: (low..=high).step_by(step as usize).collect(),
        is_star: true,
    });
    let list = prop::collection::btree_set(low..=high, 1..4).prop_map(|set| Field {
        text: set.iter().map(u32::to_string).collect::<Vec<_>>().join(","),
        set,
        is_star: false,
    });
    let range = (low..=high, low..=high, 1_u32..4).prop_map(|(a, b, step)| Field {
        text: format!("{}-{}/{step}", a.min(b), a.max(b)),
        set: (a.min(b)..=a.max(b)).step_by(step as usize).collect(),
        is_star: false,
    });
    prop_oneof![star, list, range]
}

/// Nights in which clocks change, in UTC, around which it is looked: at three, at midnight, and by half an hour.
const NIGHTS: [(&str, &str); 10] = [
    ("Europe/Berlin", "2026-03-28T00:00:00Z"),
    ("Europe/Berlin", "2026-10-24T00:00:00Z"),
    ("America/New_York", "2027-03-13T00:00:00Z"),
    ("America/New_York", "2026-10-31T00:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T00:00:00Z"),
    ("Australia/Lord_Howe", "2027-04-03T00:00:00Z"),
    ("America/Havana", "2027-03-13T12:00:00Z"),
    ("America/Havana", "2026-10-31T12:00:00Z"),
    ("Africa/Cairo", "2027-04-29T00:00:00Z"),
    ("Africa/Cairo", "2026-10-29T00:00:00Z"),
];
const MINUTES_LOOKED: u64 = 54 * 60;

/// What cronie runs of a line, minute by minute: its main loop with a virtual time that follows the clock. Minute, hour,
/// day of the month and of the week are given.
fn cronie(fields: &[Field; 4], zone: Tz, from: Timestamp) -> Vec<Timestamp> {
    let [minute, hour, dom, dow] = fields;
    let is_wild = minute.is_star || hour.is_star;
    let matches = |time: NaiveDateTime| {
        let by_dom = dom.set.contains(&time.day());
        let by_dow = dow.set.contains(&time.weekday().num_days_from_sunday());
        let day = if dom.is_star || dow.is_star { by_dom && by_dow } else { by_dom || by_dow };
        day && minute.set.contains(&time.minute()) && hour.set.contains(&time.hour())
    };
    let shown = |at: Timestamp| at.to_chrono().with_timezone(&zone).naive_local();
    let mut runs = Vec::new();
    let mut virtual_time = shown(from);
    for passed in 1..=MINUTES_LOOKED {
        let at = from + Duration::from_mins(passed);
        if is_wild && matches(shown(at)) {
            runs.push(at);
        }
        while virtual_time < shown(at) {
            virtual_time += TimeDelta::minutes(1);
            if !is_wild && matches(virtual_time) {
                runs.push(at);
            }
        }
    }
    runs.dedup();
    runs
}

proptest::proptest! {
    #[test]
    fn it_expects_what_cronie_runs(
        minute in field(0, 59), hour in field(0, 23), dom in field(1, 31), dow in field(0, 6), night in 0..NIGHTS.len(),
    ) {
        let source = format!("{} {} {} * {}", minute.text, hour.text, dom.text, dow.text);
        let (zone, from) = (NIGHTS[night].0, at(NIGHTS[night].1));
        let crontab = Crontab::parse(&source, zone).unwrap();
        let until = from + Duration::from_mins(MINUTES_LOOKED);
        let expected: Vec<_> = crontab.after(from).take_while(|at| *at <= until).collect();
        let runs = cronie(&[minute, hour, dom, dow], crontab.zone(), from);
        prop_assert_eq!(expected, runs, "{} {}", source, zone);
    }
}
