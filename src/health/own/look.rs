//! What one look at tocsin itself finds.

use std::time::Duration;

use crate::base::{Severity, Timestamp};
use crate::store::{Error, ReadTx};

/// Facts of one moment, and since the look before.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    pub at: Timestamp,
    /// Time that passed since this process first asked ([`Clock::monotonic`](crate::base::Clock::monotonic)).
    pub passed: Duration,
    /// What it tells of is the start.
    pub is_first: bool,
    /// What became of an empty write that was sent through the queue.
    pub proof: Proof,
    /// The damage of the database that was met since the start.
    pub damage: Option<String>,
    /// How long the oldest item of an intake lane has waited.
    pub lane_age: Duration,
    /// Jobs and lane items that wait.
    pub waiting: u64,
    /// Refused since the last look because a queue was full.
    pub refused: u64,
    /// Commits that failed since the last look, those on a full disk apart.
    pub commits_failed: u64,
    /// Commits that a full disk refused since the last look.
    pub disk_full: u64,
    /// The disk was full and its reserve given up: nothing but alarms is written until there is room again.
    pub reserve_gone: bool,
    /// The byte budget is used up: intake rests.
    pub over_budget: bool,
    /// The slowest batch since the last look.
    pub slowest_batch: Duration,
    /// `None` where the file system does not tell.
    pub disk: Option<Disk>,
    /// `None` where nothing could be read.
    pub outbox: Option<Outbox>,
    /// Events counted since the start, and how many per second came since the last look.
    pub events: u64,
    pub events_per_second: f64,
}

/// What became of the proof of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    Committed(Duration),
    /// The queue was full.
    Refused,
    DiskFull,
    /// Nobody answered for this long.
    Silent(Duration),
    Failed(String),
}

impl Proof {
    /// Why nothing can be written, where that is a fault: a full disk and a full queue are told elsewhere.
    pub fn failure(&self) -> Option<String> {
        match self {
            Self::Committed(_) | Self::Refused | Self::DiskFull => None,
            Self::Silent(time) => Some(format!("no write was committed within {} s", time.as_secs())),
            Self::Failed(why) => Some(format!("no write was committed: {why}")),
        }
    }
}

/// The file system under the data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// What this process may still use.
    pub free_bytes: u64,
    pub total_bytes: u64,
}

/// Messages and incidents, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbox {
    /// On their way: pending or being sent.
    pub pending: u64,
    /// Without a channel to go to.
    pub waiting: u64,
    /// When the oldest message that is on its way was written.
    pub oldest: Option<Timestamp>,
    /// They ring: ready, and the last try did not fail.
    pub channels_ready: u64,
    /// Paused by a person, refused for good by the other side, or failing.
    pub channels_off: u64,
    /// The names of these; empty where there are none.
    pub off_names: String,
    /// The names of those that ring and delivered nothing so far, no test either.
    pub untested_names: String,
    /// Open incidents, by severity in the order of [`Severity::ALL`].
    pub open: [u64; 4],
    pub acknowledged: u64,
}

impl Outbox {
    pub fn open_incidents(&self) -> u64 {
        self.open.iter().sum()
    }

    pub fn open_by_severity(&self) -> impl Iterator<Item = (Severity, u64)> {
        Severity::ALL.into_iter().zip(self.open)
    }
}

/// Counts messages, channels and incidents.
pub fn read_outbox(tx: &ReadTx<'_>) -> Result<Outbox, Error> {
    let mut found = Outbox::default();
    let messages = tx.all(
        "SELECT state, count(*), min(created_at) FILTER (WHERE follows IS NULL) FROM deliveries
         WHERE state IN ('pending', 'sending', 'waiting') GROUP BY state LIMIT 3",
        [],
        |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<i64>>(2)?)),
    )?;
    for (state, count, oldest) in messages {
        let (count, oldest) = (unsigned(count), oldest.map(Timestamp::from_micros));
        if state == "waiting" {
            found.waiting = count;
        } else {
            found.pending += count;
            found.oldest = found.oldest.into_iter().chain(oldest).min();
        }
    }
    (found.channels_ready, found.channels_off, found.off_names, found.untested_names) = tx.one(
        "SELECT count(*) FILTER (WHERE rings), count(*) FILTER (WHERE NOT rings),
                coalesce(group_concat(name, ', ') FILTER (WHERE NOT rings), ''),
                coalesce(group_concat(name, ', ') FILTER (WHERE rings AND delivered_at IS NULL), '')
         FROM (SELECT name, delivered_at, state = 'ready' AND failures = 0 AS rings FROM channels ORDER BY position)",
        [],
        |row| Ok((unsigned(row.get(0)?), unsigned(row.get(1)?), row.get(2)?, row.get(3)?)),
    )?;
    let incidents = tx.all(
        "SELECT state, severity, count(*) FROM incidents WHERE state <> 'resolved' GROUP BY state, severity LIMIT 8",
        [],
        |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?)),
    )?;
    for (state, severity, count) in incidents {
        if state == "acknowledged" {
            found.acknowledged += unsigned(count);
        } else if let Some(place) = Severity::ALL.iter().position(|known| known.as_str() == severity) {
            found.open[place] += unsigned(count);
        }
    }
    Ok(found)
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
