//! What every handler can reach.

use std::sync::Arc;

use super::ingest::Refusals;
use super::observed::Observed;
use crate::accounts::sign_in::SignInGate;
use crate::accounts::{Cache, PublicKey};
use crate::base::seal::Sealer;
use crate::base::{Clock, Entropy, Timestamp};
use crate::config::{BaseUrl, Config};
use crate::engine::Engine;
use crate::incidents::Incidents;
use crate::issues::ids::RecentIds;
use crate::issues::incoming::Tools;
use crate::issues::record::EventRecord;
use crate::metrics::MetricRecord;
use crate::notify::outbox::Outbox;
use crate::resilience::Limiter;
use crate::store::{Lane, Store};
use crate::telemetry::Registry;

/// The parts of a running tocsin, as the HTTP face uses them. Shared by all workers.
pub struct AppState {
    pub config: Arc<Config>,
    pub base_url: BaseUrl,
    pub clock: Clock,
    pub entropy: Entropy,
    pub started_at: Timestamp,
    pub store: Store,
    pub events: Lane<EventRecord>,
    pub points: Lane<MetricRecord>,
    pub recent: RecentIds,
    pub incidents: Arc<Incidents>,
    pub cache: Arc<Cache>,
    pub key_limits: Arc<Limiter<PublicKey>>,
    pub sign_in: Arc<SignInGate>,
    /// Passwords are hashed one at a time: each takes 19 MiB and a core.
    pub hashing: tokio::sync::Semaphore,
    pub tools: Tools,
    pub refusals: Arc<Refusals>,
    pub engine: Engine,
    pub registry: Registry,
    pub observed: Observed,
    pub outbox: Outbox,
    /// Seals channel secrets.
    pub sealer: Sealer,
    /// Signs acknowledge links.
    pub link_key: [u8; 32],
}

impl AppState {
    /// `healthy`, or `degraded` while commits fail.
    pub fn own_status(&self) -> &'static str {
        if self.store.stats().is_failing() { "degraded" } else { "healthy" }
    }
}
