//! What a ping means. As healthchecks.io documents it, with two things more: a run that came too early and one that took
//! much longer than usual are noted, and a run under way is given its time even where its start was late.

use std::time::Duration;

use super::definition::{RUN_TIME_MAX, Telling};
use super::ping::Action;
use super::state::Changed;
use super::{Definition, State, Status};
use crate::base::{Timestamp, span};

/// What of a ping matters here.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    pub at: Timestamp,
    pub action: Action,
    pub has_rid: bool,
    pub is_post: bool,
    /// How long it took by the sender's own account.
    pub took: Option<Duration>,
}

/// A run that began and has not ended: the one with the rid of the ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenRun {
    pub id: i64,
    pub started_at: Timestamp,
}

/// What a ping did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub run: RunKind,
    /// The row that it ends; `None`: a row of its own.
    pub ends: Option<OpenRun>,
    pub took: Option<Duration>,
    /// For people, beside the run.
    pub note: String,
    pub changed: Option<Changed>,
    pub odd: Option<Odd>,
}

/// What a row of a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunKind {
    Running,
    Success,
    Fail,
    Log,
    /// It never came, or it began and its end never came.
    Missed,
    /// It was not allowed to say anything.
    Ignored,
}

/// Something worth an alarm of its own though the run was good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Odd {
    Early { before: Duration },
    Slow { took: Duration, usual: Duration },
}

/// So many times as long as usual is slower …
const SLOWER: u32 = 3;
/// … where it is also longer than this.
const SLOW_MIN: Duration = Duration::from_mins(1);
/// Before so many runs nobody knows what is usual.
const USUAL_RUNS_MIN: usize = 5;

impl RunKind {
    pub const ALL: [Self; 6] =
        [Self::Running, Self::Success, Self::Fail, Self::Log, Self::Missed, Self::Ignored];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Success => "success",
            Self::Fail => "fail",
            Self::Log => "log",
            Self::Missed => "missed",
            Self::Ignored => "ignored",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Takes a ping in. `open` is the run under way that has the ping's rid, or, as the ping, none.
pub fn hear(definition: &Definition, state: &mut State, said: Said, open: Option<OpenRun>) -> Heard {
    state.pings += 1;
    if definition.post_only && !said.is_post {
        return Heard::alone(RunKind::Ignored, "only POST counts here");
    }
    if definition.resume_by_hand && state.status == Status::Paused {
        return Heard::alone(RunKind::Ignored, "it is paused and resumed by hand");
    }
    let heard = match said.action {
        Action::Log => return Heard::alone(RunKind::Log, ""),
        Action::Start => begin(state, said.at),
        Action::Success | Action::Exit(0) => succeed(definition, state, said, open),
        Action::Fail | Action::Exit(_) => fail(definition, state, said, open),
    };
    state.set_due(definition);
    heard
}

fn begin(state: &mut State, at: Timestamp) -> Heard {
    state.last_start_at = Some(at);
    if state.status == Status::New {
        // From here on it counts that nothing good came.
        state.expected_at = state.expected_at.or(Some(at));
    }
    Heard::alone(RunKind::Running, "")
}

fn succeed(definition: &Definition, state: &mut State, said: Said, open: Option<OpenRun>) -> Heard {
    let took = end_run(state, said, open);
    let odd = slower(definition, state, took).or_else(|| early(definition, state, said.at));
    if let Some(took) = took {
        state.remember_duration(took);
    }
    state.last_ping_at = Some(said.at);
    state.last_ok_at = Some(said.at);
    state.expected_at = definition.next_run(said.at - took.unwrap_or_default(), said.at);
    state.good_now = if state.bad_now > 0 { 1 } else { state.good_now.saturating_add(1) };
    (state.bad_now, state.missed_now) = (0, 0);
    let is_well = state.status != Status::Down || state.good_now >= i64::from(definition.recoveries);
    let changed = if is_well { state.turn(said.at, Status::Up, String::new()) } else { None };
    let note = odd.map_or_else(String::new, Odd::note);
    let told = odd.filter(|odd| odd.telling(definition) == Telling::Alarm);
    Heard { run: RunKind::Success, ends: open, took, note, changed, odd: told }
}

fn fail(definition: &Definition, state: &mut State, said: Said, open: Option<OpenRun>) -> Heard {
    let took = end_run(state, said, open);
    // A failure ends whatever is under way, whosever end it is.
    state.last_start_at = None;
    state.last_ping_at = Some(said.at);
    state.expected_at = definition.next_run(said.at - took.unwrap_or_default(), said.at);
    state.bad_now = state.bad_now.saturating_add(1);
    (state.good_now, state.missed_now) = (0, 0);
    let reason = match said.action.exit_status() {
        Some(status) => format!("failed with exit status {status}"),
        None => "failed".to_owned(),
    };
    let is_down = state.status == Status::Down || state.bad_now >= i64::from(definition.failures);
    let status = if is_down { Status::Down } else { Status::Up };
    let changed = state.turn(said.at, status, reason);
    Heard { run: RunKind::Fail, ends: open, took, note: String::new(), changed, odd: None }
}

/// Ends the run that the ping belongs to, and measures it.
fn end_run(state: &mut State, said: Said, open: Option<OpenRun>) -> Option<Duration> {
    let is_newest = open.is_some_and(|run| state.last_start_at == Some(run.started_at));
    if is_newest || !said.has_rid {
        state.last_start_at = None;
    }
    let measured = open.map(|run| said.at.since(run.started_at));
    said.took.or(measured).filter(|took| *took <= RUN_TIME_MAX)
}

fn slower(definition: &Definition, state: &State, took: Option<Duration>) -> Option<Odd> {
    let (took, usual) = (took?, state.usual_duration(USUAL_RUNS_MIN)?);
    let is_slow = took > usual * SLOWER && took > SLOW_MIN && definition.slower != Telling::Off;
    is_slow.then_some(Odd::Slow { took, usual })
}

/// Sooner than half of the time to the next run has passed. After a failure somebody may well have run it again.
fn early(definition: &Definition, state: &State, at: Timestamp) -> Option<Odd> {
    let last = state.last_ok_at.filter(|last| state.last_ping_at == Some(*last))?;
    let next = definition.next_run(last, last)?;
    let is_early = next.since(at) > next.since(last) / 2 && definition.too_early != Telling::Off;
    is_early.then_some(Odd::Early { before: at.since(last) })
}

impl Heard {
    fn alone(run: RunKind, note: &str) -> Self {
        Self { run, ends: None, took: None, note: note.to_owned(), changed: None, odd: None }
    }
}

impl Odd {
    fn note(self) -> String {
        match self {
            Self::Early { before } => format!("sooner than expected: {} after the last one", whole(before)),
            Self::Slow { took, usual } => {
                format!("slower than usual: {} instead of about {}", whole(took), whole(usual))
            }
        }
    }

    const fn telling(self, definition: &Definition) -> Telling {
        match self {
            Self::Early { .. } => definition.too_early,
            Self::Slow { .. } => definition.slower,
        }
    }
}

/// To the second.
pub(super) fn whole(time: Duration) -> String {
    span::format(Duration::from_secs(time.as_secs()))
}
