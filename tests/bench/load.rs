//! The load generator: many keep-alive connections, each with one request on its way.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tocsin::base::Clock;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::body::Template;
use crate::wire::Wire;

/// What is sent, one at random at a time.
pub(crate) enum Requests {
    /// Each with an event id and a time of its own.
    Events(Vec<Template>),
    /// Each as it is.
    Fixed(Vec<Vec<u8>>),
}

#[derive(Clone, Copy)]
pub(crate) struct Offer {
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
    /// The latencies of this time are not told; its answers count like all others.
    pub(crate) warm_up: Duration,
    pub(crate) end: End,
}

#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// Closed loop: each connection sends as soon as it has its answer.
    AsAnswered,
    /// Open loop: requests are due at even intervals, and latency counts from when a request was due, so
    /// that a server that stands still is not spared the requests of that time.
    PerSecond(u32),
}

#[derive(Clone, Copy)]
pub(crate) enum End {
    After(Duration),
    Requests(u32),
}

/// What one run of load saw.
#[derive(Default)]
pub(crate) struct Load {
    pub(crate) accepted: u32,
    /// Answers other than 2xx, by status.
    pub(crate) refused: BTreeMap<u16, u32>,
    /// Requests without an answer: nobody knows whether they count.
    pub(crate) failed: u32,
    pub(crate) elapsed: Duration,
    /// Of every answer after the warm-up; sorted.
    latencies_us: Vec<u32>,
}

/// Pause after a failed request, so that a dead server is not hammered.
const FAILURE_PAUSE: Duration = Duration::from_millis(5);

/// Offers load to `address` until the end of `offer`, then waits for the answers still on their way.
pub(crate) async fn run(address: SocketAddr, requests: Arc<Requests>, offer: Offer) -> Result<Load> {
    let schedule = Arc::new(Schedule { start: Instant::now(), offer, next: AtomicU32::new(0) });
    let mut connections = JoinSet::new();
    for _ in 0..offer.connections {
        connections.spawn(connection(Wire::new(address), requests.clone(), schedule.clone()));
    }
    let mut load = Load::default();
    while let Some(one) = connections.join_next().await {
        load.add(one.context("a connection's task ended early")?);
    }
    load.elapsed = schedule.start.elapsed();
    load.latencies_us.sort_unstable();
    Ok(load)
}

impl Requests {
    fn write(&self, request: &mut Vec<u8>, random: &mut fastrand::Rng, clock: &Clock) {
        match self {
            Self::Events(templates) => {
                let template = &templates[random.usize(..templates.len())];
                template.write(request, random, clock.now());
            }
            Self::Fixed(requests) => requests[random.usize(..requests.len())].clone_into(request),
        }
    }
}

impl Load {
    pub(crate) fn accepted_per_s(&self) -> f64 {
        f64::from(self.accepted) / self.elapsed.as_secs_f64()
    }

    /// The latency that so many thousandths of the answers stayed within. 1000 is the slowest.
    pub(crate) fn latency_ms(&self, permille: usize) -> f64 {
        let rank = (self.latencies_us.len() * permille).div_ceil(1000).saturating_sub(1);
        self.latencies_us.get(rank).map_or(f64::NAN, |&micros| f64::from(micros) / 1000.0)
    }

    pub(crate) fn fastest_ms(&self) -> f64 {
        self.latencies_us.first().map_or(f64::NAN, |&micros| f64::from(micros) / 1000.0)
    }

    fn record(&mut self, status: u16, latency: Option<Duration>) {
        let micros = |latency: Duration| u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        self.latencies_us.extend(latency.map(micros));
        if (200..300).contains(&status) {
            self.accepted += 1;
        } else {
            *self.refused.entry(status).or_default() += 1;
        }
    }

    fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.failed += other.failed;
        self.latencies_us.extend(other.latencies_us);
        for (status, count) in other.refused {
            *self.refused.entry(status).or_default() += count;
        }
    }
}

/// Hands out the requests of a run, one at a time, to the connections.
struct Schedule {
    start: Instant,
    offer: Offer,
    next: AtomicU32,
}

impl Schedule {
    /// When the next request is due; `None` at the end of the run.
    fn next_due(&self) -> Option<Instant> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let due = match self.offer.pace {
            Pace::AsAnswered => Instant::now(),
            Pace::PerSecond(rate) => self.start + Duration::from_secs(1) * number / rate,
        };
        let goes_on = match self.offer.end {
            End::After(duration) => due < self.start + duration,
            End::Requests(count) => number < count,
        };
        goes_on.then_some(due)
    }
}

async fn connection(mut wire: Wire, requests: Arc<Requests>, schedule: Arc<Schedule>) -> Load {
    let (mut random, clock) = (fastrand::Rng::new(), Clock::system());
    let (mut load, mut request) = (Load::default(), Vec::new());
    while let Some(due) = schedule.next_due() {
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
        }
        requests.write(&mut request, &mut random, &clock);
        let start = match schedule.offer.pace {
            Pace::AsAnswered => Instant::now(),
            Pace::PerSecond(_) => due,
        };
        if let Ok(reply) = wire.exchange(&request).await {
            let is_warm = start >= schedule.start + schedule.offer.warm_up;
            load.record(reply.status, is_warm.then(|| start.elapsed()));
        } else {
            load.failed += 1;
            tokio::time::sleep(FAILURE_PAUSE).await;
        }
    }
    load
}
