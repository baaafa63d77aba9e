//! A store with a source, and a loop that can be stopped and started again.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::super::{Loop, Parts, Settings};
use crate::accounts::{By, projects};
use crate::base::seal::Sealer;
use crate::base::{Clock, Entropy, Timestamp, TraceKey, Uid};
use crate::courier::Sender;
use crate::incidents::{INCIDENTS, Incidents, Policy};
use crate::outbound::{self, Client};
use crate::store::{self, Lane, Options, Store, WriteTx};
use crate::webhooks::laid::{Event, Laid};
use crate::webhooks::outcome::OutcomeRecord;
use crate::webhooks::{
    DeliveryId, DestinationId, Payload, SourceId, WEBHOOK_DELIVERIES, WEBHOOKS, Webhooks, replay_one,
};

pub(super) const START: Timestamp = Timestamp::from_secs(1_800_000_000);
pub(super) const WAIT: Duration = Duration::from_mins(1);

pub(super) struct Bed {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) webhooks: Webhooks,
    pub(super) source: SourceId,
    pub(super) boot: Uid,
    outcomes: Lane<OutcomeRecord>,
    running: Option<(CancellationToken, JoinSet<()>)>,
    _folder: tempfile::TempDir,
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.store.stop();
    }
}

pub(super) fn payload(body: &str) -> Payload {
    Payload {
        method: "POST".to_owned(),
        query: String::new(),
        headers: vec![("content-type".to_owned(), b"application/json".to_vec())],
        body: body.as_bytes().to_vec(),
    }
}

impl Bed {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let policy = Policy { hold: Duration::ZERO, ..Policy::default() };
        let incidents = Arc::new(Incidents { policy, entropy: Entropy::seeded(7) });
        let webhooks = Webhooks { incidents, sealer: Sealer::new(&[7; 32]) };
        let boot = Uid::from_bytes([9; 16]);
        let mut opened = Store::open(folder.path(), &Options::default()).unwrap();
        let outcomes = opened.lane("outcomes", 1000, OutcomeRecord::new(webhooks.clone(), boot));
        let store = opened.start().unwrap();
        let by = By::tocsin(START);
        store.write("project", move |tx| projects::ensure_default(tx, &by)).await.unwrap();
        let clock = Clock::manual(START);
        let mut bed = Self {
            store,
            clock,
            webhooks,
            source: SourceId(0),
            boot,
            outcomes,
            running: None,
            _folder: folder,
        };
        bed.source = bed.lay(|laid, tx| laid.source(tx, "stripe", SOURCE)).await;
        bed
    }

    pub(super) fn start(&mut self) {
        self.start_with(256);
    }

    pub(super) fn start_with(&mut self, concurrency: u32) {
        let client = Client::new(&outbound::Options::default()).unwrap();
        let parts = Parts {
            store: self.store.clone(),
            outcomes: self.outcomes.clone(),
            webhooks: self.webhooks.clone(),
            sender: Sender { client, clock: self.clock.clone(), trace: TraceKey::new([3; 32]) },
            entropy: Entropy::seeded(1),
            boot: self.boot,
            settings: Settings { concurrency },
        };
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        tasks.spawn(Loop::new(parts).run(stop.clone()));
        self.running = Some((stop, tasks));
    }

    /// Asks the loop to stop; [`Bed::stopped`] waits for it.
    pub(super) fn stop(&self) {
        self.running.as_ref().unwrap().0.cancel();
    }

    pub(super) async fn stopped(&mut self) {
        self.stop();
        while let Some(ended) = self.running.as_mut().unwrap().1.join_next().await {
            ended.unwrap();
        }
    }

    async fn lay<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Laid, &WriteTx<'_>) -> Result<T, store::Error> + Send + 'static,
    ) -> T {
        let laid = Laid {
            entropy: self.webhooks.incidents.entropy.clone(),
            sealer: self.webhooks.sealer.clone(),
            now: self.clock.now(),
        };
        self.store.write("lay", move |tx| work(&laid, tx)).await.unwrap()
    }

    /// A destination that a file names, or the page.
    pub(super) async fn destination(
        &self,
        owner: &'static str,
        key: &str,
        definition: &str,
    ) -> DestinationId {
        let (source, key, definition) = (self.source, key.to_owned(), definition.to_owned());
        self.lay(move |laid, tx| {
            tx.touch(WEBHOOKS);
            laid.destination(tx, (source, owner), &key, &definition)
        })
        .await
    }

    /// Makes the source another provider's, believed by this secret; none: it has none.
    pub(super) async fn provider(&self, definition: &'static str, secret: Option<&'static str>) {
        let source = self.source;
        self.lay(move |laid, tx| {
            let sql = "UPDATE webhook_sources SET definition = ?2 WHERE id = ?1";
            tx.execute(sql, store::params![source.0, definition])?;
            tx.touch(WEBHOOKS);
            secret.map_or(Ok(()), |secret| laid.secret(tx, source, secret))
        })
        .await;
    }

    pub(super) async fn arrive(
        &self,
        to: DestinationId,
        order_key: Option<&'static str>,
        body: &str,
    ) -> DeliveryId {
        self.arrive_as(to, order_key, payload(body), None).await
    }

    pub(super) async fn arrive_as(
        &self,
        destination: DestinationId,
        order_key: Option<&'static str>,
        payload: Payload,
        body_bytes: Option<usize>,
    ) -> DeliveryId {
        let source = self.source;
        self.lay(move |laid, tx| {
            laid.event(tx, &Event { source, destination, order_key, payload: &payload, body_bytes })
        })
        .await
    }

    pub(super) async fn execute(&self, sql: &'static str) {
        let write = move |tx: &WriteTx<'_>| {
            tx.touch(WEBHOOKS);
            tx.touch(WEBHOOK_DELIVERIES);
            tx.execute(sql, [])
        };
        self.store.write("test", write).await.map_err(of_store).unwrap();
    }

    pub(super) async fn replay(&self, id: DeliveryId) -> Result<(), replay_one::Error> {
        let (incidents, by) = (Arc::clone(&self.webhooks.incidents), By::tocsin(self.clock.now()));
        self.store.write("replay", move |tx| replay_one::replay(tx, &incidents, &by, id)).await
    }

    pub(super) async fn settle(&self, id: DeliveryId) -> Result<(), replay_one::Error> {
        let (incidents, by) = (Arc::clone(&self.webhooks.incidents), By::tocsin(self.clock.now()));
        self.store.write("settle", move |tx| replay_one::settle(tx, &incidents, &by, id)).await
    }

    pub(super) async fn resume(&self, id: DestinationId) {
        let (webhooks, by) = (self.webhooks.clone(), By::tocsin(self.clock.now()));
        self.store.write("resume", move |tx| webhooks.resume(tx, &by, id)).await.unwrap();
    }

    pub(super) fn text(&self, sql: &str) -> String {
        let all: Vec<String> =
            self.store.read_now(|tx| tx.all(sql, [], |row| row.get(0))).map_err(of_store).unwrap();
        all.join("\n")
    }

    pub(super) fn number(&self, sql: &str) -> i64 {
        self.store.read_now(|tx| tx.one(sql, [], |row| row.get(0))).map_err(of_store).unwrap()
    }

    /// Each delivery, in the order in which it came: its status and its attempts.
    pub(super) fn states(&self) -> String {
        self.text("SELECT status || ' ' || attempts FROM webhook_deliveries ORDER BY id")
    }

    /// The attempts at all deliveries, in the order in which they ended.
    pub(super) fn attempts(&self) -> String {
        self.text(
            "SELECT delivery_id || ' ' || cause || ' ' || coalesce(status, error, '') FROM webhook_attempts ORDER BY id",
        )
    }

    /// What rings.
    pub(super) fn rings(&self) -> String {
        self.text(
            "SELECT severity || ': ' || summary FROM witnesses WHERE live = 1 AND state = 'firing' ORDER BY id",
        )
    }

    /// Waits until the deliveries are so.
    pub(super) async fn until(&self, states: &str) {
        self.until_it_is(Self::states, states).await;
    }

    /// Waits until what `look` sees is `wanted`.
    pub(super) async fn until_it_is(&self, look: impl Fn(&Self) -> String, wanted: &str) {
        let mut topics = [WEBHOOK_DELIVERIES, WEBHOOKS, INCIDENTS].map(|topic| self.store.changes(topic));
        let deadline = tokio::time::Instant::now() + WAIT;
        loop {
            let seen = look(self);
            if seen == wanted {
                return;
            }
            let [first, second, third] = &mut topics;
            let moved = async {
                tokio::select! { _ = first.changed() => {}, _ = second.changed() => {}, _ = third.changed() => {} }
            };
            assert!(
                tokio::time::timeout_at(deadline, moved).await.is_ok(),
                "it is\n{seen}\nand not\n{wanted}"
            );
        }
    }
}

const SOURCE: &str = r#"{"provider":"generic","scheme":"none"}"#;

fn of_store(error: store::Error) -> store::Error {
    error
}
