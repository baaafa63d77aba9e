//! What others ask of probing: how everything is, one run now, and to take a report.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::clients::{Asker, Question, Reach};
use super::run::{Loop, Observed, Parts, Run, Settings, Unheard, written};
use super::trials::{TooMany, Trials};
use crate::config::Network;
use crate::probes::board::Outcome;
use crate::probes::judge::Reading;
use crate::probes::pushed::{self, Stored};
use crate::probes::seen::{Phases, Sample};
use crate::probes::{Board, Checked, Owner, Probes, Redactor, Secrets};
use crate::store::{Error, Store};

/// Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Prober {
    pub probes: Probes,
    pub board: Board,
    pub asker: Asker,
    store: Store,
    networks: Arc<[Network]>,
    pub(super) reports: mpsc::Sender<Stored>,
    unheard: Unheard,
    trials: Arc<Trials>,
}

/// What one run saw that nobody counts.
#[derive(Clone, Debug)]
pub struct Tried {
    pub reading: Reading,
    /// What was wrong; empty where nothing was.
    pub reason: String,
    pub phases: Phases,
    pub facts: Vec<(&'static str, String)>,
    pub sample: Sample,
    /// What each condition came to.
    pub outcomes: Vec<Outcome>,
}

/// Reports that wait for the loop. Of each probe only the last one counts, and that is stored.
const REPORTS_WAITING_MAX: usize = 4096;

impl Prober {
    /// What others ask, and the loop that is to be driven.
    pub fn new(
        store: &Store,
        asker: Asker,
        probes: Probes,
        observed: Observed,
        settings: Settings,
    ) -> (Self, Loop) {
        let (sender, reports) = mpsc::channel(REPORTS_WAITING_MAX);
        let unheard = Unheard::default();
        let (store, board) = (store.clone(), Board::default());
        let prober = Self {
            probes: probes.clone(),
            board: board.clone(),
            asker: asker.clone(),
            store: store.clone(),
            networks: Arc::clone(&settings.private_targets),
            reports: sender,
            unheard: unheard.clone(),
            trials: Arc::default(),
        };
        (prober, Loop::new(Parts { store, asker, probes, board, observed, settings, reports, unheard }))
    }

    /// Runs a probe once, counts nothing and stores nothing. Takes its time limit at most. Whoever calls asked for
    /// permission, and knows that the secrets may go where the target leads.
    ///
    /// # Errors
    /// Where too many are being tried, here or by others.
    pub async fn try_now(&self, checked: &Checked, secrets: Secrets, owner: Owner) -> Result<Tried, TooMany> {
        let _turn = self.trials.begin(self.asker.clock.now())?;
        let definition = &checked.definition;
        let reach = self.reach(owner);
        let timeout = definition.policy.timeout;
        let question = Question { target: definition.target.clone(), secrets, reach, timeout };
        let (at, began) = (self.asker.clock.now(), self.asker.clock.monotonic());
        let run = Run::of(checked, at, began, self.asker.ask(&question).await);
        let Run { reading, reason, phases, facts, sample, outcomes, .. } = run;
        Ok(Tried { reading, reason, phases, facts, sample, outcomes })
    }

    /// How far the questions of a probe go that was named there.
    pub fn reach(&self, owner: Owner) -> Reach {
        match owner {
            Owner::Page => Reach::Public(Arc::clone(&self.networks)),
            Owner::File => Reach::Private,
        }
    }

    /// Stores a report, then has it judged: as it came, though without its secrets it is stored. One that is judged only
    /// after a restart is judged as it lies there.
    ///
    /// # Errors
    /// Where it could not be stored; then it does not count.
    pub async fn report(&self, stored: Stored) -> Result<(), Error> {
        let written = Stored { report: stored.report.scrubbed(&Redactor::default()), ..stored.clone() };
        self.store.write("probes.report", move |tx| pushed::record(tx, &written)).await?;
        let id = stored.id;
        if self.reports.try_send(stored).is_err() {
            tracing::warn!("reports come faster than they are judged; the last one of each probe is");
            self.unheard.add(id);
        }
        Ok(())
    }
}

impl Tried {
    /// For the API: the verdict of this one run, and what was seen, as a stored sample has it.
    pub fn shown(&self) -> Value {
        let seen = written(&self.phases, &self.facts, &self.sample, &self.reason);
        let seen: Value = serde_json::from_str(&seen).unwrap_or_default();
        let reading = match self.reading {
            Reading::Good => "good",
            Reading::Slow => "slow",
            Reading::Bad => "bad",
            Reading::Blind => "blind",
        };
        json!({"reading": reading, "reason": self.reason, "seen": seen})
    }
}
