//! What every handler can reach.

use std::sync::Arc;

use super::doubles::Doubles;
use super::ingest::Refusals;
use super::ingest::admit::Allowance;
use super::ingest::points::PointLane;
use super::observed::Observed;
use super::status::StatusCache;
use super::strangers::Strangers;
use crate::accounts::sign_in::SignInGate;
use crate::accounts::{Cache, PublicKey, TokenHash};
use crate::base::seal::Sealer;
use crate::base::{Clock, Entropy, Timestamp, TraceKey};
use crate::config::{BaseUrl, Config};
use crate::courier::intake::{Intake, WebhookRecord};
use crate::engine::Engine;
use crate::health::own::{self, Live, OwnHealth, TaskFacts};
use crate::health::services::{Services, SnapshotHolder};
use crate::health::{Health, PartHealth};
use crate::heartbeats::{Addresses, Ping, PingRecord, Taken};
use crate::incidents::Incidents;
use crate::issues::ids::RecentIds;
use crate::issues::incoming::{Incoming, Tools};
use crate::issues::record::{EventRecord, Recorded};
use crate::metrics::Point;
use crate::notify::outbox::Outbox;
use crate::prober::Prober;
use crate::resilience::Limiter;
use crate::store::{Error, Lane, Store};
use crate::telemetry::Registry;
use crate::webhooks::Doors;
use crate::webhooks::accept::Accepted;

/// The background task that looks at tocsin itself.
pub const WATCH_TASK: &str = "self.watch";

/// The parts of a running tocsin, as the HTTP face uses them. Shared by all workers.
pub struct AppState {
    pub config: Arc<Config>,
    pub base_url: BaseUrl,
    pub clock: Clock,
    pub entropy: Entropy,
    pub started_at: Timestamp,
    pub store: Store,
    pub events: Lane<EventRecord>,
    pub points: Arc<PointLane>,
    pub pings: Lane<PingRecord>,
    pub addresses: Arc<Addresses>,
    pub hooks: Lane<WebhookRecord>,
    pub doors: Arc<Doors>,
    pub recent: RecentIds,
    pub incidents: Arc<Incidents>,
    pub cache: Arc<Cache>,
    pub key_limits: Arc<Limiter<(PublicKey, Allowance)>>,
    pub sign_in: Arc<SignInGate>,
    /// Forms that were sent a moment ago.
    pub doubles: Doubles,
    /// Passwords are hashed one at a time: each takes 19 MiB and a core.
    pub hashing: tokio::sync::Semaphore,
    pub tools: Tools,
    pub refusals: Arc<Refusals>,
    pub own: Arc<OwnHealth>,
    pub services: Arc<Services>,
    /// How the services are.
    pub watched: SnapshotHolder,
    /// What strangers see.
    pub status: StatusCache,
    pub engine: Engine,
    pub registry: Registry,
    pub observed: Observed,
    pub outbox: Outbox,
    /// Seals channel secrets.
    pub sealer: Sealer,
    /// Signs acknowledge links.
    pub link_key: [u8; 32],
    /// Knows the traces of deliveries.
    pub trace: TraceKey,
    pub prober: Prober,
    /// Reports to probes, by their token.
    pub push_limits: Limiter<TokenHash>,
    /// Wrong addresses of pings, reports and webhooks, by who sent them.
    pub strangers: Strangers,
}

impl AppState {
    /// Records an event and counts what became of it. While the disk or the byte budget is full nothing is
    /// tried: what room is left belongs to the alarm about it.
    pub async fn take_event(&self, event: Incoming) -> Result<Recorded, Error> {
        self.may_store()?;
        let recorded = self.events.submit(event).await.inspect_err(|error| self.look_soon(error))?;
        self.observed.event(recorded);
        Ok(recorded)
    }

    /// As [`AppState::take_event`], for the metric points of one request.
    pub async fn take_points(&self, points: Vec<Point>) -> Result<usize, Error> {
        self.may_store()?;
        self.points.submit(points).await.inspect_err(|error| self.look_soon(error))
    }

    /// As [`AppState::take_event`], for a ping. Over the byte budget it is taken all the same, without its body: a job
    /// that could not be heard would be called down.
    pub async fn take_ping(&self, mut ping: Ping) -> Result<Taken, Error> {
        match self.may_store() {
            Err(Error::OverBudget) => ping.body = Vec::new(),
            other => other?,
        }
        self.pings.submit(ping).await.inspect_err(|error| self.look_soon(error))
    }

    /// As [`AppState::take_event`], for the call of a provider, which sends it again where it is not taken.
    pub async fn take_webhook(&self, call: Intake) -> Result<Accepted, Error> {
        self.may_store()?;
        self.hooks.submit(call).await.inspect_err(|error| self.look_soon(error))
    }

    /// Whether there is room for what clients send.
    pub fn may_store(&self) -> Result<(), Error> {
        match (self.own.is_disk_full(), self.own.is_over_budget()) {
            (true, _) => Err(Error::DiskFull),
            (false, true) => Err(Error::OverBudget),
            (false, false) => Ok(()),
        }
    }

    /// A full disk is told at once, not at the next turn.
    fn look_soon(&self, error: &Error) {
        if matches!(error, Error::DiskFull) {
            self.engine.ask(WATCH_TASK);
        }
    }

    /// How tocsin itself is, part by part. From memory: asking costs nothing.
    pub fn own_parts(&self, broken: Option<String>) -> Vec<PartHealth> {
        let tasks = self.engine.status().into_iter().map(|task| TaskFacts {
            name: task.name,
            failed: task.last_result.filter(|_| task.last_ok == Some(false)),
            running: task.running,
            late: task.late,
        });
        let live = Live {
            passed: self.clock.monotonic(),
            commits_fail: self.store.stats().is_failing(),
            disk_full: self.own.is_disk_full(),
            broken: broken.or_else(|| self.store.stats().damage().map(ToString::to_string)),
            tasks: tasks.collect(),
        };
        own::parts(&self.own.known(), &live)
    }

    /// The worst of [`AppState::own_parts`].
    pub fn own_status(&self) -> Health {
        Health::of(&self.own_parts(None))
    }
}
