//! What keeps services, planned work and the status page up to date.

use std::sync::Arc;
use std::time::Duration;

use super::parts::{BuildError, base_url};
use super::probing;
use crate::base::seal::Sealer;
use crate::base::{Clock, Entropy, Timestamp};
use crate::config::Config;
use crate::engine::{Report, Schedule, Task, Wake};
use crate::health::services::{self, SERVICES, Services, Snapshot, SnapshotHolder};
use crate::heartbeats::{self, HEARTBEATS};
use crate::http::status::{Inputs, RENDER_TASK, StatusCache};
use crate::incidents::maintenance::{Covers, CoversNow};
use crate::incidents::{Incidents, MAINTENANCE, maintenance};
use crate::prober::{Loop, Prober, Sight};
use crate::probes::{self, Board};
use crate::status_page::{self, Followed};
use crate::store::{Error, ReadTx, Store, Topic, WriteTx};
use crate::telemetry::Registry;

/// What these tasks work with.
#[derive(Clone)]
pub(super) struct Watching {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) entropy: Entropy,
    pub(super) incidents: Arc<Incidents>,
    pub(super) sight: Sight,
    pub(super) prober: Prober,
    pub(super) covers: CoversNow,
    pub(super) services: Arc<Services>,
    pub(super) watched: SnapshotHolder,
    pub(super) status: StatusCache,
    pub(super) base_url: String,
}

/// What changes how a service is: its members, and what it is made of.
const MEMBERS: &[Topic] = &[probes::STATES, heartbeats::STATES, HEARTBEATS, SERVICES];

/// Occurrences that one run begins: each becomes up to 50 silences.
const MAINTENANCE_ROWS: u32 = 10;

impl Watching {
    /// Notes how long tocsin was away, and reads how the services were before this start, so that nobody is told that
    /// there are none. Also hands out the loop that is to be driven.
    pub(super) async fn build(
        (store, clock, incidents, sealer): (&Store, &Clock, &Arc<Incidents>, &Sealer),
        config: &Config,
        registry: &Registry,
    ) -> Result<(Self, Loop), BuildError> {
        let sight = Sight::new(store.clone(), clock.clone(), Arc::clone(incidents));
        sight.wake().await?;
        let covers = CoversNow::default();
        let (prober, asking) =
            probing::prober((store, clock), config, (incidents, sealer), registry, (covers.clone(), &sight))?;
        let watched = SnapshotHolder::default();
        watched.set(look(store, clock.now(), &covers, prober.board.clone()).await?);
        let services = Arc::new(Services { incidents: Arc::clone(incidents), probes: prober.probes.clone() });
        let watching = Self {
            store: store.clone(),
            clock: clock.clone(),
            entropy: incidents.entropy.clone(),
            incidents: Arc::clone(incidents),
            sight,
            prober,
            covers,
            services,
            watched,
            status: StatusCache::default(),
            base_url: base_url(config).as_str().to_owned(),
        };
        Ok((watching, asking))
    }

    pub(super) fn tasks(&self) -> Vec<Task> {
        let every = |seconds| Schedule::Every(Duration::from_secs(seconds));
        let task = |name, does, schedule, topics, run: fn(Self) -> Run| {
            let with = self.clone();
            Task::new(name, does, schedule, Wake::OnCommit(topics), move || run(with.clone()))
        };
        vec![
            probing::alive(self.sight.clone()),
            task("incidents.maintenance", "Begins and ends planned work", every(1), &[MAINTENANCE], |with| {
                Box::pin(maintenance(with))
            }),
            task(
                "health.services",
                "Judges the services, and rings for those that need only some of their members",
                every(2),
                MEMBERS,
                |with| Box::pin(services(with)),
            ),
            task(
                RENDER_TASK,
                "Lays down what strangers see, and begins and ends posts with their incidents",
                every(30),
                &[SERVICES],
                |with| Box::pin(status_page(with)),
            ),
        ]
    }
}

/// How everything is, under the planned work of this moment, which is under way for whoever judges, too.
async fn look(store: &Store, now: Timestamp, covers: &CoversNow, board: Board) -> Result<Snapshot, Error> {
    let read = move |tx: &ReadTx<'_>| {
        let planned = maintenance::covers(tx, now)?;
        Ok((Snapshot::read(tx, now, &planned, &board)?, planned))
    };
    let (snapshot, planned) = store.read_reserved(read).await.map_err(|error: Error| error)?;
    covers.set(planned);
    Ok(snapshot)
}

type Run = std::pin::Pin<Box<dyn Future<Output = anyhow::Result<Report>> + Send>>;

async fn maintenance(with: Watching) -> anyhow::Result<Report> {
    let (now, incidents) = (with.clock.now(), Arc::clone(&with.incidents));
    if !with.store.read_reserved(move |tx| maintenance::is_due(tx, now)).await? {
        with.covers.set(with.store.read_reserved(move |tx| maintenance::covers(tx, now)).await?);
        return Ok(Report::Idle);
    }
    let keep = move |tx: &WriteTx<'_>| incidents.keep_maintenance(tx, now, MAINTENANCE_ROWS);
    let kept = with.store.write("incidents.maintenance", keep).await?;
    with.covers.set(with.store.read_reserved(move |tx| maintenance::covers(tx, now)).await?);
    let text = format!("{} begun, {} over", kept.begun, kept.over);
    Ok(if kept.more { Report::More(text) } else { Report::Did(text) })
}

async fn services(with: Watching) -> anyhow::Result<Report> {
    let (now, board) = (with.clock.now(), with.prober.board.clone());
    let covers = Arc::new(with.store.read_reserved(move |tx| maintenance::covers(tx, now)).await?);
    let kept = keep_services(&with, now, Arc::clone(&covers)).await;
    // What could not be written is known all the same, and told to those who ask.
    let read = move |tx: &ReadTx<'_>| Snapshot::read(tx, now, &covers, &board);
    with.watched.set(with.store.read_reserved(read).await?);
    let kept = kept?;
    Ok(if kept == services::Kept::default() {
        Report::Idle
    } else {
        Report::Did(format!("{} changed, {} rang or ended", kept.changed, kept.rung))
    })
}

async fn keep_services(
    with: &Watching,
    now: Timestamp,
    covers: Arc<Covers>,
) -> Result<services::Kept, services::Error> {
    let (services, look, under) =
        (Arc::clone(&with.services), Arc::clone(&with.services), Arc::clone(&covers));
    if !with.store.read_reserved(move |tx| look.is_due(tx, &under)).await? {
        return Ok(services::Kept::default());
    }
    with.store.write("health.services", move |tx| services.keep(tx, now, &covers)).await
}

async fn status_page(with: Watching) -> anyhow::Result<Report> {
    let mut inputs = read_status_page(&with).await?;
    let mut followed = Followed::default();
    if let Some(read) = &inputs {
        let (shown, publish) = (read.followed(), read.publish());
        let (asked, now) = (shown.clone(), with.clock.now());
        if with.store.read_reserved(move |tx| status_page::is_due(tx, now, &asked)).await? {
            let entropy = with.entropy.clone();
            let follow = move |tx: &WriteTx<'_>| status_page::follow(tx, now, &entropy, &shown, publish);
            followed = with.store.write("status_page.follow", follow).await?;
            inputs = read_status_page(&with).await?;
        }
    }
    let status = with.status.clone();
    let is_on = inputs.is_some();
    tokio::task::spawn_blocking(move || status.render(inputs.as_ref())).await??;
    Ok(match (is_on, followed == Followed::default()) {
        (false, _) | (true, true) => Report::Idle,
        (true, false) => Report::Did(format!("{} posts begun, {} went on", followed.begun, followed.told)),
    })
}

/// With the services as they are in the same transaction: what was laid down for others may be older.
async fn read_status_page(with: &Watching) -> Result<Option<Inputs>, Error> {
    let (now, board, base_url) = (with.clock.now(), with.prober.board.clone(), with.base_url.clone());
    let read = move |tx: &ReadTx<'_>| {
        let snapshot = Snapshot::read(tx, now, &maintenance::covers(tx, now)?, &board)?;
        Inputs::read(tx, now, &snapshot, &base_url)
    };
    with.store.read_reserved(read).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Owner, ProjectId};
    use crate::incidents::Policy;
    use crate::incidents::maintenance::Draft;
    use crate::store::Options;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[tokio::test(flavor = "multi_thread")]
    async fn planned_work_that_is_under_way_at_a_start_covers_the_first_reading() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
        let incidents = Incidents { policy: Policy::default(), entropy: Entropy::seeded(1) };
        let planned = Draft {
            key: "move".to_owned(),
            project: None,
            subjects: Vec::new(),
            title: "Moving house".to_owned(),
            message: String::new(),
            is_public: false,
            starts_at: NOW,
            ends_at: None,
            duration_s: 600,
            schedule: None,
            time_zone: "UTC".to_owned(),
            owner: Owner::Page,
        };
        let plan = move |tx: &WriteTx<'_>| {
            incidents.save_maintenance(tx, NOW, &planned, "ann").unwrap();
            incidents.keep_maintenance(tx, NOW, MAINTENANCE_ROWS)
        };
        store.write("test", plan).await.unwrap();
        let covers = CoversNow::default();
        look(&store, NOW + Duration::from_mins(1), &covers, Board::default()).await.unwrap();
        assert!(covers.covers(ProjectId(1), "probe:7"));
        store.stop();
    }
}
