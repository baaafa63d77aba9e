//! An event that was verified, taken once: the request, its payload, and a delivery for each destination that takes it.
//!
//! Written by the lane of intake, in the transaction whose commit is the provider's 200.

use std::collections::BTreeMap;

use serde::Serialize;

use super::tally::{self, Tally};
use super::{DeliveryStatus, DestinationId, SourceId, WEBHOOK_DELIVERIES};
use crate::base::{Entropy, ProjectId, Timestamp, Uid};
use crate::incidents::{CloseReason, Incidents};
use crate::store::{Error, ReadTx, WriteTx, params};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RequestId(pub i64);

/// An event as it may be stored.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub uid: Uid,
    pub source: SourceId,
    pub project: ProjectId,
    pub received_at: Timestamp,
    /// By which it is known again.
    pub event_id: String,
    /// By which it is known again whatever its id is: of what was signed, where that holds neither a time nor the id.
    pub content: Option<String>,
    pub event_type: String,
    pub order_key: Option<String>,
    pub content_type: String,
    pub body_bytes: u32,
    /// Who called.
    pub address: String,
    /// Which of the secrets verified it, 0 the newest.
    pub secret: Option<u32>,
    pub signed_at: Option<Timestamp>,
    /// As [`super::Payload::seal`] made it, for `uid`.
    pub payload: Vec<u8>,
    /// The destinations that take it.
    pub to: Vec<Towards>,
}

/// One destination of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Towards {
    pub destination: DestinationId,
    pub in_order: bool,
}

/// What became of an event. It is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    New,
    /// It was taken before and died, and the provider sent it again: it is delivered anew where it is dead.
    Again,
    /// It was taken before.
    Duplicate,
    /// Nothing was recorded: the source was removed meanwhile.
    Gone,
}

/// What a batch of the lane did, for those who count: once for each source.
#[derive(Debug, Default)]
pub struct Batch {
    /// The destinations that a source has now; `None`: it is gone.
    sources: BTreeMap<SourceId, Option<Vec<DestinationId>>>,
    tallies: BTreeMap<SourceId, (Tally, Timestamp)>,
}

/// Who dealt with a dead letter whose event came again.
pub const SENT_AGAIN: &str = "sent again by the provider";

impl Batch {
    /// Takes one event in.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn accept(
        &mut self,
        tx: &WriteTx<'_>,
        incidents: &Incidents,
        arrival: &Arrival,
    ) -> Result<Accepted, Error> {
        let entropy = &incidents.entropy;
        let Some(there) = self.destinations(tx, arrival.source)? else { return Ok(Accepted::Gone) };
        let accepted = match find_processed(tx, arrival)? {
            None => {
                let to = arrival.to.iter().filter(|towards| there.contains(&towards.destination));
                let to: Vec<Towards> = to.copied().collect();
                let request = insert_request(tx, arrival, None)?;
                remember(tx, arrival, request)?;
                deliver(tx, entropy, arrival, request, &to)?;
                Accepted::New
            }
            Some(before) => {
                let dead = dead_ends(tx, before)?;
                let to: Vec<Towards> =
                    dead.into_iter().filter(|towards| there.contains(&towards.destination)).collect();
                if to.is_empty() {
                    count_repeat(tx, before)?;
                    Accepted::Duplicate
                } else {
                    settle(tx, incidents, before, arrival.received_at, &to)?;
                    let request = insert_request(tx, arrival, Some(before))?;
                    remember(tx, arrival, request)?;
                    deliver(tx, entropy, arrival, request, &to)?;
                    Accepted::Again
                }
            }
        };
        self.note(arrival, accepted);
        Ok(accepted)
    }

    /// Writes what was counted, and wakes whoever waits for it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn finish(self, tx: &WriteTx<'_>) -> Result<(), Error> {
        for (source, (came, at)) in self.tallies {
            tally::add(tx, source, at, came)?;
        }
        tx.touch(WEBHOOK_DELIVERIES);
        Ok(())
    }

    fn destinations(
        &mut self,
        tx: &ReadTx<'_>,
        source: SourceId,
    ) -> Result<Option<Vec<DestinationId>>, Error> {
        if let Some(known) = self.sources.get(&source) {
            return Ok(known.clone());
        }
        let is_there = tx.first("SELECT 1 FROM webhook_sources WHERE id = ?1", [source.0], |_| Ok(()))?;
        let there = match is_there {
            Some(()) => Some(tx.all(
                "SELECT id FROM webhook_destinations INDEXED BY webhook_destinations_by_source WHERE source_id = ?1",
                [source.0],
                |row| row.get(0).map(DestinationId),
            )?),
            None => None,
        };
        self.sources.insert(source, there.clone());
        Ok(there)
    }

    fn note(&mut self, arrival: &Arrival, accepted: Accepted) {
        let (tally, at) = self.tallies.entry(arrival.source).or_default();
        *at = (*at).max(arrival.received_at);
        match accepted {
            Accepted::New | Accepted::Again => tally.accepted += 1,
            Accepted::Duplicate => tally.duplicates += 1,
            Accepted::Gone => {}
        }
    }
}

/// The request by which the event was taken last. What it says counts before the id that it says it under: nobody signed
/// that.
fn find_processed(tx: &ReadTx<'_>, arrival: &Arrival) -> Result<Option<RequestId>, Error> {
    for name in names(arrival).rev() {
        let found = tx.first(
            "SELECT request_id FROM processed_webhook_events WHERE source_id = ?1 AND event_id = ?2",
            params![arrival.source.0, name],
            |row| row.get(0).map(RequestId),
        )?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The request is the last by which the event was taken.
fn remember(tx: &WriteTx<'_>, arrival: &Arrival, request: RequestId) -> Result<(), Error> {
    for name in names(arrival) {
        tx.execute(
            "INSERT INTO processed_webhook_events (source_id, event_id, request_id, processed_at)
             VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (source_id, event_id) DO UPDATE SET request_id = ?3, processed_at = ?4",
            params![arrival.source.0, name, request.0, arrival.received_at.as_micros()],
        )?;
    }
    Ok(())
}

/// By which an event is known: its id, and its content.
fn names(arrival: &Arrival) -> impl DoubleEndedIterator<Item = &str> {
    std::iter::once(arrival.event_id.as_str()).chain(arrival.content.as_deref())
}

/// Where a request ended dead and nobody has dealt with it; nowhere while something is still to come of it.
fn dead_ends(tx: &ReadTx<'_>, request: RequestId) -> Result<Vec<Towards>, Error> {
    let ends = tx.all(
        "SELECT destination_id, status, order_key IS NOT NULL, settled_at IS NOT NULL
         FROM webhook_deliveries INDEXED BY webhook_deliveries_by_request WHERE request_id = ?1 ORDER BY id",
        [request.0],
        |row| {
            let status = crate::store::columns::word(row, 1, DeliveryStatus::parse)?;
            let towards = Towards { destination: DestinationId(row.get(0)?), in_order: row.get(2)? };
            Ok((towards, status, row.get::<_, bool>(3)?))
        },
    )?;
    if ends.iter().any(|(_, status, _)| status.is_open()) {
        return Ok(Vec::new());
    }
    let is_dead = |status, settled: bool| status == DeliveryStatus::DeadLetter && !settled;
    let dead = ends.into_iter().filter(|(_, status, settled)| is_dead(*status, *settled));
    Ok(dead.map(|(towards, ..)| towards).collect())
}

/// What was dead is dealt with; its alarm ends with the last of a destination.
fn settle(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    request: RequestId,
    now: Timestamp,
    dead: &[Towards],
) -> Result<(), Error> {
    tx.execute(
        "UPDATE webhook_deliveries INDEXED BY webhook_deliveries_by_request SET settled_at = ?2, settled_by = ?3
         WHERE request_id = ?1 AND status = 'dead_letter' AND settled_at IS NULL",
        params![request.0, now.as_micros(), SENT_AGAIN],
    )?;
    for Towards { destination, .. } in dead {
        let left = tx.first(
            "SELECT 1 FROM webhook_deliveries INDEXED BY webhook_deliveries_dead_there
             WHERE destination_id = ?1 AND status = 'dead_letter' AND settled_at IS NULL LIMIT 1",
            [destination.0],
            |_| Ok(()),
        )?;
        if left.is_none() {
            let key = destination.signal_key("dead");
            incidents.close_key(tx, now, &key, CloseReason::SubjectResolved, "tocsin")?;
        }
    }
    Ok(())
}

fn count_repeat(tx: &WriteTx<'_>, request: RequestId) -> Result<(), Error> {
    tx.execute("UPDATE webhook_requests SET repeats = repeats + 1 WHERE id = ?1", [request.0])?;
    Ok(())
}

fn insert_request(tx: &WriteTx<'_>, arrival: &Arrival, after: Option<RequestId>) -> Result<RequestId, Error> {
    let id = tx.insert(
        "INSERT INTO webhook_requests (uid, source_id, project_id, received_at, event_id, event_type, order_key,
                                       content_type, body_bytes, address, secret, signed_at, after)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        params![
            arrival.uid.as_bytes(),
            arrival.source.0,
            arrival.project.0,
            arrival.received_at.as_micros(),
            arrival.event_id,
            arrival.event_type,
            arrival.order_key,
            arrival.content_type,
            arrival.body_bytes,
            arrival.address,
            arrival.secret,
            arrival.signed_at.map(Timestamp::as_micros),
            after.map(|request| request.0),
        ],
    )?;
    tx.execute(
        "INSERT INTO webhook_payloads (request_id, payload) VALUES (?1, ?2)",
        params![id, arrival.payload],
    )?;
    Ok(RequestId(id))
}

fn deliver(
    tx: &WriteTx<'_>,
    entropy: &Entropy,
    arrival: &Arrival,
    request: RequestId,
    to: &[Towards],
) -> Result<(), Error> {
    let now = arrival.received_at;
    for Towards { destination, in_order } in to {
        let key = arrival.order_key.as_deref().filter(|_| *in_order);
        let waits = match key {
            Some(key) => is_open_before(tx, *destination, key)?,
            None => false,
        };
        tx.execute(
            "INSERT INTO webhook_deliveries (uid, request_id, destination_id, source_id, project_id, status, order_key,
                                             due_at, began_at)
             VALUES (?1, ?2, ?3, ?4, ?5, 'pending', ?6, ?7, ?8)",
            params![
                entropy.uid(now).as_bytes(),
                request.0,
                destination.0,
                arrival.source.0,
                arrival.project.0,
                key,
                (!waits).then_some(now.as_micros()),
                now.as_micros(),
            ],
        )?;
    }
    Ok(())
}

/// Whether an earlier one of this order key is still to come through.
fn is_open_before(tx: &ReadTx<'_>, destination: DestinationId, key: &str) -> Result<bool, Error> {
    let open = tx.first(
        "SELECT 1 FROM webhook_deliveries INDEXED BY webhook_deliveries_in_order
         WHERE destination_id = ?1 AND order_key = ?2 AND status IN ('pending', 'processing', 'failed') LIMIT 1",
        params![destination.0, key],
        |_| Ok(()),
    )?;
    Ok(open.is_some())
}
