//! What it means that nothing came, without a store.

use proptest::prelude::*;

use super::*;
use crate::heartbeats::absence::{GivenUp, MISSED_ROWS_MAX, look};
use crate::heartbeats::rules::{Said, hear};
use crate::vigil::{Blindness, Spell};

/// Heard from at noon.
fn up(json: &str) -> (Definition, State) {
    let definition = define(json);
    let mut state = State::new(NOON);
    let said = Said { at: NOON, action: Action::Success, has_rid: false, is_post: true, took: None };
    hear(&definition, &mut state, said, None);
    (definition, state)
}

fn spell(from: Duration, to: Duration) -> Spell {
    let (began_at, ended_at) = (NOON + from, Some(NOON + to));
    Spell { reason: Blindness::Down, began_at, ended_at, detail: String::new() }
}

const HOURLY: &str = r#"{"every":"1h","grace":"10m"}"#;

#[test]
fn late_then_down_then_counted() {
    let (definition, mut state) = up(HOURLY);
    for (minutes, status, missed) in [
        (59, Status::Up, 0),
        (60, Status::Late, 0),
        (69, Status::Late, 0),
        (70, Status::Down, 1),
        (129, Status::Down, 1),
        (130, Status::Down, 2),
        (24 * 60, Status::Down, 23),
    ] {
        look(&definition, &mut state, &[], NOON + minutes * MINUTE);
        assert_eq!((state.status, state.missed, state.missed_now), (status, missed, missed), "{minutes}");
    }
    let said = Said { at: NOON + DAY, action: Action::Success, has_rid: false, is_post: true, took: None };
    hear(&definition, &mut state, said, None);
    assert_eq!((state.status, state.missed, state.missed_now), (Status::Up, 23, 0));
}

#[test]
fn a_long_silence_is_taken_in_at_once_and_within_bounds() {
    let (definition, mut state) = up(r#"{"every":"10s","grace":"60s"}"#);
    let looked = look(&definition, &mut state, &[], NOON + DAY);
    let turned: Vec<_> = looked.changes.iter().map(|changed| changed.status).collect();
    assert_eq!(turned, [Status::Late, Status::Down]);
    assert_eq!(looked.changes[1].bad_since, NOON + Duration::from_secs(10), "since it was expected");
    assert_eq!(looked.missed.len(), MISSED_ROWS_MAX);
    assert!(state.due_at.is_some_and(|due| due <= NOON + DAY), "there is more to count");
    for _ in 0..10 {
        look(&definition, &mut state, &[], NOON + DAY);
    }
    assert_eq!(state.missed, (24 * 60 * 60 - 60) / 10, "every one of them");
    assert_eq!(state.due_at, Some(NOON + DAY + MINUTE), "what is down is not looked at all the time");
}

#[test]
fn a_run_that_does_not_end_is_too_long() {
    let (definition, mut state) = up(r#"{"every":"1h","grace":"10m","too_long":"30m"}"#);
    state.last_start_at = Some(NOON + HOUR);
    look(&definition, &mut state, &[], NOON + HOUR + 29 * MINUTE);
    assert_eq!(state.status, Status::Up);
    let looked = look(&definition, &mut state, &[], NOON + HOUR + 30 * MINUTE);
    assert_eq!(state.status, Status::Down);
    assert!(looked.changes[0].reason.starts_with("runs too long: began "), "{looked:?}");
    // It came, so it is not missed as well; the next one is waited for.
    assert_eq!((state.missed, state.bad_now, looked.missed.len()), (0, 1, 0));
    assert_eq!(state.expected_at, Some(NOON + 2 * HOUR));
    look(&definition, &mut state, &[], NOON + 2 * HOUR + 9 * MINUTE);
    assert_eq!((state.missed, state.bad_now), (0, 1));
    look(&definition, &mut state, &[], NOON + 2 * HOUR + 10 * MINUTE);
    assert_eq!((state.missed, state.bad_now), (1, 2));
}

#[test]
fn a_run_by_hand_that_takes_too_long_is_not_the_one_that_is_expected() {
    let (definition, mut state) = up(r#"{"every":"1d","grace":"10m"}"#);
    state.last_start_at = Some(NOON + HOUR);
    look(&definition, &mut state, &[], NOON + 2 * HOUR);
    assert_eq!((state.status, state.expected_at), (Status::Down, Some(NOON + HOUR + DAY)), "by its period");
    let (definition, mut state) = up(r#"{"cron":"0 3 * * *","grace":"10m"}"#);
    let expected = state.expected_at;
    state.last_start_at = Some(NOON + HOUR);
    look(&definition, &mut state, &[], NOON + 2 * HOUR);
    assert_eq!((state.status, state.expected_at), (Status::Down, expected), "by its time of day");
}

#[test]
fn runs_that_take_too_long_make_it_down_only_after_as_many_as_were_asked_for() {
    let (definition, mut state) = up(r#"{"every":"1h","grace":"10m","too_long":"30m","failures":3}"#);
    for (hour, status) in [(1, Status::Up), (2, Status::Up), (3, Status::Down)] {
        let began = NOON + hour * HOUR;
        let start = Said { at: began, action: Action::Start, has_rid: false, is_post: true, took: None };
        hear(&definition, &mut state, start, None);
        look(&definition, &mut state, &[], began + 40 * MINUTE);
        assert_eq!((state.status, state.bad_now), (status, i64::from(hour)), "run {hour}");
        assert_eq!((state.missed, state.expected_at), (0, Some(began + HOUR)));
        assert!(state.reason.starts_with("runs too long: began "), "{}", state.reason);
    }
}

#[test]
fn what_fell_into_our_own_blindness_is_nobodys_fault() {
    let hour = HOUR;
    for (why, spells, until, status, missed) in [
        ("nothing was hidden", vec![], hour + 10 * MINUTE, Status::Down, 1),
        (
            "its ping may have been lost",
            vec![spell(59 * MINUTE, hour + 11 * MINUTE)],
            2 * hour,
            Status::Up,
            0,
        ),
        (
            "the next one after it is waited for",
            vec![spell(59 * MINUTE, hour + 11 * MINUTE)],
            2 * hour + 22 * MINUTE,
            Status::Down,
            1,
        ),
        (
            "it was late already, and the deadline moves",
            vec![spell(hour + 8 * MINUTE, hour + 20 * MINUTE)],
            hour + 21 * MINUTE,
            Status::Late,
            0,
        ),
        (
            "and no further than that",
            vec![spell(hour + 8 * MINUTE, hour + 20 * MINUTE)],
            hour + 22 * MINUTE,
            Status::Down,
            1,
        ),
        (
            "before it was expected",
            vec![spell(10 * MINUTE, 40 * MINUTE)],
            hour + 10 * MINUTE,
            Status::Down,
            1,
        ),
    ] {
        let (definition, mut state) = up(HOURLY);
        for minute in 0..=until.as_secs() / 60 {
            let now = NOON + Duration::from_mins(minute);
            // While it is blind nobody looks.
            if spells.iter().all(|spell: &Spell| !(spell.began_at..spell.ended_at.unwrap()).contains(&now)) {
                let known: Vec<_> = spells.iter().filter(|spell| spell.began_at < now).cloned().collect();
                look(&definition, &mut state, &known, now);
            }
        }
        assert_eq!((state.status, state.missed), (status, missed), "{why}");
    }
}

#[test]
fn only_a_blindness_that_loses_pings_excuses_what_did_not_come() {
    for reason in Blindness::ALL {
        let (definition, mut state) = up(HOURLY);
        let spells = [Spell { reason, ..spell(HOUR + MINUTE, HOUR + 2 * MINUTE) }];
        look(&definition, &mut state, &spells, NOON + HOUR + 10 * MINUTE);
        assert_ne!(state.status, Status::Down, "{reason:?}: its deadline moves by what could not be seen");
        look(&definition, &mut state, &spells, NOON + HOUR + 11 * MINUTE);
        let excused = reason != Blindness::Starved;
        assert_eq!((state.status == Status::Down, state.missed == 1), (!excused, !excused), "{reason:?}");
    }
}

#[test]
fn a_run_whose_end_may_have_been_lost_is_given_up_without_alarm() {
    let (definition, mut state) = up(HOURLY);
    state.last_start_at = Some(NOON + HOUR);
    let spells = [spell(HOUR + MINUTE, HOUR + 13 * MINUTE)];
    let looked = look(&definition, &mut state, &spells, NOON + HOUR + 30 * MINUTE);
    assert_eq!((looked.given_up, state.last_start_at), (Some(GivenUp::Unseen), None));
    assert_eq!((state.status, state.expected_at), (Status::Up, Some(NOON + 2 * HOUR + 13 * MINUTE)));
}

#[test]
fn while_we_are_blind_nothing_is_decided() {
    let (definition, mut state) = up(HOURLY);
    let spells = [Spell { ended_at: None, ..spell(30 * MINUTE, HOUR) }];
    let now = NOON + 3 * HOUR;
    assert_eq!(look(&definition, &mut state, &spells, now).changes, []);
    assert_eq!((state.status, state.due_at), (Status::Up, Some(now + Duration::from_secs(30))));
}

proptest! {
    /// However long we were away, whenever: a job that pings on time is never blamed.
    #[test]
    fn no_outage_of_ours_makes_a_good_job_bad(
        away_at in 0_u32..40_000,
        away in 1_u32..20_000,
        cron in any::<bool>(),
        grace in 60_u32..600,
    ) {
        let schedule = if cron { r#""cron":"*/7 * * * *""# } else { r#""every":"7m""# };
        let definition = define(&format!(r#"{{{schedule},"grace":"{grace}s"}}"#));
        let second = |n: u32| Duration::from_secs(n.into());
        let (began, ended) = (NOON + second(away_at), NOON + second(away_at + away));
        let spells = [spell(second(away_at), second(away_at + away))];
        let mut state = State::new(NOON);
        let (mut next_run, mut now) = (NOON, NOON);
        while now < ended + 2 * HOUR {
            let blind = (began..ended).contains(&now);
            if now >= next_run {
                if !blind {
                    let said = Said { at: now, action: Action::Success, has_rid: false, is_post: true, took: None };
                    hear(&definition, &mut state, said, None);
                }
                next_run = definition.schedule.next_after(next_run).unwrap();
            }
            if !blind {
                let known = if now >= ended { &spells[..] } else { &[] };
                let looked = look(&definition, &mut state, known, now);
                prop_assert!(looked.missed.is_empty(), "{:?} at {}", looked, now);
                prop_assert_ne!(state.status, Status::Down);
            }
            now = now + second(20);
        }
    }
}
