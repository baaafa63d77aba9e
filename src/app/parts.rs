//! The parts of a running tocsin.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::web;

use super::delivering::{self, OUTCOMES_WAITING_MAX};
use super::outgoing;
use super::start::default_door;
use super::tending::Tending;
use super::watch::Watch;
use super::watching::Watching;
use super::{channels, tasks};
use crate::accounts::sign_in::SignInGate;
use crate::accounts::{By, Cache, Email, projects, users};
use crate::base::seal::Sealer;
use crate::base::{Clock, Entropy, Uid};
use crate::config::{self, BaseUrl, Config};
use crate::courier;
use crate::courier::intake::WebhookRecord;
use crate::engine::Engine;
use crate::health::own::OwnHealth;
use crate::heartbeats::{Addresses, PingRecord};
use crate::http::doubles::Doubles;
use crate::http::drain::Door;
use crate::http::ingest::Refusals;
use crate::http::ingest::points::PointLane;
use crate::http::observed::Observed;
use crate::http::strangers::Strangers;
use crate::http::{AppState, server};
use crate::incidents::{self, Incidents, Policy, ring::RingPolicy};
use crate::issues;
use crate::issues::ids::RecentIds;
use crate::issues::incoming::Tools;
use crate::issues::record::{EventRecord, Keeping};
use crate::lifecycle::Lifecycle;
use crate::metrics::{self, MetricRecord};
use crate::prober;
use crate::resilience::Limiter;
use crate::store::{self, Lane, Options, Store};
use crate::telemetry::{Registry, RegistryError};
use crate::vigil;
use crate::webhooks::outcome::OutcomeRecord;
use crate::webhooks::{Doors, Webhooks};

/// Every part, built and ready to listen.
pub struct App {
    pub state: web::Data<AppState>,
    /// Taken by whoever starts it.
    asking: Mutex<Option<prober::Loop>>,
    delivering: Mutex<Option<courier::Loop>>,
}

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Metrics(#[from] RegistryError),
    #[error("the first owner could not be created: {0}")]
    FirstOwner(String),
    #[error("a channel of the environment could not be set up: {0}")]
    Channels(incidents::Error),
    #[error("the outgoing side could not be set up: {0}")]
    Outgoing(String),
    #[error("a task's schedule is wrong: {0}")]
    Schedule(String),
}

/// Events that may wait for the writer: two seconds of the heaviest load that was measured.
const EVENTS_WAITING_MAX: usize = 4096;
/// Metric points that may wait, so that one commit of them stays short.
const POINTS_WAITING_MAX: usize = 4 * metrics::POINTS_MAX;
/// Pings that may wait: what comes in a third of a second at the most that was asked for.
const PINGS_WAITING_MAX: usize = 4096;
/// Calls of providers that may wait: most of a second of the heaviest load that was asked for.
const HOOKS_WAITING_MAX: usize = 4096;
/// Keys whose quota is counted apart; each takes a kilobyte when it is busy.
const KEYS_LIMITED_MAX: usize = 10_000;

/// What is decided before anything is built.
pub struct Surroundings<'a> {
    pub folder: &'a Path,
    pub config: Config,
    pub clock: Clock,
    pub entropy: Entropy,
    pub sealing_key: [u8; 32],
}

impl App {
    /// Opens the store, sets up what a first start needs and builds the rest around it.
    pub async fn build(around: Surroundings<'_>) -> Result<Self, BuildError> {
        let Surroundings { folder, config, clock, entropy, sealing_key } = around;
        let incidents = Arc::new(Incidents { policy: policy(&config), entropy: entropy.clone() });
        let (sealer, boot) = (Sealer::new(&sealing_key), entropy.uid(clock.now()));
        let webhooks = Webhooks { incidents: Arc::clone(&incidents), sealer: sealer.clone() };
        let Opened { store, events, points, pings, hooks, outcomes, recent, tools } =
            open_store(folder, &config, (&incidents, &entropy), (&webhooks, boot))?;
        first_start(&store, &config, &clock, (&incidents, &sealer)).await?;
        let ((registry, observed), base_url) = (observe()?, base_url(&config));
        let (watching, asking) =
            Watching::build((&store, &clock, &incidents, &sealer), &config, &registry).await?;
        let (refusals, own) = (Arc::<Refusals>::default(), Arc::<OwnHealth>::default());
        let (doors, with) = (Arc::new(Doors::new(&store, webhooks.clone())), (webhooks, outcomes, boot));
        let outbox = outgoing::outbox((&store, &clock, &incidents), &config, (&sealer, &sealing_key), boot)?;
        let lanes = (&events, &points, &pings, &hooks);
        let delivering = delivering::courier((&store, &clock, &entropy), &config, with, &sealing_key)?;
        let work = tasks::Work {
            outbox: outbox.clone(),
            store: store.clone(),
            clock: clock.clone(),
            incidents: Arc::clone(&incidents),
            recent: recent.clone(),
            refusals: Arc::clone(&refusals),
            doors: Arc::clone(&doors),
            retention: config.retention,
            watch: watch(&store, &clock, &incidents, lanes, (&observed, &own), folder),
            watching: watching.clone(),
            tending: Tending::new((&store, &clock, &incidents), config.webhooks),
            deaf: Arc::default(),
        };
        let tasks = tasks::table(&work).map_err(|error| BuildError::Schedule(error.to_string()))?;
        let state = AppState {
            base_url,
            started_at: clock.now(),
            engine: Engine::new(store.clone(), clock.clone(), tasks).remember().await?,
            clock,
            entropy,
            addresses: Arc::new(Addresses::new(&store)),
            doors,
            store,
            events,
            points,
            pings,
            hooks,
            recent,
            incidents,
            cache: Arc::new(Cache::default()),
            key_limits: Arc::new(Limiter::new(KEYS_LIMITED_MAX)),
            sign_in: Arc::new(SignInGate::default()),
            doubles: Doubles::default(),
            hashing: tokio::sync::Semaphore::new(1),
            tools: Tools { traces: Some(outgoing::trace_key(&sealing_key)), ..tools },
            refusals,
            own,
            services: watching.services,
            watched: watching.watched,
            status: watching.status,
            registry,
            observed,
            link_key: outbox.links.key,
            trace: outgoing::trace_key(&sealing_key),
            outbox,
            sealer,
            prober: watching.prober,
            push_limits: Limiter::new(KEYS_LIMITED_MAX),
            strangers: Strangers::default(),
            config: Arc::new(config),
        };
        Ok(Self { state: web::Data::new(state), asking: once(asking), delivering: once(delivering) })
    }

    /// Starts the background tasks and serves HTTP at `door` until the soft stop.
    pub fn start(&self, lifecycle: &Lifecycle, door: impl Into<Door>) -> std::io::Result<()> {
        for (name, running) in self.state.engine.loops(&lifecycle.soft()) {
            lifecycle.spawn(name, running);
        }
        self.start_asking(lifecycle);
        self.start_delivering(lifecycle);
        let (flights, soft) = (self.state.outbox.flights.clone(), lifecycle.soft());
        lifecycle.spawn("messages under way", async move {
            soft.cancelled().await;
            flights.finish().await;
        });
        self.serve(lifecycle, door)
    }

    /// Starts the loop that asks probes, once. Part of [`App::start`].
    pub fn start_asking(&self, lifecycle: &Lifecycle) {
        let asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(asking) = asking {
            lifecycle.spawn("probes", asking.run(lifecycle.soft()));
        }
    }

    /// Starts the loop that sends webhooks on, once. Part of [`App::start`].
    pub fn start_delivering(&self, lifecycle: &Lifecycle) {
        let delivering = self.delivering.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(delivering) = delivering {
            lifecycle.spawn("webhooks", delivering.run(lifecycle.soft()));
        }
    }

    /// As [`App::start`], without the background tasks: for tests, which run them one by one.
    pub fn serve(&self, lifecycle: &Lifecycle, door: impl Into<Door>) -> std::io::Result<()> {
        self.keep_store(lifecycle);
        let server = server::run(self.state.clone(), door.into(), lifecycle.soft())?;
        lifecycle.spawn("http", async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "the HTTP server ended");
            }
        });
        Ok(())
    }
}

impl App {
    /// A writer that ended by a fault ends the process, which is started anew; at the stop what was counted in memory
    /// is written before the writer ends.
    fn keep_store(&self, lifecycle: &Lifecycle) {
        let (store, soft) = (self.state.store.clone(), lifecycle.soft());
        lifecycle.spawn("store writer", async move {
            tokio::select! {
                () = store.ended() => {}
                () = soft.cancelled() => {}
            }
        });
        let state = self.state.clone();
        lifecycle.at_end("store", move || {
            if let Err(error) = state.refusals.flush_now(&state.store, state.clock.now()) {
                tracing::warn!(%error, "the last refusals could not be written into the ledger");
            }
            if let Err(error) = state.doors.refusals.flush_now(&state.store) {
                tracing::warn!(%error, "the last webhooks that were turned away could not be written");
            }
            // From here on tocsin is blind.
            let now = state.clock.now();
            if let Err(error) = state.store.write_now("vigil.stop", move |tx| vigil::mark_alive(tx, now)) {
                tracing::warn!(%error, "when tocsin stopped could not be written: it counts as blind since the last mark");
            }
            state.store.stop();
        });
    }
}

type Lanes<'a> = (&'a Lane<EventRecord>, &'a Arc<PointLane>, &'a Lane<PingRecord>, &'a Lane<WebhookRecord>);

fn watch(
    store: &Store,
    clock: &Clock,
    incidents: &Arc<Incidents>,
    (events, points, pings, hooks): Lanes<'_>,
    (observed, own): (&Observed, &Arc<OwnHealth>),
    folder: &Path,
) -> Watch {
    Watch {
        store: store.clone(),
        clock: clock.clone(),
        incidents: Arc::clone(incidents),
        events: events.clone(),
        points: Arc::clone(points),
        pings: pings.clone(),
        hooks: hooks.clone(),
        observed: observed.clone(),
        own: Arc::clone(own),
        folder: folder.to_owned(),
        before: Arc::default(),
        unraised: Arc::default(),
    }
}

fn observe() -> Result<(Registry, Observed), RegistryError> {
    let registry = Registry::new()?;
    let observed = Observed::register(&registry)?;
    Ok((registry, observed))
}

pub(super) fn base_url(config: &Config) -> BaseUrl {
    config.server.base_url.clone().unwrap_or_else(|| BaseUrl::of_address(config.server.listen))
}

/// The store with the lanes that lead into it.
struct Opened {
    store: Store,
    events: Lane<EventRecord>,
    points: Arc<PointLane>,
    pings: Lane<PingRecord>,
    hooks: Lane<WebhookRecord>,
    outcomes: Lane<OutcomeRecord>,
    recent: RecentIds,
    /// Shared with the lane, which makes the dictionaries.
    tools: Tools,
}

fn open_store(
    folder: &Path,
    config: &Config,
    (incidents, entropy): (&Arc<Incidents>, &Entropy),
    (webhooks, boot): (&Webhooks, Uid),
) -> Result<Opened, store::Error> {
    let waiting_bytes_max = config.limits.waiting_bytes_max;
    let options = Options { prepare: vec![issues::sql::register], waiting_bytes_max, ..Options::default() };
    let keeping = keeping(&config.issues);
    let mut opened = Store::open(folder, &options)?;
    let record =
        opened.prepare(|tx| EventRecord::load(tx, Arc::clone(incidents), entropy.clone(), keeping))?;
    let recent = record.recent.clone();
    let tools = Tools { dictionaries: record.dictionaries.clone(), ..Tools::default() };
    let events = opened.lane("events", EVENTS_WAITING_MAX, record);
    let points = opened.lane("metrics", POINTS_WAITING_MAX, MetricRecord::new(Arc::clone(incidents)));
    let points = Arc::new(PointLane::new(points, POINTS_WAITING_MAX));
    let pings = opened.lane("pings", PINGS_WAITING_MAX, PingRecord::new(Arc::clone(incidents)));
    let hooks = opened.lane("webhooks", HOOKS_WAITING_MAX, WebhookRecord::new(Arc::clone(incidents)));
    let outcomes = OutcomeRecord::new(webhooks.clone(), boot);
    let outcomes = opened.lane("webhook outcomes", OUTCOMES_WAITING_MAX, outcomes);
    Ok(Opened { store: opened.start()?, events, points, pings, hooks, outcomes, recent, tools })
}

fn keeping(config: &config::Issues) -> Keeping {
    Keeping { sample_floor: config.sample_floor, new_per_hour: config.new_per_hour_max }
}

/// Something that one caller takes.
const fn once<T>(thing: T) -> Mutex<Option<T>> {
    Mutex::new(Some(thing))
}

/// Channels are as the configuration says. A first start makes the project `default`, and the first owner where the
/// environment names one.
async fn first_start(
    store: &Store,
    config: &Config,
    clock: &Clock,
    (incidents, sealer): (&Incidents, &Sealer),
) -> Result<(), BuildError> {
    let entropy = &incidents.entropy;
    let by = By::tocsin(clock.now());
    let entropy_of_key = entropy.clone();
    store
        .write("start.project", move |tx| {
            if projects::ensure_default(tx, &by)?.is_some() {
                default_door(tx, &by, &entropy_of_key)?;
            }
            Ok::<_, store::Error>(())
        })
        .await?;
    let following = channels::follow_configuration(store, incidents, config, sealer, clock.now());
    following.await.map_err(BuildError::Channels)?;
    let Some(owner) = config.server.first_owner.clone() else { return Ok(()) };
    if store.read(users::exist).await.map_err(store::Error::from)? {
        return Ok(());
    }
    let refuse = |error: crate::accounts::Error| BuildError::FirstOwner(error.to_string());
    let email: Email = owner.email.parse().map_err(refuse)?;
    let (by, entropy) = (By::tocsin(clock.now()), entropy.clone());
    let password = crate::accounts::passwords::NewPassword::parse(owner.password, &email).map_err(refuse)?;
    let hash = crate::accounts::passwords::hash(&password, &entropy).map_err(refuse)?;
    store
        .write("start.owner", move |tx| users::create_first_owner(tx, &by, &entropy, email, hash))
        .await
        .map_err(refuse)?;
    Ok(())
}

/// How long things may take before they mean something else, as configured.
pub fn policy(config: &Config) -> Policy {
    Policy {
        join_within: config.incidents.join_within,
        hold: config.incidents.hold,
        quiet: config.issues.quiet,
        gather: config.alerts.gather,
        ring: RingPolicy {
            again_after: config.alerts.ring_again_after,
            climb_after: config.alerts.ring_next_channel_after,
            then_every: config.alerts.ring_every,
        },
        ..Policy::default()
    }
}
