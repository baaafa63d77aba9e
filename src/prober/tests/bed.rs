use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::accounts::{By, projects};
use crate::base::seal::Sealer;
use crate::base::{Clock, Entropy, ProjectId, Timestamp};
use crate::incidents::{Incidents, Policy};
use crate::prober::{Asker, Covers, Loop, Observed, Prober, Settings, Sight, Trust};
use crate::probes::board::Live;
use crate::probes::queries::State;
use crate::probes::{Definition, Draft, Error, Owner, ProbeId, Probes, Secrets, Status, queries};
use crate::store::{self, Options, Store, WriteTx};
use crate::telemetry::Registry;

pub(in crate::prober) const START: Timestamp = Timestamp::from_secs(1_800_000_000);
const WAIT: Duration = Duration::from_mins(1);

/// A store, and a loop that can be stopped and started again.
pub(in crate::prober) struct Bed {
    pub(in crate::prober) store: Store,
    pub(in crate::prober) clock: Clock,
    pub(in crate::prober) probes: Probes,
    pub(super) canaries: Vec<String>,
    pub(super) covers: Covers,
    running: Option<Running>,
    _folder: tempfile::TempDir,
}

struct Running {
    prober: Prober,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.store.stop();
    }
}

impl Bed {
    pub(in crate::prober) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
        let policy = Policy { hold: Duration::ZERO, ..Policy::default() };
        let incidents = Arc::new(Incidents { policy, entropy: Entropy::seeded(7) });
        let probes = Probes { incidents, sealer: Sealer::new(&[7; 32]) };
        let project = |tx: &WriteTx<'_>| projects::ensure_default(tx, &By::tocsin(START));
        store.write("test", project).await.unwrap();
        Self {
            store,
            clock: Clock::manual(START),
            probes,
            canaries: Vec::new(),
            covers: Arc::new(|_, _| false),
            running: None,
            _folder: folder,
        }
    }

    pub(in crate::prober) fn start(&mut self) {
        let trust = Trust::new(None).unwrap();
        let asker = Asker { clock: self.clock.clone(), entropy: Entropy::seeded(1), trust };
        let settings = Settings {
            concurrency: 64,
            private_targets: Arc::new([]),
            canaries: self.canaries.clone().into(),
            covers: Arc::clone(&self.covers),
            sight: self.sight(),
        };
        let observed = Observed::register(&Registry::new().unwrap()).unwrap();
        let (prober, asking): (Prober, Loop) =
            Prober::new(&self.store, asker, self.probes.clone(), observed, settings);
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        tasks.spawn(asking.run(stop.clone()));
        self.running = Some(Running { prober, stop, tasks });
    }

    /// A new one: it remembers nothing.
    pub(in crate::prober) fn sight(&self) -> Sight {
        Sight::new(self.store.clone(), self.clock.clone(), Arc::clone(&self.probes.incidents))
    }

    pub(in crate::prober) async fn stop(&mut self) {
        let mut running = self.running.take().unwrap();
        running.stop.cancel();
        while let Some(ended) = running.tasks.join_next().await {
            ended.unwrap();
        }
    }

    pub(in crate::prober) fn prober(&self) -> &Prober {
        &self.running.as_ref().unwrap().prober
    }

    pub(in crate::prober) async fn save(&self, draft: Draft) -> ProbeId {
        self.write(move |probes, tx| probes.save(tx, &By::tocsin(START), &draft)).await.unwrap().id()
    }

    pub(in crate::prober) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Probes, &WriteTx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let probes = self.probes.clone();
        self.store.write("test", move |tx| work(&probes, tx)).await
    }

    pub(in crate::prober) async fn number(&self, sql: &'static str) -> i64 {
        self.store.read(move |tx| tx.one(sql, [], |row| row.get(0))).await.map_err(of_store).unwrap()
    }

    pub(in crate::prober) async fn text(&self, sql: &'static str) -> String {
        self.store.read(move |tx| tx.one(sql, [], |row| row.get(0))).await.map_err(of_store).unwrap()
    }

    pub(in crate::prober) async fn state(&self, id: ProbeId) -> State {
        let state = self.store.read(move |tx| queries::state(tx, id)).await.map_err(of_store);
        state.unwrap().unwrap()
    }

    pub(in crate::prober) fn live(&self, id: ProbeId) -> Option<Live> {
        self.prober().board.get(id)
    }

    /// Moves the clock in small steps until something holds; what is under way comes to its end in between.
    pub(in crate::prober) async fn until(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        let given_up = tokio::time::Instant::now() + WAIT;
        while !holds(self).await {
            assert!(tokio::time::Instant::now() < given_up, "{what}");
            self.clock.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(in crate::prober) async fn until_status(&self, id: ProbeId, status: Status) {
        self.until(&format!("{id:?} never was {status:?}"), async |bed| bed.state(id).await.status == status)
            .await;
    }

    /// Waits for something that needs no time of the clock.
    pub(in crate::prober) async fn soon(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        let given_up = tokio::time::Instant::now() + WAIT;
        while !holds(self).await {
            assert!(tokio::time::Instant::now() < given_up, "{what}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

fn of_store(error: store::Error) -> store::Error {
    error
}

/// A web server that answers with the status that is set: 0 closes the connection at once.
pub(super) struct Web {
    pub(super) address: std::net::SocketAddr,
    pub(super) status: Arc<AtomicU16>,
    pub(super) asked: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Web {
    pub(super) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (status, asked) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicUsize::new(0)));
        let mut serving = JoinSet::new();
        let (set, count) = (Arc::clone(&status), Arc::clone(&asked));
        serving.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let status = set.load(Ordering::Relaxed);
                let mut head = [0; 2048];
                let read = stream.read(&mut head).await;
                if status > 0 && read.is_ok() {
                    let answer =
                        format!("HTTP/1.1 {status} Said\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
                    stream.write_all(answer.as_bytes()).await.ok();
                }
            }
        });
        Self { address, status, asked, _serving: serving }
    }

    pub(super) fn says(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    pub(super) fn draft(&self, key: &str) -> Draft {
        draft(key, serde_json::json!({"kind": "http", "url": format!("http://{}/health", self.address)}))
    }
}

pub(in crate::prober) fn draft(key: &str, target: serde_json::Value) -> Draft {
    let mut definition = Definition::of(serde_json::from_value(target).unwrap());
    definition.policy.interval = Duration::from_secs(30);
    definition.policy.retry_interval = Duration::from_secs(5);
    definition.policy.timeout = Duration::from_secs(2);
    Draft {
        key: key.to_owned(),
        name: format!("The {key}"),
        project: ProjectId(1),
        definition,
        secrets: Secrets::default(),
        parents: Vec::new(),
        // This machine may be asked.
        owner: Owner::File,
    }
}
