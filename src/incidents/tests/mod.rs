use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::channels::{Channel, ChannelHealth, ChannelKind, ChannelOwner, ChannelState, NewChannel};
use super::deliveries::{Attempt, Blame, Claimed, Receipt, Refusal};
use super::put_off::Unreached;
use super::queries::{PageOf, Scope, StateFilter};
use super::rules::{RuleChange, RuleKind, RuleScope};
use super::silences::{self, NewSilence};
use super::*;
use crate::base::{ProjectId, Severity, Timestamp, Uid};
use crate::store::{Options, Store, WriteTx, params};

mod crowds;
mod failing;
mod gathered;
mod life;
mod messages_sent;
mod never_lost;
mod plans;
mod put_off;
mod reading;
mod refusals;
mod silent;
mod told;
mod turns;

pub(super) const INCIDENT_PROJECTS: [i64; 2] = [1, 2];
const T0: Timestamp = Timestamp::from_secs(1_800_000_000);
const RECEIPT: Receipt<'static> =
    Receipt { remote_id: Some("ts-1"), unreached: &Unreached::NONE, again_at: T0 };
const BY: &str = "ann@example.org";

/// A store on disk with two projects. Everything a test does to it is one transaction that is taken back, so that
/// one store serves all.
pub(super) struct Bed {
    store: Store,
    _folder: tempfile::TempDir,
}

/// The transaction of a finished test is to be taken back.
enum Undo {
    Finished,
    Store(store::Error),
}

impl From<store::Error> for Undo {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl Bed {
    pub(super) fn shared() -> &'static Self {
        static BED: OnceLock<Bed> = OnceLock::new();
        BED.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
            let projects = |tx: &WriteTx<'_>| -> Result<(), store::Error> {
                for id in INCIDENT_PROJECTS {
                    tx.execute(
                        "INSERT INTO projects (id, slug, name, created_at) VALUES (?1, ?2, ?2, 0)",
                        params![id, format!("project-{id}")],
                    )?;
                }
                Ok(())
            };
            store.write_now("projects", projects).unwrap();
            Bed { store, _folder: folder }
        })
    }

    pub(super) fn try_out(&self, work: impl FnOnce(&WriteTx<'_>, &Incidents) + Send + 'static) {
        let failure: std::sync::Arc<Mutex<Option<String>>> = std::sync::Arc::default();
        let seen = std::sync::Arc::clone(&failure);
        let result: Result<(), Undo> = self.store.write_now("test", move |tx| {
            let incidents = Incidents { policy: Policy::default(), entropy: Entropy::seeded(1) };
            let run = std::panic::AssertUnwindSafe(|| work(tx, &incidents));
            if let Err(panic) = std::panic::catch_unwind(run) {
                let text = panic
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                *seen.lock().unwrap_or_else(PoisonError::into_inner) = text.or_else(|| Some(String::new()));
            }
            Err(Undo::Finished)
        });
        match result {
            Err(Undo::Finished) => {}
            Err(Undo::Store(error)) => panic!("{error}"),
            Ok(()) => panic!("the test's transaction was kept"),
        }
        let failure = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        assert!(failure.is_none(), "{}", failure.unwrap_or_default());
    }
}

pub(super) fn add_channel(tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp, name: &str) -> ChannelId {
    incidents.create_channel(tx, now, &new_channel(incidents, name)).unwrap()
}

fn new_channel(incidents: &Incidents, name: &str) -> NewChannel {
    NewChannel {
        uid: incidents.entropy.uid(T0),
        name: name.to_owned(),
        kind: ChannelKind::Webhook,
        settings: json!({"url": "https://example.org/hook"}),
        sealed: None,
        owner: ChannelOwner::Page,
    }
}

fn firing(key: &str, severity: Severity) -> Signal {
    Signal {
        project: Some(ProjectId(1)),
        service: None,
        key: key.to_owned(),
        source: Source::ErrorRate,
        severity,
        summary: format!("{key} is bad"),
        detail: json!({"errors": 12}),
        first_bad_at: T0 - Duration::from_secs(90),
        observed_at: T0,
        kind: SignalKind::Firing,
    }
}

fn at(mut signal: Signal, now: Timestamp) -> Signal {
    signal.first_bad_at = now;
    signal.observed_at = now;
    signal
}

fn open(tx: &WriteTx<'_>, incidents: &Incidents, key: &str, severity: Severity) -> IncidentId {
    incidents.raise(tx, T0, &firing(key, severity)).unwrap().incident.unwrap()
}

/// A silence of half an hour over a key.
fn silence_of(key: &str) -> NewSilence {
    NewSilence {
        project: None,
        key: Some(key.to_owned()),
        incident: None,
        reason: "work".to_owned(),
        created_by: BY.to_owned(),
        starts_at: T0,
        ends_at: minutes(30),
    }
}

fn minutes(n: u64) -> Timestamp {
    T0 + Duration::from_mins(n)
}

/// Purpose, channel and state of every message, in the order written.
fn messages(tx: &WriteTx<'_>) -> Vec<(String, Option<i64>, String)> {
    tx.all("SELECT purpose, channel_id, state FROM deliveries ORDER BY id", [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })
    .unwrap()
}

fn purposes(tx: &WriteTx<'_>) -> Vec<String> {
    messages(tx).into_iter().map(|(purpose, _, _)| purpose).collect()
}

fn boot() -> Uid {
    Uid::from_bytes([1; 16])
}

fn claim(tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp) -> Vec<Claimed> {
    incidents.claim_due(tx, now, boot(), 100).unwrap()
}

/// A message that this one channel would not take.
fn refused(reason: &str) -> Refusal<'_> {
    Refusal { reason, blame: Blame::Message }
}

/// The channel itself cannot work.
fn broken(reason: &str) -> Refusal<'_> {
    Refusal { reason, blame: Blame::Settings }
}

fn attempt(now: Timestamp) -> Attempt {
    Attempt { started_at: now, duration: Duration::from_millis(20), detail: "200 OK".to_owned() }
}

/// Sends everything that is due, and answers the purposes in order.
fn deliver_all(tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp) -> Vec<Purpose> {
    let mut sent = Vec::new();
    loop {
        let claimed = claim(tx, incidents, now);
        if claimed.is_empty() {
            return sent;
        }
        for message in claimed {
            incidents.record_delivered(tx, now, message.id, &attempt(now), RECEIPT).unwrap();
            sent.push(message.purpose);
        }
    }
}
