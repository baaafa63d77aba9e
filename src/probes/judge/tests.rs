use std::time::Duration;

use proptest::prelude::*;

use super::*;

const POLICY: Policy = Policy {
    interval: Duration::from_mins(1),
    retry_interval: Duration::from_secs(10),
    timeout: Duration::from_secs(5),
    bad: 2,
    of: 4,
    good: 2,
};

fn at(second: usize) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + i64::try_from(second).unwrap())
}

/// One letter for each reading: good, slow, bad, blind (`-`).
fn readings(letters: &str) -> impl Iterator<Item = (usize, Reading)> {
    letters.chars().enumerate().map(|(second, letter)| {
        let reading = match letter {
            'g' => Reading::Good,
            's' => Reading::Slow,
            'b' => Reading::Bad,
            _ => Reading::Blind,
        };
        (second, reading)
    })
}

fn run(policy: &Policy, letters: &str) -> (Judge, Vec<Verdict>) {
    let mut judge = Judge::default();
    let verdicts =
        readings(letters).map(|(second, reading)| judge.read(policy, reading, at(second))).collect();
    (judge, verdicts)
}

fn last(letters: &str) -> Verdict {
    *run(&POLICY, letters).1.last().unwrap()
}

#[test]
fn trouble_is_confirmed_and_dated_back_to_its_first_reading() {
    use Health::{Degraded, Healthy, Unhealthy, Unknown};
    assert_eq!(last("g"), Verdict::Better { from: Unknown, to: Healthy });
    assert_eq!(last("gb"), Verdict::Suspects { poor: 1, needed: 2 });
    assert_eq!(last("gbb"), Verdict::Worse { from: Healthy, to: Unhealthy, since: at(1) });
    assert_eq!(last("gbgb"), Verdict::Worse { from: Healthy, to: Unhealthy, since: at(1) });
    assert_eq!(last("gbgggb"), Verdict::Suspects { poor: 1, needed: 2 }, "the first one counts no more");
    assert_eq!(last("gbggggbb"), Verdict::Worse { from: Healthy, to: Unhealthy, since: at(6) });
    assert_eq!(last("bb"), Verdict::Worse { from: Unknown, to: Unhealthy, since: at(0) });
    assert_eq!(last("gss"), Verdict::Worse { from: Healthy, to: Degraded, since: at(1) });
    assert_eq!(last("gsb"), Verdict::Worse { from: Healthy, to: Degraded, since: at(1) });
    assert_eq!(last("gsbb"), Verdict::Worse { from: Degraded, to: Unhealthy, since: at(1) });
    assert_eq!(last("gbbb"), Verdict::Stays);
}

#[test]
fn trouble_is_not_dated_back_to_readings_that_count_no_more() {
    let policy = Policy { of: 3, ..POLICY };
    let since = |letters: &str| match *run(&policy, letters).1.last().unwrap() {
        Verdict::Worse { since, .. } => since,
        other => panic!("{letters}: {other:?}"),
    };
    assert_eq!(since("gbggbb"), at(4));
    assert_eq!(since("gsggbb"), at(4));
    // One of three servers behind one name is dead, for hours; then all are.
    let letters = format!("g{}bb", "bgg".repeat(400));
    assert_eq!(since(&letters), at(letters.len() - 2));
}

#[test]
fn trouble_ends_after_good_readings_in_a_row() {
    use Health::{Degraded, Healthy, Unhealthy};
    assert_eq!(last("gbbg"), Verdict::Stays);
    assert_eq!(last("gbbgb"), Verdict::Stays);
    assert_eq!(last("gbbgg"), Verdict::Better { from: Unhealthy, to: Healthy });
    assert_eq!(last("gbbggb"), Verdict::Suspects { poor: 1, needed: 2 }, "what is over counts no more");
    assert_eq!(last("gbbsss"), Verdict::Better { from: Unhealthy, to: Degraded });
}

#[test]
fn while_something_is_suspected_it_is_asked_again_sooner() {
    for (letters, is_sooner) in [
        ("g", false),
        ("gb", true),
        ("gbb", false),
        ("gbbg", true),
        ("gbbgg", false),
        ("gss", false),
        ("gssb", true),
        ("g-", true),
        ("gbg", false),
    ] {
        let pause = run(&POLICY, letters).0.pause(&POLICY);
        assert_eq!(pause == POLICY.retry_interval, is_sooner, "{letters}");
    }
}

#[test]
fn blindness_proves_nothing() {
    let (judge, verdicts) = run(&POLICY, "g---");
    assert_eq!(verdicts[1..], [Verdict::Blinded, Verdict::Stays, Verdict::Stays]);
    assert_eq!((judge.health(), judge.proved()), (Health::Unknown, Health::Healthy));
    assert_eq!(last("g--g"), Verdict::SeesAgain { since: at(1) });
    // Neither confirms nor clears.
    assert_eq!(last("gb-"), Verdict::Blinded);
    assert_eq!(last("gb--b"), Verdict::Worse { from: Health::Healthy, to: Health::Unhealthy, since: at(1) });
    assert_eq!(last("gbb-g"), Verdict::SeesAgain { since: at(3) });
    assert_eq!(last("gbb-gg"), Verdict::Better { from: Health::Unhealthy, to: Health::Healthy });
}

#[test]
fn what_comes_and_goes_is_told_once() {
    let (judge, verdicts) = run(&POLICY, &"bbgg".repeat(12));
    let told: Vec<_> =
        verdicts.iter().filter(|v| !matches!(v, Verdict::Stays | Verdict::Suspects { .. })).collect();
    let flaps = told.iter().position(|v| **v == Verdict::Flaps).unwrap();
    assert!((4..=8).contains(&flaps), "{told:?}");
    assert_eq!(told.len(), flaps + 1, "nothing more is told: {told:?}");
    assert!(judge.is_flapping());
    let (judge, verdicts) = run(&POLICY, &format!("{}{}", "bbgg".repeat(12), "g".repeat(20)));
    assert!(verdicts.contains(&Verdict::Settles { to: Health::Healthy }));
    assert!(!judge.is_flapping());
}

#[test]
fn two_outages_in_a_row_are_no_flapping() {
    let (judge, _) = run(&POLICY, "ggggbbggggggbbgggg");
    assert!(!judge.is_flapping());
}

#[test]
fn a_policy_is_refused_for_a_reason() {
    let ok = Policy::default();
    assert_eq!(ok.check(), Ok(()));
    let secs = Duration::from_secs;
    for (policy, reason) in [
        (Policy { interval: secs(1), ..ok }, Refused::Interval),
        (Policy { retry_interval: secs(61), ..ok }, Refused::RetryInterval),
        (Policy { timeout: Duration::ZERO, ..ok }, Refused::Timeout),
        (Policy { interval: secs(5), retry_interval: secs(1), ..ok }, Refused::Timeout),
        (Policy { bad: 0, ..ok }, Refused::Confirmation),
        (Policy { bad: 4, ..ok }, Refused::Confirmation),
        (Policy { of: 65, ..ok }, Refused::Confirmation),
        (Policy { good: 0, ..ok }, Refused::Recovery),
    ] {
        assert_eq!(policy.check(), Err(reason));
    }
    assert_eq!(ok.detects_within(), secs(60 + 10 + 10 + 10));
}

proptest! {
    #[test]
    fn a_judge_that_was_stored_goes_on_the_same(letters in "[gsb-]{0,60}", rest in "[gsb-]{0,20}") {
        let (mut judge, _) = run(&POLICY, &letters);
        let text = serde_json::to_string(&judge).unwrap();
        let mut stored: Judge = serde_json::from_str(&text).unwrap();
        for (second, reading) in readings(&rest) {
            let now = at(100 + second);
            prop_assert_eq!(judge.read(&POLICY, reading, now), stored.read(&POLICY, reading, now));
        }
    }

    /// Whatever is told began with a reading that still counts.
    #[test]
    fn trouble_begins_inside_the_readings_that_prove_it(
        letters in "[gsb-]{0,200}", bad in 1_u8..4, more in 0_u8..4, good in 1_u8..4,
    ) {
        let policy = Policy { bad, of: bad + more, good, ..POLICY };
        let mut judge = Judge::default();
        let mut seen = Vec::new();
        for (second, reading) in readings(&letters) {
            if reading != Reading::Blind {
                seen.push((at(second), reading));
            }
            if let Verdict::Worse { since, .. } = judge.read(&policy, reading, at(second)) {
                let window = &seen[seen.len().saturating_sub(usize::from(policy.of))..];
                let first = window.iter().find(|(when, _)| *when == since);
                prop_assert!(matches!(first, Some((_, Reading::Slow | Reading::Bad))), "{:?} {:?}", since, window);
            }
        }
    }

    /// What is told fits together: nothing gets worse twice, and whoever hears all of it knows what is proved.
    #[test]
    fn verdicts_tell_the_whole_story(letters in "[gsb-]{0,200}", bad in 1_u8..4, more in 0_u8..4, good in 1_u8..4) {
        let policy = Policy { bad, of: bad + more, good, ..POLICY };
        let mut judge = Judge::default();
        let (mut heard, mut is_flapping) = (Health::Unknown, false);
        for (second, reading) in readings(&letters) {
            let before = judge.proved();
            match judge.read(&policy, reading, at(second)) {
                Verdict::Worse { from, to, since } => {
                    prop_assert_eq!(from, heard);
                    prop_assert!(to > from && to.is_poor() && since <= at(second));
                    heard = to;
                }
                Verdict::Better { from, to } => {
                    prop_assert_eq!(from, heard);
                    heard = to;
                }
                Verdict::Flaps => is_flapping = true,
                Verdict::Settles { to } => {
                    is_flapping = false;
                    heard = to;
                }
                Verdict::Suspects { poor, needed } => prop_assert!(poor < needed),
                Verdict::Stays | Verdict::Blinded | Verdict::SeesAgain { .. } => {}
            }
            prop_assert_eq!(judge.is_flapping(), is_flapping);
            if !is_flapping {
                prop_assert_eq!(judge.proved(), heard);
            }
            if reading == Reading::Blind {
                prop_assert_eq!(judge.proved(), before);
                prop_assert_eq!(judge.health(), Health::Unknown);
            }
        }
    }
}
