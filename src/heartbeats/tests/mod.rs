mod absence;
mod record;
mod rules;
mod saving;

use std::sync::Arc;
use std::time::Duration;

use super::save::{self, Change, Draft};
use super::*;
use crate::accounts::{By, projects};
use crate::base::{Entropy, ProjectId, Timestamp};
use crate::incidents::{Incidents, Policy};
use crate::store::{Error, Lane, Options, ReadTx, Store, WriteTx};

const NOON: Timestamp = Timestamp::from_secs(1_800_000_000);
const SHOP: ProjectId = ProjectId(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

fn define(json: &str) -> Definition {
    serde_json::from_str(json).unwrap()
}

/// A store with a project, a lane of pings and nothing else.
struct House {
    _folder: tempfile::TempDir,
    store: Store,
    lane: Lane<PingRecord>,
    incidents: Arc<Incidents>,
}

impl House {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let incidents = Arc::new(Incidents { policy: Policy::default(), entropy: Entropy::seeded(7) });
        let mut opened = Store::open(folder.path(), &Options::default()).unwrap();
        let lane = opened.lane("pings", 1000, PingRecord::new(Arc::clone(&incidents)));
        let store = opened.start().unwrap();
        let by = By::tocsin(NOON);
        store.write("project", move |tx| projects::ensure_default(tx, &by)).await.unwrap();
        Self { _folder: folder, store, lane, incidents }
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&WriteTx<'_>, &Incidents) -> Result<T, save::Error> + Send + 'static,
    ) -> Result<T, save::Error> {
        let incidents = Arc::clone(&self.incidents);
        self.store.write("test", move |tx| work(tx, &incidents)).await
    }

    async fn save(&self, at: Timestamp, slug: &str, json: &str, owner: Owner) -> Result<Change, save::Error> {
        let draft =
            Draft { project: SHOP, slug: slug.parse().unwrap(), name: None, definition: define(json), owner };
        self.write(move |tx, incidents| save::save(tx, &By::tocsin(at), incidents, &draft))
            .await
            .map(|(_, change)| change)
    }

    /// A heartbeat of the page.
    async fn make(&self, slug: &str, json: &str) -> HeartbeatId {
        self.save(NOON, slug, json, Owner::Page).await.unwrap();
        self.find(slug).id
    }

    fn find(&self, slug: &str) -> Heartbeat {
        self.read(|tx| queries::find_by_slug(tx, SHOP, slug)).unwrap()
    }

    fn read<T>(&self, work: impl FnOnce(&ReadTx<'_>) -> Result<T, Error>) -> T {
        self.store.read_now(work).unwrap()
    }

    async fn ping(&self, id: HeartbeatId, at: Timestamp, action: Action) {
        assert_eq!(self.send(ping(Target::Known(id), at, action)).await, Taken::Recorded);
    }

    async fn send(&self, ping: Ping) -> Taken {
        self.lane.submit(ping).await.unwrap()
    }

    async fn pass(&self, now: Timestamp) -> Passed {
        let incidents = Arc::clone(&self.incidents);
        self.store
            .write("due", move |tx| pass(tx, &incidents, now, 100))
            .await
            .map_err(|error: Error| error)
            .unwrap()
    }

    /// Open incidents: their summary and severity.
    fn incidents(&self) -> Vec<String> {
        self.read(|tx| {
            tx.all("SELECT summary FROM incidents WHERE state <> 'resolved' ORDER BY id", [], |row| {
                row.get(0)
            })
        })
    }

    fn number(&self, sql: &str) -> i64 {
        self.read(|tx| tx.one(sql, [], |row| row.get(0)))
    }
}

fn ping(target: Target, at: Timestamp, action: Action) -> Ping {
    Ping {
        target,
        at,
        action,
        rid: None,
        method: "POST",
        source: Origin::Http,
        agent: "curl/8".to_owned(),
        address: "10.0.0.1".to_owned(),
        body: Vec::new(),
        body_bytes: 0,
        took: None,
        note: String::new(),
    }
}
