//! How all services are, in memory: what `/api/health` is answered from. Laid down by the task that judges them.

use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;

use super::rule::{ServiceStatus, overall};
use super::{Service, queries, shape};
use crate::accounts::Visible;
use crate::base::Timestamp;
use crate::incidents::maintenance::Covers;
use crate::probes::board::Live;
use crate::probes::{Board, Kind, ProbeId};
use crate::store::{Error, ReadTx, params};

/// Cheap to clone; clones share one. A reader never waits for longer than a pointer takes to be exchanged.
#[derive(Clone, Debug, Default)]
pub struct SnapshotHolder(Arc<RwLock<Arc<Snapshot>>>);

/// Everything at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub at: Timestamp,
    /// Over all services.
    pub status: ServiceStatus,
    /// In their order.
    pub services: Vec<Seen>,
    pub metrics: Metrics,
    /// What `/api/health` answers to those who see everything, as JSON.
    pub overview: String,
}

/// A service with what its members saw last.
#[derive(Clone, Debug)]
pub struct Seen {
    pub service: Service,
    /// As its members, in their order; `None` of those that are no probes, or were not asked yet.
    pub live: Vec<Option<Live>>,
}

/// Numbers over all services; `None` where nobody measures them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Metrics {
    pub response_time_ms: Option<f64>,
    pub active_users: Option<f64>,
    pub queue_depth: Option<f64>,
    /// Failed share of requests, 0 to 1.
    pub error_rate: Option<f64>,
}

/// A reported number is of now for this long.
const REPORTED_FOR: std::time::Duration = std::time::Duration::from_mins(10);

impl Default for Snapshot {
    fn default() -> Self {
        Self::of(Timestamp::EPOCH, Vec::new(), Metrics::default())
    }
}

impl SnapshotHolder {
    pub fn get(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn set(&self, snapshot: Snapshot) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }
}

impl Snapshot {
    /// Reads how everything is; of probes what is in memory goes before what is written.
    pub fn read(tx: &ReadTx<'_>, now: Timestamp, covers: &Covers, board: &Board) -> Result<Self, Error> {
        let services = queries::list(tx, &Visible::All)?;
        let seen: Vec<Seen> =
            services.into_iter().map(|service| Seen::of(service, now, covers, board)).collect();
        let reported = |name| read_reported(tx, now, name);
        let metrics = Metrics {
            response_time_ms: mean_latency(&seen),
            active_users: reported("active_users")?.map(|found| found.sum),
            queue_depth: reported("queue_depth")?.map(|found| found.sum),
            error_rate: reported("error_rate")?.map(|found| found.mean),
        };
        Ok(Self::of(now, seen, metrics))
    }

    fn of(at: Timestamp, services: Vec<Seen>, metrics: Metrics) -> Self {
        let status = overall(services.iter().map(|seen| (seen.service.status, seen.service.critical)));
        let mut snapshot = Self { at, status, services, metrics, overview: String::new() };
        snapshot.overview = shape::overview(&snapshot, &Visible::All).to_string();
        snapshot
    }

    /// The services that somebody may see.
    pub fn seen_by<'s>(&'s self, visible: &'s Visible) -> impl Iterator<Item = &'s Seen> {
        self.services.iter().filter(|seen| visible.contains(seen.service.project))
    }

    pub fn find(&self, key: &str) -> Option<&Seen> {
        self.services.iter().find(|seen| seen.service.key == key)
    }
}

impl Seen {
    fn of(mut service: Service, now: Timestamp, covers: &Covers, board: &Board) -> Self {
        let live: Vec<_> = service.members.iter().map(|member| find_live(board, &member.member)).collect();
        for (member, live) in service.members.iter_mut().zip(&live) {
            if let Some(live) = live {
                member.follow(live);
            }
        }
        service.cover(covers);
        let judged = service.judge(covers);
        if service.status != judged.status {
            service.since = Some(service.turned_at(now, judged.status));
        }
        (service.status, service.reason) = (judged.status, judged.reason);
        Self { service, live }
    }

    /// What its healthiest answer took, in milliseconds: of one that needs only some, the one that is used first.
    pub fn latency_ms(&self) -> Option<f64> {
        let latencies = (0..self.live.len()).filter_map(|nth| self.member_latency_ms(nth));
        if self.service.needs.least().is_some() {
            latencies.reduce(f64::min)
        } else {
            latencies.reduce(f64::max)
        }
    }

    /// What the last answer of the member at this place took; nothing of one that is only reported to.
    pub fn member_latency_ms(&self, nth: usize) -> Option<f64> {
        if self.service.members.get(nth)?.kind == Kind::Push.as_str() {
            return None;
        }
        let last = self.live.get(nth)?.as_ref().and_then(|live| live.last.as_ref());
        let live = last.map(|last| round(last.phases.total.as_secs_f64() * 1e3));
        let stored = self.service.members.get(nth).and_then(|member| member.latency_us);
        #[expect(clippy::cast_precision_loss, reason = "a latency has few digits")]
        live.or(stored.map(|us| round(us as f64 / 1e3)))
    }
}

fn round(ms: f64) -> f64 {
    (ms * 100.0).round() / 100.0
}

fn find_live(board: &Board, member: &str) -> Option<Live> {
    board.get(ProbeId::of_signal_key(member)?)
}

fn mean_latency(services: &[Seen]) -> Option<f64> {
    let all: Vec<f64> = services
        .iter()
        .flat_map(|seen| (0..seen.live.len()).filter_map(|nth| seen.member_latency_ms(nth)))
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "at most some thousand members")]
    let count = all.len() as f64;
    (!all.is_empty()).then(|| round(all.iter().sum::<f64>() / count))
}

/// A number that applications reported, over all projects.
struct Reported {
    sum: f64,
    mean: f64,
}

/// The last point of each project that is not too old.
fn read_reported(tx: &ReadTx<'_>, now: Timestamp, name: &str) -> Result<Option<Reported>, Error> {
    tx.one(
        "SELECT total(value), avg(value) FROM (
             SELECT (SELECT m.value FROM metric_points m
                     WHERE m.project_id = p.id AND m.type = ?1 AND m.at BETWEEN ?2 AND ?3
                     ORDER BY m.at DESC LIMIT 1) AS value
             FROM projects p)",
        params![name, (now - REPORTED_FOR).as_micros(), now.as_micros()],
        |row| {
            let mean: Option<f64> = row.get(1)?;
            let sum = row.get(0)?;
            Ok(mean.map(|mean| Reported { sum, mean }))
        },
    )
}
