//! What pings mean, without a store.

use proptest::prelude::*;

use super::*;
use crate::heartbeats::rules::{Odd, OpenRun, RunKind, Said, hear};

fn said(at: Timestamp, action: Action) -> Said {
    Said { at, action, has_rid: false, is_post: true, took: None }
}

/// A heartbeat and what is said to it.
struct Talk {
    definition: Definition,
    state: State,
}

impl Talk {
    fn new(json: &str) -> Self {
        Self { definition: define(json), state: State::new(NOON) }
    }

    fn say(&mut self, at: Timestamp, action: Action) -> Status {
        hear(&self.definition, &mut self.state, said(at, action), None);
        self.state.status
    }
}

#[test]
fn each_kind_of_ping_does_what_is_documented() {
    use Action::{Exit, Fail, Log, Start, Success};
    for (pings, status, last_ping) in [
        (&[Success][..], Status::Up, true),
        (&[Fail], Status::Down, true),
        (&[Exit(0)], Status::Up, true),
        (&[Exit(255)], Status::Down, true),
        (&[Log], Status::New, false),
        (&[Start], Status::New, false),
        (&[Start, Success], Status::Up, true),
        (&[Fail, Success], Status::Up, true),
        (&[Success, Log], Status::Up, true),
        (&[Fail, Start], Status::Down, true),
        (&[Fail, Log], Status::Down, true),
    ] {
        let mut talk = Talk::new("{}");
        for action in pings {
            talk.say(NOON, *action);
        }
        assert_eq!((talk.state.status, talk.state.last_ping_at.is_some()), (status, last_ping), "{pings:?}");
        assert_eq!(talk.state.pings, i64::try_from(pings.len()).unwrap());
    }
}

#[test]
fn deadlines_follow_the_schedule_and_the_run_under_way() {
    let mut talk = Talk::new(r#"{"every":"1h","grace":"10m"}"#);
    talk.say(NOON, Action::Success);
    assert_eq!((talk.state.expected_at, talk.state.due_at), (Some(NOON + HOUR), Some(NOON + HOUR)));
    // A run under way has its grace, however late it began.
    talk.say(NOON + HOUR, Action::Start);
    assert_eq!(talk.state.due_at, Some(NOON + HOUR + 10 * MINUTE));
    // Runs that begin again and again and never end do not put it off for ever.
    for minute in 1..30 {
        talk.say(NOON + HOUR + minute * MINUTE, Action::Start);
    }
    assert_eq!(talk.state.due_at, Some(NOON + HOUR + 20 * MINUTE));
    assert_eq!(talk.state.last_ping_at, Some(NOON), "a start is no sign that it ran");

    let mut nightly =
        Talk::new(r#"{"cron":"0 3 * * *","zone":"Europe/Berlin","grace":"1h","too_long":"3h"}"#);
    let at = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
    nightly.say(at("2026-03-28T02:00:10Z"), Action::Success);
    assert_eq!(
        nightly.state.expected_at,
        Some(at("2026-03-29T01:00:00Z")),
        "the clocks go forward in between"
    );
    nightly.say(at("2026-03-29T01:00:02Z"), Action::Start);
    assert_eq!(nightly.state.due_at, Some(at("2026-03-29T04:00:02Z")));
}

#[test]
fn a_ping_a_moment_early_is_of_the_run_that_was_expected() {
    let at = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
    let cases = [
        ("0 3 * * *", "1h", "2026-11-03T02:59:58Z", "2026-11-04T03:00:00Z", "a clock that is ahead"),
        ("0 3 * * *", "1h", "2026-11-03T02:55:00Z", "2026-11-04T03:00:00Z", "five minutes at most"),
        ("0 3 * * *", "1h", "2026-11-03T02:54:59Z", "2026-11-03T03:00:00Z", "a run by hand before it"),
        ("0 3 * * *", "2m", "2026-11-03T02:57:59Z", "2026-11-03T03:00:00Z", "no earlier than it may be late"),
        ("*/10 * * * *", "1h", "2026-11-03T02:59:00Z", "2026-11-03T03:10:00Z", "a tenth of the pause"),
        ("*/10 * * * *", "1h", "2026-11-03T02:58:59Z", "2026-11-03T03:00:00Z", "more than a tenth"),
    ];
    for (cron, grace, pinged, expected, why) in cases {
        for action in [Action::Success, Action::Fail] {
            let mut talk = Talk::new(&format!(r#"{{"cron":"{cron}","grace":"{grace}"}}"#));
            talk.say(at("2026-11-02T03:00:01Z"), Action::Success);
            talk.say(at(pinged), action);
            assert_eq!(talk.state.expected_at, Some(at(expected)), "{why}");
            talk.say(at(pinged) + Duration::from_millis(500), action);
            assert!(talk.state.expected_at >= Some(at(expected)), "{why}, twice");
        }
    }
    // One that began long before ends now: it is not the next one.
    let mut hourly = Talk::new(r#"{"cron":"0 * * * *","grace":"10m"}"#);
    let took = Some(59 * MINUTE);
    let long = Said { took, ..said(at("2026-11-03T02:59:30Z"), Action::Success) };
    hear(&hourly.definition, &mut hourly.state, long, None);
    assert_eq!(hourly.state.expected_at, Some(at("2026-11-03T03:00:00Z")));
    // A period is counted from each ping.
    let mut every = Talk::new(r#"{"every":"1h"}"#);
    every.say(NOON, Action::Success);
    every.say(NOON + HOUR - MINUTE, Action::Success);
    assert_eq!(every.state.expected_at, Some(NOON + 2 * HOUR - MINUTE));
}

#[test]
fn runs_are_paired_by_their_rid() {
    let open = OpenRun { id: 1, started_at: NOON };
    for (action, has_rid, open, left, took) in [
        (Action::Success, true, Some(open), false, Some(MINUTE)),
        (Action::Success, false, Some(open), false, Some(MINUTE)),
        // The end of another run, which nobody began.
        (Action::Success, true, None, true, None),
        (Action::Success, false, None, false, None),
        // Any failure ends what is under way.
        (Action::Fail, true, None, false, None),
        (Action::Fail, true, Some(open), false, Some(MINUTE)),
        (Action::Log, true, Some(open), true, None),
    ] {
        let definition = Definition::default();
        let mut state = State { last_start_at: Some(NOON), ..State::new(NOON) };
        let said = Said { has_rid, ..said(NOON + MINUTE, action) };
        let heard = hear(&definition, &mut state, said, open);
        assert_eq!(
            (state.last_start_at.is_some(), heard.took),
            (left, took),
            "{action:?} {has_rid} {open:?}"
        );
    }
}

#[test]
fn what_took_longer_than_three_days_is_not_measured() {
    let mut state = State { last_start_at: Some(NOON), ..State::new(NOON) };
    let open = Some(OpenRun { id: 1, started_at: NOON });
    let late = said(NOON + 73 * HOUR, Action::Success);
    let heard = hear(&Definition::default(), &mut state, late, open);
    assert_eq!((heard.took, state.durations.len()), (None, 0));
}

#[test]
fn a_run_that_is_much_slower_or_sooner_is_noted() {
    let mut talk = Talk::new(r#"{"every":"1h"}"#);
    let mut run = |at: Timestamp, took: Duration| {
        let said = Said { took: Some(took), ..said(at, Action::Success) };
        hear(&talk.definition, &mut talk.state, said, None)
    };
    for hour in 0..5 {
        let heard = run(NOON + hour * HOUR, MINUTE);
        assert_eq!((heard.odd, &*heard.note), (None, ""), "nobody knows yet what is usual");
    }
    let slow = run(NOON + 5 * HOUR, 4 * MINUTE);
    assert_eq!(slow.odd, Some(Odd::Slow { took: 4 * MINUTE, usual: MINUTE }));
    assert_eq!(slow.note, "slower than usual: 4m instead of about 1m");
    let early = run(NOON + 5 * HOUR + 20 * MINUTE, MINUTE);
    assert_eq!((early.odd, &*early.note), (None, "sooner than expected: 20m after the last one"));
    assert_eq!(run(NOON + 6 * HOUR, MINUTE).note, "");

    talk.definition = define(r#"{"every":"1h","slower":"off","too_early":"alarm"}"#);
    let mut run = |at: Timestamp, took: Duration| {
        let said = Said { took: Some(took), ..said(at, Action::Success) };
        hear(&talk.definition, &mut talk.state, said, None)
    };
    assert_eq!(run(NOON + 7 * HOUR, 40 * MINUTE).note, "");
    assert_eq!(run(NOON + 7 * HOUR + MINUTE, MINUTE).odd, Some(Odd::Early { before: MINUTE }));
}

#[test]
fn only_so_many_failures_in_a_row_make_it_down_and_only_so_many_good_runs_well() {
    use Action::{Fail, Success};
    use Status::{Down, Up};
    let mut talk = Talk::new(r#"{"failures":2,"recoveries":2}"#);
    let mut at = NOON;
    let mut say = |action| {
        at = at + MINUTE;
        talk.say(at, action)
    };
    let seen = [Success, Fail, Success, Fail, Fail, Success, Fail, Success, Success].map(&mut say);
    assert_eq!(seen, [Up, Up, Up, Up, Down, Down, Down, Down, Up]);
}

#[test]
fn what_may_not_speak_is_ignored() {
    let mut talk = Talk::new(r#"{"post_only":true}"#);
    let get = Said { is_post: false, ..said(NOON, Action::Fail) };
    let heard = hear(&talk.definition, &mut talk.state, get, None);
    assert_eq!((heard.run, talk.state.status), (RunKind::Ignored, Status::New));

    let mut paused = Talk::new(r#"{"resume_by_hand":true}"#);
    paused.state.status = Status::Paused;
    assert_eq!(paused.say(NOON, Action::Success), Status::Paused);
    paused.definition = Definition::default();
    assert_eq!(paused.say(NOON, Action::Success), Status::Up, "a ping resumes it");
}

fn any_action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Success),
        Just(Action::Start),
        Just(Action::Fail),
        Just(Action::Log),
        any::<u8>().prop_map(Action::Exit),
    ]
}

proptest! {
    /// Whatever comes in which order, at whatever time.
    #[test]
    fn something_is_waited_for_once_it_was_heard_from(
        pings in prop::collection::vec((any_action(), 0_u32..100_000, any::<bool>()), 1..40),
        cron in any::<bool>(),
    ) {
        let mut talk = Talk::new(if cron { r#"{"cron":"*/5 * * * *"}"# } else { r#"{"every":"5m"}"# });
        let mut at = NOON;
        for (action, seconds, open) in pings {
            at = at + Duration::from_secs(seconds.into());
            let open = talk.state.last_start_at.filter(|_| open).map(|started_at| OpenRun { id: 1, started_at });
            let said = Said { has_rid: open.is_none(), ..said(at, action) };
            let heard = hear(&talk.definition, &mut talk.state, said, open);
            prop_assert_eq!(heard.changed.is_some_and(|changed| changed.status != talk.state.status), false);
            let state = &talk.state;
            prop_assert!(state.last_ok_at <= state.last_ping_at);
            prop_assert!(state.last_ping_at.is_none_or(|last| state.expected_at > Some(last)));
            prop_assert_eq!(state.due_at.is_some(), state.status != Status::New || state.last_start_at.is_some());
            prop_assert!(state.durations.len() <= 20);
            prop_assert!(state.bad_now == 0 || state.good_now == 0);
        }
    }
}
