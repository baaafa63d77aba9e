use super::*;
use crate::health::own::look::Outbox;

pub(in crate::health::own) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
/// Long after the start.
pub(in crate::health::own) const PASSED: Duration = Duration::from_hours(48);
const GB: u64 = 1_000_000_000;

/// A look at a server that has nothing to complain about.
pub(in crate::health::own) fn calm() -> Look {
    Look {
        at: NOW,
        passed: PASSED,
        is_first: false,
        proof: Proof::Committed(Duration::from_millis(4)),
        damage: None,
        lane_age: Duration::ZERO,
        waiting: 0,
        refused: 0,
        commits_failed: 0,
        disk_full: 0,
        reserve_gone: false,
        over_budget: false,
        slowest_batch: Duration::from_millis(9),
        disk: Some(Disk { free_bytes: 50 * GB, total_bytes: 80 * GB }),
        outbox: Some(Outbox { channels_ready: 1, ..Outbox::default() }),
        events: 0,
        events_per_second: 0.0,
    }
}

fn standing(troubles: &[Trouble]) -> Standing {
    let bad = Bad { severity: Severity::High, summary: String::new(), since: NOW };
    troubles.iter().map(|trouble| (*trouble, bad.clone())).collect()
}

/// The trouble of this kind, given whether it stood before.
fn found(look: &Look, trouble: Trouble, was_bad: bool) -> Option<Bad> {
    let before = if was_bad { standing(&[trouble]) } else { Standing::new() };
    judge(look, &before).into_iter().find(|(kind, _)| *kind == trouble).map(|(_, bad)| bad)
}

#[test]
fn a_calm_server_has_no_trouble() {
    assert_eq!(judge(&calm(), &Standing::new()), []);
    assert_eq!(judge(&calm(), &standing(&Trouble::ALL)), []);
}

#[test]
fn every_limit_has_a_lower_one_at_which_trouble_is_over() {
    let seconds = Duration::from_secs_f64;
    let proof = |s| Look { proof: Proof::Committed(seconds(s)), ..calm() };
    let lane = |s| Look { lane_age: seconds(s), ..calm() };
    let batch = |s| Look { slowest_batch: seconds(s), ..calm() };
    let outbox = |s: f64| {
        let oldest = Some(NOW - seconds(s));
        Look { outbox: Some(Outbox { channels_ready: 1, pending: 1, oldest, ..Outbox::default() }), ..calm() }
    };
    let looks: [&dyn Fn(f64) -> Look; 4] = [&proof, &lane, &batch, &outbox];
    let bounds = [
        (Trouble::Queue, 5.0, 1.0),
        (Trouble::Queue, 5.0, 1.0),
        (Trouble::Latency, 1.0, 0.5),
        (Trouble::Outbox, 600.0, 300.0),
    ];
    for (look, (trouble, begins, over)) in looks.into_iter().zip(bounds) {
        assert!(found(&look(begins * 0.99), trouble, false).is_none(), "{trouble:?}");
        let bad = found(&look(begins), trouble, false).unwrap();
        assert_eq!((bad.severity, bad.since), (Severity::High, NOW - seconds(begins)), "{trouble:?}");
        assert!(found(&look(over), trouble, true).is_some(), "{trouble:?}");
        assert!(found(&look(over * 0.99), trouble, true).is_none(), "{trouble:?}");
    }
}

#[test]
fn a_restart_is_no_trouble_of_its_own() {
    let oldest = Some(NOW - Duration::from_hours(3));
    let outbox = Some(Outbox { channels_ready: 1, pending: 1, oldest, ..Outbox::default() });
    let slowest_batch = Duration::from_secs(3);
    let started =
        |passed, is_first| Look { is_first, passed, outbox: outbox.clone(), slowest_batch, ..calm() };
    assert_eq!(judge(&started(Duration::from_secs(1), true), &Standing::new()), []);
    let later = started(Duration::from_mins(10), false);
    let bad = found(&later, Trouble::Outbox, false).unwrap();
    assert_eq!(bad.summary, "1 messages do not go out, the oldest for 3 h");
    assert!(found(&later, Trouble::Latency, false).is_some());
}

#[test]
fn refusals_and_silence_are_a_queue_in_trouble() {
    let cases = [
        (Proof::Refused, 0, true),
        (Proof::Committed(Duration::ZERO), 1, true),
        (Proof::Silent(Duration::from_secs(8)), 0, true),
        (Proof::DiskFull, 0, false),
        (Proof::Failed("corrupt".to_owned()), 0, false),
    ];
    for (proof, refused, expected) in cases {
        let look = Look { proof: proof.clone(), refused, ..calm() };
        assert_eq!(found(&look, Trouble::Queue, false).is_some(), expected, "{proof:?}");
    }
}

#[test]
fn messages_without_any_channel_are_no_trouble_of_the_outbox() {
    let oldest = Some(NOW - Duration::from_hours(3));
    for (channels_off, expected) in [(0, false), (1, true)] {
        let outbox = Outbox { pending: 1, oldest, channels_off, ..Outbox::default() };
        let look = Look { outbox: Some(outbox), ..calm() };
        assert_eq!(found(&look, Trouble::Outbox, false).is_some(), expected);
    }
}

#[test]
fn room_is_judged_by_share_with_bounds_for_large_and_small_disks() {
    let mb = |count: u64| count * MB;
    // total, free: low from, critical from
    let cases = [
        (40 * GB, 2 * GB, mb(400)),
        (5 * GB, mb(500), mb(100)),
        (2 * GB, mb(200), mb(100)),
        (10_000 * GB, 5 * GB, GB),
        (mb(32), mb(32) / 10, mb(32) / 20),
    ];
    for (total_bytes, low, critical) in cases {
        let judged = |free_bytes, was_bad| {
            let look = Look { disk: Some(Disk { free_bytes, total_bytes }), ..calm() };
            found(&look, Trouble::Disk, was_bad).map(|bad| bad.severity)
        };
        assert_eq!(judged(low, false), None, "{total_bytes}");
        assert_eq!(judged(low - 1, false), Some(Severity::High), "{total_bytes}");
        assert_eq!(judged(critical - 1, false), Some(Severity::Critical), "{total_bytes}");
        assert_eq!(judged(low + low / 20, true), Some(Severity::High), "{total_bytes}");
        assert_eq!(judged(low + low / 10, true), None, "{total_bytes}");
    }
}

#[test]
fn a_full_disk_is_critical_however_it_shows() {
    let looks = [
        Look { disk_full: 1, ..calm() },
        Look { reserve_gone: true, ..calm() },
        Look { proof: Proof::DiskFull, ..calm() },
    ];
    for look in looks {
        assert_eq!(found(&look, Trouble::Disk, false).unwrap().severity, Severity::Critical, "{look:?}");
        assert_eq!(found(&look, Trouble::Commits, false), None);
    }
    assert_eq!(found(&Look { disk: None, ..calm() }, Trouble::Disk, true), None);
}

#[test]
fn failing_commits_are_critical() {
    for look in [
        Look { commits_failed: 1, ..calm() },
        Look { proof: Proof::Failed("malformed".to_owned()), ..calm() },
        Look { damage: Some("the database is damaged".to_owned()), ..calm() },
    ] {
        assert_eq!(found(&look, Trouble::Commits, false).unwrap().severity, Severity::Critical);
    }
}

#[test]
fn a_clock_that_was_set_is_noticed_and_time_that_passed_is_not() {
    let before = (NOW, Duration::from_secs(100));
    let later = |wall_s: i64, passed_s: u64| {
        (Timestamp::from_secs(NOW.as_secs() + wall_s), Duration::from_secs(100 + passed_s))
    };
    assert_eq!(clock_step(before, later(10, 10)), None);
    assert_eq!(clock_step(before, later(3600, 3600)), None);
    assert_eq!(clock_step(before, later(40, 10)), None);
    assert!(clock_step(before, later(41, 10)).unwrap().contains("31 s forward"));
    assert!(clock_step(before, later(-7190, 10)).unwrap().contains("2 h back"));
}
