//! What others ask of probing: how everything is, one run now, and to take a report.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

use super::clients::{Asker, Question, Reach};
use super::run::{Loop, Observed, Parts, Run, Settings};
use crate::config::Network;
use crate::probes::judge::Reading;
use crate::probes::pushed::{self, Stored};
use crate::probes::{Board, Checked, Owner, Probes, Secrets};
use crate::store::{Error, Store};

/// Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Prober {
    pub probes: Probes,
    pub board: Board,
    pub asker: Asker,
    store: Store,
    networks: Arc<[Network]>,
    reports: mpsc::Sender<Stored>,
    trials: Arc<Semaphore>,
}

/// What one run saw that nobody counts.
#[derive(Clone, Debug)]
pub struct Tried {
    pub reading: Reading,
    /// What was wrong; empty where nothing was.
    pub reason: String,
    pub total: Duration,
    /// Phases, facts and the answer, as a stored sample has them.
    pub sample: Value,
}

/// Reports that wait for the loop. Of each probe only the last one counts, and that is stored.
const REPORTS_WAITING_MAX: usize = 4096;

/// Runs that people wait for at once; each takes its time limit at most.
const TRIALS_MAX: usize = 8;

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
        let (store, board) = (store.clone(), Board::default());
        let prober = Self {
            probes: probes.clone(),
            board: board.clone(),
            asker: asker.clone(),
            store: store.clone(),
            networks: Arc::clone(&settings.private_targets),
            reports: sender,
            trials: Arc::new(Semaphore::new(TRIALS_MAX)),
        };
        (prober, Loop::new(Parts { store, asker, probes, board, observed, settings, reports }))
    }

    /// Runs a probe once, counts nothing and stores nothing. Takes its time limit at most. `None`: too many are being
    /// tried.
    pub async fn try_now(&self, checked: &Checked, secrets: Secrets, owner: Owner) -> Option<Tried> {
        let _turn = self.trials.try_acquire().ok()?;
        let definition = &checked.definition;
        let reach = self.reach(owner);
        let timeout = definition.policy.timeout;
        let question = Question { target: definition.target.clone(), secrets, reach, timeout };
        let (at, began) = (self.asker.clock.now(), self.asker.clock.monotonic());
        let run = Run::of(checked, at, began, self.asker.ask(&question).await);
        let sample = serde_json::from_str(&run.json()).unwrap_or_default();
        Some(Tried { reading: run.reading, reason: run.reason, total: run.phases.total, sample })
    }

    /// How far the questions of a probe go that was named there.
    pub fn reach(&self, owner: Owner) -> Reach {
        match owner {
            Owner::Page => Reach::Public(Arc::clone(&self.networks)),
            Owner::File => Reach::Private,
        }
    }

    /// Stores a report, then has it judged.
    ///
    /// # Errors
    /// Where it could not be stored; then it does not count.
    pub async fn report(&self, stored: Stored) -> Result<(), Error> {
        let written = stored.clone();
        self.store.write("probes.report", move |tx| pushed::record(tx, &written)).await?;
        if self.reports.try_send(stored).is_err() {
            tracing::warn!("reports come faster than they are judged; the last one of each probe is kept");
        }
        Ok(())
    }
}

impl Tried {
    /// For the API and the page: the verdict of this one run, and what was seen.
    pub fn shown(&self) -> Value {
        let reading = match self.reading {
            Reading::Good => "good",
            Reading::Slow => "slow",
            Reading::Bad => "bad",
            Reading::Blind => "blind",
        };
        json!({"reading": reading, "reason": self.reason, "seen": self.sample})
    }
}
