//! A probe as the loop knows it, and what a reading makes of it. Nothing here waits for anybody.

use std::sync::Arc;
use std::time::Duration;

use super::answer::{Answer, Run};
use super::keeper::Bundle;
use crate::base::Timestamp;
use crate::config::Network;
use crate::prober::clients::{Question, Reach};
use crate::probes::board::{LastRun, Live};
use crate::probes::judge::{Health, Reading, Verdict};
use crate::probes::points::{Point, WAITING_MAX};
use crate::probes::queries::State;
use crate::probes::record::{Present, Recording, Sampled, Turn};
use crate::probes::standing::Above;
use crate::probes::{Checked, Definition, Kind, Memory, Probe, Secrets, Status, standing};

/// One probe.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) probe: Probe,
    pub(super) checked: Checked,
    /// `None`: results are reported.
    pub(super) question: Option<Arc<Question>>,
    pub(super) memory: Memory,
    pub(super) status: Status,
    pub(super) is_unreachable: bool,
    pub(super) reports: Reports,
    /// When the last report came that was heard.
    pub(super) heard_at: Option<Timestamp>,
    /// The same of one that was read where it is stored, as long as it may still come by itself.
    pub(super) read_at: Option<Timestamp>,
    /// As in its row: what was remembered before it grew counts no more.
    pub(super) forgotten: i64,
    /// Under way, or its reading waits for canaries or parents.
    pub(super) is_busy: bool,
    /// When the last reading was taken, monotonic, and whether it was bad.
    pub(super) last: Option<(Duration, bool)>,
    pub(super) points: Vec<Point>,
    since: Timestamp,
    reason: String,
    was_flapping: bool,
    good: Option<Box<Answer>>,
    /// The last answer that was not good, until it is handed on to be written.
    bad: Option<Box<Answer>>,
}

/// Whether silence says anything: not before the first report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reports {
    Awaited,
    Begun,
    /// There were some, and the next did not come in time.
    Missed,
}

impl Subject {
    /// `Err`: the definition cannot be carried out, in words.
    pub(super) fn new(
        probe: Probe,
        secrets: Secrets,
        state: &State,
        networks: &Arc<[Network]>,
    ) -> Result<Self, String> {
        let checked = probe.definition.clone().check(&secrets).map_err(|error| error.to_string())?;
        let question = question(&probe, secrets, networks);
        Ok(Self {
            memory: state.memory.clone(),
            status: state.status,
            is_unreachable: state.status == Status::Unreachable,
            reports: if state.is_reported { Reports::Begun } else { Reports::Awaited },
            heard_at: None,
            read_at: None,
            forgotten: state.forgotten,
            is_busy: false,
            last: None,
            points: Vec::new(),
            since: state.since,
            reason: state.reason.clone(),
            was_flapping: state.flapping,
            good: None,
            bad: None,
            probe,
            checked,
            question,
        })
    }

    pub(super) const fn definition(&self) -> &Definition {
        &self.checked.definition
    }

    pub(super) const fn kind(&self) -> Kind {
        self.definition().kind()
    }

    /// Whether what depends on it cannot be seen.
    pub(super) fn is_down(&self) -> bool {
        self.is_unreachable || self.memory.judge.proved() == Health::Unhealthy
    }

    /// Takes over what an earlier version remembered, unless that was forgotten meanwhile: a pause that is over, or a
    /// project that was archived and restored.
    pub(super) fn follow(&mut self, earlier: Self) {
        (self.points, self.last, self.is_busy) = (earlier.points, earlier.last, earlier.is_busy);
        (self.heard_at, self.read_at) = (earlier.heard_at, earlier.read_at);
        if earlier.reports != Reports::Awaited {
            self.reports = earlier.reports;
        }
        if earlier.forgotten == self.forgotten && self.probe.paused.is_none() {
            (self.memory, self.status, self.since) = (earlier.memory, earlier.status, earlier.since);
            (self.reason, self.was_flapping) = (earlier.reason, earlier.was_flapping);
            (self.is_unreachable, self.good) = (earlier.is_unreachable, earlier.good);
        }
    }

    /// Takes a reading in. Answers what is to be written, where anything changed.
    pub(super) fn read(&mut self, run: &Run, above: Above) -> Option<Recording> {
        self.is_unreachable = above.unreachable;
        self.last = Some((run.began, run.reading == Reading::Bad));
        let policy = self.checked.definition.policy;
        let verdict = if above.unreachable {
            Verdict::Stays
        } else {
            self.memory.judge.read(&policy, run.reading, run.at)
        };
        self.remember(run, verdict);
        let is_poor = matches!(run.reading, Reading::Bad | Reading::Slow);
        let status = standing(&self.memory.judge, above);
        let is_flapping = self.memory.judge.is_flapping();
        let mut changed = status != self.status || is_flapping != self.was_flapping;
        if status != self.status {
            self.since = since(verdict, run.at).max(self.since);
            self.reason = self.says(status, run);
        } else if status == Status::Unknown && is_poor {
            // It was asked, and nothing is proved yet.
            let reason = format!("not well so far: {}", run.reason);
            changed |= reason != self.reason;
            self.reason = reason;
        } else if matches!(
            (status, run.reading),
            (Status::Unhealthy, Reading::Bad) | (Status::Degraded, Reading::Slow)
        ) {
            // Trouble changes while it lasts. What is new of it is written with the next points.
            self.reason = self.says(status, run);
        }
        (self.status, self.was_flapping) = (status, is_flapping);
        changed.then(|| self.recording(run))
    }

    /// What is to be written now and then though nothing changed: readings, and how trouble shows itself by now.
    pub(super) fn bundle(&mut self) -> Option<Bundle> {
        let points = std::mem::take(&mut self.points);
        let last = points.last()?;
        let bad = self.bad.take().map(|bad| Sampled { at: bad.at, json: bad.json() });
        let present = Present {
            checked_at: last.at,
            latency: last.phases.total,
            status: self.status,
            reason: self.reason.clone(),
            bad,
        };
        Some(Bundle { points, present })
    }

    fn remember(&mut self, run: &Run, verdict: Verdict) {
        match verdict {
            Verdict::Worse { from, since, .. } if !from.is_poor() => self.memory.first_bad_at = Some(since),
            Verdict::Better { to: Health::Healthy, .. } | Verdict::Settles { to: Health::Healthy } => {
                self.memory.first_bad_at = None;
            }
            Verdict::Stays
            | Verdict::Suspects { .. }
            | Verdict::Worse { .. }
            | Verdict::Better { .. }
            | Verdict::Flaps
            | Verdict::Settles { .. }
            | Verdict::Blinded
            | Verdict::SeesAgain { .. } => {}
        }
        if matches!(run.reading, Reading::Good | Reading::Slow) {
            self.memory.last_good_at = Some(run.at);
        }
        if run.reading == Reading::Good {
            self.good = Some(Box::new(Answer::cut(run)));
        } else if matches!(run.reading, Reading::Bad | Reading::Slow) && !self.is_unreachable {
            self.bad = Some(Box::new(Answer::cut(run)));
        }
        if self.points.len() < WAITING_MAX {
            // What is unreachable is nobody's fault either: it is not charged.
            let reading = if self.is_unreachable { Reading::Blind } else { run.reading };
            self.points.push(Point { at: run.at, reading, phases: run.phases });
        }
    }

    fn says(&self, status: Status, run: &Run) -> String {
        match status {
            Status::Unknown if run.reading == Reading::Blind => run.reason.clone(),
            Status::Unreachable => "what it depends on is down".to_owned(),
            Status::Maintenance => "planned work".to_owned(),
            Status::Unhealthy | Status::Degraded if run.reason.is_empty() => self.reason.clone(),
            Status::Unhealthy | Status::Degraded => run.reason.clone(),
            Status::Unknown | Status::Healthy | Status::Paused => String::new(),
        }
    }

    fn recording(&mut self, run: &Run) -> Recording {
        self.bad = None;
        let bad = matches!(run.reading, Reading::Bad | Reading::Slow)
            .then(|| Sampled { at: run.at, json: run.json() });
        let good = self.good.as_ref().map(|good| Sampled { at: good.at, json: good.json() });
        let now = Turn {
            at: run.at,
            status: self.status,
            since: self.since,
            reason: self.reason.clone(),
            flapping: self.was_flapping,
            memory: self.memory.clone(),
            latency: Some(run.phases.total),
        };
        Recording { id: self.probe.id, forgotten: self.forgotten, earlier: Vec::new(), now, good, bad }
    }

    /// As the board shows it.
    pub(super) fn live(&self, run: Option<&Run>, next_at: Option<Timestamp>) -> Live {
        Live {
            id: self.probe.id,
            project: self.probe.project,
            key: self.probe.key.clone(),
            name: self.probe.name.clone(),
            kind: self.kind(),
            status: self.status,
            since: self.since,
            reason: self.reason.clone(),
            flapping: self.was_flapping,
            last: run.map(|run| LastRun {
                at: run.at,
                good: matches!(run.reading, Reading::Good | Reading::Slow),
                reason: run.reason.clone(),
                phases: run.phases,
                facts: run.facts.clone(),
                outcomes: run.outcomes.clone(),
            }),
            last_good_at: self.memory.last_good_at,
            next_at,
        }
    }
}

/// Trouble is dated back to the first reading that showed it, and what was degraded before got worse only now.
const fn since(verdict: Verdict, at: Timestamp) -> Timestamp {
    match verdict {
        Verdict::Worse { from: Health::Unknown | Health::Healthy, since, .. } => since,
        Verdict::Worse { .. }
        | Verdict::Stays
        | Verdict::Suspects { .. }
        | Verdict::Better { .. }
        | Verdict::Flaps
        | Verdict::Settles { .. }
        | Verdict::Blinded
        | Verdict::SeesAgain { .. } => at,
    }
}

/// What is asked; nothing of a probe whose results are reported.
fn question(probe: &Probe, secrets: Secrets, networks: &Arc<[Network]>) -> Option<Arc<Question>> {
    if probe.definition.kind() == Kind::Push {
        return None;
    }
    let reach = Reach::of(probe.owner, networks);
    let timeout = probe.definition.policy.timeout;
    Some(Arc::new(Question { target: probe.definition.target.clone(), secrets, reach, timeout }))
}
