//! What is wrong with a source or a destination, from what it did lately. Pure: figures in, a judgement out.
//!
//! An alarm ends only when something says that it is over: a destination that is hardly called any more, because its
//! breaker is open, is not well for that.

use std::time::Duration;

use crate::base::Timestamp;
use crate::vigil::{Blindness, Spell, extend};

/// What is due for longer makes a backlog.
pub const BACKLOG_AGE: Duration = Duration::from_mins(10);
/// How far back failures and slow answers are looked at.
pub const WINDOW: Duration = Duration::from_mins(15);
/// Fewer attempts, or answers, prove nothing.
pub const ATTEMPTS_MIN: u32 = 20;
/// Failing from half of the attempts on, until fewer than two in five fail.
const FAILING_PERCENT: u32 = 50;
const MENDED_PERCENT: u32 = 40;
/// Slow answers among a hundred: with more, the 95th percentile is above [`SLOW`](crate::webhooks::points::SLOW).
const SLOW_PERCENT: u32 = 5;
/// How far back calls that were turned away are looked at.
pub const REFUSED_WINDOW: Duration = Duration::from_mins(5);
pub const REFUSED_MIN: u32 = 10;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    Bad {
        since: Timestamp,
    },
    Well,
    /// What is known neither begins an alarm nor ends one.
    Unclear,
}

/// What a destination did lately, and what waits for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recent {
    pub attempts: u32,
    pub failures: u32,
    pub answers: u32,
    pub slow: u32,
    /// When what is due next was, or will be, due.
    pub due_at: Option<Timestamp>,
}

/// What came to a source lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Came {
    pub believed: u32,
    pub refused: u32,
}

/// Whether deliveries wait too long, given when the oldest should have gone.
pub fn backlog(oldest: Option<Timestamp>, spells: &[Spell], now: Timestamp) -> Judgement {
    oldest.map_or(Judgement::Well, |oldest| overdue(oldest, BACKLOG_AGE, spells, now))
}

/// Whether nothing came for too long; what came while tocsin could not hear is nobody's fault.
pub fn silent(heard_at: Timestamp, silent_after: Duration, spells: &[Spell], now: Timestamp) -> Judgement {
    let deaf: Vec<Spell> = spells.iter().filter(|spell| spell.reason.loses_what_came()).cloned().collect();
    overdue(heard_at, silent_after, &deaf, now)
}

fn overdue(since: Timestamp, patience: Duration, spells: &[Spell], now: Timestamp) -> Judgement {
    let deadline = since + patience;
    if deadline > now {
        return Judgement::Well;
    }
    match extend(since, deadline, spells) {
        Some(extended) if extended <= now => Judgement::Bad { since },
        Some(_) | None => Judgement::Unclear,
    }
}

/// Whether too many attempts fail.
pub fn failing(recent: &Recent, spells: &[Spell], now: Timestamp) -> Judgement {
    if is_own_fault(spells) {
        return Judgement::Unclear;
    }
    let Recent { attempts, failures, .. } = *recent;
    match attempts {
        0 => unused(recent),
        ATTEMPTS_MIN.. if failures * 100 >= attempts * FAILING_PERCENT => {
            Judgement::Bad { since: now - WINDOW }
        }
        _ if failures * 100 < attempts * MENDED_PERCENT => Judgement::Well,
        _ => Judgement::Unclear,
    }
}

/// Whether too many answers take too long.
pub fn slow(recent: &Recent, spells: &[Spell], now: Timestamp) -> Judgement {
    if is_own_fault(spells) {
        return Judgement::Unclear;
    }
    let Recent { answers, slow, .. } = *recent;
    match answers {
        0 => unused(recent),
        _ if slow * 100 <= answers * SLOW_PERCENT => Judgement::Well,
        ATTEMPTS_MIN.. => Judgement::Bad { since: now - WINDOW },
        _ => Judgement::Unclear,
    }
}

/// Whether most of what comes is not believed.
pub fn refused(came: &Came, now: Timestamp) -> Judgement {
    let Came { believed, refused } = *came;
    if refused <= believed {
        Judgement::Well
    } else if refused >= REFUSED_MIN {
        Judgement::Bad { since: now - REFUSED_WINDOW }
    } else {
        Judgement::Unclear
    }
}

/// Nothing was sent: all is well where nothing was to be.
const fn unused(recent: &Recent) -> Judgement {
    if recent.due_at.is_some() { Judgement::Unclear } else { Judgement::Well }
}

/// Whether calls may have failed, or taken long, because of tocsin's own machine or network.
fn is_own_fault(spells: &[Spell]) -> bool {
    spells.iter().any(|spell| match spell.reason {
        Blindness::Uplink | Blindness::Suspended | Blindness::Starved => true,
        Blindness::Down | Blindness::Full => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const BAD: Judgement = Judgement::Bad { since: Timestamp::from_secs(1_800_000_000 - 900) };

    fn minutes(minutes: u64) -> Duration {
        Duration::from_mins(minutes)
    }

    fn spell(reason: Blindness, began: u64, ended: u64) -> Spell {
        Spell {
            reason,
            began_at: NOW - minutes(began),
            ended_at: Some(NOW - minutes(ended)),
            detail: String::new(),
        }
    }

    #[test]
    fn a_delivery_that_waits_longer_than_ten_minutes_is_a_backlog_but_for_blind_time() {
        let bad = |since: u64| Judgement::Bad { since: NOW - minutes(since) };
        let down = [spell(Blindness::Down, 12, 4)];
        for (oldest, spells, judged) in [
            (None, &[][..], Judgement::Well),
            (Some(0), &[], Judgement::Well),
            (Some(9), &[], Judgement::Well),
            (Some(10), &[], bad(10)),
            (Some(12), &down, Judgement::Unclear),
            (Some(19), &down, bad(19)),
        ] {
            let oldest_at = oldest.map(|oldest| NOW - minutes(oldest));
            assert_eq!(backlog(oldest_at, spells, NOW), judged, "{oldest:?}");
        }
    }

    #[test]
    fn half_of_twenty_attempts_fail_or_it_is_no_alarm() {
        let due_at = Some(NOW);
        for (attempts, failures, due_at, judged) in [
            (20, 10, None, BAD),
            (20, 9, None, Judgement::Unclear),
            (20, 8, None, Judgement::Unclear),
            (20, 7, None, Judgement::Well),
            (19, 19, None, Judgement::Unclear),
            (5, 1, None, Judgement::Well),
            (0, 0, None, Judgement::Well),
            (0, 0, due_at, Judgement::Unclear),
            (u32::MAX / 100, u32::MAX / 100, None, BAD),
        ] {
            let recent = Recent { attempts, failures, due_at, ..Recent::default() };
            assert_eq!(failing(&recent, &[], NOW), judged, "{failures} of {attempts}");
        }
        let all = Recent { attempts: 100, failures: 100, ..Recent::default() };
        assert_eq!(failing(&all, &[spell(Blindness::Uplink, 5, 1)], NOW), Judgement::Unclear);
        assert_eq!(failing(&all, &[spell(Blindness::Down, 5, 1)], NOW), BAD);
    }

    #[test]
    fn one_answer_in_twenty_may_be_slow() {
        for (answers, slow_ones, judged) in [
            (20, 1, Judgement::Well),
            (20, 2, BAD),
            (100, 5, Judgement::Well),
            (100, 6, BAD),
            (3, 3, Judgement::Unclear),
            (0, 0, Judgement::Well),
        ] {
            let recent = Recent { answers, slow: slow_ones, ..Recent::default() };
            assert_eq!(slow(&recent, &[], NOW), judged, "{slow_ones} of {answers}");
        }
    }

    #[test]
    fn silence_counts_only_while_somebody_listened() {
        let hour = Duration::from_hours(1);
        let heard_at = NOW - minutes(61);
        assert_eq!(silent(heard_at, hour, &[], NOW), Judgement::Bad { since: heard_at });
        assert_eq!(silent(NOW - minutes(59), hour, &[], NOW), Judgement::Well);
        let down = spell(Blindness::Down, 30, 20);
        assert_eq!(silent(heard_at, hour, &[down], NOW), Judgement::Unclear);
        let starved = spell(Blindness::Starved, 30, 20);
        assert_eq!(silent(heard_at, hour, &[starved], NOW), Judgement::Bad { since: heard_at });
    }

    #[test]
    fn ten_refusals_alarm_only_where_they_are_most_of_it() {
        let bad = Judgement::Bad { since: NOW - REFUSED_WINDOW };
        for (believed, turned_away, judged) in [
            (0, 10, bad),
            (10, 10, Judgement::Well),
            (9, 10, bad),
            (0, 9, Judgement::Unclear),
            (0, 0, Judgement::Well),
        ] {
            assert_eq!(refused(&Came { believed, refused: turned_away }, NOW), judged, "{turned_away}");
        }
    }
}
