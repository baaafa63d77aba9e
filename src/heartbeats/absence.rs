//! What it means that nothing came.
//!
//! A time in which tocsin itself could not see is nobody's fault. It moves every deadline; and a ping that should have
//! come within it may have been lost, so such a run is neither good nor missed: the next one is waited for. Where tocsin
//! was only slow, nothing was lost: the deadline moves, and what does not come until then is missed.

use std::time::Duration;

use super::rules::whole;
use super::state::Changed;
use super::{Definition, State, Status};
use crate::base::Timestamp;
use crate::vigil::{Spell, extend};

/// What a look found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    pub changes: Vec<Changed>,
    /// When runs were expected that never came; the first [`MISSED_ROWS_MAX`] of a look, all are counted.
    pub missed: Vec<Timestamp>,
    /// Runs under way are given up.
    pub given_up: Option<GivenUp>,
}

/// Why the end of a run is waited for no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenUp {
    /// It fell into blind time.
    Unseen,
    /// It took too long, which alone is no alarm yet.
    TooLong,
}

impl GivenUp {
    /// Beside the run.
    pub const fn note(self) -> &'static str {
        match self {
            Self::Unseen => "tocsin was blind when its end should have come",
            Self::TooLong => "it took too long",
        }
    }
}

/// Missed runs that one look writes down one by one.
pub const MISSED_ROWS_MAX: usize = 10;
/// Runs that one look counts; what is left has its turn in the next.
const STEPS_MAX: usize = 1_000;
/// While tocsin is blind nothing is decided; it is looked again after this.
const BLIND_RETRY: Duration = Duration::from_secs(30);
/// What is down is counted on this often, not with each run that does not come.
const COUNT_EVERY: Duration = Duration::from_mins(1);
/// A job that is not measured is expected to ping within this, its grace apart.
const USUAL_LATENESS: Duration = Duration::from_mins(5);
/// So long a time of day says which day is meant.
const SAME_DAY: Duration = Duration::from_hours(18);
const LATENESS_MIN: Duration = Duration::from_mins(1);

/// Takes in that nothing came until `now`. `spells` are those since the heartbeat was last heard from.
pub fn look(definition: &Definition, state: &mut State, spells: &[Spell], now: Timestamp) -> Looked {
    let mut looked = Looked::default();
    state.set_due(definition);
    if spells.iter().any(|spell| spell.ended_at.is_none()) {
        state.due_at = state.due_at.map(|due| due.max(now + BLIND_RETRY));
        return looked;
    }
    for _ in 0..STEPS_MAX {
        if state.due_at.is_none_or(|due| due > now) {
            break;
        }
        if !step(definition, state, spells, now, &mut looked) {
            break;
        }
    }
    // Where more is to be counted than one look may, the next one goes on.
    if state.status == Status::Down
        && let Some(due) = state.due_at.filter(|due| *due > now)
    {
        state.due_at = Some(due.max(now + COUNT_EVERY));
    }
    looked
}

/// One deadline that passed; `false` where it did not pass after all.
fn step(
    definition: &Definition,
    state: &mut State,
    spells: &[Spell],
    now: Timestamp,
    looked: &mut Looked,
) -> bool {
    if let Some(began) = state.last_start_at.filter(|_| state.status != Status::Down) {
        return too_long(definition, state, began, spells, now, looked);
    }
    let Some(expected) = state.expected_at else {
        state.due_at = None;
        return false;
    };
    if let Some(seen_again) = unseen(state, expected, expected + definition.grace, spells) {
        return skip(definition, state, seen_again, now, looked);
    }
    let deadline = if state.status == Status::Up { expected } else { expected + definition.grace };
    if !has_passed(state, expected, deadline, spells, now) {
        return false;
    }
    if state.status == Status::Up {
        looked.changes.extend(state.turn(
            now,
            Status::Late,
            format!("is late: expected {}", at(expected, now)),
        ));
    } else {
        miss(definition, state, expected, now, looked);
    }
    state.set_due(definition);
    true
}

fn miss(
    definition: &Definition,
    state: &mut State,
    expected: Timestamp,
    now: Timestamp,
    looked: &mut Looked,
) {
    state.missed = state.missed.saturating_add(1);
    state.missed_now = state.missed_now.saturating_add(1);
    state.bad_now = state.bad_now.saturating_add(1);
    state.good_now = 0;
    if looked.missed.len() < MISSED_ROWS_MAX {
        looked.missed.push(expected);
    }
    if state.status != Status::Down && state.bad_now >= i64::from(definition.failures) {
        let changed = state.turn(now, Status::Down, format!("did not run: expected {}", at(expected, now)));
        looked.changes.extend(changed.map(|changed| Changed { bad_since: expected, ..changed }));
    }
    state.expected_at = definition.schedule.next_after(expected);
}

fn too_long(
    definition: &Definition,
    state: &mut State,
    began: Timestamp,
    spells: &[Spell],
    now: Timestamp,
    looked: &mut Looked,
) -> bool {
    let Some(deadline) = state.due_at else { return false };
    if let Some(seen_again) = unseen(state, began, deadline, spells) {
        state.last_start_at = None;
        looked.given_up = Some(GivenUp::Unseen);
        return skip(definition, state, seen_again, now, looked);
    }
    if !has_passed(state, began, deadline, spells, now) {
        return false;
    }
    state.bad_now = state.bad_now.saturating_add(1);
    state.good_now = 0;
    let most = whole(definition.run_time_max());
    let reason = format!("runs too long: began {}, at most {most}", at(began, now));
    let is_down = state.bad_now >= i64::from(definition.failures);
    if !is_down {
        // It counts once: the next one is judged by itself.
        state.last_start_at = None;
        looked.given_up = Some(GivenUp::TooLong);
    }
    let changed = state.turn(now, if is_down { Status::Down } else { Status::Up }, reason);
    looked.changes.extend(changed.map(|changed| Changed { bad_since: deadline.max(began), ..changed }));
    // It did come: what is expected now is the run after it.
    state.expected_at = definition.next_run(began, began);
    state.set_due(definition);
    true
}

/// Waits for the next run after tocsin saw again; what it is stays as it was.
fn skip(
    definition: &Definition,
    state: &mut State,
    seen_again: Timestamp,
    now: Timestamp,
    looked: &mut Looked,
) -> bool {
    let expected = state.expected_at.unwrap_or(seen_again);
    if state.status == Status::Late {
        let reason = format!("was not seen: tocsin was blind when it was expected, {}", at(expected, now));
        looked.changes.extend(state.turn(now, Status::Up, reason));
    }
    state.expected_at = if state.status == Status::New && state.last_ping_at.is_none() {
        None
    } else {
        definition.schedule.next_after(seen_again.max(expected))
    };
    state.set_due(definition);
    true
}

/// Whether the deadline passed with tocsin watching; where not, says when to look again.
fn has_passed(
    state: &mut State,
    since: Timestamp,
    deadline: Timestamp,
    spells: &[Spell],
    now: Timestamp,
) -> bool {
    match extend(since, deadline, spells) {
        None => state.due_at = Some(now + BLIND_RETRY),
        Some(extended) if extended > now => state.due_at = Some(extended),
        Some(_) => return true,
    }
    false
}

/// When tocsin saw again, where it was blind at the time in which a run that was expected, or began, at `from` usually
/// reports, at the latest `until`.
fn unseen(state: &State, from: Timestamp, until: Timestamp, spells: &[Spell]) -> Option<Timestamp> {
    let usual = state.usual_duration(1).map_or(USUAL_LATENESS, |usual| (usual * 2).max(LATENESS_MIN));
    let until = until.min(from + usual);
    let hides = |spell: &&Spell| {
        spell.reason.loses_what_came()
            && spell.began_at <= until
            && spell.ended_at.is_some_and(|ended| ended > from)
    };
    spells.iter().filter(hides).filter_map(|spell| spell.ended_at).max()
}

/// The time of day, with its date where it is not of the last hours.
fn at(time: Timestamp, now: Timestamp) -> String {
    let format = if now.since(time) < SAME_DAY { "%H:%M UTC" } else { "%Y-%m-%d %H:%M UTC" };
    time.to_chrono().format(format).to_string()
}
