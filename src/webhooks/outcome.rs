//! Writes what came of deliveries: all that ended meanwhile in one commit, those of one destination together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::alarms::{self, Subject};
use super::breaker_state::{self, Learnt, SharedBreaker, Turned};
use super::delivery::{ANSWER_CHARS_MAX, Cause, Claimed, ERROR_CHARS_MAX};
use super::points::{POINT, Point, SLOW};
use super::verdict::Verdict;
use super::{DeliveryStatus, DestinationId, WEBHOOK_DELIVERIES, Webhooks, order};
use crate::accounts::By;
use crate::base::text::clip;
use crate::base::{Timestamp, Uid};
use crate::store::{Error, Record, WriteTx, params};

/// What became of one claimed delivery.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub claimed: Claimed,
    pub at: Timestamp,
    pub end: End,
}

#[derive(Clone, Debug)]
pub enum End {
    /// It was not sent after all, and nobody is to blame: it is as it was.
    GivenBack,
    /// There is nothing to send, for this reason.
    Lost {
        reason: String,
        subject: Arc<Subject>,
    },
    Tried(Box<Tried>),
}

/// An attempt that was made.
#[derive(Clone, Debug)]
pub struct Tried {
    pub subject: Arc<Subject>,
    pub attempt: Attempt,
    pub verdict: Verdict,
    /// Where the attempt changed it.
    pub breaker: Option<SharedBreaker>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub cause: Cause,
    pub started_at: Timestamp,
    pub duration: Duration,
    /// `None`: no answer came.
    pub status: Option<u16>,
    /// Of a failure, in words.
    pub error: Option<String>,
    /// Head and beginning of the answer, of a failure.
    pub answer: Option<String>,
}

/// Who held a destination that answered 410.
pub const HELD_BY_APP: &str = "the app answered 410 Gone";

/// Records outcomes. Lives on the writer thread.
pub struct OutcomeRecord {
    webhooks: Webhooks,
    /// This process's start: what another one claimed is not ours to end.
    boot: Uid,
}

/// What the outcomes of one destination say together.
struct Gathered {
    subject: Arc<Subject>,
    at: Timestamp,
    points: BTreeMap<Timestamp, Point>,
    learnt: Learnt,
    breaker: Option<SharedBreaker>,
    dead: u32,
    died_of: String,
    hold: bool,
}

impl OutcomeRecord {
    pub const fn new(webhooks: Webhooks, boot: Uid) -> Self {
        Self { webhooks, boot }
    }

    fn end(&self, tx: &WriteTx<'_>, outcome: &Outcome, all: &mut ByDestination) -> Result<(), Error> {
        let Outcome { claimed, at, end } = outcome;
        match end {
            End::GivenBack => self.give_back(tx, claimed),
            End::Lost { reason, subject } => {
                let row = Row { status: DeliveryStatus::DeadLetter, error: Some(reason), ..Row::of(claimed) };
                if self.write(tx, claimed, &row, 1)? {
                    gathered(all, subject, *at).died(*at, reason);
                    pass_on(tx, claimed, *at)?;
                }
                Ok(())
            }
            End::Tried(tried) => {
                let row = Row::of_tried(claimed, *at, tried);
                // Removed meanwhile: nothing is left to write.
                if !self.write(tx, claimed, &row, 0)? {
                    return Ok(());
                }
                write_attempt(tx, claimed, &tried.attempt)?;
                if !row.status.is_open() {
                    pass_on(tx, claimed, *at)?;
                }
                gathered(all, &tried.subject, *at).tried(*at, claimed, tried, row.error);
                Ok(())
            }
        }
    }

    /// As it was before the claim, also in the order in which it is due.
    fn give_back(&self, tx: &WriteTx<'_>, claimed: &Claimed) -> Result<(), Error> {
        let status = match claimed.cause() {
            Cause::First | Cause::Replay => DeliveryStatus::Pending,
            Cause::Retry | Cause::Probe => DeliveryStatus::Failed,
        };
        tx.execute(
            "UPDATE webhook_deliveries SET status = ?2, due_at = ?3, attempts = attempts - 1, lease = NULL
             WHERE id = ?1 AND status = 'processing' AND lease = ?4",
            params![claimed.id.0, status.as_str(), claimed.due_at.as_micros(), self.boot.as_bytes()],
        )?;
        Ok(())
    }

    /// Ends the claim; `false` where it is not this process's any more. `unmade`: attempts that were counted and not made.
    fn write(&self, tx: &WriteTx<'_>, claimed: &Claimed, row: &Row<'_>, unmade: u32) -> Result<bool, Error> {
        let changed = tx.execute(
            "UPDATE webhook_deliveries
             SET status = ?2, due_at = ?3, completed_at = ?4, last_status = ?5, error = ?6, attempts = attempts - ?7,
                 lease = NULL
             WHERE id = ?1 AND status = 'processing' AND lease = ?8",
            params![
                claimed.id.0,
                row.status.as_str(),
                row.due_at.map(Timestamp::as_micros),
                row.completed_at.map(Timestamp::as_micros),
                row.last_status,
                row.error.map(|error| clip(error, ERROR_CHARS_MAX)),
                unmade,
                self.boot.as_bytes()
            ],
        )?;
        Ok(changed > 0)
    }
}

/// The columns that an outcome sets.
struct Row<'o> {
    status: DeliveryStatus,
    due_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    last_status: Option<u16>,
    error: Option<&'o str>,
}

impl<'o> Row<'o> {
    const fn of(_: &Claimed) -> Self {
        Self {
            status: DeliveryStatus::Failed,
            due_at: None,
            completed_at: None,
            last_status: None,
            error: None,
        }
    }

    fn of_tried(claimed: &Claimed, at: Timestamp, tried: &'o Tried) -> Self {
        let failed = Self {
            last_status: tried.attempt.status,
            error: tried.attempt.error.as_deref(),
            ..Self::of(claimed)
        };
        match tried.verdict {
            Verdict::Completed => {
                Self { status: DeliveryStatus::Completed, completed_at: Some(at), error: None, ..failed }
            }
            Verdict::Again { at, .. } => Self { due_at: Some(at), ..failed },
            Verdict::Hold => Self { due_at: Some(at), ..failed },
            Verdict::Dead { .. } => Self { status: DeliveryStatus::DeadLetter, ..failed },
        }
    }
}

fn pass_on(tx: &WriteTx<'_>, claimed: &Claimed, at: Timestamp) -> Result<(), Error> {
    match &claimed.order_key {
        Some(key) => order::pass_on(tx, claimed.destination, key, at),
        None => Ok(()),
    }
}

fn write_attempt(tx: &WriteTx<'_>, claimed: &Claimed, attempt: &Attempt) -> Result<(), Error> {
    tx.insert(
        "INSERT INTO webhook_attempts (delivery_id, number, cause, started_at, duration_us, status, error, answer)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            claimed.id.0,
            claimed.number,
            attempt.cause.as_str(),
            attempt.started_at.as_micros(),
            i64::try_from(attempt.duration.as_micros()).unwrap_or(i64::MAX),
            attempt.status,
            attempt.error.as_deref().map(|error| clip(error, ERROR_CHARS_MAX)),
            attempt.answer.as_deref().map(|answer| clip(answer, ANSWER_CHARS_MAX)),
        ],
    )?;
    Ok(())
}

type ByDestination = BTreeMap<DestinationId, Gathered>;

fn gathered<'g>(all: &'g mut ByDestination, subject: &Arc<Subject>, at: Timestamp) -> &'g mut Gathered {
    let new = || Gathered {
        subject: Arc::clone(subject),
        at,
        points: BTreeMap::new(),
        learnt: Learnt::default(),
        breaker: None,
        dead: 0,
        died_of: String::new(),
        hold: false,
    };
    all.entry(subject.destination).or_insert_with(new)
}

impl Gathered {
    fn point(&mut self, at: Timestamp) -> &mut Point {
        self.at = self.at.max(at);
        self.points.entry(at.floor_to(POINT)).or_default()
    }

    fn died(&mut self, at: Timestamp, error: &str) {
        self.point(at).dead += 1;
        self.dead += 1;
        error.clone_into(&mut self.died_of);
    }

    fn tried(&mut self, at: Timestamp, claimed: &Claimed, tried: &Tried, error: Option<&str>) {
        let (attempt, is_success) = (&tried.attempt, tried.verdict == Verdict::Completed);
        let point = self.point(at);
        point.attempts += 1;
        point.failures += u32::from(!is_success);
        point.completed += u32::from(is_success);
        point.at_first += u32::from(is_success && claimed.number == 1);
        if attempt.status.is_some() {
            point.latency.add(attempt.duration);
            point.slow += u32::from(attempt.duration > SLOW);
        }
        let error = error.unwrap_or_default();
        if is_success {
            self.learnt.ok_at = Some(at);
        } else {
            self.learnt.failed_at = Some(at);
            self.learnt.error = Some(error.to_owned());
        }
        if tried.breaker.is_some() {
            self.breaker.clone_from(&tried.breaker);
        }
        match tried.verdict {
            Verdict::Dead { .. } => self.died(at, error),
            Verdict::Hold => self.hold = true,
            Verdict::Completed | Verdict::Again { .. } => {}
        }
    }

    fn write(self, tx: &WriteTx<'_>, webhooks: &Webhooks) -> Result<(), Error> {
        let (incidents, subject, at) = (&webhooks.incidents, &*self.subject, self.at);
        for (point_at, point) in &self.points {
            point.save(tx, subject.destination, *point_at)?;
        }
        let breaker = self.breaker.as_ref().map(|shared| shared.lock().clone());
        let turned = breaker_state::write(tx, at, subject.destination, &self.learnt, breaker.as_ref())?;
        match turned {
            Some(Turned::Opened) => {
                let error = self.learnt.error.as_deref().unwrap_or_default();
                alarms::opened(tx, incidents, at, (subject, error))?;
            }
            Some(Turned::Closed) => alarms::closed(tx, incidents, at, subject)?,
            None => {}
        }
        if self.dead > 0 {
            alarms::died(tx, incidents, at, (subject, self.dead, &self.died_of))?;
        }
        if self.hold { hold(tx, webhooks, at, subject) } else { Ok(()) }
    }
}

/// Lets everything of a destination wait, because its app said that it is gone for good.
fn hold(tx: &WriteTx<'_>, webhooks: &Webhooks, now: Timestamp, subject: &Subject) -> Result<(), Error> {
    let id = subject.destination;
    let sent_to = "SELECT 1 FROM webhook_destinations WHERE id = ?1 AND held_at IS NULL";
    if tx.first(sent_to, [id.0], |_| Ok(()))?.is_some() {
        webhooks.hold(tx, &By::tocsin(now), id, Some(HELD_BY_APP))?;
        alarms::held(tx, &webhooks.incidents, now, subject)?;
    }
    Ok(())
}

impl Record for OutcomeRecord {
    type Item = Outcome;
    type Outcome = ();
    type Staged = ();

    fn bytes(outcome: &Outcome) -> usize {
        let texts = match &outcome.end {
            End::Tried(tried) => {
                let attempt = &tried.attempt;
                attempt.error.as_ref().map_or(0, String::len) + attempt.answer.as_ref().map_or(0, String::len)
            }
            End::Lost { reason, .. } => reason.len(),
            End::GivenBack => 0,
        };
        size_of::<Outcome>() + size_of::<Tried>() + texts
    }

    fn record(&self, tx: &WriteTx<'_>, outcomes: &[Outcome], (): &mut ()) -> Result<Vec<()>, Error> {
        let mut all = ByDestination::new();
        for outcome in outcomes {
            self.end(tx, outcome, &mut all)?;
        }
        for (_, gathered) in all {
            gathered.write(tx, &self.webhooks)?;
        }
        tx.touch(WEBHOOK_DELIVERIES);
        Ok(vec![(); outcomes.len()])
    }

    fn apply(&mut self, (): ()) {}
}
